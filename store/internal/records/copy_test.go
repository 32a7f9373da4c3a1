package records

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// The tests look "key-of-a-service" up, whose text need not be read (see words), and shorter IDs.
func aKey(id apikey.ID, organization string, revision uint64, grants ...apikey.Grant) *apikey.Key {
	return &apikey.Key{ID: id, Organization: organization, Secrets: []apikey.StoredSecret{{Sum: [32]byte{1}}}, Grants: grants, Revision: revision}
}

func putKey(key *apikey.Key) store.Change {
	return store.Change{Revision: key.Revision, Organization: key.Organization, Key: key.ID, KeyRecord: key}
}

func putOrganization(id string, requirement policy.Requirement, revision uint64) store.Change {
	return store.Change{Revision: revision, Organization: id, OrganizationRecord: &policy.Organization{ID: id, Requirement: requirement, Disabled: requirement == policy.Required, Revision: revision}}
}

func TestCopyApply(t *testing.T) {
	c := NewCopy()
	_, found, err := c.LookupNow("key-of-a-service")
	require.NoError(t, err)
	require.False(t, found)

	// In any order, marks among them.
	key := aKey("key-of-a-service", "acme", 2, apikey.Grant{Role: "reader"})
	c.Apply([]store.Change{putKey(key), {Revision: 1}, putOrganization("acme", policy.Required, 1), putKey(aKey("other", "acme", 3))})
	want := func(id apikey.ID, key, organization uint64) policy.Subject {
		t.Helper()
		subject, found, err := c.LookupNow(id)
		require.NoError(t, err)
		require.True(t, found)
		assert.Equal(t, []uint64{key, organization}, []uint64{subject.Key().Revision, subject.Organization().Revision})
		return subject
	}
	old := want("key-of-a-service", 2, 1)
	assert.True(t, old.Key().Equal(*key))
	assert.Equal(t, policy.Organization{ID: "acme", Requirement: policy.Required, Disabled: true, Revision: 1}, old.Organization())
	want("other", 3, 1)

	// What was told is copied.
	key.Grants[0].Role = "spoilt"
	assert.Equal(t, "reader", want("key-of-a-service", 2, 1).Key().Grants[0].Role)

	// An organization with one of its keys, then by itself: that key has the latest too.
	c.Apply([]store.Change{putOrganization("acme", policy.NotRequired, 4), putKey(aKey("key-of-a-service", "acme", 5, apikey.Grant{Role: "writer"}))})
	assert.Equal(t, "writer", want("key-of-a-service", 5, 4).Key().Grants[0].Role)
	want("other", 3, 4)
	c.Apply([]store.Change{putOrganization("acme", policy.ReportOnly, 6)})
	want("key-of-a-service", 5, 6)
	want("other", 3, 6)
	assert.EqualValues(t, 2, old.Key().Revision, "what was looked up stays")

	// A key that moved was deleted and created meanwhile.
	c.Apply([]store.Change{putOrganization("globex", policy.Required, 7), putKey(aKey("key-of-a-service", "globex", 9))})
	assert.Equal(t, "globex", want("key-of-a-service", 9, 7).Organization().ID)

	c.Apply([]store.Change{
		{Revision: 11, Organization: "globex", Deleted: true}, {Revision: 10, Organization: "globex", Key: "key-of-a-service", Deleted: true},
		{Revision: 12, Organization: "never", Key: "never", Deleted: true}, {Revision: 13, Organization: "never", Deleted: true},
	})
	_, found, err = c.LookupNow("key-of-a-service")
	assert.NoError(t, err)
	assert.False(t, found)
	want("other", 3, 6)
}

