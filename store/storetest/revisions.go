package storetest

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var revisionCases = []testCase{
	{sentence: "S10", name: "revision zero does not replace", run: createExisting},
	{sentence: "S10", name: "revision zero does not replace a key of another organization", run: createElsewhere},
	{sentence: "S11", name: "another revision is a conflict", run: replaceStale},
	{sentence: "S11", name: "a revision beyond 63 bits is a conflict", run: replaceBeyond},
	{sentence: "S11", name: "an absent record cannot be replaced", run: replaceMissing},
	{sentence: "S12", name: "Put returns the record as stored", run: putReturnsStored},
	{sentence: "S12", name: "revisions rise over all records", run: revisionsRise},
	{sentence: "S12", name: "revisions rise over deleted records", run: revisionsRiseOverDeleted},
	{sentence: "S12", name: "revisions go on rising after reopening", run: revisionsAfterReopening, needs: "Reopen"},
}

func createExisting(k *kit) {
	organization := k.putOrganization(policy.Organization{ID: "acme", Requirement: policy.Required})
	key := k.put(fixture.Plain("key", "acme", "192.0.2.1"))
	_, err := k.store.PutKey(k.ctx, fixture.Whole("key", "acme", 3), store.AllowOpen)
	k.wantError(err, store.ErrExists, "PutKey of a key that is there, with revision zero")
	_, err = k.store.PutKey(k.ctx, fixture.Plain("key", "acme", "192.0.2.1"), store.AllowOpen)
	k.wantError(err, store.ErrExists, "PutKey of an equal key that is there, with revision zero")
	k.wantEverywhere(key)
	_, err = k.store.PutOrganization(k.ctx, policy.Organization{ID: "acme"})
	k.wantError(err, store.ErrExists, "PutOrganization of one that is there, with revision zero")
	if got := k.readOrganization("acme"); !got.Equal(organization) {
		k.Errorf("after the PutOrganization that was refused, Organization is %+v; want %+v", got, organization)
	}
}

// createElsewhere creates a key under the ID of another organization's key. All organizations
// share one space of IDs.
func createElsewhere(k *kit) {
	k.organization("acme")
	k.organization("other")
	stored := k.put(fixture.Plain("key", "acme", "192.0.2.1"))
	refused := func(what string, err error) {
		k.Helper()
		if !errors.Is(err, store.ErrExists) && !errors.Is(err, store.ErrInvalid) { // S10 or S17
			k.Errorf("%s under an ID that a key of another organization has: error is %s; want %s", what, quoted(err), quoted(store.ErrExists))
		}
		k.wantEverywhere(stored)
		if got := ids(k.keys("other", 0)); len(got) > 0 {
			k.Errorf("after %s Keys of the other organization has %q; want none", what, got)
		}
	}
	_, err := k.store.PutKey(k.ctx, fixture.Plain("key", "other"), store.AllowOpen)
	refused("PutKey", err)
	if loader, ok := store.As[store.Loader](k.store); ok {
		refused("Load", loader.Load(k.ctx, nil, []apikey.Key{fixture.Plain("key", "other")}, store.AllowOpen))
	}
}

// beyond returns revisions that equal another one when cut to 32, 53 or 63 bits, or that
// are negative as signed numbers.
func beyond(revision uint64) []uint64 {
	return []uint64{revision + 1<<32, revision + 1<<53, revision | 1<<62, revision | 1<<63, 1 << 53, 1<<63 - 1, 1 << 63, 1<<63 + 1, math.MaxUint64 - 1, math.MaxUint64}
}

