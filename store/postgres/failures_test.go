package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/internal/freeport"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/internal/faultproxy"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
	"github.com/sallyport-go/sallyport/store/storetest/crashtest"
)

// within is how long a call may take whose server does not answer.
const within = 300 * time.Millisecond

// TestBackendsKilled kills the connections of a store again and again, that which
// listens among them, while it is written to and watched.
func TestBackendsKilled(t *testing.T) {
	ctx, dsn := t.Context(), postgrestest.Shared(t).Database(t)
	s := newStore(t, newPool(t, dsn))
	other := openStore(t, newPool(t, dsn, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["application_name"] = "spared" }))
	killer := newPool(t, dsn, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["application_name"] = "spared" })
	acme(t, s)
	f := follow(t, s)
	for n := range 30 {
		exec(t, killer, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name <> 'spared'`)
		_, err := other.PutKey(ctx, newKey(t, fmt.Sprint("key-", n), "acme", "192.0.2.1"))
		require.NoError(t, err)
		if _, err := s.PutKey(ctx, newKey(t, fmt.Sprint("own-", n), "acme", "192.0.2.1")); err != nil {
			assert.NotErrorIs(t, err, store.ErrExists)
		}
	}
	f.is(t, other)
	for _, err := range f.ended() {
		assert.NotErrorIs(t, err, store.ErrCompacted)
	}
}

// TestNotificationLost writes as a store does, but for the notification.
func TestNotificationLost(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	acme(t, s)
	f := follow(t, s)
	f.is(t, s)
	for n := range 2 {
		exec(t, pool, fmt.Sprintf(`WITH given AS (INSERT INTO sallyport.changes SELECT max(revision) + 1, 'unheard %d', NULL, false FROM sallyport.changes RETURNING revision)
			INSERT INTO sallyport.organizations SELECT 'unheard %[1]d', revision, json_build_object('id', 'unheard %[1]d', 'requirement', 'required', 'revision', revision) FROM given`, n))
		f.is(t, s)
	}
	assert.Empty(t, f.ended())
}

// TestServerKilled kills the server under writers, and starts it again.
func TestServerKilled(t *testing.T) {
	server := postgrestest.Start(t)
	s := newStore(t, newPool(t, server.DSN()))
	acme(t, s)
	f := follow(t, s)
	var ledger crashtest.Ledger
	rounds := 3
	if testing.Short() {
		rounds = 1
	}
	for round := range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- crashtest.WriteUntilKilled(ctx, s, uint64(round), &ledger) }()
		before := ledger.Acknowledged()
		require.Eventually(t, func() bool { return ledger.Acknowledged() > before+100 }, patience, time.Millisecond)
		if round%3 == 2 {
			server.Stop(t)
		} else {
			server.Kill(t)
		}
		assert.Equal(t, policy.Unavailable, decided(s, "key"), "while the server is down")
		_, err := revisionOf(ctx, s)
		assert.Error(t, err)
		cancel()
		<-ended
		server.Restart(t)
		waitFor(t, s)
		ledger.Check(t, s)
		f.is(t, s)
	}
	for _, err := range f.ended() {
		assert.NotErrorIs(t, err, store.ErrCompacted, "nothing was lost, so nobody begins anew")
	}
}

// waitFor waits until the store answers.
func waitFor(t testing.TB, s *postgres.Store) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := revisionOf(context.Background(), s)
		return err == nil
	}, patience, time.Millisecond)
}

// throughProxy returns a store that reaches the shared server by a proxy, by TCP and with
// a password, and one that reaches it by itself.
func throughProxy(t testing.TB) (s, direct *postgres.Store, p *faultproxy.Proxy) {
	t.Helper()
	server := postgrestest.Shared(t)
	dsn := server.Database(t)
	p = faultproxy.Start(t, server.Address())
	direct = newStore(t, newPool(t, dsn))
	host, port, _ := strings.Cut(p.Address(), ":")
	s = openStore(t, newPool(t, fmt.Sprintf("%s host=%s port=%s password=%s sslmode=disable", dsn, host, port, postgrestest.Password)))
	return s, direct, p
}

func TestConnectionsCut(t *testing.T) {
	s, direct, p := throughProxy(t)
	acme(t, direct)
	f := follow(t, s)
	f.is(t, direct)
	for n := range 5 {
		p.Cut()
		assert.Equal(t, policy.Unavailable, decided(s, "key"))
		_, err := direct.PutKey(t.Context(), newKey(t, fmt.Sprint("key-", n), "acme", "192.0.2.1"))
		require.NoError(t, err)
		p.Heal()
		waitFor(t, s)
		f.is(t, direct)
		assert.NotEqual(t, policy.Unavailable, decidedWithin(s, "key", patience))
	}
}

// TestConnectionsSilent has connections stand on which nothing comes any more.
func TestConnectionsSilent(t *testing.T) {
	s, direct, p := throughProxy(t)
	s.SetMaxStall(2 * within)
	organization, key := acme(t, direct)
	f := follow(t, s)
	f.is(t, direct)
	p.Hold()
	assert.Equal(t, policy.Unavailable, decided(s, "key"))
	for name, do := range map[string]func(context.Context) error{
		"Revision":        func(ctx context.Context) error { _, err := revisionOf(ctx, s); return err },
		"Key":             func(ctx context.Context) error { _, err := s.Key(ctx, "key"); return err },
		"PutKey":          func(ctx context.Context) error { _, err := s.PutKey(ctx, key); return err },
		"PutOrganization": func(ctx context.Context) error { _, err := s.PutOrganization(ctx, organization); return err },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		assert.ErrorIs(t, do(ctx), context.DeadlineExceeded, name)
		cancel()
	}
	// The watch says that it cannot go on, without being asked.
	require.Eventually(t, func() bool { return len(f.ended()) > 0 }, patience, time.Millisecond)
	assert.ErrorIs(t, f.ended()[0], postgres.ErrStalled)
	_, err := direct.PutKey(t.Context(), newKey(t, "another", "acme", "192.0.2.1"))
	require.NoError(t, err)
	p.Heal()
	f.is(t, direct)
	_, err = s.Key(t.Context(), "another")
	require.NoError(t, err)
}

func TestPoolOfOne(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t), func(c *pgxpool.Config) { c.MaxConns = 1 })
	s := newStore(t, pool)
	s.SetMaxStall(within)
	_, key := acme(t, s)
	f := follow(t, s)
	f.is(t, s)
	_, err := s.PutKey(t.Context(), key)
	require.NoError(t, err)
	f.is(t, s)

	// Somebody else has the connection.
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	assert.Equal(t, policy.Unavailable, decided(s, "key"))
	require.Eventually(t, func() bool { return len(f.ended()) > 0 }, patience, time.Millisecond)
	assert.ErrorIs(t, f.ended()[0], postgres.ErrStalled)
	conn.Release()
	f.is(t, s)
}

func TestPoolClosed(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	organization, key := acme(t, s)
	f := follow(t, s)
	f.is(t, s)
	pool.Close()
	for name, err := range everyCall(t.Context(), s, organization, key) {
		assert.ErrorContains(t, err, "closed pool", name)
	}
	assert.Equal(t, policy.Unavailable, decided(s, "key"))
	require.Eventually(t, func() bool { return len(f.ended()) > 0 }, patience, time.Millisecond)
	require.NoError(t, s.Close())
	_, err := postgres.New(t.Context(), pool)
	assert.ErrorContains(t, err, "closed pool")
	assert.ErrorContains(t, postgres.Migrate(t.Context(), pool), "closed pool")
}

// TestCloseLeavesThePool: it is the caller's.
func TestCloseLeavesThePool(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	first(t, s)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.NoError(t, pool.Ping(t.Context()))
	assertAllReturned(t, pool)
	assert.Eventually(t, func() bool {
		var others int
		err := pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'`).Scan(&others)
		return err == nil && others == 0
	}, patience, time.Millisecond, "the connection that listens is closed")
}

