package storetest

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

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
	key := fixture.Whole("k", "o", 3)
	key.Revision = 5
	organization := policy.Organization{ID: "o", Revision: 4}
	line := newTimeline(nil)
	line.note(version{4, 4, store.Change{Revision: 4, Organization: "o", OrganizationRecord: &organization}})
	line.note(version{5, 5, store.Change{Revision: 5, Organization: "o", Key: "k", KeyRecord: &key}})
	line.note(version{6, 8, store.Change{Organization: "o", Key: "k", Deleted: true}})

	bare, stricter := key, organization
	bare.AccessList = fixture.Plain("x", "x").AccessList
	stricter.Requirement = policy.Required
	for _, c := range []store.Change{
		{Revision: 4, Organization: "o", OrganizationRecord: &organization},
		{Revision: 5, Organization: "o", Key: "k", KeyRecord: &key},
		{Revision: 7, Organization: "o", Key: "k", Deleted: true},
	} {
		assert.NoError(t, line.checkDelivered(c))
	}
	for name, c := range map[string]store.Change{
		"another record":          {Revision: 5, Organization: "o", Key: "k", KeyRecord: &bare},
		"another requirement":     {Revision: 4, Organization: "o", OrganizationRecord: &stricter},
		"another revision":        {Revision: 9, Organization: "o", Key: "k", KeyRecord: &key},
		"deleted earlier":         {Revision: 5, Organization: "o", Key: "k", Deleted: true},
		"what was never there":    {Revision: 5, Organization: "o", Key: "l", KeyRecord: &key},
		"unreadable, and was not": {Revision: 5, Organization: "o", Key: "k", Err: errors.New("the disk is on fire")},
	} {
		assert.Error(t, line.checkDelivered(c), name)
	}

	o, k := fixture.OrganizationName("o"), fixture.KeyName("k")
	assert.NoError(t, line.check(instant{5, map[fixture.RecordName]uint64{o: 4, k: 5}}))
	assert.NoError(t, line.check(instant{7, map[fixture.RecordName]uint64{o: 4}}))
	assert.Error(t, line.check(instant{8, map[fixture.RecordName]uint64{o: 4, k: 5}}))
	assert.Error(t, line.check(instant{5, map[fixture.RecordName]uint64{o: 4}}))
	assert.Error(t, line.check(instant{8, map[fixture.RecordName]uint64{o: 4, fixture.KeyName("l"): 6}}))
}
