package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"slices"
	"testing"
)

// packageOf type-checks a package of one file.
func packageOf(t *testing.T, path, source string) map[string]*types.Package {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "a.go", source, 0)
	must(t, err)
	p, err := (&types.Config{}).Check(path, files, []*ast.File{file}, nil)
	must(t, err)
	return map[string]*types.Package{path: p}
}

func TestBreaches(t *testing.T) {
	before := packageOf(t, base+"/policy", `package policy
type Engine struct{ Limit int }
func (e *Engine) Decide() bool { return false }
func (e Engine) Same() {}
type Source interface { Lookup() }
const Line = 7
func Gone() {}
type unexported struct{ A int }
`)
	now := packageOf(t, base+"/policy", `package policy
type Engine struct{ Limit string; More int }
func (e *Engine) Decide() (bool, error) { return false, nil }
func (e Engine) Same() {}
func (e Engine) New() {}
type Source interface { Lookup(); Watch() }
const Line = 8
type unexported struct{ B int }
`)
	var names []string
	for _, b := range breachesOf(before, now) {
		names = append(names, b.name)
	}
	slices.Sort(names)
	want := []string{"policy.Engine.Decide", "policy.Engine.Limit", "policy.Gone", "policy.Line", "policy.Source.Watch"}
	if !slices.Equal(names, want) {
		t.Errorf("breaches: %q: want %q", names, want)
	}
	if b := breachesOf(before, nil); len(b) != 1 || b[0] != (breach{"policy", "package removed"}) {
		t.Errorf("breaches of a removed package: %v", b)
	}
	if b := breachesOf(before, before); len(b) > 0 {
		t.Errorf("breaches of the same package: %v", b)
	}
}

func TestJudge(t *testing.T) {
	gone := []breach{{"policy.Gone", "removed"}}
	for name, c := range map[string]struct{ entries, last, version, want string }{
		"named":            {"### Removed\n\n- `policy.Gone`.", "v0.1.0", "v0.2.0", ""},
		"version unknown":  {"### Changed\n\n- `policy.Gone`.", "v0.1.0", "", ""},
		"not named":        {"### Removed\n\n- A function.", "v0.1.0", "", "want `policy.Gone` in CHANGELOG.md"},
		"under Added":      {"### Added\n\n- `policy.Gone`.", "v0.1.0", "v0.2.0", "want `policy.Gone` in CHANGELOG.md"},
		"a longer name":    {"### Removed\n\n- `policy.GoneToo`.", "v0.1.0", "v0.2.0", "want `policy.Gone` in CHANGELOG.md"},
		"a patch release":  {"### Removed\n\n- `policy.Gone`.", "v0.1.0", "v0.1.1", "patch release"},
		"from v1":          {"### Removed\n\n- `policy.Gone`.", "v1.1.0", "v1.2.0", "after v1"},
		"before v1":        {"### Removed\n\n- `policy.Gone`.", "v0.9.0", "v1.0.0", ""},
		"told long before": {"### Fixed\n\n- One.\n\n## [0.1.0] - 2026-01-02\n\n### Removed\n\n- `policy.Gone`.", "v0.1.0", "v0.2.0", "want `policy.Gone`"},
	} {
		t.Run(name, func(t *testing.T) {
			sections, err := parseChangelog(intro + "## [Unreleased]\n\n" + c.entries)
			must(t, err)
			var out bytes.Buffer
			if err := judge(gone, c.last, c.version, sections, &out); c.want != "" {
				wantError(t, err, c.want)
			} else {
				must(t, err)
			}
			wantText(t, out.String(), "incompatible with "+c.last+": policy.Gone: removed")
		})
	}
	must(t, judge(nil, "v1.0.0", "v1.0.1", nil, &bytes.Buffer{}))
}