func TestUnreachable(t *testing.T) {
	server := postgrestest.Shared(t)
	host, port, _ := strings.Cut(server.Address(), ":")
	noPort, release, err := freeport.Reserve() // nobody listens
	require.NoError(t, err)
	defer release()
	for _, c := range []struct{ dsn, want string }{
		{fmt.Sprintf("host=%s port=%s user=postgres password=not-the-password sslmode=disable", host, port), "password authentication failed"},
		{fmt.Sprintf("host=%s port=%d user=postgres password=not-the-password sslmode=disable", host, noPort), "connection refused"},
		{server.DSN() + " dbname=no_such_database", `database "no_such_database" does not exist`},
	} {
		pool := newPool(t, c.dsn)
		_, err := postgres.New(t.Context(), pool)
		assert.ErrorContains(t, err, c.want)
		assert.NotContains(t, err.Error(), "not-the-password")
		err = postgres.Migrate(t.Context(), pool)
		assert.ErrorContains(t, err, c.want)
		assert.NotContains(t, err.Error(), "not-the-password")
	}
}

// TestReadOnly has a database in which the operator has writes stopped.
func TestReadOnly(t *testing.T) {
	ctx, dsn := t.Context(), postgrestest.Shared(t).Database(t)
	organization, key := acme(t, newStore(t, newPool(t, dsn)))
	s := openStore(t, newPool(t, dsn, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on" }))
	before, _ := everything(t, s)
	for name, err := range everyCall(ctx, s, organization, key) {
		switch name {
		case "PutOrganization", "PutKey", "DeleteOrganization", "DeleteKey", "Load", "Write", "RecordUsage", "RecordObservation":
			assert.ErrorContains(t, err, "read-only transaction", name)
			assert.ErrorContains(t, err, "connect to a server, as a user, that may write", name)
		default:
			assert.NoError(t, err, name)
		}
	}
	after, keys := everything(t, s)
	assert.Equal(t, before, after)
	assert.True(t, key.Equal(keys["key"]))
}

// TestStandby: a server that copies another may lag behind, so it is not asked.
func TestStandby(t *testing.T) {
	server := postgrestest.Start(t)
	pool := newPool(t, server.DSN())
	s := newStore(t, pool)
	organization, key := acme(t, s)
	server.Stop(t)
	require.NoError(t, os.WriteFile(filepath.Join(server.Data(), "standby.signal"), nil, 0o644))
	server.Restart(t)
	require.Eventually(t, func() bool { return pool.Ping(t.Context()) == nil }, patience, time.Millisecond)
	_, err := postgres.New(t.Context(), pool)
	assert.ErrorContains(t, err, "the server is a standby")
	for name, err := range everyCall(t.Context(), s, organization, key) {
		if name == "RecordUsage" || name == "RecordObservation" {
			assert.ErrorContains(t, err, "cannot execute", name)
		} else {
			assert.ErrorContains(t, err, "the server is a standby, which may lag behind: connect to the primary", name)
		}
	}
	assert.Equal(t, policy.Unavailable, decided(s, "key"))
}

// TestLocked has somebody hold the lock that every write takes.
func TestLocked(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	organization, key := acme(t, s)
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	_, err = tx.Exec(t.Context(), `SELECT FROM sallyport.state FOR UPDATE`)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	_, err = s.PutKey(ctx, key)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, s.RecordUsage(t.Context(), adapter.UsageBatch(usage(key, 1))), "which takes no turn")
	_, _, err = s.Lookup(t.Context(), "key")
	require.NoError(t, err, "which waits for nobody")
	require.NoError(t, tx.Rollback(t.Context()))
	got, err := s.Key(t.Context(), "key")
	require.NoError(t, err)
	assert.Equal(t, key, got)
	_, err = s.PutOrganization(t.Context(), organization)
	require.NoError(t, err)
}

// TestDeadlock has an operator take rows in another order than the store does. Only he
// who closes the circle finds it, since the server looks once in a wait: so the store is
// held up, by a trigger, until the operator waits.
func TestDeadlock(t *testing.T) {
	ctx, dsn := t.Context(), postgrestest.Shared(t).Database(t)
	timeout := func(d string) func(*pgxpool.Config) {
		return func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["deadlock_timeout"] = d }
	}
	s := newStore(t, newPool(t, dsn, timeout("10ms")))
	_, key := acme(t, s)
	operator := newPool(t, dsn, timeout("5s"))
	exec(t, operator, `CREATE SEQUENCE tries;
		CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''tries''); PERFORM pg_advisory_xact_lock(1); RETURN NULL; END';
		CREATE TRIGGER hold BEFORE UPDATE ON sallyport.keys FOR EACH STATEMENT EXECUTE FUNCTION hold()`)
	held, err := operator.Begin(ctx)
	require.NoError(t, err)
	defer func() { _ = held.Rollback(context.Background()) }()
	_, err = held.Exec(ctx, `SELECT pg_advisory_xact_lock(1)`)
	require.NoError(t, err)
	tx, err := operator.Begin(ctx)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	_, err = tx.Exec(ctx, `SELECT FROM sallyport.keys FOR UPDATE`)
	require.NoError(t, err)

	put, locked := make(chan error, 1), make(chan error, 1)
	go func() { _, err := s.PutKey(context.Background(), key); put <- err }()
	waitsFor(t, operator, "advisory") // the store, which has locked its state
	go func() {
		_, err := tx.Exec(context.Background(), `SELECT FROM sallyport.state FOR UPDATE`)
		locked <- err
	}()
	waitsFor(t, operator, "transactionid") // the operator
	require.NoError(t, held.Commit(ctx))
	// The server looks once, so long after a wait began. On a busy machine the store locks its state
	// anew before the operator has awoken, and looks too early: then the operator's is taken back.
	if err := <-locked; err == nil {
		require.NoError(t, tx.Commit(ctx))
	} else {
		require.ErrorContains(t, err, "SQLSTATE 40P01")
	}
	require.NoError(t, <-put)
	var tries int
	require.NoError(t, operator.QueryRow(ctx, `SELECT last_value FROM tries`).Scan(&tries))
	require.GreaterOrEqual(t, tries, 2, "the store's transaction is taken back, and tried again")
}

