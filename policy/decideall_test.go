package policy_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/own"
	"github.com/sallyport-go/sallyport/policy"
)

// owned is a source that the engine takes for one of this module's.
type owned struct {
	memory
	ahead [][]apikey.ID // calls for reading ahead
}

// Find is LookupNow with the key's facts.
func (o *owned) Find(id apikey.ID) (policy.Subject, own.Facts, error) {
	subject, found, err := o.LookupNow(id)
	if !found || err != nil {
		return policy.Subject{}, 0, err
	}
	key := subject.Key()
	return subject, own.FactsOf(&key), nil
}

func (o *owned) ReadAhead(ids []apikey.ID) (sum int) {
	o.ahead = append(o.ahead, slices.Clone(ids))
	return 0
}

func init() {
	own.Register(func(o *owned) any { return o })
}

// ways are all ways into the rules with the answer of a source.
func ways(m *memory) map[string]policy.Source {
	return map[string]policy.Source{"immediate": m, "own": &owned{memory: *m}, "waiting": m.waiting()}
}

// A source that embeds one of this module's is another type: its answers are checked, and its
// panics end in the decision.
func TestEmbeddedSourceIsNotOwn(t *testing.T) {
	f := openFixture(t)
	other := f.key
	other.ID = "key-2"
	organization := f.organization
	wrong := policy.NewSubject(&other, &organization)
	require.NotNil(t, own.Of(&owned{}))
	for name, source := range map[string]policy.Source{
		"embeds the pointer": struct{ *owned }{&owned{memory: memory{subject: wrong, found: true}}},
		"embeds the value":   &struct{ owned }{owned{memory: memory{subject: wrong, found: true}}},
	} {
		require.Nil(t, own.Of(source), name)
		d := f.decide(source)
		requireDenied(t, d, policy.Unavailable)
		require.ErrorContains(t, d.Cause, `returned key "key-2" for key "key-1"`, name)
	}
	require.Nil(t, own.Of(nil))

	// The registered type itself is believed, which is what the check costs others.
	d := f.decide(&owned{memory: memory{subject: wrong, found: true}})
	require.Equal(t, policy.OpenList, d.Reason)
}

// What is not the source's own code may panic in either way.
func TestLine3PanicsWithOwnSource(t *testing.T) {
	for name, spoil := range map[string]func(*fixture) policy.Option{
		"clock": func(f *fixture) policy.Option {
			f.key.Expires = noon
			return policy.WithClock(func() time.Time { panic("broken") })
		},
		"Verifier": func(f *fixture) policy.Option {
			f.verifyBy(verifierFunc(func(apikey.Key, time.Time) error { panic("broken") }))
			return nil
		},
		"Resolver": func(f *fixture) policy.Option {
			f.request.Organization, f.request.Project = "", ""
			f.request.Resolver = policy.ResolverFunc(func(context.Context) (policy.Resource, error) { panic("broken") })
			return nil
		},
		"ClientDoubter": func(f *fixture) policy.Option {
			f.key.AccessList = list(t, "203.0.113.8")
			f.request.ClientDoubter = brokenDoubter{}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := openFixture(t)
			option := spoil(f)
			for name, source := range ways(f.source()) {
				engine := policy.New(source, policy.WithClock(atNoon), option)
				for _, d := range append(decideAll(t, engine, f.request), engine.Decide(t.Context(), f.request)) {
					requireDenied(t, d, policy.Unavailable)
					require.ErrorContains(t, d.Cause, "panic while deciding: broken", name)
					require.Equal(t, policy.Subject{}, d.Subject(), name)
					requireNoSecret(t, d, f.secret)
				}
			}
		})
	}
}

type brokenDoubter struct{}

func (brokenDoubter) DoubtClient() error { panic("broken") }

// An own source fails, too: a closed store, and a copy that is too old.
func TestLine3OwnSourceFails(t *testing.T) {
	f := openFixture(t)
	source := &owned{memory: memory{err: errors.New("closed")}}
	d := f.decide(source)
	requireDenied(t, d, policy.Unavailable)
	require.EqualError(t, d.Cause, "policy: the source failed: closed")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	source.asked = 0
	d = policy.New(source).Decide(cancelled, f.request)
	requireDenied(t, d, policy.Unavailable)
	require.ErrorIs(t, d.Cause, policy.ErrCallerGone)
	require.Zero(t, source.asked)
	var none *owned
	for _, d := range decideAll(t, policy.New(none), f.request, f.request) {
		requireDenied(t, d, policy.Unavailable)
		require.ErrorContains(t, d.Cause, "panic while deciding")
	}
}

// decideAll collects what DecideAll says of requests, in their order.
func decideAll(t *testing.T, engine *policy.Engine, requests ...policy.Request) (decisions []policy.Decision) {
	t.Helper()
	return decideAllFor(t, t.Context(), engine, requests)
}

// decideAllFor is decideAll for a caller.
func decideAllFor(t *testing.T, ctx context.Context, engine *policy.Engine, requests []policy.Request) (decisions []policy.Decision) {
	t.Helper()
	for i, d := range engine.DecideAll(ctx, requests) {
		require.Len(t, decisions, i)
		decisions = append(decisions, d)
	}
	require.Len(t, decisions, len(requests))
	return decisions
}

// manyRequests are requests of n keys in turn, and the source with them. Every third key is
// absent.
func manyRequests(t *testing.T, requests, n int) ([]policy.Request, mapSource) {
	f := newFixture(t)
	f.verifyBy(policy.AlreadyVerified{})
	source := mapSource{}
	all := make([]policy.Request, requests)
	for i := range all {
		all[i] = f.request
		all[i].Key = apikey.ID(fmt.Sprintf("key-%d", i%n))
		if i < n && i%3 != 2 {
			f.key.ID = all[i].Key
			source[f.key.ID] = f.subject()
		}
	}
	return all, source
}

