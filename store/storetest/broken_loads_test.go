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
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

// Broken in what they load: L1 to L3.
var brokenLoads = []brokenStore{
	{name: "loads until a record is refused", sentence: "L1", make: withLoad(func(b *teststore.Loader) { b.DoLoad = b.OneByOne })},
	{name: "checks first and loads then", sentence: "L1", make: withLoad(func(b *teststore.Loader) {
		checked := make(meeting)
		b.DoLoad = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
			if err := b.Sound.CheckLoad(ctx, organizations, keys, o); err != nil {
				return err
			}
			checked.wait()
			return b.OneByOne(ctx, organizations, keys, o...)
		}
	})},
	{name: "passes over what is there", sentence: "L2", make: withLoad(func(b *teststore.Loader) {
		b.DoLoad = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
			return b.Sound.Load(ctx, organizations, slices.DeleteFunc(slices.Clone(keys), func(key apikey.Key) bool {
				_, err := b.Sound.Key(ctx, key.ID)
				return err == nil
			}), o...)
		}
	})},
	{name: "loads organizations without their switch", sentence: "L2", make: withLoad(func(b *teststore.Loader) {
		b.DoLoad = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
			organizations = slices.Clone(organizations)
			for i := range organizations {
				organizations[i].Disabled = false
			}
			return b.Sound.Load(ctx, organizations, keys, o...)
		}
	})},
	{name: "loads organizations without their suspension", sentence: "L2", make: withLoad(func(b *teststore.Loader) {
		b.DoLoad = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
			organizations = slices.Clone(organizations)
			for i := range organizations {
				organizations[i].SuspendedUntil = time.Time{}
			}
			return b.Sound.Load(ctx, organizations, keys, o...)
		}
	})},
	{name: "does not see the organizations beside the keys", sentence: "L2", make: withLoad(func(b *teststore.Loader) {
		b.DoLoad = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
			for _, key := range keys {
				if _, err := b.Sound.Organization(ctx, key.Organization); err != nil {
					return err
				}
			}
			return b.Sound.Load(ctx, organizations, keys, o...)
		}
	})},
	{name: "loads keys without comments", sentence: "L2", make: withLoad(func(b *teststore.Loader) {
		b.DoLoad = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
			var bare []apikey.Key
			for _, key := range keys {
				bare = append(bare, teststore.Entries(key, func(all []accesslist.Entry) []accesslist.Entry {
					for i := range all {
						all[i].Comment = ""
					}
					return all
				}))
			}
			return b.Sound.Load(ctx, organizations, bare, o...)
		}
	})},
	{name: "loads open keys without a word", sentence: "L2", make: withLoad(func(b *teststore.Loader) {
		b.DoLoad = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, _ ...putOption) error {
			return b.Sound.Load(ctx, organizations, keys, store.AllowOpen)
		}
	})},
	{name: "does not let open keys be loaded", sentence: "L2", make: withLoad(func(b *teststore.Loader) {
		b.DoLoad = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, _ ...putOption) error {
			return b.Sound.Load(ctx, organizations, keys)
		}
	})},
	{name: "loads any number", sentence: "L2", make: withLoad(func(b *teststore.Loader) {
		b.DoLoad = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
			for len(organizations)+len(keys) > store.MaxLoad {
				if err := b.Sound.Load(ctx, organizations, keys[:100], o...); err != nil {
					return err
				}
				organizations, keys = nil, keys[100:]
			}
			return b.Sound.Load(ctx, organizations, keys, o...)
		}
	})},
	{name: "gives all of a load one revision", sentence: "L3", make: withLoad(func(b *teststore.Loader) {
		b.OnRead(func(key apikey.Key) apikey.Key {
			var n uint64
			if _, err := fmt.Sscanf(string(key.ID), "loaded-%d", &n); err == nil {
				key.Revision -= n
			}
			return key
		})
	})},
	{name: "does not deliver what was loaded", sentence: "L3", make: withLoad(func(b *teststore.Loader) {
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			return func(yield func(store.Change, error) bool) {
				for c, err := range b.Sound.Watch(ctx, after) {
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

// withLoad makes a store of what change does to a sound one that loads.
func withLoad(change func(b *teststore.Loader)) func() store.Store {
	return func() store.Store {
		b := teststore.NewLoader()
		change(b)
		return b
	}
}
