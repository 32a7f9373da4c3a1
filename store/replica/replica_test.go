package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
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
	"github.com/sallyport-go/sallyport/store/internal/records"
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

// patience is how long a test may wait in all, by its own clock: without an end a
// replica that never does what it must would hang the tests, since that clock goes on.
const patience = 24 * time.Hour

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

// What holds whatever breaks: an answer is never older than the bound, and once the
// fault is gone the replica recovers by itself.
func TestReplicaIsNeverOlderThanItsBound(t *testing.T) {
	down := errors.New("connection reset")
	for name, test := range map[string]struct {
		breaks func(b *bench)
		text   string
	}{
		"the store does not answer": {func(b *bench) {
			b.revision = func(context.Context) error { return down }
			b.feed = func(context.Context, told) told {
				return told{err: down}
			}
		}, "connection reset"},
		"the revision cannot be had, though the feed goes on": {func(b *bench) {
			b.revision = func(context.Context) error { return down }
		}, "connection reset"},
		"the store hangs": {func(b *bench) {
			b.revision = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		}, "deadline exceeded"},
		"the store's revision panics": {func(b *bench) {
			b.revision = func(context.Context) error { panic("a nil map") }
		}, "a nil map"},
		"the feed is silent": {func(b *bench) {
			b.feed = func(_ context.Context, t told) told {
				t.fault = drop
				return t
			}
		}, "does not deliver"},
		"the feed hangs": {func(b *bench) {
			b.feed = func(ctx context.Context, t told) told {
				<-ctx.Done()
				return told{err: ctx.Err()}
			}
		}, "does not deliver"},
		"the feed ends": {func(b *bench) {
			b.feed = func(context.Context, told) told {
				return told{fault: end}
			}
		}, "ended without an error"},
		"the feed panics": {func(b *bench) {
			b.feed = func(context.Context, told) told { panic("a nil map") }
		}, "a nil map"},
		"the feed is compacted and cannot be loaded": {func(b *bench) {
			b.feed = func(context.Context, told) told {
				return told{err: store.ErrCompacted}
			}
		}, "reach back"},
		"the answers are slow and the feed is silent": {func(b *bench) {
			b.reply = func() { time.Sleep(DefaultMaxStaleness / 3) }
			b.feed = func(_ context.Context, t told) told {
				t.fault = drop
				return t
			}
		}, "does not deliver"},
		"the feed tells half and breaks": {func(b *bench) {
			b.feed = func(_ context.Context, t told) told {
				if t.IsMark() {
					return told{err: down}
				}
				return t
			}
		}, "connection reset"},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(b *bench) {
				b.ready()
				before := b.key.Revision
				b.set(func() { test.breaks(b) })
				if b.reply != nil {
					time.Sleep(DefaultMaxStaleness / 4) // an answer from before the write is on its way
				}
				acknowledged := time.Now()
				b.put() // the replica is not told, or cannot prove that it was
				stale := false
				for time.Since(acknowledged) < 10*DefaultMaxStaleness {
					subject, _, err := b.replica.LookupNow(b.key.ID)
					switch age := time.Since(acknowledged); {
					case err != nil:
						require.ErrorIs(b, err, ErrStale)
						stale = true
					case age > DefaultMaxStaleness:
						require.Equal(b, b.key.Revision, subject.Key().Revision, "%v after it was acknowledged", age)
					default:
						require.Contains(b, []uint64{before, b.key.Revision}, subject.Key().Revision)
					}
					time.Sleep(100 * time.Millisecond)
				}
				require.True(b, stale, "it was refused at last")
				b.wantStale(test.text)
				assert.Greater(b, b.replica.Staleness(), DefaultMaxStaleness)

				b.set(func() { b.upstream.revision, b.reply, b.feed = nil, nil, nil })
				b.ready()
				require.NoError(b, b.replica.Sync(b.ctx))
				assert.Equal(b, b.key.Revision, b.found())
			})
		})
	}
}

