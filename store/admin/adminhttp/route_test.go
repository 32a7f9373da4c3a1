package adminhttp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store/admin"
)

// fill returns a path of a route with these values.
func fill(pattern string, values map[string]string) string {
	for name, value := range values {
		pattern = strings.ReplaceAll(pattern, "{"+name+"}", value)
	}
	return pattern
}

// ours and theirs are paths' values of acme, and of globex.
func ours() map[string]string {
	return map[string]string{"org": acme, "group": alpha, "key": worker, "entry...": "198.51.100.0%2F24", "event": absent}
}

func theirs() map[string]string {
	return map[string]string{"org": globex, "group": beta, "key": stranger, "entry...": client, "event": absent}
}

// bodies are good ones for every route with a body.
func bodyOf(t route) string {
	switch {
	case t.method == "GET" || t.method == "DELETE":
		return ""
	case strings.HasSuffix(t.pattern, "/accessList"):
		return `[{"ipAddress":"203.0.113.99"}]`
	case strings.HasPrefix(t.pattern, v2+"/groups/") && t.method == "POST" && strings.HasSuffix(t.pattern, "{key}"):
		return `[{"roles":["GROUP_OWNER"]}]`
	case strings.HasSuffix(t.pattern, "/settings"):
		return `{"apiAccessListRequired":true}`
	case strings.Contains(t.pattern, "{group}"):
		return `{"desc":"x","roles":["GROUP_READ_ONLY"]}`
	}
	return `{"desc":"x","roles":["ORG_MEMBER"]}`
}

func documentedOf(h *handler) (routes []route) {
	for _, t := range h.routes {
		if !t.own {
			routes = append(routes, t)
		}
	}
	return routes
}

// Every route works for who may call it, and is refused without credentials.
func TestEveryRoute(t *testing.T) {
	routes := documentedOf(newWorld(t).handler)
	require.Len(t, routes, 3*(len(endpoints)-1)+1+1)
	for _, route := range routes {
		w := newWorld(t)
		w.put(created, acme, []string{client}, apikey.Grant{Role: manages}, apikey.Grant{Role: sees}, apikey.Grant{Role: leads, AllProjects: true})
		w.config.NewID = newID
		w.handler = newHandler(w.config)
		values := ours()
		values["group"] = second // the worker is in it
		path := fill(route.pattern, values)
		require.NotContains(t, path, "{")
		w.refuses("", route.method, path, bodyOf(route), 401, "API_KEY_REQUIRED")
		answer := w.call(created, route.method, path, bodyOf(route))
		if strings.Contains(path, "/events/") {
			require.Equal(t, 404, answer.Code)
			require.Contains(t, answer.Body.String(), "No event")
			continue
		}
		require.Less(t, answer.Code, 300, "%s %s: %s", route.method, path, answer.Body)
		if route.method == "GET" {
			head := w.call(created, "HEAD", path, "")
			require.Equal(t, answer.Code, head.Code)
			require.Equal(t, answer.Header(), head.Header())
		}
	}
}

// Every route answers for another organization's IDs like for absent ones: the same to the
// byte but for the ID itself.
func TestNothingOfAnotherOrganization(t *testing.T) {
	w := newWorld(t)
	w.put(created, acme, []string{client}, apikey.Grant{Role: manages}, apikey.Grant{Role: sees}, apikey.Grant{Role: leads, AllProjects: true})
	before := w.records()
	tried := 0
	for _, route := range documentedOf(w.handler) {
		for name, foreign := range theirs() {
			if !strings.Contains(route.pattern, "{"+name+"}") || name == "entry..." {
				continue
			}
			tried++
			values := ours()
			var answers [2]*httptest.ResponseRecorder
			for i, id := range []string{foreign, absent} {
				values[name] = id
				if name == "event" && i == 0 {
					values[name] = "00000000000000000000ffff"
				}
				answers[i] = w.call(created, route.method, fill(route.pattern, values), bodyOf(route))
			}
			require.Contains(t, []int{403, 404}, answers[0].Code, "%s %s: %s", route.method, route.pattern, answers[0].Body)
			values[name] = foreign
			require.Equal(t, answers[1].Code, answers[0].Code)
			same := strings.NewReplacer(foreign, "ID", absent, "ID", "00000000000000000000ffff", "ID")
			require.Equal(t, same.Replace(answers[1].Body.String()), same.Replace(answers[0].Body.String()), "%s %s", route.method, route.pattern)
		}
	}
	require.Greater(t, tried, 100)
	require.Equal(t, before, w.records())
}

