package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Every statement joins the records it reads to the state of the store. So a call is one
// round trip and returns one snapshot (S8), and it fails on tables that this
// version cannot read and on a standby. Without records there is still one row, with NULL in their columns.
const (
	selectState = `SELECT state.version, state.readable_from, state.writable_from, state.standby, state.forgotten`
	fromState   = `
	FROM (SELECT v.*, pg_is_in_recovery() AS standby, (SELECT forgotten FROM sallyport.state) AS forgotten
		FROM (` + versionsSQL + `) AS v) AS state`

	selectRecords = selectState + `, k.id, k.organization, k.revision, k.entries, k.document, o.id, o.revision, o.document` + fromState
	selectKeys    = selectState + `, k.id, k.organization, k.revision, k.entries, k.document, NULL, NULL::bigint, NULL::json` + fromState
	selectOwners  = selectState + `, NULL, NULL, NULL::bigint, NULL::cidr[], NULL::json, o.id, o.revision, o.document` + fromState

	lookupSQL = selectRecords + `
	LEFT JOIN sallyport.keys k ON k.id = $1
	LEFT JOIN sallyport.organizations o ON o.id = k.organization`

	// $1 is the key, $2 its organization.
	forPutSQL = selectRecords + `
	LEFT JOIN sallyport.keys k ON k.id = $1
	LEFT JOIN sallyport.organizations o ON o.id = $2`

	keySQL       = selectKeys + ` LEFT JOIN sallyport.keys k ON k.id = $1`
	theseKeysSQL = selectKeys + ` LEFT JOIN sallyport.keys k ON k.id = ANY ($1)`
	allKeysSQL   = selectKeys + ` LEFT JOIN sallyport.keys k ON true`

	// $1 is the organization, $2 the key before the page, $3 the number of keys.
	keysSQL = selectKeys + ` LEFT JOIN (SELECT * FROM sallyport.keys WHERE organization = $1 AND id > $2 ORDER BY id LIMIT $3) k ON true ORDER BY k.id`

	organizationSQL       = selectOwners + ` LEFT JOIN sallyport.organizations o ON o.id = $1`
	theseOrganizationsSQL = selectOwners + ` LEFT JOIN sallyport.organizations o ON o.id = ANY ($1)`
	allOrganizationsSQL   = selectOwners + ` LEFT JOIN sallyport.organizations o ON true`

	// $1 is the organization before the page, $2 the number of organizations.
	organizationsSQL = selectOwners + ` LEFT JOIN (SELECT * FROM sallyport.organizations WHERE id > $1 ORDER BY id LIMIT $2) o ON true ORDER BY o.id`
)

// A records is a row of a statement that reads records: a key, an organization, or both.
type records struct {
	key, organization row
}

// readRecords calls each for every row with a record. An error of each ends the reading.
func (s *Store) readRecords(ctx context.Context, q querier, each func(*records) error, sql string, args ...any) error {
	var r records
	k, o := &r.key, &r.organization
	return s.read(ctx, q, []any{&k.id, &k.organization, &k.revision, &k.entries, &k.document, &o.id, &o.revision, &o.document}, func() error {
		if !k.id.Valid && !o.id.Valid {
			return nil
		}
		return each(&r)
	}, sql, args...)
}

// read reads the rows of a statement into the variables, and calls each after every row.
//
// Outside of a transaction it waits for a connection as long as the caller waits, and then
// reads to the end: see lasting.
func (s *Store) read(ctx context.Context, q querier, into []any, each func() error, sql string, args ...any) error {
	querying := ctx
	if pool, ok := q.(*pgxpool.Pool); ok {
		conn, err := pool.Acquire(policy.CallerContext(ctx))
		if err != nil {
			return failed(ctx, err)
		}
		defer conn.Release()
		var cancel context.CancelFunc
		querying, cancel = s.lasting(ctx)
		defer cancel()
		q = conn
	}
	rows, _ := q.Query(querying, inSchema(s.schema, sql), args...) // rows.Err returns its error too
	defer rows.Close()
	var now state
	into = append(append(now.versions.columns(), &now.standby, &now.forgotten), into...)
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return failed(ctx, err)
		}
		if err := now.check(); err != nil {
			return err
		}
		if err := each(); err != nil {
			return err
		}
	}
	return failed(ctx, rows.Err())
}

// readGrace is how long a read goes on after its caller hung up. A read takes milliseconds: only
// a silent server is given up, and its connection closed.
const readGrace = time.Second

// lasting returns a context for a query. It outlasts a cancellation by readGrace, since pgx
// closes the connection of a cancelled query: callers who hang up would exhaust the pool. A
// deadline stays.
func (s *Store) lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	longer := context.WithoutCancel(ctx)
	release := func() {}
	if deadline, ok := ctx.Deadline(); ok {
		longer, release = context.WithDeadline(longer, deadline)
	}
	longer, cancel := context.WithCancel(longer)
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-longer.Done():
		case <-time.After(s.readGrace):
			cancel()
		}
	})
	return longer, func() {
		stop()
		cancel()
		release()
	}
}

