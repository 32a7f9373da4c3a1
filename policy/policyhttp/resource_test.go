package policyhttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// A request to a route without a resource is denied by line 1, and one without an address
// by line 3: that is the operator's to repair.
func TestGuardRequestIsIncomplete(t *testing.T) {
	for name, test := range map[string]struct {
		resource policyhttp.Resource
		remote   string
		status   int
		code     string
		err      string
	}{
		"no resource": {nil, clientAddress + ":1", 400, "INVALID_REQUEST", "has no resource: want an Organization"},
		"no peer":     {names("acme", ""), "", 503, "ACCESS_CONTROL_UNAVAILABLE", "Unix socket"},
		"no address":  {names("acme", ""), "localhost:1", 503, "ACCESS_CONTROL_UNAVAILABLE", "localhost"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			s.resource = test.resource
			s.start()
			for _, r := range s.both() {
				r.RemoteAddr = test.remote
				requireDenied(t, s.serve(r), test.status, test.code)
				require.ErrorContains(t, s.route.Check(r).Cause, test.err)
			}
			require.Empty(t, s.asked, "nothing is looked up for such a request")
		})
	}
}

// A resource without an organization, or with a name that would only fill the log, is
// denied, and the operator learns why.
func TestGuardResourceIsIncomplete(t *testing.T) {
	for name, test := range map[string]struct {
		resource policyhttp.Resource
		err      string
	}{
		"nothing":           {names("", ""), "has no organization: want"},
		"nobody's project":  {names("", "alpha"), "has no organization: want"},
		"long organization": {names(strings.Repeat("a", 257), "p"), "more than 256 bytes"},
		"long project":      {names("acme", strings.Repeat("p", 257)), "more than 256 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			s.key.Grants = append(s.key.Grants, apikey.Grant{Role: "reader", AllProjects: true})
			s.resource = test.resource
			s.start()
			for _, r := range s.both() {
				requireDenied(t, s.serve(r), 400, "INVALID_REQUEST")
				d := s.route.Check(r)
				require.Equal(t, policy.InvalidRequest, d.Reason)
				require.ErrorContains(t, d.Cause, test.err)
				require.Zero(t, d.Resource(), "nothing was judged")
			}
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
		"error":           func(*http.Request) (policy.Resource, error) { return policy.Resource{}, cause },
		"error and names": func(*http.Request) (policy.Resource, error) { return policy.Resource{Organization: "acme"}, cause },
		"panic":           func(*http.Request) (policy.Resource, error) { panic(cause) },
		"abort":           func(*http.Request) (policy.Resource, error) { panic(http.ErrAbortHandler) },
		"nil pointer": func(r *http.Request) (policy.Resource, error) {
			return policy.Resource{Organization: r.TLS.ServerName}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			s.resource = resource
			var seen []policy.Decision
			s.observers = []policy.Option{policy.WithObserver(func(_ context.Context, d policy.Decision) { seen = append(seen, d) })}
			s.start()
			for _, r := range s.both() {
				requireDenied(t, s.serve(r), 503, "ACCESS_CONTROL_UNAVAILABLE")
				d := s.route.Check(r)
				require.Equal(t, policy.Unavailable, d.Reason)
				require.ErrorContains(t, d.Cause, "policy: ")
				require.Equal(t, s.key.ID, d.KeyID())
				require.Zero(t, d.Resource())
				if strings.HasPrefix(name, "error") {
					require.ErrorIs(t, d.Cause, cause)
				}
			}
			require.Len(t, seen, 4, "the engine's observers hear of it")
			require.Equal(t, policy.Unavailable, seen[0].Reason)
		})
	}
}

