package memory

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unique"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// records are keys and their organizations, to be read without a lock. Writers take
// turns.
type records struct {
	keys          *table
	organizations sync.Map // of *organization, by ID
}

// A record is a key as it is stored. It does not change.
type record struct {
	grant        [1]apikey.Grant // the key's, if it has just one: on the way to it no other memory is read
	organization *organization
	key          apikey.Key
}

// newRecord copies a key.
func newRecord(key apikey.Key, owner *organization) *record {
	r := &record{organization: owner, key: key.Clone()}
	// Names that many keys have are kept once, so that comparing them finds the same
	// memory and reads none of it.
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

// An organization is where the record of one is found, for its keys to point to.
type organization struct {
	stored atomic.Pointer[policy.Organization] // nil if it cannot be read
	fault  atomic.Pointer[error]               // why it, or the key that points here, cannot be read
	id     string
	keys   index[*record]
}

func (o *organization) identifier() string { return o.id }

// organization returns where an organization is found, or nil if there is none.
func (rs *records) organization(id string) *organization {
	o, _ := rs.organizations.Load(id)
	found, _ := o.(*organization)
	return found
}

// lookup returns a key with its organization, both as of one moment: see the
// package's documentation.
func (rs *records) lookup(id apikey.ID) (policy.Subject, bool, error) {
	for {
		r, at := rs.keys.get(string(id))
		if r == nil {
			return policy.Subject{}, false, nil
		}
		organization := r.organization.stored.Load()
		if !rs.keys.holds(r, at) {
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
		return fmt.Errorf("store/memory: key %q cannot be read: %w", r.key.ID, *err)
	}
	return fmt.Errorf("store/memory: key %q cannot be read: its organization %q is not known", r.key.ID, r.organization.id)
}
