package sqlite

import (
	"context"
	"errors"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// PutOrganization implements [store.Store].
func (s *Store) PutOrganization(ctx context.Context, put policy.Organization) (stored policy.Organization, err error) {
	err = s.transact(ctx, "put an organization", func(t *transaction) error {
		put.Revision, err = t.putOrganization(put)
		return err
	})
	if err != nil {
		return policy.Organization{}, err
	}
	return put, nil
}

// PutKey implements [store.Store].
func (s *Store) PutKey(ctx context.Context, put apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	err := s.transact(ctx, "put a key", func(t *transaction) (err error) {
		put.Revision, err = t.putKey(put, options...)
		return err
	})
	if err != nil {
		return apikey.Key{}, err
	}
	return put.Clone(), nil
}

// putOrganization returns the revision it gave.
func (t *transaction) putOrganization(put policy.Organization) (uint64, error) {
	stored, err := t.organization(put.ID)
	if err != nil {
		return 0, err
	}
	if err := adapter.CheckPutOrganization(stored, put); err != nil {
		return 0, err
	}
	if put.Revision, err = t.next(); err != nil {
		return 0, err
	}
	record, err := adapter.EncodeOrganization(put)
	if err != nil {
		return 0, t.failure(err)
	}
	query := updateOrganization
	if stored == nil {
		query = insertOrganization
	}
	return put.Revision, t.write(put.Revision, put.ID, "", false, query, put.ID, int64(put.Revision), string(record))
}

// putKey returns the revision it gave.
func (t *transaction) putKey(put apikey.Key, options ...store.PutOption) (uint64, error) {
	stored, err := t.key(put.ID)
	if err != nil {
		return 0, err
	}
	if err := adapter.CheckPutKey(stored, put, options...); err != nil {
		return 0, err
	}
	if put.Revision, err = t.next(); err != nil {
		return 0, err
	}
	record, err := adapter.EncodeKey(put)
	if err != nil {
		return 0, t.failure(err)
	}
	if stored != nil {
		return put.Revision, t.write(put.Revision, put.Organization, put.ID, false, updateKey, string(put.ID), int64(put.Revision), string(record))
	}
	var owner any
	switch found, err := t.find(selectOwner, put.Organization, &owner); {
	case err != nil:
		return 0, err
	case !found:
		return 0, adapter.NoOrganization(put)
	}
	return put.Revision, t.write(put.Revision, put.Organization, put.ID, false, insertKey, string(put.ID), put.Organization, int64(put.Revision), string(record))
}

// key returns the stored key, nil if it is absent.
func (t *transaction) key(id apikey.ID) (*apikey.Key, error) {
	r := row{id: string(id)}
	found, err := t.find(selectKey, string(id), &r.organization, &r.revision, &r.record)
	if err != nil || !found {
		return nil, err
	}
	key, err := r.key()
	return &key, err
}

// organization returns the stored organization, nil if it is absent.
func (t *transaction) organization(id string) (*policy.Organization, error) {
	r := row{id: id}
	found, err := t.find(selectOrganization, id, &r.revision, &r.record)
	if err != nil || !found {
		return nil, err
	}
	organization, err := r.asOrganization()
	return &organization, err
}

// DeleteOrganization implements [store.Store]. An unreadable organization can be deleted.
func (s *Store) DeleteOrganization(ctx context.Context, id string, revision uint64) error {
	return s.transact(ctx, "delete an organization", func(t *transaction) error { return t.deleteOrganization(id, revision) })
}

func (t *transaction) deleteOrganization(id string, revision uint64) error {
	var stored, record, key any
	found, err := t.find(selectOrganization, id, &stored, &record)
	if err != nil {
		return err
	}
	if err := checkDelete(adapter.OrganizationName(id), found, stored, revision); err != nil {
		return err
	}
	switch hasKeys, err := t.find(selectAnyKey, id, &key); {
	case err != nil:
		return err
	case hasKeys:
		return adapter.NotEmpty(id)
	}
	next, err := t.next()
	if err != nil {
		return err
	}
	return t.write(next, id, "", true, deleteOrganization, id)
}

// DeleteKey implements [store.Store]. An unreadable key can be deleted.
func (s *Store) DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error {
	return s.transact(ctx, "delete a key", func(t *transaction) error { return t.deleteKey(id, revision, "") })
}

// deleteKey deletes a key of an organization, or of any if that is empty.
func (t *transaction) deleteKey(id apikey.ID, revision uint64, of string) error {
	var organization, stored any
	found, err := t.find(selectPlace, string(id), &organization, &stored)
	if err != nil {
		return err
	}
	found = found && (of == "" || of == organization)
	if err := checkDelete(adapter.KeyName(id), found, stored, revision); err != nil {
		return err
	}
	next, err := t.next()
	if err != nil {
		return err
	}
	return t.write(next, organizationOf(organization), id, true, deleteKey, string(id))
}

// checkDelete decides S14. stored is the column with the revision. If it is unreadable, only
// a Delete of any revision succeeds.
func checkDelete(name adapter.Name, found bool, stored any, given uint64) error {
	if !found {
		return adapter.NotFound(name)
	}
	revision, err := asRevision(stored)
	switch {
	case name == adapter.Name{}:
		return adapter.Unreadable(name, errors.New("its ID is empty, and no watcher could be told that it is gone: want it deleted by hand"))
	case err == nil:
		return adapter.CheckDelete(name, revision, given)
	case given == 0:
		return nil
	}
	return adapter.Unreadable(name, err)
}