func TestDecideAllIsDecideInOrder(t *testing.T) {
	requests, keys := manyRequests(t, 100, 40)
	requests[3].Console, requests[4].Key, requests[5].Key = true, "", "not an ID"
	requests[6].Err, requests[7].Err = policy.ErrInvalidCredentials, policy.ErrMalformedCredentials
	for name, source := range map[string]policy.Source{"immediate": keys, "waiting": policy.SourceFunc(keys.Lookup), "none": nil} {
		var observed []policy.Decision
		observer := policy.WithObserver(func(_ context.Context, d policy.Decision) { observed = append(observed, d) })
		engine := policy.New(source, policy.WithClock(atNoon), policy.WithTimeout(time.Minute), observer)
		decisions := decideAll(t, engine, requests...)
		require.Equal(t, observed, decisions, name)
		for i, request := range requests {
			require.Equal(t, engine.Decide(t.Context(), request), decisions[i], "%s: request %d", name, i)
		}
		require.Empty(t, decideAll(t, engine))
	}
	var none *policy.Engine
	for _, d := range append(decideAll(t, none, requests[0]), decideAll(t, new(policy.Engine), requests[0])...) {
		requireDenied(t, d, policy.Unavailable)
		require.ErrorContains(t, d.Cause, "the engine has no source")
	}
}

// A request is decided when its turn comes, again in a second loop, and not after a loop ended.
func TestDecideAllDecidesWhatIsAskedFor(t *testing.T) {
	requests, keys := manyRequests(t, 5, 5)
	for name, source := range map[string]policy.Source{"immediate": keys, "waiting": policy.SourceFunc(keys.Lookup)} {
		observed := 0
		engine := policy.New(source, policy.WithObserver(func(context.Context, policy.Decision) { observed++ }))
		decisions := engine.DecideAll(t.Context(), requests)
		require.Zero(t, observed, name)
		for _, want := range []int{3, 6} {
			for i := range decisions {
				if i == 2 {
					break
				}
			}
			require.Equal(t, want, observed, name)
		}
	}
}

// A slow source is asked once for each key, and as often at once as the engine may.
func TestDecideAllSharesLookups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests, keys := manyRequests(t, 1000, 100)
		var asked, underway, most atomic.Int64
		source := policy.SourceFunc(func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
			asked.Add(1)
			if n := underway.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer underway.Add(-1)
			time.Sleep(time.Second)
			return keys.Lookup(ctx, id)
		})
		began := time.Now()
		decideAll(t, policy.New(source, policy.WithMaxLookups(10), policy.WithTimeout(time.Minute)), requests...)
		require.EqualValues(t, 100, asked.Load())
		require.EqualValues(t, 10, most.Load())
		require.Equal(t, 10*time.Second, time.Since(began))

		// The caller hangs up after three seconds.
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second+time.Millisecond)
		defer cancel()
		asked.Store(0)
		began = time.Now()
		for _, d := range decideAllFor(t, ctx, policy.New(source, policy.WithMaxLookups(10), policy.WithTimeout(time.Minute)), requests) {
			requireDenied(t, d, policy.Unavailable)
			require.ErrorIs(t, d.Cause, policy.ErrRequestExpired)
		}
		require.Equal(t, 3*time.Second+time.Millisecond, time.Since(began))
		require.EqualValues(t, 40, asked.Load(), "no look-up begins afterwards")
		time.Sleep(time.Minute)
	})
}

func TestDecideAllFailsClosed(t *testing.T) {
	requests, _ := manyRequests(t, 20, 5)
	panics := policy.SourceFunc(func(context.Context, apikey.ID) (policy.Subject, bool, error) { panic("broken") })
	fails := policy.SourceFunc(func(context.Context, apikey.ID) (policy.Subject, bool, error) {
		return policy.Subject{}, false, errors.New("broken")
	})
	for _, source := range []policy.Source{panics, fails, panicking{}} {
		for _, d := range decideAll(t, policy.New(source, policy.WithTimeout(time.Minute)), requests...) {
			requireDenied(t, d, policy.Unavailable)
			require.ErrorContains(t, d.Cause, "broken")
		}
	}
	for _, d := range decideAllFor(t, nil, policy.New(fails), requests) {
		requireDenied(t, d, policy.Unavailable)
		require.ErrorContains(t, d.Cause, "panic while deciding")
	}
}

// An own source is asked to read ahead, for as many keys as come next.
func TestDecideAllReadsAhead(t *testing.T) {
	requests, _ := manyRequests(t, 2*own.AtOnce+3, 100)
	source := &owned{}
	decideAll(t, policy.New(source), requests...)
	var lengths []int
	var ids []apikey.ID
	for _, ahead := range source.ahead {
		lengths = append(lengths, len(ahead))
		ids = append(ids, ahead...)
	}
	require.Equal(t, []int{own.AtOnce, own.AtOnce, 3}, lengths)
	for i := range requests {
		require.Equal(t, requests[i].Key, ids[i])
	}
}

// Requests that lines 1 and 2 answer are looked up no more than by Decide.
func TestDecideAllAsksNothingForRefusedRequests(t *testing.T) {
	requests, _ := manyRequests(t, 3, 3)
	requests[0].Console, requests[1].Err, requests[2].Client = true, policy.ErrMalformedCredentials, netip.Addr{}
	source := &memory{}
	decisions := decideAll(t, policy.New(source.waiting()), requests...)
	for i, want := range []policy.Reason{policy.ConsoleForbidden, policy.InvalidRequest, policy.InvalidRequest} {
		requireDenied(t, decisions[i], want)
	}
	require.Zero(t, source.asked)
}
