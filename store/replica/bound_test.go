package replica

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store"
)

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
