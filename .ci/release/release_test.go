package main

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var today = time.Now().UTC().Format(time.DateOnly)

// TestRelease releases a copy of the working tree twice, and uses the releases as others do.
func TestRelease(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: it compiles all released modules")
	}
	t.Parallel()
	r := newRepository(t)
	write(t, filepath.Join(r.dir, "apikey", "extra.go"), "package apikey\n\n// Extra is removed by the next release.\nfunc Extra() {}\n")
	edit(t, r, "CHANGELOG.md", "## [Unreleased]\n", "## [Unreleased]\n\n## [0.1.0] - "+today+"\n")
	commit(t, r)
	before := do(t, r, "rev-parse", "HEAD")
	wantText(t, runs(t, r, "check"), "there is no release to compare with")

	out := runs(t, r, "v0.1.0")
	wantText(t, out, "git push --atomic origin main v0.1.0 policy/policygrpc/v0.1.0 ")
	refuses(t, r, "not passed", "v0.1.0")
	passed(t, r)
	refuses(t, r, "want one greater than the last release, v0.1.0", "v0.1.0")
	wantHistory(t, r, before)
	must(t, verifyTags(r, "v0.1.0"))

	proxy := t.TempDir()
	must(t, writeProxy(r, "v0.1.0", "v0.1.0", proxy))
	wantSameFromTags(t, r, proxy)
	u := newUser(t, proxy)
	t.Run("program", func(t *testing.T) { testProgram(t, u) })
	t.Run("install", func(t *testing.T) { testInstall(t, u) })
	t.Run("storetest", func(t *testing.T) { testStoretest(t, u, r) })
	t.Run("tidy", func(t *testing.T) { testTidy(t, u, r) })
	t.Run("develop", func(t *testing.T) { testDevelop(t, r) })

	edit(t, r, "apikey/extra.go", "func Extra() {}", "func Other() {}")
	commit(t, r)
	refuses(t, r, "want `apikey.Extra` in CHANGELOG.md", "check")
	section := "## [Unreleased]\n\n## [0.2.0] - " + today + "\n\n### Added\n\n- `apikey.Extra`, in the wrong place.\n"
	edit(t, r, "CHANGELOG.md", "## [Unreleased]\n", section)
	commit(t, r)
	refuses(t, r, "want `apikey.Extra` in CHANGELOG.md", "v0.2.0")
	edit(t, r, "CHANGELOG.md", "- `apikey.Extra`, in the wrong place.", "- A function.\n\n### Removed\n\n- `apikey.Extra`.")
	commit(t, r)
	wantText(t, runs(t, r, "v0.2.0"), "incompatible with v0.1.0: apikey.Extra: removed")
	must(t, writeProxy(r, "v0.2.0", "v0.2.0", proxy))
	for _, dir := range released {
		wantText(t, u.runs(t, "go", "list", "-m", "-versions", modulePath(dir)), modulePath(dir)+" v0.1.0 v0.2.0\n")
	}
}

// wantHistory checks the two commits of a release: they change go.mod and go.sum files only,
// and together nothing but versions.
func wantHistory(t *testing.T, r repository, before string) {
	t.Helper()
	if got := do(t, r, "rev-parse", "HEAD~2"); got != before {
		t.Errorf("HEAD~2 is %s: want %s", got, before)
	}
	if got := do(t, r, "status", "--porcelain"); got != "" {
		t.Errorf("files differ from the commit: %s", got)
	}
	changed, err := r.lines("diff", "--name-only", before, "HEAD~1")
	must(t, err)
	for _, name := range changed {
		if base := path.Base(name); base != "go.mod" && base != "go.sum" {
			t.Errorf("the release changed %s", name)
		}
	}
	lines, err := r.lines("diff", "--unified=0", before, "HEAD")
	must(t, err)
	versions := 0
	for _, line := range lines {
		if strings.HasPrefix(line, "+\t") || strings.HasPrefix(line, "+require") {
			versions++
		}
		if strings.HasPrefix(line, "-\t") && !strings.Contains(line, base) || strings.HasPrefix(line, "+\t") && !strings.HasSuffix(line, " v0.1.0") {
			t.Errorf("the commit after the release has the change %q", line)
		}
	}
	if versions < len(released)+len(unreleased)-3 {
		t.Errorf("%d versions changed: want all", versions)
	}
	for _, dir := range released {
		if kind := do(t, r, "cat-file", "-t", tagOf(dir, "v0.1.0")); kind != "tag" {
			t.Errorf("tag %s is a %s: want an annotated tag", tagOf(dir, "v0.1.0"), kind)
		}
	}
}

