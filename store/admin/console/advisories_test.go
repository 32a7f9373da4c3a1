package console

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

// Reports on other embedded consoles, each as a test by its name. Another organization's records
// have isolation_test.go.

// riverui#114, #353, #487: a prefix broke assets, links and redirects. asynqmon: the mount needed
// a trailing slash and an option that matches it.
func TestAnyPrefix(t *testing.T) {
	s := newSite(t).busy("Nightly")
	at := func(prefix string) (targets []string) {
		for _, p := range s.crawl(prefix) { // fails at a link out of the prefix
			targets = append(targets, p.method+" "+p.target)
		}
		return targets
	}
	root := at("")
	require.Greater(t, len(root), 50)
	for _, prefix := range []string{"/p", "/a/b/c"} {
		require.Equal(t, root, at(prefix), prefix)
	}
	for _, asked := range []string{"/p", "/a/p", "/p?x=1"} {
		r := httptest.NewRequest(http.MethodGet, asked, nil)
		c, err := build(s.config, s.routes)
		require.NoError(t, err)
		w := httptest.NewRecorder()
		http.StripPrefix(r.URL.Path, c).ServeHTTP(w, r)
		to, err := r.URL.Parse(w.Header().Get("Location"))
		require.NoError(t, err)
		require.Equal(t, r.URL.Path+"/", to.Path)
	}
}

// riverui#382, goaccess#512, consul#4490, cadvisor#1813, linkerd2#8179: scripts and styles in the
// page made the policy weak, or broke under it. go2rtc#2087, qrtak#313: fonts and scripts came
// from a network that was not there. Elements and attributes are checked by checkAnswer.
func TestThePolicyNeedsNoException(t *testing.T) {
	require.NotContains(t, policyOfContent, "unsafe")
	require.NotContains(t, policyOfContent, "*")
	require.NotContains(t, policyOfContent, ":") // no scheme, no host
	require.NotContains(t, policyOfContent, "script-src")
	s := newSite(t).busy("Nightly")
	for _, p := range s.crawl("/p") {
		require.NotContains(t, p.page, "<script")
		require.NotContains(t, p.page, "//", p.target) // no address, and no comment
	}
	sheet := s.get("/console.css").Body.String()
	for _, outside := range []string{"url(", "@import", "@font-face", "//", "expression", "</"} {
		require.NotContains(t, sheet, outside)
	}
}

// asynqmon, riverui: forms without any protection. pgweb: CORS with "*".
func TestCrossSiteForms(t *testing.T) {
	for _, r := range routes() {
		s := newSite(t)
		s.config.Observe = nil
		before := s.store.writes
		for name, headers := range map[string]map[string]string{
			"cross-site": {"Sec-Fetch-Site": "cross-site"}, "same-site": {"Sec-Fetch-Site": "same-site"}, "sandboxed": {"Origin": "null"},
			"another origin": {"Origin": "https://evil.example"}, "another port": {"Origin": "http://example.com:8443"}, "by a forwarded host": {"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"},
		} {
			q := httptest.NewRequest(r.Method, "/p"+fill(r.Pattern, "acme", "k1"), strings.NewReader(goodForm(s, r).Encode()))
			q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			for header, value := range headers {
				q.Header.Set(header, value)
			}
			w := s.do(q)
			if r.Method == http.MethodPost {
				require.Equal(t, http.StatusForbidden, w.Code, "%s: %s", r.Pattern, name)
			} else {
				require.Equal(t, http.StatusOK, w.Code)
			}
			require.Equal(t, before, s.store.writes)
		}
		preflight := httptest.NewRequest(http.MethodOptions, "/p"+fill(r.Pattern, "acme", "k1"), nil)
		preflight.Header.Set("Origin", "https://evil.example")
		preflight.Header.Set("Access-Control-Request-Method", r.Method)
		require.Equal(t, http.StatusMethodNotAllowed, s.do(preflight).Code)
	}
}

// Clickjacking, content sniffing, a page of one person in the cache of the next: every answer has
// its headers, the refused ones as well. checkAnswer compares their values.
func TestEveryPageHasItsHeaders(t *testing.T) {
	targets := []string{"", "/", "/nope", "/o//acme", "/o/%2e%2e/x", "/console.css", "/console.css/x", "/favicon.ico", "/o/acme/keys/k1/nope", "/%00", "/" + strings.Repeat("x", 9000)}
	for _, r := range routes() {
		targets = append(targets, fill(r.Pattern, "acme", "k1"), fill(r.Pattern, "globex", "foreign"), fill(r.Pattern, "acme", "nokey"), fill(r.Pattern, "acme", "k1")+"/")
	}
	for _, fault := range []string{"", "Organization", "Key", "Keys", "Events", "Write"} {
		s := newSite(t)
		s.store.fail = fault
		for _, target := range targets {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"} {
				r := httptest.NewRequest(http.MethodGet, "/p"+target, strings.NewReader(""))
				r.Method = method
				w := s.do(r) // checks the headers
				require.NotEqual(t, http.StatusInternalServerError, w.Code)
				if w.Code == http.StatusMethodNotAllowed {
					require.NotEmpty(t, w.Header().Get("Allow"))
				}
			}
		}
	}
}

