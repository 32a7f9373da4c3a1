package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Load implements [store.Loader]. It is one transaction, in which each table gets its rows
// by one statement.
func (s *Store) Load(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, options ...store.PutOption) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := adapter.CheckLoad(organizations, keys, options...); err != nil {
		return err
	}
	l := newLoad(organizations, keys)
	if len(l.changes) == 0 {
		return nil
	}
	what := fmt.Sprintf("%d organizations and %d keys", len(organizations), len(keys))
	return s.retry(ctx, what, func() error {
		if err := s.checkLoad(ctx, l); err != nil {
			return err
		}
		b := s.newBatch(l.changes...)
		b.insertOrganizations(organizations)
		b.insertKeys(keys)
		_, err := s.commit(ctx, b)
		return err
	})
}

// A load is new records.
type load struct {
	keys    []apikey.Key
	changes []change // of the organizations, then of the keys

	organizationIDs []string
	keyIDs          []string
	owners          map[string]bool // the keys' organizations: whether they are among the records
}

func newLoad(organizations []policy.Organization, keys []apikey.Key) *load {
	l := &load{keys: keys, owners: map[string]bool{}}
	for _, o := range organizations {
		l.owners[o.ID] = true
		l.organizationIDs = append(l.organizationIDs, o.ID)
		l.changes = append(l.changes, change{organization: o.ID})
	}
	for _, key := range keys {
		if !l.owners[key.Organization] {
			l.owners[key.Organization] = false // to be looked up
		}
		l.keyIDs = append(l.keyIDs, string(key.ID))
		l.changes = append(l.changes, changeOf(key.Organization, key.ID, false))
	}
	return l
}

// forLoadSQL finds what stands in the way of a load. $1 are its keys, $2 its
// organizations, and $3 other organizations its keys belong to.
const forLoadSQL = selectState + `,
	(SELECT id FROM sallyport.keys WHERE id = ANY ($1) ORDER BY id LIMIT 1),
	(SELECT id FROM sallyport.organizations WHERE id = ANY ($2) ORDER BY id LIMIT 1),
	ARRAY(SELECT id FROM sallyport.organizations WHERE id = ANY ($3))` + fromState

// checkLoad refuses existing records, and a key without its organization. The write
// itself sees whether that has changed since.
func (s *Store) checkLoad(ctx context.Context, l *load) error {
	var elsewhere []string
	for owner, among := range l.owners {
		if !among {
			elsewhere = append(elsewhere, owner)
		}
	}
	var key, organization pgtype.Text
	var owners []string
	if err := s.read(ctx, s.querier(), []any{&key, &organization, &owners}, func() error {
		switch {
		case key.Valid:
			return adapter.Exists(adapter.KeyName(apikey.ID(key.String)))
		case organization.Valid:
			return adapter.Exists(adapter.OrganizationName(organization.String))
		}
		return nil
	}, forLoadSQL, notNil(l.keyIDs), notNil(l.organizationIDs), notNil(elsewhere)); err != nil {
		return err
	}
	stored := map[string]bool{}
	for _, owner := range owners {
		stored[owner] = true
	}
	for _, key := range l.keys {
		if !l.owners[key.Organization] && !stored[key.Organization] {
			return adapter.NoOrganization(key)
		}
	}
	return nil
}
