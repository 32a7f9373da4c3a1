package etcd

import (
	"encoding/json"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// A record's revision is etcd's: that of the transaction which wrote it. The JSON cannot
// have it, since it is not known before, and has zero in its place. On reading anything
// else is refused, as are the record of another name and what its type does not read:
// then it is not this package that wrote it.

func encodeKey(key apikey.Key) (string, error) {
	key.Revision = 0
	return encode(key)
}

func decodeKey(stored *mvccpb.KeyValue, organization string, id apikey.ID) (apikey.Key, error) {
	var key apikey.Key
	// Not by json.Unmarshal, which would read it all another time.
	if err := key.UnmarshalJSON(stored.Value); err != nil {
		return apikey.Key{}, unreadable(stored, err)
	}
	if key.ID != id || key.Organization != organization || key.Revision != 0 {
		return apikey.Key{}, unreadable(stored, fmt.Errorf("it is key %q of organization %q with revision %d: want key %q of organization %q without one", key.ID, key.Organization, key.Revision, id, organization))
	}
	key.Revision = revisionOf(stored)
	return key, nil
}

func encodeOrganization(organization policy.Organization) (string, error) {
	organization.Revision = 0
	return encode(organization)
}

func decodeOrganization(stored *mvccpb.KeyValue, id string) (policy.Organization, error) {
	var organization policy.Organization
	if err := json.Unmarshal(stored.Value, &organization); err != nil {
		return policy.Organization{}, unreadable(stored, err)
	}
	if organization.ID != id || organization.Revision != 0 {
		return policy.Organization{}, unreadable(stored, fmt.Errorf("it is organization %q with revision %d: want organization %q without one", organization.ID, organization.Revision, id))
	}
	organization.Revision = revisionOf(stored)
	return organization, nil
}

func encode(record any) (string, error) {
	value, err := json.Marshal(record)
	if err != nil {
		return "", fmt.Errorf("store/etcd: %w", err)
	}
	return string(value), nil
}

// revisionOf returns the revision of what is stored, zero if there is nothing.
func revisionOf(stored *mvccpb.KeyValue) uint64 {
	return uint64(stored.GetModRevision())
}

func unreadable(stored *mvccpb.KeyValue, err error) error {
	return fmt.Errorf("store/etcd: %q of revision %d cannot be read: %w", stored.Key, stored.ModRevision, err)
}
