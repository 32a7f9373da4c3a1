package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// helpers are the functions called by the changed code.
const helpers = `package %s

import (
	"os"
	"strconv"
)

// mutant is the number of the change to make; 0: none.
var mutant = func() int {
	n, _ := strconv.Atoi(os.Getenv("MUTANT"))
	return n
}()

func mutantAnd(n int, x bool, y func() bool) bool {
	if mutant == n {
		return x || y()
	}
	return x && y()
}

func mutantOr(n int, x bool, y func() bool) bool {
	if mutant == n {
		return x && y()
	}
	return x || y()
}

func mutantValue[T any](n int, is, becomes T) T {
	if mutant == n {
		return becomes
	}
	return is
}

func mutantZero[T any](n int, is T) (zero T) {
	if mutant == n {
		return zero
	}
	return is
}
`

// instrumented is a package with its mutants.
type instrumented struct {
	dir        string
	mutants    []string
	constants  map[string]string // each with another one of its block
	equivalent map[string]string
	excepted   []string // of them, those found

	files    *token.FileSet
	function string
	texts    map[ast.Node]string // of what can be changed, as it was
}

// readConstants reads the exported constants of the package. Each can become the last one
// of its block, and that one the one before.
func (p *instrumented) readConstants() error {
	p.constants = map[string]string{}
	names, err := filepath.Glob(filepath.Join(p.dir, "*.go"))
	if err != nil {
		return err
	}
	for _, name := range names {
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			return err
		}
		for _, declaration := range parsed.Decls {
			block, ok := declaration.(*ast.GenDecl)
			if !ok || block.Tok != token.CONST || strings.HasSuffix(name, "_test.go") {
				continue
			}
			var names []string
			for _, spec := range block.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					if name.IsExported() {
						names = append(names, name.Name)
					}
				}
			}
			if len(names) < 2 {
				continue
			}
			last := len(names) - 1
			for _, name := range names[:last] {
				p.constants[name] = names[last]
			}
			p.constants[names[last]] = names[last-1]
		}
	}
	return nil
}

// instrument returns a file with the mutants of its functions.
func (p *instrumented) instrument(file string, functions []string) ([]byte, error) {
	p.files = token.NewFileSet()
	source, err := os.ReadFile(filepath.Join(p.dir, file))
	if err != nil {
		return nil, err
	}
	parsed, err := parser.ParseFile(p.files, filepath.Join(p.dir, file), source, 0)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, declaration := range parsed.Decls {
		f, ok := declaration.(*ast.FuncDecl)
		if !ok || !slices.Contains(functions, f.Name.Name) {
			continue
		}
		found[f.Name.Name], p.function, p.texts = true, f.Name.Name, map[ast.Node]string{}
		var nodes []ast.Node
		ast.Inspect(f.Body, func(n ast.Node) bool {
			nodes = append(nodes, n)
			if x, ok := n.(ast.Expr); ok {
				p.texts[n] = textOf(x)
			}
			return true
		})
		for _, n := range slices.Backward(nodes) { // inner nodes first
			p.change(n)
		}
	}
	for _, name := range functions {
		if !found[name] {
			return nil, fmt.Errorf("%s has no function %s", file, name)
		}
	}
	var changed bytes.Buffer
	err = printer.Fprint(&changed, token.NewFileSet(), parsed)
	return changed.Bytes(), err
}

// add returns the number of a new mutant; ok is false for an excepted one.
func (p *instrumented) add(at token.Pos, of ast.Node, what string) (n int, ok bool) {
	name := p.function + ": " + p.texts[of] + ": " + what
	if _, is := p.equivalent[name]; is {
		p.excepted = append(p.excepted, name)
		return 0, false
	}
	p.mutants = append(p.mutants, p.files.Position(at).String()+": "+name)
	return len(p.mutants), true
}

func textOf(x ast.Expr) string {
	var text bytes.Buffer
	if err := printer.Fprint(&text, token.NewFileSet(), x); err != nil {
		panic(err) // the buffer takes all
	}
	return strings.Join(strings.Fields(text.String()), " ")
}

// unused returns exceptions without a mutant.
func (p *instrumented) unused() (names []string) {
	for name := range p.equivalent {
		if !slices.Contains(p.excepted, name) {
			names = append(names, name)
		}
	}
	return names
}

// change adds the mutants of one node to it. Its parts have theirs already.
func (p *instrumented) change(n ast.Node) {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		p.changeBinary(n)
	case *ast.IfStmt:
		cond := n.Cond
		if i, ok := p.add(n.If, cond, "the condition became true"); ok {
			n.Cond = binary(paren(n.Cond), token.LOR, is(i))
		}
		if i, ok := p.add(n.If, cond, "the condition became false"); ok {
			n.Cond = binary(paren(n.Cond), token.LAND, isNot(i))
		}
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			if i, ok := p.add(n.OpPos, n, "! was dropped"); ok {
				n.X = paren(binary(paren(n.X), token.NEQ, paren(is(i))))
			}
		}
	case *ast.ReturnStmt:
		for i := range n.Results {
			p.changeValue(&n.Results[i])
		}
	case *ast.AssignStmt:
		for i := range n.Rhs {
			if name, ok := n.Rhs[i].(*ast.Ident); ok && name.Name == "true" {
				if number, ok := p.add(n.TokPos, name, "true was not assigned"); ok {
					n.Rhs[i] = isNot(number)
				}
			} else {
				p.changeValue(&n.Rhs[i])
			}
		}
	case *ast.SwitchStmt:
		p.changeSwitch(n)
	}
}

