package storetest

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

const (
	replacesBeyond = "S11/a revision beyond 63 bits is a conflict"
	deletesBeyond  = "S14/a Delete with a revision beyond 63 bits is a conflict"
	watchesBeyond  = "W4/a watch from a revision beyond 63 bits is ErrCompacted"
	noWatchLeft    = "W7/no watch leaves a goroutine behind"
	hardToDeliver  = "W6/difficult records are delivered in every field"
)

// Broken in how they list, compare revisions, load and deliver. Each is caught by one case of
// its sentence alone.
var brokenLists = []brokenStore{
	{name: "leaves a goroutine behind with every read", sentence: "S1", only: "S1/no call leaves a goroutine behind", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoKey = func(ctx context.Context, id apikey.ID) (apikey.Key, error) {
			go func() { <-ctx.Done() }()
			return sound.Key(ctx, id)
		}
	})},
	{name: "replaces the key of another organization", sentence: "S10", only: "S10/revision zero does not replace a key of another organization", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			if stored, err := sound.Key(ctx, key.ID); err == nil && stored.Organization != key.Organization && key.Revision == 0 {
				if err := sound.DeleteKey(ctx, key.ID, 0); err != nil {
					return apikey.Key{}, err
				}
			}
			return sound.PutKey(ctx, key, o...)
		}
	})},
	{name: "cuts a key's revision to 63 bits", sentence: "S11", only: replacesBeyond, make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			key.Revision = cutTo63(key.Revision)
			return sound.PutKey(ctx, key, o...)
		}
	})},
	{name: "cuts an organization's revision to 63 bits", sentence: "S11", only: replacesBeyond, make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutOrganization = func(ctx context.Context, organization policy.Organization) (policy.Organization, error) {
			organization.Revision = cutTo63(organization.Revision)
			return sound.PutOrganization(ctx, organization)
		}
	})},
	{name: "fails on a revision beyond 63 bits", sentence: "S11", only: replacesBeyond, make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			if key.Revision > math.MaxInt64 {
				return apikey.Key{}, errors.New("uint64 values with high bit set are not supported")
			}
			return sound.PutKey(ctx, key, o...)
		}
	})},
	{name: "cuts the revision of a deletion to 63 bits", sentence: "S14", only: deletesBeyond, make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoDeleteKey = func(ctx context.Context, id apikey.ID, revision uint64) error {
			return sound.DeleteKey(ctx, id, cutTo63(revision))
		}
	})},
	{name: "cuts the revision of an organization's deletion to 63 bits", sentence: "S14", only: deletesBeyond, make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoDeleteOrganization = func(ctx context.Context, id string, revision uint64) error {
			return sound.DeleteOrganization(ctx, id, cutTo63(revision))
		}
	})},
	{name: "takes expired entries for none", sentence: "S18", only: "S18/entries that have expired are entries", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			live := false
			for entry := range key.AccessList.All() {
				live = live || !entry.ExpiredAt(time.Now())
			}
			if !live && !key.AccessList.IsEmpty() && !slices.Contains(o, store.AllowOpen) {
				return apikey.Key{}, store.ErrOpensKey
			}
			return sound.PutKey(ctx, key, o...)
		}
	})},
	{name: "deletes organizations whose keys are disabled", sentence: "S19", only: "S19/keys that are not valid now are keys", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoDeleteOrganization = func(ctx context.Context, id string, revision uint64) error {
			for key := range store.AllKeys(ctx, sound, id) {
				if key.Disabled {
					_ = sound.DeleteKey(ctx, key.ID, 0)
				}
			}
			return sound.DeleteOrganization(ctx, id, revision)
		}
	})},
	{name: "cuts the cursors of organizations", sentence: "S20", only: "S20/organizations come in the order of their bytes", make: onOrganizationPages(func(_ *memory.Store, request *store.PageRequest) {
		if after, err := adapter.After(*request); err == nil && len(after) > 255 {
			request.Cursor = adapter.CursorAfter(after[:255])
		}
	})},
	{name: "cuts the cursors of keys", sentence: "S20", only: "S20/keys come in the order of their bytes", make: onKeyPages(func(request *store.PageRequest) {
		if after, err := adapter.After(*request); err == nil && len(after) > 39 {
			request.Cursor = adapter.CursorAfter(after[:39])
		}
	})},
	{name: "has pages of keys without a limit", sentence: "S20", only: "S20/no page of keys is larger than the limits", make: withLoad(func(b *teststore.Loader) {
		b.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
			page, err := b.Sound.Keys(ctx, organization, request)
			for err == nil && page.Next != "" && request.Limit < 0 {
				var next store.Page[apikey.Key]
				next, err = b.Sound.Keys(ctx, organization, store.PageRequest{Cursor: page.Next})
				page.Items, page.Next = append(page.Items, next.Items...), next.Next
			}
			return page, err
		}
	})},
	{name: "has pages of keys beyond the maximum", sentence: "S20", only: "S20/no page of keys is larger than the limits", make: withLoad(func(b *teststore.Loader) {
		b.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
			page, err := b.Sound.Keys(ctx, organization, request)
			if err == nil && page.Next != "" && request.Limit > store.MaxPageSize {
				var next store.Page[apikey.Key]
				next, err = b.Sound.Keys(ctx, organization, store.PageRequest{Cursor: page.Next})
				page.Items, page.Next = append(page.Items, next.Items...), next.Next
			}
			return page, err
		}
	})},
	{name: "skips an organization after a deletion", sentence: "S21", make: onOrganizationPages(func(sound *memory.Store, request *store.PageRequest) {
		if after, err := adapter.After(*request); err == nil && isGone(sound, after) {
			next, err := sound.Organizations(context.Background(), store.PageRequest{Cursor: request.Cursor, Limit: 1})
			if err == nil && next.Next != "" {
				request.Cursor = next.Next
			}
		}
	})},
	{name: "begins again where the organization of a cursor was deleted", sentence: "S21", make: onOrganizationPages(func(sound *memory.Store, request *store.PageRequest) {
		if after, err := adapter.After(*request); err == nil && isGone(sound, after) {
			request.Cursor = ""
		}
	})},
	{name: "loads descriptions cut", sentence: "L2", only: "L2/difficult records are loaded in every field", make: loadedAs(func(key apikey.Key) apikey.Key {
		key.Description = cutAt(255)(key.Description)
		return key
	})},
	{name: "loads lists cut at 1,000 entries", sentence: "S6", only: longList, make: loadedAs(func(key apikey.Key) apikey.Key { return shortened(key, 1000) })},
	{name: "takes IDs for one by their letters", sentence: "L2", only: "L2/IDs that differ in a byte are different", make: withLoad(func(b *teststore.Loader) {
		b.DoLoad = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
			seen := map[string]string{}
			for _, key := range keys {
				id := string(key.ID)
				if other, ok := seen[strings.ToLower(id)]; ok && other != id {
					return store.ErrExists
				}
				seen[strings.ToLower(id)] = id
			}
			return b.Sound.Load(ctx, organizations, keys, o...)
		}
	})},
	{name: "does not load what was deleted", sentence: "L2", only: "L2/deleted records can be loaded", make: withLoad(func(b *teststore.Loader) {
		deleted := map[apikey.ID]bool{}
		b.DoDeleteKey = func(ctx context.Context, id apikey.ID, revision uint64) error {
			err := b.Sound.DeleteKey(ctx, id, revision)
			deleted[id] = err == nil
			return err
		}
		b.DoLoad = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
			if slices.ContainsFunc(keys, func(key apikey.Key) bool { return deleted[key.ID] }) {
				return store.ErrExists
			}
			return b.Sound.Load(ctx, organizations, keys, o...)
		}
	})},
	{name: "delivers the first 1,000 changes since a mark", sentence: "W2", only: "W2/a watch from a mark delivers all of many changes", make: withLoad(func(b *teststore.Loader) {
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			latest, _ := b.Sound.Position(ctx)
			return firstOf(b.Sound.Watch(ctx, after), 1000, func(c store.Change) bool { return after.Revision > 0 && c.Revision <= latest.Revision })
		}
	})},
	{name: "leaves out a deletion that was compacted", sentence: "W4", only: "W4/the feed has every deletion from its beginning", make: forgetfulOfDeletion, options: []Option{Compact(forget)}},
	{name: "cuts the revision of a watch to 63 bits", sentence: "W4", only: watchesBeyond, make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			after.Revision = cutTo63(after.Revision)
			return sound.Watch(ctx, after)
		}
	})},
	{name: "begins with everything after the highest revision", sentence: "W4", only: watchesBeyond, make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			if after.Revision+1 == 0 {
				after = store.Position{}
			}
			return sound.Watch(ctx, after)
		}
	})},
	{name: "begins with the first 1,000 records", sentence: "W6", only: "W6/a watch from zero begins with all of many records", make: withLoad(func(b *teststore.Loader) {
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			begins := after == (store.Position{})
			return firstOf(b.Sound.Watch(ctx, after), 1000, func(c store.Change) bool {
				begins = begins && !c.IsMark()
				return begins
			})
		}
	})},
	{name: "delivers descriptions cut", sentence: "W6", only: hardToDeliver, make: deliveredAs(func(key *apikey.Key) { key.Description = cutAt(255)(key.Description) })},
	{name: "delivers times in nanoseconds", sentence: "W6", only: hardToDeliver, make: deliveredAs(func(key *apikey.Key) {
		if !key.Created.IsZero() {
			key.Created = time.Unix(0, key.Created.UnixNano())
		}
	})},
	{name: "delivers lists cut at 1,000 entries", sentence: "S6", only: longList, make: deliveredAs(func(key *apikey.Key) { *key = shortened(*key, 1000) })},
	{name: "leaves a goroutine behind with every watch", sentence: "W7", only: noWatchLeft, make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			forever := context.WithoutCancel(ctx)
			go func() {
				for range sound.Watch(forever, after) {
				}
			}()
			return sound.Watch(ctx, after)
		}
	})},
	{name: "leaves a goroutine behind with every watch that is left", sentence: "W7", only: noWatchLeft, make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			return func(yield func(store.Change, error) bool) {
				go func() { <-ctx.Done() }()
				for change, err := range sound.Watch(ctx, after) {
					if !yield(change, err) {
						return
					}
				}
			}
		}
	})},
}

