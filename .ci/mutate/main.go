// Mutate tests the tests of the rules. It changes each comparison, condition and return of
// the deciding code, one at a time, and runs the tests of package policy on the changed
// code. A change without a failing test is a rule without a test, and fails the run.
//
//	go run ./.ci/mutate
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// targets are the functions that decide, by file.
var targets = map[string][]string{
	"policy/decideall.go":    {"DecideAll", "lookedUp"},
	"policy/engine.go":       {"decide", "finish", "lookup", "wait", "sound"},
	"policy/evaluate.go":     {"evaluated", "evaluate", "tryList", "doubt", "reaches"},
	"policy/request.go":      {"refused", "unreadable", "invalid", "alreadyVerified", "verify"},
	"policy/resource.go":     {"resolve"},
	"policy/source.go":       {"isOf", "fault", "dependsOnTime"},
	"policy/organization.go": {"suspended"},
	"policy/reason.go":       {"Allows"},
	"policy/rehash.go":       {"Rehashed", "rehash"},
}

// atLeast guards against a change that leaves this program with nothing to do.
const atLeast = 80

// opposites are the operators that each comparison is changed to.
var opposites = map[token.Token][]token.Token{
	token.EQL: {token.NEQ}, token.NEQ: {token.EQL},
	token.LSS: {token.LEQ, token.GEQ}, token.LEQ: {token.LSS, token.GTR},
	token.GTR: {token.GEQ, token.LEQ}, token.GEQ: {token.GTR, token.LSS},
	token.LAND: {token.LOR}, token.LOR: {token.LAND},
}

// A mutant is one file with one change.
type mutant struct {
	file, what string
	source     []byte
}

// A change can be made and taken back.
type change struct {
	at         token.Pos
	what       string
	make, undo func()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run() error {
	if out, err := test(""); err != nil {
		return fmt.Errorf("the tests fail without any change: %w\n%s", err, out)
	}
	var mutants []mutant
	for file, functions := range targets {
		more, err := mutate(file, functions)
		if err != nil {
			return err
		}
		mutants = append(mutants, more...)
	}
	if len(mutants) < atLeast {
		return fmt.Errorf("only %d mutants: want at least %d, or the targets have moved", len(mutants), atLeast)
	}

	var (
		mu                         sync.Mutex
		wait                       sync.WaitGroup
		killed, stillborn, survive int
		failure                    error
		work                       = make(chan mutant)
	)
	for range 2 {
		wait.Go(func() {
			for m := range work {
				verdict, err := try(m)
				mu.Lock()
				switch {
				case err != nil:
					failure = errors.Join(failure, err)
				case verdict == "killed":
					killed++
				case verdict == "stillborn":
					stillborn++
				default:
					survive++
					fmt.Println("SURVIVED", m.what)
				}
				mu.Unlock()
			}
		})
	}
	for _, m := range mutants {
		work <- m
	}
	close(work)
	wait.Wait()
	fmt.Printf("mutate: %d mutants: %d killed, %d survived, %d did not compile\n", len(mutants), killed, survive, stillborn)
	switch {
	case failure != nil:
		return failure
	case survive > 0:
		return fmt.Errorf("%d changes went unnoticed", survive)
	case killed < atLeast*3/4:
		return fmt.Errorf("only %d mutants ran", killed)
	}
	return nil
}

// mutate returns a mutant for every change to the functions of a file.
func mutate(path string, functions []string) ([]mutant, error) {
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, path, nil, 0)
	if err != nil {
		return nil, err
	}
	var changes []change
	for _, name := range functions {
		var body *ast.BlockStmt
		for _, declaration := range parsed.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Name.Name == name {
				body = f.Body
			}
		}
		if body == nil {
			return nil, fmt.Errorf("%s has no function %s", path, name)
		}
		ast.Inspect(body, func(n ast.Node) bool {
			changes = append(changes, changesOf(n)...)
			return true
		})
	}
	var mutants []mutant
	for _, c := range changes {
		c.make()
		var source bytes.Buffer
		err := printer.Fprint(&source, files, parsed)
		c.undo()
		if err != nil {
			return nil, err
		}
		mutants = append(mutants, mutant{path, fmt.Sprintf("%s: %s", files.Position(c.at), c.what), source.Bytes()})
	}
	return mutants, nil
}

