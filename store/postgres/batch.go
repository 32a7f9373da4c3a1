package postgres

import (
	"cmp"
	"context"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// How many of the latest changes are kept for those who watch, and how many more there
// may be, so that the oldest are dropped seldom.
const (
	keptChanges  = 100_000
	spareChanges = 10_000
)

// channel is what is notified of writes, with the schema as the message.
const channel = "sallyport"

// What follows is written in the order in which a batch has it.
const (
	// Revisions are the time in microseconds, or one more than the last if the clock has
	// not moved on. So if a store is restored from a backup, or fails over to a server
	// that lagged, it does not give the revisions again that were lost, and one who
	// watches from such a revision can be told.
	countSQL = `UPDATE sallyport.state SET kept = kept + $1,
	revision = greatest(revision + $1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
	RETURNING revision, kept`

	// No default may have a commit return before it is on disk (S25). In a transaction of
	// the caller's this holds until its end, unless the write is refused.
	durableSQL = `SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'`

	versionSQL = `SELECT coalesce(max(version), 0) FROM sallyport.migrations`

	// $1 is how many records the transaction writes from the first of these on.
	insertOrganizationsSQL = `INSERT INTO sallyport.organizations (id, requirement, revision)
	SELECT id, requirement, (SELECT revision FROM sallyport.state) - $1 + n
	FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS u (id, requirement, n)
	ON CONFLICT DO NOTHING`

	replaceOrganizationSQL = `UPDATE sallyport.organizations SET requirement = $3, revision = (SELECT revision FROM sallyport.state)
	WHERE id = $1 AND revision = $2`

	insertKeysSQL = `INSERT INTO sallyport.keys (id, organization, description, disabled, not_before, expires, created, entries, grants, secrets, revision)
	SELECT id, organization, description, disabled, not_before, expires, created, entries, grants, secrets, (SELECT revision FROM sallyport.state) - $1 + n
	FROM unnest($2::text[], $3::text[], $4::text[], $5::boolean[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[], $9::integer[], $10::integer[], $11::integer[])
		WITH ORDINALITY AS u (id, organization, description, disabled, not_before, expires, created, entries, grants, secrets, n)
	ON CONFLICT DO NOTHING`

	replaceKeySQL = `UPDATE sallyport.keys SET description = $3, disabled = $4, not_before = $5, expires = $6, created = $7,
	entries = $8, grants = $9, secrets = $10, revision = (SELECT revision FROM sallyport.state)
	WHERE id = $1 AND revision = $2`

	deletePartsSQL = `WITH
	e AS (DELETE FROM sallyport.entries WHERE key = $1),
	g AS (DELETE FROM sallyport.grants WHERE key = $1)
	DELETE FROM sallyport.secrets WHERE key = $1`

	// What is being counted on just now is left to the next time, so that nobody waits.
	deleteUsageSQL = `WITH
	e AS (DELETE FROM sallyport.entry_usage WHERE key = $1 AND address = ANY (ARRAY(
		SELECT address FROM sallyport.entry_usage WHERE key = $1 AND address <> ALL ($2::cidr[]) FOR UPDATE SKIP LOCKED)))
	DELETE FROM sallyport.secret_usage WHERE key = $1 AND secret = ANY (ARRAY(
		SELECT secret FROM sallyport.secret_usage WHERE key = $1 AND secret <> ALL ($3::text[]) FOR UPDATE SKIP LOCKED))`

	insertEntriesSQL = `INSERT INTO sallyport.entries (key, address, comment, added, expires)
	SELECT * FROM unnest($1::text[], $2::cidr[], $3::text[], $4::timestamptz[], $5::timestamptz[])`

	insertGrantsSQL = `INSERT INTO sallyport.grants (key, position, role, project, all_projects)
	SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::boolean[])`

	insertSecretsSQL = `INSERT INTO sallyport.secrets (key, position, server_key, sum, created, expires)
	SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::bytea[], $5::timestamptz[], $6::timestamptz[])`

	// Revision zero is whatever it is.
	deleteOrganizationSQL = `DELETE FROM sallyport.organizations WHERE id = $1 AND $2::bigint IN (0, revision)`
	deleteKeySQL          = `DELETE FROM sallyport.keys WHERE id = $1 AND $2::bigint IN (0, revision) AND organization = $3`

	insertChangesSQL = `INSERT INTO sallyport.changes (revision, organization, key, deleted)
	SELECT (SELECT revision FROM sallyport.state) - $1 + n, organization, key, deleted
	FROM unnest($2::text[], $3::text[], $4::boolean[]) WITH ORDINALITY AS u (organization, key, deleted, n)`

	notifySQL = `SELECT pg_notify($1, $2)`

	// It counts anew, in case somebody has deleted changes by hand.
	forgetSQL = `WITH gone AS (
		DELETE FROM sallyport.changes WHERE revision <= (SELECT revision FROM sallyport.changes ORDER BY revision OFFSET $1 LIMIT 1) RETURNING revision)
	UPDATE sallyport.state SET forgotten = greatest(forgotten, (SELECT max(revision) FROM gone)),
		kept = (SELECT count(*) FROM sallyport.changes) - (SELECT count(*) FROM gone)`
)

// A batch is what a write tells the server in one round trip, between the beginning of
// its transaction and the end. It has the lock that all writes take from its first
// statement on.
type batch struct {
	pgx.Batch
	schema  string
	changes []change

	revision uint64 // of the last record, once it was sent
	kept     int64  // changes
}

// A change is what a batch tells of one record.
type change struct {
	organization string
	key          *string // nil: the organization itself
	deleted      bool
}

func changeOf(organization string, key apikey.ID, deleted bool) change {
	return change{organization: organization, key: (*string)(&key), deleted: deleted}
}

// newBatch returns a batch that writes these records, in this order, and tells of them.
func (s *Store) newBatch(changes ...change) *batch {
	b := &batch{schema: s.schema, changes: changes}
	b.queue(countSQL, len(changes)).QueryRow(func(row pgx.Row) error { return row.Scan(&b.revision, &b.kept) })
	b.beginWrite()
	return b
}

// beginWrite queues what every write needs.
func (b *batch) beginWrite() {
	b.queue(durableSQL)
	b.checkVersion()
}

func (b *batch) checkVersion() {
	b.queue(versionSQL).QueryRow(func(row pgx.Row) error {
		var found int
		err := row.Scan(&found)
		if err == nil {
			err = checkVersion(found)
		}
		return err
	})
}

func (b *batch) queue(sql string, args ...any) *pgx.QueuedQuery {
	return b.Queue(inSchema(b.schema, sql), args...)
}

// mustChange queues a statement that must change so many rows, or something was written
// since it was read.
func (b *batch) mustChange(rows int, sql string, args ...any) {
	b.queue(sql, args...).Exec(func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() != int64(rows) {
			return errChanged
		}
		return nil
	})
}

