package main

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

// base is the path of the root module. The path of every other released module is base and
// its folder.
const base = "github.com/sallyport-go/sallyport"

// released holds the folders of the modules of a release, in the order of their
// dependencies. All have the version of the release.
var released = []string{
	".",
	"policy/policygrpc",
	"policy/policyotel",
	"store/etcd",
	"store/postgres",
	"store/sqlite",
	"store/admin/cmd/sallyport",
}

// unreleased holds the folders of all other modules. Each keeps its replace directives.
var unreleased = []string{
	".ci/benchmarks",
	".ci/release",
	"examples/middleware/routers",
	"examples/service",
	"policy/policyhttp/clients",
	"policy/policyhttp/clients/caddy", // the version of a program for tests
	"store/admin/adminhttp/clients",
	"store/admin/adminhttp/clients/vault",
	"store/admin/console/browser",
	"store/etcd/etcdtest", // a server for tests
	"store/trials",
	"store/trials/upgrade",
}

// never is the version that go.mod files require of our modules before the first release.
const never = "v0.0.0"

// modulePath is the path of the module in a folder.
func modulePath(dir string) string { return path.Join(base, dir) }

// tagOf is the tag of the module in a folder.
func tagOf(dir, version string) string { return strings.TrimPrefix(dir+"/"+version, "./") }

// A module is a folder with a go.mod file, at a commit.
type module struct {
	dir  string
	file *modfile.File
}

func (m module) isReleased() bool { return slices.Contains(released, m.dir) }

// ours returns the paths of the released modules that m requires.
func (m module) ours() []string {
	var paths []string
	for _, r := range m.file.Require {
		if slices.ContainsFunc(released, func(dir string) bool { return modulePath(dir) == r.Mod.Path }) {
			paths = append(paths, r.Mod.Path)
		}
	}
	return paths
}

// modulesAt reads every go.mod file of a commit or tree.
func modulesAt(r repository, tree string) ([]module, error) {
	names, err := r.files(tree)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		return path.Base(name) != "go.mod" || slices.Contains(strings.Split(name, "/"), "testdata")
	})
	texts, err := r.readAll(tree, names)
	if err != nil {
		return nil, err
	}
	var modules []module
	for i, name := range names {
		file, err := modfile.Parse(name, texts[i], nil)
		if err != nil {
			return nil, err
		}
		modules = append(modules, module{path.Dir(name), file})
	}
	return modules, nil
}

// listed checks that every module is in one of the lists above, and every list has modules
// only.
func listed(modules []module) error {
	found := map[string]bool{}
	for _, m := range modules {
		if !m.isReleased() && !slices.Contains(unreleased, m.dir) {
			return fmt.Errorf("module %q is in neither list of .ci/release/modules.go: want it released or unreleased", m.dir)
		}
		found[m.dir] = true
	}
	for _, dir := range slices.Concat(released, unreleased) {
		if !found[dir] {
			return fmt.Errorf("folder %q in .ci/release/modules.go has no go.mod file", dir)
		}
	}
	return nil
}

// inOrder checks that released modules require only released ones before them.
func inOrder(modules []module) error {
	for _, m := range modules {
		at := slices.Index(released, m.dir)
		if at < 0 {
			continue
		}
		if got, want := m.file.Module.Mod.Path, modulePath(m.dir); got != want {
			return fmt.Errorf("module %q has the path %q: want %q", m.dir, got, want)
		}
		for _, r := range m.file.Require {
			dir, own := strings.CutPrefix(r.Mod.Path, base)
			dir = path.Join(".", strings.TrimPrefix(dir, "/"))
			if own && !slices.Contains(released[:at], dir) {
				return fmt.Errorf("module %q requires %q: want it before in the list released", m.dir, dir)
			}
		}
	}
	return nil
}

// lastRelease returns the version that all modules require of ours, "" before the first
// release. The tags of that release must exist: a clone without tags is refused, and not taken
// for a project without releases.
func lastRelease(r repository, modules []module) (string, error) {
	last := ""
	for _, m := range modules {
		for _, require := range m.file.Require {
			if !slices.Contains(m.ours(), require.Mod.Path) {
				continue
			}
			if last == "" {
				last = require.Mod.Version
			}
			if require.Mod.Version != last {
				return "", fmt.Errorf("module %q requires %s of %s, another module %s: want one version", m.dir, require.Mod.Version, require.Mod.Path, last)
			}
		}
	}
	tags, err := r.tags()
	if err != nil {
		return "", err
	}
	for _, tag := range tags {
		if semver.IsValid(tag) && semver.Compare(tag, last) > 0 {
			return "", fmt.Errorf("tag %s is greater than %s, the version that the modules require: want a commit after the last release", tag, last)
		}
	}
	if last == never {
		return "", nil
	}
	for _, dir := range released {
		if tag := tagOf(dir, last); !slices.Contains(tags, tag) {
			return "", fmt.Errorf("the modules require %s and tag %s is absent: fetch it (git fetch --tags)", last, tag)
		}
	}
	return last, nil
}