func replaceBeyond(k *kit) {
	organization := k.organization("acme")
	key := k.put(fixture.Whole("key", "acme", 1))
	for _, revision := range beyond(key.Revision) {
		if revision == key.Revision {
			continue
		}
		next := fixture.Whole("key", "acme", 2)
		next.Revision = revision
		_, err := k.store.PutKey(k.ctx, next, store.AllowOpen)
		k.wantError(err, store.ErrConflict, "PutKey with revision %d in place of revision %d", revision, key.Revision)
		next.ID = "gone"
		_, err = k.store.PutKey(k.ctx, next, store.AllowOpen)
		k.wantError(err, store.ErrNotFound, "PutKey with revision %d of a key that is absent", revision)
	}
	for _, revision := range beyond(organization.Revision) {
		if revision == organization.Revision {
			continue
		}
		_, err := k.store.PutOrganization(k.ctx, policy.Organization{ID: "acme", Revision: revision})
		k.wantError(err, store.ErrConflict, "PutOrganization with revision %d in place of revision %d", revision, organization.Revision)
		_, err = k.store.PutOrganization(k.ctx, policy.Organization{ID: "gone", Revision: revision})
		k.wantError(err, store.ErrNotFound, "PutOrganization with revision %d of one that is absent", revision)
	}
	k.wantEverywhere(key)
	if got := k.readOrganization("acme"); !got.Equal(organization) {
		k.Errorf("after conflicts Organization is %+v; want %+v", got, organization)
	}
}

func replaceStale(k *kit) {
	organization := k.organization("acme")
	first := k.put(fixture.Whole("key", "acme", 1))
	second := fixture.Whole("key", "acme", 2)
	second.Revision = first.Revision
	second = k.put(second)
	neighbour := k.put(fixture.Plain("neighbour", "acme"))
	for _, revision := range []uint64{first.Revision, second.Revision - 1, second.Revision + 1, neighbour.Revision, organization.Revision, 1 << 40} {
		if revision == second.Revision {
			continue
		}
		stale := fixture.Whole("key", "acme", 3)
		stale.Revision = revision
		_, err := k.store.PutKey(k.ctx, stale, store.AllowOpen)
		k.wantError(err, store.ErrConflict, "PutKey with revision %d in place of revision %d", revision, second.Revision)
		_, err = k.store.PutOrganization(k.ctx, policy.Organization{ID: "acme", Revision: organization.Revision + revision})
		k.wantError(err, store.ErrConflict, "PutOrganization with revision %d in place of revision %d", organization.Revision+revision, organization.Revision)
	}
	k.wantEverywhere(second)
	if got := k.readOrganization("acme"); !got.Equal(organization) {
		k.Errorf("after conflicts Organization is %+v; want %+v", got, organization)
	}
}

func replaceMissing(k *kit) {
	k.organization("acme")
	gone := k.put(fixture.Plain("gone", "acme"))
	k.delete("gone")
	_, err := k.store.PutKey(k.ctx, gone, store.AllowOpen)
	k.wantError(err, store.ErrNotFound, "PutKey with the revision of a key that was deleted")
	never := fixture.Plain("never", "acme")
	never.Revision = 1
	_, err = k.store.PutKey(k.ctx, never, store.AllowOpen)
	k.wantError(err, store.ErrNotFound, "PutKey with a revision, of a key that never was")
	_, err = k.store.PutOrganization(k.ctx, policy.Organization{ID: "never", Revision: 1})
	k.wantError(err, store.ErrNotFound, "PutOrganization with a revision, of one that never was")
	k.wantAbsent("acme", "gone")
	k.wantAbsent("acme", "never")
	if n := len(k.organizations(0)); n != 1 {
		k.Errorf("Organizations has %d; want one", n)
	}
}

func putReturnsStored(k *kit) {
	k.organization("acme")
	// With parts that a store may round: it must return the stored values.
	key := richKey("key", "acme")
	key.Created = fixture.Moment.Add(777 * time.Nanosecond)
	key.Secrets[0].Expires = fixture.Moment.Add(1999 * time.Nanosecond)
	for range 3 {
		stored := k.put(key)
		k.wantEverywhere(stored)
		if stored.Revision == key.Revision {
			k.Errorf("PutKey returned revision %d, which it was given; want a new one", stored.Revision)
		}
		key = stored
	}
	organization := k.putOrganization(fixture.WholeOrganization("other", 1))
	if got := k.readOrganization("other"); !got.Equal(organization) {
		k.Errorf("PutOrganization returned %+v, and Organization has %+v", organization, got)
	}
}

// A ladder is the given revisions. Each must be the highest.
type ladder struct {
	*kit
	top uint64
}

