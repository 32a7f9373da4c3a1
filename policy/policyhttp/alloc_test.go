package policyhttp_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// silent is a ResponseWriter that does nothing.
type silent struct{ header http.Header }

func (s silent) Header() http.Header         { return s.header }
func (s silent) Write(b []byte) (int, error) { return len(b), nil }
func (s silent) WriteHeader(int)             {}

// speedRoutes are the routes that the allocation test and the benchmark are about: what
// may be in front of a handler that allocates nothing itself. The requests of both work
// with all of them.
func speedRoutes(t testing.TB, s *service, next http.Handler) map[string]http.Handler {
	routes := map[string]http.Handler{}
	for name, test := range map[string]struct {
		resource  policyhttp.Resource
		observers []policy.Option
	}{
		"function":    {s.resource, nil},
		"path values": {policyhttp.PathOrganization("org"), nil},
		"headers":     {policyhttp.Headers("x-organization", "x-project"), nil},
		"observers": {s.resource, []policy.Option{
			policy.WithObserver(new(policyhttp.Counters).Observe),
			policy.WithObserver(policyhttp.Log(slog.New(slog.DiscardHandler), policyhttp.LogOptions{})),
		}},
		"text log": {s.resource, []policy.Option{
			policy.WithObserver(policyhttp.Log(slog.New(slog.NewTextHandler(io.Discard, nil)), policyhttp.LogOptions{})),
		}},
		"JSON log": {s.resource, []policy.Option{
			policy.WithObserver(policyhttp.Log(slog.New(slog.NewJSONHandler(io.Discard, nil)), policyhttp.LogOptions{})),
		}},
		"sampled log": {s.resource, []policy.Option{
			policy.WithObserver(policyhttp.Log(slog.New(slog.NewTextHandler(io.Discard, nil)), policyhttp.LogOptions{AllowEvery: 1e9})),
		}},
	} {
		config := s.config
		config.Engine = policy.New(quiet{s}, test.observers...)
		guard, err := policyhttp.New(config)
		require.NoError(t, err)
		routes[name] = guard.Protect(s.endpoint, test.resource, next)
	}
	return routes
}

func speedRequests(s *service) map[string]*http.Request {
	s.key.Grants = append(s.key.Grants, apikey.Grant{Role: "reader", Project: "alpha"})
	requests := s.both()
	for _, r := range requests {
		r.SetPathValue("org", "acme")
		r.Header["X-Organization"], r.Header["X-Project"] = []string{"acme"}, []string{"alpha"}
	}
	return requests
}

// An allowed request costs one allocation: the call with the decision, which is the context,
// and with the copy of the request. A line of a log costs one more, whatever the address.
func TestAllocations(t *testing.T) {
	s, allowed := newService(t), 0
	requests := speedRequests(s)
	routes := speedRoutes(t, s, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if d, ok := policyhttp.DecisionOf(r.Context()); ok && d.Allowed() {
			allowed++
		}
	}))
	w := silent{http.Header{}}
	for name, handler := range routes {
		want := 1.0
		if name == "text log" || name == "JSON log" {
			want = 2
		}
		for scheme, r := range requests {
			handler.ServeHTTP(w, r) // the first line of a sampled log is written
			allowed = 0
			allocations := testing.AllocsPerRun(1000, func() { handler.ServeHTTP(w, r) })
			require.InDelta(t, want, allocations, 2*allocsOfPool, "%s, %s", name, scheme)
			require.Equal(t, 1001, allowed)
		}
	}
}

// An ID of the longest kind does not fit into the call.
func TestAllocationsOfLongIDs(t *testing.T) {
	s := newService(t)
	var err error
	s.key.ID = apikey.ID(strings.Repeat("k", 40))
	s.key.Secrets = nil
	s.key, s.secret, err = apikey.Issue(s.key)
	require.NoError(t, err)
	for name, handler := range speedRoutes(t, s, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})) {
		if name == "function" {
			w, r := silent{http.Header{}}, withBearer(s.secret.Reveal())
			require.InDelta(t, 2, testing.AllocsPerRun(1000, func() { handler.ServeHTTP(w, r) }), allocsOfPool)
		}
	}
}

// The address of a header costs nothing, and long ones fit into the piece of a log's line.
func TestAllocationsBehindProxies(t *testing.T) {
	s := newService(t)
	list, err := accesslist.Parser{AllowIPv6: true}.Parse("2001:db8:aaaa:bbbb:cccc:dddd:eeee:f000/116", "203.0.113.0/24")
	require.NoError(t, err)
	s.key.AccessList = list
	s.config.Address = policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, netip.MustParsePrefix("10.0.0.0/8"))
	w := silent{http.Header{}}
	for _, client := range []string{"203.0.113.7", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"} {
		r := withBearer(s.secret.Reveal())
		r.RemoteAddr = "10.0.0.1:4711"
		r.Header.Set("X-Forwarded-For", "192.0.2.1, "+client+", 10.0.0.2")
		allowed := 0
		routes := speedRoutes(t, s, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { allowed++ }))
		for name, want := range map[string]float64{"function": 1, "text log": 2, "JSON log": 2} {
			handler := routes[name]
			require.InDelta(t, want, testing.AllocsPerRun(1000, func() { handler.ServeHTTP(w, r) }), 2*allocsOfPool, "%s, %s", name, client)
		}
		require.Equal(t, 3*1001, allowed)
	}
}

func BenchmarkProtect(b *testing.B) {
	s, w := newService(b), silent{http.Header{}}
	requests := speedRequests(s)
	for name, handler := range speedRoutes(b, s, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})) {
		for scheme, r := range requests {
			b.Run(name+"/"+scheme, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					handler.ServeHTTP(w, r)
				}
			})
		}
	}
}

// quiet is the source without its record of what was asked.
type quiet struct{ *service }

func (q quiet) LookupNow(id apikey.ID) (policy.Subject, bool, error) {
	return policy.NewSubject(&q.key, &q.organization), id == q.key.ID, nil
}

func (q quiet) Lookup(_ context.Context, id apikey.ID) (policy.Subject, bool, error) {
	return q.LookupNow(id)
}