// A state is what every row begins with.
type state struct {
	versions  versions
	standby   pgtype.Bool
	forgotten pgtype.Int8
}

// check returns why the database cannot be used, nil if it can.
func (s *state) check() error {
	if err := s.versions.checkRead(version); err != nil {
		return err
	}
	switch {
	case s.standby.Bool:
		return fmt.Errorf("%w: the server is a standby, which may lag behind: connect to the primary (target_session_attrs=primary)", errUnfit)
	case !s.forgotten.Valid:
		return errNoState
	}
	return nil
}

// Text that cannot be an identifier is not asked for: no record has it, and the server
// would refuse some of it (S5).
func isKey(id apikey.ID) bool       { return id.Validate() == nil }
func isOrganization(id string) bool { return apikey.ValidateName("organization", id) == nil }

// Lookup implements [policy.Source]. It is one statement (S8).
func (s *Store) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return policy.Subject{}, false, err
	}
	defer leave()
	if !isKey(id) {
		return policy.Subject{}, false, nil
	}
	key, organization, err := s.readPair(ctx, lookupSQL, string(id))
	if err != nil || key == nil {
		return policy.Subject{}, false, err
	}
	if organization == nil {
		return policy.Subject{}, false, adapter.Unreadable(adapter.KeyName(id), fmt.Errorf("its organization %.80q is not there", key.Organization))
	}
	return policy.NewSubject(key, organization), true, nil
}

// readPair reads a key and an organization. An absent one is nil.
func (s *Store) readPair(ctx context.Context, sql string, args ...any) (key *apikey.Key, organization *policy.Organization, err error) {
	n := 0
	err = s.readRecords(ctx, s.querier(), func(r *records) error {
		if n++; n > 1 {
			return twice(r)
		}
		if r.key.id.Valid {
			k := r.key.asKey()
			if key = &k.Key; k.err != nil {
				return k.err
			}
		}
		if r.organization.id.Valid {
			o := r.organization.asOrganization()
			if organization = &o.Organization; o.err != nil {
				return o.err
			}
		}
		return nil
	}, sql, args...)
	return key, organization, err
}

// Organization implements [store.Store].
func (s *Store) Organization(ctx context.Context, id string) (policy.Organization, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return policy.Organization{}, err
	}
	defer leave()
	if isOrganization(id) {
		_, organization, err := s.readPair(ctx, organizationSQL, id)
		if err != nil {
			return policy.Organization{}, err
		}
		if organization != nil {
			return *organization, nil
		}
	}
	return policy.Organization{}, adapter.NotFound(adapter.OrganizationName(id))
}

// Key implements [store.Store].
func (s *Store) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return apikey.Key{}, err
	}
	defer leave()
	if isKey(id) {
		key, _, err := s.readPair(ctx, keySQL, string(id))
		if err != nil {
			return apikey.Key{}, err
		}
		if key != nil {
			return *key, nil
		}
	}
	return apikey.Key{}, adapter.NotFound(adapter.KeyName(id))
}

// Organizations implements [store.Store].
func (s *Store) Organizations(ctx context.Context, request store.PageRequest) (store.Page[policy.Organization], error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return store.Page[policy.Organization]{}, err
	}
	defer leave()
	after, err := adapter.After(request)
	if err != nil {
		return store.Page[policy.Organization]{}, err
	}
	return readPage(ctx, s, request, func(r *records) (string, policy.Organization, error) {
		o := r.organization.asOrganization()
		return o.ID, o.Organization, o.err
	}, organizationsSQL, after, request.Size()+1)
}

// Keys implements [store.Store]. With a filter it reads the organization's keys until the page
// is full.
func (s *Store) Keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
	return adapter.FilterKeys(request, func(request store.PageRequest) (store.Page[apikey.Key], error) {
		return s.keys(ctx, organization, request)
	})
}

func (s *Store) keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return store.Page[apikey.Key]{}, err
	}
	defer leave()
	after, err := adapter.After(request)
	if err != nil || !isOrganization(organization) {
		return store.Page[apikey.Key]{}, err
	}
	return readPage(ctx, s, request, func(r *records) (string, apikey.Key, error) {
		k := r.key.asKey()
		return string(k.ID), k.Key, k.err
	}, keysSQL, organization, after, request.Size()+1)
}

// readPage reads a page by a statement that returns one record more than the page has, if
// there are more.
func readPage[T any](ctx context.Context, s *Store, request store.PageRequest, decode func(*records) (id string, record T, err error), sql string, args ...any) (store.Page[T], error) {
	var page store.Page[T]
	size, last := request.Size(), ""
	err := s.readRecords(ctx, s.querier(), func(r *records) error {
		id, record, err := decode(r)
		switch {
		case err != nil:
			return err
		case id == last:
			return twice(r)
		case len(page.Items) == size:
			page.Next = adapter.CursorAfter(last)
			return nil
		}
		page.Items, last = append(page.Items, record), id
		return nil
	}, sql, args...)
	if err != nil {
		return store.Page[T]{}, err
	}
	return page, nil
}
