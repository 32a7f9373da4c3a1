package policyhttp_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// clientAddress is where the requests of the tests come from.
const clientAddress = "203.0.113.7"

// service has one key of the organization acme and a guard in front of it. Tests change
// what they are about, and then call start again.
type service struct {
	t            testing.TB
	key          apikey.Key
	secret       apikey.Secret
	organization policy.Organization
	sourceErr    error
	asked        []apikey.ID // every look-up
	observers    []policy.Option
	config       policyhttp.Config
	endpoint     policy.Endpoint
	resource     policyhttp.Resource

	route *policyhttp.Route
}

// newService returns a service that lets its key in from clientAddress.
func newService(t testing.TB) *service {
	t.Helper()
	key, secret, err := apikey.New("acme", apikey.Grant{Role: "reader"})
	require.NoError(t, err)
	key.AccessList, err = accesslist.Parse(clientAddress)
	require.NoError(t, err)
	s := &service{
		t: t, key: key, secret: secret,
		organization: policy.Organization{ID: "acme"},
		endpoint:     policy.Endpoint{Name: "things.read"},
		resource:     func(*http.Request) (string, string, error) { return "acme", "", nil },
	}
	s.start()
	return s
}

// start makes the guard of what the service has now.
func (s *service) start() {
	s.t.Helper()
	s.config.Engine = policy.New(source{s}, s.observers...)
	guard, err := policyhttp.New(s.config)
	require.NoError(s.t, err)
	s.route = guard.Route(s.endpoint, s.resource)
}

// source is the service's key as a policy.ImmediateSource.
type source struct{ *service }

func (s source) LookupNow(id apikey.ID) (policy.Subject, bool, error) {
	s.asked = append(s.asked, id)
	if s.sourceErr != nil || id != s.key.ID {
		return policy.Subject{}, false, s.sourceErr
	}
	return policy.NewSubject(&s.key, &s.organization), true, nil
}

func (s source) Lookup(_ context.Context, id apikey.ID) (policy.Subject, bool, error) {
	return s.LookupNow(id)
}

// serve answers a request with the guard in front of a handler that says "served".
func (s *service) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.route.Protect(served).ServeHTTP(w, r)
	return w
}

var served = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") })

// request is a GET of clientAddress with these Authorization headers.
func request(authorization ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/things", nil)
	r.RemoteAddr = clientAddress + ":4711"
	if authorization != nil {
		r.Header["Authorization"] = authorization
	}
	return r
}

func withBearer(secret string) *http.Request { return request("Bearer " + secret) }

func withBasic(user, password string) *http.Request {
	return request("Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

// both are the two ways of showing the service's secret.
func (s *service) both() map[string]*http.Request {
	return map[string]*http.Request{
		"Bearer": withBearer(s.secret.Reveal()),
		"Basic":  withBasic(string(s.key.ID), s.secret.Reveal()),
	}
}

// requireDenied checks an answer from every side from which it might be read as an
// admission.
func requireDenied(t testing.TB, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	require.Equal(t, status, w.Code, w.Body)
	require.NotContains(t, w.Body.String(), "served")
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.Equal(t, status == http.StatusUnauthorized, w.Header().Get("WWW-Authenticate") != "", "a challenge with 401 and with nothing else")
	require.Equal(t, status == http.StatusServiceUnavailable, w.Header().Get("Retry-After") != "")
	var problem struct{ Code string }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem), w.Body)
	require.Equal(t, code, problem.Code)
}

func TestGuardAllows(t *testing.T) {
	s := newService(t)
	for name, r := range s.both() {
		var decision policy.Decision
		var ok bool
		next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			decision, ok = policyhttp.DecisionOf(r.Context())
		})
		w := httptest.NewRecorder()
		s.route.Protect(next).ServeHTTP(w, r)
		require.True(t, ok, name)
		require.True(t, decision.Allowed())
		require.Equal(t, policy.AddressListed, decision.Reason)
		require.Equal(t, s.key.ID, decision.Subject().Key().ID)
		require.Equal(t, s.key.Secrets[0].ID(), decision.SecretID())
		require.Contains(t, decision.String(), ` client="203.0.113.7" client_from="peer" `)
		require.NoError(t, decision.Err)
		require.Empty(t, w.Header(), "an allowed answer is the handler's alone")
		require.True(t, s.route.Check(r).Allowed())
	}
}

