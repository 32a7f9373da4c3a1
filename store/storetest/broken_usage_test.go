package storetest

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

// Broken in what they count: U1 to U10. U11 to U15 are in broken_evidence_test.go.
var brokenUsage = []brokenStore{
	{name: "overwrites usage", sentence: "U1", make: usageOf(func(_, more accesslist.Usage) accesslist.Usage { return more })},
	{name: "keeps the last use that was reported", sentence: "U2", make: usageOf(func(known, more accesslist.Usage) accesslist.Usage {
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
	{name: "counts blocks of one address together", sentence: "U1", only: "U1/each entry is counted by itself", make: usageAs(entriesAs(func(entry netip.Prefix) netip.Prefix {
		if entry.Addr() == address("10.0.0.0") {
			return netip.PrefixFrom(entry.Addr(), 32)
		}
		return entry
	}))},
	{name: "counts IPv6 blocks by IPv4's masks", sentence: "U1", only: "U1/each entry is counted by itself", make: usageAs(entriesAs(func(entry netip.Prefix) netip.Prefix {
		if entry.Addr().Is6() {
			return netip.PrefixFrom(entry.Addr(), min(entry.Bits(), 32)).Masked()
		}
		return entry
	}))},
	{name: "keeps 500 entries of usage", sentence: "U1", only: "U1/counts of many entries are kept", make: usageRead(func(usage store.KeyUsage) store.KeyUsage {
		for entry := range usage.Entries {
			if len(usage.Entries) > 500 {
				delete(usage.Entries, entry)
			}
		}
		return usage
	})},
	{name: "keeps counts as JSON's numbers", sentence: "U1", only: "U1/a count beyond 53 bits is exact", make: usageRead(func(usage store.KeyUsage) store.KeyUsage {
		for entry, used := range usage.Entries {
			used.Count = uint64(float64(used.Count))
			usage.Entries[entry] = used
		}
		return usage
	})},
	{name: "keeps the latest call in nanoseconds", sentence: "U2", only: "U2/the latest call is kept at any time and from any address", make: usageRead(func(usage store.KeyUsage) store.KeyUsage {
		for entry, used := range usage.Entries {
			if !used.Last.IsZero() {
				used.Last = time.Unix(0, used.Last.UnixNano())
			}
			usage.Entries[entry] = used
		}
		return usage
	})},
	{name: "keeps no address as 0.0.0.0", sentence: "U2", only: "U2/the latest call is kept at any time and from any address", make: usageAs(func(usage *store.KeyUsage) {
		for entry, used := range usage.Entries {
			if !used.LastAddress.IsValid() {
				used.LastAddress = netip.IPv4Unspecified()
				usage.Entries[entry] = used
			}
		}
	})},
	{name: "forgets usage of secrets when the key is replaced", sentence: "U5", only: "U5/usage of the secrets that the key still has is kept", make: with(func(b *teststore.Broken, sound *memory.Store) {
		forgotten := map[apikey.ID]bool{}
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			forgotten[key.ID] = key.Revision != 0
			return sound.PutKey(ctx, key, o...)
		}
		b.DoUsage = func(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
			all, err := sound.Usage(ctx, ids...)
			for id, usage := range all {
				if forgotten[id] {
					usage.Secrets = nil
					all[id] = usage
				}
			}
			return all, err
		}
	})},
	{name: "refuses usage of a missing key", sentence: "U3", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoRecordUsage = func(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
			for id := range batch {
				if _, err := sound.Key(ctx, id); err != nil {
					return err
				}
			}
			return sound.RecordUsage(ctx, batch)
		}
	})},
	{name: "records a part of a batch", sentence: "U4", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoRecordUsage = func(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
			parts := chunks(batch, 1)
			_ = sound.RecordUsage(context.WithoutCancel(ctx), parts[0])
			for _, part := range parts[1:] {
				if err := sound.RecordUsage(ctx, part); err != nil {
					return err
				}
			}
			return ctx.Err()
		}
	})},
	{name: "forgets usage when the key is replaced", sentence: "U5", make: with(func(b *teststore.Broken, sound *memory.Store) {
		forgotten := map[apikey.ID]bool{}
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			forgotten[key.ID] = key.Revision != 0
			return sound.PutKey(ctx, key, o...)
		}
		b.OnUsage(func(id apikey.ID, usage store.KeyUsage) (store.KeyUsage, error) {
			if forgotten[id] {
				usage = store.KeyUsage{}
			}
			return usage, nil
		})
	})},
	{name: "shares its usage", sentence: "U6", make: with(func(b *teststore.Broken, sound *memory.Store) {
		var shared store.KeyUsage
		b.OnUsage(func(_ apikey.ID, usage store.KeyUsage) (store.KeyUsage, error) {
			if shared.Entries == nil {
				shared = usage
			}
			return shared, nil
		})
	})},
	{name: "takes batches of any size", sentence: "U7", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoRecordUsage = func(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
			for _, part := range chunks(batch, store.MaxUsageKeys) {
				if err := sound.RecordUsage(ctx, part); err != nil {
					return err
				}
			}
			return nil
		}
	})},
	{name: "takes batches of one key less than the limit", sentence: "U7", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoRecordUsage = func(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
			if len(batch) >= store.MaxUsageKeys {
				return store.ErrInvalid
			}
			return sound.RecordUsage(ctx, batch)
		}
	})},
	{name: "leaves unused keys out", sentence: "U9", make: usages(func(all map[apikey.ID]store.KeyUsage, _ []apikey.ID) {
		maps.DeleteFunc(all, func(_ apikey.ID, usage store.KeyUsage) bool { return len(usage.Entries)+len(usage.Secrets) == 0 })
	})},
	{name: "returns missing keys as unused", sentence: "U9", make: usages(func(all map[apikey.ID]store.KeyUsage, ids []apikey.ID) {
		for _, id := range ids {
			usage := all[id]
			all[id] = usage
		}
	})},
	{name: "fails for a missing key", sentence: "U9", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoUsage = func(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
			for _, id := range ids {
				if _, err := sound.Key(ctx, id); err != nil {
					return nil, err
				}
			}
			return sound.Usage(ctx, ids...)
		}
	})},
	{name: "returns the usage of the first 64 keys", sentence: "U9", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoUsage = func(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
			if len(ids) > store.MaxUsageKeys {
				return nil, store.ErrInvalid
			}
			return sound.Usage(ctx, ids[:min(len(ids), 64)]...)
		}
	})},
	{name: "gives every key the usage of the last", sentence: "U9", make: usages(func(all map[apikey.ID]store.KeyUsage, ids []apikey.ID) {
		for id := range all {
			if last, ok := all[ids[len(ids)-1]]; ok {
				all[id] = last
			}
		}
	})},
	{name: "adds up the usage of a key that is asked for twice", sentence: "U9", make: usages(func(all map[apikey.ID]store.KeyUsage, ids []apikey.ID) {
		for i, id := range ids {
			for entry, usage := range all[id].Entries {
				if slices.Contains(ids[:i], id) {
					all[id].Entries[entry] = addUsage(usage, usage)
				}
			}
		}
	})},
	{name: "fails if no key is asked for", sentence: "U9", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoUsage = func(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
			if len(ids) == 0 {
				return nil, errors.New("syntax error at or near \")\"")
			}
			return sound.Usage(ctx, ids...)
		}
	})},
	{name: "returns the usage of any number of keys", sentence: "U10", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoUsage = func(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
			all := map[apikey.ID]store.KeyUsage{}
			for part := range slices.Chunk(ids, store.MaxUsageKeys) {
				usage, err := sound.Usage(ctx, part...)
				if err != nil {
					return nil, err
				}
				maps.Copy(all, usage)
			}
			return all, ctx.Err()
		}
	})},
	{name: "returns the usage of one key less than the limit", sentence: "U10", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoUsage = func(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
			if len(ids) >= store.MaxUsageKeys {
				return nil, store.ErrInvalid
			}
			return sound.Usage(ctx, ids...)
		}
	})},
}

