package replica

import (
	"context"
	"iter"
	"net/netip"
	"sync"
	"sync/atomic"
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

// An upstream is a store whose feed and revision go wrong on demand. It can be swapped
// for another, as when a backup is restored.
type upstream struct {
	mu       sync.Mutex
	store    *memory.Store
	revision func(ctx context.Context) error // called first, if there is one
	reply    func()                          // called last
	feed     func(ctx context.Context, t told) told
	name     func(history string, revision uint64) string // of the history, if there is one
	watches  atomic.Int64
	store.Store
}

// A told is what the feed tells, or what becomes of it.
type told struct {
	store.Change
	err   error
	fault feedFault
}

type feedFault int

const (
	pass feedFault = iota
	drop
	end
)

func (u *upstream) current() *memory.Store {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.store
}

func (u *upstream) set(change func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change()
}

// named returns the name of the history of a position.
func (u *upstream) named(p store.Position) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.name == nil {
		return p.History
	}
	return u.name(p.History, p.Revision)
}

func (u *upstream) Position(ctx context.Context) (store.Position, error) {
	u.mu.Lock()
	revision, reply := u.revision, u.reply
	u.mu.Unlock()
	if revision != nil {
		if err := revision(ctx); err != nil {
			return store.Position{}, err
		}
	}
	latest, err := u.current().Position(ctx)
	latest.History = u.named(latest)
	if reply != nil {
		reply()
	}
	return latest, err
}

func (u *upstream) Watch(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
	return func(yield func(store.Change, error) bool) {
		u.watches.Add(1)
		current := u.current()
		if now, _ := current.Position(ctx); after.History == u.named(store.Position{History: now.History, Revision: after.Revision}) {
			after.History = now.History
		}
		for change, err := range current.Watch(ctx, after) {
			if err == nil && change.IsMark() {
				change.History = u.named(change.Position())
			}
			u.mu.Lock()
			feed := u.feed
			u.mu.Unlock()
			t := told{change, err, pass}
			if feed != nil {
				t = feed(ctx, t)
			}
			if t.fault == end || t.fault == pass && !yield(t.Change, t.err) {
				return
			}
		}
	}
}

// bench is an upstream with the organization acme and a key, and a replica of it.
type bench struct {
	*testing.T
	*upstream
	ctx      context.Context
	key      apikey.Key
	secret   apikey.Secret
	replica  *Replica
	failures chan error
	wall     atomic.Int64 // how far the wall clock is ahead of the test's, in nanoseconds
}

// jump sets the replica's wall clock, or has its machine sleep, which looks the same.
func (b *bench) jump(d time.Duration) { b.wall.Add(int64(d)) }

func (b *bench) setClock(r *Replica) {
	began := r.clock.began
	r.clock.fake = func() (monotonic, wall time.Duration) {
		now := time.Now()
		return now.Sub(began), time.Duration(now.UnixNano() + b.wall.Load())
	}
}

// inTime runs a test by a clock of its own, on which waiting takes no time.
func inTime(t *testing.T, test func(b *bench)) { inTimeFrom(t, func(*bench) {}, test) }

// inTimeFrom does something before the replica begins.
func inTimeFrom(t *testing.T, before, test func(b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		b := &bench{T: t, upstream: &upstream{store: memory.New()}, ctx: ctx, failures: make(chan error, 10_000)}
		_, err := b.store.PutOrganization(b.ctx, policy.Organization{ID: "acme"})
		require.NoError(t, err)
		b.key, b.secret, err = apikey.New("acme", apikey.Grant{Role: "reader"})
		require.NoError(t, err)
		b.put()
		before(b)
		b.replica, err = New(b.upstream, WithErrorHandler(func(err error) { b.failures <- err }), b.setClock)
		require.NoError(t, err)
		defer b.replica.Close()
		test(b)
	})
}

// put stores the key again.
func (b *bench) put() {
	b.Helper()
	var err error
	b.key, err = b.current().PutKey(b.ctx, b.key, store.AllowOpen)
	require.NoError(b, err)
}

func (b *bench) ready() {
	b.Helper()
	require.NoError(b, b.replica.Ready(b.ctx))
	synctest.Wait() // a new copy asks the store once more
}

// found returns the revision of the key that a look-up finds.
func (b *bench) found() uint64 {
	b.Helper()
	subject, found, err := b.replica.LookupNow(b.key.ID)
	require.NoError(b, err)
	require.True(b, found)
	return subject.Key().Revision
}

// failure returns the next failure that the replica tells of.
func (b *bench) failure() error {
	b.Helper()
	select {
	case err := <-b.failures:
		return err
	case <-b.ctx.Done():
		require.Fail(b, "the replica tells of no failure")
		return nil
	}
}

func (b *bench) wantStale(text string) {
	b.Helper()
	_, found, err := b.replica.Lookup(b.ctx, b.key.ID)
	assert.False(b, found)
	assert.ErrorIs(b, err, ErrStale)
	assert.ErrorContains(b, err, text)
	d := policy.New(b.replica).Decide(b.ctx, policy.Request{Key: b.key.ID, Secret: b.secret, Client: netip.MustParseAddr("192.0.2.1"), Organization: "acme"})
	assert.Equal(b, policy.Unavailable, d.Reason)
	assert.ErrorIs(b, d.Cause, ErrStale)
}
