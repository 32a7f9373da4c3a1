package crashtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// checkTimeout limits a Check.
const checkTimeout = 5 * time.Minute

// Check compares a store with the Ledger after its process or its server was killed:
//
// Every write that had returned is there. Of the others each is there whole or not at
// all: no key is a mixture of two versions or lacks its organization, and no Load and no
// batch of usage is there by half. A write is there with its events, and events with their
// write. No revision was given twice. The change feed, if any,
// delivers everything from zero. From the last mark before the crash it delivers every
// change, or ErrCompacted.
//
// Check fails t for each violation, and continues from the state it found. Call it after
// every crash on the reopened store, while no [WriteUntilKilled] is under way.
func (l *Ledger) Check(t testing.TB, s store.Store) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	if err := l.check(ctx, s); err != nil {
		l.problem("S25", "the store cannot be read: %v", err)
	}
	for i, p := range l.problems {
		if i == 10 {
			t.Errorf("and %d more", len(l.problems)-i)
			break
		}
		t.Errorf("after a crash: %s\n    %s: %s", p.text, p.sentence, fixture.Sentences[p.sentence])
	}
	l.problems = nil
}

func (l *Ledger) check(ctx context.Context, s store.Store) error {
	l.line = nil // unfinished
	for _, writer := range slices.Sorted(maps.Keys(l.underway)) {
		l.doubts = append(l.doubts, l.underway[writer])
	}
	clear(l.underway)

	journal, journals := store.As[store.Journal](s)
	var events map[string][]store.Event
	if journals {
		var err error
		if events, _, err = l.readEvents(ctx, journal); err != nil {
			return err
		}
	}
	all, err := readAll(ctx, s)
	if err != nil {
		return err
	}
	found, err := l.find(ctx, s, all)
	if err != nil {
		return err
	}
	l.settle(found)
	for _, name := range slices.SortedFunc(maps.Keys(l.records), fixture.CompareNames) {
		l.compare(name, l.records[name], found[name])
	}
	if journals {
		if err := l.checkEvents(ctx, journal, events); err != nil {
			return err
		}
	}
	if watcher, ok := store.As[store.Watcher](s); ok {
		return l.checkFeed(ctx, watcher, all)
	}
	return nil
}

// readAll returns everything in the listings of a store.
func readAll(ctx context.Context, s store.Store) (all fixture.Snapshot, err error) {
	for organization, err := range store.AllOrganizations(ctx, s) {
		if err != nil {
			return all, fmt.Errorf("reading organizations: %w", err)
		}
		all.Organizations = append(all.Organizations, organization)
		for key, err := range store.AllKeys(ctx, s, organization.ID) {
			if err != nil {
				return all, fmt.Errorf("Keys(%q): %w", organization.ID, err)
			}
			all.Keys = append(all.Keys, key)
		}
	}
	return all, nil
}

// find returns the records of the ledger as the store has them. It reports records that
// are there by half or were never written.
func (l *Ledger) find(ctx context.Context, s store.Store, all fixture.Snapshot) (map[fixture.RecordName]foundRecord, error) {
	found := map[fixture.RecordName]foundRecord{}
	organizations := map[string]policy.Organization{}
	for _, o := range all.Organizations {
		organizations[o.ID] = o
		if !strings.HasPrefix(o.ID, idPrefix) {
			continue
		}
		found[fixture.OrganizationName(o.ID)] = foundRecord{there: true, organization: o.ID, settings: &o, revision: o.Revision}
		if got, err := s.Organization(ctx, o.ID); err != nil || !got.Equal(o) {
			l.problem("S26", "Organizations has %+v, and Organization %+v (error %v)", o, got, err)
		}
	}
	listed := map[apikey.ID]apikey.Key{}
	for _, key := range all.Keys {
		if strings.HasPrefix(string(key.ID), idPrefix) {
			listed[key.ID] = key
		}
	}
	recorder, records := store.As[store.UsageRecorder](s)
	for id, key := range listed {
		version, problem := fixture.VersionOf(key)
		if problem != "" {
			l.problem("S26", "key %q %s", id, problem)
		}
		f := foundRecord{there: true, organization: key.Organization, version: version, revision: key.Revision}
		if records {
			usage, err := recorder.Usage(ctx, id)
			if err != nil {
				return nil, fmt.Errorf("Usage(%q): %w", id, err)
			}
			f.used = usage[id].Entries[usedEntry].Count
		}
		found[fixture.KeyName(id)] = f
	}
	for name := range found {
		if l.records[name] == nil && !slices.ContainsFunc(l.doubts, func(w *announcedWrite) bool { return w.has(name) }) {
			l.problem("S26", "%v is there, which was never written", name)
		}
	}
	return found, l.findKeys(ctx, s, listed, organizations)
}

