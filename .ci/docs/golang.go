package main

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A unit is one program: a whole one, or fragments within a frame.
type unit struct {
	first   *block
	whole   string
	frame   string // of its first fragment
	decls   string // of the fragments
	stmts   string
	define  []string // the variables that the fragments define
	output  *block
	source  string
	imports []string
	binary  string
}

// checkGo compiles every block of Go, and runs those with an output. There is one build for
// each module that is needed.
func checkGo(r *result, root, work string, pages []*page) error {
	modules, packages, err := readModules(root)
	if err != nil {
		return err
	}
	byModule := map[*module][]*unit{}
	for _, u := range units(r, pages) {
		if err := u.complete(packages); err != nil {
			r.fail(u.first, "%v", err)
			continue
		}
		m := moduleFor(modules, u.imports)
		if m == nil {
			r.fail(u.first, "no module has all of %s", strings.Join(u.imports, " "))
			continue
		}
		byModule[m] = append(byModule[m], u)
	}
	bin := filepath.Join(work, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	for _, m := range modules {
		if len(byModule[m]) == 0 {
			continue
		}
		built, err := m.build(r, work, bin, byModule[m])
		if err != nil {
			return err
		}
		for _, u := range byModule[m] {
			if u.runs() && built {
				r.goRun++
				u.run(r)
			}
		}
	}
	return nil
}

// units makes programs of the blocks.
func units(r *result, pages []*page) (all []*unit) {
	for _, p := range pages {
		var last *unit
		for _, b := range p.blocks {
			if !b.isGo() {
				continue
			}
			if _, ok := b.comment("shape"); ok {
				r.shapes++
				continue
			}
			if strings.HasPrefix(b.text, "package ") || strings.Contains(b.text, "\npackage ") {
				r.programs++
				all = append(all, &unit{first: b, whole: b.text, output: b.output})
				continue
			}
			r.fragments++
			if _, ok := b.comment("continued"); ok && last != nil {
				last.add(r, b)
				continue
			}
			last = &unit{first: b, frame: b.frame}
			last.add(r, b)
			all = append(all, last)
		}
	}
	return all
}

// add adds a fragment: declarations, fields of a struct, or statements.
func (u *unit) add(r *result, b *block) {
	at := fmt.Sprintf("//line %s:%d\n", b.file, b.line)
	u.output = b.output
	if _, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+b.text, 0); err == nil {
		u.decls += at + b.text
		return
	}
	fields := "_ = " + b.fields + "{\n" + at + b.text + "}\n"
	if _, err := parser.ParseFile(token.NewFileSet(), "", "package p; func _() {\n"+fields+"}\n", 0); err == nil && b.fields != "" {
		u.stmts += fields
		return
	}
	file, err := parser.ParseFile(token.NewFileSet(), "", "package p; func _() {\n"+at+b.text+"}\n", 0)
	if err != nil {
		r.fail(b, "%v", err)
		return
	}
	u.stmts += at + b.text
	for _, statement := range file.Decls[0].(*ast.FuncDecl).Body.List {
		if assign, ok := statement.(*ast.AssignStmt); ok && assign.Tok == token.DEFINE {
			for _, left := range assign.Lhs {
				if name := left.(*ast.Ident).Name; name != "_" && !slices.Contains(u.define, name) {
					u.define = append(u.define, name)
				}
			}
		}
	}
}

// complete writes the program of a unit. It imports the packages whose names are used and not
// declared.
func (u *unit) complete(packages map[string]string) error {
	u.source = "//line " + u.first.file + fmt.Sprintf(":%d\n", u.first.line) + u.whole
	if u.whole == "" {
		body := u.frame + "\n" + u.decls + "func fragment() error {\n" + u.stmts
		for _, name := range u.define {
			body += "_ = " + name + "\n"
		}
		body += "return nil\n}\nfunc main() {\nif err := fragment(); err != nil {\npanic(err)\n}\n}\n"
		file, err := parser.ParseFile(token.NewFileSet(), "", "package main\n"+body, 0)
		if err != nil {
			return fmt.Errorf("with its frame: %w", err)
		}
		var imports []string
		for _, identifier := range file.Unresolved {
			if imported, ok := packages[identifier.Name]; ok && !slices.Contains(imports, imported) {
				imports = append(imports, imported)
			}
		}
		u.source = "package main\n"
		for _, imported := range imports {
			u.source += fmt.Sprintf("import %q\n", imported)
		}
		u.source += body
	}
	file, err := parser.ParseFile(token.NewFileSet(), "", u.source, parser.ImportsOnly)
	if err != nil {
		return err
	}
	for _, spec := range file.Imports {
		u.imports = append(u.imports, strings.Trim(spec.Path.Value, `"`))
	}
	return nil
}

// runs reports whether the program is run.
func (u *unit) runs() bool {
	_, ok := u.first.comment("run")
	return ok || u.output != nil
}

// patience is how long a program or a script may take: .ci/run runs them beside tests that take the
// processors, and a script may compile.
const patience = 5 * time.Minute

