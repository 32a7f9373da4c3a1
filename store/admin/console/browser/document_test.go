package browser_test

import (
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
	"strings"

	"github.com/chromedp/cdproto/dom"
	"golang.org/x/net/html"
)

// A document is a page as the browser has it.
type document struct {
	text       string   // of the body, with single blanks
	headings   []string // of the first level
	rows       []string // of tables and lists
	links      []string // as written
	forms      []form
	ids        []string
	labelled   map[string]bool // the IDs that a label is for
	unlabelled []string        // inputs without a label
	scripts    int             // elements and attributes
	tree       *html.Node
	nodes      map[*html.Node]cdp.BackendNodeID
}

// A form is one of a page.
type form struct {
	method, action string
	hidden         map[string]string
	buttons        []*html.Node
	node           *html.Node
}

// read reads the page as the browser has it now, by the protocol and not by a script.
func (b *tab) read() *document {
	b.t.Helper()
	all := int64(-1)
	d := &document{labelled: map[string]bool{}, nodes: map[*html.Node]cdp.BackendNodeID{}}
	tree := d.add(call(b, dom.GetDocument, dom.GetDocumentParams{Depth: &all}).Root)
	d.tree = tree
	for n := range tree.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if id := attribute(n, "id"); id != "" {
			d.ids = append(d.ids, id)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
				d.scripts++
			}
		}
		switch n.Data {
		case "body":
			d.text = textOf(n)
		case "h1":
			d.headings = append(d.headings, textOf(n))
		case "tr", "li":
			d.rows = append(d.rows, textOf(n))
		case "a":
			d.links = append(d.links, attribute(n, "href"))
		case "script", "style":
			d.scripts++
		case "label":
			d.labelled[attribute(n, "for")] = true
		case "form":
			d.forms = append(d.forms, newForm(n))
		}
	}
	for n := range tree.Descendants() {
		if n.Type != html.ElementNode || n.Data != "input" && n.Data != "select" && n.Data != "textarea" || attribute(n, "type") == "hidden" {
			continue
		}
		inside := false
		for p := n.Parent; p != nil; p = p.Parent {
			inside = inside || p.Data == "label"
		}
		if !inside && !d.labelled[attribute(n, "id")] {
			d.unlabelled = append(d.unlabelled, attribute(n, "name"))
		}
	}
	return d
}

// add adds a node of the browser with all below it.
func (d *document) add(from *cdp.Node) *html.Node {
	n := &html.Node{Type: html.ElementNode, Data: from.LocalName}
	switch from.NodeType {
	case chromedp.NodeTypeText:
		n = &html.Node{Type: html.TextNode, Data: from.NodeValue}
	case chromedp.NodeTypeDocument:
		n.Type = html.DocumentNode
	}
	for i := 0; i+1 < len(from.Attributes); i += 2 {
		n.Attr = append(n.Attr, html.Attribute{Key: from.Attributes[i], Val: from.Attributes[i+1]})
	}
	for _, child := range from.Children {
		n.AppendChild(d.add(child))
	}
	d.nodes[n] = from.BackendNodeID
	return n
}

func newForm(n *html.Node) form {
	f := form{method: strings.ToLower(attribute(n, "method")), action: attribute(n, "action"), hidden: map[string]string{}, node: n}
	for c := range n.Descendants() {
		switch {
		case c.Data == "input" && attribute(c, "type") == "hidden":
			f.hidden[attribute(c, "name")] = attribute(c, "value")
		case c.Data == "button":
			f.buttons = append(f.buttons, c)
		}
	}
	return f
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// textOf returns the text below a node, with single blanks.
func textOf(n *html.Node) string {
	var text strings.Builder
	for c := range n.Descendants() {
		switch {
		case c.Type == html.TextNode:
			text.WriteString(c.Data)
		case c.Type == html.ElementNode && block[c.Data]:
			text.WriteString(" ")
		}
	}
	return strings.Join(strings.Fields(text.String()), " ")
}

// block has the elements with a line of their own.
var block = map[string]bool{"p": true, "h1": true, "h2": true, "h3": true, "li": true, "tr": true, "td": true, "th": true, "div": true, "dt": true, "dd": true, "br": true, "option": true, "label": true, "summary": true, "caption": true, "form": true, "section": true, "button": true, "a": true}
