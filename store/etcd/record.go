package etcd

import (
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// The revision of a record is given by etcd at the end of the transaction. It is unknown
// before, so the document has zero in its place. A document with any other revision, or of
// another name, was not written by this package, and cannot be read.

func encodeKey(key apikey.Key) (string, error) {
	key.Revision = 0
	document, err := adapter.EncodeKey(key)
	return string(document), err
}

func decodeKey(stored *mvccpb.KeyValue, organization string, id apikey.ID) (apikey.Key, error) {
	key, err := adapter.DecodeKey(stored.Value, id, organization, 0)
	if err != nil {
		return apikey.Key{}, adapter.Unreadable(adapter.KeyName(id), unreadable(stored, err))
	}
	key.Revision = revisionOf(stored)
	return key, nil
}

func encodeOrganization(organization policy.Organization) (string, error) {
	organization.Revision = 0
	document, err := adapter.EncodeOrganization(organization)
	return string(document), err
}

func decodeOrganization(stored *mvccpb.KeyValue, id string) (policy.Organization, error) {
	organization, err := adapter.DecodeOrganization(stored.Value, id, 0)
	if err != nil {
		return policy.Organization{}, adapter.Unreadable(adapter.OrganizationName(id), unreadable(stored, err))
	}
	organization.Revision = revisionOf(stored)
	return organization, nil
}

// revisionOf returns the revision of a stored value, zero if it is absent.
func revisionOf(stored *mvccpb.KeyValue) uint64 {
	return uint64(stored.GetModRevision())
}

// change returns a stored value as a change, the zero Change if it is not a record.
func (s *Store) change(stored *mvccpb.KeyValue, deleted bool) store.Change {
	organization, id, ok := s.names.record(string(stored.Key))
	if !ok {
		return store.Change{}
	}
	change := store.Change{Revision: revisionOf(stored), Organization: organization, Key: id, Deleted: deleted}
	switch {
	case deleted:
	case id == "":
		record, err := decodeOrganization(stored, organization)
		if change.Err = err; err == nil {
			change.OrganizationRecord = &record
		}
	default:
		record, err := decodeKey(stored, organization, id)
		if change.Err = err; err == nil {
			change.KeyRecord = &record
		}
	}
	return change
}

// unreadable returns the error of a value that cannot be read, by the name it has in etcd.
func unreadable(stored *mvccpb.KeyValue, err error) error {
	return fmt.Errorf("store/etcd: %.400q of revision %d cannot be read: %w", stored.Key, stored.ModRevision, err)
}
