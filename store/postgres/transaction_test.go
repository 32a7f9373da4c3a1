package postgres_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/tracelog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
	"github.com/sallyport-go/sallyport/store/storetest"
)

// soon is when a context ends that is to end while something waits.
const soon = 100 * time.Millisecond

// TestStoreInTransaction has the whole contract kept within one transaction of the
// caller's, but for what needs more than one.
func TestStoreInTransaction(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	const oneConnection = "a context that ends during a call ends the connection, and with it the transaction, as the documentation says"
	storetest.Run(t, func(t testing.TB) store.Store {
		tx, err := pool.Begin(context.Background())
		require.NoError(t, err)
		t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
		return s.WithTx(tx)
	}, storetest.Damage(storetest.Damages{
		// Only the transaction itself can reach its rows.
		Key: func(t testing.TB, within store.Store, id apikey.ID) {
			execIn(t, within, `UPDATE sallyport.keys SET document = '{}' WHERE id = $1`, string(id))
		},
		AccessList: func(t testing.TB, within store.Store, id apikey.ID) {
			execIn(t, within, `UPDATE sallyport.keys SET document = jsonb_set(document::jsonb, '{accessList}', '[]') WHERE id = $1`, string(id))
		},
		Organization: func(t testing.TB, within store.Store, id string) {
			execIn(t, within, `UPDATE sallyport.organizations SET document = document::jsonb - 'requirement' WHERE id = $1`, id)
		},
		Usage: func(t testing.TB, within store.Store, id apikey.ID) {
			execIn(t, within, `UPDATE sallyport.usage SET document = '7' WHERE key = $1`, string(id))
		},
		Observation: func(t testing.TB, within store.Store) {
			execIn(t, within, `UPDATE sallyport.observation SET document = '{}'`)
		},
		Events: func(t testing.TB, within store.Store, revision uint64) {
			execIn(t, within, `UPDATE sallyport.events SET document = json_build_array(document->0->'actor') WHERE revision = $1`, revision)
		},
	}),
		storetest.Without("S3/a write whose context ends under way happens whole or not at all", oneConnection),
		storetest.Without("E1/a Write whose context ends under way happens with its events or not at all", oneConnection),
		storetest.Without("L1/a Load whose context ends under way happens whole or not at all", oneConnection),
		storetest.Without("U4/with an error nothing is recorded", oneConnection))
}

// execIn runs a statement in the transaction of a store.
func execIn(t testing.TB, within store.Store, sql string, args ...any) {
	t.Helper()
	tag, err := postgres.Tx(within).Exec(context.Background(), sql, args...)
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected())
}

func TestWithTx(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	acme(t, s)
	exec(t, pool, `CREATE TABLE customers (name text)`)
	f := follow(t, s)
	f.is(t, s)

	write := func(id apikey.ID) error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			within := s.WithTx(tx)
			_, err := tx.Exec(ctx, `INSERT INTO customers VALUES ($1)`, string(id))
			require.NoError(t, err)
			stored, err := within.PutKey(ctx, newKey(t, string(id), "acme", "192.0.2.1"))
			require.NoError(t, err)

			// Its own reads see it, and nobody else's.
			got, err := within.Key(ctx, id)
			require.NoError(t, err)
			assert.Equal(t, stored, got)
			_, err = s.Key(ctx, id)
			assert.ErrorIs(t, err, store.ErrNotFound)

			// What is refused leaves the rest as it is.
			_, err = within.PutKey(ctx, newKey(t, string(id), "acme"), store.AllowOpen)
			require.ErrorIs(t, err, store.ErrExists)
			require.ErrorIs(t, within.DeleteOrganization(ctx, "acme", 0), store.ErrNotEmpty)
			require.ErrorIs(t, within.(store.Loader).Load(ctx, nil, []apikey.Key{newKey(t, "x", "gone")}, store.AllowOpen), store.ErrNotFound)
			require.NoError(t, within.(store.UsageRecorder).RecordUsage(ctx, adapter.UsageBatch(usage(stored, 2))))
			require.NoError(t, within.Close())
			_, err = within.Key(ctx, id)
			require.ErrorIs(t, err, store.ErrClosed)
			if id == "rolled-back" {
				return assert.AnError
			}
			return nil
		})
	}
	require.NoError(t, write("committed"))
	require.ErrorIs(t, write("rolled-back"), assert.AnError)
	_, err := s.Key(ctx, "committed")
	require.NoError(t, err)
	_, err = s.Key(ctx, "rolled-back")
	require.ErrorIs(t, err, store.ErrNotFound)
	f.is(t, s)
	var customers []string
	rows, err := pool.Query(ctx, `SELECT name FROM customers`)
	require.NoError(t, err)
	customers, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	assert.Equal(t, []string{"committed"}, customers)
}

