package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// One statement reads a snapshot (S8). The row of one record begins with the oldest version
// that may read it, and whether the record exists; see checkReadable for the others.
const (
	selectSubject = `SELECT p.readable_from, k.id IS NOT NULL, k.organization, k.revision, k.record, o.id, o.revision, o.record
		FROM progress p LEFT JOIN keys k ON k.id = ? LEFT JOIN organizations o ON o.id = k.organization`
	selectOneKey          = `SELECT p.readable_from, k.id IS NOT NULL, k.organization, k.revision, k.record FROM progress p LEFT JOIN keys k ON k.id = ?`
	selectOneOrganization = `SELECT p.readable_from, o.id IS NOT NULL, o.revision, o.record FROM progress p LEFT JOIN organizations o ON o.id = ?`
	selectReadable        = `SELECT readable_from FROM progress`

	selectKeys          = `SELECT id, organization, revision, record FROM keys WHERE organization = ?1 AND id > ?2 ORDER BY id LIMIT ?3`
	selectOrganizations = `SELECT id, NULL, revision, record FROM organizations WHERE id > ?2 ORDER BY id LIMIT ?3`
	selectProgress      = `SELECT readable_from, writable_from, history, revision, forgotten FROM progress`
)

var readQueries = append([]string{
	selectSubject, selectOneKey, selectOneOrganization, selectReadable, selectKeys, selectOrganizations, selectProgress, selectUsage, selectObservation,
	selectEnd, selectEventsForgotten,
}, eventQueries...)

// Lookup implements [policy.Source]. It reads the key and its organization in one
// statement.
func (s *Store) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	k, o := row{id: string(id)}, row{}
	found, err := s.one(ctx, "look a key up", selectSubject, string(id), &k.organization, &k.revision, &k.record, &o.id, &o.revision, &o.record)
	if err != nil || !found {
		return policy.Subject{}, false, err
	}
	key, err := k.key()
	if err != nil {
		return policy.Subject{}, false, err
	}
	if o.id == nil {
		return policy.Subject{}, false, adapter.Unreadable(adapter.KeyName(id), fmt.Errorf("its organization %.80q is absent", key.Organization))
	}
	organization, err := o.asOrganization()
	if err != nil {
		return policy.Subject{}, false, err
	}
	return policy.NewSubject(&key, &organization), true, nil
}

// Key implements [store.Store].
func (s *Store) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	r := row{id: string(id)}
	found, err := s.one(ctx, "read a key", selectOneKey, string(id), &r.organization, &r.revision, &r.record)
	switch {
	case err != nil:
		return apikey.Key{}, err
	case !found:
		return apikey.Key{}, adapter.NotFound(adapter.KeyName(id))
	}
	return r.key()
}

// Organization implements [store.Store].
func (s *Store) Organization(ctx context.Context, id string) (policy.Organization, error) {
	r := row{id: id}
	found, err := s.one(ctx, "read an organization", selectOneOrganization, id, &r.revision, &r.record)
	switch {
	case err != nil:
		return policy.Organization{}, err
	case !found:
		return policy.Organization{}, adapter.NotFound(adapter.OrganizationName(id))
	}
	return r.asOrganization()
}

// one reads the record with an identifier; found is false if there is none.
func (s *Store) one(ctx context.Context, doing, query, id string, into ...any) (found bool, err error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	if len(id) > maxIdentifier {
		return false, nil
	}
	var from any
	into = append([]any{&from, &found}, into...)
	err = s.whileLocked(ctx, func() error { return s.read.prepared[query].QueryRowContext(ctx, id).Scan(into...) })
	if err == nil {
		err = checkVersion("read", from, len(migrations))
	}
	if err != nil {
		return false, failure(ctx, doing, err)
	}
	return found, nil
}

// Keys implements [store.Store]. With a filter it reads the organization's keys until the page
// is full.
func (s *Store) Keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
	return adapter.FilterKeys(request, func(request store.PageRequest) (store.Page[apikey.Key], error) {
		return page(ctx, s, selectKeys, organization, request, row.key, func(key apikey.Key) string { return string(key.ID) })
	})
}

// Organizations implements [store.Store].
func (s *Store) Organizations(ctx context.Context, request store.PageRequest) (store.Page[policy.Organization], error) {
	return page(ctx, s, selectOrganizations, "", request, row.asOrganization, func(o policy.Organization) string { return o.ID })
}

// page reads a page, and one record more to know whether it is the last (S20).
func page[T any](ctx context.Context, s *Store, query, organization string, request store.PageRequest, decode func(row) (T, error), id func(T) string) (p store.Page[T], err error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return p, err
	}
	defer leave()
	after, err := adapter.After(request)
	if err != nil || len(organization) > maxIdentifier {
		return p, err
	}
	rows, err := s.rows(ctx, query, organization, after, request.Size()+1)
	if err != nil {
		return p, failure(ctx, "read a page", err)
	}
	defer rows.Close()
	var items []T
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.id, &r.organization, &r.revision, &r.record); err != nil {
			return p, failure(ctx, "read a page", err)
		}
		item, err := decode(r)
		if err != nil {
			return p, err
		}
		items = append(items, item)
	}
	if err := cmp.Or(rows.Err(), s.checkReadable(ctx)); err != nil {
		return p, failure(ctx, "read a page", err)
	}
	return adapter.NewPage(request, items, id), nil
}

// rows begins to read the rows of a query.
func (s *Store) rows(ctx context.Context, query string, args ...any) (rows *sql.Rows, err error) {
	err = s.whileLocked(ctx, func() error {
		rows, err = s.read.prepared[query].QueryContext(ctx, args...)
		return err
	})
	return rows, err
}
