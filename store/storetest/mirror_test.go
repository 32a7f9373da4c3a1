package storetest

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

func TestMirrorRefusesWhatIsMalformed(t *testing.T) {
	key, organization := func() *apikey.Key { return &apikey.Key{ID: "k", Organization: "o", Revision: 7} }, &policy.Organization{ID: "o", Revision: 7}
	for name, c := range map[string]store.Change{
		"no revision":                     {Organization: "o", OrganizationRecord: organization},
		"a revision before the mark":      {Revision: 5, Organization: "o", Deleted: true},
		"deleted and unreadable":          {Revision: 7, Organization: "o", Deleted: true, Err: errFault},
		"deleted with a record":           {Revision: 7, Organization: "o", Key: "k", Deleted: true, KeyRecord: key()},
		"unreadable with a record":        {Revision: 7, Organization: "o", Err: errFault, OrganizationRecord: organization},
		"an organization without record":  {Revision: 7, Organization: "o"},
		"an organization with a key":      {Revision: 7, Organization: "o", OrganizationRecord: organization, KeyRecord: key()},
		"a key without a record":          {Revision: 7, Organization: "o", Key: "k"},
		"a key with an organization":      {Revision: 7, Organization: "o", Key: "k", KeyRecord: key(), OrganizationRecord: organization},
		"another organization's record":   {Revision: 7, Organization: "p", OrganizationRecord: organization},
		"another revision's organization": {Revision: 8, Organization: "o", OrganizationRecord: organization},
		"another key's record":            {Revision: 7, Organization: "o", Key: "l", KeyRecord: key()},
		"a key of another organization":   {Revision: 7, Organization: "p", Key: "k", KeyRecord: key()},
		"another revision's key":          {Revision: 8, Organization: "o", Key: "k", KeyRecord: key()},
		"a mark with a key":               {Revision: 7, Key: "k"},
		"a mark with an error":            {Revision: 7, Err: errFault},
		"a mark that goes back":           {Revision: 4},
	} {
		m := newMirror()
		m.mark = 5
		assert.Error(t, m.tell(c), name)
	}

	m := newMirror()
	require.NoError(t, m.tell(store.Change{Revision: 7, Organization: "o", OrganizationRecord: organization}))
	require.NoError(t, m.tell(store.Change{Revision: 6, Organization: "o", Key: "k", Deleted: true}))
	require.NoError(t, m.tell(store.Change{Revision: 8, Organization: "o", Key: "l", Err: errFault}))
	assert.ErrorContains(t, m.tell(store.Change{Revision: 9, Organization: "p", Key: "l", Deleted: true}), "without a mark between", "a key is one record in whatever organization")
	assert.Empty(t, m.records, "nothing is taken over before the mark")
	assert.ErrorContains(t, m.tell(store.Change{Revision: 7}), "greater than that of the mark")
	require.NoError(t, m.tell(store.Change{Revision: 8}))
	assert.Len(t, m.records, 2)
	assert.Equal(t, []string{`it has key "l", which is not there`}, m.differences(snapshot{organizations: []policy.Organization{*organization}}))
	assert.ErrorContains(t, errors.New(m.differences(snapshot{keys: []apikey.Key{{ID: "l", Organization: "o", Revision: 8}}})[0]), "as unreadable")
}

// What a record can have been at a revision, when that of its deletion is not known.
func TestPossible(t *testing.T) {
	versions := []version{
		{3, 3, store.Change{Revision: 3}},
		{5, 5, store.Change{Revision: 5}},
		{6, 9, store.Change{Deleted: true}}, // somewhere there
		{12, 12, store.Change{Revision: 12}},
	}
	for at, want := range map[uint64][]uint64{
		0: {0}, 2: {0}, 3: {3}, 4: {3}, 5: {5}, 6: {5, 0}, 8: {5, 0}, 9: {0}, 11: {0}, 12: {12}, 99: {12},
	} {
		assert.Equal(t, want, possible(versions, at), "at revision %d", at)
	}
}

func TestTimelineKnowsWhatWasWritten(t *testing.T) {
	key := whole("k", "o", 3)
	key.Revision = 5
	organization := policy.Organization{ID: "o", Revision: 4}
	line := newTimeline(nil)
	line.note(version{4, 4, store.Change{Revision: 4, Organization: "o", OrganizationRecord: &organization}})
	line.note(version{5, 5, store.Change{Revision: 5, Organization: "o", Key: "k", KeyRecord: &key}})
	line.note(version{6, 8, store.Change{Organization: "o", Key: "k", Deleted: true}})

	bare, stricter := key, organization
	bare.AccessList = plainKey("x", "x").AccessList
	stricter.Requirement = policy.Required
	for _, c := range []store.Change{
		{Revision: 4, Organization: "o", OrganizationRecord: &organization},
		{Revision: 5, Organization: "o", Key: "k", KeyRecord: &key},
		{Revision: 7, Organization: "o", Key: "k", Deleted: true},
	} {
		assert.NoError(t, line.checkTold(c))
	}
	for name, c := range map[string]store.Change{
		"another record":          {Revision: 5, Organization: "o", Key: "k", KeyRecord: &bare},
		"another requirement":     {Revision: 4, Organization: "o", OrganizationRecord: &stricter},
		"another revision":        {Revision: 9, Organization: "o", Key: "k", KeyRecord: &key},
		"deleted earlier":         {Revision: 5, Organization: "o", Key: "k", Deleted: true},
		"what was never there":    {Revision: 5, Organization: "o", Key: "l", KeyRecord: &key},
		"unreadable, and was not": {Revision: 5, Organization: "o", Key: "k", Err: errFault},
	} {
		assert.Error(t, line.checkTold(c), name)
	}

	o, k := organizationName("o"), keyName("k")
	assert.NoError(t, line.check(instant{5, map[recordName]uint64{o: 4, k: 5}}))
	assert.NoError(t, line.check(instant{7, map[recordName]uint64{o: 4}}))
	assert.Error(t, line.check(instant{8, map[recordName]uint64{o: 4, k: 5}}))
	assert.Error(t, line.check(instant{5, map[recordName]uint64{o: 4}}))
	assert.Error(t, line.check(instant{8, map[recordName]uint64{o: 4, keyName("l"): 6}}))
}
