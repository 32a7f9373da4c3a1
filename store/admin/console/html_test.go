package console

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A node is an element of a page.
type node struct {
	name     string
	attrs    map[string]string
	parent   *node
	children []*node
	text     strings.Builder // of the element and those in it
}

// Elements and attributes of the templates. Anything else came from a value.
var (
	void     = strings.Fields("meta link input br")
	elements = strings.Fields("html head title body a header nav main footer section div span p h1 h2 h3 ul ol li dl dt dd table caption thead tbody tr th td " +
		"form fieldset legend label select option textarea button details summary del ins strong code pre time svg text line meta link input br")
	attributes = strings.Fields("lang charset name content rel href id class role tabindex method action type value for rows required checked selected spellcheck autocomplete maxlength formnovalidate " +
		"datetime formnovalidate scope colspan data-label viewBox x y x1 y1 x2 y2 dy aria-label aria-labelledby aria-describedby aria-current aria-hidden aria-invalid")
)

// parse reads a page. Every element must be known, and closed in order.
func parse(page string) (*node, error) {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0xfffe && r <= 0xffff { // no characters of XML
			return ' '
		}
		return r
	}, strings.ToValidUTF8(page, " "))
	d := xml.NewDecoder(strings.NewReader(clean))
	d.Strict, d.Entity = false, xml.HTMLEntity
	root := &node{}
	at := root
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			if at != root {
				return nil, fmt.Errorf("<%s> is not closed", at.name)
			}
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			n := &node{name: token.Name.Local, attrs: map[string]string{}, parent: at}
			if !slices.Contains(elements, n.name) {
				return nil, fmt.Errorf("<%s> is not an element of the templates", n.name)
			}
			for _, a := range token.Attr {
				if _, twice := n.attrs[a.Name.Local]; twice || !slices.Contains(attributes, a.Name.Local) {
					return nil, fmt.Errorf("<%s> has the attribute %q, unknown or for the second time", n.name, a.Name.Local)
				}
				n.attrs[a.Name.Local] = a.Value
			}
			at.children = append(at.children, n)
			if !slices.Contains(void, n.name) {
				at = n
			}
		case xml.EndElement:
			if slices.Contains(void, token.Name.Local) {
				break // of <line/>, or written by the decoder
			}
			if at.name != token.Name.Local {
				return nil, fmt.Errorf("</%s> closes <%s>", token.Name.Local, at.name)
			}
			at = at.parent
		case xml.CharData:
			for n := at; n != nil; n = n.parent {
				n.text.Write(token)
			}
		case xml.Comment, xml.ProcInst:
			return nil, fmt.Errorf("a comment or an instruction: %v", token)
		}
	}
}

// all returns the elements below, of these names or all.
func (n *node) all(names ...string) (found []*node) {
	for _, child := range n.children {
		if len(names) == 0 || slices.Contains(names, child.name) {
			found = append(found, child)
		}
		found = append(found, child.all(names...)...)
	}
	return found
}

// within reports whether the element is in one of this name.
func (n *node) within(name string) bool {
	for at := n.parent; at != nil; at = at.parent {
		if at.name == name {
			return true
		}
	}
	return false
}

func (n *node) words() string { return strings.TrimSpace(n.text.String()) }

