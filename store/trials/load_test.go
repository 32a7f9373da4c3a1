package trials_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/admin/adminhttp"
	"github.com/sallyport-go/sallyport/store/admin/console"
)

// TestLoad measures the administration APIs and the console over a hundred thousand keys of 20
// entries, most of them of one organization: calls a second, the calls of the store behind one,
// and the bytes allocated. Beside them is the same read or write by the store alone.
func TestLoad(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) system{"sqlite": sqliteSystem, "postgres": postgresSystem} {
		t.Run(name, func(t *testing.T) {
			s, n := open(t).open(t), of(100_000, 1_500)
			began := time.Now()
			secret := seedCrowd(t, s, n)
			t.Logf("%s: %d keys seeded in %v", name, n, time.Since(began).Round(time.Millisecond))
			l := newLoaded(t, s, n, secret)
			l.alone(s)
			l.documented()
			l.own()
			l.pages()
			l.bounded()
		})
	}
}

// A loaded service has its APIs and its console under load.
type loaded struct {
	*testing.T
	counted *countedStore
	server  *httptest.Server
	keys    int
	secret  apikey.Secret
}

func newLoaded(t *testing.T, s store.Store, keys int, secret apikey.Secret) *loaded {
	l := &loaded{T: t, counted: countCalls(t, s), keys: keys, secret: secret}
	a, err := admin.New(l.counted, admin.WithManagers("OWNER"), admin.RequireJournal())
	require.NoError(t, err)
	guard, err := policyhttp.New(policyhttp.Config{Engine: policy.New(l.counted, policy.WithTimeout(time.Minute))})
	require.NoError(t, err)
	api, err := adminhttp.New(adminhttp.Config{
		Admin: a, Store: l.counted, Guard: guard, MaxKeys: 1_000_000, OrganizationRoles: []string{"MEMBER"},
		Roles: adminhttp.Roles{Read: []string{"OWNER"}, Manage: []string{"OWNER"}},
	})
	require.NoError(t, err)
	ann := admin.Person{ID: "ann", May: func(string, admin.Access) bool { return true }}
	pages, err := console.New(console.Config{
		Admin: a, Store: l.counted, Person: func(*http.Request) (admin.Person, error) { return ann, nil },
		Observe: func(_ context.Context, err error) { t.Error(err) },
	})
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle("/api/", api)
	mux.Handle("/console/", http.StripPrefix("/console", pages))
	l.server = httptest.NewServer(mux)
	t.Cleanup(l.server.Close)
	return l
}

// An ask is a request.
type ask struct {
	method, path, body string
	headers            []string // name, value
}

// do sends a request and reads all of the answer.
func (l *loaded) do(a ask) (string, error) {
	r, err := http.NewRequestWithContext(l.Context(), a.method, l.server.URL+a.path, strings.NewReader(a.body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(a.path, "/console/") {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else {
		r.Header.Set("Authorization", "Bearer "+l.secret.Reveal())
	}
	for i := 0; i < len(a.headers); i += 2 {
		r.Header.Set(a.headers[i], a.headers[i+1])
	}
	answer, err := l.server.Client().Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %.600s", a.method, a.path, answer.Status, body)
	}
	return string(body), err
}

// A figure is what one kind of call costs.
type figure struct {
	name   string
	median time.Duration // alone
	rate   float64       // a second, by four callers
	calls  int64         // of the store, for one
	bytes  uint64        // allocated for one, by the caller as well
}

func (f figure) String() string {
	return fmt.Sprintf("%-44s %9.1f a second, median %10v, %4d calls of the store, %8d KiB", f.name, f.rate, f.median.Round(10*time.Microsecond), f.calls, f.bytes>>10)
}

// measure makes calls one after the other, and then by four callers at once. A slow call is only
// made twice.
func (l *loaded) measure(name string, call func(i int) error) figure {
	l.Helper()
	made := -1
	next := func() error { made++; return call(made) }
	require.NoError(l, next(), name) // connections, caches
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	calls, began := l.counted.calls.Load(), time.Now()
	require.NoError(l, next(), name)
	f := figure{name: name, median: time.Since(began), calls: l.counted.calls.Load() - calls}
	runtime.ReadMemStats(&after)
	f.bytes, f.rate = after.TotalAlloc-before.TotalAlloc, 1/f.median.Seconds()
	if f.median < time.Duration(of(1000, 50))*time.Millisecond {
		var times []time.Duration
		for end := began.Add(time.Duration(of(1000, 5)) * time.Millisecond); len(times) == 0 || time.Now().Before(end); {
			began := time.Now()
			require.NoError(l, next(), name)
			times = append(times, time.Since(began))
		}
		slices.Sort(times)
		f.median, f.rate = times[len(times)/2], l.together(made+1, call)
	}
	l.Log(f)
	return f
}

// together returns how many calls a second four callers get through.
func (l *loaded) together(first int, call func(i int) error) float64 {
	l.Helper()
	const callers = 4
	began := time.Now()
	end := began.Add(time.Duration(of(1000, 5)) * time.Millisecond)
	var group errgroup.Group
	var total atomic.Int64
	for c := range callers {
		group.Go(func() error {
			for i := first + c; i == first+c || time.Now().Before(end); i += callers {
				if err := call(i); err != nil {
					return err
				}
				total.Add(1)
			}
			return nil
		})
	}
	require.NoError(l, group.Wait())
	return float64(total.Load()) / time.Since(began).Seconds()
}

// asks measures a request that is made anew for each call.
func (l *loaded) asks(name string, request func(i int) ask) figure {
	l.Helper()
	return l.measure(name, func(i int) error {
		_, err := l.do(request(i))
		return err
	})
}

func (l *loaded) gets(name, path string) figure {
	l.Helper()
	return l.asks(name, func(int) ask { return ask{method: "GET", path: path} })
}

// member returns the ID of a key of the crowd with a list, another one for each i.
func (l *loaded) member(i int) string {
	i = i * 7919 % (l.keys / 50) // a prime
	return string(crowdKey(i*50 + 3))
}

// alone measures the store by itself.
func (l *loaded) alone(s store.Store) {
	ctx, recorder, journal := l.Context(), as[store.UsageRecorder](l.T, s), as[store.Journal](l.T, s)
	l.measure("store: a key", func(i int) error { _, err := s.Key(ctx, apikey.ID(l.member(i))); return err })
	l.measure("store: an organization", func(int) error { _, err := s.Organization(ctx, crowd); return err })
	l.measure("store: 100 keys", func(int) error { _, err := s.Keys(ctx, crowd, store.PageRequest{Limit: 100}); return err })
	l.measure("store: every key", func(int) error {
		for _, err := range store.AllKeys(ctx, s, crowd) {
			if err != nil {
				return err
			}
		}
		return nil
	})
	l.measure("store: the usage of a key", func(i int) error { _, err := recorder.Usage(ctx, apikey.ID(l.member(i))); return err })
	l.measure("store: 100 events", func(int) error {
		_, err := journal.Events(ctx, store.EventRequest{Organization: crowd, Newest: true, Limit: 100})
		return err
	})
	l.measure("store: a key written", func(i int) error {
		for {
			key, err := s.Key(ctx, apikey.ID(l.member(i)))
			if err == nil {
				_, err = s.PutKey(ctx, key)
			}
			if !errors.Is(err, store.ErrConflict) {
				return err
			}
		}
	})
}

// timed makes a call that cannot be made twice.
func (l *loaded) timed(a ask) time.Duration {
	l.Helper()
	began := time.Now()
	_, err := l.do(a)
	require.NoError(l, err)
	return time.Since(began).Round(time.Millisecond)
}
