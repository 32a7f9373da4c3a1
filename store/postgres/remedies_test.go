package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
)

// TestRemedies brings about failures with a known repair, and looks for it in the error.
func TestRemedies(t *testing.T) {
	ctx, server := t.Context(), postgrestest.Shared(t)
	dsn := server.Database(t)
	operator := newPool(t, dsn)
	_, key := acme(t, newStore(t, operator))
	exec(t, operator, `CREATE ROLE unprivileged LOGIN; CREATE ROLE crowded LOGIN CONNECTION LIMIT 0`)
	t.Cleanup(func() { exec(t, operator, `DROP ROLE unprivileged; DROP ROLE crowded`) })
	host, port, _ := strings.Cut(server.Address(), ":")
	newly := func(dsn string) func(testing.TB) error {
		return func(t testing.TB) error {
			_, err := postgres.New(ctx, newPool(t, dsn))
			return err
		}
	}
	// one returns a store with one connection, which has prepared its statement for look-ups.
	one := func(t testing.TB) (*postgres.Store, *pgxpool.Pool) {
		pool := newPool(t, dsn, func(c *pgxpool.Config) { c.MaxConns = 1 })
		s := openStore(t, pool)
		_, _, err := s.Lookup(ctx, "key")
		require.NoError(t, err)
		return s, pool
	}
	// kept puts a key while somebody has the lock of all writes.
	kept := func(timeout string) func(testing.TB) error {
		return func(t testing.TB) error {
			s := openStore(t, newPool(t, dsn, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams[timeout] = "100ms" }))
			tx, err := operator.Begin(ctx)
			require.NoError(t, err)
			defer func() { _ = tx.Rollback(context.Background()) }()
			_, err = tx.Exec(ctx, `SELECT FROM sallyport.state FOR UPDATE`)
			require.NoError(t, err)
			_, err = s.PutKey(ctx, key)
			assert.ErrorIs(t, err, store.ErrNotWritten)
			return err
		}
	}
	for state, c := range map[string]struct {
		fails func(testing.TB) error
		want  string
	}{
		"3F000/42P01": {newly(server.Database(t)), "run Migrate"},
		"42501":       {newly(dsn + " user=unprivileged"), "USAGE of the schema, SELECT on its tables"},
		"28P01":       {newly(fmt.Sprintf("host=%s port=%s user=postgres password=wrong sslmode=disable", host, port)), "correct the user or the password"},
		"28000":       {newly(dsn + " user=nobody_of_that_name"), "correct the user or the password"},
		"3D000":       {newly(dsn + " dbname=no_such_database"), "create it, or correct dbname"},
		"53300":       {newly(dsn + " user=crowded"), "CONNECTION LIMIT"},
		"55P03":       {kept("lock_timeout"), "raise it for this user"},
		"57014":       {kept("statement_timeout"), "raise the timeout for this user"},
		"26000": {func(t testing.TB) error {
			s, pool := one(t)
			exec(t, pool, `DEALLOCATE ALL`)
			_, _, err := s.Lookup(ctx, "key")
			return err
		}, "default_query_exec_mode=exec"},
		"42P05": {func(t testing.TB) error {
			s, pool := one(t)
			rows, err := pool.Query(ctx, `SELECT name FROM pg_prepared_statements WHERE statement LIKE '%k.entries%' AND statement NOT LIKE '%pg_prepared%'`)
			require.NoError(t, err)
			names, err := pgx.CollectRows(rows, pgx.RowTo[string])
			require.NoError(t, err)
			require.Len(t, names, 1)
			pool.Reset()
			exec(t, pool, fmt.Sprintf(`PREPARE %s AS SELECT 1`, names[0]))
			_, _, err = s.Lookup(ctx, "key")
			return err
		}, "default_query_exec_mode=exec"},
	} {
		t.Run(strings.ReplaceAll(state, "/", " or "), func(t *testing.T) {
			err := c.fails(t)
			assert.ErrorContains(t, err, c.want)
			found := false
			for s := range strings.SplitSeq(state, "/") {
				found = found || strings.Contains(err.Error(), "SQLSTATE "+s)
			}
			assert.True(t, found, "%v", err)
			assert.NotContains(t, err.Error(), "wrong")
		})
	}
}

// TestUnheard has watchers to whom no notification comes, as behind PgBouncer in mode
// "transaction": it is said once, and they go on.
func TestUnheard(t *testing.T) {
	server := postgrestest.Shared(t)
	elsewhere := server.Database(t)
	for name, c := range map[string]struct {
		connect func(*pgx.ConnConfig) error // of the connection that listens
		warned  string                      // what the log says, nothing if ""
	}{
		"listening elsewhere": {func(c *pgx.ConnConfig) error {
			other, err := pgx.ParseConfig(elsewhere)
			c.Database = other.Database
			return err
		}, `LISTEN succeeded`},
		"not connected": {func(*pgx.ConnConfig) error { return errors.New("no more connections") }, `no more connections`},
		"notified":      {func(*pgx.ConnConfig) error { return nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			log := captureLog(t)
			dsn := server.Database(t)
			writer := newStore(t, newPool(t, dsn))
			acme(t, writer)
			var connected atomic.Bool
			s := openStore(t, newPool(t, dsn, func(config *pgxpool.Config) {
				config.MaxConns = 1
				config.BeforeConnect = func(_ context.Context, config *pgx.ConnConfig) error {
					if connected.CompareAndSwap(false, true) {
						return nil // the pool's own
					}
					return c.connect(config)
				}
			}))
			if c.warned == "" { // it has been notified before
				s.SetPollInterval(time.Hour)
				f := follow(t, s)
				f.is(t, writer)
				f.tracks(t, writer, 5) // the first may be found before the connection listens
			}
			s.SetPollInterval(5 * time.Millisecond)
			f := follow(t, s)
			f.tracks(t, writer, 20)
			if c.warned == "" {
				assert.Empty(t, log.String())
				return
			}
			assert.Equal(t, 1, strings.Count(log.String(), "no notification arrives"), log)
			assert.Contains(t, log.String(), c.warned)
			assert.Contains(t, log.String(), "mode \\\"session\\\"")
		})
	}
}

// captureLog returns what the program logs until the test ends.
func captureLog(t testing.TB) *logged {
	t.Helper()
	log, before := new(logged), slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return log
}

// A logged text is written by several goroutines.
type logged struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}