// Guessed and stolen keys cause no call of the Resource: lines 1 to 11 are judged before
// it. A caller past them causes one.
func TestResourceIsResolvedOnceAndAfterLine11(t *testing.T) {
	_, stranger, err := apikey.New("acme")
	require.NoError(t, err)
	right := func(s *service) *http.Request { return withBearer(s.secret.Reveal()) }
	for name, test := range map[string]struct {
		change  func(s *service)
		request func(s *service) *http.Request
		reason  policy.Reason
		calls   int
	}{
		"no credentials":        {nil, func(*service) *http.Request { return request() }, policy.InvalidRequest, 0},
		"another scheme":        {nil, func(*service) *http.Request { return request("Negotiate x") }, policy.InvalidRequest, 0},
		"malformed credentials": {nil, func(*service) *http.Request { return request("Bearer") }, policy.InvalidRequest, 0},
		"no address": {nil, func(s *service) *http.Request {
			r := right(s)
			r.RemoteAddr = "@"
			return r
		}, policy.Unavailable, 0},
		"guess":            {nil, func(*service) *http.Request { return withBearer("sp_guess") }, policy.UnknownKey, 0},
		"guess of Basic":   {nil, func(s *service) *http.Request { return withBasic(string(s.key.ID), "guess") }, policy.WrongSecret, 0},
		"unknown key":      {nil, func(*service) *http.Request { return withBearer(stranger.Reveal()) }, policy.UnknownKey, 0},
		"wrong secret":     {func(s *service) { s.key.Secrets = nil }, right, policy.WrongSecret, 0},
		"source is down":   {func(s *service) { s.sourceErr = errors.New("down") }, right, policy.Unavailable, 0},
		"key is disabled":  {func(s *service) { s.key.Disabled = true }, right, policy.KeyDisabled, 0},
		"not yet valid":    {func(s *service) { s.key.NotBefore = time.Now().Add(time.Hour) }, right, policy.KeyNotYetValid, 0},
		"expired":          {func(s *service) { s.key.Expires = time.Unix(1, 0) }, right, policy.KeyExpired, 0},
		"stolen key":       {func(s *service) { s.key.AccessList, _ = accesslist.Parse("192.0.2.1") }, right, policy.AddressNotListed, 0},
		"required list":    {func(s *service) { s.key.AccessList, s.organization.Requirement = accesslist.List{}, policy.Required }, right, policy.OrganizationRequiresAccessList, 0},
		"endpoint's list":  {func(s *service) { s.key.AccessList, s.endpoint.RequiresAccessList = accesslist.List{}, true }, right, policy.EndpointRequiresAccessList, 0},
		"another customer": {func(s *service) { s.key.Organization, s.organization.ID = "globex", "globex" }, right, policy.WrongOrganization, 1},
		"no role":          {func(s *service) { s.endpoint.Roles = []string{"owner"} }, right, policy.RoleMissing, 1},
		"allowed":          {nil, right, policy.AddressListed, 1},
		"allowed, open":    {func(s *service) { s.key.AccessList = accesslist.List{} }, right, policy.OpenList, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, calls := newService(t), 0
			if test.change != nil {
				test.change(s)
			}
			s.resource = func(*http.Request) (policy.Resource, error) {
				calls++
				return policy.Resource{Organization: "acme"}, nil
			}
			var reason policy.Reason
			s.observers = []policy.Option{policy.WithObserver(func(_ context.Context, d policy.Decision) { reason = d.Reason })}
			s.start()
			s.serve(test.request(s))
			require.Equal(t, test.reason.String(), reason.String())
			require.Equal(t, test.calls, calls)
		})
	}
}

// The handler is handed what was judged, with the record that was read for it.
func TestHandlerGetsWhatWasJudged(t *testing.T) {
	type record struct{ name string }
	alpha := &record{"Alpha"}
	s := newService(t)
	s.key.Grants = append(s.key.Grants, apikey.Grant{Role: "reader", Project: "alpha"})
	s.resource = func(*http.Request) (policy.Resource, error) {
		return policy.Resource{Organization: "acme", Project: "alpha", Value: alpha}, nil
	}
	s.start()
	called := false
	s.route.Protect(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		called = true
		d, ok := policyhttp.DecisionOf(r.Context())
		require.True(t, ok)
		require.Equal(t, policy.Resource{Organization: "acme", Project: "alpha", Value: alpha}, d.Resource())
		require.Equal(t, "things.read", d.Endpoint().Name)
		value, ok := policyhttp.ValueOf[*record](r.Context())
		require.True(t, ok)
		require.Same(t, alpha, value)
		_, ok = policyhttp.ValueOf[record](r.Context())
		require.False(t, ok, "another type")
	})).ServeHTTP(httptest.NewRecorder(), withBearer(s.secret.Reveal()))
	require.True(t, called)
	_, ok := policyhttp.ValueOf[*record](context.Background())
	require.False(t, ok, "not under a guard")
}

