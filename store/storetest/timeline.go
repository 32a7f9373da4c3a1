package storetest

import (
	"fmt"
	"slices"
	"sync"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// A timeline is every write of a case, so the state of the store is known at each
// revision. Its methods write. Several goroutines may call them, but only one at a time
// for one record.
type timeline struct {
	*kit
	mu       sync.Mutex
	latest   uint64 // the highest revision known to be given
	versions map[fixture.RecordName][]version
}

// A version is a record as written, or its absence, and its first revision. The revision
// of a deletion is not returned: it is between two others.
type version struct {
	earliest, last uint64
	record         store.Change
}

func newTimeline(k *kit) *timeline {
	return &timeline{kit: k, versions: map[fixture.RecordName][]version{}}
}

func (t *timeline) note(v version) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latest = max(t.latest, v.last)
	name := fixture.NameOf(v.record)
	t.versions[name] = append(t.versions[name], v)
}

func (t *timeline) given() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.latest
}

// putKey stores a key and notes it. Like the other methods it returns false after a
// failure, because FailNow is for the case's own goroutine.
func (t *timeline) putKey(key apikey.Key) (apikey.Key, bool) {
	t.Helper()
	stored, err := t.store.PutKey(t.ctx, key, store.AllowOpen)
	if err != nil {
		t.Errorf("PutKey of key %q with revision %d: %v", key.ID, key.Revision, err)
		return stored, false
	}
	kept := stored.Clone()
	t.note(version{stored.Revision, stored.Revision, store.Change{Revision: stored.Revision, Organization: stored.Organization, Key: stored.ID, KeyRecord: &kept}})
	return stored, true
}

// putOrganization stores an organization and notes it.
func (t *timeline) putOrganization(organization policy.Organization) (policy.Organization, bool) {
	t.Helper()
	stored, err := t.store.PutOrganization(t.ctx, organization)
	if err != nil {
		t.Errorf("PutOrganization(%+v): %v", organization, err)
		return stored, false
	}
	t.note(version{stored.Revision, stored.Revision, store.Change{Revision: stored.Revision, Organization: stored.ID, OrganizationRecord: &stored}})
	return stored, true
}

// deleteKey deletes a key and notes it.
func (t *timeline) deleteKey(id apikey.ID, organization string) bool {
	t.Helper()
	return t.deleted(store.Change{Organization: organization, Key: id, Deleted: true}, func() error { return t.store.DeleteKey(t.ctx, id, 0) })
}

// deleteOrganization deletes an organization and notes it.
func (t *timeline) deleteOrganization(id string) bool {
	t.Helper()
	return t.deleted(store.Change{Organization: id, Deleted: true}, func() error { return t.store.DeleteOrganization(t.ctx, id, 0) })
}

// deleted makes a deletion. Its revision is higher than any given before, and at most
// the store's after its return (W1).
func (t *timeline) deleted(change store.Change, deletion func() error) bool {
	t.Helper()
	before := t.given()
	if err := deletion(); err != nil {
		t.Errorf("deleting %v: %v", fixture.NameOf(change), err)
		return false
	}
	after, err := t.watcher().Position(t.ctx)
	if err != nil {
		t.Errorf("Position: %v", err)
		return false
	}
	t.note(version{before + 1, after.Revision, change})
	return true
}

// An instant is the revisions of a mirror at a mark.
type instant struct {
	mark      uint64
	revisions map[fixture.RecordName]uint64
}

func instantOf(m *fixture.Mirror) instant {
	revisions := make(map[fixture.RecordName]uint64, len(m.Records))
	for name, change := range m.Records {
		revisions[name] = change.Revision
	}
	return instant{m.Mark.Revision, revisions}
}

// check returns why a mirror was not the store at the mark's revision.
func (t *timeline) check(at instant) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name := range at.revisions {
		if len(t.versions[name]) == 0 {
			return fmt.Errorf("it has %v, which was never written", name)
		}
	}
	var wrong []fixture.RecordName
	for name, versions := range t.versions {
		if !slices.Contains(possible(versions, at.mark), at.revisions[name]) {
			wrong = append(wrong, name)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	first := slices.MinFunc(wrong, fixture.CompareNames)
	return fmt.Errorf("it has %v with revision %d, and the store had %d (zero: none)", first, at.revisions[first], possible(t.versions[first], at.mark))
}

// possible returns every revision that a record may have had when the store was at `at`;
// 0 means that it may have been absent. A version qualifies if it may have begun by then
// and its successor need not have.
func possible(versions []version, at uint64) (could []uint64) {
	if first := versions[0]; at < first.last {
		could = append(could, 0)
	}
	for i, v := range versions {
		if v.earliest <= at && (i+1 == len(versions) || at < versions[i+1].last) {
			if v.record.Deleted {
				could = append(could, 0)
			} else {
				could = append(could, v.record.Revision)
			}
		}
	}
	return could
}

// checkDelivered returns how a delivered change differs from the writes.
func (t *timeline) checkDelivered(change store.Change) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, v := range t.versions[fixture.NameOf(change)] {
		switch want := v.record; {
		case change.Err != nil:
			return fmt.Errorf("Watch delivered %s and it can be read", fixture.Shown(change))
		case change.Revision < v.earliest || change.Revision > v.last || change.Deleted != want.Deleted:
			continue
		case want.KeyRecord != nil:
			if d := fixture.Difference(*change.KeyRecord, *want.KeyRecord); d != "" {
				return fmt.Errorf("Watch delivered %s and in its record %s", fixture.Shown(change), d)
			}
		case want.OrganizationRecord != nil && !change.OrganizationRecord.Equal(*want.OrganizationRecord):
			return fmt.Errorf("Watch delivered %s with the record %+v; want %+v", fixture.Shown(change), *change.OrganizationRecord, *want.OrganizationRecord)
		}
		return nil
	}
	return fmt.Errorf("Watch delivered %s which was never written", fixture.Shown(change))
}