func (p *instrumented) changeBinary(n *ast.BinaryExpr) {
	copied := *n
	was := &copied // n itself changes
	switch was.Op {
	case token.LAND, token.LOR:
		helper, becomes := "mutantAnd", token.LOR
		if was.Op == token.LOR {
			helper, becomes = "mutantOr", token.LAND
		}
		i, ok := p.add(n.OpPos, n, fmt.Sprintf("%s became %s", was.Op, becomes))
		if !ok {
			return
		}
		lazy := &ast.FuncLit{
			Type: &ast.FuncType{Params: &ast.FieldList{}, Results: &ast.FieldList{List: []*ast.Field{{Type: ast.NewIdent("bool")}}}},
			Body: &ast.BlockStmt{List: []ast.Stmt{&ast.ReturnStmt{Results: []ast.Expr{was.Y}}}},
		}
		n.X, n.Op, n.Y = ast.NewIdent("true"), token.LAND, call(helper, number(i), was.X, lazy)
		return
	case token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ:
	default:
		return
	}
	opposite := map[token.Token]token.Token{token.EQL: token.NEQ, token.NEQ: token.EQL,
		token.LSS: token.GEQ, token.GEQ: token.LSS, token.GTR: token.LEQ, token.LEQ: token.GTR}[was.Op]
	var changed ast.Expr = paren(was)
	if i, ok := p.add(n.OpPos, n, fmt.Sprintf("%s became %s", was.Op, opposite)); ok {
		changed = paren(binary(changed, token.NEQ, paren(is(i))))
	}
	border := map[token.Token]token.Token{token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR}[was.Op]
	if border != token.ILLEGAL {
		if i, ok := p.add(n.OpPos, n, fmt.Sprintf("%s became %s", was.Op, border)); ok {
			equal := paren(binary(is(i), token.LAND, binary(was.X, token.EQL, was.Y)))
			changed = paren(binary(changed, token.NEQ, equal))
		}
	}
	n.X, n.Op, n.Y = ast.NewIdent("true"), token.LAND, changed
}

// changeValue changes a returned or assigned constant.
func (p *instrumented) changeValue(value *ast.Expr) {
	name, ok := (*value).(*ast.Ident)
	if !ok || p.constants[name.Name] == "" {
		return
	}
	other := p.constants[name.Name]
	if i, ok := p.add(name.Pos(), name, name.Name+" became "+other); ok {
		*value = call("mutantValue", number(i), *value, ast.NewIdent(other))
	}
	if i, ok := p.add(name.Pos(), name, name.Name+" became zero"); ok {
		*value = call("mutantZero", number(i), *value)
	}
}

// changeSwitch lets each case do nothing. Where the function ends with the switch, that is
// impossible.
func (p *instrumented) changeSwitch(n *ast.SwitchStmt) {
	ends := false
	for _, clause := range n.Body.List {
		clause := clause.(*ast.CaseClause)
		ends = ends || clause.List == nil && len(clause.Body) > 0 && isReturn(clause.Body[len(clause.Body)-1])
	}
	for _, clause := range n.Body.List {
		clause := clause.(*ast.CaseClause)
		if ends || clause.List == nil || len(clause.Body) == 0 {
			continue
		}
		if i, ok := p.add(clause.Case, clause.List[0], "the case does nothing"); ok {
			clause.Body = []ast.Stmt{&ast.IfStmt{Cond: isNot(i), Body: &ast.BlockStmt{List: clause.Body}}}
		}
	}
}

func isReturn(s ast.Stmt) bool {
	_, ok := s.(*ast.ReturnStmt)
	return ok
}

func number(n int) ast.Expr { return &ast.BasicLit{Kind: token.INT, Value: strconv.Itoa(n)} }

func is(n int) ast.Expr    { return binary(ast.NewIdent("mutant"), token.EQL, number(n)) }
func isNot(n int) ast.Expr { return binary(ast.NewIdent("mutant"), token.NEQ, number(n)) }

func paren(x ast.Expr) ast.Expr { return &ast.ParenExpr{X: x} }

func binary(x ast.Expr, op token.Token, y ast.Expr) *ast.BinaryExpr {
	return &ast.BinaryExpr{X: x, Op: op, Y: y}
}

func call(function string, args ...ast.Expr) ast.Expr {
	return &ast.CallExpr{Fun: ast.NewIdent(function), Args: args}
}
