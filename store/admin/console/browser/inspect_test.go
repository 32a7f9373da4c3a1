package browser_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// inspect checks a page in every view, and takes its pictures by a name that no other page
// has.
func (b *tab) inspect(name string) {
	b.t.Helper()
	b.wantSound(name, b.read())
	b.scripts(true)
	run(b, chromedp.Evaluate[chromedp.Void](axeSource(b.t)))
	for _, v := range views {
		b.look(v)
		b.wantAccessible(name, v)
	}
	b.take(name)
	b.scripts(false)
}

// wantSound checks everything independent of the view.
func (b *tab) wantSound(name string, d *document) {
	b.t.Helper()
	require.Len(b.t, d.headings, 1, "%s: headings of the first level", name)
	require.Empty(b.t, d.unlabelled, "%s: inputs without a label", name)
	require.Zero(b.t, d.scripts, "%s: scripts and styles in the page", name)
	seen := map[string]bool{}
	for _, id := range d.ids {
		require.False(b.t, seen[id], "%s: two elements have the ID %q", name, id)
		seen[id] = true
	}
}

// axe-core's rules of colours. Of all rules that run unless told otherwise, only these depend on
// the colours: in dark mode the others would find again what they found in light mode.
const colors = `, runOnly: ["color-contrast", "link-in-text-block"]`

// wantAccessible runs axe-core on the page, and wants no violation. It does not scroll
// sideways.
func (b *tab) wantAccessible(name string, v view) {
	b.t.Helper()
	const measure = `new Promise(done => requestAnimationFrame(() => done([innerWidth, document.documentElement.scrollWidth, document.body.scrollWidth])))`
	widths := run(b, chromedp.Evaluate[[]int64](measure, chromedp.EvalAwaitPromise))
	require.Equal(b.t, v.width, widths[0], "%s, %s: the width of the window", name, v.name)
	require.LessOrEqual(b.t, max(widths[1], widths[2]), v.width, "%s, %s: the page scrolls sideways", name, v.name)
	rules := ""
	if v.dark {
		rules = colors
	}
	check := `axe.run(document, {resultTypes: ["violations"]` + rules + `}).then(found => found.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.html + "\n" + n.failureSummary)))`
	violations := run(b, chromedp.Evaluate[[]string](check, chromedp.EvalAwaitPromise))
	require.Empty(b.t, violations, fmt.Sprintf("%s, %s:\n%s", name, v.name, strings.Join(violations, "\n")))
}

// The inspection finds violations: every kind, and in dark mode those of colours.
func TestInspectionFindsViolations(t *testing.T) {
	t.Parallel()
	b := newTab(t, newService(t))
	b.visit("/team/login")
	b.scripts(true)
	run(b, chromedp.Evaluate[chromedp.Void](axeSource(t)))
	const spoil = `document.querySelector("label").replaceWith(document.querySelector("input")), document.querySelector("button").style.color = "#777"`
	run(b, chromedp.Evaluate[chromedp.Void](spoil))
	find := func(rules string) []string {
		return run(b, chromedp.Evaluate[[]string](`axe.run(document, {resultTypes: ["violations"]`+rules+`}).then(found => found.violations.map(v => v.id))`, chromedp.EvalAwaitPromise))
	}
	require.Subset(t, find(""), []string{"label", "color-contrast"})
	require.Equal(t, []string{"color-contrast"}, find(colors))
}