// run runs the program, and compares what it prints.
func (u *unit) run(r *result) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	printed, err := exec.CommandContext(ctx, u.binary).CombinedOutput()
	if err != nil {
		r.fail(u.first, "%v: %s", err, printed)
	} else if u.output != nil && !matches(u.output.text, string(printed)) {
		r.fail(u.output, "the program printed:\n%s", printed)
	}
}

// A module is one of the tree.
type module struct {
	path, dir string
	requires  []string
}

var (
	moduleLine  = regexp.MustCompile(`(?m)^module (\S+)`)
	requireLine = regexp.MustCompile(`(?m)^(?:\t|require )(\S+) v\S+`)
	packageLine = regexp.MustCompile(`(?m)^package (\w+)`)
)

// outside are the packages of others that a fragment may use by name.
const outside = `bufio bytes context crypto/hmac crypto/rand crypto/sha256 crypto/sha512 crypto/subtle crypto/tls crypto/x509 database/sql encoding/hex
	encoding/json errors flag fmt io iter log log/slog maps net net/http net/http/httptest net/netip os os/signal path/filepath slices strconv strings sync testing time
	github.com/jackc/pgx/v5 github.com/jackc/pgx/v5/pgxpool go.etcd.io/etcd/client/v3 google.golang.org/grpc`

// readModules returns the modules, the root's first, and the packages that a fragment may use,
// by name.
func readModules(root string) (modules []*module, packages map[string]string, err error) {
	packages = map[string]string{}
	for _, imported := range strings.Fields(outside) {
		packages[path.Base(imported)] = imported
	}
	packages["pgx"], packages["clientv3"] = "github.com/jackc/pgx/v5", "go.etcd.io/etcd/client/v3"
	var own string
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != root && (strings.HasPrefix(entry.Name(), ".") || slices.Contains([]string{"testdata", "node_modules", "internal"}, entry.Name())) {
				return fs.SkipDir
			}
			return nil
		}
		if entry.Name() != "go.mod" && (filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go")) {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if entry.Name() == "go.mod" {
			m := &module{path: moduleLine.FindStringSubmatch(string(text))[1], dir: filepath.Dir(name)}
			for _, require := range requireLine.FindAllStringSubmatch(string(text), -1) {
				m.requires = append(m.requires, require[1])
			}
			modules = append(modules, m)
			if m.dir == root {
				own = m.path
			}
		} else if found := packageLine.FindStringSubmatch(string(text)); found != nil && found[1] != "main" {
			relative, err := filepath.Rel(root, filepath.Dir(name))
			if err != nil {
				return err
			}
			packages[found[1]] = relative // the module's path may come later
		}
		return nil
	})
	for name, relative := range packages {
		if info, err := os.Stat(filepath.Join(root, relative)); err == nil && info.IsDir() {
			packages[name] = path.Join(own, filepath.ToSlash(relative))
		}
	}
	// The module of the command has most of the others, so that there are few builds.
	order := func(m *module) int {
		switch m.dir {
		case root:
			return 0
		case filepath.Join(root, command):
			return 1
		}
		return 2
	}
	slices.SortStableFunc(modules, func(a, b *module) int { return order(a) - order(b) })
	return modules, packages, err
}

// moduleFor returns the first module that has all of these packages, or requires theirs.
func moduleFor(modules []*module, imports []string) *module {
	within := func(imported, path string) bool { return imported == path || strings.HasPrefix(imported, path+"/") }
	owner := func(imported string) (owner string) {
		for _, m := range modules {
			if within(imported, m.path) && len(m.path) > len(owner) {
				owner = m.path
			}
		}
		return owner
	}
	for _, m := range modules {
		if !slices.ContainsFunc(imports, func(imported string) bool {
			if own := owner(imported); own != "" {
				return own != m.path && !slices.Contains(m.requires, own)
			}
			first, _, _ := strings.Cut(imported, "/")
			return strings.Contains(first, ".") &&
				!slices.ContainsFunc(m.requires, func(path string) bool { return within(imported, path) })
		}) {
			return m
		}
	}
	return nil
}

// build compiles programs as packages of the module that exist in an overlay alone.
func (m *module) build(r *result, work, bin string, units []*unit) (built bool, err error) {
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	arguments := []string{"build", "-overlay", filepath.Join(work, "overlay.json"), "-o", bin + string(filepath.Separator)}
	for _, u := range units {
		// One name for each block, in every module, so that builds are found in Go's cache.
		name := fmt.Sprintf("snippet-%s-%d", regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(u.first.file, "-"), u.first.line)
		file := filepath.Join(work, name+".go")
		if err := os.WriteFile(file, []byte(u.source), 0o644); err != nil {
			return false, err
		}
		overlay.Replace[filepath.Join(m.dir, "zz-snippets", name, "main.go")] = file
		arguments = append(arguments, "./zz-snippets/"+name)
		u.binary = filepath.Join(bin, name)
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		return false, err
	}
	if err := os.WriteFile(filepath.Join(work, "overlay.json"), text, 0o644); err != nil {
		return false, err
	}
	command := exec.Command("go", arguments...)
	command.Dir = m.dir
	if printed, err := command.CombinedOutput(); err != nil {
		r.problems = append(r.problems, fmt.Sprintf("in module %s: %v\n%s", m.path, err, strings.TrimSpace(string(printed))))
		return false, nil
	}
	return true, nil
}
