package memory

import (
	"hash/maphash"
	"sync/atomic"
)

// A table maps identifiers to values. Readers take no lock; writers must take
// turns among themselves. Values are replaced, never changed.
//
// It is open addressing over atomic pointers. A built-in map cannot be read while
// it is written, and a sync.Map takes its keys as interfaces and is a tree, several
// cache lines deep.
type table[V any] struct {
	seed  maphash.Seed
	slots atomic.Pointer[slots[V]]
	live  int // records
	used  int // records and tombstones
}

type slots[V any] struct {
	mask  uint64 // their number less one, a power of two less one
	slots []atomic.Pointer[record[V]]
}

// A record is immutable once it is in a slot.
type record[V any] struct {
	id    string
	hash  uint64
	gone  bool // a tombstone: look further
	value V
}

const minSlots = 16

func newTable[V any]() *table[V] {
	t := &table[V]{seed: maphash.MakeSeed()}
	t.slots.Store(newSlots[V](minSlots))
	return t
}

func newSlots[V any](n int) *slots[V] {
	return &slots[V]{mask: uint64(n - 1), slots: make([]atomic.Pointer[record[V]], n)}
}

// get returns the record with this identifier, or nil, and the place where it was
// seen.
func (t *table[V]) get(id string) (*record[V], place[V]) {
	hash := maphash.String(t.seed, id)
	s := t.slots.Load()
	for i := hash & s.mask; ; i = (i + 1) & s.mask {
		r := s.slots[i].Load()
		if r == nil {
			return nil, place[V]{}
		}
		if r.hash == hash && !r.gone && r.id == id {
			return r, place[V]{s, i}
		}
	}
}

// A place is where a record was seen.
type place[V any] struct {
	slots *slots[V]
	index uint64
}

// holds reports whether the table has r in that place still. The place is asked
// before the slots: writes go to the newest slots only, so as long as those are
// the newest, what they hold is what the table holds.
func (t *table[V]) holds(r *record[V], at place[V]) bool {
	return at.slots.slots[at.index].Load() == r && t.slots.Load() == at.slots
}

// put stores a value under an identifier, in place of an earlier one if there is
// one.
func (t *table[V]) put(id string, value V) {
	s := t.slots.Load()
	// At most three quarters are used, so that a search ends soon.
	if (t.used+1)*4 > len(s.slots)*3 {
		s = t.rehash()
	}
	r := &record[V]{id: id, hash: maphash.String(t.seed, id), value: value}
	for i := r.hash & s.mask; ; i = (i + 1) & s.mask {
		old := s.slots[i].Load()
		if old == nil {
			t.live++
			t.used++
		} else if old.gone || old.hash != r.hash || old.id != id {
			continue
		}
		s.slots[i].Store(r)
		return
	}
}

// remove takes an identifier out. It leaves a tombstone, so that searches for
// others that came this way go on.
func (t *table[V]) remove(id string) {
	r, at := t.get(id)
	if r == nil {
		return
	}
	at.slots.slots[at.index].Store(&record[V]{gone: true})
	t.live--
}

// rehash moves the records to new slots, of a number that suits how many there
// are, and leaves the tombstones behind.
func (t *table[V]) rehash() *slots[V] {
	n := minSlots
	for n < (t.live+1)*2 {
		n *= 2
	}
	old, s := t.slots.Load(), newSlots[V](n)
	for i := range old.slots {
		r := old.slots[i].Load()
		if r == nil || r.gone {
			continue
		}
		j := r.hash & s.mask
		for s.slots[j].Load() != nil {
			j = (j + 1) & s.mask
		}
		s.slots[j].Store(r)
	}
	t.used = t.live
	t.slots.Store(s)
	return s
}