// Who may only read changes nothing, on any route.
func TestViewersChangeNothing(t *testing.T) {
	w := newWorld(t)
	w.put(created, acme, []string{client}, apikey.Grant{Role: sees}, apikey.Grant{Role: seesInside, AllProjects: true})
	before := w.records()
	for _, route := range documentedOf(w.handler) {
		values := ours()
		values["group"] = second
		answer := w.call(created, route.method, fill(route.pattern, values), bodyOf(route))
		switch {
		case route.method != "GET":
			require.Equal(t, 403, answer.Code, "%s %s: %s", route.method, route.pattern, answer.Body)
		case strings.Contains(route.pattern, "/accessList"):
			require.Equal(t, 403, answer.Code)
		case !strings.Contains(route.pattern, "/events/"):
			require.Equal(t, 200, answer.Code, "%s: %s", route.pattern, answer.Body)
		}
	}
	require.Equal(t, before, w.records())

	// And a key without a role sees only its own.
	for _, route := range documentedOf(w.handler) {
		if route.access == anyKey {
			continue
		}
		values := ours()
		values["key"] = owner
		require.Equal(t, 403, w.call(worker, route.method, fill(route.pattern, values), bodyOf(route)).Code, "%s %s", route.method, route.pattern)
	}
	require.Equal(t, before, w.records())
}

// A key that may change nothing any more changes nothing, on any route, also while the guard has
// an older copy of it.
func TestFormerManagersChangeNothing(t *testing.T) {
	w := newWorld(t)
	w.put(created, acme, []string{client, "203.0.113.5"}, apikey.Grant{Role: manages}, apikey.Grant{Role: leads, AllProjects: true})
	w.outdate(created)
	before, tried := w.records(), 0
	for _, route := range documentedOf(w.handler) {
		if route.method == "GET" {
			continue
		}
		tried++
		values := ours()
		values["group"] = second
		answer := w.call(created, route.method, fill(route.pattern, values), bodyOf(route))
		require.Equal(t, 403, answer.Code, "%s %s: %s", route.method, route.pattern, answer.Body)
		require.Equal(t, "USER_UNAUTHORIZED", answer.Header().Get("X-Error-Code"), "%s %s", route.method, route.pattern)
	}
	require.Greater(t, tried, 25)
	require.Equal(t, before, w.records())
	require.Equal(t, 204, w.call(created, "DELETE", org+"/apiKeys/"+created+"/accessList/203.0.113.5", "").Code, "its own list is its own")
}

// The router's own answers are JSON.
func TestRouter(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/", "/api", "/api/atlas/v1.0", "/api/atlas/v1.0/users", org + "/", org + "//apiKeys", "/api/atlas/v1.0/orgs//apiKeys", "/api/atlas/v3/orgs", org + "/apiKeys/x/y", list + "//", list + "/198.51.100.0//24", "/api/atlas/v1.0/../v2/orgs"} {
		if path == org+"/" {
			require.Equal(t, 200, w.call(viewer, "GET", path, "").Code)
			continue
		}
		w.refuses(viewer, "GET", path, "", 404, "RESOURCE_NOT_FOUND", cut(path))
	}
	w.refuses("", "PUT", org+"/apiKeys", "", 405, "METHOD_NOT_ALLOWED")
	require.Equal(t, "GET, HEAD, POST", w.call("", "OPTIONS", org+"/apiKeys", "").Header().Get("Allow"))
	require.Equal(t, "application/problem+json", w.call("", "GET", "/api/sallyport/v1/nothing/at/all/here", "").Header().Get("Content-Type"))
	long := "/" + strings.Repeat("x", 2000)
	require.Less(t, w.call("", "GET", long, "").Body.Len(), 1500)
	w.refuses(owner, "GET", org+"/apiKeys?envelope=true", "", 400, "INVALID_QUERY_PARAMETER", "envelope")
	require.Equal(t, 200, w.call(owner, "GET", org+"/apiKeys?envelope=false&pretty=x", "").Code)

	// Mounted below a path.
	w.config.BaseURL = "https://api.example.org/keys/"
	made, err := New(w.config)
	require.NoError(t, err)
	answer := httptest.NewRecorder()
	http.StripPrefix("/keys", made).ServeHTTP(answer, w.request(owner, "GET", "/keys"+list+"/198.51.100.0%2F24", ""))
	require.Equal(t, 200, answer.Code)
	require.Contains(t, answer.Body.String(), `"href":"https://api.example.org/keys/api/atlas/v1.0/orgs/`)
}