func changesOf(n ast.Node) []change {
	var changes []change
	replace := func(at token.Pos, what string, to *ast.Expr, by ast.Expr) {
		was := *to
		changes = append(changes, change{at, what, func() { *to = by }, func() { *to = was }})
	}
	switch n := n.(type) {
	case *ast.BinaryExpr:
		was := n.Op
		for _, op := range opposites[was] {
			changes = append(changes, change{n.OpPos, fmt.Sprintf("%s became %s", was, op),
				func() { n.Op = op }, func() { n.Op = was }})
		}
	case *ast.IfStmt:
		// Kept as an operand, so that what it uses stays used.
		replace(n.If, "the condition became true", &n.Cond, &ast.BinaryExpr{X: &ast.ParenExpr{X: n.Cond}, Op: token.LOR, Y: ast.NewIdent("true")})
		replace(n.If, "the condition became false", &n.Cond, &ast.BinaryExpr{X: &ast.ParenExpr{X: n.Cond}, Op: token.LAND, Y: ast.NewIdent("false")})
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			was := n.X
			changes = append(changes, change{n.OpPos, "! was dropped",
				func() { n.X = &ast.UnaryExpr{Op: token.NOT, X: was} }, func() { n.X = was }})
		}
	case *ast.ReturnStmt:
		for i := range n.Results {
			if name, ok := n.Results[i].(*ast.Ident); ok && ast.IsExported(name.Name) {
				other := "OpenList"
				if name.Name == other {
					other = "AddressListed"
				}
				replace(n.Return, name.Name+" became "+other, &n.Results[i], ast.NewIdent(other))
				replace(n.Return, name.Name+" became no reason", &n.Results[i], &ast.BasicLit{Kind: token.INT, Value: "0"})
			}
		}
	case *ast.AssignStmt:
		for i := range n.Rhs {
			if name, ok := n.Rhs[i].(*ast.Ident); ok && (name.Name == "true" || ast.IsExported(name.Name)) {
				zero := ast.Expr(&ast.BasicLit{Kind: token.INT, Value: "0"})
				if name.Name == "true" {
					zero = ast.NewIdent("false")
				}
				replace(n.TokPos, name.Name+" was not assigned", &n.Rhs[i], zero)
			}
		}
	case *ast.CaseClause:
		if len(n.List) > 0 && len(n.Body) > 0 {
			was := n.Body
			changes = append(changes, change{n.Case, "the case does nothing",
				func() { n.Body = nil }, func() { n.Body = was }})
		}
	}
	return changes
}

// try runs the tests on a mutant.
func try(m mutant) (verdict string, err error) {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	original, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err != nil {
		return "", err
	}
	if err := errors.Join(os.WriteFile(changed, m.source, 0o600), os.WriteFile(overlay, text, 0o600)); err != nil {
		return "", err
	}
	out, err := test(overlay)
	switch {
	case err == nil:
		return "survived", nil
	case strings.Contains(out, "[build failed]"):
		return "stillborn", nil
	}
	return "killed", nil
}

// test runs the tests of the rules, those with the oracle last: they take the longest, and
// the others kill nearly every mutant.
func test(overlay string) (output string, err error) {
	const oracle = "^TestOracle"
	if output, err = goTest(overlay, "-skip="+oracle); err != nil {
		return output, err
	}
	return goTest(overlay, "-run="+oracle)
}

func goTest(overlay, which string) (output string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "test", "-vet=off", "-count=1", "-failfast", "-overlay="+overlay,
		which, "./policy").CombinedOutput()
	if err == nil && bytes.Contains(out, []byte("[no test")) {
		return "", errors.New("package policy has no tests " + which)
	}
	return string(out), err
}
