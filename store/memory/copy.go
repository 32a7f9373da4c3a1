package memory

import (
	"errors"
	"sync"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// A Copy is what another store has, for look-ups from memory. It is made of what a
// [store.Watcher] tells, and is as fresh as that: package store/replica is the one
// that follows a feed and knows how fresh its copy is. Look-ups are safe for
// concurrent use, take no lock and allocate nothing. Make one with [NewCopy].
type Copy struct {
	records
	mu sync.Mutex // for writers to take turns
}

// NewCopy returns a copy of an empty store.
func NewCopy() *Copy { return &Copy{records: records{keys: newTable()}} }

// LookupNow is as policy.ImmediateSource says. A key that was told with an Err, and
// one of an organization that was or that is not known, is that error.
func (c *Copy) LookupNow(id apikey.ID) (policy.Subject, bool, error) { return c.lookup(id) }

// Apply takes the copy from one moment to a later one. The changes are those between
// two marks of a feed (W6), in any order; marks are passed over. A look-up meanwhile
// finds the key and its organization as of one of the two moments, never one as of
// the first with the other as of the second.
func (c *Copy) Apply(changes []store.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()

	// A key that was written together with its organization is put with a holder of
	// the new organization that is its own. So it goes from the old pair to the new
	// one in a single step, while the keys that were not written still have the old
	// organization, with which they were as of either moment.
	written := map[string]*organization{}
	for _, change := range changes {
		if change.Key != "" || change.IsMark() {
			continue
		}
		if c.organization(change.Organization) == nil { // and no key has it
			c.holder(change.Organization).set(change)
			continue
		}
		holder := &organization{id: change.Organization}
		holder.set(change)
		written[holder.id] = holder
	}
	var moved []*record
	for _, change := range changes {
		if change.Key == "" {
			continue
		}
		if change.Deleted {
			c.keys.remove(string(change.Key))
			continue
		}
		holder := written[change.Organization]
		together := holder != nil
		if !together {
			holder = c.holder(change.Organization)
		}
		r := copied(change, holder)
		c.keys.put(r)
		if together && r.organization == holder {
			moved = append(moved, r)
		}
	}
	for _, change := range changes {
		if change.Key != "" || change.IsMark() {
			continue
		}
		c.holder(change.Organization).set(change)
		if change.Deleted {
			c.organizations.Delete(change.Organization)
		}
	}
	// Now the holder that all keys share has the new organization as well, and the
	// next change to it is to be theirs too.
	for _, r := range moved {
		shared := *r
		shared.organization = c.holder(r.organization.id)
		shared.keepGrant()
		c.keys.put(&shared)
	}
}

// holder returns where an organization is found, or will be once it is told of.
func (c *Copy) holder(id string) *organization {
	if o := c.organization(id); o != nil {
		return o
	}
	o := &organization{id: id}
	c.organizations.Store(id, o)
	return o
}

// set is what a change says of an organization.
func (o *organization) set(change store.Change) {
	err := change.Err
	if stored := change.OrganizationRecord; err == nil && stored != nil && stored.ID == o.id {
		o.stored.Store(&policy.Organization{ID: o.id, Requirement: stored.Requirement, Revision: stored.Revision})
		return
	}
	if err == nil && !change.Deleted {
		err = errUntold
	}
	o.fault.Store(&err) // before the record goes, for who finds it gone
	o.stored.Store(nil)
}

// copied returns the record of a key that was written. One that cannot be read points
// to an organization of its own that cannot either.
func copied(change store.Change, owner *organization) *record {
	if key := change.KeyRecord; change.Err == nil && key != nil && key.ID == change.Key && key.Organization == owner.id {
		return newRecord(*key, owner)
	}
	unreadable := &organization{id: owner.id}
	unreadable.set(store.Change{Err: change.Err})
	return &record{organization: unreadable, key: apikey.Key{ID: change.Key, Organization: owner.id}}
}

var errUntold = errors.New("the feed told of it without its record")
