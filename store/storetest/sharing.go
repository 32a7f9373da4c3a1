package storetest

import (
	"crypto/sha256"
	"slices"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var sharingCases = []testCase{
	{sentence: "S7", name: "changing what was passed to PutKey changes nothing", run: passedIn},
	{sentence: "S7", name: "changing what PutKey returned changes nothing", run: returnedByPut},
	{sentence: "S7", name: "changing what a read returned changes nothing", run: returnedByReads},
	{sentence: "S7", name: "a record that was read does not change", run: readStays},
}

// spoil changes everything reachable through the shared slices and pointers of a key.
func spoil(key apikey.Key) {
	for i := range key.Grants {
		key.Grants[i] = apikey.Grant{Role: "spoilt", AllProjects: true}
	}
	for i := range key.Secrets {
		key.Secrets[i] = apikey.StoredSecret{ServerKey: "spoilt", Sum: sha256.Sum256([]byte("spoilt")), Digest: fixture.Digest("spoilt", "spoilt", "spoilt")}
	}
	if key.Metadata != nil && key.Metadata.Labels != nil {
		key.Metadata.ExternalID = "spoilt"
		key.Metadata.Labels["team"] = "spoilt"
		delete(key.Metadata.Labels, "archived")
	}
	// And the elements beyond the end, where an append would write.
	_ = append(key.Grants, apikey.Grant{Role: "spoilt"})
	_ = append(key.Secrets, apikey.StoredSecret{ServerKey: "spoilt"})
}

func passedIn(k *kit) {
	k.organization("acme")
	passed := richKey("key", "acme")
	passed.Grants = slices.Grow(passed.Grants, 10)
	want := passed.Clone()
	want.Revision = k.put(passed).Revision
	spoil(passed)
	k.wantEverywhere(want)

	passed = want.Clone()
	want.Revision = k.put(passed).Revision // replaces an earlier one
	spoil(passed)
	k.wantEverywhere(want)
}

func returnedByPut(k *kit) {
	k.organization("acme")
	stored := k.put(richKey("key", "acme"))
	want := stored.Clone()
	spoil(stored)
	k.wantEverywhere(want)

	stored = k.put(want)
	want = stored.Clone()
	spoil(stored)
	k.wantEverywhere(want)
}

func returnedByReads(k *kit) {
	k.organization("acme")
	want := k.put(richKey("key", "acme")).Clone()
	spoil(k.readKey("key"))
	k.wantEverywhere(want)
	subject := k.lookup("key")
	spoil(subject.Key())
	k.wantKey("Lookup of before", subject.Key(), want)
	k.wantEverywhere(want)
	for range 2 { // the second page may share memory with the first
		page, err := k.store.Keys(k.ctx, "acme", store.PageRequest{})
		if err != nil || len(page.Items) != 1 {
			k.Fatalf("Keys: %d keys, error %v; want one", len(page.Items), err)
		}
		spoil(page.Items[0])
		page.Items[0] = apikey.Key{}
		k.wantEverywhere(want)
	}
	page, err := k.store.Organizations(k.ctx, store.PageRequest{})
	if err != nil || len(page.Items) != 1 {
		k.Fatalf("Organizations: %d, error %v; want one", len(page.Items), err)
	}
	page.Items[0] = policy.Organization{ID: "spoilt", Requirement: policy.Required}
	if got := k.organizations(0); got[0].ID != "acme" {
		k.Errorf("Organizations has %+v, which was written into an earlier page", got[0])
	}
}

func readStays(k *kit) {
	k.organization("acme")
	stored := k.put(fixture.Whole("key", "acme", 3))
	want := stored.Clone()
	subject, key, listed := k.lookup("key"), k.readKey("key"), k.keys("acme", 0)[0]
	organization := subject.Organization()

	next := fixture.Whole("key", "acme", 5)
	next.Revision = stored.Revision
	k.put(next)
	other := organization
	other.Requirement = policy.Required
	k.putOrganization(other)
	k.delete("key")

	k.wantKey("the Subject that was looked up before", subject.Key(), want)
	k.wantKey("the key that was read before", key, want)
	k.wantKey("the key that was listed before", listed, want)
	k.wantKey("the key that PutKey returned before", stored, want)
	if got := subject.Organization(); !got.Equal(organization) {
		k.Errorf("the Subject that was looked up before has organization %+v now; want %+v", got, organization)
	}
}

func deliveredIsNotShared(k *kit) {
	before := k.mirror()
	organization := k.putOrganization(fixture.WholeOrganization("acme", 5))
	want := k.put(richKey("key", "acme"))
	for _, from := range []*fixture.Mirror{fixture.NewMirror(), before.Clone(), fixture.NewMirror(), before.Clone()} {
		m := from.Clone()
		err := m.Follow(k.ctx, k.watcher(), func(change store.Change) bool {
			if change.KeyRecord != nil {
				k.wantKey("the record that Watch delivered", *change.KeyRecord, want)
				spoil(*change.KeyRecord)
				*change.KeyRecord = fixture.Plain("spoilt", "spoilt")
			}
			if change.OrganizationRecord != nil {
				if !change.OrganizationRecord.Equal(organization) {
					k.Errorf("Watch delivered %+v; want %+v", *change.OrganizationRecord, organization)
				}
				*change.OrganizationRecord = policy.Organization{ID: "spoilt"}
			}
			return !change.IsMark() || change.Revision < want.Revision
		})
		if err != nil {
			k.Fatalf("Watch: %v", err)
		}
		k.wantEverywhere(want)
		if got := k.readOrganization("acme"); !got.Equal(organization) {
			k.Errorf("Organization has %+v, which was written into what Watch delivered", got)
		}
	}
}