// insertOrganizations is for the first records of the batch.
func (b *batch) insertOrganizations(organizations []policy.Organization) {
	if len(organizations) == 0 {
		return
	}
	var ids, requirements []string
	for _, o := range organizations {
		ids, requirements = append(ids, o.ID), append(requirements, o.Requirement.String())
	}
	b.mustChange(len(organizations), insertOrganizationsSQL, len(b.changes), ids, requirements)
}

func (b *batch) replaceOrganization(o policy.Organization) {
	b.mustChange(1, replaceOrganizationSQL, o.ID, o.Revision, o.Requirement.String())
}

// insertKeys is for the last records of the batch.
func (b *batch) insertKeys(keys []apikey.Key) {
	if len(keys) == 0 {
		return
	}
	var (
		ids, organizations, descriptions []string
		disabled                         []bool
		notBefore, expires, created      []*time.Time
		entries, grants, secrets         []int
	)
	for _, k := range keys {
		ids, organizations, descriptions = append(ids, string(k.ID)), append(organizations, k.Organization), append(descriptions, k.Description)
		disabled = append(disabled, k.Disabled)
		notBefore, expires, created = append(notBefore, instantOrNull(k.NotBefore)), append(expires, instantOrNull(k.Expires)), append(created, instantOrNull(k.Created))
		entries, grants, secrets = append(entries, k.AccessList.Len()), append(grants, len(k.Grants)), append(secrets, len(k.Secrets))
	}
	b.mustChange(len(keys), insertKeysSQL, len(keys), ids, organizations, descriptions, disabled, notBefore, expires, created, entries, grants, secrets)
	b.insertParts(keys)
}

func (b *batch) replaceKey(k apikey.Key) {
	b.mustChange(1, replaceKeySQL, string(k.ID), k.Revision, k.Description, k.Disabled, instantOrNull(k.NotBefore), instantOrNull(k.Expires), instantOrNull(k.Created),
		k.AccessList.Len(), len(k.Grants), len(k.Secrets))
	b.queue(deletePartsSQL, string(k.ID))
	var addresses []netip.Prefix
	for entry := range k.AccessList.All() {
		addresses = append(addresses, entry.Prefix())
	}
	var secrets []string
	for _, secret := range k.Secrets {
		secrets = append(secrets, secret.ID())
	}
	b.queue(deleteUsageSQL, string(k.ID), notNil(addresses), notNil(secrets))
	b.insertParts([]apikey.Key{k})
}

