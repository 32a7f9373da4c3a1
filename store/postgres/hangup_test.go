package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
)

// reads are the methods that read, each by what a caller may hang up on.
var reads = map[string]func(ctx context.Context, s *postgres.Store) error{
	"Lookup": func(ctx context.Context, s *postgres.Store) error { _, _, err := s.Lookup(ctx, "key"); return err },
	"Key":    func(ctx context.Context, s *postgres.Store) error { _, err := s.Key(ctx, "key"); return err },
	"Keys": func(ctx context.Context, s *postgres.Store) error {
		_, err := s.Keys(ctx, "acme", store.PageRequest{})
		return err
	},
	"Organization": func(ctx context.Context, s *postgres.Store) error { _, err := s.Organization(ctx, "acme"); return err },
	"Organizations": func(ctx context.Context, s *postgres.Store) error {
		_, err := s.Organizations(ctx, store.PageRequest{})
		return err
	},
	"Usage":       func(ctx context.Context, s *postgres.Store) error { _, err := s.Usage(ctx, "key"); return err },
	"Observation": func(ctx context.Context, s *postgres.Store) error { _, err := s.Observation(ctx); return err },
	"Position":    func(ctx context.Context, s *postgres.Store) error { _, err := s.Position(ctx); return err },
}

// locked holds every table, so that reads wait in the server until unlock.
func locked(t *testing.T, pool *pgxpool.Pool) (unlock func()) {
	tx, err := pool.Begin(context.Background())
	require.NoError(t, err)
	_, err = tx.Exec(context.Background(), `LOCK TABLE sallyport.keys, sallyport.organizations, sallyport.state, sallyport.usage, sallyport.observation IN ACCESS EXCLUSIVE MODE`)
	require.NoError(t, err)
	return func() { require.NoError(t, tx.Rollback(context.Background())) }
}

// Who hangs up in the middle of a read closes no connection: pgx closes that of a cancelled
// query, and strangers could exhaust the pool.
func TestHangingUpClosesNoConnection(t *testing.T) {
	dsn := postgrestest.Shared(t).Database(t)
	pool, direct := newPool(t, dsn), newPool(t, dsn)
	s := newStore(t, pool)
	acme(t, s)
	s.SetReadGrace(time.Hour)
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, read(t.Context(), s))
			made := pool.Stat().NewConnsCount()
			unlock := locked(t, direct)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- read(ctx, s) }()
			waitsFor(t, direct, "relation")
			cancel()
			unlock()
			if err := <-done; err != nil { // an answer is as good
				assert.ErrorIs(t, err, context.Canceled)
			}
			require.NoError(t, read(t.Context(), s))
			assert.Equal(t, made, pool.Stat().NewConnsCount())
		})
	}
}

// A server that does not answer holds nobody for long: one who hangs up, nor one whose time
// runs out (S2).
func TestHangingUpOnAServerThatHangs(t *testing.T) {
	dsn := postgrestest.Shared(t).Database(t)
	pool, direct := newPool(t, dsn), newPool(t, dsn)
	s := newStore(t, pool)
	acme(t, s)
	t.Cleanup(locked(t, direct)) // after the parallel tests
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(10*time.Millisecond, cancel)
			assert.ErrorIs(t, read(ctx, s), context.Canceled)
			ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			assert.ErrorIs(t, read(ctx, s), context.DeadlineExceeded)
		})
	}
}

// Who hangs up while a look-up waits for a connection leaves the queue, so that honest
// callers do not wait behind look-ups for nobody.
func TestHangingUpLeavesTheQueue(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t), func(c *pgxpool.Config) { c.MaxConns = 1 })
	s := newStore(t, pool)
	acme(t, s)
	engine := policy.New(s, policy.WithTimeout(time.Hour))
	held, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	before := pool.Stat().CanceledAcquireCount()
	for wait := time.Millisecond; pool.Stat().CanceledAcquireCount() == before; wait *= 2 {
		require.Less(t, wait, patience, "the look-up still waits for a connection")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(wait, cancel)
		require.Equal(t, policy.CallerGone, engine.Decide(ctx, request("key")).Kind())
	}
	held.Release()
	honest := request("key")
	honest.Verifier = policy.AlreadyVerified{}
	assert.Equal(t, policy.OpenList, engine.Decide(t.Context(), honest).Reason)
}