// S6, W8: what cannot be read is an error, until it can be again.
func TestCopyOfUnreadableRecords(t *testing.T) {
	c, broken := NewCopy(), errors.New("half a row")
	c.Apply([]store.Change{putOrganization("acme", policy.NotRequired, 1), putKey(aKey("key-of-a-service", "acme", 2)), putKey(aKey("other", "acme", 3))})
	fails := func(id apikey.ID, text string) {
		t.Helper()
		_, found, err := c.LookupNow(id)
		assert.False(t, found)
		assert.ErrorContains(t, err, text)
	}
	fine := func(id apikey.ID) {
		t.Helper()
		_, found, err := c.LookupNow(id)
		assert.NoError(t, err)
		assert.True(t, found)
	}

	c.Apply([]store.Change{{Revision: 4, Organization: "acme", Key: "key-of-a-service", Err: broken}})
	fails("key-of-a-service", `key "key-of-a-service" cannot be read: half a row`)
	fine("other")

	// Together with its organization, which is all right.
	c.Apply([]store.Change{{Revision: 4, Organization: "acme", Key: "key-of-a-service", Err: broken}, putOrganization("acme", policy.NotRequired, 5)})
	fails("key-of-a-service", "half a row")
	fine("other")
	c.Apply([]store.Change{putKey(aKey("key-of-a-service", "acme", 6))})
	fine("key-of-a-service")

	c.Apply([]store.Change{{Revision: 7, Organization: "acme", Err: broken, OrganizationRecord: &policy.Organization{ID: "acme"}}})
	fails("key-of-a-service", "half a row")
	fails("other", "half a row")
	c.Apply([]store.Change{putOrganization("acme", policy.Required, 8)})
	fine("key-of-a-service")
	fine("other")

	for name, change := range map[string]store.Change{
		"no record":                     {Revision: 9, Organization: "acme", Key: "key-of-a-service"},
		"another key":                   {Revision: 9, Organization: "acme", Key: "key-of-a-service", KeyRecord: aKey("other", "acme", 9)},
		"a key of another organization": {Revision: 9, Organization: "acme", Key: "key-of-a-service", KeyRecord: aKey("key-of-a-service", "globex", 9)},
		"an organization's":             {Revision: 9, Organization: "acme", Key: "key-of-a-service", OrganizationRecord: &policy.Organization{ID: "acme"}},
		"no organization":               {Revision: 9, Organization: "acme"},
		"another organization":          {Revision: 9, Organization: "acme", OrganizationRecord: &policy.Organization{ID: "globex"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.Apply([]store.Change{change})
			fails("key-of-a-service", "without its record")
			c.Apply([]store.Change{putOrganization("acme", policy.Required, 8), putKey(aKey("key-of-a-service", "acme", 6))})
			fine("key-of-a-service")
		})
	}

	c.Apply([]store.Change{putKey(aKey("orphan", "nobody", 10))})
	fails("orphan", `its organization "nobody" is unknown`)
	c.Apply([]store.Change{{Revision: 11, Organization: "acme", Deleted: true}})
	fails("key-of-a-service", `its organization "acme" is unknown`)
}

// S8 for a copy: each step has the key and its organization changed at once, and no
// look-up sees one without the other.
func TestS8CopyGoesFromMomentToMoment(t *testing.T) {
	c := NewCopy()
	listed, err := accesslist.Parse("192.0.2.1")
	require.NoError(t, err)
	// Step n: both have revision n; odd steps require nothing and have a list, even
	// ones require one and have none.
	step := func(n uint64) []store.Change {
		key, requirement := aKey("key-of-a-service", "acme", n, apikey.Grant{Role: "reader"}), policy.Required
		if n%2 == 1 {
			key.AccessList, requirement = listed, policy.NotRequired
		}
		return []store.Change{putKey(key), putOrganization("acme", requirement, n)}
	}
	c.Apply(append(step(0), putKey(aKey("quiet", "acme", 0))))
	var over atomic.Bool
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			last, quiet := uint64(0), uint64(0)
			for !over.Load() {
				subject, found, err := c.LookupNow("key-of-a-service")
				key, organization := subject.Key(), subject.Organization()
				if err != nil || !found || key.Revision != organization.Revision || key.Revision < last {
					t.Errorf("found %v, error %v, revisions %d and %d after %d", found, err, key.Revision, organization.Revision, last)
					return
				}
				last = key.Revision
				subject, found, err = c.LookupNow("quiet")
				if err != nil || !found || subject.Organization().Revision < quiet {
					t.Errorf("of a key that was not written: found %v, error %v, organization of revision %d after %d", found, err, subject.Organization().Revision, quiet)
					return
				}
				quiet = subject.Organization().Revision
			}
		})
	}
	for n := range uint64(20_000 * effort) {
		changes := step(n + 1)
		if n%3 == 0 {
			slices.Reverse(changes)
		}
		c.Apply(append(changes, putKey(aKey(apikey.ID(fmt.Sprint("other-", n%300)), "acme", n+1))))
	}
	over.Store(true)
	wait.Wait()
}

