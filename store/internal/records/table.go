package records

import (
	"math/bits"
	"sync/atomic"
)

// A table finds records by key ID. Readers take no lock; writers take turns.
//
// It is open addressing over groups of atomic pointers. A group is a cache line with a few
// bits of the hash of each of its records. So a search reads one such line and then,
// usually, only the record it looks for. A built-in map cannot be read while it is written.
// A sync.Map takes its keys as interfaces and is a tree, several cache lines deep.
type table struct {
	hasher
	groups atomic.Pointer[groups]
	live   int // records
	used   int // records, and places of removed ones
}

type groups struct {
	mask   uint64 // number of groups, a power of two, less one
	groups []group
}

// A group is 64 bytes.
type group struct {
	tags  atomic.Uint64 // byte i belongs to slots[i]; the last byte to none
	slots [groupSize]atomic.Pointer[record]
}

const (
	groupSize = 7

	// A tag is one of these; that of a record is taken and seven bits of its hash.
	empty   = 0x00 // never used: a search ends
	removed = 0x01 // used before: a search goes on
	taken   = 0x80

	noTags  = removed << 56 // of a group without records
	eachTag = 0x00_01_01_01_01_01_01_01
)

// full reports whether a number of used places is too high: a search must soon come to an
// empty one.
func (g *groups) full(used int) bool { return used*8 > len(g.groups)*groupSize*7 }

// init makes a table ready for use.
func (t *table) init() {
	t.hasher = newHasher()
	t.groups.Store(newGroups(0))
}

// newGroups returns groups for a number of records, which half fill them.
func newGroups(records int) *groups {
	n := 1
	for n*groupSize*7/16 < records {
		n *= 2
	}
	g := &groups{mask: uint64(n - 1), groups: make([]group, n)}
	for i := range g.groups {
		g.groups[i].tags.Store(noTags)
	}
	return g
}

// tagOf returns the tag of a hash. The other bits say in which group a search begins.
func tagOf(hash uint64) uint64 { return hash>>57 | taken }

// withTag returns a word with the highest bit set in each byte where tags has this tag. It
// may also be set in the byte above such a byte.
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

// get returns the record of a key, nil if it is absent, and where it was seen.
func (t *table) get(id string) (*record, place) {
	hash, g := t.hash(id), t.groups.Load()
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

// first returns the first place with the tag of a hash. The slot is groupSize or more if there
// is none.
func (g *groups) first(hash uint64) (in *group, slot int) {
	in = &g.groups[hash&g.mask]
	return in, bits.TrailingZeros64(withTag(in.tags.Load(), tagOf(hash))) / 8
}

// holds reports whether the table still has r in that place. The place is read before the
// groups. Writes go to the newest groups only: as long as these are the newest, they hold
// what the table holds.
func (t *table) holds(r *record, at place) bool {
	return at.group.slots[at.slot].Load() == r && t.groups.Load() == at.groups
}

// put adds a record or replaces the one with the same ID.
func (t *table) put(r *record) {
	if old, at := t.get(string(r.key.ID)); old != nil {
		at.group.slots[at.slot].Store(r)
		return
	}
	g := t.groups.Load()
	if g.full(t.used + 1) {
		g = t.rehash()
	}
	if g.insert(t.hash(string(r.key.ID)), r) == empty {
		t.used++
	}
	t.live++
}

// insert stores a record with a new ID, and returns the earlier tag of its place. The record
// is stored before its tag, so that a reader of the tag finds it.
func (g *groups) insert(hash uint64, r *record) (was uint64) {
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

// remove removes the record of a key, if it exists.
func (t *table) remove(id string) {
	r, at := t.get(id)
	if r == nil {
		return
	}
	at.group.slots[at.slot].Store(nil)
	t.live--
	if withTag(at.group.tags.Load(), empty) == 0 {
		at.group.setTag(at.slot, removed)
	} else { // the group was never full, so no search went on beyond it
		at.group.setTag(at.slot, empty)
		t.used--
	}
	if places := len(at.groups.groups) * groupSize; places > groupSize && t.live < places/8 {
		t.rehash()
	}
}

// rehash moves the records to new groups, sized for their number.
func (t *table) rehash() *groups {
	old, g := t.groups.Load(), newGroups(t.live)
	for i := range old.groups {
		for slot := range old.groups[i].slots {
			if r := old.groups[i].slots[slot].Load(); r != nil {
				g.insert(t.hash(string(r.key.ID)), r)
			}
		}
	}
	t.used = t.live
	t.groups.Store(g)
	return g
}
