package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// passedFile is a file in the folder .git with the tree that .ci/run passed on last.
const passedFile = "ci-passed"

// unpublished matches what README.md says before the first release: that there is none, and how to
// import a clone.
var unpublished = regexp.MustCompile(`(?i)not published yet|=> \.\./sallyport\b`)

// check verifies what every change must keep so that a release can follow it.
func check(r repository, out io.Writer) error {
	tree, err := r.workingTree()
	if err != nil {
		return err
	}
	modules, last, sections, err := state(r, tree)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d modules, %d of them released\n", len(modules), len(released))
	if last == "" {
		fmt.Fprintln(out, "last release: none")
	} else {
		fmt.Fprintln(out, "last release:", last)
		if err := verifyTags(r, last); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "CHANGELOG.md: %d sections\n", len(sections))
	return compareAPI(r, last, "", sections, out)
}

// state reads the modules, the last release and the changelog of a tree.
func state(r repository, tree string) ([]module, string, []section, error) {
	modules, err := modulesAt(r, tree)
	if err != nil {
		return nil, "", nil, err
	}
	if err := errors.Join(listed(modules), inOrder(modules)); err != nil {
		return nil, "", nil, err
	}
	last, err := lastRelease(r, modules)
	if err != nil {
		return nil, "", nil, err
	}
	text, err := r.read(tree, "CHANGELOG.md")
	if err != nil {
		return nil, "", nil, err
	}
	sections, err := parseChangelog(string(text))
	if err == nil && last != "" && len(after(sections, last)) == len(sections) {
		err = fmt.Errorf("CHANGELOG.md has no section for the last release, %s", last)
	}
	return modules, last, sections, err
}

// cut releases the branch as a version.
func cut(r repository, version string, out io.Writer) error {
	if !semver.IsValid(version) || semver.Canonical(version) != version || semver.Prerelease(version) != "" {
		return fmt.Errorf("version %q: want vMAJOR.MINOR.PATCH", version)
	}
	if major := semver.Major(version); major != "v0" && major != "v1" {
		return fmt.Errorf("version %q: want new module paths first, ending in /%s", version, major)
	}
	branch, head, err := releasable(r)
	if err != nil {
		return err
	}
	_, last, sections, err := state(r, head)
	if err != nil {
		return err
	}
	if semver.Compare(version, last) <= 0 {
		return fmt.Errorf("version %s: want one greater than the last release, %s", version, last)
	}
	if err := readyFor(sections, version, last, time.Now().UTC()); err != nil {
		return err
	}
	readme, err := r.read(head, "README.md")
	if err != nil {
		return err
	}
	if text := unpublished.Find(readme); text != nil {
		return fmt.Errorf("README.md says %q: want how to get a release", text)
	}
	if err := compareAPI(r, last, version, sections, out); err != nil {
		return err
	}
	c, err := prepare(r, head, version)
	if err != nil {
		return err
	}
	if err := c.verify(r); err != nil {
		return err
	}
	if err := c.name(r, branch, head); err != nil {
		return err
	}
	tags := make([]string, len(released))
	for i, dir := range released {
		tags[i] = tagOf(dir, version)
	}
	fmt.Fprintf(out, "%s has the release and its tags. Nothing is pushed; to publish, in one step:\n\n\tgit push --atomic origin %s %s\n",
		strings.TrimPrefix(branch, "refs/heads/"), strings.TrimPrefix(branch, "refs/heads/"), strings.Join(tags, " "))
	return nil
}

// releasable returns the branch and its commit if they may be released: no file differs
// from the commit, and .ci/run passed on its files.
func releasable(r repository) (branch, head string, err error) {
	changes, err := r.line("status", "--porcelain")
	if err != nil {
		return "", "", err
	}
	if changes != "" {
		return "", "", fmt.Errorf("files differ from the commit: want them committed or removed:\n%s", changes)
	}
	branch, err = r.line("symbolic-ref", "--quiet", "HEAD")
	if err != nil {
		return "", "", errors.New("no branch is checked out: want one")
	}
	head, err = r.line("rev-parse", "HEAD")
	if err != nil {
		return "", "", err
	}
	tree, err := r.line("rev-parse", "HEAD^{tree}")
	if err != nil {
		return "", "", err
	}
	name, err := r.line("rev-parse", "--path-format=absolute", "--git-path", passedFile)
	if err != nil {
		return "", "", err
	}
	passed, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil && !os.IsNotExist(err) {
		return "", "", err
	}
	if strings.TrimSpace(string(passed)) != tree {
		return "", "", errors.New(".ci/run has not passed on this commit: want all its steps run, with no changed file")
	}
	return branch, head, nil
}

// name moves the branch and makes the tags, all or nothing, and then updates the files.
func (c candidate) name(r repository, branch, head string) error {
	updates := fmt.Sprintf("start\nupdate %s %s %s\n", branch, c.followUp, head)
	for _, dir := range released {
		tag := tagOf(dir, c.version)
		object, err := r.annotatedTag(c.commit, tag, modulePath(dir)+" "+c.version)
		if err != nil {
			return err
		}
		updates += fmt.Sprintf("create refs/tags/%s %s\n", tag, object)
	}
	if _, err := r.git([]byte(updates+"prepare\ncommit\n"), "update-ref", "-m", "release: "+c.version, "--stdin"); err != nil {
		return err
	}
	if _, err := r.git(nil, "read-tree", "-m", "-u", head, c.followUp); err != nil {
		return fmt.Errorf("the branch and the tags of %s are made, the files are still those before: want git reset --hard: %w", c.version, err)
	}
	return nil
}
