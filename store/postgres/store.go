package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sallyport-go/sallyport/store"
)

// A Store is a [store.Store] in PostgreSQL; it is also a [store.Watcher], a
// [store.UsageRecorder], a [store.Loader] and a [store.Journal]. Make one with [New]. It is safe for concurrent
// use (S1).
type Store struct {
	pool   *pgxpool.Pool
	schema string

	tx    pgx.Tx        // the caller's, nil in a store of its own
	turn  chan struct{} // holds a token while the caller's transaction is in use
	outer *Store        // the receiver of WithTx

	closing  context.Context // done after Close
	close    context.CancelFunc
	calls    sync.RWMutex // read-locked by calls under way; Close locks it to wait for them
	hints    *listener
	notifier *notifier                      // nil in a caller's transaction
	asked    atomic.Pointer[asked]          // the latest answer of Position
	told     atomic.Pointer[store.Position] // the latest mark of a watch

	maxStall     time.Duration // shorter in a test
	pollInterval time.Duration // longer in a test
	readGrace    time.Duration // longer in a test
}

var (
	_ store.Store         = (*Store)(nil)
	_ store.Watcher       = (*Store)(nil)
	_ store.UsageRecorder = (*Store)(nil)
	_ store.Loader        = (*Store)(nil)
	_ store.Journal       = (*Store)(nil)
)

// An Option is for [New] and [Migrate]. Give both the same.
type Option func(*options)

type options struct {
	schema string
}

// DefaultSchema is the schema of the tables without the option [Schema].
const DefaultSchema = "sallyport"

// Schema puts the tables into this schema instead of [DefaultSchema], so several stores can
// share a database. The name is compared byte by byte, as in double quotes in SQL: 1 to 63
// bytes of UTF-8, not beginning with "pg_".
func Schema(name string) Option { return func(o *options) { o.schema = name } }

func choose(list []Option) (options, error) {
	o := options{schema: DefaultSchema}
	for _, option := range list {
		if option != nil {
			option(&o)
		}
	}
	if n := len(o.schema); n == 0 || n > 63 || !utf8.ValidString(o.schema) || strings.ContainsRune(o.schema, 0) || strings.HasPrefix(o.schema, "pg_") {
		return o, fmt.Errorf(`store/postgres: the schema %.80q: want 1 to 63 bytes of UTF-8 that do not begin with "pg_"`, o.schema)
	}
	return o, nil
}

// New returns the store in the pool's database, in the tables made by [Migrate]. The pool is
// the caller's: Close of the Store does not close it. New fails if
//
//   - the database cannot be reached, or is in another encoding than UTF8
//   - its tables are missing, or older than this program
//   - a newer program changed them, and this one may not read them any more: store.ErrNewer
func New(ctx context.Context, pool *pgxpool.Pool, options ...Option) (*Store, error) {
	o, err := choose(options)
	if err != nil {
		return nil, err
	}
	if err := checkDatabase(ctx, pool); err != nil {
		return nil, failed(ctx, err)
	}
	s := &Store{pool: pool, schema: o.schema, maxStall: maxStall, pollInterval: pollInterval, readGrace: readGrace}
	s.closing, s.close = context.WithCancel(context.Background())
	s.notifier = &notifier{pool: pool, schema: o.schema}
	s.hints = newListener(s.closing, pool, o.schema)
	s.hints.notifier = s.notifier
	if _, err := s.Position(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// WithTx returns a store whose calls are part of the caller's transaction, for writing
// records together with rows of the caller's own. It is a [store.UsageRecorder], a
// [store.Loader] and a [store.Journal] too, but no [store.Watcher].
//
// Its own reads see its writes at once (S9). Everybody else sees them, watchers included,
// when the caller commits. After a rollback nothing of them ever was, and their revisions
// may be given again. So hand events on, and keep the Next of a page, only after the commit.
//
// Each write is a savepoint: a refused write changes nothing, and leaves the transaction as
// it was (S3). A failure, such as a lost connection or a context that ends during a call,
// may leave the transaction fit only for a rollback. At an isolation level other than READ
// COMMITTED a write fails (SQLSTATE 23505 or 40001) if others wrote, or migrated, since the
// transaction began.
//
// The first write takes the lock of all writes to the store and keeps it until the
// transaction ends, so others wait: write last, and commit soon.
//
// End the transaction by [Commit], which returns an error if a synchronous standby has not
// confirmed it. tx.Commit cannot tell.
//
// Calls take turns, since a transaction serves one at a time (S1). Closing the returned
// store ends neither the transaction nor s.
func (s *Store) WithTx(tx pgx.Tx) store.Store {
	within := &Store{pool: s.pool, schema: s.schema, tx: tx, turn: make(chan struct{}, 1), outer: s}
	// A context made from that of s would stay with s until Close, and callers need not
	// close this store.
	within.closing, within.close = context.WithCancel(context.Background())
	return struct {
		store.Store
		store.UsageRecorder
		store.Loader
		store.Journal
	}{within, within, within, within}
}

// Close implements [store.Store]. It ends watches and the listening connection, and waits
// for the calls under way. The pool stays open.
func (s *Store) Close() error {
	s.close()
	s.calls.Lock()
	defer s.calls.Unlock()
	if s.hints != nil {
		s.notifier.close()
		s.hints.wait()
	}
	return nil
}

// isClosed reports whether the store, or the receiver of WithTx, was closed.
func (s *Store) isClosed() bool {
	return s.closing.Err() != nil || s.outer != nil && s.outer.isClosed()
}

// enter begins a call, or returns why none can be served (S23, S2). In a caller's
// transaction it waits for the call's turn. leave ends the call.
func (s *Store) enter(ctx context.Context) (leave func(), err error) {
	if s.isClosed() { // without waiting behind Close for its calls
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

func (s *Store) querier() querier {
	if s.tx != nil {
		return s.tx
	}
	return s.pool
}

// begin begins a transaction for writing, or a savepoint in the caller's. The database's
// default isolation level does not apply, since each statement must see everything
// committed before it. Nobody should wait long for a client gone silent in the middle.
// Whether the transaction may write at all is left to the default. release returns the
// connection to the pool.
func (s *Store) begin(ctx context.Context) (tx pgx.Tx, release func(), err error) {
	if s.tx != nil {
		tx, err = s.tx.Begin(ctx)
		return tx, func() {}, err
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, nil, err
	}
	if tx, err = conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: beginWrite}); err != nil {
		conn.Release()
		return nil, nil, err
	}
	return tx, conn.Release, nil
}

const beginWrite = `BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL idle_in_transaction_session_timeout = '10s';
` + warnings
