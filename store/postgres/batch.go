package postgres

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

const (
	keptChanges  = 100_000 // latest changes kept for watchers, at least
	spareChanges = 10_000  // more of them before the oldest are dropped
)

// The statements of a batch, in its order.
const (
	// No default may let a commit return before it is on disk, and on that of a synchronous
	// standby (S25). In a caller's transaction this holds until its end, unless the write is
	// refused. The remaining value, remote_apply, waits for more.
	durableSQL = `SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')`

	// $1 is the number of records the transaction writes, from the first of these on. A
	// document comes without its revision; see withoutRevision.
	insertOrganizationsSQL = `INSERT INTO sallyport.organizations (id, revision, document)
	SELECT id, given, (document || given || '}')::json
	FROM (SELECT *, ` + givenSQL + ` FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS u (id, document, n)) AS u
	ON CONFLICT DO NOTHING`

	replaceOrganizationSQL = `UPDATE sallyport.organizations SET revision = given, document = ($3::text || given || '}')::json
	FROM ` + lastGivenSQL + ` WHERE id = $1 AND revision = $2`

	insertKeysSQL = `INSERT INTO sallyport.keys (id, organization, revision, entries, document)
	SELECT id, organization, given, entries::cidr[], (document || given || '}')::json
	FROM (SELECT *, ` + givenSQL + ` FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) WITH ORDINALITY AS u (id, organization, entries, document, n)) AS u
	ON CONFLICT DO NOTHING`

	replaceKeySQL = `UPDATE sallyport.keys SET revision = given, entries = $3::text::cidr[], document = ($4::text || given || '}')::json
	FROM ` + lastGivenSQL + ` WHERE id = $1 AND revision = $2`

	// givenSQL is the revision of the n-th record, and lastGivenSQL that of the last.
	givenSQL     = `(SELECT max(revision) FROM sallyport.changes) - $1 + n AS given`
	lastGivenSQL = `(SELECT max(revision) AS given FROM sallyport.changes) AS last`

	// Revision zero matches any.
	deleteOrganizationSQL = `DELETE FROM sallyport.organizations WHERE id = $1 AND $2::bigint IN (0, revision)`
	deleteKeySQL          = `DELETE FROM sallyport.keys WHERE id = $1 AND $2::bigint IN (0, revision) AND organization = $3`

	// It comes before the records, whose revisions it gives.
	insertChangesSQL = `WITH added AS (INSERT INTO sallyport.changes (revision, organization, key, deleted)
		SELECT greatest(base, ` + latestSQL + `) + n, nullif(organization, ''), key, CASE WHEN organization <> '' THEN deleted END
		FROM sallyport.state AS s, unnest($1::text[], $2::text[], $3::boolean[]) WITH ORDINALITY AS u (organization, key, deleted, n)
		RETURNING revision)
	SELECT max(revision) FROM added`

	// It keeps $1 changes, and the histories from which changes or events may be read on.
	forgetSQL = `WITH oldest AS (SELECT revision FROM sallyport.changes ORDER BY revision DESC OFFSET $1 LIMIT 1),
	gone AS (DELETE FROM sallyport.changes USING oldest WHERE changes.revision <= oldest.revision),
	past AS (DELETE FROM sallyport.histories USING oldest, sallyport.state AS s WHERE until < least(oldest.revision, s.events_forgotten))
	UPDATE sallyport.state SET forgotten = oldest.revision, place = '' FROM oldest`
)

// A batch is the statements of a write, sent in one round trip between the beginning of its
// transaction and the end. The first takes the lock of all writes.
type batch struct {
	pgx.Batch
	schema  string
	changes []change
	err     error // the first record that cannot be encoded

	revision uint64 // of the last record, once sent
	swept    int64  // revision of the last row of forgotten events that was deleted
	unswept  bool   // there may be more such rows
}

// A change is the entry of one record in the change log. The zero change is that of no record.
type change struct {
	organization string
	key          *string // nil: the organization itself
	deleted      bool
}

func changeOf(organization string, key apikey.ID, deleted bool) change {
	return change{organization: organization, key: (*string)(&key), deleted: deleted}
}

// newBatch returns a batch for writing these records, in this order.
func (s *Store) newBatch(changes ...change) *batch {
	b := &batch{schema: s.schema, changes: changes}
	b.queue(lockSQL).QueryRow(func(row pgx.Row) error {
		var here bool
		err := row.Scan(&here)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return errNoState
		case err == nil && !here:
			return errElsewhere
		}
		return err
	})
	b.beginWrite()
	b.give()
	return b
}

// beginWrite queues the statements every write needs, after the lock.
func (b *batch) beginWrite() {
	b.queue(durableSQL)
	b.checkVersion()
}

// checkVersion fails on tables that this version cannot write. It comes after the locks of a
// write: Migrate waits for them, or they for Migrate.
func (b *batch) checkVersion() {
	b.queue(versionsSQL).QueryRow(func(row pgx.Row) error {
		var found versions
		err := row.Scan(found.columns()...)
		if err == nil {
			err = found.checkWrite(version)
		}
		return err
	})
}

func (b *batch) queue(sql string, args ...any) *pgx.QueuedQuery {
	return b.Queue(inSchema(b.schema, sql), args...)
}

