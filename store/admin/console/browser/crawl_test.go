package browser_test

import (
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

// A stop is a page of the crawl: of a link, or of a form for a preview.
type stop struct {
	path   string // below nginx, with its query
	action string // of a form there to send; empty: the page of the link
	form   int    // of the page
	button string
}

// stops returns the buttons for previews on a page.
func (d *document) stops(path string) (stops []stop, buttons []*html.Node) {
	for i, f := range d.forms {
		for _, button := range f.buttons {
			if f.method == "post" && strings.HasSuffix(f.action, "/preview") {
				stops, buttons = append(stops, stop{path, f.action, i, textOf(button)}), append(buttons, button)
			}
		}
	}
	return stops, buttons
}

// A crawl follows every link of the console from its first page, and sends every form for a
// preview. It chooses a page for inspection if an element with its attributes, or the order of
// the headings, is new among the pages of the route.
type crawl struct {
	b        *tab
	routes   []*regexp.Regexp
	names    []string        // of the routes
	used     map[string]bool // names of routes
	works    map[string]bool // with their methods
	queue    []stop
	known    map[stop]bool
	shapes   map[string]bool
	chosen   []stop
	pictures []string // names of the chosen
	numbers  map[string]int
}

var (
	routeLine = regexp.MustCompile(`\{http\.Method(\w+), "(/[^"]*)"`)
	workLine  = regexp.MustCompile(`\{Do: "(\w+)"`)
	wildcard  = regexp.MustCompile(`\{[a-z]+\}`)
)

// fromSource returns the matches of an expression in a file of the console.
func fromSource(t *testing.T, file string, expression *regexp.Regexp) (found [][]string) {
	t.Helper()
	source, err := os.ReadFile("../" + file)
	require.NoError(t, err)
	found = expression.FindAllStringSubmatch(string(source), -1)
	require.Greater(t, len(found), 10)
	return found
}

func newCrawl(b *tab) *crawl {
	c := &crawl{b: b, used: map[string]bool{}, works: map[string]bool{}, known: map[stop]bool{}, shapes: map[string]bool{}, numbers: map[string]int{}}
	for _, line := range fromSource(b.t, "routes.go", routeLine) {
		pattern := strings.ReplaceAll(line[2], "{$}", "")
		c.routes = append(c.routes, regexp.MustCompile("^"+strings.ToUpper(line[1])+" "+wildcard.ReplaceAllString(pattern, "[^/]+")+"$"))
		c.names = append(c.names, strings.ToUpper(line[1])+" "+line[2])
	}
	return c
}

// route returns the name of the route of a request.
func (c *crawl) route(method, path string) string {
	c.b.t.Helper()
	request := method + " /" + strings.TrimPrefix(path, prefix)
	i := slices.IndexFunc(c.routes, func(r *regexp.Regexp) bool { return r.MatchString(request) })
	require.GreaterOrEqual(c.b.t, i, 0, "no route of %s", request)
	return c.names[i]
}

// add adds an unknown stop.
func (c *crawl) add(s stop) {
	if !c.known[s] {
		c.known[s] = true
		c.queue = append(c.queue, s)
	}
}

// run crawls until nothing new is found.
func (c *crawl) run() {
	c.add(stop{path: prefix})
	for len(c.queue) > 0 {
		s := c.queue[0]
		c.queue = c.queue[1:]
		c.reach(s)
	}
}

// open opens the page of a stop.
func (b *tab) open(s stop) {
	b.t.Helper()
	b.visit(s.path)
	if s.action == "" {
		return
	}
	d := b.read()
	stops, buttons := d.stops(s.path)
	i := slices.Index(stops, s)
	require.GreaterOrEqual(b.t, i, 0, "%s has no form to %s", s.path, s.action)
	b.fillIn(d.forms[s.form])
	x, y := b.middle(control{role: "button", name: s.button, node: d.nodes[buttons[i]]})
	b.loadsOneOf([]int64{200, 409, 422}, chromedp.MouseClickXY(x, y)) // not every change can be made
}

// fillIn fills in the empty required fields of a form.
func (b *tab) fillIn(f form) {
	b.t.Helper()
	for n := range f.node.Descendants() {
		if _, required := has(n, "required"); !required {
			continue
		}
		switch value, _ := has(n, "value"); {
		case n.Data == "textarea" && textOf(n) == "":
			b.fill(f.label(n), "192.0.2.222")
		case n.Data == "input" && value == "" && attribute(n, "type") == "text":
			b.fill(f.label(n), "as the crawl says")
		}
	}
}

// label returns the beginning of the label of a field.
func (f form) label(field *html.Node) string {
	for n := range f.node.Descendants() {
		if n.Data == "label" && attribute(n, "for") == attribute(field, "id") {
			return textOf(n) + "…"
		}
	}
	return ""
}

func has(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// reach opens a stop, and adds the stops behind it.
func (c *crawl) reach(s stop) {
	b := c.b
	b.t.Helper()
	b.open(s)
	d := b.read()
	b.wantSound(s.path, d)
	at, err := url.Parse(b.s.url + s.path)
	require.NoError(b.t, err)
	method, here := "GET", at
	if s.action != "" {
		method, here = "POST", at.ResolveReference(&url.URL{Path: s.action})
	}
	route := c.route(method, here.Path)
	c.used[route] = true
	do := at.Query().Get("do")
	for _, f := range d.forms {
		if f.hidden["do"] != "" && method == "POST" {
			do = f.hidden["do"]
		}
	}
	if do != "" {
		c.works[method+" "+do] = true
	}
	if c.isNew(route, d.shape()) {
		c.chosen = append(c.chosen, s)
		c.pictures = append(c.pictures, c.name(route, do))
	}
	for _, link := range d.links {
		to, err := here.Parse(link)
		require.NoError(b.t, err)
		to.Fragment = ""
		require.Equal(b.t, at.Host, to.Host, "a link of %s", s.path)
		if strings.HasPrefix(to.Path, prefix) && !strings.HasPrefix(link, "#") {
			c.add(stop{path: to.RequestURI()})
		}
	}
	if method == "GET" {
		stops, _ := d.stops(s.path)
		for _, s := range stops {
			c.add(s)
		}
	}
}

// isNew reports whether a part of the shape is new among the pages of the route.
func (c *crawl) isNew(route string, shape []string) (found bool) {
	for _, element := range shape {
		found = found || !c.shapes[route+element]
		c.shapes[route+element] = true
	}
	return found
}

// shape returns the elements of a document with the names of their attributes, and the order
// of its headings.
func (d *document) shape() (shape []string) {
	headings := "headings"
	for n := range d.tree.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		element := n.Data
		for _, a := range n.Attr {
			element += " " + a.Key
			if a.Key == "class" || a.Key == "role" || a.Key == "type" {
				element += "=" + a.Val
			}
		}
		shape = append(shape, element)
		if len(n.Data) == 2 && n.Data[0] == 'h' && n.Data[1] <= '6' && !strings.HasSuffix(headings, n.Data) {
			headings += n.Data
		}
	}
	return append(shape, headings)
}

// name returns a name for the pictures of a page.
func (c *crawl) name(route, do string) string {
	_, route, _ = strings.Cut(route, " ")
	name, ok := map[string]string{"/{$}": "organizations", "/o/{organization}": "overview"}[route]
	if !ok {
		name = strings.ReplaceAll(strings.ReplaceAll(strings.TrimPrefix(route, "/o/{organization}/"), "keys/{key}", "key"), "/", "-")
	}
	if do != "" {
		name += "-" + do
	}
	if c.numbers[name]++; c.numbers[name] > 1 {
		name += fmt.Sprint("-", c.numbers[name])
	}
	return name
}
