package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sallyport-go/sallyport/store"
)

// A Store is a store.Store in PostgreSQL; it is also a store.Watcher, a
// store.UsageRecorder and a store.Loader. Make one with [New]. It may be used by several
// goroutines at once (S1).
type Store struct {
	pool   *pgxpool.Pool
	schema string
	sql    statements

	tx    pgx.Tx        // the caller's, nil in a store of its own
	turn  chan struct{} // holds a token while the caller's transaction is in use
	outer *Store        // which returned this one from WithTx

	closing context.Context // done after Close
	close   context.CancelFunc
	calls   sync.RWMutex // held by calls under way, for Close to wait for
	hints   *listener

	maxStall     time.Duration // a test shortens it
	pollInterval time.Duration // a test lengthens it
}

var (
	_ store.Store         = (*Store)(nil)
	_ store.Watcher       = (*Store)(nil)
	_ store.UsageRecorder = (*Store)(nil)
	_ store.Loader        = (*Store)(nil)
)

// An Option is something that [New] and [Migrate] are told. Both must be told the same.
type Option func(*options)

type options struct {
	schema string
}

// DefaultSchema is the schema that the tables are in if no other is given.
const DefaultSchema = "sallyport"

// Schema has the tables in this schema instead of [DefaultSchema]: so several stores can
// share a database. It is compared byte by byte, as in double quotes in SQL: 1 to 63
// bytes that do not begin with "pg_".
func Schema(name string) Option { return func(o *options) { o.schema = name } }

// choose returns the options, or what is wrong with them.
func choose(list []Option) (options, error) {
	o := options{schema: DefaultSchema}
	for _, option := range list {
		option(&o)
	}
	if n := len(o.schema); n == 0 || n > 63 || !utf8.ValidString(o.schema) || strings.ContainsRune(o.schema, 0) || strings.HasPrefix(o.schema, "pg_") {
		return o, fmt.Errorf(`store/postgres: the schema %.80q: want 1 to 63 bytes of UTF-8 that do not begin with "pg_"`, o.schema)
	}
	return o, nil
}

// New returns the store whose tables [Migrate] has made in the pool's database. The pool
// is the caller's: Close of the Store does not close it. An error says that the database
// cannot be reached, that its tables are missing, older or newer than this program, or
// that it cannot hold the records.
func New(ctx context.Context, pool *pgxpool.Pool, options ...Option) (*Store, error) {
	o, err := choose(options)
	if err != nil {
		return nil, err
	}
	if err := checkDatabase(ctx, pool); err != nil {
		return nil, failed(ctx, err)
	}
	s := &Store{pool: pool, schema: o.schema, sql: newStatements(o.schema), maxStall: maxStall, pollInterval: pollInterval}
	s.closing, s.close = context.WithCancel(context.Background())
	s.hints = newListener(s.closing, pool, o.schema)
	if _, err := s.Revision(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// WithTx returns a store whose calls are part of the caller's transaction, for records
// that are to be written together with rows of the caller's own. It is a
// store.UsageRecorder and a store.Loader too, and no store.Watcher.
//
// What it writes is seen by its own reads at once (S9), and by everybody else, and told
// to those who watch, when the caller commits. If the transaction is rolled back nothing
// of it ever was, and its revisions may be given again.
//
// Each write is a savepoint: one that is refused changes nothing, and leaves the
// transaction as it was (S3). A failure, such as a lost connection or a context that ends
// during a call, may leave it fit for nothing but a rollback. At another isolation level
// than READ COMMITTED a write fails (SQLSTATE 40001) if others wrote, or migrated, since
// the transaction began.
//
// The first write takes the lock that all writes to the store take, and keeps it until
// the transaction ends, so that others wait: write last, and commit soon.
//
// Calls take turns, since a transaction serves one at a time (S1). Close of the store
// that is returned ends neither the transaction nor s.
func (s *Store) WithTx(tx pgx.Tx) store.Store {
	within := &Store{pool: s.pool, schema: s.schema, sql: s.sql, tx: tx, turn: make(chan struct{}, 1), outer: s}
	// If its context were made from that of s, then s would keep it until it is closed,
	// which nobody has to do.
	within.closing, within.close = context.WithCancel(context.Background())
	return struct {
		store.Store
		store.UsageRecorder
		store.Loader
	}{within, within, within}
}

// Close is as store.Store says: it ends what is being watched, and the connection that
// listens, and waits for the calls that are under way. The pool stays open.
func (s *Store) Close() error {
	s.close()
	s.calls.Lock()
	defer s.calls.Unlock()
	if s.hints != nil {
		s.hints.wait()
	}
	return nil
}

// isClosed reports whether the store was closed, or that which WithTx was called on.
func (s *Store) isClosed() bool {
	return s.closing.Err() != nil || s.outer != nil && s.outer.isClosed()
}

// enter returns why no call can be served (S23, S2), or waits until this one can be. The
// function that it returns ends the call.
func (s *Store) enter(ctx context.Context) (leave func(), err error) {
	if s.isClosed() { // without waiting for those that Close waits for
		return nil, errClosed
	}
	s.calls.RLock()
	switch {
	case s.isClosed():
		err = errClosed
	case ctx.Err() != nil:
		err = ctx.Err()
	case s.turn == nil:
		return s.calls.RUnlock, nil
	default:
		select {
		case s.turn <- struct{}{}:
			return func() { <-s.turn; s.calls.RUnlock() }, nil
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	s.calls.RUnlock()
	return nil, err
}

// A querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// querier returns what to read with.
func (s *Store) querier() querier {
	if s.tx != nil {
		return s.tx
	}
	return s.pool
}

// begin begins a transaction to write in, or a savepoint in the caller's. Its isolation
// level is not left to the database's default, since each statement must see what was
// committed before it began. Nobody should have to wait long for a client that went
// silent in the middle. Whether it may write at all is left to the default.
func (s *Store) begin(ctx context.Context) (pgx.Tx, error) {
	if s.tx != nil {
		return s.tx.Begin(ctx)
	}
	return s.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: beginWrite})
}

const beginWrite = `BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL idle_in_transaction_session_timeout = '10s'`

var errClosed = fmt.Errorf("store/postgres: %w", store.ErrClosed)

// errChanged: what was read before a transaction was written by another meanwhile.
var errChanged = errors.New("store/postgres: the record kept changing while it was written")