// Every line of the order that a request over HTTP can reach, and what is answered.
func TestGuardDenies(t *testing.T) {
	for name, test := range map[string]struct {
		change func(s *service)
		status int
		code   string
	}{
		"unavailable":         {func(s *service) { s.sourceErr = errors.New("down") }, 503, "ACCESS_CONTROL_UNAVAILABLE"},
		"unknown key":         {func(s *service) { s.key.ID = "another" }, 401, "INVALID_API_KEY"},
		"wrong secret":        {func(s *service) { s.key.Secrets = nil }, 401, "INVALID_API_KEY"},
		"disabled":            {func(s *service) { s.key.Disabled = true }, 401, "API_KEY_DISABLED"},
		"expired":             {func(s *service) { s.key.Expires = time.Unix(1, 0) }, 401, "API_KEY_EXPIRED"},
		"not yet valid":       {func(s *service) { s.key.NotBefore = time.Now().Add(time.Hour) }, 401, "API_KEY_NOT_YET_VALID"},
		"address":             {func(s *service) { s.key.AccessList, _ = accesslist.Parse("192.0.2.1") }, 403, "IP_ADDRESS_NOT_ON_ACCESS_LIST"},
		"organization's list": {func(s *service) { s.key.AccessList, s.organization.Requirement = accesslist.List{}, policy.Required }, 403, "ORG_REQUIRES_ACCESS_LIST"},
		"endpoint's list":     {func(s *service) { s.key.AccessList, s.endpoint.RequiresAccessList = accesslist.List{}, true }, 403, "RESOURCE_REQUIRES_ACCESS_LIST"},
		"organization":        {func(s *service) { s.resource = names("globex", "") }, 403, "API_KEY_NOT_IN_ORGANIZATION"},
		"project":             {func(s *service) { s.resource = names("acme", "alpha") }, 403, "API_KEY_NOT_IN_PROJECT"},
		"role":                {func(s *service) { s.endpoint.Roles = []string{"owner"} }, 403, "API_KEY_LACKS_ROLE"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			requests := s.both()
			test.change(s)
			s.start()
			for _, r := range requests {
				requireDenied(t, s.serve(r), test.status, test.code)
				require.False(t, s.route.Check(r).Allowed())
			}
		})
	}
}

func names(organization, project string) policyhttp.Resource {
	return func(*http.Request) (string, string, error) { return organization, project, nil }
}

// What is wrong with the resource or the address denies before anything else, and the
// operator learns why.
func TestGuardRequestIsIncomplete(t *testing.T) {
	for name, test := range map[string]struct {
		resource policyhttp.Resource
		remote   string
		err      string
	}{
		"no resource":       {nil, clientAddress + ":1", "neither an organization nor a project"},
		"no names":          {names("", ""), clientAddress + ":1", "neither an organization nor a project"},
		"long organization": {names(strings.Repeat("a", 257), "p"), clientAddress + ":1", "more than 256 bytes"},
		"long project":      {names("acme", strings.Repeat("p", 257)), clientAddress + ":1", "more than 256 bytes"},
		"no peer":           {names("acme", ""), "", "Unix socket"},
		"no address":        {names("acme", ""), "localhost:1", "localhost"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			s.resource = test.resource
			s.start()
			for _, r := range s.both() {
				r.RemoteAddr = test.remote
				requireDenied(t, s.serve(r), 400, "INVALID_REQUEST")
				require.ErrorContains(t, s.route.Check(r).Err, test.err)
			}
			require.Empty(t, s.asked, "nothing is looked up for a request that is denied by line 1")
		})
	}
	s := newService(t)
	s.resource = names(strings.Repeat("a", 256), strings.Repeat("p", 256))
	s.start()
	requireDenied(t, s.serve(withBearer(s.secret.Reveal())), 403, "API_KEY_NOT_IN_ORGANIZATION")
}

