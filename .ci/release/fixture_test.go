package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// newRepository copies the working tree into a repository of its own, with one commit that
// counts as passed.
func newRepository(t *testing.T) repository {
	t.Helper()
	source, err := open(".")
	must(t, err)
	tree, err := source.workingTree()
	must(t, err)
	r := repository{dir: t.TempDir()}
	must(t, source.extract(tree, r.dir))
	do(t, r, "init", "--quiet", "--initial-branch=main")
	do(t, r, "config", "user.name", "Test")
	do(t, r, "config", "user.email", "test@example.com")
	do(t, r, "config", "gc.auto", "0")
	readme, err := os.ReadFile(filepath.Join(r.dir, "README.md"))
	must(t, err)
	write(t, filepath.Join(r.dir, "README.md"), unpublished.ReplaceAllString(string(readme), "published"))
	commit(t, r)
	return r
}

func do(t *testing.T, r repository, args ...string) string {
	t.Helper()
	out, err := r.line(args...)
	must(t, err)
	return out
}

// commit commits all files, and notes that .ci/run passed on them.
func commit(t *testing.T, r repository) {
	t.Helper()
	do(t, r, "add", "--all", "--force", ".")
	do(t, r, "commit", "--quiet", "--message", "a change")
	passed(t, r)
}

func passed(t *testing.T, r repository) {
	t.Helper()
	write(t, filepath.Join(r.dir, ".git", passedFile), do(t, r, "rev-parse", "HEAD^{tree}")+"\n")
}

// edit replaces a text in a file.
func edit(t *testing.T, r repository, name, old, replacement string) {
	t.Helper()
	name = filepath.Join(r.dir, filepath.FromSlash(name))
	text, err := os.ReadFile(name)
	must(t, err)
	if !strings.Contains(string(text), old) {
		t.Fatalf("%s does not contain %q", name, old)
	}
	write(t, name, strings.Replace(string(text), old, replacement, 1))
}

func write(t *testing.T, name, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(name), 0o755))
	must(t, os.WriteFile(name, []byte(text), 0o644))
}

// state returns everything that a refused release must leave as it was.
func (r repository) state(t *testing.T) string {
	t.Helper()
	return strings.Join([]string{do(t, r, "for-each-ref"), do(t, r, "symbolic-ref", "HEAD"),
		do(t, r, "status", "--porcelain"), do(t, r, "diff"), do(t, r, "diff", "--cached")}, "\n")
}

// refuses runs the program, which must fail with a text and leave everything as it was.
func refuses(t *testing.T, r repository, want string, args ...string) {
	t.Helper()
	before := r.state(t)
	var out bytes.Buffer
	err := run(r.dir, args, &out)
	wantError(t, err, want)
	if after := r.state(t); after != before {
		t.Errorf("%v was refused and changed the repository:\n%s\nto:\n%s", args, before, after)
	}
}

// runs runs the program and returns its output.
func runs(t *testing.T, r repository, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(r.dir, args, &out); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, &out)
	}
	return out.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error: want one with %q", want)
	} else if !strings.Contains(err.Error(), want) {
		t.Errorf("error %q: want one with %q", err, want)
	}
}

func wantText(t *testing.T, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("got:\n%s\nwant a text with: %s", got, want)
	}
}

// A user has go with an empty module cache. GOPROXY is a folder with the modules of a
// release; after that, for all other modules, the module cache of this machine as a proxy
// and the usual proxies.
type user struct {
	dir string // working directory
	env []string
}

func newUser(t *testing.T, proxy string) user {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMODCACHE", "GOPROXY").Output()
	must(t, err)
	cache, usual, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return user{t.TempDir(), []string{
		"GOPROXY=file://" + proxy + ",file://" + filepath.Join(cache, "cache", "download") + "," + usual,
		"GOMODCACHE=" + filepath.Join(t.TempDir(), "modules"),
		// With -trimpath compiled packages are found again by another module cache.
		"GOFLAGS=-trimpath -modcacherw",
		"GONOSUMDB=" + base,
		"GOWORK=off",
		"GOBIN=" + t.TempDir(),
	}}
}

// directly is a user whose go takes our modules from the tags of a repository, without a
// proxy, and from no network.
func directly(t *testing.T, r repository) user {
	u := newUser(t, "")
	u.env = append(u.env, "GOPROXY=direct", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url.file://"+r.dir+".insteadOf", "GIT_CONFIG_VALUE_0=https://"+base)
	return u
}

func (u user) try(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = u.dir
	cmd.Env = append(os.Environ(), u.env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (u user) runs(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := u.try(name, args...)
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

// fails runs a command that must fail with a text.
func (u user) fails(t *testing.T, want, name string, args ...string) {
	t.Helper()
	out, err := u.try(name, args...)
	if err == nil {
		t.Errorf("%s %v did not fail: want %q", name, args, want)
	}
	wantText(t, out, want)
}

func (u user) bin(t *testing.T, name string) string {
	t.Helper()
	return filepath.Join(strings.TrimSpace(u.runs(t, "go", "env", "GOBIN")), name)
}
