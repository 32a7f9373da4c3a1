package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
)

// patience is how long a test may wait in all, by its own clock: without an end a
// replica that never does what it must would hang the tests, since that clock goes on.
const patience = 24 * time.Hour

func TestReplicaFollows(t *testing.T) {
	inTime(t, func(b *bench) {
		b.ready()
		assert.Equal(b, b.key.Revision, b.found())
		assert.Equal(b, b.key.Revision, b.replica.Position().Revision)
		_, found, err := b.replica.Lookup(b.ctx, "nobody")
		assert.NoError(b, err)
		assert.False(b, found)

		for range 3 {
			b.put()
			require.NoError(b, b.replica.Sync(b.ctx))
			assert.Equal(b, b.key.Revision, b.found())
		}
		require.NoError(b, b.store.DeleteKey(b.ctx, b.key.ID, 0))
		require.NoError(b, b.replica.Sync(b.ctx))
		_, found, err = b.replica.Lookup(b.ctx, b.key.ID)
		assert.NoError(b, err)
		assert.False(b, found)

		cancelled, cancel := context.WithCancel(b.ctx)
		cancel()
		_, _, err = b.replica.Lookup(cancelled, b.key.ID)
		assert.ErrorIs(b, err, context.Canceled)

		for range 60 {
			time.Sleep(time.Second)
			assert.LessOrEqual(b, b.replica.Staleness(), DefaultMaxStaleness/checksPerBound)
			_, _, err = b.replica.LookupNow(b.key.ID)
			assert.NoError(b, err)
		}
		assert.NoError(b, b.replica.Err())
		assert.Empty(b, b.failures)
		assert.EqualValues(b, 1, b.watches.Load())
	})
}

// Nothing is let through before everything is there.
func TestReplicaBeforeItIsLoaded(t *testing.T) {
	down := errors.New("connection refused")
	inTimeFrom(t, func(b *bench) {
		b.feed = func(context.Context, told) told {
			return told{err: down}
		}
	}, func(b *bench) {
		b.wantStale("not loaded yet")
		assert.Equal(b, time.Duration(math.MaxInt64), b.replica.Staleness())
		assert.Zero(b, b.replica.Position().Revision)
		ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
		defer cancel()
		err := b.replica.Ready(ctx)
		assert.ErrorIs(b, err, context.DeadlineExceeded)
		assert.ErrorIs(b, err, down)
		b.wantStale("connection refused")
		assert.ErrorIs(b, b.replica.Err(), down)
		assert.ErrorIs(b, b.failure(), down)

		// Half of it.
		b.set(func() {
			b.feed = func(_ context.Context, t told) told {
				if t.IsMark() {
					t.fault = end
					return t
				}
				return t
			}
		})
		time.Sleep(time.Minute)
		b.wantStale("ended without an error")

		b.set(func() { b.feed = nil })
		b.ready()
		assert.Equal(b, b.key.Revision, b.found())
		assert.NoError(b, b.replica.Err())
	})
}

// A store without any record can be copied too, and has revision zero.
func TestReplicaOfAnEmptyStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		r, err := New(s, WithMaxStaleness(time.Second))
		require.NoError(t, err)
		defer r.Close()
		require.NoError(t, r.Ready(t.Context()))
		_, found, err := r.LookupNow("key")
		assert.NoError(t, err)
		assert.False(t, found)
		_, err = s.PutOrganization(t.Context(), policy.Organization{ID: "acme"})
		require.NoError(t, err)
		require.NoError(t, r.Sync(t.Context()))
	})
}

func TestReplicaWaits(t *testing.T) {
	inTime(t, func(b *bench) {
		b.ready()
		ctx, cancel := context.WithTimeout(b.ctx, time.Second)
		defer cancel()
		b.set(func() {
			b.feed = func(_ context.Context, t told) told {
				t.fault = drop
				return t
			}
		})
		b.put()
		err := b.replica.Sync(ctx)
		assert.ErrorIs(b, err, context.DeadlineExceeded)
		assert.ErrorContains(b, err, fmt.Sprint("revision ", b.key.Revision))

		down := errors.New("connection refused")
		b.set(func() { b.upstream.revision = func(context.Context) error { return down } })
		assert.ErrorIs(b, b.replica.Sync(b.ctx), down)
		time.Sleep(2 * DefaultMaxStaleness)
		ctx, cancel = context.WithTimeout(b.ctx, time.Second)
		defer cancel()
		assert.ErrorIs(b, b.replica.Ready(ctx), down)
	})
}

func TestReplicaClose(t *testing.T) {
	inTime(t, func(b *bench) {
		b.ready()
		b.set(func() {
			b.feed = func(_ context.Context, t told) told {
				t.fault = drop
				return t
			}
		})
		b.put()
		waited := make(chan error)
		go func() { waited <- b.replica.Sync(b.ctx) }()
		synctest.Wait()
		require.NoError(b, b.replica.Close())
		assert.ErrorIs(b, <-waited, store.ErrClosed)
		require.NoError(b, b.replica.Close())
		_, _, err := b.replica.LookupNow(b.key.ID)
		assert.ErrorIs(b, err, store.ErrClosed)
		assert.ErrorIs(b, b.replica.Ready(b.ctx), store.ErrClosed)
		_, err = b.current().Position(b.ctx)
		assert.NoError(b, err, "the store is the caller's")
		b.replica.confirm() // a check that was under way confirms nothing any more
		_, _, err = b.replica.LookupNow(b.key.ID)
		assert.ErrorIs(b, err, store.ErrClosed)
	})
}