// A failure of the embedding program's is neither an admission nor the caller's fault.
func TestGuardResourceFails(t *testing.T) {
	cause := errors.New("the projects' table is locked")
	for name, resource := range map[string]policyhttp.Resource{
		"error":           func(*http.Request) (string, string, error) { return "", "", cause },
		"error and names": func(*http.Request) (string, string, error) { return "acme", "", cause },
		"panic":           func(*http.Request) (string, string, error) { panic(cause) },
		"abort":           func(*http.Request) (string, string, error) { panic(http.ErrAbortHandler) },
		"nil pointer":     func(r *http.Request) (string, string, error) { return r.TLS.ServerName, "", nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			s.resource = resource
			var seen []policy.Decision
			s.observers = []policy.Option{policy.WithObserver(func(_ context.Context, _ policy.Request, d policy.Decision) { seen = append(seen, d) })}
			s.start()
			for _, r := range s.both() {
				requireDenied(t, s.serve(r), 503, "ACCESS_CONTROL_UNAVAILABLE")
				d := s.route.Check(r)
				require.Equal(t, policy.Unavailable, d.Reason)
				require.ErrorContains(t, d.Err, "policyhttp: ")
				if strings.HasPrefix(name, "error") {
					require.ErrorIs(t, d.Err, cause)
				}
			}
			require.Empty(t, s.asked)
			require.Len(t, seen, 4, "the engine's observers hear of it")
			require.Equal(t, policy.Unavailable, seen[0].Reason)
		})
	}
}

func TestResourceIsAskedOnlyForCallersWithCredentials(t *testing.T) {
	s := newService(t)
	s.resource = func(*http.Request) (string, string, error) { t.Error("asked"); return "acme", "", nil }
	s.start()
	requireDenied(t, s.serve(request()), 401, "API_KEY_REQUIRED")
	requireDenied(t, s.serve(request("Bearer")), 400, "INVALID_REQUEST")
}

func TestCheckDoesNotPanic(t *testing.T) {
	s := newService(t)
	s.endpoint.Name = "named"
	for name, route := range map[string]*policyhttp.Route{
		"nil route":  nil,
		"zero route": {},
		"nil guard":  (*policyhttp.Guard)(nil).Route(s.endpoint, s.resource),
		"zero guard": new(policyhttp.Guard).Route(s.endpoint, s.resource),
	} {
		for _, r := range append(slices.Collect(values(s.both())), nil) {
			d := route.Check(r)
			require.Equal(t, policy.Unavailable, d.Reason, name)
			require.ErrorContains(t, d.Err, "New")
			if r != nil {
				w := httptest.NewRecorder()
				route.Protect(served).ServeHTTP(w, r)
				requireDenied(t, w, 503, "ACCESS_CONTROL_UNAVAILABLE")
			}
		}
	}
	for _, r := range []*http.Request{nil, {}, {RemoteAddr: clientAddress + ":1"}} {
		d := s.route.Check(r)
		require.False(t, d.Allowed())
		require.Error(t, d.Err)
	}
}

func values(requests map[string]*http.Request) func(func(*http.Request) bool) {
	return func(yield func(*http.Request) bool) {
		for _, r := range requests {
			if !yield(r) {
				return
			}
		}
	}
}

func TestProtectWithoutHandler(t *testing.T) {
	s := newService(t)
	w := httptest.NewRecorder()
	s.route.Protect(nil).ServeHTTP(w, withBearer(s.secret.Reveal()))
	require.Equal(t, 404, w.Code)
}

