package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// What a person does: a control is found by its role and its name, as a screen reader says
// them, and used by the mouse and the keys.

// A control is a node of the accessibility tree.
type control struct {
	role, name, value string
	node              cdp.BackendNodeID
	properties        map[string]string
}

// text returns the text of a value of the accessibility tree.
func text(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	var text string
	if json.Unmarshal(v.Value, &text) == nil {
		return text
	}
	return string(v.Value)
}

// root returns the node of the document. Its other ID lasts until chromedp asks for the document
// itself, as it does when a page has loaded.
func (b *tab) root() cdp.BackendNodeID {
	b.t.Helper()
	return call(b, dom.GetDocument, dom.GetDocumentParams{}).Root.BackendNodeID
}

// controls returns the controls of a role.
func (b *tab) controls(role string) (found []control) {
	b.t.Helper()
	for _, n := range call(b, accessibility.QueryAXTree, accessibility.QueryAXTreeParams{BackendNodeID: b.root(), Role: role}).Nodes {
		if n.Ignored {
			continue
		}
		c := control{role: role, name: text(n.Name), value: text(n.Value), node: n.BackendDOMNodeID, properties: map[string]string{}}
		for _, p := range n.Properties {
			c.properties[string(p.Name)] = text(p.Value)
		}
		found = append(found, c)
	}
	return found
}

// find returns the one control of a name, in one of the roles. A name that ends with "…" is the
// beginning of one.
func (b *tab) find(name string, roles ...string) control {
	b.t.Helper()
	beginning, cut := strings.CutSuffix(name, "…")
	var found, others []control
	for _, role := range roles {
		for _, c := range b.controls(role) {
			if c.name == name || cut && strings.HasPrefix(c.name, beginning) {
				found = append(found, c)
			}
			others = append(others, c)
		}
	}
	if len(found) == 2 && found[0].role == "link" && found[0].properties["url"] == found[1].properties["url"] {
		found = found[:1] // to the same place, so it does not matter which
	}
	if len(found) != 1 {
		names := ""
		for _, c := range others {
			names += fmt.Sprintf("\n%s %q", c.role, c.name)
		}
		require.FailNow(b.t, fmt.Sprintf("%d of %v named %q: want one of these%s\n\n%s", len(found), roles, name, names, b.read().text))
	}
	return found[0]
}

// click clicks into the middle of a control.
func (b *tab) click(c control) {
	b.t.Helper()
	x, y := b.middle(c)
	b.do(chromedp.MouseClickXY(x, y))
}

// middle scrolls to a control and returns its middle.
func (b *tab) middle(c control) (x, y float64) {
	b.t.Helper()
	call(b, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: c.node})
	quads := call(b, dom.GetContentQuads, dom.GetContentQuadsParams{BackendNodeID: c.node}).Quads
	require.NotEmpty(b.t, quads, "%s %q is not seen", c.role, c.name)
	q := quads[0]
	return (q[0] + q[4]) / 2, (q[1] + q[5]) / 2
}

// loads does what makes the browser load a page, waits for that, and wants its status. A form
// that the browser does not send fails here.
func (b *tab) loads(status int64, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	b.loadsOneOf([]int64{status}, steps...)
}

func (b *tab) loadsOneOf(statuses []int64, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	response, err := chromedp.RunResponse(ctx, steps...)
	require.NoError(b.t, err)
	require.NotNil(b.t, response)
	if !slices.Contains(statuses, response.Status) {
		require.FailNow(b.t, fmt.Sprintf("%s: status %d, want %v\n%s", response.URL, response.Status, statuses, b.read().text))
	}
}

// visit opens a path below nginx.
func (b *tab) visit(path string) {
	b.t.Helper()
	b.loads(200, chromedp.Navigate(b.s.url+path))
}

// reload loads the page again: a form is sent again.
func (b *tab) reload(status int64) {
	b.t.Helper()
	b.loads(status, chromedp.Reload())
}

// follow clicks a link and waits for its page.
func (b *tab) follow(name string) {
	b.t.Helper()
	x, y := b.middle(b.find(name, "link"))
	b.loads(200, chromedp.MouseClickXY(x, y))
}

// press clicks a button and waits for the page of its form.
func (b *tab) press(name string) {
	b.t.Helper()
	b.pressFor(200, name)
}

