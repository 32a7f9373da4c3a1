package main

import (
	"errors"
	"fmt"
	"go/types"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/exp/apidiff"
	"golang.org/x/mod/semver"
	"golang.org/x/tools/go/packages"
)

// A breach is an incompatible change of an exported name.
type breach struct {
	name    string // "policy.Engine.Decide", or "policy" for a package
	message string
}

// compareAPI compares the exported names of the released modules in the working tree with
// those of the last release. Every incompatible change must be named in the changelog, under
// Changed or Removed. None is allowed from v1 on, and in a patch release. version is the one
// that follows, "" if it is not known yet.
func compareAPI(r repository, last, version string, sections []section, out io.Writer) error {
	if last == "" {
		fmt.Fprintln(out, "API: there is no release to compare with")
		return nil
	}
	old, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer os.RemoveAll(old)
	if err := extractReplaced(r, tagOf(".", last), old); err != nil {
		return err
	}
	var breaches []breach
	compared := 0
	for _, dir := range released {
		before, err := exported(filepath.Join(old, dir))
		if err != nil {
			return fmt.Errorf("%s: %w", tagOf(dir, last), err)
		}
		now, err := exported(filepath.Join(r.dir, dir))
		if err != nil {
			return err
		}
		breaches = append(breaches, breachesOf(before, now)...)
		compared += len(before)
	}
	fmt.Fprintf(out, "API: %d packages of %s compared\n", compared, last)
	return judge(breaches, last, version, sections, out)
}

// extractReplaced writes the modules of a release into a folder. There they replace each
// other, so that they load without the module proxy, too.
func extractReplaced(r repository, commit, folder string) error {
	if err := r.extract(commit, folder); err != nil {
		return err
	}
	modules, err := modulesAt(r, commit)
	if err != nil {
		return err
	}
	for _, m := range modules {
		if !m.isReleased() {
			continue
		}
		for _, own := range m.ours() {
			to, err := filepath.Rel(filepath.FromSlash(m.dir), filepath.FromSlash(strings.TrimPrefix(own, base+"/")))
			if own == base {
				to, err = filepath.Rel(filepath.FromSlash(m.dir), ".")
			}
			if err != nil {
				return err
			}
			if err := m.file.AddReplace(own, "", filepath.ToSlash(to), ""); err != nil {
				return err
			}
		}
		text, err := m.file.Format()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, m.dir, "go.mod"), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// exported loads the packages of a module that others can import, by their paths.
func exported(dir string) (map[string]*types.Package, error) {
	loaded, err := packages.Load(&packages.Config{
		Mode: packages.LoadTypes,
		Dir:  dir,
		// Packages that are the same in two folders are compiled once.
		BuildFlags: []string{"-trimpath"},
	}, "./...")
	if err != nil {
		return nil, err
	}
	found := map[string]*types.Package{}
	for _, p := range loaded {
		for _, err := range p.Errors {
			return nil, err
		}
		if p.Name != "main" && !slices.Contains(strings.Split(p.PkgPath, "/"), "internal") {
			found[p.PkgPath] = p.Types
		}
	}
	return found, nil
}

// breachesOf returns the incompatible changes between two states of a module.
func breachesOf(before, now map[string]*types.Package) []breach {
	var breaches []breach
	for _, full := range slices.Sorted(maps.Keys(before)) {
		short := strings.TrimPrefix(full, base+"/")
		if now[full] == nil {
			breaches = append(breaches, breach{short, "package removed"})
			continue
		}
		for _, change := range apidiff.Changes(before[full], now[full]).Changes {
			if !change.Compatible {
				name, message, _ := strings.Cut(change.Message, ": ")
				breaches = append(breaches, breach{path.Clean(short) + "." + plain(name), message})
			}
		}
	}
	return breaches
}

var notOfName = regexp.MustCompile(`[(*)]|,.*`)

// plain shortens a name of apidiff: "(*Engine).Decide" to "Engine.Decide".
func plain(name string) string { return notOfName.ReplaceAllString(name, "") }

// judge prints the breaches and fails for those that are not allowed.
func judge(breaches []breach, last, version string, sections []section, out io.Writer) error {
	var told strings.Builder
	for _, s := range after(sections, last) {
		told.WriteString(s.entries["Changed"] + s.entries["Removed"])
	}
	var errs []error
	for _, b := range breaches {
		fmt.Fprintf(out, "incompatible with %s: %s: %s\n", last, b.name, b.message)
		want := ""
		switch {
		case semver.Major(last) != "v0":
			want = "no incompatible change after v1"
		case semver.MajorMinor(last) == semver.MajorMinor(version):
			want = "no incompatible change in a patch release"
		case !strings.Contains(told.String(), "`"+b.name+"`"):
			want = fmt.Sprintf("`%s` in CHANGELOG.md under Changed or Removed", b.name)
		default:
			continue
		}
		errs = append(errs, fmt.Errorf("%s is incompatible with %s: %s: want %s", b.name, last, b.message, want))
	}
	return errors.Join(errs...)
}