func TestWithTxIsNoWatcher(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	within := s.WithTx(tx)
	_, ok := store.As[store.Watcher](within)
	assert.False(t, ok)
	_, ok = store.As[store.UsageRecorder](within)
	assert.True(t, ok)
	_, ok = store.As[store.Loader](within)
	assert.True(t, ok)
	_, ok = store.As[store.Journal](within)
	assert.True(t, ok)

	// It waits its turn no longer than its context allows.
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	leave := postgres.Enter(within)
	_, err = within.Key(ctx, "key")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	leave()

	// After the transaction nothing works, and after Close of the store neither.
	require.NoError(t, tx.Rollback(t.Context()))
	_, err = within.Key(t.Context(), "key")
	require.ErrorIs(t, err, pgx.ErrTxClosed)
	require.NoError(t, s.Close())
	_, err = within.Key(t.Context(), "key")
	require.ErrorIs(t, err, store.ErrClosed)
}

// TestWithTxKeepsNothing: nobody has to close what WithTx returns.
func TestWithTxKeepsNothing(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	before := heap()
	const times = 100_000
	for range times {
		_ = s.WithTx(tx)
	}
	assert.Less(t, heap()-before, int64(20*times), "bytes are kept for each")
	runtime.KeepAlive(s)
}

// heap returns how many bytes are in use.
func heap() int64 {
	var m runtime.MemStats
	for range 2 { // what was pooled goes with the second
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestWithTxLeavesNothing has a write come upon a change when its context has just ended,
// and the caller commit all the same.
func TestWithTxLeavesNothing(t *testing.T) {
	var cancel context.CancelFunc
	log := tracelog.LoggerFunc(func(_ context.Context, _ tracelog.LogLevel, message string, _ map[string]any) {
		if message == "BatchClose" {
			cancel()
		}
	})
	pool := newPool(t, postgrestest.Shared(t).Database(t), func(c *pgxpool.Config) {
		c.ConnConfig.Tracer = &tracelog.TraceLog{Logger: log, LogLevel: tracelog.LogLevelInfo}
	})
	s := newStore(t, pool)
	cancel = func() {}
	acme(t, s)
	key, err := s.PutKey(t.Context(), newKey(t, "listed", "acme", "192.0.2.1"))
	require.NoError(t, err)
	exec(t, pool, `CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
		CREATE TRIGGER undo BEFORE UPDATE ON sallyport.keys FOR EACH ROW EXECUTE FUNCTION undo()`)
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	cancel = end
	put := key
	put.AccessList = newKey(t, "listed", "acme", "198.51.100.0/24").AccessList
	_, err = s.WithTx(tx).PutKey(ctx, put)
	require.Error(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	got, err := s.Key(t.Context(), "listed")
	require.NoError(t, err)
	assert.Equal(t, key, got)
	revision, err := revisionOf(t.Context(), s)
	require.NoError(t, err)
	assert.Equal(t, key.Revision, revision)
}

// TestWithTxIsDurable: a transaction in which something was written is on disk when its
// commit returns, and what is refused leaves it to the caller.
func TestWithTxIsDurable(t *testing.T) {
	ctx := t.Context()
	pool := newPool(t, postgrestest.Shared(t).Database(t), func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["synchronous_commit"] = "off" })
	s := newStore(t, pool)
	organization, key := acme(t, s)
	for name, c := range map[string]struct {
		do   func(store.Store) error
		want string
	}{
		"PutOrganization":    {func(s store.Store) error { _, err := s.PutOrganization(ctx, organization); return err }, "on"},
		"PutKey":             {func(s store.Store) error { _, err := s.PutKey(ctx, key); return err }, "on"},
		"DeleteKey":          {func(s store.Store) error { return s.DeleteKey(ctx, key.ID, 0) }, "on"},
		"DeleteOrganization": {func(s store.Store) error { return s.DeleteOrganization(ctx, organization.ID, 0) }, "off"},
		"Load": {func(s store.Store) error {
			return s.(store.Loader).Load(ctx, []policy.Organization{{ID: "another"}}, nil)
		}, "on"},
		"RecordUsage": {func(s store.Store) error {
			return s.(store.UsageRecorder).RecordUsage(ctx, adapter.UsageBatch(usage(key, 1)))
		}, "on"},
		"Write": {func(s store.Store) error {
			_, err := s.(store.Journal).Write(ctx, writeOf(key))
			return err
		}, "on"},
		"Write that is refused": {func(s store.Store) error {
			_, err := s.(store.Journal).Write(ctx, store.Write{Delete: &store.Condition{Organization: organization.ID, Revision: organization.Revision}})
			return err
		}, "off"},
	} {
		tx, err := pool.Begin(ctx)
		require.NoError(t, err)
		if err := c.do(s.WithTx(tx)); c.want == "on" {
			require.NoError(t, err, name)
		} else {
			require.ErrorIs(t, err, store.ErrNotEmpty, name)
		}
		var durable string
		require.NoError(t, tx.QueryRow(ctx, `SHOW synchronous_commit`).Scan(&durable))
		assert.Equal(t, c.want, durable, name)
		require.NoError(t, tx.Rollback(ctx))
	}
}

// TestWithTxAtOtherLevels: a transaction that does not see what others have committed
// since it began does not write over it.
func TestWithTxAtOtherLevels(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	_, key := acme(t, s)
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		tx, err := pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level})
		require.NoError(t, err)
		within := s.WithTx(tx)
		seen, err := within.Key(t.Context(), "key")
		require.NoError(t, err)
		key.Description = string(level)
		key, err = s.PutKey(t.Context(), key)
		require.NoError(t, err)
		_, err = within.PutKey(t.Context(), seen)
		assert.ErrorContains(t, err, "SQLSTATE 23505", level)
		assert.ErrorContains(t, err, "the transaction does not see the latest writes: begin it again", level)
		require.NoError(t, tx.Rollback(t.Context()))
	}
	got, err := s.Key(t.Context(), "key")
	require.NoError(t, err)
	assert.Equal(t, key, got)
}

// TestWithTxMany writes several records in one transaction, and in several at once.
func TestWithTxMany(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	acme(t, s)
	f := follow(t, s)
	errs := make(chan error)
	for i := range 4 {
		go func() {
			errs <- pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
				within := s.WithTx(tx)
				for n := range 5 {
					organization := fmt.Sprintf("organization %d %d", i, n)
					if _, err := within.PutOrganization(ctx, policy.Organization{ID: organization}); err != nil {
						return err
					}
					if _, err := within.PutKey(ctx, newKey(t, fmt.Sprintf("key-%d-%d", i, n), organization, "192.0.2.1")); err != nil {
						return err
					}
				}
				return nil
			})
		}()
	}
	for range 4 {
		require.NoError(t, <-errs)
	}
	organizations, keys := everything(t, s)
	assert.Len(t, organizations, 21)
	assert.Len(t, keys, 21)
	f.is(t, s)
}
