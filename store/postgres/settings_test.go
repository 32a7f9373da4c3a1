package postgres_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
)

// TestBeforeConnect: what a pool does before it connects, such as fetching a password
// that changes, is done for the connection that listens, too, and again if it fails.
func TestBeforeConnect(t *testing.T) {
	dsn := postgrestest.Shared(t).Database(t)
	writer := newStore(t, newPool(t, dsn))
	acme(t, writer)
	var calls atomic.Int64
	s := openStore(t, newPool(t, dsn, func(c *pgxpool.Config) {
		c.MaxConns = 1
		c.BeforeConnect = func(context.Context, *pgx.ConnConfig) error {
			if calls.Add(1) == 2 { // the first is the pool's own
				return assert.AnError
			}
			return nil
		}
	}))
	f := follow(t, s)
	require.Eventually(t, func() bool { return calls.Load() >= 3 }, patience, time.Millisecond)
	f.is(t, writer)
	assert.Empty(t, f.ended())
}

// TestOnNotification: what a program does with notifications on the pool's connections is
// not done on that which listens.
func TestOnNotification(t *testing.T) {
	s := newStore(t, newPool(t, postgrestest.Shared(t).Database(t), func(c *pgxpool.Config) {
		c.ConnConfig.OnNotification = func(*pgconn.PgConn, *pgconn.Notification) { t.Error("a notification was taken") }
	}))
	assertNotified(t, s)
}

// TestStatementTimeout: what is right for an application's statements is not for reading
// everything.
func TestStatementTimeout(t *testing.T) {
	dsn := postgrestest.Shared(t).Database(t)
	load(t, newStore(t, newPool(t, dsn)), 4*postgres.Chunk)
	s := openStore(t, newPool(t, dsn, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["statement_timeout"] = "2s" }))
	told := 0
	for change, err := range s.Watch(t.Context(), store.Position{}) {
		require.NoError(t, err)
		if change.IsMark() {
			break
		}
		if told++; told == postgres.Chunk {
			time.Sleep(2100 * time.Millisecond) // longer than a statement may take
		}
	}
	assert.Equal(t, 4*postgres.Chunk+10, told)
}

// TestWritingTransactions looks at the settings in which writes are done, whatever the
// defaults are.
func TestWritingTransactions(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t), func(c *pgxpool.Config) {
		c.ConnConfig.RuntimeParams["synchronous_commit"] = "off"
		c.ConnConfig.RuntimeParams["default_transaction_isolation"] = "serializable"
	})
	s := newStore(t, pool)
	exec(t, pool, `CREATE TABLE seen (durable text, isolation text, patience text);
		CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			INSERT INTO seen VALUES (current_setting('synchronous_commit'), current_setting('transaction_isolation'), current_setting('idle_in_transaction_session_timeout'));
			RETURN NULL; END $$;
		CREATE TRIGGER see AFTER INSERT ON sallyport.changes FOR EACH STATEMENT EXECUTE FUNCTION see()`)
	acme(t, s)
	var durable, isolation, idle string
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT DISTINCT * FROM seen`).Scan(&durable, &isolation, &idle))
	assert.Equal(t, []string{"on", "read committed", "10s"}, []string{durable, isolation, idle})
	require.NoError(t, pool.QueryRow(t.Context(), `SHOW synchronous_commit`).Scan(&durable))
	assert.Equal(t, "off", durable, "which is the caller's to set")
}