func (b *tab) pressFor(status int64, name string) {
	b.t.Helper()
	x, y := b.middle(b.find(name, "button"))
	b.loads(status, chromedp.MouseClickXY(x, y))
}

// fill types a text into a field, in the place of what is there.
func (b *tab) fill(label, value string) {
	b.t.Helper()
	c := b.find(label, "textbox", "searchbox", "spinbutton")
	b.click(c)
	b.selectAll()
	b.do(chromedp.KeyEvent(kb.Delete), chromedp.KeyEvent(strings.ReplaceAll(value, "\n", kb.Enter)))
	got := b.find(label, c.role).value
	if strings.HasPrefix(got, "•") { // a password
		value = strings.Repeat("•", utf8.RuneCountInString(value))
	}
	require.Equal(b.t, value, got, "the field %q", label)
}

// because types the reason of a change.
func (b *tab) because(reason string) {
	b.t.Helper()
	b.fill("Reason…", reason)
}

// date types a day into a field for dates: month, day and year.
func (b *tab) date(label string, day time.Time) {
	b.t.Helper()
	call(b, dom.Focus, dom.FocusParams{BackendNodeID: b.find(label, "Date").node})
	b.do(chromedp.KeyEvent(day.Format("01022006")))
	require.Equal(b.t, day.Format(time.DateOnly), b.find(label, "Date").value)
}

func (b *tab) selectAll() {
	b.t.Helper()
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeKeyUp} {
		params := input.DispatchKeyEventParams{Type: kind, Key: "a", Code: "KeyA", WindowsVirtualKeyCode: 65, Modifiers: 2}
		if kind == input.DispatchKeyEventTypeRawKeyDown {
			params.Commands = []string{"selectAll"}
		}
		call(b, input.DispatchKeyEvent, params)
	}
}

// choose chooses an option of a select element by the arrow keys.
func (b *tab) choose(label, option string) {
	b.t.Helper()
	c := b.find(label, "combobox")
	call(b, dom.Focus, dom.FocusParams{BackendNodeID: c.node})
	b.do(chromedp.KeyEvent(kb.Home))
	for range 100 {
		if b.find(label, "combobox").value == option {
			return
		}
		b.do(chromedp.KeyEvent(kb.ArrowDown))
	}
	require.FailNow(b.t, fmt.Sprintf("%q has no option %q", label, option))
}

// check clicks a checkbox or a radio button, which must be on afterwards.
func (b *tab) check(label string) {
	b.t.Helper()
	roles := []string{"checkbox", "radio"}
	b.click(b.find(label, roles...))
	require.Equal(b.t, "true", b.find(label, roles...).properties["checked"], "%q is checked", label)
}

// wants fails unless the page has this title, and says all of these texts. A title that ends
// with "…" is the beginning of one.
func (b *tab) wants(title string, texts ...string) {
	b.t.Helper()
	p := b.read()
	require.Len(b.t, p.headings, 1)
	if beginning, cut := strings.CutSuffix(title, "…"); cut {
		require.True(b.t, strings.HasPrefix(p.headings[0], beginning), "%q begins with %q", p.headings[0], beginning)
	} else {
		require.Equal(b.t, title, p.headings[0])
	}
	for _, text := range texts {
		require.Contains(b.t, p.text, text)
	}
}

// unwanted fails if the page says one of these texts.
func (b *tab) unwanted(texts ...string) {
	b.t.Helper()
	p := b.read()
	for _, text := range texts {
		require.NotContains(b.t, p.text, text)
	}
}

// row returns the text of the one row of a table, or item of a list, with all of these
// texts.
func (b *tab) row(texts ...string) string {
	b.t.Helper()
	p := b.read()
	found := slices.DeleteFunc(slices.Clone(p.rows), func(row string) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(row, text) })
	})
	require.Len(b.t, found, 1, "%q among %q", texts, p.rows)
	return found[0]
}

// signIn signs Ann in, and so opens the console.
func (b *tab) signIn() {
	b.t.Helper()
	b.visit("/team/login")
	b.logIn()
	b.wants("Organizations", "Ann Archer")
}

// logIn fills in and sends the form of the login.
func (b *tab) logIn() {
	b.t.Helper()
	b.fill("User", "ann")
	b.fill("Password", "rocket")
	b.press("Sign in")
}

// enter signs Ann in and opens an organization.
func (b *tab) enter(organization string) {
	b.t.Helper()
	b.signIn()
	b.follow(organization)
}