// mustChange queues a statement that must change n rows; otherwise another write came
// between.
func (b *batch) mustChange(n int, sql string, args ...any) {
	b.queue(sql, args...).Exec(func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() != int64(n) {
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
	var ids, documents []string
	for _, o := range organizations {
		ids, documents = append(ids, o.ID), append(documents, b.document(encodeOrganization(o)))
	}
	b.mustChange(len(organizations), insertOrganizationsSQL, len(b.changes), ids, documents)
}

func (b *batch) replaceOrganization(o policy.Organization) {
	b.mustChange(1, replaceOrganizationSQL, o.ID, o.Revision, b.document(encodeOrganization(o)))
}

// insertKeys is for the last records of the batch.
func (b *batch) insertKeys(keys []apikey.Key) {
	if len(keys) == 0 {
		return
	}
	var ids, organizations, entries, documents []string
	for _, k := range keys {
		ids, organizations = append(ids, string(k.ID)), append(organizations, k.Organization)
		entries, documents = append(entries, prefixesOf(k.AccessList)), append(documents, b.document(encodeKey(k)))
	}
	b.mustChange(len(keys), insertKeysSQL, len(keys), ids, organizations, entries, documents)
}

func (b *batch) replaceKey(k apikey.Key) {
	b.mustChange(1, replaceKeySQL, string(k.ID), k.Revision, prefixesOf(k.AccessList), b.document(encodeKey(k)))
}

// document returns an encoded record. An error is kept for commit.
func (b *batch) document(encoded string, err error) string {
	b.err = cmp.Or(b.err, err)
	return encoded
}

func (b *batch) deleteOrganization(id string, revision uint64) {
	b.mustChange(1, deleteOrganizationSQL, id, revision)
}

func (b *batch) deleteKey(id apikey.ID, revision uint64, organization string) {
	b.mustChange(1, deleteKeySQL, string(id), revision, organization)
}

// give queues the changes, with which the records get their revisions.
func (b *batch) give() {
	var (
		organizations []string
		keys          []*string
		deleted       []bool
	)
	for _, c := range b.changes {
		organizations, keys, deleted = append(organizations, c.organization), append(keys, c.key), append(deleted, c.deleted)
	}
	b.queue(insertChangesSQL, organizations, keys, deleted).QueryRow(func(row pgx.Row) error { return row.Scan(&b.revision) })
}

// isFull reports whether changes are to be dropped: after every spareChanges revisions.
func (b *batch) isFull() bool {
	return b.revision/spareChanges != (b.revision-uint64(len(b.changes)))/spareChanges
}

// commit sends a batch in a transaction, and returns the revision of its last record. The
// error is errChanged if a record has changed since it was read.
func (s *Store) commit(ctx context.Context, b *batch) (uint64, error) {
	if b.err != nil {
		return 0, b.err
	}
	// A caller's transaction ends when the caller wants it, if at all.
	notifies := s.tx != nil || s.notifier.claim(ctx)
	if notifies {
		b.queue(notifySQL, channel, b.schema)
	}
	may, err := s.runTx(ctx, func(tx pgx.Tx) error {
		if err := tx.SendBatch(ctx, &b.Batch).Close(); err != nil {
			return err
		}
		if !b.isFull() {
			return nil
		}
		_, err := tx.Exec(ctx, inSchema(s.schema, forgetSQL), keptChanges)
		if err == nil {
			_, err = tx.Exec(ctx, inSchema(s.schema, placeSQL))
		}
		return err
	})
	switch {
	case s.tx != nil || err != nil && !may: // to notify of a revision given again would settle what others owe
	case notifies && err == nil:
		s.notifier.notified(b.revision)
	default:
		s.notifier.owe(b.revision)
	}
	return b.revision, err
}

// inTx is runTx where it does not matter whether a failed transaction was committed.
func (s *Store) inTx(ctx context.Context, do func(pgx.Tx) error) error {
	_, err := s.runTx(ctx, do)
	return err
}

// runTx calls do in a transaction for writing. may reports whether it may have been committed
// in spite of an error. After an error nothing of it may be left in a caller's transaction,
// which may be committed all the same.
func (s *Store) runTx(ctx context.Context, do func(pgx.Tx) error) (may bool, err error) {
	tx, release, err := s.begin(ctx)
	if err != nil {
		return false, failed(ctx, err)
	}
	defer release()
	err = cmp.Or(do(tx), ctx.Err())
	lasting, cancel := outlasting(ctx) // with a done context nothing would be sent
	defer cancel()
	if err != nil {
		if tx.Rollback(lasting) != nil && s.tx != nil {
			_ = tx.Conn().Close(lasting) // pgx closes it itself, but not for a savepoint
		}
		return false, failed(ctx, err)
	}
	if s.tx != nil {
		err := failed(ctx, tx.Commit(lasting)) // the savepoint
		if err != nil {
			err = unsure{err}
		}
		return true, err
	}
	err = commit(lasting, tx.Conn(), "COMMIT")
	// A server that refuses goes on. Otherwise its answer was lost, or is a warning.
	may = tx.Conn().IsClosed() || errors.Is(err, errUnconfirmed)
	if err = failed(ctx, err); err != nil && may {
		err = unsure{err}
	}
	return may, err
}

// An unsure error is that of a transaction that may have been committed.
type unsure struct{ error }

func (e unsure) Unwrap() error { return e.error }

// commitGrace is how long to wait for a commit, or a rollback, after its context has ended.
// A sent commit cannot be called back, and may happen after a read that did not see it. A
// sound server answers within this time; with another one the caller is not held up long.
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

// notNil is for parameters: a nil slice is NULL to the server, and nothing compares with
// NULL.
func notNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
