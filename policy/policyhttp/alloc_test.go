package policyhttp_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

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
// and with the copy of the request.
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
		for scheme, r := range requests {
			handler.ServeHTTP(w, r) // the first line of a sampled log is written
			allowed = 0
			allocations := testing.AllocsPerRun(1000, func() { handler.ServeHTTP(w, r) })
			require.InDelta(t, 1, allocations, allocsOfPool, "%s, %s", name, scheme)
			require.Equal(t, 1001, allowed)
		}
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