// wantSameFromTags checks that go makes the same modules of the tags as are in the proxy.
func wantSameFromTags(t *testing.T, r repository, proxy string) {
	t.Helper()
	type download struct{ Sum, GoModSum string }
	get := func(u user, dir string) (d download) {
		must(t, json.Unmarshal([]byte(u.runs(t, "go", "mod", "download", "-json", modulePath(dir)+"@v0.1.0")), &d))
		return d
	}
	direct, proxied := directly(t, r), newUser(t, proxy)
	for _, dir := range released {
		if a, b := get(direct, dir), get(proxied, dir); a != b || a.Sum == "" {
			t.Errorf("module %q has the sums %v by its tag and %v in the proxy", dir, a, b)
		}
	}
}

// testProgram builds and runs a program that imports every released module.
func testProgram(t *testing.T, u user) {
	source, err := os.ReadFile("testdata/user/main.go")
	must(t, err)
	write(t, filepath.Join(u.dir, "main.go"), string(source))
	u.runs(t, "go", "mod", "init", "example.com/program")
	args := []string{"get"}
	for _, dir := range released {
		args = append(args, modulePath(dir)+"@v0.1.0")
		if dir != "." && dir != "store/admin/cmd/sallyport" && !strings.Contains(string(source), modulePath(dir)+"\"\n") {
			t.Errorf("the program does not import %s", modulePath(dir))
		}
	}
	u.runs(t, "go", args...)
	u.runs(t, "go", "mod", "tidy")
	u.runs(t, "go", "build", "-o", "program", ".")
	if out := u.runs(t, filepath.Join(u.dir, "program")); out != "true address_listed\nfalse address_not_listed\n" {
		t.Errorf("the program printed:\n%s", out)
	}
	wantText(t, u.runs(t, "go", "mod", "verify"), "all modules verified")
}

// testInstall installs the command, which must say its version.
func testInstall(t *testing.T, u user) {
	u.dir = t.TempDir()
	u.runs(t, "go", "install", modulePath("store/admin/cmd/sallyport")+"@v0.1.0")
	command := u.bin(t, "sallyport")
	var told struct{ Version string }
	must(t, json.Unmarshal([]byte(u.runs(t, command, "version", "-o", "json")), &told))
	if told.Version != "v0.1.0" {
		t.Errorf("the installed command says version %q: want v0.1.0", told.Version)
	}
	u.runs(t, command, "--store", "sqlite:"+filepath.Join(u.dir, "keys.db"), "migrate", "--yes")
}

// testStoretest runs the conformance kit on an adapter in a module of another author.
func testStoretest(t *testing.T, u user, r repository) {
	u.dir = t.TempDir()
	names, err := r.files("v0.1.0")
	must(t, err)
	for _, name := range names {
		if path.Dir(name) == "examples/customstore" {
			text, err := r.read("v0.1.0", name)
			must(t, err)
			write(t, filepath.Join(u.dir, path.Base(name)), string(text))
		}
	}
	u.runs(t, "go", "mod", "init", "example.com/adapter")
	u.runs(t, "go", "get", base+"@v0.1.0")
	u.runs(t, "go", "mod", "tidy")
	out := u.runs(t, "go", "test", "-count=1", "-short", "-v", "-run", "^TestContract$", ".")
	if n := strings.Count(out, "--- PASS: TestContract/"); n < 29 {
		t.Errorf("%d cases of the kit passed: want at least one for each sentence of the contract:\n%s", n, out)
	}
}

// testTidy checks that the go.mod and go.sum files of the released modules are as go writes
// them.
func testTidy(t *testing.T, u user, r repository) {
	u.dir = t.TempDir()
	must(t, r.extract("v0.1.0", u.dir))
	for _, dir := range released {
		in := u
		in.dir = filepath.Join(u.dir, dir)
		in.runs(t, "go", "mod", "tidy", "-diff")
	}
}

// testDevelop checks that every module loads after the release. No proxy has our modules: they
// replace each other.
func testDevelop(t *testing.T, r repository) {
	for _, dir := range slices.Concat(released, unreleased) {
		u := user{dir: filepath.Join(r.dir, dir), env: []string{"GOWORK=off", "GONOSUMDB=" + base}}
		u.runs(t, "go", "list", "-mod=readonly", "-deps", "-test", "./...")
	}
}

