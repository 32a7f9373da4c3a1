package main

import (
	"bytes"
	"fmt"
	"path"
	"strings"

	xmodule "golang.org/x/mod/module"
)

// A candidate is a release whose commits and tags have no names in the repository yet.
type candidate struct {
	version  string
	commit   string // every module as it is released
	followUp string // every module with its replace directives, to develop on
}

// prepare makes the commits of a release on top of a commit. It only adds objects to the
// repository: no branch, tag, index or file changes.
//
// In both commits all modules require VERSION of ours: a module at a later commit of the
// branch then requires versions that exist. In the first one the released modules have no
// replace directives, since `go install PACKAGE@VERSION` refuses them, and their go.sum
// files have the hashes of our modules.
func prepare(r repository, parent, version string) (candidate, error) {
	c := candidate{version: version}
	modules, err := modulesAt(r, parent)
	if err != nil {
		return c, err
	}
	if err := inOrder(modules); err != nil {
		return c, err
	}
	required := map[string][]byte{} // go.mod files that require the version
	for _, m := range modules {
		for _, own := range m.ours() {
			if err := m.file.AddRequire(own, version); err != nil {
				return c, err
			}
		}
		if required[m.file.Syntax.Name], err = m.file.Format(); err != nil {
			return c, err
		}
	}
	develop, err := r.replaced(parent, required)
	if err != nil {
		return c, err
	}
	tree, err := releasedTree(r, develop, modules, version)
	if err != nil {
		return c, err
	}
	if c.commit, err = r.commit(tree, parent, "release: "+version); err != nil {
		return c, err
	}
	c.followUp, err = r.commit(develop, c.commit, "release: modules replace each other again after "+version)
	return c, err
}

// releasedTree drops the replace directives of the released modules, and adds the hashes of
// our modules to their go.sum files. In the order of dependencies every hash that a go.sum
// file takes is known, since it covers the go.sum files before it.
func releasedTree(r repository, tree string, modules []module, version string) (string, error) {
	files := map[string]module{}
	dropped := map[string][]byte{}
	for _, m := range modules {
		if !m.isReleased() {
			continue
		}
		files[m.dir] = m
		for _, own := range m.ours() {
			if err := m.file.DropReplace(own, ""); err != nil {
				return "", err
			}
		}
		m.file.Cleanup()
		text, err := m.file.Format()
		if err != nil {
			return "", err
		}
		dropped[m.file.Syntax.Name] = text
	}
	tree, err := r.replaced(tree, dropped)
	if err != nil {
		return "", err
	}
	known := map[string][]string{} // lines of go.sum by the path of a module
	for _, dir := range released {
		if files[dir].file == nil {
			return "", fmt.Errorf("folder %q has no go.mod file", dir)
		}
		var lines []string
		for _, own := range files[dir].ours() {
			lines = append(lines, known[own]...)
		}
		if len(lines) > 0 {
			name := path.Join(dir, "go.sum")
			text, err := r.read(tree, name)
			if err != nil {
				return "", err
			}
			if tree, err = r.replaced(tree, map[string][]byte{name: withLines(text, lines)}); err != nil {
				return "", err
			}
		}
		if known[modulePath(dir)], err = sums(r, tree, dir, version); err != nil {
			return "", err
		}
	}
	return tree, nil
}

// withLines adds lines to a go.sum file, in the order in which go writes them.
func withLines(text []byte, lines []string) []byte {
	hashes := map[xmodule.Version]string{}
	var order []xmodule.Version
	for line := range strings.Lines(string(text) + strings.Join(lines, "\n")) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		key := xmodule.Version{Path: fields[0], Version: fields[1]}
		if _, twice := hashes[key]; !twice {
			order = append(order, key)
		}
		hashes[key] = fields[2]
	}
	xmodule.Sort(order)
	var out bytes.Buffer
	for _, key := range order {
		fmt.Fprintln(&out, key.Path, key.Version, hashes[key])
	}
	return out.Bytes()
}
