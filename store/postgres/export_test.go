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
	SweepWrites  = sweepWrites
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

// ReadMigrations returns the migrations of another program.
func ReadMigrations(from fs.FS) (steps []string, err error) {
	read, err := readMigrations(from)
	for _, step := range read {
		steps = append(steps, step.sql)
	}
	return steps, err
}

// Steps returns the migrations.
func Steps() ([]string, error) { return ReadMigrations(migrations) }

// MigrateTo is Migrate of a program that has other migrations.
func MigrateTo(ctx context.Context, pool *pgxpool.Pool, texts []string) error {
	var steps []step
	for i, text := range texts {
		step, err := readStep(i+1, text)
		if err != nil {
			return err
		}
		steps = append(steps, step)
	}
	return migrate(ctx, pool, DefaultSchema, steps)
}

// EventsSQL returns the statement for the oldest events, and EventQuery that for a request.
func EventsSQL() string { return inSchema(DefaultSchema, eventsSQL(`revision > $2`, `ASC`)) }
func EventQuery(r store.EventRequest) (sql string, args []any) {
	sql, args = eventQuery(r)
	return inSchema(DefaultSchema, sql), args
}

// SetNotified has the latest notification of a store be of another time.
func (s *Store) SetNotified(at time.Time) {
	s.notifier.mu.Lock()
	defer s.notifier.mu.Unlock()
	s.notifier.last = at
}

// SetFollowers has a store believe in so many followers until it is closed.
func (s *Store) SetFollowers(n int) {
	s.notifier.mu.Lock()
	defer s.notifier.mu.Unlock()
	s.notifier.followers, s.notifier.counted = n, time.Now().Add(time.Hour)
}

// CountFollowers counts the followers now.
func (s *Store) CountFollowers(ctx context.Context) int {
	s.SetFollowers(0)
	s.notifier.mu.Lock()
	s.notifier.counted = time.Time{}
	s.notifier.mu.Unlock()
	s.notifier.count(ctx)
	s.notifier.mu.Lock()
	defer s.notifier.mu.Unlock()
	return s.notifier.followers
}

// Concerns reports whether a notification is for a schema, and of which revision.
var Concerns = concerns

// Few is the number of changes that a watch does not read by one statement.
const Few = few

// SetAsked has the store be asked for its position at some time.
func (s *Store) SetAsked(at time.Time, answer store.Position) { s.asked.Store(&asked{at, answer}) }

// Waits has a watch at a mark wait, and reports whether it ended without a hint.
func (s *Store) Waits(ctx context.Context, mark store.Position, hint <-chan struct{}) (polled bool) {
	w := watch{s: s, mark: mark}
	return w.wait(ctx, hint, time.NewTimer(s.pollInterval))
}

// A Look is what a watch reads at once.
type Look struct {
	Latest  store.Position
	All     bool // of a short one: it was enough
	Changes []store.Change
	Err     error
}

// LookBothWays reads the changes since a mark by one statement, and then by a snapshot.
func (s *Store) LookBothWays(ctx context.Context, mark store.Position) (short, long Look, err error) {
	r, err := s.beginReading(ctx)
	if err != nil {
		return short, long, err
	}
	defer r.abandon()
	w := watch{s: s, mark: mark}
	short.Latest, short.All, short.Err = w.readRecent(r)
	short.Changes, w.told = w.told, nil
	if err := r.beginSnapshot(s.schema); err != nil {
		return short, long, err
	}
	long.Latest, long.Err = w.read(r)
	long.Changes = w.told
	return short, long, nil
}