// Links have the scheme and the host of the request, and nothing of a forwarded header.
func TestLinks(t *testing.T) {
	w := newWorld(t)
	r := w.request(viewer, "GET", org, "")
	r.Host, r.TLS = `a"b<c>.example`, &tls.ConnectionState{HandshakeComplete: true}
	r.Header.Set("X-Forwarded-Host", "evil.example")
	r.Header.Set("X-Forwarded-Proto", "gopher")
	answer := w.serve(r)
	require.Contains(t, answer.Body.String(), `"href":"https://a\"b\u003cc\u003e.example/api/atlas/v1.0/orgs/`)
	require.NotContains(t, answer.Body.String(), "evil")
}

// The media type is the one that was asked for, or a newer one's request.
func TestMediaTypes(t *testing.T) {
	w := newWorld(t)
	const own, newer, v2Org = "application/vnd.atlas.2023-01-01+json", "application/vnd.atlas.2025-03-12+json", v2 + "/orgs/" + acme
	for _, test := range []struct {
		accept, path, want string // empty: 406
	}{
		{"", v2Org, jsonV2}, {"*/*", v2Org, jsonV2}, {"application/*", v2Org, jsonV2}, {own, v2Org, jsonV2}, {newer, v2Org, jsonV2},
		{"application/json", v2Org, json1}, {"application/json, " + newer, v2Org, jsonV2}, {newer + ", application/json", v2Org, jsonV2},
		{"text/html, application/json;q=0.5", v2Org, json1}, {"application/vnd.atlas.2022-12-31+json", v2Org, ""}, {"text/html", v2Org, ""},
		{"application/json;q=0", v2Org, ""}, {"application/json;q=0.000", v2Org, ""}, {";;", v2Org, ""}, {"application/vnd.atlas.preview+json", v2Org, ""}, {"application/vnd.atlas+json", v2Org, ""},
		{"", org, json1}, {"application/json", org, json1}, {newer, org, json1}, {"application/vnd.atlas.2022-12-31+json", org, json1}, {"text/html", org, ""},
		{newer, ipinfo, json1}, {"image/png", ipinfo, ""},
	} {
		r := w.request(viewer, "GET", test.path, "")
		if test.accept != "" {
			r.Header.Set("Accept", test.accept)
		}
		answer := w.serve(r)
		checkAnswer(t, "GET", answer)
		if test.want == "" {
			require.Equal(t, 406, answer.Code, test.accept)
			require.Equal(t, "NOT_ACCEPTABLE", answer.Header().Get("X-Error-Code"))
			continue
		}
		require.Equal(t, test.want, answer.Header().Get("Content-Type"), test.accept)
	}
}

// A body is JSON under any of its names, and bounded.
func TestBodies(t *testing.T) {
	w := newWorld(t)
	for contentType, want := range map[string]int{
		"": 200, "application/json": 200, "application/json; charset=utf-8": 200, "application/vnd.atlas.2023-01-01+json": 200, "Application/JSON": 200,
		"application/x-www-form-urlencoded": 415, "text/plain": 415, "application": 415, "application/vnd.atlas.x+json": 415, ";": 415,
	} {
		r := w.request(owner, "PATCH", workerPath, `{"desc":"x"}`)
		r.Header.Del("Content-Type")
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		answer := w.serve(r)
		checkAnswer(t, "PATCH", answer)
		require.Equal(t, want, answer.Code, contentType)
	}
	w.refuses(owner, "PATCH", workerPath, `{"desc":"`+strings.Repeat("x", maxBody)+`"}`, 413, "REQUEST_TOO_LARGE")
	r := w.request(owner, "PATCH", workerPath, "")
	r.Body = http.MaxBytesReader(nil, failingBody{}, 10)
	answer := w.serve(r)
	require.Equal(t, 400, answer.Code)
}

