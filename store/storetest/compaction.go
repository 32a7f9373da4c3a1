package storetest

import (
	"errors"
	"fmt"
	"sort"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var compactionCases = []testCase{
	{sentence: "W4", name: "a compacted feed says so, and restarts", run: compacted, needs: "Compact"},
	{sentence: "W4", name: "the feed is complete from its beginning", run: feedBegins, needs: "Compact"},
	{sentence: "W4", name: "the feed has every deletion from its beginning", run: feedBeginsWithDeletion, needs: "Compact"},
}

func compacted(k *kit) {
	k.organization("first") // a mark of zero would mean everything
	before, empty := k.mirror(), fixture.NewMirror()
	k.script(func() {})
	middle := k.mirror()
	k.option("Compact", func() { k.runner.compact(k.TB, k.adapter) })
	k.completeOrCompacted("after compaction", before)
	k.completeOrCompacted("after compaction", middle)

	// From zero the feed delivers everything.
	k.reach(empty, k.revision())
	k.wantMirror("by a watch from zero after compaction", empty)
	k.put(fixture.Plain("later", "acme"))
	k.reach(empty, k.revision())
	k.wantMirror("by a watch from the present, after compaction", empty)
}

// feedBegins finds the earliest revision that a compacted feed accepts. A feed with an
// error by one accepts one too many, and leaves out the change after it. Marks show that
// for the changes of the case; the records in the store show it for those of Compact.
func feedBegins(k *kit) {
	marked := []*fixture.Mirror{k.mirror()}
	k.script(func() {
		next := marked[len(marked)-1].Clone()
		k.reach(next, k.revision())
		marked = append(marked, next)
	})
	for i := range 10 {
		k.put(fixture.Plain(apikey.ID(fmt.Sprint("last-", i)), "acme"))
		next := marked[len(marked)-1].Clone()
		k.reach(next, k.revision())
		marked = append(marked, next)
	}
	k.option("Compact", func() { k.runner.compact(k.TB, k.adapter) })
	for _, m := range marked {
		k.completeOrCompacted("after compaction", m)
	}

	latest, all := k.revision(), k.snapshot()
	first := uint64(sort.Search(int(latest), func(after int) bool { return after > 0 && !k.isCompacted(uint64(after)) }))
	for after := max(first, 1); after <= min(first+2, latest); after++ {
		k.wantDeliveredSince(after, latest, all)
	}
}

// isCompacted reports whether Watch refuses a revision with ErrCompacted.
func (k *kit) isCompacted(after uint64) bool {
	k.Helper()
	for _, err := range k.watcher().Watch(k.ctx, k.at(after)) {
		if err != nil && !errors.Is(err, store.ErrCompacted) {
			k.Fatalf("Watch from revision %d: %v", after, err)
		}
		return err != nil
	}
	k.Fatalf("Watch from revision %d: %v", after, fixture.ErrSilent)
	return false
}

// feedBeginsWithDeletion compacts the feed after a deletion. No record in the store shows
// that one: a watch that is not compacted must deliver it, or a later change.
func feedBeginsWithDeletion(k *kit) {
	k.organization("acme")
	for i := range 10 {
		k.put(fixture.Plain(apikey.ID(fmt.Sprint("key-", i)), "acme"))
	}
	marked := []*fixture.Mirror{k.mirror()}
	for i := range 10 {
		k.delete(apikey.ID(fmt.Sprint("key-", i)))
		next := marked[len(marked)-1].Clone()
		k.reach(next, k.revision())
		marked = append(marked, next)
	}
	k.option("Compact", func() { k.runner.compact(k.TB, k.adapter) })
	for _, m := range marked {
		k.completeOrCompacted("after compaction", m)
	}
	latest := k.revision()
	for _, after := range []uint64{latest - 1, latest - 2} {
		if after == 0 || k.isCompacted(after) {
			continue
		}
		m, delivered := &fixture.Mirror{Mark: k.at(after), Records: map[fixture.RecordName]store.Change{}, Since: map[fixture.RecordName]store.Change{}}, false
		err := m.Follow(k.ctx, k.watcher(), func(change store.Change) bool {
			delivered = delivered || !change.IsMark()
			return !change.IsMark() || change.Revision < latest
		})
		if err != nil {
			k.Fatalf("Watch from revision %d: %v", after, err)
		}
		if !delivered {
			k.Errorf("Watch from revision %d, which it does not call compacted, delivered no change up to the mark of revision %d; want that of the latest write, or ErrCompacted", after, latest)
		}
	}
}

// wantDeliveredSince checks that a watch delivers every record written since a revision.
func (k *kit) wantDeliveredSince(after, latest uint64, all fixture.Snapshot) {
	k.Helper()
	m := &fixture.Mirror{Mark: k.at(after), Records: map[fixture.RecordName]store.Change{}, Since: map[fixture.RecordName]store.Change{}}
	k.reach(m, latest)
	missing := func(name fixture.RecordName, revision uint64) {
		if delivered, ok := m.Records[name]; revision > after && (!ok || delivered.Revision < revision) {
			k.Errorf("Watch from revision %d, which it does not call compacted, did not deliver %v, revision %d; want every change or ErrCompacted", after, name, revision)
		}
	}
	for _, organization := range all.Organizations {
		missing(fixture.OrganizationName(organization.ID), organization.Revision)
	}
	for _, key := range all.Keys {
		missing(fixture.KeyName(key.ID), key.Revision)
	}
}

// completeOrCompacted checks that a watch from an old mark delivers every change, or
// ErrCompacted, without waiting for a write.
func (k *kit) completeOrCompacted(when string, m *fixture.Mirror) {
	k.Helper()
	from := m.Mark.Revision
	switch err := m.Reach(k.ctx, k.watcher(), k.revision()); {
	case errors.Is(err, store.ErrCompacted):
	case err != nil:
		k.Fatalf("%s, Watch from the mark of revision %d: %v; want all changes or ErrCompacted", when, from, err)
	default:
		k.wantMirror(fmt.Sprintf("%s, by a watch from the mark of revision %d", when, from), m)
	}
}
