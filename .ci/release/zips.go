package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	xmodule "golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/zip"
)

// writeZip writes the zip of a released module, as the module proxy makes it of a tag.
func writeZip(r repository, tree, dir, version, name string) error {
	main, err := r.main()
	if err != nil {
		return err
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := zip.CreateFromVCS(file, xmodule.Version{Path: modulePath(dir), Version: version}, main, tree, strings.TrimPrefix(dir, ".")); err != nil {
		return err
	}
	return file.Close()
}

// sums returns the two lines of go.sum for a released module.
func sums(r repository, tree, dir, version string) ([]string, error) {
	temporary, err := os.MkdirTemp("", "release")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temporary)
	name := filepath.Join(temporary, "module.zip")
	if err := writeZip(r, tree, dir, version, name); err != nil {
		return nil, err
	}
	all, err := dirhash.HashZip(name, dirhash.Hash1)
	if err != nil {
		return nil, err
	}
	text, err := r.read(tree, tagOf(dir, "go.mod"))
	if err != nil {
		return nil, err
	}
	alone, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(text)), nil
	})
	if err != nil {
		return nil, err
	}
	path := modulePath(dir)
	return []string{
		fmt.Sprintf("%s %s %s", path, version, all),
		fmt.Sprintf("%s %s/go.mod %s", path, version, alone),
	}, nil
}

// writeProxy adds the released modules of a commit to a folder that GOPROXY can name as a
// file:// address.
func writeProxy(r repository, commit, version, folder string) error {
	when, err := r.line("show", "-s", "--format=%cI", commit+"^{commit}")
	if err != nil {
		return err
	}
	for _, dir := range released {
		escaped, err := xmodule.EscapePath(modulePath(dir))
		if err != nil {
			return err
		}
		versions := filepath.Join(folder, filepath.FromSlash(escaped), "@v")
		if err := os.MkdirAll(versions, 0o755); err != nil {
			return err
		}
		info, err := json.Marshal(map[string]string{"Version": version, "Time": when})
		if err != nil {
			return err
		}
		file, err := r.read(commit, tagOf(dir, "go.mod"))
		if err != nil {
			return err
		}
		list, err := os.ReadFile(filepath.Join(versions, "list"))
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		for name, content := range map[string][]byte{
			version + ".info": info,
			version + ".mod":  file,
			"list":            append(list, version+"\n"...),
		} {
			if err := os.WriteFile(filepath.Join(versions, name), content, 0o644); err != nil {
				return err
			}
		}
		if err := writeZip(r, commit, dir, version, filepath.Join(versions, version+".zip")); err != nil {
			return err
		}
	}
	return nil
}