// A listener that died without a word is found out before the bound is over.
func TestReplicaBeginsASilentFeedAgain(t *testing.T) {
	inTime(t, func(b *bench) {
		b.ready()
		first := b.watches.Load()
		b.set(func() {
			b.feed = func(_ context.Context, t told) told {
				if b.watches.Load() == first {
					t.fault = drop
					return t
				}
				return t
			}
		})
		b.put()
		require.NoError(b, b.replica.Sync(b.ctx))
		assert.Equal(b, b.key.Revision, b.found(), "and was not refused meanwhile")
		assert.Equal(b, first+1, b.watches.Load())
		assert.ErrorIs(b, b.failure(), errSilent)

		// One that has nothing to say is left alone.
		time.Sleep(time.Hour)
		assert.Equal(b, first+1, b.watches.Load())
	})
}

// While everything is loaded again look-ups go on from the copy that there is.
func TestReplicaLoadsAnewWithoutAGap(t *testing.T) {
	inTime(t, func(b *bench) {
		b.ready()
		first, loading := b.watches.Load(), make(chan struct{})
		b.set(func() {
			b.feed = func(_ context.Context, t told) told {
				if b.watches.Load() == first {
					return told{err: fmt.Errorf("the log: %w", store.ErrCompacted)}
				}
				<-loading
				return t
			}
		})
		before := b.key.Revision
		b.put()
		for range 40 {
			time.Sleep(100 * time.Millisecond)
			assert.Equal(b, before, b.found())
		}
		assert.ErrorIs(b, b.failure(), store.ErrCompacted)
		close(loading)
		require.NoError(b, b.replica.Sync(b.ctx))
		assert.Equal(b, b.key.Revision, b.found())
		assert.Equal(b, first+1, b.watches.Load())
	})
}

// A load that takes long is not begun again and again, but one that hangs is.
func TestReplicaLoadsSlowly(t *testing.T) {
	inTimeFrom(t, func(b *bench) {
		b.feed = func(ctx context.Context, t told) told {
			if b.watches.Load() == 1 {
				<-ctx.Done()
				return told{err: ctx.Err()}
			}
			return t
		}
	}, func(b *bench) {
		time.Sleep(loadPatience / 2)
		assert.EqualValues(b, 1, b.watches.Load())
		time.Sleep(loadPatience)
		assert.EqualValues(b, 2, b.watches.Load())
		b.ready()
		assert.EqualValues(b, 2, b.watches.Load())
	})
}

// A store that went back has given the copy's revisions to nobody, or will give them
// to other writes.
func TestReplicaOfARestoredStore(t *testing.T) {
	inTime(t, func(b *bench) {
		for range 20 {
			b.put()
		}
		b.ready()
		restored, loading := memory.New(), make(chan struct{})
		_, err := restored.PutOrganization(b.ctx, policy.Organization{ID: "acme"})
		require.NoError(b, err)
		b.set(func() {
			b.store = restored
			b.feed = func(_ context.Context, t told) told {
				<-loading
				return t
			}
		})
		time.Sleep(2 * DefaultMaxStaleness)
		b.wantStale("it was fresh")
		cancelled, cancel := context.WithTimeout(b.ctx, time.Second)
		defer cancel()
		assert.ErrorIs(b, b.replica.Sync(cancelled), context.DeadlineExceeded, "what it has is not what the store has")
		close(loading)
		time.Sleep(lastPause)
		_, found, err := b.replica.LookupNow(b.key.ID)
		assert.NoError(b, err)
		assert.False(b, found, "the key was created after the backup")
		assert.EqualValues(b, 1, b.replica.Position().Revision)
		assert.ErrorIs(b, b.failure(), errForked)
		assert.ErrorIs(b, b.failure(), store.ErrCompacted)
		assert.Empty(b, b.failures, "it is told once")
	})
}