// hostile are texts of attackers, as far as the records can have them.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</title></textarea></select></svg><iframe src=//evil.example>`,
	`javascript:alert(1)`, `{{.Config}}`, `<!--`, `]]><x`, `&lt;b&gt;`, `//evil.example`, "`${alert(1)}`", `../../x`,
}

// Stored script: a name, a description, a comment, a label or a reason that another page runs.
func TestStoredScriptInPages(t *testing.T) {
	for _, text := range hostile {
		s := newSite(t).busy(text)
		shown := 0
		for _, p := range s.crawl("/p") { // fails at an element or attribute that is not of the templates
			if strings.Contains(p.root.words(), text) {
				shown++
			}
			for _, n := range p.root.all("a", "form", "link") {
				link := n.attrs["href"] + n.attrs["action"]
				require.False(t, strings.Contains(link, "javascript:") && !strings.HasPrefix(link, "./"), link)
			}
		}
		require.Greater(t, shown, 20, text)
	}
}

// Reflected script: the page runs a value of the query, the path or the form, or the value leaves
// its attribute.
func TestReflectedScriptInPages(t *testing.T) {
	places := names(newSite(t).busy("Nightly"))
	for _, text := range []string{strings.Join(hostile, ""), "javascript:alert(1)", "a\r\nSet-Cookie: session=evil", "\x00\xff\xfe"} {
		for _, r := range routes() {
			s := newSite(t).busy("Nightly")
			for name := range places {
				form := goodForm(s, r)
				form.Set(name, text)
				w := s.visits(r, "acme", "k1", form) // checks the page
				require.Less(t, w.Code, 500, "%s %s=%q", r.Pattern, name, text)
				require.Empty(t, w.Header().Values("Set-Cookie"))
			}
			s.visits(r, text, "k1", goodForm(s, r))
			s.visits(r, "acme", text, goodForm(s, r))
		}
	}
}

// Open redirects: by a path, and by a value of the form that says where to go on.
func TestOpenRedirects(t *testing.T) {
	s := newSite(t)
	for _, path := range []string{"//evil.example", "//evil.example/", `/\evil.example`, "/%5cevil.example", "//evil.example/..", "/o/acme//evil.example", "/.//evil.example", "0", "evil.example", "/%2f%2fevil.example", "https://evil.example/", "/o/../../evil.example"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r := httptest.NewRequest(method, "/p/", nil)
			r.URL.Path, r.URL.RawPath = "/p"+path, ""
			r.RequestURI = "/p" + path
			w := s.do(r)
			require.Empty(t, w.Header().Get("Location"), path)
		}
	}
	for _, back := range []string{"https://evil.example/", "//evil.example", "/evil", "?x=1#//evil", "javascript:alert(1)", "a=b&done=x", "%0d%0aLocation:+https://evil.example"} {
		s := newSite(t)
		_, apply := s.previews(url.Values{"requirement": {"report_only"}, "back": {back}})
		apply.Set("reason", "x")
		location := s.submits("/o/acme/apply", apply, http.StatusSeeOther) // relative: checkAnswer
		to, err := url.Parse("https://console.example/p/o/acme/apply")
		require.NoError(t, err)
		to, err = to.Parse(location)
		require.NoError(t, err)
		require.Equal(t, "https://console.example/p/o/acme/investigate", to.Scheme+"://"+to.Host+to.Path)
	}
}

// Keys that worked as a session, such as the credentials of a program in a browser: no request
// with them is answered, whoever is signed in beside them.
func TestAKeyIsNoSession(t *testing.T) {
	s := newSite(t)
	result, err := s.admin.Apply(t.Context(), admin.BySystem("test"), "acme", admin.ApplyOptions{}, admin.Rotate("k1", 0))
	require.NoError(t, err)
	secret := result.Secrets[0].Secret.Reveal()
	before := s.store.writes
	for _, r := range routes() {
		for _, signedIn := range []bool{true, false} {
			for _, credentials := range []string{"Bearer " + secret, "Basic azE6eA==", `Digest username="k1", realm="x"`, "", secret} {
				s.err = map[bool]error{false: errFault}[signedIn]
				q := httptest.NewRequest(r.Method, "/p"+fill(r.Pattern, "acme", "k1"), nil)
				q.Header["Authorization"] = []string{credentials}
				w := s.do(q)
				require.Equal(t, http.StatusForbidden, w.Code)
				require.Contains(t, w.Body.String(), "Keys cannot use the console")
				require.Empty(t, w.Header().Get("WWW-Authenticate"))
			}
		}
		s.err = errFault // and elsewhere a secret is nothing
		q := httptest.NewRequest(r.Method, "/p"+fill(r.Pattern, "acme", "k1")+"?access_token="+secret+"&api_key="+secret, nil)
		q.AddCookie(&http.Cookie{Name: "session", Value: secret})
		q.Header.Set("X-Api-Key", secret)
		require.Contains(t, s.do(q).Body.String(), "Sign in first")
	}
	require.Equal(t, before, s.store.writes)
}

