package storetest

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

// Broken in their marks and in how they deliver: W6 to W8.
var brokenMarks = []brokenStore{
	{name: "delivers no marks", sentence: "W6", make: feed(func(c store.Change) (store.Change, bool) { return c, !c.IsMark() })},
	{name: "delivers a mark when the next write comes", sentence: "W6", make: feeds(func() func(store.Change) []store.Change {
		var late []store.Change
		return func(c store.Change) []store.Change {
			if c.IsMark() && c.Revision > 10 {
				late = append(late, c)
				return nil
			}
			defer func() { late = nil }()
			return append(late, c)
		}
	})},
	{name: "delivers no first mark", sentence: "W6", make: feeds(func() func(store.Change) []store.Change {
		first := true
		return func(c store.Change) []store.Change {
			skip := first && c.IsMark() && c.Revision > 0
			if first = false; skip {
				return nil
			}
			return []store.Change{c}
		}
	})},
	{name: "delivers a mark before all of it is there", sentence: "W6", make: feeds(func() func(store.Change) []store.Change {
		first := true
		return func(c store.Change) []store.Change {
			if first && !c.IsMark() {
				first = false
				return []store.Change{{History: "history", Revision: 0}, c}
			}
			return []store.Change{c}
		}
	})},
	{name: "delivers a mark ahead of its changes", sentence: "W6", make: feeds(func() func(store.Change) []store.Change {
		var held *store.Change
		return func(c store.Change) []store.Change {
			if held == nil && !c.IsMark() && c.Revision > 5 {
				held = &c
				return nil
			}
			if held != nil && c.IsMark() {
				all := []store.Change{c, *held}
				held = nil
				return all
			}
			return []store.Change{c}
		}
	})},
	{name: "marks a revision too many", sentence: "W6", make: feed(func(c store.Change) (store.Change, bool) {
		if c.IsMark() && c.Revision > 0 {
			c.Revision++
		}
		return c, true
	})},
	{name: "marks a revision too few", sentence: "W6", make: feed(func(c store.Change) (store.Change, bool) {
		if c.IsMark() && c.Revision > 3 {
			c.Revision--
		}
		return c, true
	})},
	{name: "delivers a record again and again before a mark", sentence: "W6", make: feeds(func() func(store.Change) []store.Change {
		n := 0
		return func(c store.Change) []store.Change {
			if n++; c.IsMark() && n%8 != 0 && c.Revision > 20 {
				return nil
			}
			return []store.Change{c}
		}
	})},
	{name: "goes back behind a mark", sentence: "W6", make: feeds(func() func(store.Change) []store.Change {
		var earlier store.Change
		return func(c store.Change) []store.Change {
			if c.IsMark() {
				return []store.Change{c}
			}
			all := []store.Change{c}
			if earlier.Revision > 0 {
				all = append(all, earlier)
			}
			earlier = c
			return all
		}
	})},
	{name: "puts something into its marks", sentence: "W6", make: feed(func(c store.Change) (store.Change, bool) {
		c.Deleted = c.Deleted || c.IsMark()
		return c, true
	})},
	{name: "delivers a record as it is now", sentence: "W6", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = deliveredBy(sound, func(ctx context.Context, c store.Change) store.Change {
			if c.KeyRecord != nil {
				if now, err := sound.Key(ctx, c.Key); err == nil {
					now.Revision = c.Revision
					c.KeyRecord = &now
				}
			}
			return c
		})
	})},
	{name: "delivers records without their lists", sentence: "W6", make: feed(func(c store.Change) (store.Change, bool) {
		if c.KeyRecord != nil {
			c.KeyRecord.AccessList = accesslist.List{}
		}
		return c, true
	})},
	{name: "delivers no records", sentence: "W6", make: feed(func(c store.Change) (store.Change, bool) {
		c.KeyRecord = nil
		return c, true
	})},
	{name: "delivers the record of what was deleted", sentence: "W6", make: feed(func(c store.Change) (store.Change, bool) {
		if c.Deleted && c.Key != "" {
			c.KeyRecord = &apikey.Key{ID: c.Key}
		}
		return c, true
	})},
	{name: "delivers another organization's record", sentence: "W6", make: feed(func(c store.Change) (store.Change, bool) {
		if c.OrganizationRecord != nil {
			c.OrganizationRecord.ID = "another"
		}
		return c, true
	})},
	{name: "begins with records of several moments", sentence: "W6", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			if after != (store.Position{}) {
				return sound.Watch(ctx, after)
			}
			return page(ctx, sound)
		}
	})},
	{name: "waits for its watchers", sentence: "W7", make: with(func(b *teststore.Broken, sound *memory.Store) {
		var delivered sync.RWMutex
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			delivered.Lock()
			defer delivered.Unlock()
			return sound.PutKey(ctx, key, o...)
		}
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			return func(yield func(store.Change, error) bool) {
				for change, err := range sound.Watch(ctx, after) {
					delivered.RLock()
					more := yield(change, err)
					if delivered.RUnlock(); !more {
						return
					}
				}
			}
		}
	})},
	{name: "delivers one watcher at a time", sentence: "W7", make: with(func(b *teststore.Broken, sound *memory.Store) {
		turn := make(chan struct{}, 1)
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			return func(yield func(store.Change, error) bool) {
				for change, err := range sound.Watch(ctx, after) {
					select {
					case turn <- struct{}{}:
					case <-ctx.Done():
						yield(store.Change{}, ctx.Err())
						return
					}
					more := yield(change, err)
					if <-turn; !more {
						return
					}
				}
			}
		}
	})},
	{name: "loses what a slow watcher has no room for", sentence: "W7", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			return lossy(sound.Watch(ctx, after))
		}
	})},
	{name: "shares what it delivers", sentence: "W8", make: with(func(b *teststore.Broken, sound *memory.Store) {
		var mu sync.Mutex
		shared := map[uint64]store.Change{}
		b.DoWatch = deliveredBy(sound, func(_ context.Context, c store.Change) store.Change {
			mu.Lock()
			defer mu.Unlock()
			if kept, ok := shared[c.Revision]; ok && !c.IsMark() {
				return kept
			}
			if !c.IsMark() {
				shared[c.Revision] = c
			}
			return c
		})
	})},
}