// A read ahead of whatever keys changes nothing: of absent ones, of unreadable ones, and of more
// than one table's place.
func TestReadAhead(t *testing.T) {
	c := NewCopy()
	assert.Zero(t, c.ReadAhead(nil))
	assert.Zero(t, c.ReadAhead([]apikey.ID{"absent"}))
	listed := aKey("listed", "acme", 2)
	entry, err := accesslist.ParseEntry("203.0.113.7")
	require.NoError(t, err)
	entry.Expires = time.Unix(1, 0)
	listed.AccessList, err = accesslist.New(entry)
	require.NoError(t, err)
	c.Apply([]store.Change{
		putOrganization("acme", policy.Required, 1), putKey(listed), putKey(aKey("open", "acme", 3)),
		{Revision: 4, Organization: "acme", Key: "unreadable", Err: errors.New("spoilt")},
		{Revision: 5, Organization: "globex", Key: "of-no-organization", Err: errors.New("spoilt")},
	})
	assert.NotZero(t, c.ReadAhead([]apikey.ID{"listed", "open", "absent", "unreadable", "of-no-organization"}))
	_, found, err := c.LookupNow("listed")
	require.NoError(t, err)
	assert.True(t, found)
}

// Keys with the same only grant share it; keys with others do not, and none sees another's.
func TestGrantsAreShared(t *testing.T) {
	o := NewOrdered()
	o.PutOrganization(policy.Organization{ID: "acme"})
	same := apikey.Grant{Role: "reader"}
	one, two := o.PutKey(*aKey("one", "acme", 1, same)), o.PutKey(*aKey("two", "acme", 2, same))
	assert.Same(t, &one.Grants[0], &two.Grants[0])
	assert.Equal(t, 1, cap(one.Grants), "an append does not reach the shared one")
	for i := range 10 * len(o.grants) { // more than are kept
		grant := apikey.Grant{Role: "reader", Project: fmt.Sprint(i)}
		id := apikey.ID(fmt.Sprint("key-", i))
		o.PutKey(*aKey(id, "acme", 3, grant))
		require.Equal(t, []apikey.Grant{grant}, o.Key(id).Grants)
	}
	assert.Equal(t, []apikey.Grant{same}, one.Grants)
}

// The first record of an organization lies in its holder. Whoever has it keeps it as it was.
func TestOrganizationsDoNotChange(t *testing.T) {
	o := NewOrdered()
	first := o.PutOrganization(policy.Organization{ID: "acme", Revision: 1})
	second := o.PutOrganization(policy.Organization{ID: "acme", Requirement: policy.Required, Revision: 2})
	third := o.PutOrganization(policy.Organization{ID: "acme", Revision: 3})
	for i, kept := range []*policy.Organization{first, second, third} {
		assert.EqualValues(t, i+1, kept.Revision)
	}
	assert.Same(t, third, o.Organization("acme"))

	c := NewCopy()
	c.Apply([]store.Change{putOrganization("acme", policy.Required, 1), putKey(aKey("key-of-a-service", "acme", 2))})
	before, _, err := c.LookupNow("key-of-a-service")
	require.NoError(t, err)
	c.Apply([]store.Change{{Revision: 3, Organization: "acme", Err: errors.New("spoilt")}})
	c.Apply([]store.Change{putOrganization("acme", policy.NotRequired, 4)})
	after, _, err := c.LookupNow("key-of-a-service")
	require.NoError(t, err)
	assert.Equal(t, policy.Required, before.Organization().Requirement)
	assert.Equal(t, policy.NotRequired, after.Organization().Requirement)
}

// Grants that few keys have do not take the places of those that many have, whatever the random
// seed: a key more takes no memory for its grant.
func TestFewGrantsAreAllShared(t *testing.T) {
	for range 100 { // seeds
		l := NewCopy()
		first := map[apikey.Grant]*apikey.Grant{}
		for range 3 {
			for i := range 10 {
				grant := apikey.Grant{Role: fmt.Sprint("role ", i)}
				kept := l.shared(grant)
				require.Equal(t, []apikey.Grant{grant}, kept)
				if first[grant] == nil {
					first[grant] = &kept[0]
				}
				require.Same(t, first[grant], &kept[0])
			}
		}
	}
}
