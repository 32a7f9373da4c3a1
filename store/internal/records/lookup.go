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
	"sync"
	"sync/atomic"
	"unique"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// lookups finds keys and their organizations without a lock. Writers take turns.
type lookups struct {
	keys          *table
	organizations sync.Map // *organization by ID
}

// A record is a stored key. It does not change.
type record struct {
	grant        [1]apikey.Grant // the key's only grant, kept here to save a memory access
	organization *organization
	key          apikey.Key
}

// newRecord copies a key.
func newRecord(key apikey.Key, owner *organization) *record {
	r := &record{organization: owner, key: key.Clone()}
	// Names that many keys share are kept once: comparing them finds the same memory and
	// reads none of it.
	r.key.Organization = owner.id
	r.keepGrant()
	for i := range r.key.Grants {
		r.key.Grants[i].Role = unique.Make(r.key.Grants[i].Role).Value()
	}
	return r
}

// keepGrant moves the only grant into the record itself.
func (r *record) keepGrant() {
	if len(r.key.Grants) == 1 {
		r.key.Grants = r.grant[:copy(r.grant[:], r.key.Grants)]
	}
}

func (r *record) identifier() string { return string(r.key.ID) }

// An organization holds the record of an organization; its keys point to it.
type organization struct {
	stored atomic.Pointer[policy.Organization] // nil if it cannot be read
	fault  atomic.Pointer[error]               // why it, or the key that points here, cannot be read
	id     string
	keys   index[*record]
}

func (o *organization) identifier() string { return o.id }

// organization returns the holder of an organization, nil if there is none.
func (l *lookups) organization(id string) *organization {
	o, _ := l.organizations.Load(id)
	found, _ := o.(*organization)
	return found
}

// Lookup returns a key with its organization, both of one moment.
func (l *lookups) Lookup(id apikey.ID) (policy.Subject, bool, error) {
	for {
		r, at := l.keys.get(string(id))
		if r == nil {
			return policy.Subject{}, false, nil
		}
		organization := r.organization.stored.Load()
		if !l.keys.holds(r, at) {
			continue
		}
		if organization == nil {
			return policy.Subject{}, false, r.unreadable()
		}
		return policy.NewSubject(&r.key, organization), true, nil
	}
}

// unreadable returns why a key, or its organization, cannot be read.
func (r *record) unreadable() error {
	if err := r.organization.fault.Load(); err != nil && *err != nil {
		return fmt.Errorf("store: key %q cannot be read: %w", r.key.ID, *err)
	}
	return fmt.Errorf("store: key %q cannot be read: its organization %.80q is unknown", r.key.ID, r.organization.id)
}
