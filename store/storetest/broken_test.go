package storetest

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
)

// Stores that break one sentence each, in a way that stores have been broken. Each
// is the memory store with some methods replaced by functions.

type broken struct {
	*memory.Store
	lookup             func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error)
	organization       func(ctx context.Context, id string) (policy.Organization, error)
	putOrganization    func(ctx context.Context, o policy.Organization) (policy.Organization, error)
	deleteOrganization func(ctx context.Context, id string, revision uint64) error
	key                func(ctx context.Context, id apikey.ID) (apikey.Key, error)
	putKey             func(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error)
	deleteKey          func(ctx context.Context, id apikey.ID, revision uint64) error
	keys               func(ctx context.Context, organization string, page store.PageRequest) (store.Page[apikey.Key], error)
	close              func() error
	revision           func(ctx context.Context) (uint64, error)
	watch              func(ctx context.Context, after uint64) iter.Seq2[store.Change, error]
	recordUsage        func(ctx context.Context, batch []store.UsageRecord) error
	usage              func(ctx context.Context, id apikey.ID) (store.KeyUsage, error)
}

func newBroken() (b *broken, sound *memory.Store) {
	m := memory.New()
	return brokenOf(m), m
}

func brokenOf(m *memory.Store) *broken {
	return &broken{
		Store: m, lookup: m.Lookup, organization: m.Organization, putOrganization: m.PutOrganization, deleteOrganization: m.DeleteOrganization,
		key: m.Key, putKey: m.PutKey, deleteKey: m.DeleteKey, keys: m.Keys, close: m.Close,
		revision: m.Revision, watch: m.Watch, recordUsage: m.RecordUsage, usage: m.Usage,
	}
}

func (b *broken) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	return b.lookup(ctx, id)
}
func (b *broken) Organization(ctx context.Context, id string) (policy.Organization, error) {
	return b.organization(ctx, id)
}
func (b *broken) PutOrganization(ctx context.Context, o policy.Organization) (policy.Organization, error) {
	return b.putOrganization(ctx, o)
}
func (b *broken) DeleteOrganization(ctx context.Context, id string, revision uint64) error {
	return b.deleteOrganization(ctx, id, revision)
}
func (b *broken) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) { return b.key(ctx, id) }
func (b *broken) PutKey(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	return b.putKey(ctx, key, options...)
}
func (b *broken) DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error {
	return b.deleteKey(ctx, id, revision)
}
func (b *broken) Keys(ctx context.Context, organization string, page store.PageRequest) (store.Page[apikey.Key], error) {
	return b.keys(ctx, organization, page)
}
func (b *broken) Close() error                                 { return b.close() }
func (b *broken) Revision(ctx context.Context) (uint64, error) { return b.revision(ctx) }
func (b *broken) Watch(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
	return b.watch(ctx, after)
}
func (b *broken) RecordUsage(ctx context.Context, batch []store.UsageRecord) error {
	return b.recordUsage(ctx, batch)
}
func (b *broken) Usage(ctx context.Context, id apikey.ID) (store.KeyUsage, error) {
	return b.usage(ctx, id)
}

// onRead has a function change every key that is read, by whichever method.
func (b *broken) onRead(change func(apikey.Key) apikey.Key) {
	lookup, key, keys := b.lookup, b.key, b.keys
	b.lookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
		subject, found, err := lookup(ctx, id)
		if !found || err != nil {
			return subject, found, err
		}
		k, o := change(subject.Key()), subject.Organization()
		return policy.NewSubject(&k, &o), true, nil
	}
	b.key = func(ctx context.Context, id apikey.ID) (apikey.Key, error) {
		k, err := key(ctx, id)
		if err == nil {
			k = change(k)
		}
		return k, err
	}
	b.keys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
		page, err := keys(ctx, organization, request)
		for i := range page.Items {
			page.Items[i] = change(page.Items[i])
		}
		return page, err
	}
}

// entries changes the entries of a key's list.
func entries(key apikey.Key, change func([]accesslist.Entry) []accesslist.Entry) apikey.Key {
	if !key.AccessList.IsEmpty() {
		key.AccessList = must(accesslist.New(change(slices.Collect(key.AccessList.All()))...))
	}
	return key
}

