package postgres

import (
	"context"
	"fmt"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Load is as store.Loader says: one transaction, in which each table gets all of its rows
// by one statement.
func (s *Store) Load(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, options ...store.PutOption) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if n := len(organizations) + len(keys); n > store.MaxLoad {
		return fmt.Errorf("store/postgres: %w: %d records to load: want at most %d", store.ErrInvalid, n, store.MaxLoad)
	}
	l, err := newLoad(organizations, keys, options)
	if err != nil || len(l.changes) == 0 {
		return err
	}
	what := fmt.Sprintf("%d organizations and %d keys", len(organizations), len(keys))
	return s.retry(what, func() error {
		if err := s.checkLoad(ctx, l); err != nil {
			return err
		}
		b := s.newBatch(l.changes...)
		b.insertOrganizations(organizations)
		b.insertKeys(l.keys)
		_, err := s.commit(ctx, b)
		return err
	})
}

// A load is records that are to be there afterwards and were not before.
type load struct {
	keys    []apikey.Key // as they can be stored
	changes []change     // of the organizations, and then of the keys

	organizationIDs []string
	keyIDs          []string
	owners          map[string]bool // organizations that keys are of: whether they are among the records
}

// newLoad refuses what a Put would refuse, whatever is stored (L2), and what is there
// twice.
func newLoad(organizations []policy.Organization, keys []apikey.Key, options []store.PutOption) (*load, error) {
	l := &load{owners: map[string]bool{}}
	for _, o := range organizations {
		if err := adapter.CheckPutOrganization(nil, o); err != nil {
			return nil, err
		}
		if l.owners[o.ID] {
			return nil, exists("organization", o.ID)
		}
		l.owners[o.ID] = true
		l.organizationIDs = append(l.organizationIDs, o.ID)
		l.changes = append(l.changes, change{organization: o.ID})
	}
	seen := map[apikey.ID]bool{}
	for _, key := range keys {
		key = storable(key)
		if err := adapter.CheckPutKey(nil, key, options...); err != nil {
			return nil, err
		}
		if seen[key.ID] {
			return nil, exists("key", key.ID)
		}
		seen[key.ID] = true
		if !l.owners[key.Organization] {
			l.owners[key.Organization] = false // is asked for
		}
		l.keys = append(l.keys, key)
		l.keyIDs = append(l.keyIDs, string(key.ID))
		l.changes = append(l.changes, changeOf(key.Organization, key.ID, false))
	}
	return l, nil
}

// checkLoad refuses what is there already, and a key whose organization is not. That it
// is still so when the records are stored is seen then.
func (s *Store) checkLoad(ctx context.Context, l *load) error {
	var elsewhere []string
	for owner, among := range l.owners {
		if !among {
			elsewhere = append(elsewhere, owner)
		}
	}
	owners := map[string]bool{}
	if _, err := s.read(ctx, s.querier(), sink{there: func(r *row) error {
		if r.text.String != "owner" {
			return exists(r.text.String, r.id.String)
		}
		owners[r.id.String] = true
		return nil
	}}, s.sql.forLoad, notNil(l.keyIDs), notNil(l.organizationIDs), notNil(elsewhere)); err != nil {
		return err
	}
	for _, key := range l.keys {
		if !l.owners[key.Organization] && !owners[key.Organization] {
			return noOrganization(key)
		}
	}
	return nil
}

func exists[ID ~string](kind string, id ID) error {
	return fmt.Errorf("store/postgres: %s %q: %w", kind, id, store.ErrExists)
}
