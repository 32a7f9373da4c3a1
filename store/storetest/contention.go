package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var contentionCases = []testCase{
	{sentence: "S12", name: "concurrent writes get different revisions", run: concurrentRevisions},
	{sentence: "S13", name: "one of several creations succeeds", run: oneCreates},
	{sentence: "S13", name: "one of several replacements succeeds", run: oneReplaces},
	{sentence: "S13", name: "no update is lost", run: noLostUpdate},
	{sentence: "S19", name: "a key created meanwhile keeps its organization", run: noOrphan},
}

const writers = 8

func concurrentRevisions(k *kit) {
	k.organization("acme")
	var floor atomic.Uint64 // the highest revision given so far
	var mu sync.Mutex
	given := map[uint64]string{}
	together(writers, func(i int) {
		key := fixture.Plain(apikey.ID(fmt.Sprint("key-", i)), "acme")
		for range k.rounds(20) {
			least := floor.Load()
			stored, err := k.store.PutKey(k.ctx, key, store.AllowOpen)
			if err != nil {
				k.Errorf("PutKey of key %q, which nobody else writes: %v", key.ID, err)
				return
			}
			if stored.Revision <= least {
				k.Errorf("PutKey returned revision %d when another had returned revision %d before", stored.Revision, least)
			}
			mu.Lock()
			if other, ok := given[stored.Revision]; ok {
				k.Errorf("revision %d was given to key %q and to key %q", stored.Revision, other, key.ID)
			}
			given[stored.Revision] = string(key.ID)
			floor.Store(max(floor.Load(), stored.Revision))
			mu.Unlock()
			key = stored
		}
	})
}

// wantOneWinner checks that exactly one attempt succeeded and the others failed with an
// error.
func (k *kit) wantOneWinner(what string, errs []error, loser error) (winner int) {
	k.Helper()
	won := 0
	for i, err := range errs {
		if err == nil {
			won++
			winner = i
		} else {
			k.wantError(err, loser, "%s by one of several at once", what)
		}
	}
	if won != 1 {
		k.Fatalf("%s by %d at once succeeded for %d; want one", what, len(errs), won)
	}
	return winner
}

func oneCreates(k *kit) {
	k.organization("acme")
	for round := range k.rounds(30) {
		id, organization := apikey.ID(fmt.Sprint("key-", round)), fmt.Sprint("organization ", round)
		errs := make([]error, writers)
		together(writers, func(i int) { _, errs[i] = k.store.PutKey(k.ctx, fixture.Whole(id, "acme", i), store.AllowOpen) })
		winner := k.wantOneWinner("PutKey with revision zero", errs, store.ErrExists)
		if got, want := k.readKey(id).Description, fixture.Whole(id, "acme", winner).Description; got != want {
			k.Errorf("of several creations that of %q is stored; want that of %q, which succeeded", got, want)
		}
		together(writers, func(i int) {
			_, errs[i] = k.store.PutOrganization(k.ctx, policy.Organization{ID: organization})
		})
		k.wantOneWinner("PutOrganization with revision zero", errs, store.ErrExists)
	}
}

func oneReplaces(k *kit) {
	organization := k.organization("acme")
	key := k.put(fixture.Whole("key", "acme", 1))
	for range k.rounds(30) {
		errs := make([]error, writers)
		together(writers, func(i int) {
			next := fixture.Whole("key", "acme", i)
			next.Revision = key.Revision
			_, errs[i] = k.store.PutKey(k.ctx, next, store.AllowOpen)
		})
		winner := k.wantOneWinner("PutKey with the same revision", errs, store.ErrConflict)
		key = k.readKey("key")
		if want := fixture.Whole("key", "acme", winner).Description; key.Description != want {
			k.Errorf("of several replacements that of %q is stored; want that of %q, which succeeded", key.Description, want)
		}
		together(writers, func(i int) { _, errs[i] = k.store.PutOrganization(k.ctx, organization) })
		k.wantOneWinner("PutOrganization with the same revision", errs, store.ErrConflict)
		organization = k.readOrganization("acme")
	}
}

// noLostUpdate counts in a key's description as programs change a record: read, change,
// put, and restart after a conflict.
func noLostUpdate(k *kit) {
	k.organization("acme")
	first := fixture.Plain("counter", "acme")
	first.Description = "0"
	k.put(first)
	each := k.rounds(20)
	increment := func() error {
		for {
			key, err := k.store.Key(k.ctx, "counter")
			if err != nil {
				return err
			}
			n, err := strconv.Atoi(key.Description)
			if err != nil {
				return err
			}
			key.Description = strconv.Itoa(n + 1)
			if _, err := k.store.PutKey(k.ctx, key, store.AllowOpen); !errors.Is(err, store.ErrConflict) {
				return err
			}
		}
	}
	together(writers, func(int) {
		for range each {
			if err := increment(); err != nil {
				k.Errorf("counting in a description: %v", err)
				return
			}
		}
	})
	if got, want := k.readKey("counter").Description, strconv.Itoa(writers*each); got != want && !k.Failed() {
		k.Errorf("%d writers counted to %s; want %s: updates were lost", writers, got, want)
	}
}

func noOrphan(k *kit) {
	for range k.rounds(50) {
		k.organization("acme")
		var errs [2]error
		together(2, func(i int) {
			if i == 0 {
				_, errs[i] = k.store.PutKey(k.ctx, fixture.Plain("key", "acme"), store.AllowOpen)
			} else {
				errs[i] = k.store.DeleteOrganization(k.ctx, "acme", 0)
			}
		})
		switch put, deleted := errs[0], errs[1]; {
		case put == nil && errors.Is(deleted, store.ErrNotEmpty):
			if got := k.lookup("key").Organization().ID; got != "acme" {
				k.Errorf("Lookup of the key has organization %q; want \"acme\"", got)
			}
			k.delete("key")
			k.wantError(k.store.DeleteOrganization(k.ctx, "acme", 0), nil, "DeleteOrganization without keys")
		case deleted == nil && errors.Is(put, store.ErrNotFound):
			k.wantAbsent("acme", "key")
		default:
			k.Fatalf("PutKey: %s, DeleteOrganization at the same time: %s; want one to succeed and the other to say why not", quoted(put), quoted(deleted))
		}
	}
}
