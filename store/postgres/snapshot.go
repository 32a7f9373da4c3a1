package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// maxStall is how long a watch may hold a snapshot of the database without coming on,
// because the server does not answer or the watcher does not take what it is told. While
// it holds one, the server cannot clear away what was deleted since.
const maxStall = time.Minute

var errStalled = fmt.Errorf("store/postgres: a watch did not come on for %v, because the server or the watcher was too slow: watch again", maxStall)

// beginSnapshot begins a transaction that reads as of one moment. How long it may take is
// for maxStall to say. Compiling the statements (jit) would take longer than it saves.
//
// To a snapshot that is older, a table that ALTER TABLE has rewritten looks empty. So the
// tables are locked before the first SELECT takes the snapshot: none is rewritten then
// until the reading ends. A single statement has its locks before its snapshot anyway, at
// READ COMMITTED; see migrations for the other levels.
const beginSnapshot = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL jit = off;
LOCK TABLE sallyport.organizations, sallyport.keys, sallyport.entries, sallyport.grants, sallyport.secrets,
	sallyport.changes, sallyport.state IN ACCESS SHARE MODE`

// A reading is a snapshot of the database that is read for a watch.
type reading struct {
	ctx    context.Context // ends with the reading
	cancel context.CancelCauseFunc
	conn   *pgxpool.Conn
	tx     pgx.Tx

	maxStall time.Duration
	stall    *time.Timer // fires when nothing came on
	unguard  func() bool // has the connection outlast the context
}

func (s *Store) beginReading(ctx context.Context) (*reading, error) {
	r := &reading{maxStall: s.maxStall}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	r.stall = time.AfterFunc(r.maxStall, func() { r.cancel(errStalled) })
	var err error
	if r.conn, err = s.pool.Acquire(r.ctx); err != nil {
		defer r.abandon()
		return nil, r.failed(failed(ctx, err))
	}
	// While the watcher is told something nobody reads from the connection, so it is
	// closed from outside.
	socket := r.conn.Conn().PgConn().Conn()
	r.unguard = context.AfterFunc(r.ctx, func() { _ = socket.Close() })
	if r.tx, err = r.conn.BeginTx(r.ctx, pgx.TxOptions{BeginQuery: inSchema(s.schema, beginSnapshot)}); err != nil {
		defer r.abandon()
		return nil, r.failed(failed(ctx, err))
	}
	return r, nil
}

// comesOn gives the reading time again, unless it has ended.
func (r *reading) comesOn() {
	if r.conn != nil {
		r.stall.Reset(r.maxStall)
	}
}

// failed returns why reading failed.
func (r *reading) failed(err error) error {
	if cause := context.Cause(r.ctx); errors.Is(cause, errStalled) {
		return cause
	}
	return err
}

// end gives the connection back to the pool. If the context has ended meanwhile the
// connection is being closed, which the pool sees by its transaction.
func (r *reading) end() {
	if r.unguard() {
		_ = r.tx.Rollback(r.ctx) // which closes the connection if it fails
	}
	r.release()
}

// abandon closes the connection, on which there may be much that was not read, unless it
// was given back.
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
