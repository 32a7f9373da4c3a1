package browser

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A stop is a page of the crawl: a link, or the page of a form that changes nothing yet.
type stop struct {
	path   string // below nginx, with its query
	action string // of a form there to send; empty: the page of the link
	form   int    // of the page
	button string
}

// stops returns the forms of a page that lead to a preview, by their buttons.
func (d *document) stops(path string) map[stop]*html.Node {
	stops := map[stop]*html.Node{}
	for i, f := range d.forms {
		for _, button := range f.buttons {
			if f.method == "post" && strings.HasSuffix(f.action, "/preview") {
				stops[stop{path, f.action, i, textOf(button)}] = button
			}
		}
	}
	return stops
}

// A crawl follows every link of the console from its first page, and sends every form that
// leads to a preview. Pages of one kind are inspected once: same route, same work, and the same
// elements, classes and roles.
type crawl struct {
	b        *tab
	routes   []*regexp.Regexp
	names    []string // of the routes
	queue    []stop
	known    map[stop]bool
	works    map[string]bool // kinds of change whose forms and previews were seen
	used     map[string]bool // names of routes
	kinds    map[string]stop
	order    []string // of kinds
	pictures []string // their names
	numbers  map[string]int
}

var (
	routeLine = regexp.MustCompile(`\{http\.Method(\w+), "(/[^"]*)"`)
	workLine  = regexp.MustCompile(`\{Do: "(\w+)"`)
	wildcard  = regexp.MustCompile(`\{[a-z]+\}`)
)

// fromSource returns what a file of the console says, by the groups of an expression.
func fromSource(t *testing.T, file string, expression *regexp.Regexp) (found [][]string) {
	t.Helper()
	source, err := os.ReadFile("../" + file)
	require.NoError(t, err)
	found = expression.FindAllStringSubmatch(string(source), -1)
	require.Greater(t, len(found), 10)
	return found
}

func newCrawl(b *tab) *crawl {
	c := &crawl{b: b, known: map[stop]bool{}, works: map[string]bool{}, used: map[string]bool{}, kinds: map[string]stop{}, numbers: map[string]int{}}
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

// add adds a stop that is not known.
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
	button := d.stops(s.path)[s]
	require.NotNil(b.t, button, "%s has no form to %s", s.path, s.action)
	b.fillIn(d.forms[s.form])
	x, y := b.middle(control{role: "button", name: s.button, node: d.nodes[button]})
	b.loadsOneOf([]int64{200, 409, 422}, chromedp.MouseClickXY(x, y)) // not every change can be made
}

// fillIn fills in what the form requires and leaves empty.
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

// reach opens a stop, and adds what the page leads to.
func (c *crawl) reach(s stop) {
	b := c.b
	b.t.Helper()
	b.open(s)
	d := b.read()
	b.wantSound(s.path)
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
	kind := fmt.Sprint(route, " ", do, " ", d.shape())
	if _, known := c.kinds[kind]; !known {
		c.kinds[kind] = s
		c.order = append(c.order, kind)
		c.pictures = append(c.pictures, c.name(kind))
	}
	if method == "POST" {
		here = at // the links of a preview are those of its page, one level up
		return
	}
	for _, link := range d.links {
		to, err := here.Parse(link)
		require.NoError(b.t, err)
		to.Fragment = ""
		require.Equal(b.t, at.Host, to.Host, "a link of %s", s.path)
		if strings.HasPrefix(to.Path, prefix) {
			c.add(stop{path: to.RequestURI()})
		}
	}
	for s := range d.stops(s.path) {
		c.add(s)
	}
}

// shape returns the elements of a document, with their classes and roles.
func (d *document) shape() []string {
	shape := map[string]bool{}
	for n := range d.tree.Descendants() {
		if n.Type == html.ElementNode {
			shape[strings.Join([]string{n.Data, attribute(n, "class"), attribute(n, "role"), attribute(n, "type")}, ".")] = true
		}
	}
	return slices.Sorted(maps.Keys(shape))
}