func (w *announcedWrite) has(name fixture.RecordName) bool {
	return slices.ContainsFunc(w.Begins, func(r record) bool { return r.name() == name })
}

// findKeys checks that all methods agree about each key, absent ones included.
func (l *Ledger) findKeys(ctx context.Context, s store.Store, listed map[apikey.ID]apikey.Key, organizations map[string]policy.Organization) error {
	ids := map[apikey.ID]bool{}
	for name := range l.records {
		ids[name.Key] = true
	}
	for _, w := range l.doubts {
		for _, r := range w.Begins {
			ids[r.Key] = true
		}
	}
	delete(ids, "") // of organizations
	for id := range ids {
		want, there := listed[id]
		key, err := s.Key(ctx, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("Key(%q): %w", id, err)
		}
		if there != (err == nil) || there && fixture.Difference(key, want) != "" {
			l.problem("S26", "key %q is in Keys: %v; and in Key: %v, %s", id, there, err == nil, fixture.Difference(key, want))
		}
		subject, found, err := s.Lookup(ctx, id)
		if err != nil {
			return fmt.Errorf("Lookup(%q): %w", id, err)
		}
		if there != found || there && fixture.Difference(subject.Key(), want) != "" {
			l.problem("S26", "key %q is in Keys: %v; and in Lookup: %v, %s", id, there, found, fixture.Difference(subject.Key(), want))
		} else if there && !subject.Organization().Equal(organizations[want.Organization]) {
			l.problem("S26", "Lookup(%q) has the organization %+v; want %+v", id, subject.Organization(), organizations[want.Organization])
		}
	}
	return nil
}

// settle determines which writes in doubt happened. The others may still happen if a
// server has them.
func (l *Ledger) settle(found map[fixture.RecordName]foundRecord) {
	var still []*announcedWrite
	for _, w := range slices.Clone(l.doubts) {
		if w.Usage {
			l.settleUsage(w, found)
			continue
		}
		done := 0
		for _, r := range w.Begins {
			if f := found[r.name()]; r.is(f) && !l.record(r.name()).stored.is(f) {
				done++
			}
		}
		switch done {
		case 0:
			still = append(still, w)
			continue
		case len(w.Begins):
		default:
			l.problem("S26", "of a Load of %d records, of which %v is one, %d are there; want all or none", len(w.Begins), w.Begins[0].name(), done)
		}
		if known := l.events[w.Tag]; known != nil && !l.hasRival(w, found) {
			known.outcome = fixture.Acknowledged
		}
		l.happened(w, 0)
	}
	l.doubts = slices.DeleteFunc(still, func(w *announcedWrite) bool { return !slices.Contains(l.doubts, w) })
}

// hasRival reports whether another write in doubt would have left the same record: then it is
// unknown which of them has events.
func (l *Ledger) hasRival(w *announcedWrite, found map[fixture.RecordName]foundRecord) bool {
	return slices.ContainsFunc(l.doubts, func(d *announcedWrite) bool {
		return d != w && !d.Usage && slices.ContainsFunc(d.Begins, func(r record) bool { return w.has(r.name()) && r.is(found[r.name()]) })
	})
}

// settleUsage determines whether a batch in doubt was recorded.
func (l *Ledger) settleUsage(w *announcedWrite, found map[fixture.RecordName]foundRecord) {
	var recorded, not int
	for _, r := range w.Begins {
		f, known := found[r.name()], l.record(r.name())
		switch {
		case !f.there || known.late > 0: // unknown
		case f.used >= known.counted+r.Count:
			recorded++
		default:
			not++
		}
	}
	if recorded > 0 && not > 0 {
		l.problem("S26", "of a batch of usage of %d keys, of which %v is one, that of %d was recorded and that of %d was not; want all or none", len(w.Begins), w.Begins[0].name(), recorded, not)
	}
	for _, r := range w.Begins {
		l.record(r.name()).late += r.Count
	}
}

