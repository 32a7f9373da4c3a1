package browser_test

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
)

// A focus is the element with the focus.
type focus struct {
	Name    string  // its text, or its name or value in a form
	Outline float64 // width in pixels
	Style   string  // of the outline
	Seen    bool    // it is in the window, and on top
	HTML    string
}

// focused returns the element with the focus.
func (b *tab) focused() focus {
	b.t.Helper()
	return run(b, chromedp.Evaluate[focus](`(() => {
		const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
		const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
		const name = ["radio", "checkbox"].includes(e.type) ? e.value : e.name || e.id || e.textContent;
		return {Name: name.trim().replace(/\s+/g, " "), Outline: parseFloat(style.outlineWidth), Style: style.outlineStyle, Seen: e.contains(top), HTML: e.outerHTML.slice(0, 200)};
	})()`))
}

// tabTo presses Tab until an element has the focus. Every one on the way shows it.
func (b *tab) tabTo(name string) {
	b.t.Helper()
	for range 40 {
		b.do(chromedp.KeyEvent(kb.Tab))
		f := b.focused()
		require.False(b.t, strings.HasPrefix(f.HTML, "<body"), "Tab does not reach %q", name)
		require.True(b.t, f.Seen, "%q has the focus and is not seen: %s", f.Name, f.HTML)
		require.NotEqual(b.t, "none", f.Style, "%q has the focus, and no outline: %s", f.Name, f.HTML)
		require.GreaterOrEqual(b.t, f.Outline, 2.0, "%q has the focus, and a thin outline: %s", f.Name, f.HTML)
		if f.Name == name {
			return
		}
	}
	require.FailNow(b.t, "Tab does not reach "+name)
}

// until waits for a condition.
func (b *tab) until(holds func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		require.True(b.t, time.Now().Before(deadline), "it never happens")
	}
}

// enterKey presses Enter and waits for the page.
func (b *tab) enterKey(status int64) {
	b.t.Helper()
	b.loads(status, chromedp.KeyEvent(kb.Enter))
}

// The requirement is set to report only by the keyboard alone.
func TestKeyboardAlone(t *testing.T) {
	t.Parallel()
	for _, v := range []view{desktop, phoneDark} {
		t.Run(v.name, func(t *testing.T) {
			s := newService(t)
			b := newTab(t, s)
			b.look(v)
			b.visit("/team/login")
			b.do(chromedp.KeyEvent(kb.Tab + "ann" + kb.Tab + "rocket"))
			b.enterKey(200)

			// The first link goes to the content.
			b.tabTo("Skip to the content")
			b.do(chromedp.KeyEvent(kb.Enter))
			b.until(func() bool { return b.focused().Name == "main" })
			b.tabTo("Acme Rockets")
			b.enterKey(200)
			b.tabTo("Settings")
			b.enterKey(200)
			b.tabTo("not_required")
			b.do(chromedp.KeyEvent(kb.ArrowDown))
			require.Equal(t, "report_only", b.focused().Name)
			b.tabTo("See what this would do")
			b.loads(200, chromedp.KeyEvent(" "))
			b.wants("Report only?")
			b.tabTo("reason")
			b.do(chromedp.KeyEvent("by the keyboard"))
			b.tabTo("Report only")
			b.enterKey(200)
			b.wants("Settings", "Saved.")
			organization, err := s.store.Organization(t.Context(), "acme")
			require.NoError(t, err)
			require.Equal(t, policy.ReportOnly, organization.Requirement)
			s.decides(policy.OpenList, "intern", s.secrets["intern"], "192.0.2.1", "acme-web")
		})
	}
}
