package records

import (
	"errors"
	"sync"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

// A Copy keeps the records of another store, as delivered by its [store.Watcher]. It is
// as fresh as what was applied to it. Make one with [NewCopy].
type Copy struct {
	lookups
	mu sync.Mutex // writers take turns
}

// NewCopy returns a copy of an empty store.
func NewCopy() *Copy {
	c := new(Copy)
	c.keys.init()
	return c
}

// Apply takes the copy from one moment to a later one. The changes are those between two
// marks of a feed (W6), in any order; marks are skipped. A concurrent LookupNow returns a
// key and its organization of the same moment, the earlier or the later one.
//
// A key delivered with an Err, or without its record, fails LookupNow from then on. So do the
// keys of such an organization, or of an unknown one.
func (c *Copy) Apply(changes []store.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()

	// A key written together with its organization first gets a holder of the new
	// organization of its own. So it goes from the old pair to the new one in a single
	// step. Keys that were not written still have the old organization, which is right
	// at either moment.
	written := map[string]*organization{}
	for _, change := range changes {
		if change.Key != "" || change.IsMark() {
			continue
		}
		if c.organization(change.Organization) == nil { // and no key has it
			c.holder(change.Organization).set(change)
			continue
		}
		holder := newOrganization(change.Organization)
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
		r := c.copied(change, holder)
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
	// The shared holder has the new organization now. Keys with a holder of their own
	// move to it, so that the next change of the organization reaches them.
	for _, r := range moved {
		shared := *r
		shared.organization = c.holder(r.organization.id)
		shared.hold() // not the earlier record
		c.keys.put(&shared)
	}
}

// holder returns the holder of an organization, made if there is none.
func (c *Copy) holder(id string) *organization {
	if o := c.organization(id); o != nil {
		return o
	}
	o := newOrganization(id)
	c.organizations.Store(id, o)
	return o
}

// set takes what a change says of the organization.
func (o *organization) set(change store.Change) {
	err := change.Err
	if record := change.OrganizationRecord; err == nil && record != nil && record.ID == o.id {
		o.store(*record)
		return
	}
	if err == nil && !change.Deleted {
		err = errUntold
	}
	o.fault.Store(&err) // before the record goes: a reader that finds none looks here
	o.stored.Store(nil)
}

// copied returns the record of a key that was written. An unreadable key points to an
// unreadable organization of its own.
func (c *Copy) copied(change store.Change, owner *organization) *record {
	if key := change.KeyRecord; change.Err == nil && key != nil && key.ID == change.Key && key.Organization == owner.id {
		return c.newRecord(*key, owner)
	}
	unreadable := newOrganization(owner.id)
	unreadable.set(store.Change{Err: change.Err})
	return &record{organization: unreadable, key: apikey.Key{ID: change.Key, Organization: owner.id}}
}

var errUntold = errors.New("the feed delivered it without its record")
