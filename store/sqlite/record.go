package sqlite

import (
	"fmt"
	"math"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// maxIdentifier is the longest identifier of a record, in bytes. A longer one is absent
// and is not searched for: SQLite refuses texts of more than a gigabyte (S5).
const maxIdentifier = 256

// A row is a record as stored: its JSON document, and the columns by which it is
// searched. Columns have whatever type SQLite finds in the file, since nothing is
// converted: a text in the place of a number makes a record unreadable.
type row struct {
	id, organization, revision, record any // an organization has no organization column
}

// key returns the row as a key.
func (r row) key() (apikey.Key, error) {
	key, err := r.readKey()
	if err != nil {
		return apikey.Key{}, adapter.Unreadable(r.keyName(), err)
	}
	return key, nil
}

func (r row) readKey() (apikey.Key, error) {
	document, revision, err := r.document()
	if err != nil {
		return apikey.Key{}, err
	}
	organization, ok := r.organization.(string)
	if !ok {
		return apikey.Key{}, fmt.Errorf("its organization is of type %T: want a text", r.organization)
	}
	return adapter.DecodeKey(document, r.keyName().Key, organization, revision)
}

// asOrganization returns the row as an organization.
func (r row) asOrganization() (policy.Organization, error) {
	organization, err := r.readOrganization()
	if err != nil {
		return policy.Organization{}, adapter.Unreadable(r.organizationName(), err)
	}
	return organization, nil
}

func (r row) readOrganization() (policy.Organization, error) {
	document, revision, err := r.document()
	if err != nil {
		return policy.Organization{}, err
	}
	return adapter.DecodeOrganization(document, r.organizationName().Organization, revision)
}

func (r row) keyName() adapter.Name          { return adapter.KeyName(apikey.ID(fmt.Sprint(r.id))) }
func (r row) organizationName() adapter.Name { return adapter.OrganizationName(fmt.Sprint(r.id)) }

// document returns the JSON document and the revision beside it.
func (r row) document() (document []byte, revision uint64, err error) {
	text, ok := r.record.(string)
	if !ok {
		return nil, 0, fmt.Errorf("its record is of type %T: want a text", r.record)
	}
	revision, err = asRevision(r.revision)
	return []byte(text), revision, err
}

// keyChange returns the row of a key as a change, for watchers of a store at the latest
// revision. An unreadable key has an Err, and the latest revision if it says none.
func (r row) keyChange(latest uint64) store.Change {
	change := store.Change{Revision: r.revisionUpTo(latest), Organization: organizationOf(r.organization), Key: r.keyName().Key}
	key, err := r.key()
	if err == nil {
		err = r.checkLatest(r.keyName(), key.Revision, latest)
	}
	if change.Err = err; err == nil {
		change.KeyRecord = &key
	}
	return change
}

// organizationChange is keyChange for an organization.
func (r row) organizationChange(latest uint64) store.Change {
	change := store.Change{Revision: r.revisionUpTo(latest), Organization: r.organizationName().Organization}
	organization, err := r.asOrganization()
	if err == nil {
		err = r.checkLatest(r.organizationName(), organization.Revision, latest)
	}
	if change.Err = err; err == nil {
		change.OrganizationRecord = &organization
	}
	return change
}

func (r row) checkLatest(name adapter.Name, revision, latest uint64) error {
	if revision > latest {
		return adapter.Unreadable(name, fmt.Errorf("it has revision %d: want %d at most", revision, latest))
	}
	return nil
}

func (r row) revisionUpTo(latest uint64) uint64 {
	if revision, err := asRevision(r.revision); err == nil && revision <= latest {
		return revision
	}
	return latest
}

// unnamed is reported as the organization of a key whose row has none. No organization
// has this ID, since none begins with white space.
const unnamed = " unnamed"

// organizationOf returns the organization in a key's column.
func organizationOf(column any) string {
	if organization, _ := column.(string); organization != "" {
		return organization
	}
	return unnamed
}

// asRevision returns the revision in a column.
func asRevision(column any) (uint64, error) {
	n, ok := column.(int64)
	if !ok || n < 1 {
		return 0, fmt.Errorf("its revision is %.100q: want a number from 1 to %d", fmt.Sprint(column), math.MaxInt64)
	}
	return uint64(n), nil
}

// asCount returns the non-negative number in a column.
func asCount(column any) (uint64, error) {
	n, ok := column.(int64)
	if !ok || n < 0 {
		return 0, fmt.Errorf("the number %.100q in the file: want one from 0 to %d", fmt.Sprint(column), math.MaxInt64)
	}
	return uint64(n), nil
}
