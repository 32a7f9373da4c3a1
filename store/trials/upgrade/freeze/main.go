// Freeze keeps a release of this library for the trials: its modules as zip files, in a
// module proxy of the file system, and a go.mod and go.sum for the worker that require it.
//
//	go run ./freeze COMMIT
//
// runs in the folder of the module upgrade. The version is the tag of the commit, such as
// v1.2.3, or its pseudo-version. The modules come from the commit and not from the working
// tree. Tests and their data are left out, and so is what the worker cannot import: the zip
// files are for these trials alone. A release that was kept before is removed.
package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/store/trials/upgrade/kept"
)

// folders are those of the modules that the worker imports.
var folders = []string{"", "store/sqlite", "store/postgres", "store/etcd"}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./freeze COMMIT")
		os.Exit(2)
	}
	if err := freeze(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "freeze:", err)
		os.Exit(1)
	}
}

func freeze(commit string) error {
	version, at, err := versionOf(commit)
	if err != nil {
		return err
	}
	files, err := filesOf(commit)
	if err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(kept.Proxy), os.RemoveAll(kept.Required)); err != nil {
		return err
	}
	for _, folder := range folders {
		if err := keep(commit, folder, version, at, files); err != nil {
			return fmt.Errorf("module %q: %w", path.Join(kept.Module, folder), err)
		}
	}
	if err := requireIn(version); err != nil {
		return err
	}
	fmt.Println(version)
	return nil
}

// versionOf returns the version and the time of a commit.
func versionOf(commit string) (version string, at time.Time, err error) {
	text, err := kept.Run(".", nil, "git", "show", "--no-patch", "--format=%ct %H", commit+"^{commit}")
	if err != nil {
		return "", at, err
	}
	var seconds int64
	var hash string
	if _, err := fmt.Sscan(text, &seconds, &hash); err != nil {
		return "", at, err
	}
	at = time.Unix(seconds, 0).UTC()
	tags, err := kept.Run(".", nil, "git", "tag", "--points-at", hash, "v[0-9]*")
	if tag := strings.Fields(tags); err != nil || len(tag) > 0 {
		return strings.Join(tag, " or "), at, err
	}
	return "v0.0.0-" + at.Format("20060102150405") + "-" + hash[:12], at, nil
}

// filesOf returns the files of a commit, by their paths from the root folder.
func filesOf(commit string) ([]string, error) {
	text, err := kept.Run(".", nil, "git", "ls-tree", "-r", "--full-tree", "--name-only", commit)
	return strings.Fields(text), err
}

// keep writes one module into the proxy.
func keep(commit, folder, version string, at time.Time, files []string) error {
	to := filepath.Join(kept.Proxy, kept.Module, folder, "@v")
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	goMod, err := released(commit, folder, version)
	if err != nil {
		return err
	}
	info, err := json.Marshal(map[string]any{"Version": version, "Time": at})
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for _, file := range files {
		if !of(folder, file, files) {
			continue
		}
		data := string(goMod)
		name := strings.TrimPrefix(strings.TrimPrefix(file, folder), "/")
		if name != "go.mod" {
			if data, err = kept.Run(".", nil, "git", "show", commit+":"+file); err != nil {
				return err
			}
		}
		part, err := w.CreateHeader(&zip.FileHeader{Name: path.Join(kept.Module, folder) + "@" + version + "/" + name, Method: zip.Deflate})
		if err != nil {
			return err
		}
		if _, err := io.WriteString(part, data); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(),
		os.WriteFile(filepath.Join(to, "list"), []byte(version+"\n"), 0o644),
		os.WriteFile(filepath.Join(to, version+".info"), info, 0o644),
		os.WriteFile(filepath.Join(to, version+".mod"), goMod, 0o644),
		os.WriteFile(filepath.Join(to, version+".zip"), archive.Bytes(), 0o644))
}

// of reports whether a file is kept with the module in a folder: the module has it, the
// worker can import it, and it is no test's.
func of(folder, file string, files []string) bool {
	if folder != "" && !strings.HasPrefix(file, folder+"/") {
		return false
	}
	for dir := path.Dir(file); dir != "." && dir != folder; dir = path.Dir(dir) {
		if base := path.Base(dir); base == "testdata" || base[0] == '.' || slices.Contains(files, dir+"/go.mod") {
			return false
		}
	}
	for _, left := range []string{"examples/", "store/admin/adminhttp/", "store/admin/console/", "store/storetest/", "accesslist/replay/", "accesslist/feeds/", "accesslist/publish/"} {
		if strings.HasPrefix(file, left) {
			return false
		}
	}
	return path.Base(file) == "go.mod" || path.Base(file) == "LICENSE" ||
		!strings.HasSuffix(file, "_test.go") && (strings.HasSuffix(file, ".go") || strings.HasSuffix(file, ".sql"))
}

// released returns the go.mod of a module as a release has it: nothing is replaced, and
// modules of this repository are required at the version.
func released(commit, folder, version string) ([]byte, error) {
	text, err := kept.Run(".", nil, "git", "show", commit+":"+path.Join(folder, "go.mod"))
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "freeze")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o644); err != nil {
		return nil, err
	}
	text, err = kept.Run(dir, nil, "go", "mod", "edit", "-json")
	if err != nil {
		return nil, err
	}
	var edited struct {
		Require []struct{ Path string }
		Replace []struct{ Old struct{ Path string } }
	}
	if err := json.Unmarshal([]byte(text), &edited); err != nil {
		return nil, err
	}
	arguments := []string{"mod", "edit", "-fmt"}
	for _, replaced := range edited.Replace {
		arguments = append(arguments, "-dropreplace="+replaced.Old.Path)
	}
	for _, required := range edited.Require {
		if required.Path == kept.Module || strings.HasPrefix(required.Path, kept.Module+"/") {
			arguments = append(arguments, "-require="+required.Path+"@"+version)
		}
	}
	if _, err := kept.Run(dir, nil, "go", append(arguments, "go.mod")...); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "go.mod"))
}

// requireIn makes the go.mod and go.sum by which the worker is built with the release.
func requireIn(version string) error {
	dir, err := os.MkdirTemp("", "freeze")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	goMod := filepath.Join(dir, "go.mod")
	text := "module " + kept.Module + "/store/trials/upgrade\n\ngo 1.26.0\n\nrequire (\n"
	for _, folder := range folders {
		text += "\t" + path.Join(kept.Module, folder) + " " + version + "\n"
	}
	if err := os.WriteFile(goMod, []byte(text+")\n"), 0o644); err != nil {
		return err
	}
	if err := kept.Go(dir, "mod", "tidy"); err != nil {
		return err
	}
	return kept.Copy(kept.Required, goMod, filepath.Join(dir, "go.sum"))
}