// TestKeepsChanging has something in the database undo every write.
func TestKeepsChanging(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	_, key := acme(t, s)
	exec(t, pool, `CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
		CREATE TRIGGER undo BEFORE UPDATE OR DELETE ON sallyport.keys FOR EACH ROW EXECUTE FUNCTION undo()`)
	_, err := s.PutKey(t.Context(), key)
	assert.ErrorContains(t, err, fmt.Sprintf(`the record kept changing while it was written: key "key" at revision %d: try again`, key.Revision))
	assert.ErrorContains(t, s.DeleteKey(t.Context(), "key", 0), `the record kept changing while it was written: key "key" at revision 0: try again`)
	got, err := s.Key(t.Context(), "key")
	require.NoError(t, err)
	assert.Equal(t, key, got)
	revision, err := revisionOf(t.Context(), s)
	require.NoError(t, err)
	assert.Equal(t, key.Revision, revision)
}

// TestClosedDuring closes a store under readers.
func TestClosedDuring(t *testing.T) {
	s := newStore(t, newPool(t, postgrestest.Shared(t).Database(t)))
	acme(t, s)
	ended := make(chan error)
	for range 4 {
		go func() {
			for {
				if _, _, err := s.Lookup(context.Background(), "key"); err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	require.NoError(t, s.Close())
	for range 4 {
		assert.True(t, errors.Is(<-ended, store.ErrClosed))
	}
}
