package storetest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var momentCases = []testCase{
	{sentence: "S8", name: "no reader sees a mixture", run: noMixture},
	{sentence: "S9", name: "a write is seen by the reads after it", run: readYourWrites},
	{sentence: "S9", name: "a requirement holds for every key at once", run: requirementAtOnce},
	{sentence: "S9", name: "an organization is switched off and on for every key at once", run: switchAtOnce},
	{sentence: "S9", name: "a requirement is suspended and resumed for every key at once", run: suspendedAtOnce},
	{sentence: "S9", name: "a write that returned is seen by every goroutine", run: readOthersWrites},
}

// noMixture writes a cycle of states, one write at a time, while readers look for any
// other. "Nothing required and no entries" is none of them: an old key with a new
// requirement, or the reverse, would show it, and would admit everyone.
func noMixture(k *kit) {
	past, write := k.pairWriter()
	pairs := [2]map[pair]bool{{}, {}}

	lookup := func(seen map[pair]bool) error {
		subject, found, err := k.store.Lookup(k.ctx, "key")
		if err != nil || !found {
			return fmt.Errorf("Lookup: found %v, error %w", found, err)
		}
		key, organization := subject.Key(), subject.Organization()
		if key.AccessList.IsEmpty() && organization.Requirement == policy.NotRequired {
			k.Errorf("Lookup has a key without entries and an organization that requires none, which never were at the same time")
		}
		k.wantWhole("Lookup", key)
		seen[pair{key.Revision, organization.Revision}] = true
		return nil
	}
	k.whileWriting(4*k.rounds(100), write,
		func() error { return lookup(pairs[0]) },
		func() error { return lookup(pairs[1]) },
		func() error {
			key, err := k.store.Key(k.ctx, "key")
			if err == nil {
				k.wantWhole("Key", key)
			}
			return err
		},
		func() error {
			page, err := k.store.Keys(k.ctx, "acme", store.PageRequest{})
			if err == nil && len(page.Items) != 1 {
				err = fmt.Errorf("Keys has %d keys; want one", len(page.Items))
			}
			if err == nil {
				k.wantWhole("Keys", page.Items[0])
			}
			return err
		},
	)
	for _, seen := range pairs {
		for p := range seen {
			if !past.had(p) {
				k.Fatalf("Lookup saw the key of revision %d with the organization of revision %d, which were never stored at the same time", p.key, p.organization)
			}
		}
	}
}

// pairWriter stores the key "key" of the organization "acme", and returns the function
// that writes their states in a cycle, and the history of these writes.
func (k *kit) pairWriter() (past *history, write func(n int)) {
	organization := k.putOrganization(policy.Organization{ID: "acme", Requirement: policy.Required})
	key := k.put(fixture.Whole("key", "acme", 0))
	past = &history{keys: []uint64{key.Revision}, organizations: []uint64{organization.Revision}}
	require := func(requirement policy.Requirement) {
		organization.Requirement = requirement
		organization = k.putOrganization(organization)
		past.organizations = append(past.organizations, organization.Revision)
	}
	return past, func(n int) {
		// Entries by version: none, one, two, three, none, …
		if n%4 == 0 {
			require(policy.Required)
		}
		next := fixture.Whole("key", "acme", n)
		next.Revision = key.Revision
		key = k.put(next)
		past.keys = append(past.keys, key.Revision)
		if n%4 == 1 {
			require(policy.NotRequired)
		}
	}
}

// A pair is the revisions of a key and its organization in one Lookup.
type pair struct{ key, organization uint64 }

// A history is the revisions of one writer, ascending.
type history struct{ keys, organizations []uint64 }

// had reports whether both were stored at one moment. The earliest candidate is the
// moment of the later write.
func (h history) had(p pair) bool {
	at := max(p.key, p.organization)
	return latest(h.keys, at) == p.key && latest(h.organizations, at) == p.organization
}

// latest returns the last revision up to at.
func latest(revisions []uint64, at uint64) uint64 {
	i, found := slices.BinarySearch(revisions, at)
	switch {
	case found:
		return at
	case i == 0:
		return 0
	}
	return revisions[i-1]
}

// whileWriting calls write with 0, 1, 2 and so on: at least n times, and until each
// reader has read some hundred times, or for two seconds. The readers run meanwhile. An
// error of a reader ends it.
func (k *kit) whileWriting(n int, write func(n int), readers ...func() error) {
	var wait sync.WaitGroup
	var over atomic.Bool
	var busy atomic.Int64
	defer wait.Wait()
	defer over.Store(true)
	busy.Store(int64(len(readers)))
	enough := k.rounds(500)
	for _, read := range readers {
		wait.Go(func() {
			for i := 0; !over.Load(); i++ {
				if err := read(); err != nil {
					k.Errorf("while another goroutine wrote: %v", err)
				}
				if i == enough {
					busy.Add(-1)
				}
				if k.Failed() {
					over.Store(true)
				}
			}
		})
	}
	end := time.Now().Add(2 * time.Second)
	for i := 0; !over.Load() && (i < n || busy.Load() > 0 && time.Now().Before(end)); i++ {
		write(i)
	}
}