// name returns a name for the pictures of a kind of page.
func (c *crawl) name(kind string) string {
	route, rest, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(kind, "GET "), "POST "), " ")
	do, _, _ := strings.Cut(rest, " ")
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

// Every page that a link or a preview leads to is inspected. The crawl reaches every route that
// changes nothing, and every kind of change.
func TestEveryPage(t *testing.T) {
	t.Parallel()
	s := newService(t)
	entry, err := accesslist.ParseEntry("203.0.113.90")
	require.NoError(t, err)
	s.apply("acme", admin.Rotate("deploy", 7*day))
	s.apply("acme", admin.SetTrialList("grafana", entry))
	s.apply("acme", admin.SetValidity("intern", time.Now().Add(day), time.Now().Add(30*day)))
	b := newTab(t, s)
	b.signIn()
	c := newCrawl(b)
	before := s.position()
	c.run()
	require.Equal(t, before, s.position(), "the crawl changes nothing")
	for i, name := range c.names {
		require.True(t, c.used[name] || strings.HasSuffix(name, "/apply"), "%s (%s) is not reached", name, c.routes[i])
	}
	for _, line := range fromSource(t, "works.go", workLine) {
		require.True(t, c.works["GET "+line[1]] || line[1] == "create", "no form of %s", line[1])
		require.True(t, c.works["POST "+line[1]] || line[1] == "create" || line[1] == "disable", "no preview of %s", line[1])
	}
	t.Logf("%d pages of %d kinds", len(c.known), len(c.kinds))

	for half := range 2 {
		t.Run(fmt.Sprint("inspected by tab ", half+1), func(t *testing.T) {
			t.Parallel()
			b := newTab(t, s)
			b.signIn()
			for i, kind := range c.order {
				if i%2 == half {
					b.open(c.kinds[kind])
					b.inspect(c.pictures[i])
				}
			}
		})
	}
}

// Pages of what cannot be had are inspected.
func TestEveryProblem(t *testing.T) {
	t.Parallel()
	s := newService(t)
	b := newTab(t, s)
	problem := func(status int64, path, title, name string) {
		t.Helper()
		b.loads(status, chromedp.Navigate(s.url+prefix+path))
		b.wants(title)
		b.inspect(name)
	}
	problem(403, "o/acme/keys", "Sign in first", "problem-signed-out")
	b.follow("Sign in")
	b.fill("Password", "rocket")
	b.press("Sign in")
	problem(404, "o/nobody", "Not found", "problem-not-found")
	problem(403, "o/globex/keys/globex-sync/edit?do=delete", "Not permitted", "problem-not-permitted")
	problem(400, "o/acme/keys/deploy/edit?do=nothing", "Not a change", "problem-not-a-change")
	problem(405, "o/acme/apply", "This cannot be done here", "problem-method")
	problem(422, "o/acme/keys/deploy/tighten?budget=0", "Tighten the access list", "tighten-refused")

	// The session ends for every page.
	b.visit(prefix)
	b.press("Sign out")
	b.loads(403, chromedp.Navigate(s.url+prefix))
	b.wants("Sign in first")
}

// A console that is read-only has no form that changes anything, and refuses those of others.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	s := newService(t, func(s *service) { s.readOnly = true })
	b := newTab(t, s)
	b.enter("Acme Rockets")
	for _, path := range []string{"o/acme", "o/acme/keys", "o/acme/keys/deploy", "o/acme/settings", "o/acme/investigate?key=deploy&address=192.0.2.1"} {
		b.visit(prefix + path)
		for _, f := range b.read().forms {
			require.True(t, f.method != "post" || f.action == "/team/logout", "%s: a form to %s", path, f.action)
		}
	}
	b.loads(403, chromedp.Navigate(s.url+prefix+"o/acme/keys/deploy/edit?do=delete"))
	b.wants("Read only", "This console makes no changes.")
	b.inspect("problem-read-only")
}