type failingBody struct{}

func (failingBody) Read([]byte) (int, error) { return 0, errors.New("gone") }
func (failingBody) Close() error             { return nil }

// A browser sends Basic credentials by itself with what another site asks for.
func TestCrossOrigin(t *testing.T) {
	w := newWorld(t, func(w *world) { w.config.TrustedOrigins = []string{"https://console.example.com"} })
	for origin, want := range map[string]int{"https://evil.example": 403, "https://console.example.com": 200, "http://example.com": 200, "": 200} {
		r := w.request(owner, "PATCH", workerPath, `{"desc":"x"}`)
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		answer := w.serve(r)
		checkAnswer(t, "PATCH", answer)
		require.Equal(t, want, answer.Code, origin)
	}
}

// The endpoint table for people is the one of the program.
func TestEndpointTable(t *testing.T) {
	data, err := os.ReadFile("endpoints.md")
	require.NoError(t, err)
	var b strings.Builder
	who := map[access]string{anyKey: "any key", read: "`Read`", manage: "`Manage`", listOf: "the key itself, or `Manage`", projectRead: "`ProjectRead`", projectManage: "`ProjectManage`"}
	for _, e := range endpoints {
		note := ""
		switch {
		case e.only != "":
			note = "v2 only"
		case e.events:
			note = "needs a `store.Journal`"
		case e.requiresList:
			note = "needs a list, see `OpenEntryEndpoints`"
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", e.method, e.pattern, who[e.access], note)
	}
	require.Contains(t, string(data), "| --- | --- | --- | --- |\n"+b.String())
}

// Our own API is for people and for keys. These routes stand for its own.
func TestPeopleAndKeys(t *testing.T) {
	var seen *call
	own := func(pattern string, a access) route {
		return route{method: "GET", pattern: ownPrefix + pattern, access: a, serve: func(w http.ResponseWriter, c *call) {
			seen = c
			writeJSON(w, c.Request, 200, json1, 1)
		}}
	}
	person := admin.Person{}
	var problem error
	w := newWorld(t, func(w *world) {
		w.config.Person = func(*http.Request) (admin.Person, error) { return person, problem }
	})
	serve := func(by apikey.ID, path string, want int) {
		t.Helper()
		seen = nil
		require.Equal(t, want, w.call(by, "GET", ownPrefix+path, "").Code)
		require.Equal(t, want == 200, seen != nil)
	}
	add := func() {
		w.handler = newHandler(w.config)
		extra := []route{own("/test/{org}", read), own("/test/{org}/manage", manage), own("/test-all", anyKey)}
		w.handler.routes = append(w.handler.routes, extra...)
		w.handler.mount(w.handler.routes[len(w.handler.routes)-len(extra):])
	}
	add()
	serve(viewer, "/test/"+acme, 200)
	require.Equal(t, "key", string(seen.actor.Kind()))
	serve("", "/test/"+acme, 401)
	serve(viewer, "/test/"+acme+"/manage", 403)
	person = admin.Person{ID: "ann", May: func(o string, a admin.Access) bool { return o == acme && a == admin.Read }}
	serve("", "/test/"+acme, 200)
	require.Equal(t, "person", string(seen.actor.Kind()))
	require.Equal(t, acme, seen.organization)
	serve("", "/test-all", 200)
	for _, path := range []string{"/test/" + globex, "/test/" + acme + "/manage"} {
		serve("", path, 404)
	}
	problem = errors.New("no session")
	serve("", "/test/"+acme, 401)
	problem = nil
	w.config.Guard = nil
	w.config.Projects = brokenProjects{}
	add()
	serve("", "/test/"+acme, 200)
	person.ID = ""
	serve(viewer, "/test/"+acme, 403)
	w.refuses(viewer, "GET", org, "", 404, "RESOURCE_NOT_FOUND", org)
}
