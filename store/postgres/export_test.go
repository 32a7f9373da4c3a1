package postgres

import (
	"context"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sallyport-go/sallyport/store"
)

// SetMaxStall has watches of a store give up sooner.
func (s *Store) SetMaxStall(d time.Duration) { s.maxStall = d }

// SetPollInterval has what watches a store look by itself more seldom, or more often.
func (s *Store) SetPollInterval(d time.Duration) { s.pollInterval = d }

// SetReadGrace has reads go on longer after their callers hung up.
func (s *Store) SetReadGrace(d time.Duration) { s.readGrace = d }

// What tests need to bring about what takes long otherwise.
const (
	KeptChanges  = keptChanges
	SpareChanges = spareChanges
	Chunk        = chunk
)

var ErrStalled = errStalled

// within returns the store behind one that WithTx returned.
func within(s store.Store) *Store {
	return s.(struct {
		store.Store
		store.UsageRecorder
		store.Loader
		store.Journal
	}).Store.(*Store)
}

// Tx returns the transaction of a store that WithTx returned.
func Tx(s store.Store) pgx.Tx { return within(s).tx }

// Enter has a call of such a store be under way until leave is called.
func Enter(s store.Store) (leave func()) {
	leave, err := within(s).enter(context.Background())
	if err != nil {
		panic(err)
	}
	return leave
}

// Steps returns the migrations, and ReadMigrations those of another program.
func Steps() ([]string, error)                    { return ReadMigrations(migrations) }
func ReadMigrations(from fs.FS) ([]string, error) { return readMigrations(from) }

// MigrateTo is Migrate of a program that has other migrations.
func MigrateTo(ctx context.Context, pool *pgxpool.Pool, steps []string) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return migrate(ctx, tx, DefaultSchema, steps) })
}

// EventsSQL returns the statement for the oldest events, and EventQuery that for a request.
func EventsSQL() string { return inSchema(DefaultSchema, eventsSQL(`revision > $2`, `ASC`)) }
func EventQuery(r store.EventRequest) (sql string, args []any) {
	sql, args = eventQuery(r)
	return inSchema(DefaultSchema, sql), args
}
