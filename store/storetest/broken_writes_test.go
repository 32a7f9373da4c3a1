package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

type putOption = store.PutOption

// Broken in what they write, list and close: S10 to S24.
var brokenWrites = []brokenStore{
	{name: "overwrites on creation", sentence: "S10", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			if stored, err := sound.Key(ctx, key.ID); err == nil && key.Revision == 0 {
				key.Revision = stored.Revision
			}
			return sound.PutKey(ctx, key, append(o, store.AllowOpen)...)
		}
	})},
	{name: "ignores the revision", sentence: "S11", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			if stored, err := sound.Key(ctx, key.ID); err == nil && key.Revision != 0 {
				key.Revision = stored.Revision
			}
			return sound.PutKey(ctx, key, o...)
		}
	})},
	{name: "creates what it was asked to replace", sentence: "S11", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			if _, err := sound.Key(ctx, key.ID); err != nil {
				key.Revision = 0
			}
			return sound.PutKey(ctx, key, o...)
		}
	})},
	{name: "counts revisions by key", sentence: "S12", make: ownRevisions},
	{name: "keeps lists of any length", sentence: "S28", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			return sound.PutKey(ctx, key, append(o, store.AllowManyEntries)...)
		}
	})},
	{name: "counts the entries in force alone", sentence: "S28", only: "S28/the entries of a list on trial count", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			if key.AccessList.Len() <= store.MaxEntries {
				o = append(o, store.AllowManyEntries)
			}
			return sound.PutKey(ctx, key, o...)
		}
	})},
	{name: "refuses long lists that it has", sentence: "S28", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			if err := adapter.CheckPutKey(nil, apikey.Key{ID: key.ID, Organization: key.Organization, Secrets: key.Secrets, AccessList: key.AccessList}, append(o, store.AllowOpen)...); err != nil {
				return apikey.Key{}, err
			}
			return sound.PutKey(ctx, key, o...)
		}
	})},
	{name: "has a limit of its own for the size of a record", sentence: "S28", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			if record, err := adapter.EncodeKey(key); err == nil && len(record) > 1<<19 {
				return apikey.Key{}, fmt.Errorf("a record of %d bytes: %w", len(record), store.ErrInvalid)
			}
			return sound.PutKey(ctx, key, o...)
		}
	})},
	{name: "quotes what it was asked for", sentence: "S28", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoOrganization = func(ctx context.Context, id string) (policy.Organization, error) {
			organization, err := sound.Organization(ctx, id)
			if err != nil {
				err = fmt.Errorf("organization %q: %w", id, err)
			}
			return organization, err
		}
	})},
	{name: "gives a deleted record's revision again", sentence: "S12", make: highestPlusOne},
	{name: "returns what it was given", sentence: "S12", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			stored, err := sound.PutKey(ctx, key, o...)
			stored.Created = key.Created
			return stored, err
		}
		b.OnRead(func(key apikey.Key) apikey.Key {
			key.Created = key.Created.Truncate(time.Microsecond)
			return key
		})
	})},
	{name: "compares the revision before it writes", sentence: "S13", make: checkThenWrite},
	{name: "deletes whatever the revision", sentence: "S14", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoDeleteKey = func(ctx context.Context, id apikey.ID, _ uint64) error { return sound.DeleteKey(ctx, id, 0) }
	})},
	{name: "leaves usage behind", sentence: "S14", make: with(func(b *teststore.Broken, sound *memory.Store) {
		left := map[apikey.ID]store.KeyUsage{}
		b.DoDeleteKey = func(ctx context.Context, id apikey.ID, revision uint64) error {
			usage, _ := sound.Usage(ctx, id)
			left[id] = usage[id]
			return sound.DeleteKey(ctx, id, revision)
		}
		b.OnUsage(func(id apikey.ID, usage store.KeyUsage) (store.KeyUsage, error) {
			if old := left[id]; len(old.Entries) > 0 {
				usage = old
			}
			return usage, nil
		})
	})},
	{name: "leaves secrets behind", sentence: "S14", make: with(func(b *teststore.Broken, sound *memory.Store) {
		left := map[apikey.ID][]apikey.StoredSecret{}
		b.DoDeleteKey = func(ctx context.Context, id apikey.ID, revision uint64) error {
			if key, err := sound.Key(ctx, id); err == nil {
				left[id] = key.Secrets[:1]
			}
			return sound.DeleteKey(ctx, id, revision)
		}
		b.OnRead(func(key apikey.Key) apikey.Key {
			key.Secrets = append(key.Secrets, left[key.ID]...)
			return key
		})
	})},
	{name: "mends what is invalid", sentence: "S15", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			if len(key.Grants) == 2 && key.Grants[0] == key.Grants[1] {
				key.Grants = key.Grants[:1]
			}
			return sound.PutKey(ctx, key, o...)
		}
	})},
	{name: "makes the organization of a key", sentence: "S16", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			_, _ = sound.PutOrganization(ctx, policy.Organization{ID: key.Organization})
			return sound.PutKey(ctx, key, o...)
		}
	})},
	{name: "moves a key", sentence: "S17", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			if stored, err := sound.Key(ctx, key.ID); err == nil && stored.Organization != key.Organization {
				_ = sound.DeleteKey(ctx, key.ID, 0)
				key.Revision = 0
			}
			return sound.PutKey(ctx, key, o...)
		}
	})},
	{name: "opens lists without a word", sentence: "S18", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, _ ...putOption) (apikey.Key, error) {
			return sound.PutKey(ctx, key, store.AllowOpen)
		}
	})},
	{name: "creates open keys without a word", sentence: "S18", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			if key.Revision == 0 {
				o = append(o, store.AllowOpen)
			}
			return sound.PutKey(ctx, key, o...)
		}
	})},
	{name: "takes a list on trial for one in force", sentence: "S18", only: "S18/a list on trial is none", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			if !key.TrialList.IsEmpty() {
				o = append(o, store.AllowOpen)
			}
			return sound.PutKey(ctx, key, o...)
		}
	})},
	{name: "does not let a list be emptied", sentence: "S18", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			if key.Revision != 0 {
				o = nil
			}
			return sound.PutKey(ctx, key, o...)
		}
	})},
	{name: "wants leave for an open key that stays open", sentence: "S18", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			if key.AccessList.IsEmpty() && !slices.Contains(o, store.AllowOpen) {
				return apikey.Key{}, store.ErrOpensKey
			}
			return sound.PutKey(ctx, key, o...)
		}
	})},
	{name: "deletes the keys with their organization", sentence: "S19", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoDeleteOrganization = func(ctx context.Context, id string, revision uint64) error {
			for key := range store.AllKeys(ctx, sound, id) {
				_ = sound.DeleteKey(ctx, key.ID, 0)
			}
			return sound.DeleteOrganization(ctx, id, revision)
		}
	})},
	{name: "sorts by a collation", sentence: "S20", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
			page, err := sound.Keys(ctx, organization, request)
			slices.SortStableFunc(page.Items, byFoldedCase)
			return page, err
		}
	})},
	{name: "has a last page with a Next", sentence: "S20", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
			page, err := sound.Keys(ctx, organization, request)
			if n := len(page.Items); n == request.Size() {
				page.Next = adapter.CursorAfter(string(page.Items[n-1].ID))
			}
			return page, err
		}
	})},
	{name: "ignores the limit", sentence: "S20", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
			request.Limit = store.MaxPageSize
			return sound.Keys(ctx, organization, request)
		}
	})},
	{name: "pages by offset", sentence: "S21", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (page store.Page[apikey.Key], err error) {
			offset := 0
			_, _ = fmt.Sscanf(request.Cursor, "offset-%d", &offset)
			for key, err := range store.AllKeys(ctx, sound, organization) {
				if err != nil {
					return page, err
				}
				page.Items = append(page.Items, key)
			}
			page.Items = page.Items[min(offset, len(page.Items)):]
			if size := request.Size(); len(page.Items) > size {
				page.Items, page.Next = page.Items[:size], fmt.Sprintf("offset-%d", offset+size)
			}
			return page, nil
		}
	})},
	{name: "skips a record between pages", sentence: "S21", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
			page, err := sound.Keys(ctx, organization, request)
			if page.Next != "" && len(page.Items) > 1 {
				page.Items = page.Items[:len(page.Items)-1]
			}
			return page, err
		}
	})},
	{name: "begins again on a bad cursor", sentence: "S22", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
			if _, err := adapter.After(request); err != nil {
				request.Cursor = ""
			}
			return sound.Keys(ctx, organization, request)
		}
	})},
	{name: "ignores Close", sentence: "S23", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoClose = func() error { return nil }
	})},
	{name: "looks at the context before it looks whether it is closed", sentence: "S23", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoKey = func(ctx context.Context, id apikey.ID) (apikey.Key, error) {
			if err := ctx.Err(); err != nil {
				return apikey.Key{}, err
			}
			return sound.Key(ctx, id)
		}
	})},
	{name: "looks at the record before it looks whether it is closed", sentence: "S23", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			if err := key.Validate(); err != nil {
				return apikey.Key{}, errors.Join(store.ErrInvalid, err)
			}
			return sound.PutKey(ctx, key, o...)
		}
	})},
	{name: "has no keys after Close", sentence: "S23", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoLookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
			subject, found, err := sound.Lookup(ctx, id)
			if errors.Is(err, store.ErrClosed) {
				err = nil
			}
			return subject, found, err
		}
	})},
	{name: "fails to close again", sentence: "S24", make: with(func(b *teststore.Broken, sound *memory.Store) {
		var once sync.Once
		b.DoClose = func() error {
			err := store.ErrClosed
			once.Do(func() { err = sound.Close() })
			return err
		}
	})},
}
