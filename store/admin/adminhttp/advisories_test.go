package adminhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// Reports on other administration APIs, each as a test by its name or its sort. Requests of other
// sites and another organization's records are tested in route_test.go and own_isolation_test.go.

// pathsOf returns a path of every route for these values, with the route.
func (w *ownWorld) pathsOf(values map[string]string) (routes []route, paths []string) {
	secret := w.stored(worker).Secrets[0].ID()
	for _, t := range w.handler.routes {
		all := map[string]string{"secret": secret}
		for name, value := range values {
			all[name] = value
		}
		routes, paths = append(routes, t), append(paths, fill(t.pattern, all))
	}
	return routes, paths
}

// A leaving client hangs up with the first byte of a stream.
type leaving struct {
	*httptest.ResponseRecorder
	cancel context.CancelFunc
}

// Flush implements [http.Flusher].
func (l *leaving) Flush() { l.cancel() }

// asks makes a request by a person, a key or nobody. It does not stay for a stream of events.
func (w *ownWorld) asks(by, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := w.ownRequest(by, http.MethodGet, "/", body, headers...)
	r.Method = method
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery = path, "", ""
	if parsed, err := url.ParseRequestURI(path); err == nil && !strings.HasPrefix(path, "//") {
		r.URL = parsed
	}
	reading, cancel := context.WithCancel(r.Context())
	defer cancel()
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(&leaving{answer, cancel}, r.WithContext(reading))
	if answer.Header().Get("Content-Type") != "text/event-stream" {
		checkAnswer(w.t, method, answer)
	}
	for name := range answer.Header() {
		require.False(w.t, strings.HasPrefix(name, "Access-Control-"), name) // pgweb: CORS with "*"
	}
	return answer
}

// Content sniffing, framing, answers in a cache: every answer to every method of every route has
// its headers, whoever asks, and when the store fails. checkAnswer compares their values.
func TestEveryAnswerHasItsHeaders(t *testing.T) {
	for _, broken := range []bool{false, true} {
		var store *brokenStore
		w := newOwnWorld(t, "", func(w *world) {
			store = &brokenStore{Store: w.memory}
			store.left.Store(-1)
			w.store = store
		})
		if broken {
			store.left.Store(0)
		}
		routes, paths := w.pathsOf(ours())
		require.Greater(t, len(routes), 60)
		for i, t0 := range routes {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"} {
				for _, by := range []string{"", "ann", viewer} {
					answer := w.asks(by, method, paths[i], "", "Origin", "")
					require.Contains(t, map[bool][]int{true: {200, 204, 400, 401, 403, 404, 405, 415, 503}, false: {200, 204, 400, 401, 403, 404, 405, 409, 415}}[broken], answer.Code, "%s %s by %s: %s", method, t0.pattern, by, answer.Body)
					if answer.Code == 405 {
						require.NotEmpty(t, answer.Header().Get("Allow"))
					}
				}
			}
		}
	}
}

// asynqmon, riverui: forms of another site. A page can send three types of body without asking
// first, and none of them is a change here, even by a browser too old to say where it was.
func TestAFormOfAnotherSiteIsNoBody(t *testing.T) {
	w := newOwnWorld(t, "")
	before := w.state()
	routes, paths := w.pathsOf(ours())
	for i, route := range routes {
		if route.method == "GET" || route.method == "DELETE" { // a form sends no DELETE
			continue
		}
		for _, kind := range []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "text/plain;application/json"} {
			for _, by := range []string{"ann", owner} {
				r := w.ownRequest(by, route.method, paths[i], `{"description":"x"}`)
				r.Header.Set("Content-Type", kind)
				answer := w.serve(r)
				checkAnswer(t, route.method, answer)
				require.Contains(t, []int{401, 403, 404, 415}, answer.Code, "%s %s: %s", route.method, route.pattern, answer.Body)
			}
		}
	}
	require.Equal(t, before, w.state())
}

// A session taken for a key: the documented API knows no people, and a cookie is nothing to it.
func TestASessionIsNoKey(t *testing.T) {
	w := newOwnWorld(t, "")
	for _, route := range documentedOf(w.handler) {
		r := w.ownRequest("ann", route.method, fill(route.pattern, ours()), bodyOf(route))
		r.AddCookie(&http.Cookie{Name: "session", Value: w.secrets[owner].Reveal()})
		answer := w.serve(r)
		checkAnswer(t, route.method, answer)
		require.Equal(t, 401, answer.Code, route.pattern)
	}
}

// A key lent to a session, or the reverse: a request is by one of them, and has the rights of
// that one alone.
func TestTwoIdentitiesAreNotAdded(t *testing.T) {
	for _, o := range operations {
		if o.access != manage {
			continue
		}
		w := newOwnWorld(t, o.id)
		before := w.state()
		r := w.ownRequest("bob", o.method, w.path(o), ownBodies[o.id]) // who may read
		r.Header.Set("Authorization", "Bearer "+w.secrets[owner].Reveal())
		answer := w.serve(r)
		checkAnswer(t, o.method, answer)
		require.Equal(t, 404, answer.Code, o.id)
		require.Equal(t, before, w.state())
	}
}