// An answer that was under way while everything was loaded again says nothing of the
// copy that there is now.
func TestReplicaIsLoadedWhileItAsks(t *testing.T) {
	inTime(t, func(b *bench) {
		for range 20 {
			b.put()
		}
		b.ready()
		synctest.Wait()
		before, restored := b.current(), memory.New()
		_, err := restored.PutOrganization(b.ctx, policy.Organization{ID: "acme"})
		require.NoError(b, err)
		b.set(func() {
			b.store = restored
			b.reply = func() { time.Sleep(time.Second) }
			b.feed = func(_ context.Context, t told) told {
				if b.watches.Load() == 1 {
					return told{err: store.ErrCompacted}
				}
				return t
			}
		})
		time.Sleep(DefaultMaxStaleness/checksPerBound + time.Second/4) // the store is being asked
		_, err = before.PutKey(b.ctx, b.key, store.AllowOpen)
		require.NoError(b, err)
		time.Sleep(time.Minute)
		assert.EqualValues(b, 1, b.replica.Position().Revision)
		assert.EqualValues(b, 2, b.watches.Load())
		assert.ErrorIs(b, b.failure(), store.ErrCompacted)
		assert.Empty(b, b.failures)
	})
}

// Whoever asks for its own write to be in force learns of a store that went back at once.
func TestSyncWithARestoredStore(t *testing.T) {
	inTime(t, func(b *bench) {
		for range 20 {
			b.put()
		}
		b.ready()
		time.Sleep(time.Millisecond) // between two checks
		restored := memory.New()
		_, err := restored.PutOrganization(b.ctx, policy.Organization{ID: "acme"})
		require.NoError(b, err)
		b.set(func() { b.store = restored })
		b.key.Revision = 0
		b.put()
		require.NoError(b, restored.DeleteKey(b.ctx, b.key.ID, 0))
		require.NoError(b, b.replica.Sync(b.ctx))
		assert.ErrorIs(b, b.failure(), errForked)
		assert.ErrorIs(b, b.failure(), store.ErrCompacted)
		assert.Empty(b, b.failures, "it is told once")
		b.ready()
		_, found, err := b.replica.LookupNow(b.key.ID)
		assert.NoError(b, err)
		assert.False(b, found)
	})
}

// A watch that was ended since its store went back, while it applied what it had read,
// puts nothing in force.
func TestReplicaHearsNothingFromAnEndedWatch(t *testing.T) {
	inTime(t, func(b *bench) {
		b.ready()
		synctest.Wait()
		ended, cancel := context.WithCancel(b.ctx)
		cancel()
		before, mark := b.replica.copy.Load(), b.replica.Position()
		mark.Revision++
		b.replica.reloadNext()
		b.replica.reached(ended, mark, records.NewCopy())
		assert.Same(b, before, b.replica.copy.Load())
		assert.Equal(b, b.key.Revision, b.replica.Position().Revision)
		assert.True(b, b.replica.reload)
	})
}

// What comes between two marks is in force at the second one, all at once.
func TestReplicaWaitsForTheMark(t *testing.T) {
	inTime(t, func(b *bench) {
		b.ready()
		b.set(func() {
			b.feed = func(_ context.Context, t told) told {
				if t.IsMark() {
					time.Sleep(time.Second)
				}
				return t
			}
		})
		before := b.key.Revision
		b.put()
		time.Sleep(time.Second / 2)
		assert.Equal(b, before, b.found())
		time.Sleep(time.Second)
		assert.Equal(b, b.key.Revision, b.found())
	})
}

// W8, S6: one bad row makes one key unavailable.
func TestReplicaOfAnUnreadableRecord(t *testing.T) {
	inTime(t, func(b *bench) {
		id, half := b.key.ID, errors.New("half a row")
		other := b.key
		other.ID, other.Revision = "other", 0
		_, err := b.store.PutKey(b.ctx, other, store.AllowOpen)
		require.NoError(b, err)
		b.set(func() {
			b.feed = func(_ context.Context, t told) told {
				if t.Key == id {
					t.KeyRecord, t.Err = nil, half
				}
				return t
			}
		})
		b.ready()
		b.put()
		require.NoError(b, b.replica.Sync(b.ctx))
		d := policy.New(b.replica).Decide(b.ctx, policy.Request{Key: b.key.ID, Secret: b.secret, Client: netip.MustParseAddr("192.0.2.1"), Organization: "acme"})
		assert.Equal(b, policy.Unavailable, d.Reason)
		assert.ErrorIs(b, d.Cause, half)
		_, found, err := b.replica.LookupNow("other")
		assert.NoError(b, err)
		assert.True(b, found)
	})
}