// deliveredBy is the feed of a sound store, with a function that changes what is delivered.
func deliveredBy(sound *memory.Store, change func(context.Context, store.Change) store.Change) func(context.Context, store.Position) iter.Seq2[store.Change, error] {
	return func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
		return func(yield func(store.Change, error) bool) {
			for delivered, err := range sound.Watch(ctx, after) {
				if err == nil {
					delivered = change(ctx, delivered)
				}
				if !yield(delivered, err) {
					return
				}
			}
		}
	}
}

// page begins with what the listings have, one after the other, and goes on from where
// the store is when it has read them.
func page(ctx context.Context, sound *memory.Store) iter.Seq2[store.Change, error] {
	return func(yield func(store.Change, error) bool) {
		var all []store.Change
		for organization, err := range store.AllOrganizations(ctx, sound) {
			if err != nil {
				yield(store.Change{}, err)
				return
			}
			all = append(all, store.Change{Revision: organization.Revision, Organization: organization.ID, OrganizationRecord: new(organization)})
		}
		for _, c := range slices.Clone(all) {
			for key, err := range store.AllKeys(ctx, sound, c.Organization) {
				if err != nil {
					yield(store.Change{}, err)
					return
				}
				all = append(all, store.Change{Revision: key.Revision, Organization: c.Organization, Key: key.ID, KeyRecord: &key})
			}
		}
		time.Sleep(time.Millisecond)
		latest, err := sound.Position(ctx)
		if err != nil {
			yield(store.Change{}, err)
			return
		}
		for _, c := range append(all, store.Change{History: latest.History, Revision: latest.Revision}) {
			if !yield(c, nil) {
				return
			}
		}
		if latest.Revision > 0 {
			for c, err := range sound.Watch(ctx, latest) {
				if !yield(c, err) {
					return
				}
			}
		}
		<-ctx.Done()
		yield(store.Change{}, ctx.Err())
	}
}

// lossy has a channel between the feed and who watches, and drops what does not fit.
func lossy(feed iter.Seq2[store.Change, error]) iter.Seq2[store.Change, error] {
	type delivered struct {
		change store.Change
		err    error
	}
	return func(yield func(store.Change, error) bool) {
		left := make(chan struct{})
		defer close(left)
		room := make(chan delivered, 256)
		go func() {
			defer close(room)
			for change, err := range feed {
				if err != nil {
					select {
					case room <- delivered{err: err}:
					case <-left:
					}
					return
				}
				select {
				case <-left:
					return
				case room <- delivered{change: change}:
				default:
				}
			}
		}()
		for t := range room {
			if !yield(t.change, t.err) {
				return
			}
		}
	}
}