// All mistakes are found at once, when the guard is made.
func TestNewFindsMistakes(t *testing.T) {
	guard, err := policyhttp.New(policyhttp.Config{
		Address: policyhttp.FromPeer().WithUnixSocket(),
		Schemes: []policyhttp.Scheme{policyhttp.Bearer(), {}, policyhttp.Basic(), policyhttp.Bearer(), policyhttp.Digest(policyhttp.DigestConfig{})},
		Realm:   `the "api"`,
	})
	require.Nil(t, guard)
	for _, part := range []string{
		"policyhttp: Config.Engine is nil; right would be ", "policyhttp: Config.Address: ", "policyhttp: Config.Realm: ",
		"policyhttp: Config.Schemes[1] is the zero Scheme; right would be ", "policyhttp: Config.Schemes[3] is Bearer for the second time; right would be once",
		"policyhttp: Config.Schemes[4]: ",
	} {
		require.ErrorContains(t, err, part)
	}
	for _, realm := range []string{`"`, `\`, "a\nb", "a\x7f", "caf\u00e9", "a\"b"} {
		_, err := policyhttp.New(policyhttp.Config{Engine: policy.New(nil), Realm: realm})
		require.ErrorContains(t, err, "Realm", "%q", realm)
	}
	for _, realm := range []string{"", "api", "The API of acme, v2"} {
		_, err := policyhttp.New(policyhttp.Config{Engine: policy.New(nil), Realm: realm})
		require.NoError(t, err)
	}
}

// A guard does not change with the slices that it was made of.
func TestGuardKeepsItsConfiguration(t *testing.T) {
	s := newService(t)
	schemes, roles := []policyhttp.Scheme{policyhttp.Bearer()}, []string{"owner"}
	s.config.Schemes, s.endpoint.Roles = schemes, roles
	s.start()
	schemes[0], roles[0] = policyhttp.Basic(), "reader"
	requireDenied(t, s.serve(withBearer(s.secret.Reveal())), 403, "API_KEY_LACKS_ROLE")
	require.Equal(t, []string{`Bearer realm="api"`}, s.serve(request()).Header().Values("WWW-Authenticate"))
}

// The handler has the writer that the server made, so that whatever that can do goes on
// working: over a real connection, with and without HTTP/2.
func TestProtectHandsTheWriterOn(t *testing.T) {
	s := newService(t)
	for _, http2 := range []bool{false, true} {
		var given http.ResponseWriter
		next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			assert.True(t, given == w)
			_, isFlusher := w.(http.Flusher)
			assert.True(t, isFlusher)
			_, isHijacker := w.(http.Hijacker)
			assert.Equal(t, r.ProtoMajor == 1, isHijacker)
			assert.NoError(t, http.NewResponseController(w).EnableFullDuplex())
			assert.NoError(t, http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)))
			assert.NoError(t, http.NewResponseController(w).Flush())
			body, err := io.ReadAll(r.Body)
			assert.NoError(t, err)
			_, _ = w.Write(append([]byte(r.Proto+" "), body...))
		})
		s.key.AccessList = accesslist.List{}
		s.start()
		protected := s.route.Protect(next)
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			given = w
			protected.ServeHTTP(w, r)
		}))
		server.EnableHTTP2 = http2
		server.StartTLS()
		r, err := http.NewRequest(http.MethodPost, server.URL, strings.NewReader("a body"))
		require.NoError(t, err)
		r.SetBasicAuth(string(s.key.ID), s.secret.Reveal())
		answer, err := server.Client().Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, map[bool]string{false: "HTTP/1.1 a body", true: "HTTP/2.0 a body"}[http2], string(body))
		server.Close()
	}
}

// hijackable stands for a writer of any framework: what it is, is the framework's affair.
type hijackable struct{ http.ResponseWriter }

func TestProtectUnderOtherWriters(t *testing.T) {
	s := newService(t)
	given := hijackable{httptest.NewRecorder()}
	called := false
	s.route.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		called = true
		require.Equal(t, http.ResponseWriter(given), w)
	})).ServeHTTP(given, withBearer(s.secret.Reveal()))
	require.True(t, called)
}

// untouchable is a body that must not be read.
type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) { u.t.Error("the body was read"); return 0, io.EOF }
func (u untouchable) Close() error             { u.t.Error("the body was closed"); return nil }

func TestDeniedRequestIsNotRead(t *testing.T) {
	s := newService(t)
	for _, authorization := range [][]string{nil, {"Bearer"}, {"Bearer x"}, {"Digest x"}, {"Basic eDp5"}} {
		r := request(authorization...)
		r.Method, r.Body = http.MethodPost, untouchable{t}
		require.NotEqual(t, 200, s.serve(r).Code)
	}
}

// OPTIONS and HEAD are methods like others.
func TestMethods(t *testing.T) {
	s := newService(t)
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "DELETE", "CONNECT", "TRACE", "", "BREW"} {
		r := request()
		r.Method = method
		require.Equal(t, 401, s.serve(r).Code, method)
		r = withBearer(s.secret.Reveal())
		r.Method = method
		require.Equal(t, "served", s.serve(r).Body.String(), method)
	}
}

// A CORS preflight, which has no credentials, is let through by its own pattern.
func TestPreflight(t *testing.T) {
	s := newService(t)
	mux := http.NewServeMux()
	mux.Handle("GET /things", s.route.Protect(served))
	mux.HandleFunc("OPTIONS /", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for method, status := range map[string]int{"OPTIONS": 204, "GET": 401, "HEAD": 401, "POST": 405} {
		r := request()
		r.Method = method
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		require.Equal(t, status, w.Code, method)
	}
}

// Under http.ServeMux, with the names in the path.
func TestServeMux(t *testing.T) {
	s := newService(t)
	guard, err := policyhttp.New(s.config)
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle("GET /organizations/{org}", guard.Protect(s.endpoint, policyhttp.PathValues("org", ""), served))
	mux.Handle("GET /organizations/{org}/projects/{project}", guard.Protect(s.endpoint, policyhttp.PathValues("org", "project"), served))
	mux.Handle("GET /projects/{project}", guard.Protect(s.endpoint, policyhttp.PathValues("", "project"), served))
	mux.Handle("GET /wrong/{organization}", guard.Protect(s.endpoint, policyhttp.PathValues("org", ""), served))
	mux.Handle("GET /half/{org}", guard.Protect(s.endpoint, policyhttp.PathValues("org", "project"), served))
	s.key.Grants = append(s.key.Grants, apikey.Grant{Role: "reader", Project: "alpha"})
	for path, status := range map[string]int{
		"/organizations/acme": 200, "/organizations/globex": 403, "/organizations/ACME": 403, "/organizations/ac%6De": 200,
		"/organizations/acme/projects/alpha": 200, "/organizations/acme/projects/beta": 403, "/organizations/globex/projects/alpha": 403,
		"/projects/alpha": 200, "/projects/beta": 403, "/wrong/acme": 400, "/half/acme": 400,
	} {
		r := withBearer(s.secret.Reveal())
		r.URL.Path, r.URL.RawPath = mustUnescape(t, path), path
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		require.Equal(t, status, w.Code, "%s: %s", path, w.Body)
	}
}

func mustUnescape(t *testing.T, path string) string {
	r, err := http.NewRequest(http.MethodGet, "http://example.com"+path, nil)
	require.NoError(t, err)
	return r.URL.Path
}

func TestHeadersResource(t *testing.T) {
	resource := policyhttp.Headers("x-organization", "X-Project")
	for _, test := range []struct {
		header                http.Header
		organization, project string
	}{
		{http.Header{"X-Organization": {"acme"}, "X-Project": {"alpha"}}, "acme", "alpha"},
		{http.Header{"X-Organization": {"acme"}, "X-Project": {"alpha", "beta"}}, "", ""},
		{http.Header{"X-Organization": {"acme"}, "X-Project": {""}}, "", ""},
		{http.Header{"X-Organization": {"acme"}}, "", ""},
		{http.Header{"X-Project": {"alpha"}}, "", ""},
		{nil, "", ""},
	} {
		organization, project, err := resource(&http.Request{Header: test.header})
		require.NoError(t, err)
		require.Equal(t, test.organization, organization)
		require.Equal(t, test.project, project)
	}
	organization, project, err := policyhttp.Headers("X-Organization", "")(&http.Request{Header: http.Header{"X-Organization": {"acme"}}})
	require.NoError(t, err)
	require.Equal(t, "acme", organization)
	require.Empty(t, project)
}

// Of two guards, the inner one's decision is the handler's; and each asks for itself.
func TestNestedGuards(t *testing.T) {
	outer, inner := newService(t), newService(t)
	inner.key, inner.secret = outer.key, outer.secret
	inner.endpoint.Name = "inner"
	inner.observers = []policy.Option{policy.WithObserver(func(ctx context.Context, _ policy.Request, _ policy.Decision) {
		_, ok := policyhttp.DecisionOf(ctx)
		require.False(t, ok, "the outer guard's decision is not that of a request which the inner one is still judging")
	})}
	inner.start()
	called := false
	handler := outer.route.Protect(inner.route.Protect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		called = true
		d, ok := policyhttp.DecisionOf(r.Context())
		require.True(t, ok)
		require.Contains(t, d.String(), `endpoint="inner"`)
	})))
	handler.ServeHTTP(httptest.NewRecorder(), withBearer(outer.secret.Reveal()))
	require.True(t, called)
}

type contextKey struct{}

// The context of an allowed request is the request's own, and the decision.
func TestContext(t *testing.T) {
	_, ok := policyhttp.DecisionOf(context.Background())
	require.False(t, ok)
	var none context.Context
	_, ok = policyhttp.DecisionOf(none)
	require.False(t, ok)

	s := newService(t)
	var asked context.Context
	s.observers = []policy.Option{policy.WithObserver(func(ctx context.Context, _ policy.Request, _ policy.Decision) { asked = ctx })}
	s.start()
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), contextKey{}, "kept"))
	defer cancel()
	var got context.Context
	s.route.Protect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Context() })).
		ServeHTTP(httptest.NewRecorder(), withBearer(s.secret.Reveal()).WithContext(ctx))
	for _, c := range []context.Context{got, asked} {
		require.Equal(t, "kept", c.Value(contextKey{}))
		require.NoError(t, c.Err())
		require.True(t, ctx.Done() == c.Done())
		require.Nil(t, c.Value("another"))
	}
	require.Equal(t, "context.Background.WithValue(policyhttp_test.contextKey, kept).WithCancel.WithDecision", got.(interface{ String() string }).String())
	require.Equal(t, "context.Background.WithValue(policyhttp_test.contextKey, kept).WithCancel.Asking", asked.(interface{ String() string }).String())
	child, cancelChild := context.WithCancel(got)
	defer cancelChild()
	_, ok = policyhttp.DecisionOf(child)
	require.True(t, ok)
	cancel()
	require.ErrorIs(t, child.Err(), context.Canceled)

	// A caller who has gone is denied.
	d := s.route.Check(withBearer(s.secret.Reveal()).WithContext(ctx))
	require.Equal(t, policy.Unavailable, d.Reason)
}

// A source that is left behind hanging still has the ID that it was asked for, and a
// context without a decision, whenever it looks; -race tells if anybody writes to what it
// reads.
func TestSourceLeftBehind(t *testing.T) {
	s := newService(t)
	release, told := make(chan struct{}), make(chan apikey.ID, 1)
	hanging := policy.SourceFunc(func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
		if string(id) == strings.Repeat("x", 40) {
			return policy.Subject{}, false, nil
		}
		<-release
		if _, ok := policyhttp.DecisionOf(ctx); ok {
			id = "there is a decision"
		}
		told <- id
		return policy.Subject{}, false, nil
	})
	guard, err := policyhttp.New(policyhttp.Config{Engine: policy.New(hanging, policy.WithTimeout(time.Millisecond))})
	require.NoError(t, err)
	route := guard.Route(s.endpoint, s.resource)
	require.Equal(t, policy.Unavailable, route.Check(withBasic(string(s.key.ID), s.secret.Reveal())).Reason)
	// Another request has the memory now that the first one's secret was decoded into.
	route.Check(withBasic(strings.Repeat("x", 40), strings.Repeat("y", 112)))
	close(release)
	require.Equal(t, s.key.ID, <-told)
}

// captureDefaultLog returns what is written to slog's default log during the test.
func captureDefaultLog(t *testing.T) *bytes.Buffer {
	before, logged := slog.Default(), new(bytes.Buffer)
	slog.SetDefault(slog.New(slog.NewTextHandler(logged, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return logged
}

// Custom answers.
func TestDeny(t *testing.T) {
	s := newService(t)
	s.config.Deny = func(w http.ResponseWriter, r *http.Request, d policy.Decision) {
		require.Equal(t, policy.InvalidRequest, d.Reason)
		require.Equal(t, 401, policyhttp.Answer(d).Status)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		require.NotEmpty(t, w.Header().Values("WWW-Authenticate"))
		w.Header().Del("WWW-Authenticate")
		http.Error(w, "go away", http.StatusTeapot)
		require.NoError(t, http.NewResponseController(w).Flush())
	}
	s.start()
	w := s.serve(request())
	require.Equal(t, 418, w.Code)
	require.Equal(t, "go away\n", w.Body.String())
	require.True(t, w.Flushed)
	require.Empty(t, w.Header().Values("WWW-Authenticate"))
}

// A Deny that goes wrong must not look like a success.
func TestDenyFails(t *testing.T) {
	s := newService(t)
	for name, test := range map[string]struct {
		deny   func(w http.ResponseWriter, r *http.Request, d policy.Decision)
		panics any
		status int
		body   string
	}{
		"writes nothing":        {func(http.ResponseWriter, *http.Request, policy.Decision) {}, nil, 401, ""},
		"panics":                {func(http.ResponseWriter, *http.Request, policy.Decision) { panic("deny") }, nil, 503, "ACCESS_CONTROL_UNAVAILABLE"},
		"panics after a header": {func(w http.ResponseWriter, _ *http.Request, _ policy.Decision) { w.WriteHeader(403); panic("deny") }, "deny", 403, ""},
		"panics in the body": {func(w http.ResponseWriter, _ *http.Request, _ policy.Decision) {
			_, _ = w.Write([]byte("a"))
			panic("deny")
		}, "deny", 200, "a"},
		"aborts":       {func(http.ResponseWriter, *http.Request, policy.Decision) { panic(http.ErrAbortHandler) }, http.ErrAbortHandler, 200, ""},
		"nil function": {func(w http.ResponseWriter, _ *http.Request, _ policy.Decision) { var f func(); f() }, nil, 503, "ACCESS_CONTROL_UNAVAILABLE"},
	} {
		t.Run(name, func(t *testing.T) {
			s.config.Deny = test.deny
			s.start()
			logged := captureDefaultLog(t)
			w := httptest.NewRecorder()
			handler := s.route.Protect(served)
			run := func() { handler.ServeHTTP(w, request()) }
			if test.panics != nil {
				require.PanicsWithValue(t, test.panics, run)
			} else {
				run()
				require.NotEqual(t, 200, w.Code)
				require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			}
			require.Equal(t, test.status, w.Code)
			require.Contains(t, w.Body.String(), test.body)
			require.NotContains(t, w.Body.String(), "served")
			require.Equal(t, test.status == 503, strings.Contains(logged.String(), "Config.Deny panicked"), logged)
			if test.status == 503 {
				requireDenied(t, w, 503, "ACCESS_CONTROL_UNAVAILABLE")
			}
		})
	}
}

// An informational answer is none: what follows it is.
func TestDenyWritesOnlyAHint(t *testing.T) {
	s := newService(t)
	s.config.Deny = func(w http.ResponseWriter, _ *http.Request, _ policy.Decision) { w.WriteHeader(http.StatusEarlyHints) }
	s.start()
	server := httptest.NewServer(s.route.Protect(served))
	defer server.Close()
	answer, err := server.Client().Get(server.URL)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, 401, answer.StatusCode)
}
