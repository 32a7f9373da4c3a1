package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRefusals has everything refused that must not be released. A refusal changes nothing.
func TestRefusals(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: it copies the tree")
	}
	t.Parallel()
	r := newRepository(t)
	refuses(t, r, "want ## [0.1.0] - ", "v0.1.0")
	edit(t, r, "CHANGELOG.md", "## [Unreleased]\n", "## [Unreleased]\n\n## [0.1.0] - "+today+"\n")
	refuses(t, r, "files differ from the commit", "v0.1.0")
	commit(t, r)

	for _, version := range []string{"", "0.1.0", "v0.1", "v0.1.0-rc.1", "v0.1.0+meta", "v01.0.0", "latest"} {
		refuses(t, r, "want vMAJOR.MINOR.PATCH", version)
	}
	refuses(t, r, "want new module paths first, ending in /v2", "v2.0.0")
	refuses(t, r, "wrong arguments")
	refuses(t, r, "wrong arguments", "v0.1.0", "v0.2.0")

	write(t, filepath.Join(r.dir, "notes.md"), "Notes.\n")
	refuses(t, r, "notes.md", "v0.1.0")
	must(t, os.Remove(filepath.Join(r.dir, "notes.md")))

	do(t, r, "checkout", "--quiet", "--detach")
	if _, _, err := releasable(r); err == nil || !strings.Contains(err.Error(), "no branch is checked out") {
		t.Errorf("a commit without a branch: %v", err)
	}
	do(t, r, "checkout", "--quiet", "main")

	// later makes a commit, has it refused, and takes it back.
	later := func(want string, change func(), args ...string) {
		t.Helper()
		change()
		commit(t, r)
		refuses(t, r, want, args...)
		do(t, r, "reset", "--quiet", "--hard", "HEAD~1")
		passed(t, r)
	}
	later(`README.md says "Not published yet"`, func() {
		write(t, filepath.Join(r.dir, "README.md"), "**Not published yet**: names may still change.\n")
	}, "v0.1.0")
	later(`README.md says "=> ../sallyport"`, func() {
		write(t, filepath.Join(r.dir, "README.md"), "replace "+base+"/store/sqlite => ../sallyport/store/sqlite\n")
	}, "v0.1.0")
	later(`module "extra" is in neither list`, func() {
		write(t, filepath.Join(r.dir, "extra", "go.mod"), "module "+base+"/extra\n")
	}, "check")
	later(`folder "examples/service" in .ci/release/modules.go has no go.mod file`, func() {
		must(t, os.Remove(filepath.Join(r.dir, "examples", "service", "go.mod")))
	}, "check")
	later(`module "store/etcd" requires "store/sqlite": want it before`, func() {
		edit(t, r, "store/etcd/go.mod", "require (\n", "require (\n\t"+base+"/store/sqlite v0.0.0\n")
	}, "check")
	later(`module "policy/policyotel" requires "examples/service"`, func() {
		edit(t, r, "policy/policyotel/go.mod", "require (\n", "require (\n\t"+base+"/examples/service v0.0.0\n")
	}, "v0.1.0")
	later(`module "store/sqlite" has the path "`+base+`/store/sqlite/v2"`, func() {
		edit(t, r, "store/sqlite/go.mod", base+"/store/sqlite", base+"/store/sqlite/v2")
	}, "check")
	later("want one version", func() {
		edit(t, r, "store/sqlite/go.mod", base+" v0.0.0", base+" v0.1.0")
	}, "check")
	later(`has replace or exclude directives`, func() {
		edit(t, r, "store/etcd/go.mod", "replace ", "replace go.uber.org/zap => ../zap\n\nreplace ")
	}, "v0.1.0")
	later("CHANGELOG.md: section", func() {
		edit(t, r, "CHANGELOG.md", "### Added\n", "Text.\n\n### Added\n")
	}, "check")

	do(t, r, "tag", "v0.3.0")
	refuses(t, r, "tag v0.3.0 is greater than v0.0.0", "v0.1.0")
	refuses(t, r, "tag v0.3.0 is greater than v0.0.0", "check")
	do(t, r, "tag", "--delete", "v0.3.0")

	// One tag stands in the way: neither the other tags nor the commits are made.
	do(t, r, "tag", "store/etcd/v0.1.0")
	refuses(t, r, "refs/tags/store/etcd/v0.1.0", "v0.1.0")
	do(t, r, "tag", "--delete", "store/etcd/v0.1.0")

	commit2 := do(t, r, "commit-tree", "-p", "HEAD", "-m", "another", "HEAD^{tree}")
	do(t, r, "reset", "--quiet", "--hard", commit2)
	runs(t, r, "v0.1.0") // the same files passed
	clone := repository{dir: t.TempDir()}
	do(t, clone, "clone", "--quiet", "--no-tags", r.dir, ".")
	refuses(t, clone, "the modules require v0.1.0 and tag v0.1.0 is absent: fetch it", "check")
	do(t, clone, "fetch", "--quiet", "--tags")
	wantText(t, runs(t, clone, "check"), "last release: v0.1.0")
	edit(t, r, "CHANGELOG.md", "## [0.1.0]", "## [0.0.1]")
	refuses(t, r, "CHANGELOG.md has no section for the last release, v0.1.0", "check")
}