// hostile are texts of attackers.
var hostile = []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, "</script>\u2028\u2029", `javascript:alert(1)`, `a&b'c`}

// Reflected script: an answer quotes the path, the query or the body as JSON, without a character
// to begin an element.
func TestReflectedScript(t *testing.T) {
	w := newOwnWorld(t, "")
	for _, text := range append(hostile, "a\r\nSet-Cookie: x=y", "\x00", "\xff") {
		for _, name := range []string{"org", "group", "key", "entry...", "event", "secret"} {
			values := ours()
			values[name] = url.PathEscape(text)
			routes, paths := w.pathsOf(values)
			for i, route := range routes {
				if !strings.Contains(route.pattern, "{"+name+"}") {
					continue
				}
				query := "?" + url.Values{"cursor": {text}, text: {text}, "eventType": {text}, "minDate": {text}, "pageNum": {text}}.Encode()
				for _, path := range []string{paths[i], paths[i] + query} {
					for _, by := range []string{"ann", owner} {
						answer := w.asks(by, route.method, path, `{"`+strings.ReplaceAll(text, `"`, `\"`)+`":1}`)
						require.NotContains(t, answer.Body.String(), "<")
						require.NotContains(t, answer.Body.String(), "\u2028")
						require.Empty(t, answer.Header().Values("Set-Cookie"))
					}
				}
			}
		}
	}
}

// Stored script: names, descriptions, comments and reasons in a list are JSON as well.
func TestStoredScript(t *testing.T) {
	for _, text := range hostile[:2] {
		w := newOwnWorld(t, "")
		w.editOrganization(acme, func(o *policy.Organization) { o.Name = text })
		entry, err := accesslist.ParseEntry("203.0.113.0/24")
		require.NoError(t, err)
		entry.Comment = text
		body, err := json.Marshal(map[string]any{"description": text, "labels": map[string]string{"team": text}, "externalId": text, "grants": []any{}, "entries": []any{map[string]string{"address": "203.0.113.0/24", "comment": text}}})
		require.NoError(t, err)
		w.config.Projects = projects{{ID: alpha, Organization: acme, Name: text}, {ID: second, Organization: acme}}
		w.handler = newHandler(w.config)
		require.Less(t, w.own("ann", "POST", ownOrg+"/keys", string(body), headerReason, text).Code, 300)
		shown := 0
		routes, paths := w.pathsOf(ours())
		for i, route := range routes {
			if route.method != "GET" {
				continue
			}
			by := owner
			if route.own {
				by = "ann"
			}
			answer := w.asks(by, "GET", paths[i], "")
			require.NotContains(t, answer.Body.String(), "<")
			escaped, err := json.Marshal(text)
			require.NoError(t, err)
			if bytes.Contains(answer.Body.Bytes(), bytes.Trim(escaped, `"`)) {
				shown++
			}
		}
		require.Greater(t, shown, 12)
	}
}

// Open redirects: the API has none, whatever the path.
func TestNothingRedirects(t *testing.T) {
	w := newOwnWorld(t, "")
	_, paths := w.pathsOf(ours())
	for _, path := range append(paths, "", "/", "x", "evil.example", "//evil.example", "//evil.example/..", `/\evil.example`, "/%2f%2fevil.example", "/api/..//evil.example", "/api/atlas/v1.0/orgs/../../x", "/api/sallyport/v1/", "/api/sallyport/v1//me") {
		for _, method := range []string{"GET", "POST", "CONNECT"} {
			answer := w.asks("ann", method, path, "")
			require.Empty(t, answer.Header().Get("Location"), path)
			require.NotEqual(t, 3, answer.Code/100)
		}
	}
}

// A host header of an attacker in links that programs follow. With BaseURL no answer has the host
// of the request; without it, no answer has a forwarded one.
func TestTheHostIsNobodysWord(t *testing.T) {
	for _, base := range []string{"", "https://api.example.org"} {
		w := newOwnWorld(t, "")
		w.config.BaseURL = base
		w.handler = newHandler(w.config)
		routes, paths := w.pathsOf(ours())
		for i, route := range routes {
			if route.method != "GET" || strings.HasSuffix(route.pattern, "/stream") {
				continue
			}
			r := w.request(owner, "GET", paths[i], "")
			for _, name := range []string{"X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Original-Url", "X-Rewrite-Url", "Forwarded", "X-Host"} {
				r.Header.Set(name, "evil.example")
			}
			if base != "" {
				r.Host = "evil.example"
			}
			answer := w.serve(r)
			require.NotContains(t, answer.Body.String()+fmt.Sprint(answer.Header()), "evil.example", route.pattern)
		}
	}
}

