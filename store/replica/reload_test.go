package replica

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
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
