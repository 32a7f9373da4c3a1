package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

// Broken in what they serve and what they read: S1 to S9.
var brokenReads = []brokenStore{
	{name: "serves one call at a time", sentence: "S1", make: busy},
	{name: "ignores the context", sentence: "S2", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoLookup = func(_ context.Context, id apikey.ID) (policy.Subject, bool, error) {
			return sound.Lookup(context.Background(), id)
		}
	})},
	{name: "looks at the record before the context", sentence: "S2", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			if err := key.Validate(); err != nil {
				return apikey.Key{}, errors.Join(store.ErrInvalid, err)
			}
			return sound.PutKey(ctx, key, o...)
		}
	})},
	{name: "looks at the cursor before the context", sentence: "S2", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
			if _, err := adapter.After(request); err != nil {
				return store.Page[apikey.Key]{}, err
			}
			return sound.Keys(ctx, organization, request)
		}
	})},
	{name: "writes before it looks at the context", sentence: "S2", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			stored, err := sound.PutKey(context.WithoutCancel(ctx), key, o...)
			return stored, errors.Join(err, ctx.Err())
		}
	})},
	{name: "says of a write that it was not made", sentence: "S3", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			stored, err := sound.PutKey(ctx, key, o...)
			if _, bounded := ctx.Deadline(); bounded && err == nil {
				return apikey.Key{}, fmt.Errorf("the lock was not had: %w", store.ErrNotWritten)
			}
			return stored, err
		}
	})},
	{name: "keeps a part of a refused write", sentence: "S3", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			stored, err := sound.PutKey(ctx, key, o...)
			if errors.Is(err, store.ErrOpensKey) {
				half, _ := sound.Key(ctx, key.ID)
				half.Description = key.Description
				_, _ = sound.PutKey(ctx, half)
			}
			return stored, err
		}
	})},
	{name: "delivers a missing key as an error", sentence: "S4", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoLookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
			subject, found, err := sound.Lookup(ctx, id)
			if err == nil && !found {
				err = store.ErrNotFound
			}
			return subject, found, err
		}
	})},
	{name: "delivers an error as a missing key", sentence: "S4", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoLookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
			subject, found, err := sound.Lookup(ctx, id)
			return subject, found && err == nil, nil
		}
	})},
	{name: "folds case", sentence: "S5", make: renamed(func(id string) string {
		folded := []byte(id)
		for i, c := range folded {
			if 'A' <= c && c <= 'Z' {
				folded[i] = c + 'a' - 'A'
			}
		}
		return string(folded)
	})},
	{name: "trims identifiers", sentence: "S5", make: renamed(strings.TrimSpace)},
	{name: "fails on a NUL", sentence: "S5", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoLookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
			if slices.Contains([]byte(id), 0) {
				return policy.Subject{}, false, errors.New("invalid byte sequence for encoding UTF8: 0x00")
			}
			return sound.Lookup(ctx, id)
		}
	})},
	{name: "loses the last entry", sentence: "S6", make: onKeys(func(key apikey.Key) apikey.Key {
		return teststore.Entries(key, func(all []accesslist.Entry) []accesslist.Entry { return all[:max(len(all)-1, 1)] })
	})},
	{name: "loses comments", sentence: "S6", make: onEntries(func(e *accesslist.Entry) { e.Comment = "" })},
	{name: "loses expiries of entries", sentence: "S6", make: onEntries(func(e *accesslist.Entry) { e.Expires = time.Time{} })},
	{name: "keeps times to the millisecond", sentence: "S6", make: onEntries(func(e *accesslist.Entry) { e.Added = e.Added.Truncate(time.Millisecond) })},
	{name: "drops expired entries", sentence: "S6", make: onKeys(func(key apikey.Key) apikey.Key {
		live := slices.DeleteFunc(slices.Collect(key.AccessList.All()), func(e accesslist.Entry) bool { return e.ExpiredAt(fixture.Moment) })
		key.AccessList = fixture.Must(accesslist.List{}.With(live...))
		return key
	})},
	{name: "sorts grants", sentence: "S6", make: onKeys(func(key apikey.Key) apikey.Key {
		slices.SortFunc(key.Grants, func(a, b apikey.Grant) int { return len(a.Project) - len(b.Project) })
		return key
	})},
	{name: "forgets the former ID of a secret", sentence: "S6", make: onKeys(func(key apikey.Key) apikey.Key {
		for i := range key.Secrets {
			key.Secrets[i].FormerID = ""
		}
		return key
	})},
	{name: "makes the zero time 1970", sentence: "S6", make: onKeys(func(key apikey.Key) apikey.Key {
		if key.NotBefore.IsZero() {
			key.NotBefore = time.Unix(0, 0)
		}
		return key
	})},
	{name: "drops the switch of an organization", sentence: "S6", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutOrganization = func(ctx context.Context, o policy.Organization) (policy.Organization, error) {
			o.Disabled = false
			return sound.PutOrganization(ctx, o)
		}
	})},
	{name: "looks keys up without the switch of their organization", sentence: "S6", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoLookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
			subject, found, err := sound.Lookup(ctx, id)
			return withoutSwitch(subject), found, err
		}
	})},
	{name: "looks keys up with the switch from before", sentence: "S9", make: fromBefore(func(o *policy.Organization, before policy.Organization) { o.Disabled = before.Disabled })},
	{name: "drops a suspension", sentence: "S6", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutOrganization = func(ctx context.Context, o policy.Organization) (policy.Organization, error) {
			o.SuspendedUntil = time.Time{}
			return sound.PutOrganization(ctx, o)
		}
	})},
	{name: "keeps a suspension once it is there", sentence: "S6", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutOrganization = func(ctx context.Context, o policy.Organization) (policy.Organization, error) {
			if stored, err := sound.Organization(ctx, o.ID); err == nil && o.SuspendedUntil.IsZero() {
				o.SuspendedUntil = stored.SuspendedUntil
			}
			return sound.PutOrganization(ctx, o)
		}
	})},
	{name: "keeps suspensions in nanoseconds of 64 bits", sentence: "S6", only: "S6/an organization comes back in every field", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutOrganization = func(ctx context.Context, o policy.Organization) (policy.Organization, error) {
			if !o.SuspendedUntil.IsZero() {
				o.SuspendedUntil = time.Unix(0, o.SuspendedUntil.UnixNano())
			}
			return sound.PutOrganization(ctx, o)
		}
	})},
	{name: "looks keys up with the suspension from before", sentence: "S9", make: fromBefore(func(o *policy.Organization, before policy.Organization) { o.SuspendedUntil = before.SuspendedUntil })},
	{name: "suspends every requirement with one", sentence: "S9", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoLookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
			subject, found, err := sound.Lookup(ctx, id)
			all, _ := sound.Organizations(ctx, store.PageRequest{})
			key, organization := subject.Key(), subject.Organization()
			for _, other := range all.Items {
				if found && !other.SuspendedUntil.IsZero() {
					organization.SuspendedUntil = other.SuspendedUntil
					return policy.NewSubject(&key, &organization), found, err
				}
			}
			return subject, found, err
		}
	})},
	{name: "switches every key instead of the organization", sentence: "S9", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoLookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
			subject, found, err := sound.Lookup(ctx, id)
			key, organization := subject.Key(), subject.Organization()
			if key.Disabled = key.Disabled || organization.Disabled; found {
				return policy.NewSubject(&key, &organization), found, err
			}
			return subject, found, err
		}
	})},
	{name: "lists organizations without their switch", sentence: "S6", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoOrganizations = func(ctx context.Context, request store.PageRequest) (store.Page[policy.Organization], error) {
			page, err := sound.Organizations(ctx, request)
			for i := range page.Items {
				page.Items[i].Disabled = false
			}
			return page, err
		}
	})},
	{name: "shares what was passed in", sentence: "S7", make: with(func(b *teststore.Broken, sound *memory.Store) {
		passed := map[apikey.ID]apikey.Key{}
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			stored, err := sound.PutKey(ctx, key, o...)
			passed[key.ID] = key
			return stored, err
		}
		b.OnRead(func(key apikey.Key) apikey.Key {
			key.Grants = slices.Clone(passed[key.ID].Grants)
			return key
		})
	})},
	{name: "shares what it reads", sentence: "S7", make: with(func(b *teststore.Broken, sound *memory.Store) {
		shared := map[apikey.ID]apikey.Key{}
		b.OnRead(func(key apikey.Key) apikey.Key {
			if shared[key.ID].Revision != key.Revision {
				shared[key.ID] = key
			}
			return shared[key.ID]
		})
	})},
	{name: "shares what Put returns", sentence: "S7", make: with(func(b *teststore.Broken, sound *memory.Store) {
		given := map[apikey.ID]apikey.Key{}
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			stored, err := sound.PutKey(ctx, key, o...)
			given[key.ID] = stored
			return stored, err
		}
		b.OnRead(func(key apikey.Key) apikey.Key {
			key.Secrets = slices.Clone(given[key.ID].Secrets)
			return key
		})
	})},
	{name: "reads the key and the organization at different moments", sentence: "S8", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoLookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
			key, err := sound.Key(ctx, id)
			if err != nil {
				return policy.Subject{}, false, nil
			}
			time.Sleep(time.Millisecond)
			organization, err := sound.Organization(ctx, key.Organization)
			return policy.NewSubject(&key, &organization), err == nil, err
		}
	})},
	{name: "reads the entries after the rest of the key", sentence: "S8", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoKey = func(ctx context.Context, id apikey.ID) (apikey.Key, error) {
			key, err := sound.Key(ctx, id)
			if err != nil {
				return key, err
			}
			time.Sleep(time.Millisecond)
			later, err := sound.Key(ctx, id)
			key.AccessList = later.AccessList
			return key, err
		}
	})},
	{name: "answers look-ups from a stale cache", sentence: "S9", make: stale},
}

func withoutSwitch(subject policy.Subject) policy.Subject {
	key, organization := subject.Key(), subject.Organization()
	if organization.Disabled = false; organization.ID == "" {
		return subject
	}
	return policy.NewSubject(&key, &organization)
}

// fromBefore looks keys up with a setting of their organization from the look-up before.
func fromBefore(set func(organization *policy.Organization, before policy.Organization)) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		var seen sync.Map // policy.Organization by ID
		b.DoLookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
			subject, found, err := sound.Lookup(ctx, id)
			key, organization := subject.Key(), subject.Organization()
			before, _ := seen.Swap(organization.ID, organization)
			if before, ok := before.(policy.Organization); ok && found {
				set(&organization, before)
				return policy.NewSubject(&key, &organization), found, err
			}
			return subject, found, err
		}
	})
}
