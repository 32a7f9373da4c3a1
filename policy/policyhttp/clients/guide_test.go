package clients_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A block is a fenced one of edges.md.
type block struct{ heading, language, text string }

var fenced = regexp.MustCompile("(?ms)^## ([^\n]*)$|^```([a-z]*)\n(.*?)^```$")

// guide returns the blocks of edges.md.
func guide(t *testing.T) (blocks []block) {
	t.Helper()
	page, err := os.ReadFile("../edges.md")
	require.NoError(t, err)
	heading := ""
	for _, m := range fenced.FindAllStringSubmatch(string(page), -1) {
		if m[1] != "" {
			heading = m[1]
			continue
		}
		blocks = append(blocks, block{heading, m[2], m[3]})
	}
	return blocks
}

// configuration returns the blocks of a section except Go's, with replacements: old and new
// in turn. Every old text must occur exactly once.
func configuration(t *testing.T, heading string, replace ...string) (files []string) {
	t.Helper()
	replaced := make([]int, len(replace))
	for _, b := range guide(t) {
		if b.heading != heading || b.language == "go" {
			continue
		}
		for i := 0; i < len(replace); i += 2 {
			replaced[i] += strings.Count(b.text, replace[i])
			b.text = strings.ReplaceAll(b.text, replace[i], replace[i+1])
		}
		files = append(files, b.text)
	}
	for i := 0; i < len(replace); i += 2 {
		require.Equal(t, 1, replaced[i], "edges.md, %s: %q", heading, replace[i])
	}
	return files
}

// TestGuide holds the Go blocks of edges.md to declarations_test.go.
func TestGuide(t *testing.T) {
	const name = "declarations_test.go"
	source, err := os.ReadFile(name)
	require.NoError(t, err)
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.ParseComments)
	require.NoError(t, err)
	text := func(from, to token.Pos) string { return string(source[from-1 : to-1]) }

	var declarations, functions []string
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			functions = append(functions, text(n.Doc.Pos(), n.End())+"\n")
		case *ast.KeyValueExpr:
			heading, err := strconv.Unquote(text(n.Key.Pos(), n.Key.End()))
			require.NoError(t, err)
			value := n.Value.(*ast.CompositeLit)
			field := strings.TrimSuffix(strings.Trim(text(value.Lbrace+1, value.Rbrace), "\n\t"), ",")
			lines := strings.Split(strings.Replace(field, "Address: ", "address := ", 1), "\n")
			for i, line := range lines {
				lines[i] = strings.TrimPrefix(line, "\t\t")
			}
			declarations = append(declarations, heading+"\n"+strings.Join(lines, "\n")+"\n")
			return false
		}
		return true
	})
	require.Len(t, declarations, len(declared))

	var onPage, ofFunctions, configured []string
	for _, b := range guide(t) {
		switch {
		case b.language != "go":
			configured = append(configured, b.heading)
		case strings.Contains(b.text, "\nfunc "):
			ofFunctions = append(ofFunctions, b.text)
		default:
			onPage = append(onPage, b.heading+"\n"+b.text)
		}
	}
	require.Equal(t, declarations, onPage)
	require.Equal(t, functions, ofFunctions)

	page, err := os.ReadFile("../edges.md")
	require.NoError(t, err)
	for heading, config := range declared {
		require.NoError(t, config.Address.Err(), heading)
		require.Contains(t, configured, heading)
		require.Contains(t, string(page), "\n| ["+heading+"](#", "the table has every edge")
	}
	all := len(forgeries) + len(atEdges)
	require.Contains(t, string(page), strconv.Itoa(all)+" forgeries")
	for _, e := range edges {
		refused, stopped := 0, 0
		for _, came := range e.others { // TestEdges requires exactly these
			if came == notReached {
				stopped++
			} else {
				refused++
			}
		}
		require.Contains(t, string(page), fmt.Sprintf("\n| %s | %d | %d | %d |\n", e.heading, all-refused-stopped, refused, stopped))
	}
}
