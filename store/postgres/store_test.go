package postgres_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
	"github.com/sallyport-go/sallyport/store/storetest"
)

// newPool returns a pool for a database, which is closed when the test ends.
func newPool(t testing.TB, dsn string, change ...func(*pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(dsn)
	require.NoError(t, err)
	for _, c := range change {
		c(config)
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// assertAllReturned waits until no connection of a pool is in use: a notification that is owed is
// sent, and a connection ended, beside the caller.
func assertAllReturned(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	assert.Eventually(t, func() bool { return pool.Stat().AcquiredConns() == 0 }, patience, time.Millisecond)
}

// newStore returns an empty store in a database.
func newStore(t testing.TB, pool *pgxpool.Pool, options ...postgres.Option) *postgres.Store {
	t.Helper()
	require.NoError(t, postgres.Migrate(context.Background(), pool, options...))
	return openStore(t, pool, options...)
}

func openStore(t testing.TB, pool *pgxpool.Pool, options ...postgres.Option) *postgres.Store {
	t.Helper()
	s, err := postgres.New(context.Background(), pool, options...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// schemas counts schemas, for tests that share a database.
var schemas atomic.Int64

func TestStore(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	schema := map[store.Store]string{}
	in := func(s store.Store) string { return fmt.Sprintf(`"%s"`, schema[s]) }
	exec := func(t testing.TB, s store.Store, sql string) {
		t.Helper()
		_, err := pool.Exec(context.Background(), fmt.Sprintf(sql, in(s)))
		require.NoError(t, err)
	}
	open := func(t testing.TB, name string) store.Store {
		s := openStore(t, pool, postgres.Schema(name))
		schema[s] = name
		return s
	}
	storetest.Run(t, func(t testing.TB) store.Store {
		name := fmt.Sprintf("Test %d.é", schemas.Add(1))
		require.NoError(t, postgres.Migrate(context.Background(), pool, postgres.Schema(name)))
		return open(t, name)
	}, storetest.Reopen(func(t testing.TB, s store.Store) store.Store {
		require.NoError(t, s.Close())
		return open(t, schema[s])
	}), storetest.Damage(storetest.Damages{
		Key: func(t testing.TB, s store.Store, id apikey.ID) {
			exec(t, s, `UPDATE %s.keys SET document = '{}' WHERE id = '`+string(id)+`'`)
		},
		AccessList: func(t testing.TB, s store.Store, id apikey.ID) {
			exec(t, s, `UPDATE %s.keys SET document = jsonb_set(document::jsonb, '{accessList}', '[]') WHERE id = '`+string(id)+`'`)
		},
		Newer: func(t testing.TB, s store.Store, id apikey.ID) {
			exec(t, s, `UPDATE %s.keys SET document = jsonb_set(document::jsonb, '{later}', '1') WHERE id = '`+string(id)+`'`)
		},
		Organization: func(t testing.TB, s store.Store, id string) {
			exec(t, s, `UPDATE %s.organizations SET document = document::jsonb - 'requirement' WHERE id = '`+id+`'`)
		},
		Usage: func(t testing.TB, s store.Store, id apikey.ID) {
			exec(t, s, `UPDATE %s.usage SET document = '7' WHERE key = '`+string(id)+`'`)
		},
		Events: func(t testing.TB, s store.Store, revision uint64) {
			exec(t, s, fmt.Sprintf(`UPDATE %%s.events SET document = json_build_array(document->0->'actor') WHERE revision = %d`, revision))
		},
		Observation: func(t testing.TB, s store.Store) { exec(t, s, `UPDATE %s.observation SET document = '{}'`) },
	}), storetest.Migrate(func(t testing.TB, s store.Store, mayRead, mayWrite bool) {
		readableFrom, writableFrom := 1, 1
		if !mayWrite {
			writableFrom = 2
		}
		if !mayRead {
			readableFrom = 2
		}
		exec(t, s, fmt.Sprintf(`INSERT INTO %%[1]s.migrations (version, readable_from, writable_from) SELECT max(version) + 1, %d, %d FROM %%[1]s.migrations`, readableFrom, writableFrom))
	}), storetest.Compact(func(t testing.TB, s store.Store) {
		exec(t, s, `WITH gone AS (DELETE FROM %[1]s.changes RETURNING revision) UPDATE %[1]s.state SET forgotten = greatest(forgotten, (SELECT max(revision) FROM gone))`)
	}), storetest.Restore(func(t testing.TB, s store.Store) func(testing.TB, store.Store) store.Store {
		// As pg_restore --data-only does, after the tables were emptied.
		tables := []string{"organizations", "keys", "changes", "events", "histories", "state"}
		for _, table := range tables {
			exec(t, s, fmt.Sprintf(`CREATE TABLE %%[1]s.backup_%s AS TABLE %%[1]s.%[1]s`, table))
		}
		return func(t testing.TB, s store.Store) store.Store {
			restore := `DELETE FROM %[1]s.keys;`
			for _, table := range tables {
				restore += fmt.Sprintf(`DELETE FROM %%[1]s.%s; INSERT INTO %%[1]s.%[1]s TABLE %%[1]s.backup_%[1]s;`, table)
			}
			exec(t, s, restore)
			return s
		}
	}))
}

func BenchmarkStore(b *testing.B) {
	storetest.Benchmark(b, func(tb testing.TB) store.Store {
		return newStore(tb, newPool(tb, postgrestest.Shared(tb).Database(tb)))
	})
}