// compare checks one record against the Ledger.
func (l *Ledger) compare(name fixture.RecordName, known *knownRecord, f foundRecord) {
	switch {
	case !known.stored.is(f):
		l.problem("S25", "%v: it is %s; want it %s, as the last write that returned left it", name, f, known.stored)
	case !f.there:
	case known.revision == 0:
		l.give(&announcedWrite{floor: known.since}, known.stored, f.revision)
	case known.revision != f.revision:
		l.problem("S25", "%v has revision %d; want %d, which the last write that returned was given", name, f.revision, known.revision)
	}
	if f.there && known.stored.is(f) {
		if f.used < known.counted || f.used > known.counted+known.late {
			l.problem("S25", "%v has usage of %d calls; want at least %d, whose recording returned, and at most %d more", name, f.used, known.counted, known.late)
		}
		extra := min(f.used-min(f.used, known.counted), known.late)
		known.counted, known.late = f.used, known.late-extra
	}
	// From here on the found state is the known one.
	known.revision = f.revision
	known.stored = record{Key: name.Key, Organization: f.organization, Deleted: !f.there, Version: f.version, Settings: f.settings}
	if name.Key == "" {
		known.stored.Organization = name.Organization
	}
}

func (f foundRecord) String() string {
	if !f.there {
		return "not there"
	}
	return fmt.Sprintf("%v, revision %d", record{Organization: f.organization, Version: f.version, Settings: f.settings}, f.revision)
}

func (r record) String() string {
	switch {
	case r.Deleted:
		return "not there"
	case r.Settings != nil:
		return fmt.Sprintf("%+v", *r.Settings)
	}
	return fmt.Sprintf("version %d of %q", r.Version, r.Organization)
}

// checkFeed checks the feed from zero, and from the last mark before the crash.
func (l *Ledger) checkFeed(ctx context.Context, watcher store.Watcher, all fixture.Snapshot) error {
	now, err := watcher.Position(ctx)
	if err != nil {
		return fmt.Errorf("reading the position: %w", err)
	}
	latest := now.Revision
	if latest < l.returned {
		l.problem("W1", "the position has revision %d, and a write had returned with revision %d", latest, l.returned)
	}
	m := fixture.NewMirror()
	if err := m.Reach(ctx, watcher, latest); err != nil {
		return fmt.Errorf("a watch from zero, waiting for a mark of revision %d or later: %w", latest, err)
	}
	for _, d := range m.Differences(all) {
		l.problem("W6", "a copy made by a watch from zero is not the store: %s", d)
	}
	if l.mark == (store.Position{}) {
		return nil
	}
	delivered := map[fixture.RecordName]store.Change{}
	m = &fixture.Mirror{Mark: l.mark, Records: map[fixture.RecordName]store.Change{}, Since: map[fixture.RecordName]store.Change{}}
	err = m.Follow(ctx, watcher, func(change store.Change) bool {
		if !change.IsMark() {
			delivered[fixture.NameOf(change)] = change
		}
		return !change.IsMark() || change.Revision < latest
	})
	if errors.Is(err, store.ErrCompacted) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("a watch from revision %d, a mark delivered before the crash, waiting for a mark of revision %d or later: %w", l.mark.Revision, latest, err)
	}
	l.compareDelivered(delivered, all)
	return nil
}

// compareDelivered checks the changes since the last mark against the records written since.
func (l *Ledger) compareDelivered(delivered map[fixture.RecordName]store.Change, all fixture.Snapshot) {
	since := fixture.Snapshot{}
	for _, o := range all.Organizations {
		if _, ok := delivered[fixture.OrganizationName(o.ID)]; ok || o.Revision > l.mark.Revision {
			since.Organizations = append(since.Organizations, o)
		}
	}
	for _, key := range all.Keys {
		if _, ok := delivered[fixture.KeyName(key.ID)]; ok || key.Revision > l.mark.Revision {
			since.Keys = append(since.Keys, key)
		}
	}
	there := maps.Clone(delivered)
	maps.DeleteFunc(there, func(_ fixture.RecordName, c store.Change) bool { return c.Deleted })
	for _, d := range (&fixture.Mirror{Records: there}).Differences(since) {
		l.problem("W4", "of what was written since revision %d, a mark delivered before the crash, a watch from there did not deliver all, nor ErrCompacted: %s", l.mark.Revision, d)
	}
	for name, known := range l.records {
		// A deletion that began after the mark has a higher revision.
		if w := known.deletion; w != nil && w.mark == l.mark && known.deleted > 0 && known.deleted <= l.mark.Revision && !delivered[name].Deleted {
			l.problem("W4", "a watch from revision %d, a mark delivered before the crash, did not deliver the deletion of %v, nor ErrCompacted", l.mark.Revision, name)
		}
	}
}
