package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
)

// replicated starts a server with an empty store and a standby that each commit waits for.
func replicated(t testing.TB) (primary, standby *postgrestest.Server) {
	t.Helper()
	primary = postgrestest.Start(t)
	acme(t, newStore(t, newPool(t, primary.DSN())))
	standby = primary.Standby(t, "second")
	primary.Set(t, "synchronous_standby_names", "second")
	return primary, standby
}

// TestAcknowledgedSurvivesFailover revokes a key while the synchronous standby is away, with
// settings that have commits not wait for it, promotes the standby, and looks for every
// write that was acknowledged.
func TestAcknowledgedSurvivesFailover(t *testing.T) {
	primary, standby := replicated(t)
	operator, pools := newPool(t, primary.DSN()), map[string]*pgxpool.Pool{}
	for _, setting := range []string{"off", "local", "remote_write", "on", "remote_apply"} {
		pools[setting] = newPool(t, primary.DSN(), func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["synchronous_commit"] = setting })
		s := openStore(t, pools[setting])
		_, err := s.PutKey(t.Context(), newKey(t, "kept-"+setting, "acme", "192.0.2.1"))
		require.NoError(t, err)
	}
	standby.Stop(t)
	for setting, pool := range pools {
		s, lost := openStore(t, pool), newKey(t, "lost-"+setting, "acme", "192.0.2.1")
		ctx, cancel := context.WithCancel(t.Context())
		returned := make(chan error, 1)
		go func() {
			_, err := s.PutKey(ctx, lost)
			returned <- err
		}()
		waiting := func(count string, want int) {
			require.Eventually(t, func() bool {
				var n int
				err := operator.QueryRow(t.Context(), `SELECT count(`+count+`) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`).Scan(&n)
				return err == nil && n == want
			}, patience, 10*time.Millisecond, "synchronous_commit = %s", setting)
		}
		waiting("*", 1)
		cancel()
		assert.ErrorIs(t, <-returned, context.Canceled, "synchronous_commit = %s", setting)
		waiting("pg_terminate_backend(pid)", 0) // unless pgx, which lets go of the connection, has ended the wait
	}
	primary.Kill(t)
	standby.Restart(t)
	standby.Promote(t)
	after := openStore(t, newPool(t, standby.DSN()))
	for setting := range pools {
		_, err := after.Key(t.Context(), apikey.ID("kept-"+setting))
		assert.NoError(t, err, "synchronous_commit = %s", setting)
	}
}

// TestUnconfirmedCommit has something end the wait of a commit for the synchronous standby.
// The server then answers as if nothing had happened, with a warning.
func TestUnconfirmedCommit(t *testing.T) {
	primary, standby := replicated(t)
	operator := newPool(t, primary.DSN())
	end := func(function string) {
		require.Eventually(t, func() bool {
			var n int
			err := operator.QueryRow(t.Context(), `SELECT count(`+function+`(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'waiting'`).Scan(&n)
			return err == nil && n > 0
		}, patience, 10*time.Millisecond)
	}
	with := func(name, value string) *pgxpool.Pool {
		return newPool(t, primary.DSN(), func(c *pgxpool.Config) {
			c.ConnConfig.RuntimeParams["application_name"] = "waiting"
			if name != "" {
				c.ConnConfig.RuntimeParams[name] = value
			}
		})
	}
	usual := with("", "")
	s := openStore(t, usual)
	stored, err := s.PutKey(t.Context(), newKey(t, "stored", "acme", "192.0.2.1"))
	require.NoError(t, err)
	standby.Stop(t)

	put := func(s store.Store, id string) func() error {
		return func() error {
			_, err := s.PutKey(context.Background(), newKey(t, id, "acme", "192.0.2.1"))
			return err
		}
	}
	const unconfirmed = "want the synchronous standby to confirm it"
	for _, c := range []struct {
		name  string
		write func() error
		end   string
		want  string
	}{
		{"PutKey", put(s, "put"), "pg_cancel_backend", unconfirmed},
		{"PutKey, without warnings for clients", put(openStore(t, with("client_min_messages", "error")), "unwarned"), "pg_cancel_backend", unconfirmed},
		{"PutKey, terminated", put(s, "terminated"), "pg_terminate_backend", "COMMIT"},
		{"PutOrganization", func() error {
			_, err := s.PutOrganization(context.Background(), policy.Organization{ID: "other"})
			return err
		}, "pg_cancel_backend", unconfirmed},
		{"DeleteKey", func() error { return s.DeleteKey(context.Background(), stored.ID, stored.Revision) }, "pg_cancel_backend", unconfirmed},
		{"Load", func() error { return s.Load(context.Background(), []policy.Organization{{ID: "loaded"}}, nil) }, "pg_cancel_backend", unconfirmed},
		{"RecordUsage", func() error {
			return s.RecordUsage(context.Background(), adapter.UsageBatch(usage(newKey(t, "put", "acme"), 1)))
		}, "pg_cancel_backend", unconfirmed},
		{"a caller's transaction", func() error {
			tx, err := usual.Begin(context.Background())
			if err != nil {
				return err
			}
			if err := put(s.WithTx(tx), "callers")(); err != nil {
				return fmt.Errorf("before the commit: %w", err)
			}
			return postgres.Commit(context.Background(), tx)
		}, "pg_cancel_backend", unconfirmed},
	} {
		t.Run(c.name, func(t *testing.T) {
			ended := make(chan error, 1)
			go func() { ended <- c.write() }()
			end(c.end)
			err := <-ended
			assert.ErrorContains(t, err, c.want)
			assert.NotErrorIs(t, err, store.ErrNotWritten)
		})
	}
	t.Run("PutKey, behind a pooler", func(t *testing.T) {
		pooled := primary.Pooler(t, "transaction", "postgres") + " application_name=waiting default_query_exec_mode=exec"
		ended := make(chan error, 1)
		s := openStore(t, newPool(t, pooled))
		go func() { ended <- put(s, "pooled")() }()
		end("pg_cancel_backend")
		assert.ErrorContains(t, <-ended, unconfirmed)
	})
	assertAllReturned(t, usual)
	for _, id := range []string{"put", "callers"} {
		_, err = s.Key(t.Context(), apikey.ID(id))
		assert.NoError(t, err, "it happened, whole")
	}

	standby.Restart(t)
	_, err = s.PutKey(t.Context(), newKey(t, "confirmed", "acme", "192.0.2.1"))
	require.NoError(t, err)
}

