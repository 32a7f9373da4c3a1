package replica

import (
	"context"
	"fmt"
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

// A standby was promoted that lacked the last writes. It has given their revisions again,
// and more, before it is asked; and the old feed is silent, or goes on with what was lost.
// The switched-off key is not answered as on beyond the bound, nor after Sync.
func TestReplicaOfAPromotedStandby(t *testing.T) {
	for name, feed := range map[string]func(ctx context.Context, t told) told{
		"and the feed says so": func(_ context.Context, t told) told { return told{err: store.ErrCompacted} },
		"and the feed is silent": func(ctx context.Context, t told) told {
			<-ctx.Done()
			return told{err: ctx.Err()}
		},
		"and the feed goes on with lost writes": func(_ context.Context, t told) told { return t },
	} {
		for _, sync := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", with Sync ", sync), func(t *testing.T) {
				inTime(t, func(b *bench) {
					standby, old := memory.New(), b.current()
					_, err := standby.PutOrganization(b.ctx, policy.Organization{ID: "acme"})
					require.NoError(b, err)
					key := b.key
					key.Revision = 0
					key, err = standby.PutKey(b.ctx, key, store.AllowOpen)
					require.NoError(b, err)
					b.put() // which the standby lacks
					b.put()
					b.ready()
					require.NoError(b, b.replica.Sync(b.ctx))
					first := b.watches.Load()
					b.set(func() {
						b.store = standby
						b.feed = func(ctx context.Context, t told) told {
							if b.watches.Load() == first {
								return feed(ctx, t)
							}
							return t
						}
					})
					_, err = old.PutKey(b.ctx, b.key, store.AllowOpen) // a server that nobody reaches any more
					require.NoError(b, err)
					key.Disabled = true
					key, err = standby.PutKey(b.ctx, key, store.AllowOpen)
					require.NoError(b, err)
					require.LessOrEqual(b, key.Revision, b.key.Revision)
					other := policy.Organization{ID: "other"}
					for range 10 {
						other, err = standby.PutOrganization(b.ctx, other)
						require.NoError(b, err)
					}
					acknowledged := time.Now()
					if sync {
						require.NoError(b, b.replica.Sync(b.ctx))
						b.wantDisabled(key)
						return
					}
					for time.Since(acknowledged) < 10*DefaultMaxStaleness {
						subject, found, err := b.replica.LookupNow(b.key.ID)
						if err != nil {
							require.ErrorIs(b, err, ErrStale)
						} else if found && !subject.Key().Disabled {
							require.LessOrEqual(b, time.Since(acknowledged), DefaultMaxStaleness)
						}
						time.Sleep(50 * time.Millisecond)
					}
					b.wantDisabled(key)
					assert.Less(b, b.replica.Staleness(), DefaultMaxStaleness)
					assert.LessOrEqual(b, b.watches.Load(), first+2, "it was restarted once, and then reloaded")
				})
			})
		}
	}
}

func (b *bench) wantDisabled(want apikey.Key) {
	b.Helper()
	subject, found, err := b.replica.LookupNow(want.ID)
	require.NoError(b, err)
	require.True(b, found)
	require.True(b, subject.Key().Disabled)
	require.Equal(b, want.Revision, subject.Key().Revision)
}

// A feed that stays with the old primary, to which others still write, is left. Its silence
// need not be waited for.
func TestReplicaWithTheFeedOfAnOldPrimary(t *testing.T) {
	inTime(t, func(b *bench) {
		b.ready()
		old, promoted := b.current(), memory.New()
		_, err := promoted.PutOrganization(b.ctx, policy.Organization{ID: "acme"})
		require.NoError(b, err)
		ctx, cancel := context.WithCancel(b.ctx)
		var writing sync.WaitGroup
		writing.Go(func() {
			for ; ctx.Err() == nil; sleep(ctx, DefaultMaxStaleness/100) {
				if key, err := old.Key(ctx, b.key.ID); err == nil {
					_, _ = old.PutKey(ctx, key, store.AllowOpen)
				}
			}
		})
		defer writing.Wait()
		defer cancel()
		b.set(func() { b.store = promoted })
		time.Sleep(2 * DefaultMaxStaleness)
		_, found, err := b.replica.LookupNow(b.key.ID)
		assert.NoError(b, err)
		assert.False(b, found, "the promoted one does not have the key")
		assert.EqualValues(b, 3, b.watches.Load(), "from the lost mark, and from zero")
		assert.ErrorIs(b, b.failure(), errForked)
		assert.ErrorIs(b, b.failure(), store.ErrCompacted)
		assert.Empty(b, b.failures)
	})
}

// A history that goes on under a new name, as in SQLite when another process begins to
// write, costs no reload and no time.
func TestReplicaOfAHistoryWithManyNames(t *testing.T) {
	inTimeFrom(t, func(b *bench) {
		b.name = func(history string, revision uint64) string { return fmt.Sprint(history, revision/3) }
	}, func(b *bench) {
		b.ready()
		for range 20 {
			b.put()
			require.NoError(b, b.replica.Sync(b.ctx))
			assert.Equal(b, b.key.Revision, b.found())
		}
		for range 20 {
			b.put() // without waiting
			time.Sleep(DefaultMaxStaleness / checksPerBound / 3)
			assert.Equal(b, b.key.Revision, b.found())
			assert.LessOrEqual(b, b.replica.Staleness(), 2*DefaultMaxStaleness/checksPerBound)
		}
		b.set(func() { b.reply = func() { b.putUnlocked() } }) // a new one before every answer arrives
		time.Sleep(DefaultMaxStaleness / checksPerBound * 5)
		b.set(func() { b.reply = nil })
		require.NoError(b, b.replica.Sync(b.ctx))
		assert.EqualValues(b, 1, b.watches.Load())
		assert.Empty(b, b.failures)
	})
}

