package postgres_test

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
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

func exec(t testing.TB, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	_, err := pool.Exec(context.Background(), sql, args...)
	require.NoError(t, err, sql)
}

// TestMigrateTogether has several instances, with connections of their own, begin on an
// empty database at once, and use it at once.
func TestMigrateTogether(t *testing.T) {
	ctx, dsn := t.Context(), postgrestest.Shared(t).Database(t)
	var all sync.WaitGroup
	for i := range 8 {
		pool := newPool(t, dsn)
		all.Go(func() {
			if !assert.NoError(t, postgres.Migrate(ctx, pool)) {
				return
			}
			s, err := postgres.New(ctx, pool)
			if assert.NoError(t, err) {
				_, err = s.PutOrganization(ctx, policy.Organization{ID: fmt.Sprint(i)})
				assert.NoError(t, err)
				assert.NoError(t, s.Close())
			}
		})
	}
	all.Wait()
	pool := newPool(t, dsn)
	page, err := openStore(t, pool).Organizations(ctx, store.PageRequest{})
	require.NoError(t, err)
	assert.Len(t, page.Items, 8)
	var rows int
	require.NoError(t, pool.QueryRow(ctx, `SELECT count(*) FROM sallyport.migrations`).Scan(&rows))
	assert.Equal(t, 1, rows)
}

// TestMigrateWaitsForTheContext has another instance migrate at the time.
func TestMigrateWaitsForTheContext(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	_, err = tx.Exec(t.Context(), `SELECT pg_advisory_xact_lock(23057, hashtext($1))`, postgres.DefaultSchema)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- postgres.Migrate(ctx, pool) }()
	waitsFor(t, pool, "advisory")
	cancel()
	assert.ErrorIs(t, <-ended, context.Canceled)
}

// TestMigrateStatementTimeout: the pool's does not end the wait, nor a step.
func TestMigrateStatementTimeout(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t), func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["statement_timeout"] = "1h" })
	require.NoError(t, postgres.MigrateTo(ctx, pool, []string{"-- readable from 1, writable from 1\n" + `CREATE TABLE sallyport.seen AS SELECT current_setting('statement_timeout') AS timeout`}))
	var timeout, after string
	require.NoError(t, pool.QueryRow(ctx, `SELECT timeout, current_setting('statement_timeout') FROM sallyport.seen`).Scan(&timeout, &after))
	assert.Equal(t, "0", timeout)
	assert.Equal(t, "1h", after)
}

func TestSchemas(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	names := []string{postgres.DefaultSchema, `it's "quoted"; --`, "Ünïcode.é", "sallyport.v2", "upper", "UPPER", strings.Repeat("x", 63)}
	stores := map[string]*postgres.Store{}
	for _, name := range names {
		stores[name] = newStore(t, pool, postgres.Schema(name))
		_, err := stores[name].PutOrganization(ctx, policy.Organization{ID: name})
		require.NoError(t, err)
	}
	for name, s := range stores {
		page, err := s.Organizations(ctx, store.PageRequest{})
		require.NoError(t, err)
		require.Len(t, page.Items, 1, "the stores share nothing")
		assert.Equal(t, name, page.Items[0].ID)
	}
	for _, name := range []string{"", strings.Repeat("x", 64), "pg_mine", "nul\x00", "\xff"} {
		_, err := postgres.New(ctx, pool, postgres.Schema(name), nil)
		assert.ErrorContains(t, err, "want 1 to 63 bytes", "%q", name)
		assert.ErrorContains(t, postgres.Migrate(ctx, pool, postgres.Schema(name)), "want 1 to 63 bytes", "%q", name)
	}
}

