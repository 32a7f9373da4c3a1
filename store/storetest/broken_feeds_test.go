package storetest

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

// Broken in what they tell: W1 to W5.
var brokenFeeds = []brokenStore{
	{name: "has a revision ahead of what is there", sentence: "W1", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoRevision = func(ctx context.Context) (uint64, error) {
			revision, err := sound.Revision(ctx)
			return revision + 1, err
		}
	})},
	{name: "has a revision though it is closed", sentence: "W1", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoRevision = func(ctx context.Context) (uint64, error) {
			revision, _ := sound.Revision(ctx)
			return revision, nil
		}
	})},
	{name: "has a revision that lags", sentence: "W1", make: with(func(b *teststore.Broken, sound *memory.Store) {
		var known atomic.Uint64
		b.DoRevision = func(ctx context.Context) (uint64, error) {
			latest, err := sound.Revision(ctx)
			return known.Swap(latest), err
		}
	})},
	{name: "does not tell of deletions", sentence: "W2", make: feed(func(c store.Change) (store.Change, bool) { return c, !c.Deleted })},
	{name: "tells organizations without their switch", sentence: "W2", make: feed(func(c store.Change) (store.Change, bool) {
		if c.OrganizationRecord != nil {
			organization := *c.OrganizationRecord
			organization.Disabled = false
			c.OrganizationRecord = &organization
		}
		return c, true
	})},
	{name: "does not tell of organizations", sentence: "W2", make: feed(func(c store.Change) (store.Change, bool) { return c, c.Key != "" || c.IsMark() })},
	{name: "drops a change", sentence: "W2", make: feed(func(c store.Change) (store.Change, bool) { return c, c.Revision%7 != 3 || c.IsMark() })},
	{name: "tells before reads see it", sentence: "W3", make: lateReads},
	{name: "leaves out what was compacted", sentence: "W4", make: forgetful, options: []Option{Compact(forget)}},
	{name: "leaves out one change of those that were compacted", sentence: "W4", make: forgetfulOfOne, options: []Option{Compact(forget)}},
	{name: "goes back one change too far in what it remembers", sentence: "W4", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = func(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
			return func(yield func(store.Change, error) bool) {
				for told, err := range sound.Watch(ctx, after) {
					if errors.Is(err, store.ErrCompacted) {
						for told, err := range sound.Watch(ctx, after+1) {
							if !yield(told, err) {
								return
							}
						}
						return
					}
					if !yield(told, err) {
						return
					}
				}
			}
		}
	}), options: []Option{Compact(teststore.Flood)}},
	{name: "leaves out what was before it was opened again", sentence: "W4", make: forgetful,
		options: []Option{Reopen(func(t testing.TB, s store.Store) store.Store { forget(t, s); return s })}},
	{name: "waits until it has come so far", sentence: "W4", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = func(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
			latest, err := sound.Revision(ctx)
			if err == nil && after > latest {
				after = latest
			}
			return sound.Watch(ctx, after)
		}
	})},
	{name: "cannot begin anew once it was compacted", sentence: "W4", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = func(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
			if latest, err := sound.Revision(ctx); err == nil && latest > 10_000 && after < latest-10_000 {
				return func(yield func(store.Change, error) bool) { yield(store.Change{}, store.ErrCompacted) }
			}
			return sound.Watch(ctx, after)
		}
	}), options: []Option{Compact(teststore.Flood)}},
	{name: "yields the error with a change", sentence: "W5", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = func(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
			return func(yield func(store.Change, error) bool) {
				for told, err := range sound.Watch(ctx, after) {
					if err != nil {
						told = store.Change{Revision: after}
					}
					if !yield(told, err) {
						return
					}
				}
			}
		}
	})},
	{name: "ends in silence", sentence: "W5", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = func(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
			return func(yield func(store.Change, error) bool) {
				for told, err := range sound.Watch(ctx, after) {
					if err != nil || !yield(told, nil) {
						return
					}
				}
			}
		}
	})},
	{name: "goes on after its consumer has stopped", sentence: "W5", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = func(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
			return func(yield func(store.Change, error) bool) {
				for told, err := range sound.Watch(ctx, after) {
					if yield(told, err); err != nil {
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
	forgot uint64
}

func forgetful() store.Store {
	b, sound := teststore.New()
	f := &forgetfulStore{Broken: b}
	b.DoWatch = func(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
		f.mu.Lock()
		defer f.mu.Unlock()
		if after > 0 { // from zero it tells everything
			after = max(after, f.forgot)
		}
		return sound.Watch(ctx, after)
	}
	return f
}

// forgetfulOfOne says that its feed is compacted, except for one revision too few.
func forgetfulOfOne() store.Store {
	b, sound := teststore.New()
	f := &forgetfulStore{Broken: b}
	b.DoWatch = func(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
		f.mu.Lock()
		defer f.mu.Unlock()
		switch {
		case after == 0 || after >= f.forgot:
			return sound.Watch(ctx, after)
		case after+1 == f.forgot:
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
	f.forgot, _ = f.Store.Revision(t.Context())
}
