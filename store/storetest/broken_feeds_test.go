package storetest

import (
	"context"
	"iter"
	"maps"
	"net/netip"
	"sync"
	"testing"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
)

// Broken in what they tell and count: W1 to W5 and U1 to U6.
var brokenFeeds = []brokenStore{
	{name: "has a revision ahead of what is there", sentence: "W1", make: with(func(b *broken, sound *memory.Store) {
		b.revision = func(ctx context.Context) (uint64, error) {
			revision, err := sound.Revision(ctx)
			return revision + 1, err
		}
	})},
	{name: "has a revision though it is closed", sentence: "W1", make: with(func(b *broken, sound *memory.Store) {
		b.revision = func(ctx context.Context) (uint64, error) {
			revision, _ := sound.Revision(ctx)
			return revision, nil
		}
	})},
	{name: "does not tell of deletions", sentence: "W2", make: feed(func(c store.Change) (store.Change, bool) { return c, !c.Deleted })},
	{name: "does not tell of organizations", sentence: "W2", make: feed(func(c store.Change) (store.Change, bool) { return c, c.Key != "" })},
	{name: "drops a change", sentence: "W2", make: feed(func(c store.Change) (store.Change, bool) { return c, c.Revision%7 != 3 })},
	{name: "tells before reads see it", sentence: "W3", make: lateReads},
	{name: "leaves out what was compacted", sentence: "W4", make: forgetful, options: []Option{Compact(forget)}},
	{name: "yields the error with a change", sentence: "W5", make: with(func(b *broken, sound *memory.Store) {
		b.watch = func(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
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
	{name: "ends in silence", sentence: "W5", make: with(func(b *broken, sound *memory.Store) {
		b.watch = func(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
			return func(yield func(store.Change, error) bool) {
				for told, err := range sound.Watch(ctx, after) {
					if err != nil || !yield(told, nil) {
						return
					}
				}
			}
		}
	})},
	{name: "goes on after its consumer has stopped", sentence: "W5", make: with(func(b *broken, sound *memory.Store) {
		b.watch = func(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
			return func(yield func(store.Change, error) bool) {
				for told, err := range sound.Watch(ctx, after) {
					if yield(told, err); err != nil {
						return
					}
				}
			}
		}
	})},
	{name: "overwrites usage", sentence: "U1", make: usageOf(func(_, more accesslist.Usage) accesslist.Usage { return more })},
	{name: "keeps the last use that it was told of", sentence: "U2", make: usageOf(func(known, more accesslist.Usage) accesslist.Usage {
		more.Count += known.Count
		return more
	})},
	{name: "keeps the first address", sentence: "U2", make: usageOf(func(known, more accesslist.Usage) accesslist.Usage {
		sum := addUsage(known, more)
		if known.Count > 0 {
			sum.LastAddress = known.LastAddress
		}
		return sum
	})},
	{name: "refuses usage of a missing key", sentence: "U3", make: with(func(b *broken, sound *memory.Store) {
		b.recordUsage = func(ctx context.Context, batch []store.UsageRecord) error {
			for _, record := range batch {
				if _, err := sound.Key(ctx, record.Key); err != nil {
					return err
				}
			}
			return sound.RecordUsage(ctx, batch)
		}
	})},
	{name: "records a part of a batch", sentence: "U4", make: with(func(b *broken, sound *memory.Store) {
		b.recordUsage = func(ctx context.Context, batch []store.UsageRecord) error {
			_ = sound.RecordUsage(context.WithoutCancel(ctx), batch[:1])
			return sound.RecordUsage(ctx, batch[1:])
		}
	})},
	{name: "forgets usage when the key is replaced", sentence: "U5", make: with(func(b *broken, sound *memory.Store) {
		forgotten := map[apikey.ID]bool{}
		b.putKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			forgotten[key.ID] = key.Revision != 0
			return sound.PutKey(ctx, key, o...)
		}
		b.usage = func(ctx context.Context, id apikey.ID) (store.KeyUsage, error) {
			usage, err := sound.Usage(ctx, id)
			if forgotten[id] {
				usage = store.KeyUsage{}
			}
			return usage, err
		}
	})},
	{name: "shares its usage", sentence: "U6", make: with(func(b *broken, sound *memory.Store) {
		var shared store.KeyUsage
		b.usage = func(ctx context.Context, id apikey.ID) (store.KeyUsage, error) {
			if shared.Entries == nil {
				usage, err := sound.Usage(ctx, id)
				if err != nil {
					return usage, err
				}
				shared = usage
			}
			return shared, nil
		}
	})},
}

// forgetfulStore forgets changes and does not say so.
type forgetfulStore struct {
	*broken
	mu     sync.Mutex
	forgot uint64
}

func forgetful() store.Store {
	b, sound := newBroken()
	f := &forgetfulStore{broken: b}
	b.watch = func(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
		f.mu.Lock()
		defer f.mu.Unlock()
		return sound.Watch(ctx, max(after, f.forgot))
	}
	return f
}

func forget(t testing.TB, s store.Store) {
	f := s.(*forgetfulStore)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forgot, _ = f.Store.Revision(t.Context())
}

// usageOf is a store that sums usage in another way.
func usageOf(sum func(known, more accesslist.Usage) accesslist.Usage) func() store.Store {
	return with(func(b *broken, sound *memory.Store) {
		var mu sync.Mutex
		all := map[apikey.ID]store.KeyUsage{}
		b.recordUsage = func(ctx context.Context, batch []store.UsageRecord) error {
			mu.Lock()
			defer mu.Unlock()
			for _, record := range batch {
				usage, ok := all[record.Key]
				if !ok {
					usage = store.KeyUsage{Entries: map[netip.Prefix]accesslist.Usage{}, Secrets: map[string]accesslist.Usage{}}
					all[record.Key] = usage
				}
				if record.Entry.IsValid() {
					usage.Entries[record.Entry] = sum(usage.Entries[record.Entry], record.Usage)
				}
				if record.Secret != "" {
					usage.Secrets[record.Secret] = sum(usage.Secrets[record.Secret], record.Usage)
				}
			}
			return nil
		}
		b.usage = func(ctx context.Context, id apikey.ID) (store.KeyUsage, error) {
			mu.Lock()
			defer mu.Unlock()
			return store.KeyUsage{Entries: maps.Clone(all[id].Entries), Secrets: maps.Clone(all[id].Secrets)}, nil
		}
	})
}

func addUsage(known, more accesslist.Usage) accesslist.Usage {
	known.Count += more.Count
	if more.Last.After(known.Last) {
		known.Last, known.LastAddress = more.Last, more.LastAddress
	}
	return known
}