// putUnlocked stores the key again, from another goroutine.
func (b *bench) putUnlocked() {
	key, err := b.current().Key(b.ctx, b.key.ID)
	if err == nil {
		_, _ = b.current().PutKey(b.ctx, key, store.AllowOpen)
	}
	synctest.Wait()
}

// A store that goes back in its history, against W9, is not believed to go on either, as
// long as it has not passed the copy. By Sync, and by itself.
func TestReplicaOfAStoreThatGoesBack(t *testing.T) {
	for _, sync := range []bool{false, true} {
		inTimeFrom(t, func(b *bench) {
			b.name = func(string, uint64) string { return "ever the same" }
			for range 20 {
				b.put()
			}
		}, func(b *bench) {
			b.ready()
			time.Sleep(time.Millisecond) // between two checks
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
			if sync {
				cancelled, cancel := context.WithTimeout(b.ctx, time.Second/10)
				defer cancel()
				assert.ErrorIs(b, b.replica.Sync(cancelled), context.DeadlineExceeded)
			}
			time.Sleep(2 * DefaultMaxStaleness)
			b.wantStale("it was fresh")
			assert.ErrorIs(b, b.failure(), errWasBack)
			assert.Empty(b, b.failures, "it is told once")
			close(loading)
			require.NoError(b, b.replica.Sync(b.ctx))
			_, found, err := b.replica.LookupNow(b.key.ID)
			assert.NoError(b, err)
			assert.False(b, found, "the key was created after the backup")
			assert.EqualValues(b, 1, b.replica.Position().Revision)
		})
	}
}

// Round trips of 700 ms, and connections made anew: each answer comes within the bound, and
// each watch needs as long to begin.
func TestReplicaOfASlowStore(t *testing.T) {
	for _, takes := range []time.Duration{DefaultMaxStaleness / 3, DefaultMaxStaleness * 7 / 10, DefaultMaxStaleness * 85 / 100} {
		t.Run(takes.String(), func(t *testing.T) {
			slow := func(b *bench) {
				begun := int64(0)
				b.upstream.revision = func(ctx context.Context) error {
					sleep(ctx, takes)
					return ctx.Err()
				}
				b.feed = func(_ context.Context, t told) told {
					if watch := b.watches.Load(); watch != begun {
						begun = watch
						time.Sleep(takes)
					}
					return t
				}
			}
			inTimeFrom(t, slow, func(b *bench) {
				ctx, cancel := context.WithTimeout(b.ctx, 3*DefaultMaxStaleness)
				defer cancel()
				require.NoError(b, b.replica.Ready(ctx))
				began := time.Now()
				for time.Since(began) < 10*DefaultMaxStaleness {
					time.Sleep(50 * time.Millisecond)
					b.found() // without a gap
				}
				b.put()
				require.NoError(b, b.replica.Sync(b.ctx))
				assert.Equal(b, b.key.Revision, b.found())

				// The feed breaks, too.
				b.set(func() {
					feed := b.feed
					b.feed = func(context.Context, told) told {
						b.set(func() { b.feed = feed })
						return told{fault: end}
					}
				})
				b.put()
				require.NoError(b, b.replica.Sync(b.ctx))
				assert.Equal(b, b.key.Revision, b.found())
				assert.EqualValues(b, 2, b.watches.Load())
				assert.ErrorContains(b, b.failure(), "ended without an error")
				assert.Empty(b, b.failures)
			})
		})
	}
}

// A feed that needs longer than the bound to begin is refused for a while and not restarted
// forever.
func TestReplicaOfASlowFeed(t *testing.T) {
	inTime(t, func(b *bench) {
		b.ready()
		begun := b.watches.Load()
		b.set(func() {
			b.feed = func(ctx context.Context, t told) told {
				switch watch := b.watches.Load(); {
				case begun == 1: // the feed breaks
					begun = 0
					return told{fault: end}
				case watch != begun:
					begun = watch
					sleep(ctx, 3*DefaultMaxStaleness)
				}
				return t
			}
		})
		b.put()
		require.NoError(b, b.replica.Sync(b.ctx))
		assert.Equal(b, b.key.Revision, b.found())
		assert.LessOrEqual(b, b.watches.Load(), int64(6))
	})
}

// A question that is lost with its connection does not take the time of the next.
func TestReplicaLosesAQuestion(t *testing.T) {
	inTime(t, func(b *bench) {
		b.ready()
		var asked atomic.Int64
		b.set(func() {
			b.upstream.revision = func(ctx context.Context) error {
				if asked.Add(1)%3 > 0 {
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			}
		})
		for range 1000 {
			time.Sleep(50 * time.Millisecond)
			b.found()
		}
		assert.ErrorIs(b, b.failure(), context.DeadlineExceeded)
		assert.LessOrEqual(b, asked.Load(), int64(1000/20*2), "no more than twice as often")
	})
}

// An answer that was overtaken by that to a later question makes nothing older.
func TestReplicaIsAnsweredOutOfOrder(t *testing.T) {
	inTime(t, func(b *bench) {
		b.ready()
		var asked atomic.Int64
		b.set(func() {
			b.upstream.revision = func(ctx context.Context) error {
				if asked.Add(1)%3 == 0 {
					sleep(ctx, DefaultMaxStaleness*8/10)
				}
				return nil
			}
		})
		for range 1000 {
			time.Sleep(50 * time.Millisecond)
			assert.Less(b, b.replica.Staleness(), DefaultMaxStaleness/2)
		}
		assert.Empty(b, b.failures)
	})
}