// onEntries is a store that does something to every entry that it reads.
func onEntries(change func(*accesslist.Entry)) func() store.Store {
	return func() store.Store {
		b, _ := newBroken()
		b.onRead(func(key apikey.Key) apikey.Key {
			return entries(key, func(all []accesslist.Entry) []accesslist.Entry {
				for i := range all {
					change(&all[i])
				}
				return all
			})
		})
		return b
	}
}

func onKeys(change func(apikey.Key) apikey.Key) func() store.Store {
	return func() store.Store {
		b, _ := newBroken()
		b.onRead(change)
		return b
	}
}

// A brokenStore is one, and the sentence that catches it.
type brokenStore struct {
	name     string
	sentence string
	make     func() store.Store
	options  []Option
}

// with makes a store of what change does to a sound one.
func with(change func(b *broken, sound *memory.Store)) func() store.Store {
	return func() store.Store {
		b, sound := newBroken()
		change(b, sound)
		return b
	}
}

// feed has a function change or drop what is told.
func feed(change func(store.Change) (store.Change, bool)) func() store.Store {
	return feeds(func() func(store.Change) []store.Change {
		return func(c store.Change) []store.Change {
			if c, ok := change(c); ok {
				return []store.Change{c}
			}
			return nil
		}
	})
}

// feeds has a function make something else of each change that is told. There is one
// of it for every watch.
func feeds(anew func() func(store.Change) []store.Change) func() store.Store {
	return with(func(b *broken, sound *memory.Store) {
		b.watch = func(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
			return func(yield func(store.Change, error) bool) {
				change := anew()
				for told, err := range sound.Watch(ctx, after) {
					if err != nil {
						yield(told, err)
						return
					}
					for _, c := range change(told) {
						if !yield(c, nil) {
							return
						}
					}
				}
			}
		}
	})
}

// renamed is a store that changes identifiers before it compares them, as a
// database's collation does.
func renamed(rename func(string) string) func() store.Store {
	return with(func(b *broken, sound *memory.Store) {
		b.lookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
			return sound.Lookup(ctx, apikey.ID(rename(string(id))))
		}
		b.key = func(ctx context.Context, id apikey.ID) (apikey.Key, error) {
			return sound.Key(ctx, apikey.ID(rename(string(id))))
		}
		b.deleteKey = func(ctx context.Context, id apikey.ID, revision uint64) error {
			return sound.DeleteKey(ctx, apikey.ID(rename(string(id))), revision)
		}
		b.putKey = func(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
			key.ID = apikey.ID(rename(string(key.ID)))
			return sound.PutKey(ctx, key, options...)
		}
		b.organization = func(ctx context.Context, id string) (policy.Organization, error) {
			return sound.Organization(ctx, rename(id))
		}
	})
}

// busy refuses to serve two calls at once, as SQLite does without a busy timeout.
func busy() store.Store {
	b, sound := newBroken()
	var mu sync.Mutex
	b.putKey = func(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
		if !mu.TryLock() {
			return apikey.Key{}, errors.New("database is locked")
		}
		defer mu.Unlock()
		time.Sleep(10 * time.Microsecond)
		return sound.PutKey(ctx, key, options...)
	}
	return b
}

// stale answers look-ups from a cache, as one does who forgets to drop it.
func stale() store.Store {
	b, sound := newBroken()
	var cache sync.Map
	b.lookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
		if subject, ok := cache.Load(id); ok {
			return subject.(policy.Subject), true, nil
		}
		subject, found, err := sound.Lookup(ctx, id)
		if found {
			cache.Store(id, subject)
		}
		return subject, found, err
	}
	return b
}

// ownRevisions counts the revisions of every key by itself, and forgets the count of
// a key that is deleted.
func ownRevisions() store.Store {
	b, sound := newBroken()
	var mu sync.Mutex
	count := map[apikey.ID]uint64{}
	own := func(key apikey.Key) apikey.Key { key.Revision = count[key.ID]; return key }
	b.key = func(ctx context.Context, id apikey.ID) (apikey.Key, error) {
		mu.Lock()
		defer mu.Unlock()
		key, err := sound.Key(ctx, id)
		return own(key), err
	}
	b.putKey = func(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
		mu.Lock()
		defer mu.Unlock()
		if stored, err := sound.Key(ctx, key.ID); err == nil && key.Revision == count[key.ID] {
			key.Revision = stored.Revision
		}
		stored, err := sound.PutKey(ctx, key, options...)
		if err == nil {
			count[key.ID]++
		}
		return own(stored), err
	}
	b.deleteKey = func(ctx context.Context, id apikey.ID, _ uint64) error {
		mu.Lock()
		defer mu.Unlock()
		delete(count, id)
		return sound.DeleteKey(ctx, id, 0)
	}
	return b
}

