package records

import (
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// An Ordered keeps the records of a store. LookupNow, Key and Organization are safe for
// concurrent use with a writer. All other methods need a lock: writers exclude everyone,
// readers of pages exclude writers. Make one with [NewOrdered].
type Ordered struct {
	lookups
	ordered index[*organization]
}

// NewOrdered returns an Ordered without records.
func NewOrdered() *Ordered {
	o := new(Ordered)
	o.keys.init()
	return o
}

// Key returns a key, nil if it is absent. It must not be changed.
func (o *Ordered) Key(id apikey.ID) *apikey.Key {
	if r, _ := o.keys.get(string(id)); r != nil {
		return &r.key
	}
	return nil
}

// Organization returns an organization, nil if it is absent. It must not be changed.
func (o *Ordered) Organization(id string) *policy.Organization {
	if owner := o.organization(id); owner != nil {
		return owner.stored.Load()
	}
	return nil
}

// PutOrganization adds or replaces an organization, and returns the record as kept.
func (o *Ordered) PutOrganization(put policy.Organization) *policy.Organization {
	owner := o.organization(put.ID)
	if owner != nil {
		return owner.store(put)
	}
	owner = newOrganization(put.ID)
	kept := owner.store(put)
	o.organizations.Store(owner.id, owner)
	o.ordered.put(owner)
	return kept
}

// PutKey adds or replaces a key, and returns the record as kept: a copy, not to be
// changed. Its organization must be present.
func (o *Ordered) PutKey(put apikey.Key) *apikey.Key {
	owner := o.organization(put.Organization)
	r := o.newRecord(put, owner)
	o.keys.put(r)
	owner.keys.put(r)
	return &r.key
}

// RemoveOrganization removes an organization, which is present and has no keys.
func (o *Ordered) RemoveOrganization(id string) {
	o.organizations.Delete(id)
	o.ordered.remove(id)
}

// RemoveKey removes a key, which is present.
func (o *Ordered) RemoveKey(id apikey.ID) {
	r, _ := o.keys.get(string(id))
	o.keys.remove(string(id))
	r.organization.keys.remove(string(id))
}

// Organizations returns the first n organizations, or fewer, after an ID.
func (o *Ordered) Organizations(after string, n int) (page []*policy.Organization) {
	for _, owner := range o.ordered.after(after, n) {
		page = append(page, owner.stored.Load())
	}
	return page
}

// Keys returns the first n keys of an organization, or fewer, after an ID.
func (o *Ordered) Keys(organization, after string, n int) (page []*apikey.Key) {
	owner := o.organization(organization)
	if owner == nil {
		return nil
	}
	for _, r := range owner.keys.after(after, n) {
		page = append(page, &r.key)
	}
	return page
}