// TestBrokenReleases releases, breaks the tags, and has the break found: by verify, and by
// go.
func TestBrokenReleases(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: it copies the tree six times")
	}
	t.Parallel()
	r := newRepository(t)
	edit(t, r, "CHANGELOG.md", "## [Unreleased]\n", "## [Unreleased]\n\n## [0.1.0] - "+today+"\n")
	commit(t, r)
	runs(t, r, "v0.1.0")
	passed(t, r)
	sound := do(t, r, "rev-parse", "v0.1.0^{commit}")
	// tag moves the tags to the sound release with other contents of a file, and makes a
	// proxy of them.
	tag := func(t *testing.T, name string, change func(string) string) user {
		text, err := r.read(sound, name)
		must(t, err)
		if change(string(text)) == string(text) {
			t.Fatalf("nothing changed in %s", name)
		}
		tree, err := r.replaced(sound, map[string][]byte{name: []byte(change(string(text)))})
		must(t, err)
		commit, err := r.commit(tree, sound+"~1", "release: v0.1.0")
		must(t, err)
		for _, dir := range released {
			do(t, r, "tag", "--force", tagOf(dir, "v0.1.0"), commit)
		}
		proxy := t.TempDir()
		must(t, writeProxy(r, commit, "v0.1.0", proxy))
		u := newUser(t, proxy)
		must(t, r.extract(commit, u.dir))
		return u
	}
	const command = "store/admin/cmd/sallyport"

	t.Run("replace", func(t *testing.T) {
		u := tag(t, command+"/go.mod", func(text string) string {
			return text + "\nreplace " + base + " => ../../../..\n"
		})
		wantError(t, verifyTags(r, "v0.1.0"), command+"/go.mod has replace or exclude directives")
		refuses(t, r, "has replace or exclude directives", "check")
		u.fails(t, "must not contain directives that would cause", "go", "install", modulePath(command)+"@v0.1.0")
	})
	t.Run("line of go.sum", func(t *testing.T) {
		u := tag(t, "store/sqlite/go.sum", func(text string) string {
			return strings.Join(slices.DeleteFunc(strings.SplitAfter(text, "\n"), func(line string) bool {
				return strings.HasPrefix(line, base+" v0.1.0 ")
			}), "")
		})
		wantError(t, verifyTags(r, "v0.1.0"), `the go.sum file of module "store/sqlite" lacks the line "`+base+" v0.1.0 h1:")
		u.dir = filepath.Join(u.dir, "store", "sqlite")
		u.fails(t, "missing go.sum entry", "go", "list", "-deps", "./...")
	})
	t.Run("other content than in go.sum", func(t *testing.T) {
		u := tag(t, "apikey/doc.go", func(text string) string { return "// Changed.\n" + text })
		wantError(t, verifyTags(r, "v0.1.0"), "lacks the line")
		u.dir = filepath.Join(u.dir, "store", "sqlite")
		u.fails(t, "checksum mismatch", "go", "list", "-deps", "./...")
	})
	t.Run("version of our module", func(t *testing.T) {
		u := tag(t, "store/etcd/go.mod", func(text string) string {
			return strings.Replace(text, base+" v0.1.0", base+" "+never, 1)
		})
		wantError(t, verifyTags(r, "v0.1.0"), "store/etcd/go.mod requires "+base+"@v0.0.0: want v0.1.0")
		u.dir = filepath.Join(u.dir, "store", "etcd")
		u.fails(t, "missing go.sum entry", "go", "list", "-deps", "./...")
	})
	t.Run("prefix of a tag", func(t *testing.T) {
		for _, dir := range released {
			do(t, r, "tag", "--force", tagOf(dir, "v0.1.0"), sound)
		}
		must(t, verifyTags(r, "v0.1.0"))
		do(t, r, "tag", "--delete", "store/sqlite/v0.1.0")
		do(t, r, "tag", "sqlite/v0.1.0", sound)
		wantError(t, verifyTags(r, "v0.1.0"), "tag store/sqlite/v0.1.0 is absent")
		refuses(t, r, "tag store/sqlite/v0.1.0 is absent", "check")
		directly(t, r).fails(t, "unknown revision store/sqlite/v0.1.0", "go", "list", "-m", modulePath("store/sqlite")+"@v0.1.0")
	})
	t.Run("one tag elsewhere", func(t *testing.T) {
		do(t, r, "tag", "store/sqlite/v0.1.0", "HEAD")
		wantError(t, verifyTags(r, "v0.1.0"), `module "store/sqlite" is tagged at another commit`)
	})
}