// highestPlusOne gives the highest revision that is stored plus one, so that a
// deleted record's is given again. It has keys only, and one organization.
func highestPlusOne() store.Store {
	b, sound := newBroken()
	var mu sync.Mutex
	revisions := map[apikey.ID]uint64{"": 1}
	b.putKey = func(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
		mu.Lock()
		defer mu.Unlock()
		highest := uint64(0)
		for _, revision := range revisions {
			highest = max(highest, revision)
		}
		stored, err := sound.PutKey(ctx, key, options...)
		if err == nil {
			revisions[key.ID] = highest + 1
			stored.Revision = highest + 1
		}
		return stored, err
	}
	b.deleteKey = func(ctx context.Context, id apikey.ID, _ uint64) error {
		mu.Lock()
		defer mu.Unlock()
		delete(revisions, id)
		return sound.DeleteKey(ctx, id, 0)
	}
	return b
}

// checkThenWrite compares the revision in one step and writes in another.
func checkThenWrite() store.Store {
	b, sound := newBroken()
	b.putKey = func(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
		stored, err := sound.Key(ctx, key.ID)
		if err != nil || stored.Revision != key.Revision {
			return sound.PutKey(ctx, key, options...)
		}
		time.Sleep(20 * time.Microsecond)
		for {
			if stored, err = sound.Key(ctx, key.ID); err != nil {
				return stored, err
			}
			key.Revision = stored.Revision
			if put, err := sound.PutKey(ctx, key, options...); !errors.Is(err, store.ErrConflict) {
				return put, err
			}
		}
	}
	return b
}

// lateReads shows a write to the feed at once and to reads a little later.
func lateReads() store.Store {
	b, sound := newBroken()
	var mu sync.Mutex
	written := map[apikey.ID]time.Time{}
	b.putKey = func(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
		mu.Lock()
		written[key.ID] = time.Now()
		mu.Unlock()
		return sound.PutKey(ctx, key, options...)
	}
	b.key = func(ctx context.Context, id apikey.ID) (apikey.Key, error) {
		key, err := sound.Key(ctx, id)
		mu.Lock()
		defer mu.Unlock()
		if time.Since(written[id]) < 5*time.Millisecond {
			key.Revision-- // the one before
		}
		return key, err
	}
	return b
}

// damaged has a list that its storage no longer reads, and passes it off as empty.
func damaged() store.Store {
	b, _ := newBroken()
	var unreadable sync.Map
	b.onRead(func(key apikey.Key) apikey.Key {
		if _, ok := unreadable.Load(key.ID); ok {
			key.AccessList = accesslist.List{}
		}
		return key
	})
	return &damagedStore{b, &unreadable}
}

type damagedStore struct {
	*broken
	unreadable *sync.Map
}

// tells is a feed that tells what cannot be read as f has it, or ends with its error.
func (d *damagedStore) tells(f func(store.Change) (store.Change, error)) func(context.Context, uint64) iter.Seq2[store.Change, error] {
	return func(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
		return func(yield func(store.Change, error) bool) {
			for told, err := range d.Store.Watch(ctx, after) {
				if _, ok := d.unreadable.Load(told.Key); ok && err == nil {
					if told, err = f(told); err != nil {
						told = store.Change{}
					}
				}
				if !yield(told, err) || err != nil {
					return
				}
			}
		}
	}
}

// byFoldedCase sorts as a case-insensitive collation does.
func byFoldedCase(a, b apikey.Key) int {
	return bytes.Compare([]byte(strings.ToLower(string(a.ID))), []byte(strings.ToLower(string(b.ID))))
}

func damage(_ testing.TB, s store.Store, id apikey.ID) { s.(*damagedStore).unreadable.Store(id, true) }