// problems returns everything that is wrong with the structure of a page.
func problems(page string) (wrong []string) {
	root, err := parse(page)
	if err != nil {
		return []string{err.Error()}
	}
	need := func(ok bool, format string, arguments ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, arguments...))
		}
	}
	need(strings.HasPrefix(page, "<!doctype html>\n"), "no doctype")
	ids := map[string]bool{}
	labels := map[string]bool{}
	for _, n := range root.all() {
		if id, ok := n.attrs["id"]; ok {
			need(id != "" && !ids[id] && !strings.ContainsAny(id, " \t\n"), "the id %q is not unique", id)
			ids[id] = true
		}
		if n.name == "label" {
			need(n.words() != "", "a label without words")
			labels[n.attrs["for"]] = true
		}
	}
	for _, name := range []string{"html", "head", "title", "body", "main", "h1"} {
		found := root.all(name)
		if name == "title" { // those of a drawing are others
			found = slices.DeleteFunc(found, func(n *node) bool { return n.within("svg") })
		}
		need(len(found) == 1, "%d elements <%s>", len(found), name)
		need(name != "html" || len(found) == 1 && found[0].attrs["lang"] == "en", "no lang")
		need(name != "title" && name != "h1" || len(found) == 1 && found[0].words() != "", "an empty <%s>", name)
	}
	level := 1
	for _, n := range root.all("h1", "h2", "h3") {
		next := int(n.name[1] - '0')
		need(next <= level+1, "<%s> after <h%d>", n.name, level)
		level = next
	}
	for _, n := range root.all() {
		for _, name := range []string{"for", "aria-labelledby", "aria-describedby"} {
			for id := range strings.FieldsSeq(n.attrs[name]) {
				need(ids[id], "<%s %s=%q> leads to no element", n.name, name, id)
			}
		}
		for _, name := range []string{"href", "action"} {
			if link, ok := n.attrs[name]; ok {
				need(strings.HasPrefix(link, "./") || strings.HasPrefix(link, "#") || link == "/login" || link == "/logout" || link == "https://login.example/x", "<%s %s=%q> is not relative", n.name, name, link)
			}
		}
		switch n.name {
		case "input", "select", "textarea":
			need(n.attrs["type"] == "hidden" || n.attrs["id"] != "" && labels[n.attrs["id"]] || n.within("label"), "<%s name=%q> has no label", n.name, n.attrs["name"])
			need(n.within("form"), "<%s name=%q> is in no form", n.name, n.attrs["name"])
		case "table":
			caption := n.all("caption")
			need(len(caption) == 1 && caption[0].words() != "", "a table without a caption")
		case "th":
			need(n.attrs["scope"] == "col" || n.attrs["scope"] == "row", "a <th> without scope")
		case "a", "button", "caption", "summary", "legend":
			need(n.words() != "", "an empty <%s>", n.name)
		case "section":
			need(n.attrs["aria-labelledby"] != "" || n.attrs["aria-label"] != "", "a section without a name")
		case "svg":
			need(n.attrs["role"] == "img" && n.attrs["aria-labelledby"] != "", "a drawing without a name")
		}
	}
	return wrong
}

// checkAnswer checks what holds of every answer: its headers, and the structure of a page.
func checkAnswer(t testing.TB, w *httptest.ResponseRecorder) {
	t.Helper()
	h := w.Header()
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"X-Content-Type-Options":  "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
		"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		require.Equal(t, []string{want}, h.Values(name), name)
	}
	for name := range h {
		require.False(t, strings.HasPrefix(name, "Access-Control-"), name)
	}
	switch kind := h.Get("Content-Type"); kind {
	case "text/css; charset=utf-8":
		require.Equal(t, "public, max-age=3600", h.Get("Cache-Control"))
		return
	case "text/html; charset=utf-8":
		require.Empty(t, problems(w.Body.String()), "%s", w.Body)
	case "text/plain; charset=utf-8":
		require.Equal(t, 500, w.Code)
	default:
		require.Empty(t, kind)
		require.Equal(t, 303, w.Code)
		require.Empty(t, w.Body.String())
		require.True(t, strings.HasPrefix(h.Get("Location"), "./"), h.Get("Location"))
	}
	require.Equal(t, "no-store", h.Get("Cache-Control"))
}

// The check finds what it is for.
func TestStructureProblems(t *testing.T) {
	const page = "<!doctype html>\n<html lang=\"en\"><head><title>T</title></head><body><main><h1>T</h1>%s</main></body></html>"
	require.Empty(t, problems(fmt.Sprintf(page, `<form action="./"><label>A <input name="a" required></label></form>`)))
	for part, want := range map[string]string{
		"<p>":      "closes <p>",
		"<script>": "not an element", "<p onclick=\"x\"></p>": "attribute", "<p style=\"x\"></p>": "attribute", "<p class=\"a\" class=\"b\"></p>": "second", "<!-- x -->": "comment",
		"<h1>2</h1>": "2 elements <h1>", "<h3>x</h3>": "after <h1>", "<p id=\"a\"></p><p id=\"a\"></p>": "not unique", "<form><input name=\"a\"></form>": "no label", "<label>x<input></label>": "in no form",
		"<table></table>": "caption", "<th>x</th>": "scope", "<a href=\"//evil\">x</a>": "not relative", "<a href=\"./\"></a>": "empty <a>", "<section></section>": "without a name",
		"<svg></svg>": "drawing", "<p aria-describedby=\"x\"></p>": "leads to no", "<label></label>": "without words", "<body></body>": "2 elements <body>",
	} {
		require.Contains(t, strings.Join(problems(fmt.Sprintf(page, part)), "\n"), want, part)
	}
	require.Contains(t, strings.Join(problems("<html>"), ""), "not closed")
	require.NotEmpty(t, problems("<html <"))
}