// chi GHSA-9g5q-2w5x-hmxf, gin CVE-2020-28483: an address from a header that anyone can send.
// None is read, neither for the judgement nor for the answer.
func TestAForwardedAddressIsNobodysWord(t *testing.T) {
	w := newOwnWorld(t, "")
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "Forwarded", "Cf-Connecting-Ip", "X_Forwarded_For"} {
		for address, want := range map[string]int{"192.0.2.1:1234": 200, "198.18.0.9:1234": 403} {
			r := w.request(owner, "GET", ipinfo, "")
			r.RemoteAddr = address
			r.Header.Set(name, client)
			answer := w.serve(r)
			require.Equal(t, want, answer.Code, name)
			require.Equal(t, want == 200, strings.Contains(answer.Body.String(), client))
		}
	}
}

// A secret in a cache, in a list or in an event: the answer that hands it out is the only one with
// it, and is stored nowhere on the way.
func TestASecretIsShownOnce(t *testing.T) {
	w := newOwnWorld(t, "")
	var secrets []string
	for _, made := range []struct{ by, path, body string }{
		{owner, org + "/apiKeys", `{"desc":"x","roles":["ORG_MEMBER"]}`},
		{"ann", ownOrg + "/keys", `{"grants":[],"entries":[{"address":"203.0.113.7"}]}`},
		{"ann", ownWorker + "/secrets", `{"overlapSeconds":3600}`},
	} {
		answer := w.asks(made.by, "POST", made.path, made.body)
		require.Less(t, answer.Code, 300, "%s", answer.Body)
		require.Equal(t, "no-store", answer.Header().Get("Cache-Control"))
		for text := range strings.SplitSeq(answer.Body.String(), `"`) {
			if _, _, err := apikey.Parse(text); err == nil {
				secrets = append(secrets, text)
			}
		}
	}
	require.Len(t, secrets, 3)
	values := ours()
	for _, key := range []string{worker, created} {
		values["key"] = key
		routes, paths := w.pathsOf(values)
		for i, route := range routes {
			if route.method == "GET" {
				text := w.asks(map[bool]string{true: "ann", false: owner}[route.own], "GET", paths[i], "").Body.String()
				require.False(t, slices.ContainsFunc(secrets, func(s string) bool { return strings.Contains(text, s) }), route.pattern)
			}
		}
	}
	require.NotContains(t, w.state(), secrets[0])
	require.NotContains(t, w.logged.String(), secrets[0])
}

// OmniRoute#13176: looking at a list enforced it. A request to read changes nothing, whatever its
// query, its body and its headers say.
func TestReadingChangesNothing(t *testing.T) {
	w := newOwnWorld(t, "")
	before := w.state()
	routes, paths := w.pathsOf(ours())
	for i := range routes {
		for _, method := range []string{"GET", "HEAD"} {
			for _, by := range []string{"ann", owner} {
				for _, query := range []string{"", "?preview=false", "?_method=DELETE"} {
					w.asks(by, method, paths[i]+query, `{"requirement":"required"}`, "X-HTTP-Method-Override", "DELETE", "X-Method-Override", "PUT", headerAccept, "breaks_key", headerReason, "x")
				}
			}
		}
	}
	require.Equal(t, before, w.state())
}

// ayunis#385: a lockout was reported before the mistake in the request. The request comes first
// (rule M2).
func TestTheRequestIsJudgedBeforeTheLockout(t *testing.T) {
	w := newOwnWorld(t, "")
	w.refuses(owner, "DELETE", org+"/apiKeys/"+owner+"/accessList/192.0.2.1%2F24", "", 404, "API_KEY_ACCESS_LIST_NOT_FOUND", "192.0.2.1/24", owner)
	answer := w.own(owner, "PUT", ownOrg+"/keys/"+owner+"/list", `{"entries":[{"address":"203.0.113.300"}]}`)
	require.Equal(t, 400, answer.Code)
	require.NotContains(t, answer.Body.String(), "self_lockout")
}

// terraform-provider-mongodbatlas#4491: destroying an entry cut off the key that deployed. By
// neither API can the caller remove what admits it.
func TestTheDeployingKeyStaysIn(t *testing.T) {
	w := newOwnWorld(t, "")
	before := w.state()
	w.refuses(owner, "DELETE", org+"/apiKeys/"+owner+"/accessList/"+client, "", 400, "CANNOT_REMOVE_CALLER_FROM_ACCESS_LIST", client)
	for _, test := range []struct{ method, path, body string }{
		{"DELETE", "/list/entries/" + client, ""}, {"PUT", "/list", `{"entries":[{"address":"203.0.113.7"}]}`}, {"PATCH", "", `{"disabled":true}`}, {"DELETE", "", ""},
	} {
		answer := w.own(owner, test.method, ownOrg+"/keys/"+owner+test.path, test.body)
		require.Equal(t, 409, answer.Code, "%s", answer.Body)
		require.Contains(t, answer.Body.String(), map[bool]string{true: "opens", false: "self_lockout"}[strings.HasPrefix(test.path, "/list/")])
	}
	require.Equal(t, before, w.state())
}
