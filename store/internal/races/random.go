package races

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

// Random returns a race of two or three random changes in a random organization of two or three
// keys. Equal seeds give equal races. Any class may answer; nobody may be locked out, and what
// was returned must be stored.
func Random(seed uint64) Race {
	c := chooser{rand.New(rand.NewPCG(seed, 1))}
	keys := []apikey.ID{"a", "b", "c"}[:2+c.IntN(2)]
	organization := policy.Organization{Requirement: oneOf(c, policy.NotRequired, policy.ReportOnly, policy.Required), Disabled: c.IntN(10) == 0}
	records := make([]apikey.Key, len(keys))
	for i := range records {
		records[i] = apikey.Key{Grants: c.grants(), Disabled: c.IntN(5) == 0, Expires: c.end(), AccessList: listFrom(c.entries())}
	}
	secrets := make([]int, len(keys))
	for i := range secrets {
		secrets[i] = 1 + c.IntN(2)
	}
	race := Race{
		Name: fmt.Sprintf("random race %d", seed), random: true, anyOrder: true,
		setup: func(r *round) {
			r.organization(organization)
			for i, key := range keys {
				r.record(key, records[i], secrets[i])
			}
		},
	}
	for range 2 + c.IntN(2) {
		race.calls = append(race.calls, apply(c.change(keys)).accepting(admin.Opens, admin.BreaksKey, admin.OverBroad, admin.OrganizationLockout))
	}
	return race
}

// A chooser makes random choices.
type chooser struct{ *rand.Rand }

func oneOf[T any](c chooser, choices ...T) T { return choices[c.IntN(len(choices))] }

func (c chooser) end() time.Time {
	return oneOf(c, time.Time{}, time.Time{}, time.Time{}, soon, now.Add(2*time.Hour), now)
}

func (c chooser) grants() []apikey.Grant {
	return oneOf(c, []apikey.Grant{owner}, []apikey.Grant{owner, reader}, []apikey.Grant{reader})
}

func (c chooser) entries() []accesslist.Entry {
	entries := entriesOf(oneOf(c, "", "203.0.113.1", "203.0.113.1 203.0.113.2"))
	for i := range entries {
		entries[i].Expires = c.end()
	}
	return entries
}

func listFrom(entries []accesslist.Entry) accesslist.List {
	list, err := accesslist.List{}.With(entries...)
	if err != nil {
		panic(err)
	}
	return list
}

func (c chooser) change(keys []apikey.ID) func(r *round) admin.Change {
	key, end, grants, entries, secret := oneOf(c, keys...), c.end(), c.grants(), c.entries(), c.IntN(2)
	requirement := oneOf(c, policy.Required, policy.Required, policy.NotRequired)
	overlap := oneOf(c, 0, time.Hour)
	kind := c.IntN(12)
	return func(r *round) admin.Change {
		id := r.id(key)
		switch kind {
		case 0:
			return admin.SetRequirement(requirement)
		case 1:
			return admin.DisableKey(id)
		case 2, 3:
			return admin.DeleteKey(id)
		case 4, 5:
			return admin.SetGrants(id, grants...)
		case 6:
			return admin.SetValidity(id, time.Time{}, end)
		case 7:
			return admin.RemoveEntries(id, netip.MustParsePrefix("203.0.113.1/32"))
		case 8:
			return admin.ReplaceEntries(id, entries...)
		case 9:
			return admin.EndSecret(id, r.secretID(key, secret), end)
		case 10:
			return admin.Rotate(id, overlap)
		}
		return admin.EnableKey(id)
	}
}