func cutTo63(revision uint64) uint64 { return revision &^ (1 << 63) }

func onOrganizationPages(change func(*memory.Store, *store.PageRequest)) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoOrganizations = func(ctx context.Context, request store.PageRequest) (store.Page[policy.Organization], error) {
			change(sound, &request)
			return sound.Organizations(ctx, request)
		}
	})
}

func onKeyPages(change func(*store.PageRequest)) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
			change(&request)
			return sound.Keys(ctx, organization, request)
		}
	})
}

// isGone reports whether an organization of a cursor is absent.
func isGone(sound *memory.Store, id string) bool {
	_, err := sound.Organization(context.Background(), id)
	return id != "" && errors.Is(err, store.ErrNotFound)
}

// loadedAs changes keys that are loaded.
func loadedAs(change func(apikey.Key) apikey.Key) func() store.Store {
	return withLoad(func(b *teststore.Loader) {
		b.DoLoad = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
			var changed []apikey.Key
			for _, key := range keys {
				changed = append(changed, change(key))
			}
			return b.Sound.Load(ctx, organizations, changed, o...)
		}
	})
}

// deliveredAs changes keys that are delivered.
func deliveredAs(change func(*apikey.Key)) func() store.Store {
	return feed(func(c store.Change) (store.Change, bool) {
		if c.KeyRecord != nil {
			key := *c.KeyRecord
			change(&key)
			c.KeyRecord = &key
		}
		return c, true
	})
}

// firstOf delivers the first n of some changes, and all others.
func firstOf(feed iter.Seq2[store.Change, error], n int, some func(store.Change) bool) iter.Seq2[store.Change, error] {
	return func(yield func(store.Change, error) bool) {
		delivered := 0
		for change, err := range feed {
			if err == nil && some(change) && !change.IsMark() {
				if delivered++; delivered > n {
					continue
				}
			}
			if !yield(change, err) {
				return
			}
		}
	}
}

// forgetfulOfDeletion says that its feed is compacted, except for a deletion that was the
// last change before.
func forgetfulOfDeletion() store.Store {
	f := forgetfulOfOne().(*forgetfulStore)
	off, exact := f.DoWatch, f.Store.Watch
	deletion := false
	remove := f.DoDeleteKey
	f.DoDeleteKey = func(ctx context.Context, id apikey.ID, revision uint64) error {
		deletion = true
		return remove(ctx, id, revision)
	}
	put := f.DoPutKey
	f.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
		deletion = false
		return put(ctx, key, o...)
	}
	f.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
		if deletion {
			return off(ctx, after)
		}
		return exact(ctx, after)
	}
	return f
}