// usages is a store that alters what Usage returns.
func usages(change func(all map[apikey.ID]store.KeyUsage, ids []apikey.ID)) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoUsage = func(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
			all, err := sound.Usage(ctx, ids...)
			if err == nil {
				change(all, ids)
			}
			return all, err
		}
	})
}

// usageAs changes what is recorded.
func usageAs(change func(*store.KeyUsage)) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoRecordUsage = func(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
			changed := map[apikey.ID]store.KeyUsage{}
			for id, usage := range batch {
				usage = adapter.CloneUsage(usage)
				change(&usage)
				changed[id] = usage
			}
			return sound.RecordUsage(ctx, changed)
		}
	})
}

// entriesAs counts entries as others.
func entriesAs(change func(netip.Prefix) netip.Prefix) func(*store.KeyUsage) {
	return func(usage *store.KeyUsage) {
		entries := map[netip.Prefix]accesslist.Usage{}
		for entry, used := range usage.Entries {
			entries[change(entry)] = addUsage(entries[change(entry)], used)
		}
		usage.Entries = entries
	}
}

// chunks returns parts of a batch, of so many keys each.
func chunks(batch map[apikey.ID]store.KeyUsage, size int) []map[apikey.ID]store.KeyUsage {
	parts := []map[apikey.ID]store.KeyUsage{{}}
	for id, usage := range batch {
		if len(parts[len(parts)-1]) == size {
			parts = append(parts, map[apikey.ID]store.KeyUsage{})
		}
		parts[len(parts)-1][id] = usage
	}
	return parts
}

// usageRead changes what is read.
func usageRead(change func(store.KeyUsage) store.KeyUsage) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoUsage = func(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
			all, err := sound.Usage(ctx, ids...)
			for id, usage := range all {
				all[id] = change(usage)
			}
			return all, err
		}
	})
}

// usageOf is a store that sums usage in another way.
func usageOf(sum func(known, more accesslist.Usage) accesslist.Usage) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		var mu sync.Mutex
		all := map[apikey.ID]store.KeyUsage{}
		b.DoRecordUsage = func(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
			mu.Lock()
			defer mu.Unlock()
			for id, more := range batch {
				usage, ok := all[id]
				if !ok {
					usage = store.KeyUsage{Entries: map[netip.Prefix]accesslist.Usage{}, Secrets: map[string]accesslist.Usage{}}
					all[id] = usage
				}
				for entry, used := range more.Entries {
					usage.Entries[entry] = sum(usage.Entries[entry], used)
				}
				for secret, used := range more.Secrets {
					usage.Secrets[secret] = sum(usage.Secrets[secret], used)
				}
			}
			return nil
		}
		b.OnUsage(func(id apikey.ID, _ store.KeyUsage) (store.KeyUsage, error) {
			mu.Lock()
			defer mu.Unlock()
			return store.KeyUsage{Entries: maps.Clone(all[id].Entries), Secrets: maps.Clone(all[id].Secrets)}, nil
		})
	})
}

func addUsage(known, more accesslist.Usage) accesslist.Usage {
	known.Count += more.Count
	if more.Last.After(known.Last) {
		known.Last, known.LastAddress = more.Last, more.LastAddress
	}
	return known
}