// Under http.ServeMux, with the names in the path.
func TestServeMux(t *testing.T) {
	s := newService(t)
	guard, err := policyhttp.New(s.config)
	require.NoError(t, err)
	owners := map[string]string{"alpha": "acme", "beta": "acme", "gamma": "globex", "%61tlas": "acme", "atlas": "globex"}
	project := policyhttp.PathProject("project", func(_ context.Context, project string) (string, error) {
		if project == "locked" {
			return "", errors.New("the projects' table is locked")
		}
		return owners[project], nil
	})
	mux := http.NewServeMux()
	mux.Handle("GET /organizations/{org}", guard.Protect(s.endpoint, policyhttp.PathOrganization("org"), served))
	mux.Handle("GET /projects/{project}", guard.Protect(s.endpoint, project, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d, _ := policyhttp.DecisionOf(r.Context())
		_, _ = io.WriteString(w, "served "+d.Resource().Project)
	})))
	mux.Handle("GET /wrong/{organization}", guard.Protect(s.endpoint, policyhttp.PathOrganization("org"), served))
	mux.Handle("GET /half/{org}", guard.Protect(s.endpoint, project, served))
	s.key.Grants = append(s.key.Grants, apikey.Grant{Role: "reader", Project: "alpha"}, apikey.Grant{Role: "reader", Project: "%61tlas"})
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/organizations/acme": {200, "served"}, "/organizations/ac%6De": {200, "served"},
		"/organizations/globex": {403, "API_KEY_NOT_IN_ORGANIZATION"}, "/organizations/ACME": {403, "API_KEY_NOT_IN_ORGANIZATION"},
		"/projects/alpha": {200, "served alpha"}, "/projects/al%70ha": {200, "served alpha"},
		"/projects/beta":  {403, "API_KEY_NOT_IN_PROJECT"},
		"/projects/gamma": {403, "API_KEY_NOT_IN_ORGANIZATION"}, "/projects/nonesuch": {403, "API_KEY_NOT_IN_ORGANIZATION"},
		"/projects/locked": {503, "ACCESS_CONTROL_UNAVAILABLE"},
		// The judged resource is served: unescaped once, and never twice.
		"/projects/%2561tlas": {200, "served %61tlas"}, "/projects/%61tlas": {403, "API_KEY_NOT_IN_ORGANIZATION"},
		"/wrong/acme": {400, "INVALID_REQUEST"}, "/half/acme": {400, "INVALID_REQUEST"},
	} {
		r := withBearer(s.secret.Reveal())
		r.URL.Path, r.URL.RawPath = mustUnescape(t, path), path
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		require.Equal(t, want.status, w.Code, "%s: %s", path, w.Body)
		require.Contains(t, w.Body.String(), want.body, path)
	}
}

// A foreign key cannot tell a project that does not exist from somebody else's.
func TestUnknownProjectIsSomebodyElses(t *testing.T) {
	s := newService(t)
	s.key.Grants = append(s.key.Grants, apikey.Grant{Role: "reader", AllProjects: true})
	s.resource = policyhttp.PathProject("project", func(_ context.Context, project string) (string, error) {
		return map[string]string{"gamma": "globex"}[project], nil
	})
	s.start()
	var answers []string
	for _, project := range []string{"gamma", "nonesuch"} {
		r := withBearer(s.secret.Reveal())
		r.SetPathValue("project", project)
		w := s.serve(r)
		requireDenied(t, w, 403, "API_KEY_NOT_IN_ORGANIZATION")
		answers = append(answers, dump(w))
		require.Equal(t, policy.WrongOrganization, s.route.Check(r).Reason)
	}
	require.Equal(t, answers[0], answers[1])
}

func mustUnescape(t *testing.T, path string) string {
	r, err := http.NewRequest(http.MethodGet, "http://example.com"+path, nil)
	require.NoError(t, err)
	return r.URL.Path
}

func TestHeadersResource(t *testing.T) {
	resource := policyhttp.Headers("x-organization", "X-Project")
	for _, test := range []struct {
		header http.Header
		want   policy.Resource
	}{
		{http.Header{"X-Organization": {"acme"}, "X-Project": {"alpha"}}, policy.Resource{Organization: "acme", Project: "alpha"}},
		{http.Header{"X-Organization": {"acme"}, "X-Project": {"alpha", "beta"}}, policy.Resource{}},
		{http.Header{"X-Organization": {"acme"}, "X-Project": {""}}, policy.Resource{}},
		{http.Header{"X-Organization": {"acme"}}, policy.Resource{}},
		{http.Header{"X-Organization": {"acme", "globex"}, "X-Project": {"alpha"}}, policy.Resource{Project: "alpha"}},
		{http.Header{"X-Project": {"alpha"}}, policy.Resource{Project: "alpha"}}, // which is denied without an organization
		{nil, policy.Resource{}},
	} {
		got, err := resource(&http.Request{Header: test.header})
		require.NoError(t, err)
		require.Equal(t, test.want, got)
	}
	got, err := policyhttp.Headers("X-Organization", "")(&http.Request{Header: http.Header{"X-Organization": {"acme"}}})
	require.NoError(t, err)
	require.Equal(t, policy.Resource{Organization: "acme"}, got)
}
