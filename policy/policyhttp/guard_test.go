package policyhttp_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
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
		resource:     names("acme", ""),
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
		require.NoError(t, decision.Cause)
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
		"disabled with all":   {func(s *service) { s.organization.Disabled = true }, 401, "API_KEY_DISABLED"},
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
	return func(*http.Request) (policy.Resource, error) {
		return policy.Resource{Organization: organization, Project: project}, nil
	}
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
			require.ErrorContains(t, d.Cause, "New")
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
		require.Error(t, d.Cause)
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
		Address: policyhttp.ClientAddress{}.WithUnixSocket(),
		Schemes: []policyhttp.Scheme{policyhttp.Bearer(), nil, policyhttp.Basic(), policyhttp.Bearer(), policyhttp.KeyHeader("Cookie")},
		Realm:   `the "api"`,
	})
	require.Nil(t, guard)
	for _, part := range []string{
		"policyhttp: Config.Engine is nil: want ", "(Config.Address)", "policyhttp: Config.Realm: ",
		"policyhttp: Config.Schemes[1] is nil: want ", "policyhttp: Config.Schemes[3] reads Authorization Bearer like an earlier one: want each scheme once",
		"policyhttp: Config.Schemes[4] has the header Cookie: want ",
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

// The handler has the server's own writer, with all its abilities: over a real connection,
// with and without HTTP/2.
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

// A hanging source, left behind, still has the ID of its look-up and a context without a
// decision. -race fails if anybody writes to either.
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

// An issuer for another realm than the guard's would make credentials that nobody can use.
func TestGuardAndIssuerHaveOneRealm(t *testing.T) {
	issuer, err := apikey.NewIssuer(apikey.IssuerConfig{DigestAlgorithms: []apikey.DigestAlgorithm{apikey.DigestMD5}, DigestRealm: "api"})
	require.NoError(t, err)
	_, err = policyhttp.New(policyhttp.Config{Engine: policy.New(nil), Issuer: issuer})
	require.NoError(t, err)
	_, err = policyhttp.New(policyhttp.Config{Engine: policy.New(nil), Issuer: issuer, Realm: "things"})
	require.ErrorContains(t, err, `Config.Realm is "things", and Config.Issuer makes Digest credentials for the realm "api": want the same`)
}