// A replica whose store was closed under it.
func TestReplicaOfAClosedStore(t *testing.T) {
	inTime(t, func(b *bench) {
		b.ready()
		require.NoError(b, b.current().Close())
		time.Sleep(2 * DefaultMaxStaleness)
		b.wantStale("closed")
	})
}

func TestReplicaNeedsAFeed(t *testing.T) {
	_, err := New(struct{ store.Store }{memory.New()})
	assert.ErrorContains(t, err, "has no change feed")
}

func TestOptions(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{
		-1: DefaultMaxStaleness, 0: DefaultMaxStaleness, 5: 10 * time.Millisecond, time.Second: time.Second, math.MaxInt64: 24 * time.Hour,
	} {
		r, err := New(memory.New(), WithMaxStaleness(given), WithErrorHandler(nil), nil)
		require.NoError(t, err)
		assert.Equal(t, want, r.bound)
		assert.NoError(t, r.Ready(t.Context()))
		require.NoError(t, r.Close())
	}
}

// Whoever sets no handler finds failures in the log, and one that panics ends nothing.
func TestReplicaTellsOfFailures(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	logError(errors.New("connection refused"))
	assert.Contains(t, log.String(), `msg=store/replica error="connection refused"`)
	(&Replica{handle: func(error) { panic("a nil map") }}).failed(errors.New("connection refused"))
}

func TestLookupNowAllocatesNothing(t *testing.T) {
	s := memory.New()
	_, err := s.PutOrganization(t.Context(), policy.Organization{ID: "acme"})
	require.NoError(t, err)
	key, _, err := apikey.New("acme")
	require.NoError(t, err)
	_, err = s.PutKey(t.Context(), key, store.AllowOpen)
	require.NoError(t, err)
	r, err := New(s, WithMaxStaleness(time.Hour))
	require.NoError(t, err)
	defer r.Close()
	require.NoError(t, r.Ready(t.Context()))
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		if _, found, err := r.LookupNow(key.ID); !found || err != nil {
			t.Error(found, err)
		}
	}))
}

// Rule M20: a suspension ends by the clock, with no write and no news: in the store and in a
// copy at the same instant.
func TestM20ASuspensionEndsEverywhereAtOnce(t *testing.T) {
	ctx, keys := context.Background(), memory.New()
	until := time.Date(2026, 6, 1, 13, 0, 0, 0, time.UTC)
	_, err := keys.PutOrganization(ctx, policy.Organization{ID: "acme", Requirement: policy.Required, SuspendedUntil: until})
	require.NoError(t, err)
	key, _, err := apikey.New("acme")
	require.NoError(t, err)
	_, err = keys.PutKey(ctx, key, store.AllowOpen)
	require.NoError(t, err)
	copied, err := New(keys)
	require.NoError(t, err)
	defer copied.Close()
	require.NoError(t, copied.Ready(ctx))

	var now time.Time
	clock := policy.WithClock(func() time.Time { return now })
	engines := map[string]*policy.Engine{"store": policy.New(keys, clock), "copy": policy.New(copied, clock)}
	request := policy.Request{Key: key.ID, Verifier: policy.AlreadyVerified{}, Client: netip.MustParseAddr("203.0.113.7"), Organization: "acme"}
	for _, step := range []struct {
		at   time.Time
		want policy.Reason
	}{
		{until.Add(-time.Hour), policy.OpenList}, {until.Add(-1), policy.OpenList},
		{until, policy.OrganizationRequiresAccessList}, {until.Add(time.Hour), policy.OrganizationRequiresAccessList},
		{until.Add(-1), policy.OpenList}, // a clock that was set back
	} {
		now = step.at
		for where, engine := range engines {
			assert.Equal(t, step.want, engine.Decide(ctx, request).Reason, "%s at %v", where, step.at)
		}
	}
}

// DecideAll reads the copy's records ahead, as soon as there is a copy.
func TestDecideAllOfAReplica(t *testing.T) {
	require.NotPanics(t, func() { finder{new(Replica)}.ReadAhead([]apikey.ID{"key"}) })
	ctx, s := t.Context(), memory.New()
	_, err := s.PutOrganization(ctx, policy.Organization{ID: "acme"})
	require.NoError(t, err)
	key, _, err := apikey.New("acme")
	require.NoError(t, err)
	_, err = s.PutKey(ctx, key, store.AllowOpen)
	require.NoError(t, err)
	r, err := New(s)
	require.NoError(t, err)
	defer r.Close()
	require.NoError(t, r.Ready(ctx))
	request := policy.Request{Key: key.ID, Verifier: policy.AlreadyVerified{}, Client: netip.MustParseAddr("203.0.113.7"), Organization: "acme"}
	unknown := request
	unknown.Key = "unknown"
	engine := policy.New(r)
	for range 2 {
		var reasons []policy.Reason
		for _, d := range engine.DecideAll(ctx, []policy.Request{request, unknown, request}) {
			reasons = append(reasons, d.Reason)
		}
		require.Equal(t, []policy.Reason{policy.OpenList, policy.UnknownKey, policy.OpenList}, reasons)
	}
	require.NoError(t, r.Close())
	decided := 0
	for _, d := range engine.DecideAll(ctx, []policy.Request{request, unknown}) {
		require.Equal(t, policy.Unavailable, d.Reason)
		require.ErrorIs(t, d.Cause, store.ErrClosed)
		decided++
	}
	require.Equal(t, 2, decided)
}