func TestVersions(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	_, err := postgres.New(ctx, pool)
	require.ErrorContains(t, err, "run Migrate", "no tables")

	s := newStore(t, pool)
	organization, err := s.PutOrganization(ctx, policy.Organization{ID: "acme"})
	require.NoError(t, err)
	key, err := s.PutKey(ctx, newKey(t, "key", "acme", "192.0.2.1"))
	require.NoError(t, err)
	require.NoError(t, postgres.Migrate(ctx, pool), "nothing is left to do")

	for _, c := range []struct{ change, want string }{
		{`INSERT INTO sallyport.migrations (version, readable_from, writable_from) VALUES (99, 98, 98)`, "its tables have version 99, which programs from version 98 on may "},
		{`DELETE FROM sallyport.migrations WHERE version > 0`, "its tables have version 0 and this program needs version 1: run Migrate"},
	} {
		exec(t, pool, c.change)
		_, err = postgres.New(ctx, pool)
		assert.ErrorContains(t, err, c.want)
		// One that was opened before notices too, whatever it is asked.
		for name, err := range everyCall(ctx, s, organization, key) {
			assert.ErrorContains(t, err, c.want, name)
		}
		assert.ErrorContains(t, s.Load(ctx, []policy.Organization{{ID: "acme"}}, nil), c.want, "which would be refused")
		decision := policy.New(s).Decide(ctx, request(key.ID))
		assert.Equal(t, policy.Unavailable, decision.Reason)
	}
	exec(t, pool, `INSERT INTO sallyport.migrations (version, readable_from, writable_from) VALUES (99, 98, 99)`)
	assert.ErrorIs(t, postgres.Migrate(ctx, pool), store.ErrNewer)
	exec(t, pool, `DELETE FROM sallyport.migrations`)
	assert.ErrorContains(t, postgres.Migrate(ctx, pool), "migration 1", "the tables are there already")

	exec(t, pool, `INSERT INTO sallyport.migrations (version, readable_from, writable_from) VALUES (1, 1, 1)`)
	got, err := s.Key(ctx, "key")
	require.NoError(t, err)
	assert.Equal(t, key, got, "nothing has changed all the while")

	// Columns that somebody has emptied admit nobody.
	exec(t, pool, `ALTER TABLE sallyport.migrations ALTER writable_from DROP NOT NULL; UPDATE sallyport.migrations SET writable_from = NULL`)
	_, err = s.PutKey(ctx, key)
	assert.ErrorContains(t, err, "its table migrations does not say which versions may write it")
	exec(t, pool, `ALTER TABLE sallyport.migrations ALTER readable_from DROP NOT NULL; UPDATE sallyport.migrations SET readable_from = NULL`)
	_, err = s.Key(ctx, "key")
	assert.ErrorContains(t, err, "its table migrations does not say which versions may read it")
	assert.ErrorContains(t, postgres.Migrate(ctx, pool), "does not say")
}

// newerStep returns a step of a later version.
func newerStep(readableFrom, writableFrom int, sql string) string {
	return fmt.Sprintf("-- readable from %d, writable from %d\n%s", readableFrom, writableFrom, sql)
}

