package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// PutOrganization is as store.Store says.
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

// PutKey is as store.Store says.
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

// Load is as store.Loader says: one transaction, which waits for the disk once.
func (s *Store) Load(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, options ...store.PutOption) error {
	return s.transact(ctx, "load records", func(t *transaction) error {
		if n := len(organizations) + len(keys); n > store.MaxLoad {
			return fmt.Errorf("store/sqlite: %w: %d records in one Load: want at most %d", store.ErrInvalid, n, store.MaxLoad)
		}
		for _, organization := range organizations {
			if _, err := t.putOrganization(organization); err != nil {
				return err
			}
		}
		for _, key := range keys {
			if _, err := t.putKey(key, options...); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return failure(ctx, t.doing, err)
			}
		}
		return nil
	})
}

// putOrganization returns the revision that it gave.
func (t *transaction) putOrganization(put policy.Organization) (uint64, error) {
	stored, err := t.organization(put.ID)
	if err != nil {
		return 0, err
	}
	if err := store.CheckPutOrganization(stored, put); err != nil {
		return 0, err
	}
	if put.Revision, err = t.next(); err != nil {
		return 0, err
	}
	record, err := json.Marshal(put)
	if err != nil {
		return 0, t.failure(err)
	}
	query := updateOrganization
	if stored == nil {
		query = insertOrganization
	}
	return put.Revision, t.write(put.Revision, put.ID, "", false, query, put.ID, int64(put.Revision), string(record))
}

// putKey returns the revision that it gave.
func (t *transaction) putKey(put apikey.Key, options ...store.PutOption) (uint64, error) {
	stored, err := t.key(put.ID)
	if err != nil {
		return 0, err
	}
	if err := store.CheckPutKey(stored, put, options...); err != nil {
		return 0, err
	}
	if put.Revision, err = t.next(); err != nil {
		return 0, err
	}
	record, err := json.Marshal(put)
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
		return 0, fmt.Errorf("store/sqlite: key %q: its organization %q: %w", put.ID, put.Organization, store.ErrNotFound)
	}
	return put.Revision, t.write(put.Revision, put.Organization, put.ID, false, insertKey, string(put.ID), put.Organization, int64(put.Revision), string(record))
}

// key returns the key as it is stored, nil if there is none.
func (t *transaction) key(id apikey.ID) (*apikey.Key, error) {
	r := row{id: string(id)}
	found, err := t.find(selectKey, string(id), &r.organization, &r.revision, &r.record)
	if err != nil || !found {
		return nil, err
	}
	key, err := r.asKey()
	return &key, err
}

// organization returns the organization as it is stored, nil if there is none.
func (t *transaction) organization(id string) (*policy.Organization, error) {
	r := row{id: id}
	found, err := t.find(selectOrganization, id, &r.revision, &r.record)
	if err != nil || !found {
		return nil, err
	}
	organization, err := r.asOrganization()
	return &organization, err
}

// DeleteOrganization is as store.Store says. One that cannot be read can be deleted.
func (s *Store) DeleteOrganization(ctx context.Context, id string, revision uint64) error {
	return s.transact(ctx, "delete an organization", func(t *transaction) error {
		var stored, record, key any
		found, err := t.find(selectOrganization, id, &stored, &record)
		if err != nil {
			return err
		}
		if err := checkDelete("organization", id, found, stored, revision); err != nil {
			return err
		}
		switch hasKeys, err := t.find(selectAnyKey, id, &key); {
		case err != nil:
			return err
		case hasKeys:
			return fmt.Errorf("store/sqlite: organization %q: %w", id, store.ErrNotEmpty)
		}
		next, err := t.next()
		if err != nil {
			return err
		}
		return t.write(next, id, "", true, deleteOrganization, id)
	})
}

// DeleteKey is as store.Store says. A key that cannot be read can be deleted.
func (s *Store) DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error {
	return s.transact(ctx, "delete a key", func(t *transaction) error {
		var organization, stored any
		found, err := t.find(selectPlace, string(id), &organization, &stored)
		if err != nil {
			return err
		}
		if err := checkDelete("key", id, found, stored, revision); err != nil {
			return err
		}
		next, err := t.next()
		if err != nil {
			return err
		}
		return t.write(next, organizationOf(organization), id, true, deleteKey, string(id))
	})
}

// checkDelete is S14. stored is the column that has the revision: one that cannot be
// read stands in the way of a caller who means a revision, and of nobody else.
func checkDelete[ID ~string](kind string, id ID, found bool, stored any, given uint64) error {
	if !found {
		return notFound(kind, id)
	}
	revision, err := asRevision(stored)
	switch {
	case id == "":
		return unreadable(kind, id, errors.New("its ID is empty, and nobody could be told that it is gone: want it deleted by hand"))
	case err == nil:
		return store.CheckDelete(fmt.Sprintf("%s %q", kind, id), revision, given)
	case given == 0:
		return nil
	}
	return unreadable(kind, id, err)
}
