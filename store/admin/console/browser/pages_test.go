package browser_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

// Every page behind a link or a preview is inspected. The crawl reaches every route without a
// change, and every kind of change.
func TestEveryPage(t *testing.T) {
	t.Parallel()
	s := newService(t)
	entry, err := accesslist.ParseEntry("203.0.113.90")
	require.NoError(t, err)
	s.apply("acme", admin.Rotate("deploy", 7*day))
	s.apply("acme", admin.SetTrialList("grafana", entry))
	s.apply("acme", admin.SetValidity("intern", time.Now().Add(day), time.Now().Add(30*day)))
	// Words without a blank, as long as they may be.
	long, err := accesslist.ParseEntry("203.0.113.91")
	require.NoError(t, err)
	long.Comment = strings.Repeat("x", 200)
	s.apply("umbrella", admin.CreateOrganization(policy.NotRequired), admin.SetName(strings.Repeat("o", 100)))
	s.apply("umbrella", admin.CreateKey(admin.NewKey{ID: apikey.ID(strings.Repeat("k", apikey.MaxID)), Description: strings.Repeat("w", 200), Entries: []accesslist.Entry{long}}))
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
	t.Logf("%d pages, of which %d are inspected", len(c.known), len(c.chosen))

	for half := range 2 {
		t.Run(fmt.Sprint("inspected by tab ", half+1), func(t *testing.T) {
			t.Parallel()
			b := newTab(t, s)
			b.signIn()
			for i, s := range c.chosen {
				if i%2 == half {
					b.open(s)
					b.inspect(c.pictures[i])
				}
			}
		})
	}
}

// The pages of problems are inspected.
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
	b.logIn()
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

// A read-only console has no form for a change, and refuses the pages of changes.
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