// TestUpgrade has a newer program migrate under one that is running: it adds a column, then
// forbids the older one to write, then to read.
func TestUpgrade(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	organization, key := acme(t, s)
	f := follow(t, s)
	f.is(t, s)
	steps, err := postgres.Steps()
	require.NoError(t, err)

	require.ErrorContains(t, postgres.MigrateTo(ctx, pool, append(steps, newerStep(1, 1, `CREATE TABLE sallyport.more ()`), newerStep(3, 3, `CREATE TABLE sallyport.more ()`))), "already exists")
	_, err = s.PutOrganization(ctx, organization)
	require.NoError(t, err, "nothing has changed")

	// Expanded. The older one goes on, and so does one that begins now.
	steps = append(steps, newerStep(1, 1, `ALTER TABLE sallyport.keys ADD networks text; ALTER TABLE sallyport.organizations ADD plan text NOT NULL DEFAULT 'free'`))
	require.NoError(t, postgres.MigrateTo(ctx, pool, steps))
	require.NoError(t, postgres.Migrate(ctx, pool), "an older program finds nothing to do")
	for i, s := range []*postgres.Store{s, openStore(t, pool)} {
		key, err = s.PutKey(ctx, key)
		require.NoError(t, err)
		_, err = s.PutOrganization(ctx, policy.Organization{ID: fmt.Sprint("new", i)})
		require.NoError(t, err)
		f.is(t, s)
		require.NoError(t, s.RecordUsage(ctx, adapter.UsageBatch(usage(key, 3))))
	}

	// An older one may not write any more, and decides as before.
	steps = append(steps, newerStep(1, 3, `ALTER TABLE sallyport.keys ALTER networks SET DEFAULT ''`))
	require.NoError(t, postgres.MigrateTo(ctx, pool, steps))
	require.NoError(t, postgres.Migrate(ctx, pool), "an older program finds nothing to do")
	for _, s := range []*postgres.Store{s, openStore(t, pool)} {
		before, err := revisionOf(ctx, s)
		require.NoError(t, err)
		organization, err := s.Organization(ctx, "acme")
		require.NoError(t, err)
		for name, err := range everyCall(ctx, s, organization, key) {
			switch name {
			case "PutOrganization", "PutKey", "Load", "RecordUsage", "RecordObservation", "Write", "DeleteKey", "DeleteOrganization":
				assert.ErrorIs(t, err, store.ErrNewer, name)
				assert.ErrorContains(t, err, "its tables have version 3, which programs from version 3 on may write, and this one has version 1", name)
			default:
				assert.NoError(t, err, name)
			}
		}
		after, err := revisionOf(ctx, s)
		require.NoError(t, err)
		assert.Equal(t, before, after, "nothing was written")
		known, err := s.Usage(ctx, key.ID)
		require.NoError(t, err)
		assert.EqualValues(t, 6, known[key.ID].Secrets[key.Secrets[0].ID()].Count)
		assert.NotEqual(t, policy.Unavailable, decidedWithin(s, key.ID, patience))
	}
	// Its watch goes on, with what the newer one writes.
	exec(t, pool, `UPDATE sallyport.migrations SET writable_from = 1`)
	_, err = openStore(t, pool).PutOrganization(ctx, policy.Organization{ID: "newer"})
	require.NoError(t, err)
	f.is(t, s)
	require.Empty(t, f.ended())

	steps = append(steps, newerStep(4, 4, `ALTER TABLE sallyport.keys ADD hidden boolean`))
	require.NoError(t, postgres.MigrateTo(ctx, pool, steps))
	for name, err := range everyCall(ctx, s, organization, key) {
		assert.ErrorIs(t, err, store.ErrNewer, name)
	}
	require.Eventually(t, func() bool { return len(f.ended()) > 0 }, patience, time.Millisecond)
	assert.ErrorIs(t, f.ended()[0], store.ErrNewer)
	_, err = postgres.New(ctx, pool)
	require.ErrorIs(t, err, store.ErrNewer)
	require.ErrorIs(t, postgres.Migrate(ctx, pool), store.ErrNewer)
	require.NoError(t, postgres.MigrateTo(ctx, pool, append(steps[:4:4], newerStep(4, 4, ``))), "the newer one goes on")

	// The columns that an older one reads may be gone, too.
	require.NoError(t, postgres.MigrateTo(ctx, pool, append(steps[:4:4], newerStep(4, 4, ``), newerStep(6, 6, `ALTER TABLE sallyport.keys DROP entries`))))
	_, found, err := s.Lookup(ctx, key.ID)
	require.ErrorContains(t, err, "run Migrate, or the newer program")
	require.False(t, found)
}

// TestUpgradesKeepTheHistory has newer programs migrate one after the other while nobody writes:
// a follower goes on from the position it has read in between (E6).
func TestUpgradesKeepTheHistory(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	acme(t, s)
	before, err := s.Position(ctx)
	require.NoError(t, err)
	steps, err := postgres.Steps()
	require.NoError(t, err)
	for range 3 {
		steps = append(steps, newerStep(1, 1, ``))
		require.NoError(t, postgres.MigrateTo(ctx, pool, steps))
		after, err := s.Position(ctx)
		require.NoError(t, err)
		assert.Equal(t, before, after)
		_, err = s.Events(ctx, store.EventRequest{After: before})
		require.NoError(t, err)
	}
	organization, err := s.PutOrganization(ctx, policy.Organization{ID: "next"})
	require.NoError(t, err)
	assert.Equal(t, before.Revision+1, organization.Revision)
}