// OmniRoute#13176: opening a tab enforced an empty list. No page that is looked at, and no
// preview, changes anything, whatever its query says.
func TestLookingChangesNothing(t *testing.T) {
	s := newSite(t).busy("Nightly")
	before := s.store.writes
	s.crawl("/p")
	for _, r := range routes() {
		good := goodForm(s, r)
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			q := httptest.NewRequest(method, "/p"+fill(r.Pattern, "acme", "k1")+"?"+good.Encode()+"&_method=POST&do=delete&requirement=required&accept=breaks_key&reason=x", nil)
			q.Header.Set("X-HTTP-Method-Override", "POST")
			s.do(q)
		}
	}
	require.Equal(t, before, s.store.writes)
}

// A secret that stayed in a cache, in a log or on a second page. The page that shows it is never
// stored, and nothing else has it.
func TestASecretIsShownOnce(t *testing.T) {
	s := newSite(t)
	secrets := map[string]bool{}
	text := regexp.MustCompile(`sp_[A-Za-z0-9_]+`)
	for _, target := range []string{"/o/acme/create", "/o/acme/keys/k1/edit?do=rotate"} {
		form := carried(s.shows(target, http.StatusOK))
		for name, value := range map[string]string{"description": "d", "entries": "203.0.113.9", "overlap": "24h"} {
			form.Set(name, value)
		}
		base, _, _ := strings.Cut(strings.TrimSuffix(target, "/edit?do=rotate"), "?")
		form = carried(s.submits(base+"/preview", form, http.StatusOK))
		w := s.post(base+"/apply", form)
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		for _, secret := range text.FindAllString(w.Body.String(), -1) {
			secrets[secret] = true
		}
		require.Equal(t, http.StatusConflict, s.post(base+"/apply", form).Code)
	}
	require.Len(t, secrets, 2)
	for _, p := range s.crawl("/p") {
		require.Empty(t, text.FindString(p.page), p.target)
	}
	require.Empty(t, s.told)
}

// A host header of an attacker in links that others follow, or in what is cached. No answer has
// the host, a forwarded one, or the path that a proxy claims.
func TestTheHostIsNobodysWord(t *testing.T) {
	for _, r := range routes() {
		s := newSite(t)
		plain := s.visits(r, "acme", "k1", goodForm(s, r))
		s = newSite(t)
		q := s.requestOf(r, "acme", "k1", goodForm(s, r))
		q.Host = "evil.example"
		for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Original-Url", "X-Rewrite-Url", "X-Forwarded-For", "Forwarded"} {
			q.Header.Set(name, "evil.example")
		}
		w := s.do(q)
		require.Equal(t, plain.Code, w.Code)
		require.NotContains(t, w.Body.String()+fmt.Sprint(w.Header()), "evil.example")
	}
}

// net/http/pprof: an import that registers its pages on the default mux.
func TestNothingIsServedByItself(t *testing.T) {
	s := newSite(t)
	_, err := New(s.config)
	require.NoError(t, err)
	for _, target := range []string{"/", "/o/acme", "/console.css"} {
		_, pattern := http.DefaultServeMux.Handler(httptest.NewRequest(http.MethodGet, target, nil))
		require.Empty(t, pattern)
	}
}

// terraform#27827, #25981: a plan that went stale for a change elsewhere. A preview holds until
// something that it was judged by changes.
func TestAChangeElsewhereLeavesThePreview(t *testing.T) {
	s := newSite(t)
	_, form := s.previews(url.Values{"requirement": {"required"}})
	s.apply("globex", admin.SetRequirement(policy.ReportOnly))
	s.key("acme", admin.NewKey{ID: "another"}, "203.0.113.3")
	s.use("k1", "203.0.113.7", 0)
	form.Set("reason", "x")
	require.Equal(t, http.StatusSeeOther, s.post("/o/acme/apply", form).Code)
}

// ayunis#385: a lockout was reported before the mistake in the form. The form comes first
// (rule M2).
func TestTheFormIsJudgedBeforeTheLockout(t *testing.T) {
	s := newSite(t)
	form := carried(s.shows("/o/acme/keys/k1/edit?do=replace", http.StatusOK))
	form.Set("entries", "empty\n203.0.113.300")
	page := s.submits("/o/acme/keys/k1/preview", form, http.StatusUnprocessableEntity)
	require.NotContains(t, page, "To accept by name")
	require.Contains(t, page, "203.0.113.300")
}
