package browser_test

import (
	"fmt"
	"html"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
)

// attackers are the origins of others, by the name of the host: of another site, and of the
// console's site with another port. The browser sends the session's cookie along from both.
var attackers = []struct {
	name, host string
	cookie     http.SameSite
}{
	{"another site", "localhost", http.SameSiteNoneMode},
	{"another origin of the site", "127.0.0.1", http.SameSiteLaxMode},
}

// serveAt serves a page of another origin, and returns the origin.
func serveAt(t *testing.T, host string, body func() string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte("<!doctype html><title>not run</title><link rel=icon href=data:,>" + body()))
	}))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	return "http://" + net.JoinHostPort(host, port)
}

// The console's own form, sent with all of its values by a page of another origin, is
// refused and changes nothing. The same form sent from the console is not.
func TestFormsOfOtherOriginsAreRefused(t *testing.T) {
	t.Parallel()
	for _, attacker := range attackers {
		t.Run(attacker.name, func(t *testing.T) {
			s := newService(t, func(s *service) { s.sameSite = attacker.cookie })
			var attack string
			origin := serveAt(t, attacker.host, func() string { return attack })
			b := newTab(t, s, origin)
			b.enter("Acme Rockets")
			b.follow("Settings")
			b.check("Report only…")
			b.press("See what this would do")
			forms := b.read().forms
			stolen := forms[len(forms)-1].hidden
			require.NotEmpty(t, stolen["token"])
			stolen["reason"] = "an attack"
			target := s.url + prefix + "o/acme/apply"
			attack = fmt.Sprintf("<form method=post action=%q>", target)
			for name, value := range stolen {
				attack += fmt.Sprintf(`<input type=hidden name="%s" value="%s">`, name, html.EscapeString(value))
			}
			attack += "</form>"

			before := s.position()
			b.scripts(true)
			b.do(chromedp.Navigate(origin + "/"))
			b.loads(403, chromedp.Evaluate[chromedp.Void]("document.forms[0].submit()"))
			b.wants("Refused", "The form was sent from another site.")
			last := s.requests()[len(s.requests())-1]
			require.Equal(t, asked{"POST", "/o/acme/apply", true, 403}, last, "the cookie was sent along")

			// And so is a request of a script. Some browsers send no cookie of another site with it.
			n := len(s.requests())
			attack = ""
			b.do(chromedp.Navigate(origin + "/"))
			const send = `fetch(%q, {method: "POST", mode: "no-cors", credentials: "include", headers: {"Content-Type": "application/x-www-form-urlencoded"}, body: "requirement=report_only"}).then(r => r.type, e => "failed")`
			require.Contains(t, []string{"opaque", "failed"}, run(b, chromedp.Evaluate[string](fmt.Sprintf(send, s.url+prefix+"o/acme/preview"), chromedp.EvalAwaitPromise)))
			sent := s.requests()[n]
			require.Equal(t, asked{"POST", "/o/acme/preview", sent.signedIn, 403}, sent)
			require.Equal(t, before, s.position())
			b.reports() // the answer that the script cannot see is one

			b.scripts(false)
			b.visit(prefix + "o/acme/settings")
			b.check("Report only…")
			b.press("See what this would do")
			b.because("no attack")
			b.press("Report only")
			b.wants("Settings", "Saved.")
			require.NotEqual(t, before, s.position())
			s.decides(policy.OpenList, "intern", s.secrets["intern"], "192.0.2.1", "acme-web")
		})
	}
}

// No page of another origin can show the console in a frame, to have its buttons clicked.
func TestFramesOfOtherOriginsAreRefused(t *testing.T) {
	t.Parallel()
	for _, attacker := range attackers {
		t.Run(attacker.name, func(t *testing.T) {
			s := newService(t, func(s *service) { s.sameSite = attacker.cookie })
			var source string
			origin := serveAt(t, attacker.host, func() string { return fmt.Sprintf("<iframe src=%q></iframe>", source) })
			b := newTab(t, s, origin)
			b.enter("Acme Rockets")

			// A page without the headers of the console is shown.
			source = s.url + "/team/framed"
			b.do(chromedp.Navigate(origin + "/"))
			require.Equal(t, source, b.frame())
			require.Empty(t, b.reports())
			for _, path := range []string{"", "o/acme/settings", "o/acme/keys/deploy/edit?do=delete", "console.css", "no/such/page"} {
				source = s.url + prefix + path
				b.do(chromedp.Navigate(origin + "/"))
				require.Equal(t, "chrome-error://chromewebdata/", b.frame(), path)
				require.Contains(t, strings.Join(b.reports(), "\n"), "frame", path)
			}
		})
	}
}

// frame returns the URL of the page's one frame.
func (b *tab) frame() string {
	b.t.Helper()
	frames := call(b, page.GetFrameTree, cdp.Empty{}).FrameTree.ChildFrames
	require.Len(b.t, frames, 1)
	return frames[0].Frame.URL
}

// Pages run no script in the other tests: a page of another origin shows that.
func TestScriptsAreOff(t *testing.T) {
	t.Parallel()
	origin := serveAt(t, "127.0.0.1", func() string { return "<script>document.title = 'run'</script>" })
	b := newTab(t, newService(t), origin)
	b.do(chromedp.Navigate(origin + "/"))
	require.Equal(t, "not run", run(b, chromedp.Title()))
	b.scripts(true)
	b.do(chromedp.Navigate(origin + "/"))
	require.Equal(t, "run", run(b, chromedp.Title()))
}

// Requests to the outside do not leave the machine, and are seen. The other tests rely on it.
func TestOutsideIsOutOfReach(t *testing.T) {
	t.Parallel()
	origin := serveAt(t, "127.0.0.1", func() string { return "<img src=http://" + outsider + "/picture.png>" })
	b := newTab(t, newService(t), origin, "http://"+outsider)
	b.do(chromedp.Navigate(origin + "/"))
	require.Contains(t, strings.Join(b.reports(), "\n"), "http://"+outsider+"/picture.png")
	require.Contains(t, b.urls, "http://"+outsider+"/picture.png")
	chrome.mu.Lock()
	defer chrome.mu.Unlock()
	require.Contains(t, chrome.strayed, "GET http://"+outsider+"/picture.png HTTP/1.1")
}
