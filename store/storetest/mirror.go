package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

// A recordName names a record. It is a key's ID or an organization's, and not both: a
// key that was deleted and created in another organization is the same record to
// those who look it up.
type recordName struct {
	key          apikey.ID
	organization string
}

func keyName(id apikey.ID) recordName       { return recordName{key: id} }
func organizationName(id string) recordName { return recordName{organization: id} }
func nameOf(change store.Change) recordName {
	if change.Key != "" {
		return keyName(change.Key)
	}
	return organizationName(change.Organization)
}

func (n recordName) String() string {
	if n.key != "" {
		return fmt.Sprintf("key %q", n.key)
	}
	return fmt.Sprintf("organization %q", n.organization)
}

// A mirror is a copy of a store, made of what a watch tells. At every mark it is to be
// the store as it was at the mark's revision. It sees to it that what it is told keeps
// to the order of W6, and changes only at marks, as a copy that may be read does.
type mirror struct {
	mark    uint64                      // the revision of the last mark; before the first, that of Watch
	marks   int                         // how many were told
	records map[recordName]store.Change // as of the mark
	since   map[recordName]store.Change // told since the mark
}

func newMirror() *mirror {
	return &mirror{records: map[recordName]store.Change{}, since: map[recordName]store.Change{}}
}

// clone returns a copy to resume from the mark with.
func (m *mirror) clone() *mirror {
	return &mirror{mark: m.mark, records: maps.Clone(m.records), since: map[recordName]store.Change{}}
}

// tell takes what a watch told, and returns what is wrong with it.
func (m *mirror) tell(change store.Change) error {
	if change.IsMark() {
		return m.tellMark(change)
	}
	if problem := malformed(change); problem != "" {
		return fmt.Errorf("Watch told %s: %s", shown(change), problem)
	}
	if change.Revision <= m.mark {
		return fmt.Errorf("Watch told %s after the mark of revision %d; want a greater revision (W6)", shown(change), m.mark)
	}
	name := nameOf(change)
	if before, ok := m.since[name]; ok {
		return fmt.Errorf("Watch told %s and then %s without a mark between them; want a record told once (W6)", shown(before), shown(change))
	}
	m.since[name] = change
	return nil
}

func (m *mirror) tellMark(mark store.Change) error {
	if mark != (store.Change{Revision: mark.Revision}) {
		return fmt.Errorf("Watch told %s: a change without an organization is a mark; want nothing in it but the revision", shown(mark))
	}
	if mark.Revision < m.mark {
		return fmt.Errorf("Watch told a mark of revision %d after one of %d; want none that goes back (W6)", mark.Revision, m.mark)
	}
	for name, change := range m.since {
		if change.Revision > mark.Revision {
			return fmt.Errorf("Watch told %s before a mark of revision %d; want no revision greater than that of the mark that follows (W6)", shown(change), mark.Revision)
		}
		m.records[name] = change
		if change.Deleted {
			delete(m.records, name)
		}
	}
	clear(m.since)
	m.mark = mark.Revision
	m.marks++
	return nil
}

// malformed says what is wrong with a change by itself, or returns "".
func malformed(c store.Change) string {
	key, organization := c.KeyRecord, c.OrganizationRecord
	switch {
	case c.Revision == 0:
		return "it has no revision"
	case c.Deleted && c.Err != nil:
		return "it says both that the record was deleted and that it cannot be read"
	case c.Deleted || c.Err != nil:
		if key != nil || organization != nil {
			return "it has a record; want none of one that was deleted or cannot be read"
		}
	case c.Key == "" && (organization == nil || key != nil):
		return "want the organization's record in it, and no other"
	case c.Key != "" && (key == nil || organization != nil):
		return "want the key's record in it, and no other"
	case organization != nil && (organization.ID != c.Organization || organization.Revision != c.Revision):
		return fmt.Sprintf("the record in it is %+v; want that of the organization and the revision named", *organization)
	case key != nil && (key.ID != c.Key || key.Organization != c.Organization || key.Revision != c.Revision):
		return fmt.Sprintf("the record in it is key %q of %q, revision %d; want that of the key, the organization and the revision named", key.ID, key.Organization, key.Revision)
	}
	return ""
}

// shown returns a change in words, without the secrets' hashes.
func shown(c store.Change) string {
	switch {
	case c.IsMark():
		return fmt.Sprintf("a mark of revision %d", c.Revision)
	case c.Deleted:
		return fmt.Sprintf("the deletion of %v, revision %d,", nameOf(c), c.Revision)
	case c.Err != nil:
		return fmt.Sprintf("%v, revision %d, as unreadable (%.100q)", nameOf(c), c.Revision, c.Err.Error())
	}
	return fmt.Sprintf("%v, revision %d,", nameOf(c), c.Revision)
}

// errSilent: a watch ended and did not say why.
var errSilent = errors.New("Watch ended without an error; want one that says why (W5)")

// follow watches from the last mark on and tells the mirror, until see, which is called
// after each change, returns false. The error is the one that Watch yielded, or says
// what is wrong with what it told.
func (m *mirror) follow(ctx context.Context, watcher store.Watcher, see func(store.Change) bool) error {
	clear(m.since) // will be told again
	for change, err := range watcher.Watch(ctx, m.mark) {
		if err != nil {
			return err
		}
		if err := m.tell(change); err != nil {
			return err
		}
		if !see(change) {
			return nil
		}
	}
	return errSilent
}

// reach follows until a mark that is not before a revision.
func (m *mirror) reach(ctx context.Context, watcher store.Watcher, revision uint64) error {
	return m.follow(ctx, watcher, func(change store.Change) bool { return !change.IsMark() || change.Revision < revision })
}

// differences says where the mirror is not what was read.
func (m *mirror) differences(read snapshot) (all []string) {
	left := maps.Clone(m.records)
	take := func(name recordName, revision uint64, same func(store.Change) string) {
		got, ok := left[name]
		delete(left, name)
		switch {
		case !ok:
			all = append(all, fmt.Sprintf("it does not have %v, revision %d", name, revision))
		case got.Err != nil:
			all = append(all, fmt.Sprintf("it has %s; want the record, which reads return", shown(got)))
		default:
			if d := same(got); d != "" {
				all = append(all, fmt.Sprintf("%v: %s", name, d))
			}
		}
	}
	for _, want := range read.organizations {
		take(organizationName(want.ID), want.Revision, func(got store.Change) string {
			if *got.OrganizationRecord != want {
				return fmt.Sprintf("it is %+v; want %+v", *got.OrganizationRecord, want)
			}
			return ""
		})
	}
	for _, want := range read.keys {
		take(keyName(want.ID), want.Revision, func(got store.Change) string { return difference(*got.KeyRecord, want) })
	}
	for name := range left {
		all = append(all, fmt.Sprintf("it has %v, which is not there", name))
	}
	slices.Sort(all)
	if len(all) > 5 {
		all = append(all[:5], fmt.Sprintf("and %d more", len(all)-5))
	}
	return all
}
