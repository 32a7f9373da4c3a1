// Package records keeps organizations and keys in memory. Look-ups take no lock, wait for
// nobody and allocate nothing; writers take turns.
//
// [Ordered] keeps the records of a store, in order, for package store/memory. A [Copy]
// keeps those of a change feed, for package store/replica.
//
// # How a look-up is of one moment
//
// A key and its organization are two records, replaced independently, each behind an
// atomic pointer. A reader loads the key, then the organization, and then checks that
// the key is still the stored one. If so it was the stored one all the time in between,
// also when the organization was loaded: the two belong together. If not, the reader
// starts again. Published records never change and pointers to them are not reused, so
// an equal pointer means an unchanged record.
package records

import (
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"unique"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/own"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/policy"
)

// lookups finds keys and their organizations without a lock. Writers take turns.
type lookups struct {
	closed        atomic.Pointer[error] // why there are no look-ups any more
	keys          table
	organizations sync.Map            // *organization by ID
	grants        [256][]apikey.Grant // see shared
}

// A record is a stored key. It does not change. The fields read by most decisions come first, up to
// the key's Expires: two cache lines, since the allocator begins a record with a line.
type record struct {
	organization *organization
	id           [20]byte // of the key, where it fits: elsewhere it would be another line to wait for
	facts        own.Facts
	key          apikey.Key
	secret       [1]apikey.StoredSecret // of a key with one: apart it would take more memory
}

// newRecord copies a key. Names that many keys share are kept once: they are in the
// processor's cache, and equal ones are found equal without reading them.
func (l *lookups) newRecord(key apikey.Key, owner *organization) *record {
	r := &record{organization: owner, facts: own.FactsOf(&key), key: key.Clone()}
	r.key.Organization = owner.id
	for i := range r.key.Grants {
		r.key.Grants[i].Role = unique.Make(r.key.Grants[i].Role).Value()
	}
	if len(r.key.Grants) == 1 {
		r.key.Grants = l.shared(r.key.Grants[0])
	}
	r.hold()
	return r
}

// hold has the key's ID and its only secret in the record.
func (r *record) hold() {
	if len(r.key.ID) <= len(r.id) {
		placed, _ := plain.Place(r.id[:], string(r.key.ID))
		r.key.ID = apikey.ID(placed)
	}
	if len(r.key.Secrets) == 1 {
		r.secret[0] = r.key.Secrets[0]
		r.key.Secrets = r.secret[:]
	}
}

// shared returns a slice with one grant, if possible the same for all keys that have no other.
// A grant has eight places among the kept ones. If all are others', it takes the last.
func (l *lookups) shared(grant apikey.Grant) []apikey.Grant {
	first := maphash.Comparable(l.keys.seed, grant)
	for i := uint64(0); ; i++ {
		kept := &l.grants[(first+i)%uint64(len(l.grants))]
		if len(*kept) == 0 || i == 7 && (*kept)[0] != grant {
			*kept = []apikey.Grant{grant}
		}
		if (*kept)[0] == grant {
			return *kept
		}
	}
}

func (r *record) identifier() string { return string(r.key.ID) }

// An organization holds the record of an organization; its keys point to it.
type organization struct {
	text   [40]byte                            // of the ID, where it fits: as in record
	stored atomic.Pointer[policy.Organization] // nil if it cannot be read
	first  policy.Organization                 // the first stored one: most are never replaced, and this one is near
	taken  bool                                // there is a first one
	id     string
	fault  atomic.Pointer[error] // why it, or the key that points here, cannot be read
	keys   index[*record]
}

// newOrganization returns a holder without a record.
func newOrganization(id string) *organization {
	o := &organization{id: id}
	if len(id) <= len(o.text) {
		o.id, _ = plain.Place(o.text[:], id)
	}
	return o
}

// store replaces the record, and returns it as kept. Published records do not change, so only
// the first has its place here.
func (o *organization) store(put policy.Organization) *policy.Organization {
	kept := &o.first
	if o.taken {
		kept = new(policy.Organization)
	}
	o.taken = true
	*kept = put
	kept.ID = o.id // see newRecord
	o.stored.Store(kept)
	return kept
}

func (o *organization) identifier() string { return o.id }

// organization returns the holder of an organization, nil if there is none.
func (l *lookups) organization(id string) *organization {
	o, _ := l.organizations.Load(id)
	found, _ := o.(*organization)
	return found
}

// LookupNow returns a key with its organization, both of one moment.
func (l *lookups) LookupNow(id apikey.ID) (policy.Subject, bool, error) {
	subject, _, err := l.Find(id)
	return subject, subject != policy.Subject{}, err
}

// Find is LookupNow with the key's facts; for an unknown key it returns the zero Subject. The first
// place with the tag is nearly always the right one.
func (l *lookups) Find(id apikey.ID) (policy.Subject, own.Facts, error) {
	n := len(id)
	if !hasWords(n) || l.closed.Load() != nil {
		return l.search(id)
	}
	w, g := wordsOf(string(id)), l.keys.groups.Load()
	group, slot := g.first(l.keys.mix(w, n))
	if slot >= groupSize {
		return l.search(id)
	}
	r := group.slots[slot].Load()
	if r == nil || len(r.key.ID) != n || wordsOf(string(r.key.ID)) != w {
		return l.search(id)
	}
	organization := r.organization.stored.Load()
	if organization == nil || group.slots[slot].Load() != r || l.keys.groups.Load() != g { // as of holds
		return l.search(id)
	}
	return policy.NewSubject(&r.key, organization), r.facts, nil
}

// search is Find in every case.
func (l *lookups) search(id apikey.ID) (policy.Subject, own.Facts, error) {
	if err := l.Closed(); err != nil {
		return policy.Subject{}, 0, err
	}
	for {
		r, at := l.keys.get(string(id))
		if r == nil {
			return policy.Subject{}, 0, nil
		}
		organization := r.organization.stored.Load()
		switch held := l.keys.holds(r, at); {
		case held && organization == nil:
			return policy.Subject{}, 0, r.unreadable()
		case held:
			return policy.NewSubject(&r.key, organization), r.facts, nil
		}
	}
}

// Close ends the look-ups: from now on they return the error.
func (l *lookups) Close(err error) { l.closed.Store(&err) }

// Closed returns the error of Close, and before it nil.
func (l *lookups) Closed() error {
	if err := l.closed.Load(); err != nil {
		return *err
	}
	return nil
}

// ReadAhead reads the records of keys, at most own.AtOnce, so that they are in the processor's
// cache when Find reads them. Few instructions lie between one record's reads and the next
// one's, so the processor waits for many at a time. The sum keeps the compiler from leaving
// reads out.
func (l *lookups) ReadAhead(ids []apikey.ID) (sum int) {
	var found [own.AtOnce]*record
	for i, id := range ids {
		if group, slot := l.keys.groups.Load().first(l.keys.hash(string(id))); slot < groupSize {
			found[i] = group.slots[slot].Load()
		}
	}
	for _, r := range found {
		if r == nil {
			continue
		}
		if organization := r.organization.stored.Load(); organization != nil {
			sum += int(organization.Requirement) + int(organization.ID[0])
		}
		sum += int(r.facts) + r.key.AccessList.Len() + len(r.key.Grants)
	}
	return sum
}

// unreadable returns why a key, or its organization, cannot be read.
func (r *record) unreadable() error {
	if err := r.organization.fault.Load(); err != nil && *err != nil {
		return fmt.Errorf("store: key %q cannot be read: %w", r.key.ID, *err)
	}
	return fmt.Errorf("store: key %q cannot be read: its organization %.80q is unknown", r.key.ID, r.organization.id)
}
