package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var refusalCases = []testCase{
	{sentence: "S15", name: "an invalid key is refused", run: invalidKeys},
	{sentence: "S15", name: "an invalid organization is refused", run: invalidOrganizations},
	{sentence: "S16", name: "a key needs its organization", run: keyWithoutOrganization},
	{sentence: "S17", name: "a key cannot move", run: movedKey},
	{sentence: "S18", name: "a list is not emptied without permission", run: emptiedList},
	{sentence: "S18", name: "a key is not created open without permission", run: createdOpen},
	{sentence: "S18", name: "a list that was empty may stay so", run: emptyList},
	{sentence: "S18", name: "a list on trial is none", run: trialListIsNone},
	{sentence: "S18", name: "entries that have expired are entries", run: expiredEntries},
	{sentence: "S19", name: "an organization with keys is not deleted", run: organizationWithKeys},
	{sentence: "S19", name: "keys that are not valid now are keys", run: organizationWithInvalidKeys},
}

func invalidKeys(k *kit) {
	k.organization("acme")
	stored := k.put(richKey("here", "acme"))
	for name, spoil := range map[string]func(*apikey.Key){
		"no ID":                   func(o *apikey.Key) { o.ID = "" },
		"an ID with a space":      func(o *apikey.Key) { o.ID = "a b" },
		"an ID with a NUL":        func(o *apikey.Key) { o.ID = "a\x00" },
		"an ID of 65 bytes":       func(o *apikey.Key) { o.ID = apikey.ID(strings.Repeat("a", 65)) },
		"no organization":         func(o *apikey.Key) { o.Organization = "" },
		"a padded organization":   func(o *apikey.Key) { o.Organization = "acme " },
		"no secret":               func(o *apikey.Key) { o.Secrets = nil },
		"three secrets":           func(o *apikey.Key) { o.Secrets = append(o.Clone().Secrets, fixture.Plain("third", "acme").Secrets...) },
		"a secret without a hash": func(o *apikey.Key) { o.Secrets = []apikey.StoredSecret{{}} },
		"the same grant twice":    func(o *apikey.Key) { o.Grants = []apikey.Grant{{Role: "a"}, {Role: "a"}} },
		"a grant without a role":  func(o *apikey.Key) { o.Grants = []apikey.Grant{{}} },
		"a grant in one and all":  func(o *apikey.Key) { o.Grants = []apikey.Grant{{Role: "a", Project: "b", AllProjects: true}} },
		"a long description":      func(o *apikey.Key) { o.Description = strings.Repeat("x", 1025) },
		"text that is not UTF-8":  func(o *apikey.Key) { o.Description = "\xff" },
		"a NUL in its text":       func(o *apikey.Key) { o.Description = "a\x00b" },
		"an invisible character":  func(o *apikey.Key) { o.Description = "a\u200bb" },
		"a change of direction":   func(o *apikey.Key) { o.Grants = []apikey.Grant{{Role: "a\u202eb"}} },
		"too many grants": func(o *apikey.Key) {
			for i := range apikey.MaxGrants {
				o.Grants = append(o.Grants, apikey.Grant{Role: fmt.Sprint("one of many ", i)})
			}
		},
		"an end before its begin": func(o *apikey.Key) { o.NotBefore, o.Expires = fixture.Moment, fixture.Moment },
		"a time in the year 0":    func(o *apikey.Key) { o.Created = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		for _, id := range []apikey.ID{"new", "here"} { // one to create, one to replace
			key := richKey(id, "acme")
			if id == "here" {
				key.Revision = stored.Revision
			}
			spoil(&key)
			if key.Validate() == nil {
				k.Fatalf("a key with %s is valid: the case is wrong", name)
			}
			_, err := k.store.PutKey(k.ctx, key, store.AllowOpen)
			k.wantError(err, store.ErrInvalid, "PutKey of a key with %s", name)
		}
	}
	k.wantEverywhere(stored)
	if n := len(k.keys("acme", 0)); n != 1 {
		k.Errorf("Keys has %d keys after invalid ones were refused; want one", n)
	}
}

func invalidOrganizations(k *kit) {
	stored := k.organization("here")
	for _, id := range []string{"", " ", "here ", " here", "he\x00re", "here\n", "\xff", strings.Repeat("x", 257), "\u2003here", "he\u200bre", "\ufeffhere", "he\u202ere", "he\u2028re", "he\u00adre"} {
		_, err := k.store.PutOrganization(k.ctx, policy.Organization{ID: id})
		k.wantError(err, store.ErrInvalid, "PutOrganization(%.100q)", id)
	}
	for _, o := range []policy.Organization{{ID: "new", Requirement: policy.Required + 1}, {ID: "here", Requirement: 255, Revision: stored.Revision}} {
		_, err := k.store.PutOrganization(k.ctx, o)
		k.wantError(err, store.ErrInvalid, "PutOrganization(%+v)", o)
	}
	if got := k.organizations(0); len(got) != 1 || !got[0].Equal(stored) {
		k.Errorf("Organizations is %+v after invalid ones were refused; want %+v alone", got, stored)
	}
}

func keyWithoutOrganization(k *kit) {
	_, err := k.store.PutKey(k.ctx, fixture.Plain("key", "acme"), store.AllowOpen)
	k.wantError(err, store.ErrNotFound, "PutKey for an organization that never was")
	k.organization("acme")
	_, err = k.store.PutKey(k.ctx, fixture.Plain("key", "Acme"), store.AllowOpen)
	k.wantError(err, store.ErrNotFound, "PutKey for an organization that differs in a letter's case")
	if err := k.store.DeleteOrganization(k.ctx, "acme", 0); err != nil {
		k.Fatalf("DeleteOrganization: %v", err)
	}
	_, err = k.store.PutKey(k.ctx, fixture.Plain("key", "acme"), store.AllowOpen)
	k.wantError(err, store.ErrNotFound, "PutKey for an organization that was deleted")
	k.wantAbsent("acme", "key")
	if got := k.organizations(0); len(got) > 0 {
		k.Errorf("Organizations is %+v: PutKey must not make any", got)
	}
}

func movedKey(k *kit) {
	k.organization("acme")
	k.organization("other")
	stored := k.put(richKey("key", "acme"))
	moved := stored.Clone()
	moved.Organization = "other"
	_, err := k.store.PutKey(k.ctx, moved, store.AllowOpen)
	k.wantError(err, store.ErrInvalid, "PutKey with another organization")
	k.wantEverywhere(stored)
	if got := ids(k.keys("other", 0)); len(got) > 0 {
		k.Errorf("Keys of the other organization has %q; want none", got)
	}
}

func emptiedList(k *kit) {
	k.organization("acme")
	for id, list := range map[apikey.ID]accesslist.List{"one": fixture.Must(accesslist.Parse("192.0.2.1")), "many": richList(), "expired": expiredList()} {
		key := fixture.Plain(id, "acme")
		key.AccessList = list
		stored := k.put(key)
		key.Revision, key.AccessList = stored.Revision, accesslist.List{}
		_, err := k.store.PutKey(k.ctx, key)
		k.wantError(err, store.ErrOpensKey, "PutKey of key %q without any of its %d entries", id, list.Len())
		k.wantEverywhere(stored)

		key.Revision = k.put(key).Revision
		k.wantEverywhere(key)
	}
}

func expiredList() accesslist.List {
	entry := fixture.Must(accesslist.ParseEntry("192.0.2.1"))
	entry.Expires = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	return fixture.Must(accesslist.New(entry))
}

func createdOpen(k *kit) {
	k.organization("acme")
	before := k.snapshot()
	_, err := k.store.PutKey(k.ctx, fixture.Plain("key", "acme"))
	k.wantError(err, store.ErrOpensKey, "PutKey of a new key without entries")
	k.wantUnchanged(before, "PutKey of a new key without entries")
	k.wantAbsent("acme", "key")
	k.wantEverywhere(k.put(fixture.Plain("key", "acme")))
}

func emptyList(k *kit) {
	k.organization("acme")
	key := k.put(fixture.Plain("key", "acme"))
	replace := func(what string) {
		var err error
		key, err = k.store.PutKey(k.ctx, key)
		k.wantError(err, nil, "PutKey without AllowOpen that %s", what)
	}
	key.Description = "changed"
	replace("leaves an open key open")
	key.AccessList = fixture.Must(accesslist.Parse("192.0.2.1"))
	replace("adds the first entry")
	key.AccessList = fixture.Must(accesslist.Parse("192.0.2.2", "192.0.2.3"))
	k.wantEverywhere(k.put(key))
}

func organizationWithKeys(k *kit) {
	organization := k.organization("acme")
	k.organization("acme2")
	key := k.put(fixture.Plain("key", "acme"))
	for _, revision := range []uint64{0, organization.Revision} {
		err := k.store.DeleteOrganization(k.ctx, "acme", revision)
		k.wantError(err, store.ErrNotEmpty, "DeleteOrganization(%d) of one that has a key", revision)
	}
	k.wantEverywhere(key)
	k.wantError(k.store.DeleteOrganization(k.ctx, "acme2", 0), nil, "DeleteOrganization of one without keys beside it")
	k.delete("key")
	k.wantError(k.store.DeleteOrganization(k.ctx, "acme", 0), nil, "DeleteOrganization after its last key was deleted")
}

// expiredEntries writes lists that cover nothing, without AllowOpen: they open no key
// (rule A2).
func expiredEntries(k *kit) {
	k.organization("acme")
	key := fixture.Plain("key", "acme")
	put := func(what string) {
		k.Helper()
		var err error
		key, err = k.store.PutKey(k.ctx, key)
		k.wantError(err, nil, "PutKey without AllowOpen %s", what)
		k.wantEverywhere(key)
	}
	key.AccessList = expiredList()
	put("of a new key whose entries have all expired")
	key.AccessList = fixture.Must(accesslist.Parse("192.0.2.1"))
	put("that replaces expired entries")
	key.AccessList = expiredList()
	put("that leaves only expired entries")
}

// trialListIsNone leaves keys with entries on trial alone: they are open (rule Q4).
func trialListIsNone(k *kit) {
	k.organization("acme")
	tried := fixture.Must(accesslist.Parse("192.0.2.1"))
	key := fixture.Plain("key", "acme")
	key.TrialList = tried
	_, err := k.store.PutKey(k.ctx, key)
	k.wantError(err, store.ErrOpensKey, "PutKey of a new key with entries on trial only")
	k.wantAbsent("acme", "key")

	key.AccessList = tried
	stored := k.put(key)
	key.Revision, key.AccessList = stored.Revision, accesslist.List{}
	_, err = k.store.PutKey(k.ctx, key)
	k.wantError(err, store.ErrOpensKey, "PutKey that leaves entries on trial only")
	k.wantEverywhere(stored)

	key.AccessList, key.TrialList = tried, accesslist.List{}
	stored, err = k.store.PutKey(k.ctx, key)
	k.wantError(err, nil, "PutKey without AllowOpen that removes a list on trial")
	k.wantEverywhere(stored)
}

func organizationWithInvalidKeys(k *kit) {
	for name, change := range map[string]func(*apikey.Key){
		"disabled":              func(key *apikey.Key) { key.Disabled = true },
		"expired":               func(key *apikey.Key) { key.Expires = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC) },
		"not yet valid":         func(key *apikey.Key) { key.NotBefore = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"without a live secret": func(key *apikey.Key) { key.Secrets[0].Expires = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		k.organization(name)
		key := fixture.Plain(apikey.ID(strings.ReplaceAll(name, " ", "-")), name)
		change(&key)
		key = k.put(key)
		k.wantError(k.store.DeleteOrganization(k.ctx, name, 0), store.ErrNotEmpty, "DeleteOrganization of one whose only key is %s", name)
		k.wantEverywhere(key)
	}
}

func refusedWrites(k *kit) {
	organization := k.organization("acme")
	k.organization("other")
	key := k.put(richKey("here", "acme"))

	// changed returns a key that differs in every field.
	changed := func(change func(*apikey.Key)) apikey.Key {
		other := fixture.Whole("here", "acme", 7)
		other.Revision = key.Revision
		change(&other)
		return other
	}
	before := k.snapshot()
	for name, other := range map[string]apikey.Key{
		"a PutKey that finds the key there":        changed(func(o *apikey.Key) { o.Revision = 0 }),
		"a PutKey with another revision":           changed(func(o *apikey.Key) { o.Revision++ }),
		"a PutKey of what is not there":            changed(func(o *apikey.Key) { o.ID = "gone" }),
		"a PutKey of an invalid key":               changed(func(o *apikey.Key) { o.Secrets = nil }),
		"a PutKey that would move the key":         changed(func(o *apikey.Key) { o.Organization = "other" }),
		"a PutKey that would open the list":        changed(func(o *apikey.Key) { o.AccessList = accesslist.List{} }),
		"a PutKey for an organization not there":   changed(func(o *apikey.Key) { o.ID, o.Organization, o.Revision = "new", "gone", 0 }),
		"a PutKey with a revision that never was ": changed(func(o *apikey.Key) { o.Revision += 1 << 40 }),
	} {
		if _, err := k.store.PutKey(k.ctx, other); err == nil {
			k.Errorf("%s succeeded; want it refused", name)
		}
		k.wantUnchanged(before, name)
	}
	for name, other := range map[string]policy.Organization{
		"a PutOrganization that finds it there":     {ID: "acme", Requirement: policy.Required},
		"a PutOrganization with another revision":   {ID: "acme", Requirement: policy.Required, Revision: organization.Revision + 9},
		"a PutOrganization of what is not there":    {ID: "gone", Revision: 1},
		"a PutOrganization of an invalid one":       {ID: "acme", Requirement: 9, Revision: organization.Revision},
		"a PutOrganization without an identifier":   {},
		"a PutOrganization whose ID is not in UTF8": {ID: "\xff"},
	} {
		if _, err := k.store.PutOrganization(k.ctx, other); err == nil {
			k.Errorf("%s succeeded; want it refused", name)
		}
		k.wantUnchanged(before, name)
	}
	for name, err := range map[string]error{
		"a DeleteKey with another revision":          k.store.DeleteKey(k.ctx, "here", key.Revision+1),
		"a DeleteOrganization with another revision": k.store.DeleteOrganization(k.ctx, "other", key.Revision+1),
		"a DeleteOrganization of one that has keys":  k.store.DeleteOrganization(k.ctx, "acme", 0),
	} {
		if err == nil {
			k.Errorf("%s succeeded; want it refused", name)
		}
		k.wantUnchanged(before, name)
	}
}
