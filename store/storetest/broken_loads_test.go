package storetest

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// Broken in what they load: L1 to L3.
var brokenLoads = []brokenStore{
	{name: "loads until a record is refused", sentence: "L1", make: withLoad(func(b *brokenLoader) { b.load = b.oneByOne })},
	{name: "checks first and loads then", sentence: "L1", make: withLoad(func(b *brokenLoader) {
		b.load = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
			if err := b.sound.checkLoad(ctx, organizations, keys, o); err != nil {
				return err
			}
			time.Sleep(20 * time.Microsecond)
			return b.oneByOne(ctx, organizations, keys, o...)
		}
	})},
	{name: "passes over what is there", sentence: "L2", make: withLoad(func(b *brokenLoader) {
		b.load = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
			return b.sound.Load(ctx, organizations, slices.DeleteFunc(slices.Clone(keys), func(key apikey.Key) bool {
				_, err := b.sound.Key(ctx, key.ID)
				return err == nil
			}), o...)
		}
	})},
	{name: "does not see the organizations beside the keys", sentence: "L2", make: withLoad(func(b *brokenLoader) {
		b.load = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
			for _, key := range keys {
				if _, err := b.sound.Organization(ctx, key.Organization); err != nil {
					return err
				}
			}
			return b.sound.Load(ctx, organizations, keys, o...)
		}
	})},
	{name: "loads keys without comments", sentence: "L2", make: withLoad(func(b *brokenLoader) {
		b.load = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
			var bare []apikey.Key
			for _, key := range keys {
				bare = append(bare, entries(key, func(all []accesslist.Entry) []accesslist.Entry {
					for i := range all {
						all[i].Comment = ""
					}
					return all
				}))
			}
			return b.sound.Load(ctx, organizations, bare, o...)
		}
	})},
	{name: "loads open keys without a word", sentence: "L2", make: withLoad(func(b *brokenLoader) {
		b.load = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, _ ...putOption) error {
			return b.sound.Load(ctx, organizations, keys, store.AllowOpen)
		}
	})},
	{name: "does not let open keys be loaded", sentence: "L2", make: withLoad(func(b *brokenLoader) {
		b.load = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, _ ...putOption) error {
			return b.sound.Load(ctx, organizations, keys)
		}
	})},
	{name: "loads any number", sentence: "L2", make: withLoad(func(b *brokenLoader) {
		b.load = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
			for len(organizations)+len(keys) > store.MaxLoad {
				if err := b.sound.Load(ctx, organizations, keys[:100], o...); err != nil {
					return err
				}
				organizations, keys = nil, keys[100:]
			}
			return b.sound.Load(ctx, organizations, keys, o...)
		}
	})},
	{name: "gives all of a load one revision", sentence: "L3", make: withLoad(func(b *brokenLoader) {
		b.onRead(func(key apikey.Key) apikey.Key {
			var n uint64
			if _, err := fmt.Sscanf(string(key.ID), "loaded-%d", &n); err == nil {
				key.Revision -= n
			}
			return key
		})
	})},
	{name: "does not tell of what was loaded", sentence: "L3", make: withLoad(func(b *brokenLoader) {
		b.watch = func(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
			return func(yield func(store.Change, error) bool) {
				for c, err := range b.sound.Watch(ctx, after) {
					if c.Key == "loaded-3" {
						continue
					}
					if !yield(c, err) {
						return
					}
				}
			}
		}
	})},
}

// A brokenLoader is a broken store that loads.
type brokenLoader struct {
	*broken
	sound *loadingStore
	load  func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error
}

func (b *brokenLoader) Load(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
	return b.load(ctx, organizations, keys, o...)
}

func (b *brokenLoader) oneByOne(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
	for _, organization := range organizations {
		if _, err := b.sound.PutOrganization(ctx, organization); err != nil {
			return err
		}
	}
	for _, key := range keys {
		if _, err := b.sound.PutKey(ctx, key, o...); err != nil {
			return err
		}
	}
	return nil
}

// withLoad makes a store of what change does to a sound one that loads.
func withLoad(change func(b *brokenLoader)) func() store.Store {
	return func() store.Store {
		l := newLoading()
		b := &brokenLoader{broken: brokenOf(l.Store), sound: l, load: l.Load}
		b.putKey, b.deleteKey, b.putOrganization, b.deleteOrganization = l.PutKey, l.DeleteKey, l.PutOrganization, l.DeleteOrganization
		change(b)
		return b
	}
}