// TestUpgradeBehindATransaction has a newer program migrate while a transaction goes on that
// has read the tables. Decisions do not wait for it with the migration.
func TestUpgradeBehindATransaction(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	_, key := acme(t, s)
	steps, err := postgres.Steps()
	require.NoError(t, err)
	steps = append(steps, newerStep(1, 1, `ALTER TABLE sallyport.keys ADD networks text`))
	migrate := func(ctx context.Context) <-chan error {
		ended := make(chan error, 1)
		go func() { ended <- postgres.MigrateTo(ctx, pool, steps) }()
		waitsFor(t, pool, "relation")
		return ended
	}
	tx, err := pool.Begin(ctx)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	_, err = tx.Exec(ctx, `SELECT FROM sallyport.keys`)
	require.NoError(t, err)

	leaving, leave := context.WithCancel(ctx)
	ended := migrate(leaving)
	_, found, err := s.Lookup(ctx, key.ID)
	require.NoError(t, err)
	require.True(t, found)
	leave()
	require.Error(t, <-ended)

	ended = migrate(ctx)
	_, err = s.Key(ctx, key.ID)
	require.NoError(t, err)
	require.NoError(t, tx.Rollback(ctx))
	require.NoError(t, <-ended)
	_, err = s.PutKey(ctx, key)
	require.NoError(t, err)
}

// TestUpgradeBeforeAnOldSnapshot has a newer program migrate while a transaction goes on
// that will not see it.
func TestUpgradeBeforeAnOldSnapshot(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	_, key := acme(t, s)
	steps, err := postgres.Steps()
	require.NoError(t, err)
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		tx, err := pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: level})
		require.NoError(t, err)
		within := s.WithTx(tx)
		seen, err := within.Key(ctx, "key")
		require.NoError(t, err)
		steps = append(steps, newerStep(1, 2, ``))
		require.NoError(t, postgres.MigrateTo(ctx, pool, steps))
		_, err = within.PutKey(ctx, seen)
		assert.ErrorContains(t, err, "SQLSTATE 40001", level)
		require.NoError(t, tx.Rollback(ctx))
		exec(t, pool, `DELETE FROM sallyport.migrations WHERE version > 1`)
		steps = steps[:1]
	}
	got, err := s.Key(ctx, "key")
	require.NoError(t, err)
	assert.Equal(t, key, got)
}

// TestWriteDuringUpgrade has a write wait for its turn while a newer program migrates.
func TestWriteDuringUpgrade(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	organization, key := acme(t, s)
	tx, err := pool.Begin(ctx)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	_, err = tx.Exec(ctx, `UPDATE sallyport.state SET forgotten = forgotten`)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { _, err := s.PutOrganization(ctx, organization); ended <- err }()
	waitsFor(t, pool, "transactionid")
	_, err = tx.Exec(ctx, `INSERT INTO sallyport.migrations (version, readable_from, writable_from) VALUES (2, 1, 2)`)
	require.NoError(t, err)
	require.NoError(t, tx.Commit(ctx))
	assert.ErrorIs(t, <-ended, store.ErrNewer)
	exec(t, pool, `DELETE FROM sallyport.migrations WHERE version = 2`)
	got, err := s.Key(ctx, "key")
	require.NoError(t, err)
	assert.Equal(t, key, got)
	revision, err := revisionOf(ctx, s)
	require.NoError(t, err)
	assert.Equal(t, key.Revision, revision, "nothing was written")
}

