package storetest

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

// Broken in what they deliver: W1 to W5.
var brokenFeeds = []brokenStore{
	{name: "has a revision ahead of what is there", sentence: "W1", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPosition = func(ctx context.Context) (store.Position, error) {
			ahead, err := sound.Position(ctx)
			ahead.Revision++
			return ahead, err
		}
	})},
	{name: "has a revision though it is closed", sentence: "W1", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPosition = func(ctx context.Context) (store.Position, error) {
			_, _ = sound.Position(ctx)
			return store.Position{History: "history"}, nil
		}
	})},
	{name: "has a revision that lags", sentence: "W1", make: with(func(b *teststore.Broken, sound *memory.Store) {
		var known atomic.Value
		known.Store(fixture.Must(sound.Position(context.Background())))
		b.DoPosition = func(ctx context.Context) (store.Position, error) {
			latest, err := sound.Position(ctx)
			return known.Swap(latest).(store.Position), err
		}
	})},
	{name: "does not deliver deletions", sentence: "W2", make: feed(func(c store.Change) (store.Change, bool) { return c, !c.Deleted })},
	{name: "delivers organizations without their switch", sentence: "W2", make: feed(func(c store.Change) (store.Change, bool) {
		if c.OrganizationRecord != nil {
			organization := *c.OrganizationRecord
			organization.Disabled = false
			c.OrganizationRecord = &organization
		}
		return c, true
	})},
	{name: "delivers organizations without their suspension", sentence: "W2", make: feed(func(c store.Change) (store.Change, bool) {
		if c.OrganizationRecord != nil {
			organization := *c.OrganizationRecord
			organization.SuspendedUntil = time.Time{}
			c.OrganizationRecord = &organization
		}
		return c, true
	})},
	{name: "does not deliver organizations", sentence: "W2", make: feed(func(c store.Change) (store.Change, bool) { return c, c.Key != "" || c.IsMark() })},
	{name: "drops a change", sentence: "W2", make: feed(func(c store.Change) (store.Change, bool) { return c, c.Revision%7 != 3 || c.IsMark() })},
	{name: "delivers before reads see it", sentence: "W3", make: lateReads},
	{name: "leaves out what was compacted", sentence: "W4", make: forgetful, options: []Option{Compact(forget)}},
	{name: "leaves out one change of those that were compacted", sentence: "W4", make: forgetfulOfOne, options: []Option{Compact(forget)}},
	{name: "goes back one change too far in what it remembers", sentence: "W4", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			return func(yield func(store.Change, error) bool) {
				for delivered, err := range sound.Watch(ctx, after) {
					if errors.Is(err, store.ErrCompacted) {
						for delivered, err := range sound.Watch(ctx, next(after)) {
							if !yield(delivered, err) {
								return
							}
						}
						return
					}
					if !yield(delivered, err) {
						return
					}
				}
			}
		}
	}), options: []Option{Compact(teststore.Flood)}},
	{name: "leaves out what was before it was opened again", sentence: "W4", make: forgetful,
		options: []Option{Reopen(func(t testing.TB, s store.Store) store.Store { forget(t, s); return s })}},
	{name: "waits until it has come so far", sentence: "W4", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			latest, err := sound.Position(ctx)
			if err == nil && after.History == latest.History {
				after.Revision = min(after.Revision, latest.Revision)
			}
			return sound.Watch(ctx, after)
		}
	})},
	{name: "cannot begin anew once it was compacted", sentence: "W4", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			if latest, err := sound.Position(ctx); err == nil && latest.Revision > 10_000 && after.Revision < latest.Revision-10_000 {
				return func(yield func(store.Change, error) bool) { yield(store.Change{}, store.ErrCompacted) }
			}
			return sound.Watch(ctx, after)
		}
	}), options: []Option{Compact(teststore.Flood)}},
	{name: "goes on from another history", sentence: "W4", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			if after != (store.Position{}) {
				after.History = fixture.Must(sound.Position(context.Background())).History
			}
			return sound.Watch(ctx, after)
		}
	})},
	{name: "has no name for its history", sentence: "W9", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPosition = func(ctx context.Context) (store.Position, error) {
			latest, err := sound.Position(ctx)
			latest.History = ""
			return latest, err
		}
	})},
	{name: "has marks without a history", sentence: "W9", make: feed(func(c store.Change) (store.Change, bool) {
		c.History = ""
		return c, true
	})},
	{name: "yields the error with a change", sentence: "W5", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			return func(yield func(store.Change, error) bool) {
				for delivered, err := range sound.Watch(ctx, after) {
					if err != nil {
						delivered = store.Change{Revision: after.Revision}
					}
					if !yield(delivered, err) {
						return
					}
				}
			}
		}
	})},
	{name: "ends in silence", sentence: "W5", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			return func(yield func(store.Change, error) bool) {
				for delivered, err := range sound.Watch(ctx, after) {
					if err != nil || !yield(delivered, nil) {
						return
					}
				}
			}
		}
	})},
	{name: "goes on after its consumer has stopped", sentence: "W5", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			return func(yield func(store.Change, error) bool) {
				for delivered, err := range sound.Watch(ctx, after) {
					if yield(delivered, err); err != nil {
						return
					}
				}
			}
		}
	})},
}

// forgetfulStore forgets changes and does not say so.
type forgetfulStore struct {
	*teststore.Broken
	mu     sync.Mutex
	forgot store.Position
}

func forgetful() store.Store {
	b, sound := teststore.New()
	f := &forgetfulStore{Broken: b}
	b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
		f.mu.Lock()
		defer f.mu.Unlock()
		if after.Revision > 0 { // from zero it delivers everything
			after.Revision = max(after.Revision, f.forgot.Revision)
		}
		return sound.Watch(ctx, after)
	}
	return f
}

// forgetfulOfOne says that its feed is compacted, except for one revision too few.
func forgetfulOfOne() store.Store {
	b, sound := teststore.New()
	f := &forgetfulStore{Broken: b}
	b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
		f.mu.Lock()
		defer f.mu.Unlock()
		switch {
		case after.Revision == 0 || after.Revision >= f.forgot.Revision:
			return sound.Watch(ctx, after)
		case next(after) == f.forgot:
			return sound.Watch(ctx, f.forgot)
		}
		return func(yield func(store.Change, error) bool) { yield(store.Change{}, store.ErrCompacted) }
	}
	return f
}

func forget(t testing.TB, s store.Store) {
	f := s.(*forgetfulStore)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forgot, _ = f.Store.Position(t.Context())
}

// next returns the position of the next write.
func next(p store.Position) store.Position {
	p.Revision++
	return p
}
