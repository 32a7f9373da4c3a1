package records

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"
)

// A table finds records by the IDs of their keys. Readers take no lock; writers must
// take turns among themselves.
//
// It is open addressing over groups of atomic pointers. A group is a cache line, and
// says of each of its records a few bits of the hash, so that a search reads one such
// line and then, as a rule, the one record that it looks for. A built-in map cannot be
// read while it is written, and a sync.Map takes its keys as interfaces and is a tree,
// several cache lines deep.
type table struct {
	seed   maphash.Seed
	groups atomic.Pointer[groups]
	live   int // records
	used   int // records, and places where one was removed
}

type groups struct {
	mask   uint64 // their number less one, a power of two less one
	groups []group
}

// A group is 64 bytes.
type group struct {
	tags  atomic.Uint64 // byte i is that of records[i]; the last byte is none's
	slots [groupSize]atomic.Pointer[record]
}

const (
	groupSize = 7

	// A tag is one of these, or that of a record: seven bits of its hash and taken.
	empty   = 0x00 // nothing was here: a search ends
	removed = 0x01 // something was: a search goes on
	taken   = 0x80

	noTags  = removed << 56 // of a group without records
	eachTag = 0x00_01_01_01_01_01_01_01
)

// full reports whether so many places are too many to use: a search must come to an
// empty one, and soon.
func (g *groups) full(used int) bool { return used*8 > len(g.groups)*groupSize*7 }

func newTable() *table {
	t := &table{seed: maphash.MakeSeed()}
	t.groups.Store(newGroups(0))
	return t
}

// newGroups returns groups that so many records half fill.
func newGroups(records int) *groups {
	n := 1
	for n*groupSize*7/16 <= records {
		n *= 2
	}
	g := &groups{mask: uint64(n - 1), groups: make([]group, n)}
	for i := range g.groups {
		g.groups[i].tags.Store(noTags)
	}
	return g
}

// tagOf returns the tag of a hash, of which the other bits say in which group to begin.
func tagOf(hash uint64) uint64 { return hash>>57 | taken }

// withTag returns a word in which the highest bit of each byte is set where tags has
// this one. It may also be set in the byte above such a byte.
func withTag(tags, tag uint64) uint64 {
	x := tags ^ tag*eachTag
	return (x - eachTag) &^ x & (taken * eachTag)
}

// A place is where a record was seen.
type place struct {
	groups *groups
	group  *group
	slot   int
}

// get returns the record of the key with this ID, or nil, and where it was seen.
func (t *table) get(id string) (*record, place) {
	hash := maphash.String(t.seed, id)
	g := t.groups.Load()
	for i := hash; ; i++ {
		group := &g.groups[i&g.mask]
		tags := group.tags.Load()
		for found := withTag(tags, tagOf(hash)); found != 0; found &= found - 1 {
			slot := bits.TrailingZeros64(found) / 8
			if r := group.slots[slot].Load(); r != nil && string(r.key.ID) == id {
				return r, place{g, group, slot}
			}
		}
		if withTag(tags, empty) != 0 {
			return nil, place{}
		}
	}
}

// holds reports whether the table has r in that place still. The place is asked
// before the groups: writes go to the newest groups only, so as long as those are
// the newest, what they hold is what the table holds.
func (t *table) holds(r *record, at place) bool {
	return at.group.slots[at.slot].Load() == r && t.groups.Load() == at.groups
}

// put stores a record, in place of an earlier one with the same ID if there is one.
func (t *table) put(r *record) {
	if old, at := t.get(string(r.key.ID)); old != nil {
		at.group.slots[at.slot].Store(r)
		return
	}
	g := t.groups.Load()
	if g.full(t.used + 1) {
		g = t.rehash()
	}
	if g.insert(t.seed, r) == empty {
		t.used++
	}
	t.live++
}

// insert stores a record with an ID that is not there, and returns the tag that was in
// its place. The record comes before its tag, so that who sees the tag finds it.
func (g *groups) insert(seed maphash.Seed, r *record) (was uint64) {
	hash := maphash.String(seed, string(r.key.ID))
	for i := hash; ; i++ {
		group := &g.groups[i&g.mask]
		tags := group.tags.Load()
		for slot := range group.slots {
			if was = tags >> (8 * slot) & 0xff; was < taken {
				group.slots[slot].Store(r)
				group.setTag(slot, tagOf(hash))
				return was
			}
		}
	}
}

func (g *group) setTag(slot int, tag uint64) {
	g.tags.Store(g.tags.Load()&^(0xff<<(8*slot)) | tag<<(8*slot))
}

// remove takes the record of a key out.
func (t *table) remove(id string) {
	r, at := t.get(id)
	if r == nil {
		return
	}
	at.group.slots[at.slot].Store(nil)
	t.live--
	if withTag(at.group.tags.Load(), empty) == 0 {
		at.group.setTag(at.slot, removed)
	} else { // the group was never full, so no search ever went on beyond it
		at.group.setTag(at.slot, empty)
		t.used--
	}
	if places := len(at.groups.groups) * groupSize; places > groupSize && t.live < places/8 {
		t.rehash()
	}
}

// rehash moves the records to new groups, of a number that suits how many there are.
func (t *table) rehash() *groups {
	old, g := t.groups.Load(), newGroups(t.live)
	for i := range old.groups {
		for slot := range old.groups[i].slots {
			if r := old.groups[i].slots[slot].Load(); r != nil {
				g.insert(t.seed, r)
			}
		}
	}
	t.used = t.live
	t.groups.Store(g)
	return g
}