func (l *ladder) climb(revision uint64, what string) {
	l.Helper()
	if revision <= l.top {
		l.Errorf("%s got revision %d; want more than %d, which the store gave before", what, revision, l.top)
	}
	l.top = max(l.top, revision)
}

func revisionsRise(k *kit) {
	l := &ladder{kit: k}
	for i := range 5 {
		organization := k.organization(fmt.Sprint("organization ", i))
		l.climb(organization.Revision, "a new organization")
		key := k.put(fixture.Plain(apikey.ID(fmt.Sprint("key-", i)), organization.ID))
		l.climb(key.Revision, "a new key")
		l.climb(k.putOrganization(organization).Revision, "an organization replaced by an equal one")
		key = k.put(key)
		l.climb(key.Revision, "a key replaced by an equal one")
		l.climb(k.put(key).Revision, "a key replaced by an equal one")
	}
}

func revisionsRiseOverDeleted(k *kit) {
	l := &ladder{kit: k}
	l.climb(k.organization("acme").Revision, "a new organization")
	for range 3 {
		l.climb(k.put(fixture.Plain("key", "acme")).Revision, "a key created where one was deleted")
		k.delete("key")
		l.climb(k.put(fixture.Plain("other", "acme")).Revision, "a key created after another was deleted")
		k.delete("other")
		l.climb(k.organization("brief").Revision, "an organization created after deletions")
		if err := k.store.DeleteOrganization(k.ctx, "brief", l.top); err != nil {
			k.Errorf("DeleteOrganization(%d): %v", l.top, err)
		}
	}
}

func revisionsAfterReopening(k *kit) {
	l := &ladder{kit: k}
	l.climb(k.organization("acme").Revision, "a new organization")
	l.climb(k.put(fixture.Plain("key", "acme")).Revision, "a new key")
	for range 3 {
		l.climb(k.put(fixture.Plain("gone", "acme")).Revision, "a new key")
		k.delete("gone")
		k.reopen()
		l.climb(k.put(k.readKey("key")).Revision, "after reopening, a key replaced")
	}
}

var deleteCases = []testCase{
	{sentence: "S14", name: "a Delete with the revision or zero removes the record", run: deletes},
	{sentence: "S14", name: "a Delete with another revision is a conflict", run: deleteStale},
	{sentence: "S14", name: "a Delete with a revision beyond 63 bits is a conflict", run: deleteBeyond},
	{sentence: "S14", name: "an absent record cannot be deleted", run: deleteMissing},
	{sentence: "S14", name: "a key created again has nothing of the deleted one", run: createdAgain},
	{sentence: "S14", name: "of a Put and a Delete with the same revision one succeeds", run: putOrDelete},
}

func deletes(k *kit) {
	k.organization("acme")
	neighbour := k.put(richKey("neighbour", "acme"))
	for _, zero := range []bool{false, true} {
		revision := k.put(richKey("key", "acme")).Revision
		organization := k.organization("brief").Revision
		if zero {
			revision, organization = 0, 0
		}
		k.wantError(k.store.DeleteKey(k.ctx, "key", revision), nil, "DeleteKey with revision %d", revision)
		k.wantAbsent("acme", "key")
		k.wantError(k.store.DeleteOrganization(k.ctx, "brief", organization), nil, "DeleteOrganization with revision %d", organization)
		_, err := k.store.Organization(k.ctx, "brief")
		k.wantError(err, store.ErrNotFound, "Organization after it was deleted")
		if got := k.organizations(0); len(got) != 1 {
			k.Errorf("Organizations is %+v after one of two was deleted", got)
		}
	}
	k.wantEverywhere(neighbour)
}

func deleteStale(k *kit) {
	k.organization("acme")
	first := k.put(fixture.Plain("key", "acme"))
	key := k.put(first)
	brief := k.organization("brief")
	organization := k.putOrganization(brief)
	for _, revision := range []uint64{first.Revision, key.Revision + 1, organization.Revision, 1 << 40} {
		k.wantError(k.store.DeleteKey(k.ctx, "key", revision), store.ErrConflict, "DeleteKey with revision %d of revision %d", revision, key.Revision)
	}
	for _, revision := range []uint64{brief.Revision, organization.Revision + 1, key.Revision, 1 << 40} {
		k.wantError(k.store.DeleteOrganization(k.ctx, "brief", revision), store.ErrConflict, "DeleteOrganization with revision %d of revision %d", revision, organization.Revision)
	}
	k.wantEverywhere(key)
	if got := k.readOrganization("brief"); !got.Equal(organization) {
		k.Errorf("after conflicts Organization is %+v; want %+v", got, organization)
	}
}

