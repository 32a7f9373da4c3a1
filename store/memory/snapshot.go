package memory

import (
	"math"

	"github.com/sallyport-go/sallyport/store"
)

// snapshot returns every record as a change. The lock is held.
func (s *Store) snapshot() (all []store.Change) {
	for _, organization := range s.records.Organizations("", math.MaxInt) {
		all = append(all, store.Change{Revision: organization.Revision, Organization: organization.ID, OrganizationRecord: organization})
		for _, key := range s.records.Keys(organization.ID, "", math.MaxInt) {
			all = append(all, store.Change{Revision: key.Revision, Organization: key.Organization, Key: key.ID, KeyRecord: key})
		}
	}
	return all
}
