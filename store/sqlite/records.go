package sqlite

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// maxIdentifier is the longest that an identifier of a record can be, in bytes. What is
// longer is not there, and need not be looked for: SQLite refuses texts of more than a
// gigabyte (S5).
const maxIdentifier = 256

// A row is a record as its table has it. Its columns are of whatever type SQLite found
// in the file, for nothing is converted: a text where a number should be is a record
// that cannot be read.
type row struct {
	id, organization, revision, record any // an organization's row has no organization
}

// The record itself is JSON. The columns next to it are for searching; a record of which
// they say something else was changed by somebody else, or by a disk.

func (r row) asKey() (apikey.Key, error) {
	var key apikey.Key
	if err := r.decode(&key); err != nil {
		return apikey.Key{}, unreadable("key", r.id, err)
	}
	if string(key.ID) != r.id || key.Organization != r.organization || !r.hasRevision(key.Revision) {
		return apikey.Key{}, unreadable("key", r.id, fmt.Errorf("its record is that of key %q of organization %q, revision %d, and its row that of organization %.300q, revision %v: want them the same",
			key.ID, key.Organization, key.Revision, fmt.Sprint(r.organization), r.revision))
	}
	return key, nil
}

func (r row) asOrganization() (policy.Organization, error) {
	var organization policy.Organization
	if err := r.decode(&organization); err != nil {
		return policy.Organization{}, unreadable("organization", r.id, err)
	}
	if organization.ID != r.id || !r.hasRevision(organization.Revision) {
		return policy.Organization{}, unreadable("organization", r.id, fmt.Errorf("its record is that of organization %q, revision %d, and its row that of revision %v: want them the same",
			organization.ID, organization.Revision, r.revision))
	}
	return organization, nil
}

// unnamed is told as the organization of a key whose row does not say it. None has this ID,
// for none begins with white space.
const unnamed = " unnamed"

// organizationOf returns the organization that a key's column has.
func organizationOf(column any) string {
	if organization, _ := column.(string); organization != "" {
		return organization
	}
	return unnamed
}

func (r row) decode(into json.Unmarshaler) error {
	text, ok := r.record.(string)
	if !ok {
		return fmt.Errorf("its record is of type %T: want a text", r.record)
	}
	return into.UnmarshalJSON([]byte(text))
}

func (r row) hasRevision(revision uint64) bool {
	stored, err := asRevision(r.revision)
	return err == nil && stored == revision
}

// asRevision returns the revision in a column.
func asRevision(column any) (uint64, error) {
	n, ok := column.(int64)
	if !ok || n < 1 {
		return 0, fmt.Errorf("its revision is %.100q: want a number from 1 to %d", fmt.Sprint(column), math.MaxInt64)
	}
	return uint64(n), nil
}

func unreadable(kind string, id any, err error) error {
	return fmt.Errorf("store/sqlite: %s %.300q cannot be read: %w", kind, fmt.Sprint(id), err)
}

// asCount returns the number in a column that is not negative.
func asCount(column any) (uint64, error) {
	n, ok := column.(int64)
	if !ok || n < 0 {
		return 0, fmt.Errorf("the number %.100q in the file: want one from 0 to %d", fmt.Sprint(column), math.MaxInt64)
	}
	return uint64(n), nil
}