func deleteBeyond(k *kit) {
	k.organization("acme")
	key := k.put(fixture.Plain("key", "acme"))
	brief := k.organization("brief")
	for _, revision := range beyond(key.Revision) {
		if revision != key.Revision {
			k.wantError(k.store.DeleteKey(k.ctx, "key", revision), store.ErrConflict, "DeleteKey with revision %d of revision %d", revision, key.Revision)
		}
		k.wantError(k.store.DeleteKey(k.ctx, "gone", revision), store.ErrNotFound, "DeleteKey with revision %d of a key that is absent", revision)
	}
	for _, revision := range beyond(brief.Revision) {
		if revision != brief.Revision {
			k.wantError(k.store.DeleteOrganization(k.ctx, "brief", revision), store.ErrConflict, "DeleteOrganization with revision %d of revision %d", revision, brief.Revision)
		}
		k.wantError(k.store.DeleteOrganization(k.ctx, "gone", revision), store.ErrNotFound, "DeleteOrganization with revision %d of one that is absent", revision)
	}
	k.wantEverywhere(key)
	if got := k.readOrganization("brief"); !got.Equal(brief) {
		k.Errorf("after conflicts Organization is %+v; want %+v", got, brief)
	}
}

func deleteMissing(k *kit) {
	k.organization("acme")
	revision := k.put(fixture.Plain("key", "acme")).Revision
	k.delete("key")
	for _, id := range []apikey.ID{"key", "never"} {
		for _, revision := range []uint64{0, 1, revision, 1 << 40} {
			k.wantError(k.store.DeleteKey(k.ctx, id, revision), store.ErrNotFound, "DeleteKey(%q, %d) of what is not there", id, revision)
			k.wantError(k.store.DeleteOrganization(k.ctx, string(id), revision), store.ErrNotFound, "DeleteOrganization(%q, %d) of what is not there", id, revision)
		}
	}
}

func createdAgain(k *kit) {
	k.organization("acme")
	k.organization("other")
	recorder, records := store.As[store.UsageRecorder](k.store)
	for _, organization := range []string{"acme", "acme", "other"} {
		k.put(richKey("key", "acme"))
		if records {
			if err := recorder.RecordUsage(k.ctx, adapter.UsageBatch(used("key", "10.0.0.0/8", 5, fixture.Moment))); err != nil {
				k.Fatalf("RecordUsage: %v", err)
			}
		}
		k.delete("key")
		// Under the same ID, perhaps in another organization: it is another key.
		want := fixture.Plain("key", organization)
		want.Revision = k.put(want).Revision
		k.wantEverywhere(want)
		if records {
			usage, err := recorder.Usage(k.ctx, "key")
			if err != nil || !unused(usage["key"]) {
				k.Errorf("a key created where one was deleted has the usage %+v (error %v); want none", usage, err)
			}
		}
		k.delete("key")
	}
}

func putOrDelete(k *kit) {
	k.organization("acme")
	for range k.rounds(50) {
		stored := k.put(fixture.Whole("key", "acme", 1))
		var errs [2]error
		together(2, func(i int) {
			if i == 0 {
				_, errs[i] = k.store.PutKey(k.ctx, stored, store.AllowOpen)
			} else {
				errs[i] = k.store.DeleteKey(k.ctx, "key", stored.Revision)
			}
		})
		switch put, deleted := errs[0], errs[1]; {
		case put == nil && errors.Is(deleted, store.ErrConflict):
			k.lookup("key")
			k.delete("key")
		case deleted == nil && errors.Is(put, store.ErrNotFound):
			k.wantAbsent("acme", "key")
		default:
			k.Fatalf("PutKey: %s, DeleteKey with the same revision at the same time: %s; want one to succeed and the other to say why not", quoted(put), quoted(deleted))
		}
	}
}