// insertParts inserts what keys have in tables of their own.
func (b *batch) insertParts(keys []apikey.Key) {
	b.insertEntries(keys)
	b.insertGrants(keys)
	b.insertSecrets(keys)
}

func (b *batch) insertEntries(keys []apikey.Key) {
	var (
		ids, comments  []string
		addresses      []netip.Prefix
		added, expires []*time.Time
	)
	for _, k := range keys {
		for entry := range k.AccessList.All() {
			ids, addresses, comments = append(ids, string(k.ID)), append(addresses, entry.Prefix()), append(comments, entry.Comment)
			added, expires = append(added, instantOrNull(entry.Added)), append(expires, instantOrNull(entry.Expires))
		}
	}
	if len(ids) > 0 {
		b.mustChange(len(ids), insertEntriesSQL, ids, addresses, comments, added, expires)
	}
}

func (b *batch) insertGrants(keys []apikey.Key) {
	var (
		ids, roles  []string
		positions   []int
		projects    []*string
		allProjects []bool
	)
	for _, k := range keys {
		for i, grant := range k.Grants {
			ids, positions = append(ids, string(k.ID)), append(positions, i)
			roles, projects, allProjects = append(roles, grant.Role), append(projects, textOrNull(grant.Project)), append(allProjects, grant.AllProjects)
		}
	}
	if len(ids) > 0 {
		b.mustChange(len(ids), insertGrantsSQL, ids, positions, roles, projects, allProjects)
	}
}

func (b *batch) insertSecrets(keys []apikey.Key) {
	var (
		ids              []string
		positions        []int
		serverKeys       []*string
		sums             [][]byte
		created, expires []*time.Time
	)
	for _, k := range keys {
		for i, secret := range k.Secrets {
			ids, positions, serverKeys = append(ids, string(k.ID)), append(positions, i), append(serverKeys, textOrNull(secret.ServerKey))
			sums = append(sums, secret.Sum[:])
			created, expires = append(created, instantOrNull(secret.Created)), append(expires, instantOrNull(secret.Expires))
		}
	}
	b.mustChange(len(ids), insertSecretsSQL, ids, positions, serverKeys, sums, created, expires)
}

func (b *batch) deleteOrganization(id string, revision uint64) {
	b.mustChange(1, deleteOrganizationSQL, id, revision)
}

func (b *batch) deleteKey(id apikey.ID, revision uint64, organization string) {
	b.mustChange(1, deleteKeySQL, string(id), revision, organization)
}

// tell queues what comes last: the changes, and a hint to those who listen.
func (b *batch) tell() {
	var (
		organizations []string
		keys          []*string
		deleted       []bool
	)
	for _, c := range b.changes {
		organizations, keys, deleted = append(organizations, c.organization), append(keys, c.key), append(deleted, c.deleted)
	}
	b.queue(insertChangesSQL, len(b.changes), organizations, keys, deleted)
	b.queue(notifySQL, channel, b.schema)
}

// commit does what a batch says in a transaction, and returns the revision that it gave
// to the last record: errChanged if what was read before is no longer so.
func (s *Store) commit(ctx context.Context, b *batch) (uint64, error) {
	b.tell()
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		if err := tx.SendBatch(ctx, &b.Batch).Close(); err != nil {
			return err
		}
		if b.kept >= keptChanges+spareChanges {
			_, err := tx.Exec(ctx, inSchema(s.schema, forgetSQL), spareChanges-1)
			return err
		}
		return nil
	})
	return b.revision, err
}

// inTx does something in a transaction to write in. With an error nothing of it may be
// left in a transaction of the caller's, who may commit it all the same.
func (s *Store) inTx(ctx context.Context, do func(pgx.Tx) error) error {
	tx, err := s.begin(ctx)
	if err != nil {
		return failed(ctx, err)
	}
	err = cmp.Or(do(tx), ctx.Err())
	lasting, cancel := outlasting(ctx) // with a context that is done nothing would be sent
	defer cancel()
	if err != nil {
		if tx.Rollback(lasting) != nil && s.tx != nil {
			_ = tx.Conn().Close(lasting) // as pgx does itself if it is not a savepoint
		}
		return failed(ctx, err)
	}
	return failed(ctx, tx.Commit(lasting))
}

// commitGrace is how long a commit, or a rollback, is waited for when its context has
// ended. What was sent cannot be called back, and may happen after a read that did not see
// it. Where the server is sound this tells what became of it; else the caller is not held
// up for long.
const commitGrace = time.Second

// outlasting returns a context that outlives another by commitGrace.
func outlasting(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-longer.Done():
		case <-time.After(commitGrace):
			cancel()
		}
	})
	return longer, func() {
		stop()
		cancel()
	}
}

func instantOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func textOrNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// notNil is for parameters: a nil slice is NULL to the server, with which nothing
// compares.
func notNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
