package adapter

import (
	"encoding/json"
	"fmt"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// The stored form of a record is one JSON document. Beside it an adapter keeps the columns
// of its searches, such as ID, organization and revision. If the two disagree, something
// else has written the record: it cannot be trusted, so it cannot be read.

// EncodeKey returns the stored form of a key. A new field of a key needs no change of the
// adapter's tables. An older program refuses a document with an unknown field.
func EncodeKey(key apikey.Key) ([]byte, error) {
	document, err := json.Marshal(key)
	if err != nil {
		return nil, fmt.Errorf("store: %v: %w", KeyName(key.ID), err)
	}
	return document, nil
}

// DecodeKey returns the key in a document. Its ID, organization and revision must be those
// given, which stand beside the document. If the database itself counts revisions, the
// document has revision zero.
//
// The error says what is wrong with the document; wrap it by [Unreadable].
func DecodeKey(document []byte, id apikey.ID, organization string, revision uint64) (apikey.Key, error) {
	var key apikey.Key
	// Not by json.Unmarshal, which would scan the document once more.
	if err := key.UnmarshalJSON(document); err != nil {
		return apikey.Key{}, err
	}
	if key.ID != id || key.Organization != organization || key.Revision != revision {
		return apikey.Key{}, fmt.Errorf("its document is of key %.300q of organization %.300q, revision %d: want key %.300q of organization %.300q, revision %d",
			string(key.ID), key.Organization, key.Revision, string(id), organization, revision)
	}
	return key, nil
}

// EncodeOrganization returns the stored form of an organization.
func EncodeOrganization(organization policy.Organization) ([]byte, error) {
	document, err := json.Marshal(organization)
	if err != nil {
		return nil, fmt.Errorf("store: %v: %w", OrganizationName(organization.ID), err)
	}
	return document, nil
}

// DecodeOrganization is DecodeKey for an organization.
func DecodeOrganization(document []byte, id string, revision uint64) (policy.Organization, error) {
	var organization policy.Organization
	if err := organization.UnmarshalJSON(document); err != nil {
		return policy.Organization{}, err
	}
	if organization.ID != id || organization.Revision != revision {
		return policy.Organization{}, fmt.Errorf("its document is of organization %.300q, revision %d: want organization %.300q, revision %d",
			organization.ID, organization.Revision, id, revision)
	}
	return organization, nil
}