func readYourWrites(k *kit) {
	organization := k.organization("acme")
	stored := k.put(fixture.Whole("key", "acme", 0))
	for n := range k.rounds(50) {
		next := fixture.Whole("key", "acme", n)
		next.Revision = stored.Revision
		stored = k.put(next)
		k.wantEverywhere(stored)

		settings := fixture.WholeOrganization("acme", n)
		settings.Revision = organization.Revision
		organization = k.putOrganization(settings)
		if got := k.readOrganization("acme"); !got.Equal(organization) {
			k.Errorf("after PutOrganization returned %+v, Organization has %+v", organization, got)
		}
		if got := k.lookup("key").Organization(); !got.Equal(organization) {
			k.Errorf("after PutOrganization returned %+v, Lookup has %+v", organization, got)
		}

		k.wantAbsent("acme", "brief")
		k.put(fixture.Whole("brief", "acme", n))
		k.lookup("brief")
		k.delete("brief")
		k.wantAbsent("acme", "brief")
	}
}

func requirementAtOnce(k *kit) {
	organization := k.organization("acme")
	var all []apikey.ID
	for i := range 20 {
		all = append(all, k.put(fixture.Plain(apikey.ID(fmt.Sprint("key-", i)), "acme")).ID)
	}
	for _, requirement := range []policy.Requirement{policy.Required, policy.ReportOnly, policy.NotRequired} {
		for _, id := range all { // so that a cache has each of them
			k.lookup(id)
		}
		organization.Requirement = requirement
		organization = k.putOrganization(organization)
		for _, id := range all {
			if got := k.lookup(id).Organization(); !got.Equal(organization) {
				k.Errorf("after PutOrganization returned %+v, Lookup(%q) has %+v (rule Q3)", organization, id, got)
			}
		}
	}
}

func switchAtOnce(k *kit) {
	k.settingsAtOnce("was switched", func(o *policy.Organization) { o.Disabled = true }, func(o *policy.Organization) { o.Disabled = false })
}

func suspendedAtOnce(k *kit) {
	k.settingsAtOnce("was suspended or resumed",
		func(o *policy.Organization) { o.Requirement, o.SuspendedUntil = policy.Required, fixture.Moment },
		func(o *policy.Organization) { o.SuspendedUntil = time.Time{} })
}

// settingsAtOnce changes an organization there, back, and there again. It checks that each
// of its keys has the change at once, with nothing else, and that no other key has it.
func (k *kit) settingsAtOnce(what string, there, back func(*policy.Organization)) {
	k.Helper()
	organization := k.organization("acme")
	other := k.organization("other")
	var all []apikey.Key
	for i := range 20 {
		key := fixture.Plain(apikey.ID(fmt.Sprint("key-", i)), "acme")
		key.Disabled = i%2 == 1
		all = append(all, k.put(key))
	}
	k.put(fixture.Plain("other-key", "other"))
	for _, change := range []func(*policy.Organization){there, back, there} {
		for _, key := range all { // so that a cache has each of them
			k.lookup(key.ID)
		}
		change(&organization)
		organization = k.putOrganization(organization)
		for _, key := range all {
			subject := k.lookup(key.ID)
			if got := subject.Organization(); !got.Equal(organization) {
				k.Errorf("after PutOrganization returned %+v, Lookup(%q) has %+v", organization, key.ID, got)
			}
			k.wantKey("Lookup after its organization "+what, subject.Key(), key)
		}
		if got := k.lookup("other-key").Organization(); !got.Equal(other) {
			k.Errorf("after another organization %s, Lookup has %+v; want %+v", what, got, other)
		}
	}
}

func readOthersWrites(k *kit) {
	k.organization("acme")
	stored := k.put(fixture.Whole("key", "acme", 0))
	var floor atomic.Uint64 // the latest revision of a returned PutKey
	floor.Store(stored.Revision)
	see := func(method string, read func() (apikey.Key, error)) func() error {
		return func() error {
			least := floor.Load()
			key, err := read()
			if err == nil && key.Revision < least {
				err = fmt.Errorf("%s has revision %d after a PutKey had returned revision %d", method, key.Revision, least)
			}
			return err
		}
	}
	k.whileWriting(k.rounds(200), func(n int) {
		next := fixture.Whole("key", "acme", n)
		next.Revision = stored.Revision
		stored = k.put(next)
		floor.Store(stored.Revision)
	},
		see("Lookup", func() (apikey.Key, error) {
			subject, _, err := k.store.Lookup(k.ctx, "key")
			return subject.Key(), err
		}),
		see("Key", func() (apikey.Key, error) { return k.store.Key(k.ctx, "key") }),
		see("Keys", func() (apikey.Key, error) {
			page, err := k.store.Keys(k.ctx, "acme", store.PageRequest{})
			if err != nil || len(page.Items) != 1 {
				return apikey.Key{}, fmt.Errorf("Keys: %d keys, error %v", len(page.Items), err)
			}
			return page.Items[0], nil
		}),
	)
}
