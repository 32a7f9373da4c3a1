package storetest

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

// Stores that break one sentence each, in a way that stores have been broken. Each
// is the memory store with some methods replaced by functions.

// onEntries is a store that does something to every entry that it reads.
func onEntries(change func(*accesslist.Entry)) func() store.Store {
	return func() store.Store {
		b, _ := teststore.New()
		b.OnRead(func(key apikey.Key) apikey.Key {
			return teststore.Entries(key, func(all []accesslist.Entry) []accesslist.Entry {
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
		b, _ := teststore.New()
		b.OnRead(change)
		return b
	}
}

// A brokenStore is one, and the sentence that catches it.
type brokenStore struct {
	name     string
	sentence string
	only     string // the one case of the sentence that catches it; "" if there may be several
	make     func() store.Store
	options  []Option
}

// A meeting holds a call between two steps until another is there too, or for a while. A busy
// machine often runs two calls one after the other, and then the store is right.
type meeting chan struct{}

func (m meeting) wait() {
	select {
	case m <- struct{}{}:
	case <-m:
	case <-time.After(50 * time.Millisecond):
	}
}

// with makes a store of what change does to a sound one.
func with(change func(b *teststore.Broken, sound *memory.Store)) func() store.Store {
	return func() store.Store {
		b, sound := teststore.New()
		change(b, sound)
		return b
	}
}

// feed has a function change or drop what is delivered.
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

// feeds has a function make something else of each change that is delivered. There is one
// of it for every watch.
func feeds(anew func() func(store.Change) []store.Change) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			return func(yield func(store.Change, error) bool) {
				change := anew()
				for delivered, err := range sound.Watch(ctx, after) {
					if err != nil {
						yield(delivered, err)
						return
					}
					for _, c := range change(delivered) {
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
	return with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoLookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
			return sound.Lookup(ctx, apikey.ID(rename(string(id))))
		}
		b.DoKey = func(ctx context.Context, id apikey.ID) (apikey.Key, error) {
			return sound.Key(ctx, apikey.ID(rename(string(id))))
		}
		b.DoDeleteKey = func(ctx context.Context, id apikey.ID, revision uint64) error {
			return sound.DeleteKey(ctx, apikey.ID(rename(string(id))), revision)
		}
		b.DoPutKey = func(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
			key.ID = apikey.ID(rename(string(key.ID)))
			return sound.PutKey(ctx, key, options...)
		}
		b.DoOrganization = func(ctx context.Context, id string) (policy.Organization, error) {
			return sound.Organization(ctx, rename(id))
		}
	})
}

// busy refuses to serve two calls at once, as SQLite does without a busy timeout.
func busy() store.Store {
	b, sound := teststore.New()
	var mu sync.Mutex
	b.DoPutKey = func(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
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
	b, sound := teststore.New()
	var cache sync.Map
	b.DoLookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
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
	b, sound := teststore.New()
	var mu sync.Mutex
	count := map[apikey.ID]uint64{}
	own := func(key apikey.Key) apikey.Key { key.Revision = count[key.ID]; return key }
	b.DoKey = func(ctx context.Context, id apikey.ID) (apikey.Key, error) {
		mu.Lock()
		defer mu.Unlock()
		key, err := sound.Key(ctx, id)
		return own(key), err
	}
	b.DoPutKey = func(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
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
	b.DoDeleteKey = func(ctx context.Context, id apikey.ID, _ uint64) error {
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
	b, sound := teststore.New()
	var mu sync.Mutex
	revisions := map[apikey.ID]uint64{"": 1}
	b.DoPutKey = func(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
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
	b.DoDeleteKey = func(ctx context.Context, id apikey.ID, _ uint64) error {
		mu.Lock()
		defer mu.Unlock()
		delete(revisions, id)
		return sound.DeleteKey(ctx, id, 0)
	}
	return b
}

// checkThenWrite compares the revision in one step and writes in another.
func checkThenWrite() store.Store {
	b, sound := teststore.New()
	b.DoPutKey = func(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
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
	b, sound := teststore.New()
	var mu sync.Mutex
	written := map[apikey.ID]time.Time{}
	b.DoPutKey = func(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
		mu.Lock()
		written[key.ID] = time.Now()
		mu.Unlock()
		return sound.PutKey(ctx, key, options...)
	}
	b.DoKey = func(ctx context.Context, id apikey.ID) (apikey.Key, error) {
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

// byFoldedCase sorts as a case-insensitive collation does.
func byFoldedCase(a, b apikey.Key) int {
	return bytes.Compare([]byte(strings.ToLower(string(a.ID))), []byte(strings.ToLower(string(b.ID))))
}
