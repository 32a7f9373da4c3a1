package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// maxStall is how long a watch may hold a snapshot without progress, because the server does
// not answer or the watcher does not take its changes. Meanwhile the server cannot clear
// away deleted rows.
const maxStall = time.Minute

// beginSnapshotSQL begins a transaction that reads one snapshot. maxStall bounds its time, not
// the server's timeouts. Compiling the statements (jit) would take longer than it saves.
//
// A table rewritten by ALTER TABLE looks empty to an older snapshot. So the tables are
// locked before the first SELECT takes the snapshot, and none is rewritten until the reading
// ends. At READ COMMITTED a single statement has its locks before its snapshot anyway; see
// migrations for the other levels.
const beginSnapshotSQL = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL jit = off;
LOCK TABLE sallyport.organizations, sallyport.keys, sallyport.changes, sallyport.state IN ACCESS SHARE MODE`

// A reading is one look at the store for a watch: by a single statement, or by several in a
// transaction with one snapshot.
type reading struct {
	ctx    context.Context // ends with the reading
	cancel context.CancelCauseFunc
	conn   *pgxpool.Conn // nil once it was given back
	tx     pgx.Tx        // nil without a snapshot

	maxStall time.Duration
	stall    *time.Timer // fires after maxStall without progress
	unguard  func() bool // lets the connection outlast the context
}

// beginReading takes a connection of the pool.
func (s *Store) beginReading(ctx context.Context) (*reading, error) {
	r := &reading{maxStall: s.maxStall}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	r.stall = time.AfterFunc(r.maxStall, func() { r.cancel(errStalled) })
	var err error
	if r.conn, err = s.pool.Acquire(r.ctx); err != nil {
		defer r.abandon()
		return nil, r.failed(failed(ctx, err))
	}
	return r, nil
}

// beginSnapshot begins the transaction of a reading.
func (r *reading) beginSnapshot(schema string) (err error) {
	// While the watcher has the control nobody reads from the connection, so only another
	// goroutine can close it.
	socket := r.conn.Conn().PgConn().Conn()
	r.unguard = context.AfterFunc(r.ctx, func() { _ = socket.Close() })
	r.tx, err = r.conn.BeginTx(r.ctx, pgx.TxOptions{BeginQuery: inSchema(schema, beginSnapshotSQL)})
	return failed(r.ctx, err)
}

// readAll reads every record.
func (w *watch) readAll(r *reading, revision uint64) error {
	seen := map[adapter.Name]bool{}
	add := func(rows *records, change store.Change) error {
		name := adapter.NameOf(change)
		switch {
		case change.Revision > revision:
			return fmt.Errorf("%w: it has come to revision %d, and a record of organization %.80q has revision %d", errUnfit, revision, change.Organization, change.Revision)
		case seen[name]:
			return twice(rows)
		}
		seen[name] = true
		return w.add(r, change)
	}
	if err := w.s.readRecords(r.ctx, r.tx, func(rows *records) error {
		return add(rows, organizationChange(rows.organization.asOrganization(), revision))
	}, allOrganizationsSQL); err != nil {
		return err
	}
	err := w.s.readRecords(r.ctx, r.tx, func(rows *records) error {
		k := rows.key.asKey()
		if k.Organization == "" {
			return k.err // a change could not name it
		}
		return add(rows, keyChange(k, revision))
	}, allKeysSQL)
	return err
}

// comesOn resets the timer, unless the reading has ended.
func (r *reading) comesOn() {
	if r.conn != nil {
		r.stall.Reset(r.maxStall)
	}
}

// failed returns errStalled if that is why reading failed, and otherwise err.
func (r *reading) failed(err error) error {
	if cause := context.Cause(r.ctx); errors.Is(cause, errStalled) {
		return cause
	}
	return err
}

// end gives the connection back to the pool. If the context has ended the connection is
// being closed; the pool sees that by its open transaction.
func (r *reading) end() {
	if r.tx != nil && r.unguard() {
		_ = r.tx.Rollback(r.ctx) // closes the connection if it fails
	}
	r.release()
}

// abandon closes the connection, with all its unread rows, unless it was given back.
func (r *reading) abandon() {
	r.cancel(nil)
	r.release()
}

func (r *reading) release() {
	r.stall.Stop()
	if r.conn != nil {
		r.conn.Release()
		r.conn = nil
	}
}