// TestCommit: a caller's transaction is committed, and its connection returned.
func TestCommit(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	acme(t, s)
	tx, err := pool.Begin(ctx)
	require.NoError(t, err)
	_, err = s.WithTx(tx).PutKey(ctx, newKey(t, "committed", "acme", "192.0.2.1"))
	require.NoError(t, err)
	require.NoError(t, postgres.Commit(ctx, tx))
	_, err = s.Key(ctx, "committed")
	require.NoError(t, err)
	assert.ErrorIs(t, tx.Commit(ctx), pgx.ErrTxClosed)
	assert.ErrorIs(t, postgres.Commit(ctx, tx), pgx.ErrTxClosed)

	tx, err = pool.Begin(ctx)
	require.NoError(t, err)
	_, err = s.WithTx(tx).PutKey(ctx, newKey(t, "aborted", "acme", "192.0.2.1"))
	require.NoError(t, err)
	_, err = tx.Exec(ctx, `SELECT 1/0`)
	require.Error(t, err)
	assert.ErrorContains(t, postgres.Commit(ctx, tx), "current transaction is aborted")
	assertAllReturned(t, pool)

	// A connection is used again by the next.
	conn, err := pgx.Connect(ctx, pool.Config().ConnString())
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	for _, id := range []string{"first", "second"} {
		tx, err := conn.Begin(ctx)
		require.NoError(t, err)
		_, err = s.WithTx(tx).PutKey(ctx, newKey(t, id, "acme", "192.0.2.1"))
		require.NoError(t, err)
		require.NoError(t, postgres.Commit(ctx, tx))
		_, err = s.Key(ctx, apikey.ID(id))
		require.NoError(t, err)
	}

	// A savepoint is not committed, since the transaction around it would be.
	tx, err = pool.Begin(ctx)
	require.NoError(t, err)
	savepoint, err := tx.Begin(ctx)
	require.NoError(t, err)
	_, err = s.WithTx(savepoint).PutKey(ctx, newKey(t, "rolled-back", "acme", "192.0.2.1"))
	require.NoError(t, err)
	assert.ErrorContains(t, postgres.Commit(ctx, savepoint), "is a savepoint of another: want ")
	require.NoError(t, savepoint.Commit(ctx))
	require.NoError(t, tx.Rollback(ctx))
	_, err = s.Key(ctx, "rolled-back")
	assert.ErrorIs(t, err, store.ErrNotFound)

	// What a deferred constraint refuses is refused.
	exec(t, pool, `CREATE TABLE unique_late (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)`)
	tx, err = pool.Begin(ctx)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, `INSERT INTO unique_late VALUES (1), (1)`)
	require.NoError(t, err)
	assert.ErrorContains(t, postgres.Commit(ctx, tx), "duplicate key value")
	assertAllReturned(t, pool)
}
