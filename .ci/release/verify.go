package main

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// verify checks the modules of a release as users of the module proxy get them. commits
// holds the commit of each module by its folder.
func verify(r repository, commits map[string]string, version string) error {
	known := map[string][]string{} // lines of go.sum by the path of a module
	for _, dir := range released {
		commit := commits[dir]
		if commit != commits["."] {
			return fmt.Errorf("module %q is tagged at another commit than the root module: want one commit", dir)
		}
		name := path.Join(dir, "go.mod")
		text, err := r.read(commit, name)
		if err != nil {
			return err
		}
		file, err := modfile.Parse(name, text, nil)
		if err != nil {
			return err
		}
		if len(file.Replace) > 0 || len(file.Exclude) > 0 {
			return fmt.Errorf("%s has replace or exclude directives: go install refuses them", name)
		}
		if known[modulePath(dir)], err = sums(r, commit, dir, version); err != nil {
			return err
		}
		m := module{dir, file}
		if dir == "." {
			continue
		}
		text, err = r.read(commit, path.Join(dir, "go.sum"))
		if err != nil {
			return err
		}
		lines := strings.Split(string(text), "\n")
		for _, require := range file.Require {
			if !slices.Contains(m.ours(), require.Mod.Path) {
				continue
			}
			if require.Mod.Version != version {
				return fmt.Errorf("%s requires %s: want %s", name, require.Mod, version)
			}
			for _, line := range known[require.Mod.Path] {
				if !slices.Contains(lines, line) {
					return fmt.Errorf("the go.sum file of module %q lacks the line %q", dir, line)
				}
			}
		}
	}
	return nil
}

// verifyTags checks the tags of a release.
func verifyTags(r repository, version string) error {
	commits := map[string]string{}
	for _, dir := range released {
		commit, err := r.line("rev-parse", "--verify", "--quiet", "refs/tags/"+tagOf(dir, version)+"^{commit}")
		if err != nil {
			return fmt.Errorf("tag %s is absent", tagOf(dir, version))
		}
		commits[dir] = commit
	}
	return verify(r, commits, version)
}

// verify checks a release before it has tags.
func (c candidate) verify(r repository) error {
	commits := map[string]string{}
	for _, dir := range released {
		commits[dir] = c.commit
	}
	return verify(r, commits, c.version)
}