func TestReadMigrations(t *testing.T) {
	for _, names := range [][]string{{"0002_b.sql"}, {"0001_a.sql", "0003_c.sql"}, {"0001_a.sql", "0001_b.sql"}, {"notes.txt"}} {
		dir := fstest.MapFS{}
		for _, name := range names {
			dir["migrations/"+name] = &fstest.MapFile{Data: []byte("-- readable from 1, writable from 1\n")}
		}
		_, err := postgres.ReadMigrations(dir)
		assert.ErrorContains(t, err, "want them numbered from 0001 without gaps", "%q", names)
	}
	for _, line := range []string{"", "CREATE", "-- readable from 1", "-- readable from 0, writable from 1", "-- readable from 2, writable from 1", "-- readable from 1, writable from 2", "-- readable from x, writable from 1"} {
		_, err := postgres.ReadMigrations(fstest.MapFS{"migrations/0001_a.sql": &fstest.MapFile{Data: []byte(line + "\n")}})
		assert.ErrorContains(t, err, `want "-- readable from R, writable from W", with R from 1 to W and W at most 1`, line)
	}
	_, err := postgres.ReadMigrations(fstest.MapFS{})
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

// everyCall calls every method that reads or writes so that it would succeed, and
// returns the errors.
func everyCall(ctx context.Context, s *postgres.Store, organization policy.Organization, key apikey.Key) map[string]error {
	errs := map[string]error{}
	_, _, errs["Lookup"] = s.Lookup(ctx, key.ID)
	_, errs["Organization"] = s.Organization(ctx, organization.ID)
	_, errs["Organizations"] = s.Organizations(ctx, store.PageRequest{})
	_, errs["Key"] = s.Key(ctx, key.ID)
	_, errs["Keys"] = s.Keys(ctx, organization.ID, store.PageRequest{})
	_, errs["PutOrganization"] = s.PutOrganization(ctx, organization)
	_, errs["PutKey"] = s.PutKey(ctx, key)
	errs["Load"] = s.Load(ctx, []policy.Organization{{ID: "another"}}, nil)
	_, errs["Revision"] = revisionOf(ctx, s)
	_, errs["Usage"] = s.Usage(ctx, key.ID)
	errs["RecordObservation"] = s.RecordObservation(ctx, store.Report{Recorder: "r", Since: time.Now(), From: time.Now(), Until: time.Now(), At: time.Now()})
	errs["RecordUsage"] = s.RecordUsage(ctx, adapter.UsageBatch(store.UsageRecord{Key: key.ID, Secret: key.Secrets[0].ID()}))
	for _, err := range s.Watch(ctx, store.Position{}) {
		errs["Watch"] = err
		break
	}
	_, errs["Write"] = s.Write(ctx, store.Write{PutOrganization: &policy.Organization{ID: "written"}, Events: []store.Event{eventOf("written", "")}})
	_, errs["Events"] = s.Events(ctx, store.EventRequest{Organization: "written", Newest: true})
	errs["DeleteKey"] = s.DeleteKey(ctx, key.ID, 0)
	errs["DeleteOrganization"] = s.DeleteOrganization(ctx, organization.ID, 0)
	return errs
}

func TestEncodings(t *testing.T) {
	server := postgrestest.Shared(t)
	pool := newPool(t, server.Database(t, "ENCODING LATIN1 LOCALE 'C' TEMPLATE template0"))
	assert.ErrorContains(t, postgres.Migrate(t.Context(), pool), "its encoding is LATIN1, and LATIN1 for clients: want UTF8")
	_, err := postgres.New(t.Context(), pool)
	assert.ErrorContains(t, err, "want UTF8")
	assert.Equal(t, "0", server.SQL(t, pool.Config().ConnString(), `SELECT count(*) FROM pg_namespace WHERE nspname = 'sallyport'`))

	pool = newPool(t, server.Database(t), func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["client_encoding"] = "LATIN1" })
	assert.ErrorContains(t, postgres.Migrate(t.Context(), pool), "its encoding is UTF8, and LATIN1 for clients: want UTF8")
}

// TestPrivileges has a program run with the rights that the documentation says it needs.
func TestPrivileges(t *testing.T) {
	ctx, dsn := t.Context(), postgrestest.Shared(t).Database(t)
	owner := newPool(t, dsn)
	role := strings.ToLower(string(apikey.NewID()))
	exec(t, owner, `CREATE ROLE "`+role+`"`)
	program := newPool(t, dsn, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["role"] = role })

	assert.ErrorContains(t, postgres.Migrate(ctx, program), "permission denied for database")
	require.NoError(t, postgres.Migrate(ctx, owner))
	_, err := postgres.New(ctx, program)
	require.ErrorContains(t, err, "permission denied for schema sallyport")
	exec(t, owner, `GRANT USAGE ON SCHEMA sallyport TO "`+role+`"`)
	_, err = postgres.New(ctx, program)
	require.ErrorContains(t, err, "permission denied for table")

	exec(t, owner, `GRANT SELECT ON ALL TABLES IN SCHEMA sallyport TO "`+role+`"`)
	s := openStore(t, program) // fit to decide by, and to watch
	administration := openStore(t, owner)
	organization, err := administration.PutOrganization(ctx, policy.Organization{ID: "acme"})
	require.NoError(t, err)
	key, err := administration.PutKey(ctx, newKey(t, "key", "acme", "192.0.2.1"))
	require.NoError(t, err)
	_, found, err := s.Lookup(ctx, "key")
	require.NoError(t, err)
	assert.True(t, found)
	first(t, s)
	_, err = s.PutKey(ctx, key)
	require.ErrorContains(t, err, "permission denied for table state")

	exec(t, owner, `GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA sallyport TO "`+role+`"; REVOKE INSERT, UPDATE, DELETE ON sallyport.migrations FROM "`+role+`"`)
	require.NoError(t, postgres.Migrate(ctx, program), "which finds nothing to do")
	_, err = s.PutKey(ctx, key)
	require.NoError(t, err)
	require.NoError(t, s.RecordUsage(ctx, adapter.UsageBatch(store.UsageRecord{Key: "key", Secret: key.Secrets[0].ID()})))
	require.NoError(t, s.DeleteKey(ctx, "key", 0))
	require.NoError(t, s.DeleteOrganization(ctx, organization.ID, 0))
}