// The loads of many records come in many steps.
func TestReplicaOfManyKeys(t *testing.T) {
	inTime(t, func(b *bench) {
		for i := range 3 * loadStep {
			key := b.key
			key.ID, key.Revision = apikey.ID(fmt.Sprint("key-", i)), 0
			_, err := b.store.PutKey(b.ctx, key, store.AllowOpen)
			require.NoError(b, err)
		}
		b.ready()
		require.NoError(b, b.replica.Sync(b.ctx))
		for i := range 3 * loadStep {
			_, found, err := b.replica.LookupNow(apikey.ID(fmt.Sprint("key-", i)))
			require.NoError(b, err)
			require.True(b, found)
		}
	})
}

// A machine that slept is one whose wall clock went on while the other stood still.
func TestReplicaWhenTheClockJumps(t *testing.T) {
	const interval = DefaultMaxStaleness / checksPerBound
	down := func(context.Context) error { return errors.New("no route") }
	t.Run("and the store is there", func(t *testing.T) {
		inTime(t, func(b *bench) {
			b.ready()
			for _, jump := range []time.Duration{-time.Hour, time.Second, -time.Second, time.Hour, -time.Hour} {
				b.jump(jump)
				for range 20 {
					time.Sleep(interval / 2)
					synctest.Wait() // a jump is noticed before it is asked
					b.ready()
					assert.Equal(b, b.key.Revision, b.found(), "%v", jump)
				}
				assert.LessOrEqual(b, b.replica.Staleness(), interval, "%v", jump)
			}
			assert.EqualValues(b, 1, b.watches.Load(), "the feed goes on")
			assert.Empty(b, b.failures)
		})
	})
	t.Run("and the store is gone", func(t *testing.T) {
		inTime(t, func(b *bench) {
			b.ready()
			b.set(func() { b.upstream.revision = down })
			b.jump(-time.Hour)
			time.Sleep(interval)
			synctest.Wait()
			assert.Equal(b, b.key.Revision, b.found(), "set back it is no proof of anything")
			b.jump(time.Hour)
			time.Sleep(interval)
			synctest.Wait()
			b.wantStale("it was fresh 1h0m1")
			assert.Greater(b, b.replica.Staleness(), time.Hour)
			b.set(func() { b.upstream.revision = nil })
			b.ready()
		})
	})
	t.Run("by a little, again and again", func(t *testing.T) {
		inTime(t, func(b *bench) {
			b.ready()
			b.set(func() { b.upstream.revision = down })
			for range 3 {
				time.Sleep(interval)
				synctest.Wait()
				assert.Equal(b, b.key.Revision, b.found())
				b.jump(DefaultMaxStaleness / 4)
			}
			time.Sleep(interval)
			synctest.Wait()
			b.wantStale("it was fresh 5") // 3.75 s asleep and 2 s awake
		})
	})
	t.Run("and a look-up is the first to see it", func(t *testing.T) {
		inTime(t, func(b *bench) {
			b.ready()
			for range 3 {
				b.jump(time.Hour)
				b.wantStale("it was fresh 1h0m")
				assert.GreaterOrEqual(b, b.replica.Staleness(), time.Hour)
				b.ready()
				assert.LessOrEqual(b, b.replica.Staleness(), interval)
				b.jump(-2 * time.Hour) // and is set back
				assert.Equal(b, b.key.Revision, b.found())
				time.Sleep(interval)
				synctest.Wait()
			}
			assert.EqualValues(b, 1, b.watches.Load())
		})
	})
	t.Run("between the store's answer and its arrival", func(t *testing.T) {
		inTime(t, func(b *bench) {
			b.ready()
			b.set(func() {
				b.reply = func() {
					b.jump(time.Hour)
					b.set(func() { b.reply, b.upstream.revision = nil, down })
				}
			})
			time.Sleep(2 * interval)
			synctest.Wait()
			b.wantStale("it was fresh 1h0m")
		})
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
