package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var recordCases = []testCase{
	{sentence: "S6", name: "a key comes back in every field", run: richKeyComesBack},
	{sentence: "S6", name: "the least key comes back with nothing added", run: plainKeyComesBack},
	{sentence: "S6", name: "a replaced key has nothing of the one before", run: replacedKey},
	{sentence: "S6", name: "grants and secrets keep their order", run: orderIsKept},
	{sentence: "S6", name: "times are kept to the microsecond", run: timesAreKept},
	{sentence: "S6", name: "a list whose entries have expired is not empty", run: expiredListComesBack},
	{sentence: "S6", name: "an organization comes back in every field", run: organizationComesBack},
	{sentence: "S6", name: "everything comes back after reopening", run: recordsAfterReopening, needs: "Reopen"},
}

func richKeyComesBack(k *kit) {
	k.organization("acme")
	k.put(fixture.Plain("a-neighbour", "acme", "192.0.2.1"))
	want := richKey("rich", "acme")
	stored := k.put(want)
	want.Revision = stored.Revision
	k.put(fixture.Plain("z-neighbour", "acme", "192.0.2.2"))
	k.wantKey("PutKey", stored, want)
	k.wantEverywhere(want)
	// A key that was read can be written.
	want = k.put(k.readKey("rich"))
	k.wantEverywhere(want)
	fresh := richKey("rich", "acme")
	fresh.Revision = want.Revision
	k.wantKey("Key, after it was put as it was read", k.readKey("rich"), fresh)
}

func plainKeyComesBack(k *kit) {
	k.organization("acme")
	want := fixture.Plain("plain", "acme")
	want.Revision = k.put(want).Revision
	k.wantEverywhere(want)
	got := k.readKey("plain")
	if !got.NotBefore.IsZero() || !got.Expires.IsZero() || !got.Created.IsZero() || !got.Secrets[0].Expires.IsZero() {
		k.Errorf("a time that was zero is no longer: %+v", got)
	}
	if !got.AccessList.IsEmpty() {
		k.Errorf("a list without entries has %d", got.AccessList.Len())
	}
}

func replacedKey(k *kit) {
	k.organization("acme")
	for _, want := range []apikey.Key{richKey("key", "acme"), fixture.Plain("key", "acme"), richKey("key", "acme"), fixture.Whole("key", "acme", 7)} {
		if stored, err := k.store.Key(k.ctx, "key"); err == nil {
			want.Revision = stored.Revision
		}
		want.Revision = k.put(want).Revision
		k.wantEverywhere(want)
	}
}

func orderIsKept(k *kit) {
	k.organization("acme")
	want := richKey("key", "acme")
	want.Revision = k.put(want).Revision
	slices.Reverse(want.Grants)
	slices.Reverse(want.Secrets)
	want.Revision = k.put(want).Revision
	k.wantEverywhere(want)
}

func timesAreKept(k *kit) {
	k.organization("acme")
	for i, at := range hardTimes {
		want := fixture.Plain(apikey.ID(fmt.Sprint("key-", i)), "acme")
		want.Created, want.Expires = at, at
		want.Secrets[0].Created, want.Secrets[0].Expires = at, at
		entry := fixture.Must(accesslist.ParseEntry("192.0.2.1"))
		entry.Added, entry.Expires = at, at
		want.AccessList = fixture.Must(accesslist.New(entry))
		want.Revision = k.put(want).Revision
		k.wantEverywhere(want)
	}
	// Below a microsecond a store may round, in either direction.
	fine := fixture.Plain("fine", "acme")
	fine.Created = fixture.Moment.Add(789 * time.Nanosecond)
	k.put(fine)
	if off := k.readKey("fine").Created.Sub(fine.Created).Abs(); off >= time.Microsecond {
		k.Errorf("Created is %v off; want less than a microsecond", off)
	}
}

func expiredListComesBack(k *kit) {
	k.organization("acme")
	key := fixture.Plain("key", "acme")
	key.AccessList = expiredList()
	k.wantEverywhere(k.put(key))
	if k.lookup("key").Key().AccessList.IsEmpty() {
		k.Errorf("a list whose only entry has expired was read as an empty one (rule A2)")
	}
}

func organizationComesBack(k *kit) {
	all := []policy.Organization{
		{Requirement: policy.Required, Disabled: true}, {Requirement: policy.ReportOnly}, {Disabled: true}, {},
		{Requirement: policy.ReportOnly, Disabled: true}, {Requirement: policy.Required},
	}
	for n := range 13 {
		all = append(all, fixture.WholeOrganization("acme", n))
	}
	for _, name := range append(validTexts(), long(apikey.MaxName, "a"), "") {
		all = append(all, policy.Organization{Name: name})
	}
	for _, at := range hardTimes {
		all = append(all, policy.Organization{Requirement: policy.Required, SuspendedUntil: at}, policy.Organization{Requirement: policy.Required})
	}
	for _, put := range all {
		put.ID = "acme"
		if stored, err := k.store.Organization(k.ctx, "acme"); err == nil {
			put.Revision = stored.Revision
		} else {
			k.organization("other")
		}
		want := k.putOrganization(put)
		if put.Revision = want.Revision; !want.Equal(put) {
			k.Errorf("PutOrganization returned %+v; want %+v", want, put)
		}
		if _, err := k.store.Key(k.ctx, "key"); err != nil {
			k.put(fixture.Plain("key", "acme"))
		}
		if got := k.readOrganization("acme"); !got.Equal(want) {
			k.Errorf("Organization is %+v; want %+v", got, want)
		}
		if got := k.lookup("key").Organization(); !got.Equal(want) {
			k.Errorf("Lookup has the organization %+v; want %+v", got, want)
		}
		if got := k.organizations(0); len(got) != 2 || !got[0].Equal(want) {
			k.Errorf("Organizations is %+v; want %+v first of two", got, want)
		}
	}
}

func recordsAfterReopening(k *kit) {
	k.organization("acme")
	other := k.putOrganization(fixture.WholeOrganization("other \u00e9", 5))
	k.put(richKey("rich", "acme"))
	k.put(fixture.Plain("plain", "other \u00e9"))
	k.put(fixture.Plain("gone", "acme"))
	k.delete("gone")
	before := k.snapshot()
	k.reopen()
	k.wantUnchanged(before, "reopening")
	k.wantAbsent("acme", "gone")
	if got := k.lookup("plain").Organization(); !got.Equal(other) {
		k.Errorf("after reopening Lookup has the organization %+v; want %+v", got, other)
	}
}