// TestWatchPrivileges takes the right to read one table after the other.
func TestWatchPrivileges(t *testing.T) {
	ctx, dsn := t.Context(), postgrestest.Shared(t).Database(t)
	owner := newPool(t, dsn)
	administration := newStore(t, owner)
	role := strings.ToLower(string(apikey.NewID()))
	exec(t, owner, `CREATE ROLE "`+role+`"; GRANT USAGE ON SCHEMA sallyport TO "`+role+`"; GRANT SELECT ON ALL TABLES IN SCHEMA sallyport TO "`+role+`"`)
	s := openStore(t, newPool(t, dsn, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["role"] = role }))
	acme(t, administration)
	_, mark := first(t, s)
	organization, err := administration.Organization(ctx, "acme")
	require.NoError(t, err)
	_, err = administration.PutOrganization(ctx, organization)
	require.NoError(t, err)
	_, err = administration.PutKey(ctx, newKey(t, "another", "acme", "192.0.2.1"))
	require.NoError(t, err)
	for _, table := range []string{"migrations", "state", "changes", "organizations", "keys"} {
		exec(t, owner, `REVOKE SELECT ON sallyport.`+table+` FROM "`+role+`"`)
		for _, after := range []uint64{0, mark} {
			var ended error
			for change, err := range s.Watch(ctx, at(s, after)) {
				if ended = err; err != nil || change.IsMark() {
					break
				}
			}
			assert.ErrorContains(t, ended, "permission denied for table "+table, "after %d", after)
		}
		exec(t, owner, `GRANT SELECT ON sallyport.`+table+` TO "`+role+`"`)
	}
}

// TestExecModes has the modes in which pgx does without prepared statements, as poolers
// between the program and the server may ask for.
func TestExecModes(t *testing.T) {
	ctx, dsn := t.Context(), postgrestest.Shared(t).Database(t)
	for i, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		t.Run(mode.String(), func(t *testing.T) {
			pool := newPool(t, dsn, func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = mode })
			s := newStore(t, pool, postgres.Schema(fmt.Sprint("mode ", i)))
			organization, err := s.PutOrganization(ctx, policy.Organization{ID: "acme"})
			require.NoError(t, err)
			put := fullKey(t, "key", "acme")
			key, err := s.PutKey(ctx, put)
			require.NoError(t, err)
			put.Revision = key.Revision
			assert.Equal(t, put, key)
			require.NoError(t, s.Load(ctx, []policy.Organization{{ID: "other"}}, []apikey.Key{fullKey(t, "loaded", "other")}))
			require.NoError(t, s.RecordUsage(ctx, adapter.UsageBatch(usage(key, 3))))
			got, err := s.Key(ctx, "key")
			require.NoError(t, err)
			assert.Equal(t, key, got)
			known, err := s.Usage(ctx, "key")
			require.NoError(t, err)
			assert.EqualValues(t, 3, known["key"].Secrets[key.Secrets[0].ID()].Count)
			told, mark := first(t, s)
			assert.Equal(t, 4, told)
			key, err = s.PutKey(ctx, key)
			require.NoError(t, err)
			for change, err := range s.Watch(ctx, at(s, mark)) {
				require.NoError(t, err)
				require.NotNil(t, change.KeyRecord)
				assert.Equal(t, key, *change.KeyRecord)
				break
			}
			for name, err := range everyCall(ctx, s, organization, key) {
				assert.NoError(t, err, name)
			}
		})
	}
}
