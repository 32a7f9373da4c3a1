package postgres_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
)

// dropConstraints takes everything off the tables that keeps bad rows out.
func dropConstraints(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	for _, list := range []string{
		`SELECT DISTINCT format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I CASCADE', conrelid::regclass, conname) FROM pg_constraint
			WHERE connamespace = 'sallyport'::regnamespace`,
		`SELECT format('ALTER TABLE %s ALTER %I DROP NOT NULL', attrelid::regclass, attname) FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
			WHERE relnamespace = 'sallyport'::regnamespace AND relkind = 'r' AND attnotnull AND attnum > 0`,
	} {
		rows, err := pool.Query(context.Background(), list)
		require.NoError(t, err)
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		for _, sql := range all {
			exec(t, pool, sql)
		}
	}
}

// TestUnreadableKey spoils each column of each row that a key has, in each way, with
// nothing in the database to prevent it.
func TestUnreadableKey(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	dropConstraints(t, pool)
	exec(t, pool, `CREATE SCHEMA safe`)
	acme, err := s.PutOrganization(ctx, policy.Organization{ID: "acme"})
	require.NoError(t, err)
	_, err = s.PutKey(ctx, fullKey(t, "key", "acme"))
	require.NoError(t, err)
	sound, err := s.PutKey(ctx, fullKey(t, "sound", "acme"))
	require.NoError(t, err)
	tables := []string{"keys", "entries", "grants", "secrets"}
	for _, table := range tables {
		exec(t, pool, `CREATE TABLE safe.`+table+` AS TABLE sallyport.`+table)
	}

	for _, c := range []struct{ spoil, want string }{
		{`UPDATE keys SET organization = 'gone' WHERE id = 'key'`, ``}, // see below
		{`UPDATE keys SET description = NULL WHERE id = 'key'`, `a column of the table keys is NULL`},
		{`UPDATE keys SET description = E'line\nbreak' WHERE id = 'key'`, `control character`},
		{`UPDATE keys SET disabled = NULL WHERE id = 'key'`, `a column of the table keys is NULL`},
		{`UPDATE keys SET not_before = 'infinity' WHERE id = 'key'`, `a time that is infinite or zero`},
		{`UPDATE keys SET expires = 'infinity' WHERE id = 'key'`, `a time that is infinite or zero`},
		{`UPDATE keys SET expires = '-infinity' WHERE id = 'key'`, `a time that is infinite or zero`},
		{`UPDATE keys SET expires = '0001-01-01 00:00:00+00' WHERE id = 'key'`, `a time that is infinite or zero`},
		{`UPDATE keys SET expires = '0044-03-15 BC' WHERE id = 'key'`, `year`},
		{`UPDATE keys SET expires = '20000-01-01' WHERE id = 'key'`, `year 20000`},
		{`UPDATE keys SET expires = not_before WHERE id = 'key'`, `never valid`},
		{`UPDATE keys SET created = 'infinity' WHERE id = 'key'`, `a time that is infinite or zero`},
		{`UPDATE keys SET entries = NULL WHERE id = 'key'`, `a column of the table keys is NULL`},
		{`UPDATE keys SET entries = 0 WHERE id = 'key'`, `the table entries has 2 rows for it, and the table keys says 0`},
		{`UPDATE keys SET entries = -1 WHERE id = 'key'`, `the table entries has 2 rows for it, and the table keys says -1`},
		{`UPDATE keys SET grants = NULL WHERE id = 'key'`, `a column of the table keys is NULL`},
		{`UPDATE keys SET grants = 4 WHERE id = 'key'`, `the table grants has 3 rows for it, and the table keys says 4`},
		{`UPDATE keys SET secrets = 0 WHERE id = 'key'`, `the table secrets has 2 rows for it, and the table keys says 0`},
		{`UPDATE keys SET revision = NULL WHERE id = 'key'`, `its revision is not one`},
		{`UPDATE keys SET revision = -5 WHERE id = 'key'`, `its revision is not one`},
		{`INSERT INTO keys SELECT * FROM keys WHERE id = 'key'`, `the table keys has 2 rows for it`},

		{`DELETE FROM entries WHERE key = 'key' AND address = '192.0.2.1'`, `the table entries has 1 rows for it, and the table keys says 2`},
		{`DELETE FROM entries`, `the table entries has 0 rows for it, and the table keys says 2`},
		{`TRUNCATE entries`, `the table entries has 0 rows for it, and the table keys says 2`},
		{`INSERT INTO entries SELECT 'key', '203.0.113.0/24', '', NULL, NULL`, `the table entries has 3 rows for it, and the table keys says 2`},
		{`UPDATE entries SET key = 'elsewhere' WHERE key = 'key'`, `the table entries has 0 rows for it, and the table keys says 2`},
		{`UPDATE entries SET address = '192.0.2.1' WHERE key = 'key'`, `duplicate entry`},
		{`UPDATE entries SET address = NULL WHERE key = 'key' AND address = '192.0.2.1'`, `not a valid prefix`},
		{`UPDATE entries SET address = '0.0.0.0/32' WHERE key = 'key' AND address = '192.0.2.1'`, `0.0.0.0`},
		{`UPDATE entries SET address = '::ffff:192.0.2.0/120' WHERE key = 'key' AND address = '192.0.2.1'`, `IPv4-mapped`},
		{`UPDATE entries SET comment = NULL WHERE key = 'key' AND address = '192.0.2.1'`, `a column of the table entries is NULL`},
		{`UPDATE entries SET comment = E'a\tb' WHERE key = 'key' AND address = '192.0.2.1'`, `control character`},
		{`UPDATE entries SET comment = repeat('x', 1025) WHERE key = 'key' AND address = '192.0.2.1'`, `1025 bytes`},
		{`UPDATE entries SET expires = 'infinity' WHERE key = 'key'`, `a time that is infinite or zero`},
		{`UPDATE entries SET expires = '0001-01-01 00:00:00+00' WHERE key = 'key'`, `a time that is infinite or zero`},
		{`UPDATE entries SET added = '20000-01-01' WHERE key = 'key'`, `year 20000`},

		{`DELETE FROM grants WHERE key = 'key' AND position = 2`, `the table grants has 2 rows for it, and the table keys says 3`},
		{`UPDATE grants SET position = 7 WHERE key = 'key' AND position = 2`, `position 7`},
		{`UPDATE grants SET position = 0 WHERE key = 'key' AND position = 1`, `position 0`},
		{`UPDATE grants SET position = -1 WHERE key = 'key' AND position = 0`, `position -1`},
		{`UPDATE grants SET position = NULL WHERE key = 'key' AND position = 0`, `position 0`},
		{`UPDATE grants SET role = NULL WHERE key = 'key' AND position = 0`, `role of Grants[0] is empty`},
		{`UPDATE grants SET role = ' padded' WHERE key = 'key' AND position = 0`, `white space`},
		{`UPDATE grants SET project = E'a\nb' WHERE key = 'key' AND position = 1`, `control character`},
		{`UPDATE grants SET all_projects = NULL WHERE key = 'key' AND position = 1`, `a column of the table grants is NULL`},
		{`UPDATE grants SET all_projects = true WHERE key = 'key' AND position = 1`, `has AllProjects and the project`},

		{`DELETE FROM secrets WHERE key = 'key' AND position = 1`, `the table secrets has 1 rows for it, and the table keys says 2`},
		{`UPDATE secrets SET position = 1 WHERE key = 'key'`, `position 1`},
		{`UPDATE secrets SET server_key = 'no server key' WHERE key = 'key' AND position = 0`, `server key`},
		{`UPDATE secrets SET sum = NULL WHERE key = 'key' AND position = 0`, `the hash of a secret has 0 bytes: want 32`},
		{`UPDATE secrets SET sum = substr(sum, 2) WHERE key = 'key' AND position = 0`, `the hash of a secret has 31 bytes: want 32`},
		{`UPDATE secrets SET sum = sum || '\x00' WHERE key = 'key' AND position = 0`, `the hash of a secret has 33 bytes: want 32`},
		{`UPDATE secrets SET sum = decode(repeat('00', 32), 'hex') WHERE key = 'key' AND position = 0`, `has no hash`},
		{`UPDATE secrets SET sum = (SELECT sum FROM secrets WHERE key = 'key' AND position = 0) WHERE key = 'key'`, `again`},
		{`UPDATE secrets SET expires = 'infinity' WHERE key = 'key'`, `a time that is infinite or zero`},
		{`UPDATE secrets SET created = '20000-01-01' WHERE key = 'key'`, `year 20000`},
	} {
		t.Run(c.spoil, func(t *testing.T) {
			for _, table := range tables {
				exec(t, pool, `DELETE FROM sallyport.`+table+`; INSERT INTO sallyport.`+table+` SELECT * FROM safe.`+table)
			}
			inTables(t, pool, c.spoil)

			_, _, err := s.Lookup(ctx, "key")
			require.Error(t, err)
			assert.NotErrorIs(t, err, store.ErrNotFound)
			decision := policy.New(s).Decide(ctx, request("key"))
			assert.Equal(t, policy.Unavailable, decision.Reason)
			if c.want == "" { // the record is sound, and what is wrong is that it has no organization
				assert.ErrorContains(t, err, `its organization "gone" is not there`)
				return
			}
			require.ErrorContains(t, err, `key "key" cannot be read`)
			assert.ErrorContains(t, err, c.want)
			_, err = s.Key(ctx, "key")
			assert.ErrorContains(t, err, c.want)
			page, err := s.Keys(ctx, "acme", store.PageRequest{})
			assert.ErrorContains(t, err, "cannot be read")
			assert.Empty(t, page)
			_, err = s.PutKey(ctx, fullKey(t, "key", "acme"))
			assert.ErrorContains(t, err, c.want, "a write would be judged by it")

			// Whoever watches is told that it cannot be read, and everything else.
			told := map[string]store.Change{}
			for change, err := range s.Watch(ctx, 0) {
				require.NoError(t, err)
				if change.IsMark() {
					break
				}
				told[string(change.Key)] = change
			}
			require.Contains(t, told, "key")
			assert.ErrorContains(t, told["key"].Err, c.want)
			assert.Nil(t, told["key"].KeyRecord)
			assert.Equal(t, &acme, told[""].OrganizationRecord)
			if told["sound"].Err == nil {
				assert.Equal(t, &sound, told["sound"].KeyRecord)
			}
		})
	}
}

// inTables does something where the names of the store's tables need no schema.
func inTables(t testing.TB, pool *pgxpool.Pool, sql string) {
	t.Helper()
	tx, err := pool.Begin(context.Background())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	_, err = tx.Exec(context.Background(), `SET LOCAL search_path = sallyport`)
	require.NoError(t, err)
	_, err = tx.Exec(context.Background(), sql)
	require.NoError(t, err)
	require.NoError(t, tx.Commit(context.Background()))
}

// TestUnreadableIsDeleted: what cannot be read can be removed, to create it anew.
func TestUnreadableIsDeleted(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	acme, err := s.PutOrganization(ctx, policy.Organization{ID: "acme"})
	require.NoError(t, err)
	_, err = s.PutKey(ctx, fullKey(t, "key", "acme"))
	require.NoError(t, err)
	exec(t, pool, `DELETE FROM sallyport.entries`)
	require.NoError(t, s.DeleteKey(ctx, "key", 0))
	_, err = s.PutKey(ctx, fullKey(t, "key", "acme"))
	require.NoError(t, err)
	require.NoError(t, s.DeleteKey(ctx, "key", 0))

	// But not what cannot even be told of.
	_, err = s.PutKey(ctx, newKey(t, "nameless", "acme", "192.0.2.1"))
	require.NoError(t, err)
	dropConstraints(t, pool)
	for _, spoil := range []string{`organization = NULL`, `organization = 'acme', revision = NULL`} {
		exec(t, pool, `UPDATE sallyport.keys SET `+spoil)
		assert.ErrorContains(t, s.DeleteKey(ctx, "nameless", 0), `key "nameless" cannot be read`)
	}
	exec(t, pool, `DELETE FROM sallyport.keys; DELETE FROM sallyport.entries; DELETE FROM sallyport.grants; DELETE FROM sallyport.secrets; UPDATE sallyport.organizations SET revision = NULL`)
	assert.ErrorContains(t, s.DeleteOrganization(ctx, "acme", 0), `organization "acme" cannot be read`)
	exec(t, pool, fmt.Sprintf(`UPDATE sallyport.organizations SET revision = %d`, acme.Revision))

	exec(t, pool, `ALTER TABLE sallyport.organizations DROP CONSTRAINT IF EXISTS organizations_requirement_check; UPDATE sallyport.organizations SET requirement = 'perhaps'`)
	_, err = s.Organization(ctx, "acme")
	require.ErrorContains(t, err, "cannot be read")
	require.NoError(t, s.DeleteOrganization(ctx, "acme", acme.Revision))
}

func TestUnreadableOrganization(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	dropConstraints(t, pool)
	_, err := s.PutOrganization(ctx, policy.Organization{ID: "acme", Requirement: policy.Required})
	require.NoError(t, err)
	_, err = s.PutKey(ctx, newKey(t, "key", "acme"), store.AllowOpen)
	require.NoError(t, err)
	exec(t, pool, `CREATE SCHEMA safe; CREATE TABLE safe.organizations AS TABLE sallyport.organizations`)
	for _, c := range []struct{ spoil, want string }{
		{`UPDATE organizations SET requirement = NULL`, `requirement ""`},
		{`UPDATE organizations SET requirement = 'Required'`, `requirement "Required"`},
		{`UPDATE organizations SET requirement = ''`, `requirement ""`},
		{`UPDATE organizations SET revision = NULL`, `its revision is not one`},
		{`UPDATE organizations SET revision = 0`, `its revision is not one`},
		{`DELETE FROM organizations`, `its organization "acme" is not there`},
		{`UPDATE organizations SET id = 'ACME'`, `its organization "acme" is not there`},
	} {
		t.Run(c.spoil, func(t *testing.T) {
			exec(t, pool, `DELETE FROM sallyport.organizations; INSERT INTO sallyport.organizations SELECT * FROM safe.organizations`)
			inTables(t, pool, c.spoil)
			_, _, err := s.Lookup(ctx, "key")
			assert.ErrorContains(t, err, c.want)
			assert.Equal(t, policy.Unavailable, policy.New(s).Decide(ctx, request("key")).Reason)
			_, err = s.Organization(ctx, "acme")
			assert.Error(t, err)
		})
	}
	exec(t, pool, `DELETE FROM sallyport.organizations; INSERT INTO sallyport.organizations SELECT * FROM safe.organizations; UPDATE sallyport.organizations SET requirement = 'perhaps'`)
	_, err = s.Organizations(ctx, store.PageRequest{})
	assert.ErrorContains(t, err, "cannot be read")
	_, err = s.PutOrganization(ctx, policy.Organization{ID: "acme"})
	assert.ErrorContains(t, err, "cannot be read")
	for change, err := range s.Watch(ctx, 0) {
		require.NoError(t, err)
		assert.ErrorContains(t, change.Err, "cannot be read")
		break
	}
}

// TestChangedByHand has rows come and go without a change that tells of them.
func TestChangedByHand(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	_, err := s.PutOrganization(ctx, policy.Organization{ID: "acme"})
	require.NoError(t, err)
	_, mark := first(t, s)
	for _, id := range []string{"deleted", "older", "here"} {
		_, err := s.PutKey(ctx, newKey(t, id, "acme", "192.0.2.1"))
		require.NoError(t, err)
	}
	exec(t, pool, `DELETE FROM sallyport.keys WHERE id = 'deleted'`)
	exec(t, pool, `UPDATE sallyport.keys SET revision = revision - 1 WHERE id = 'older'`)
	exec(t, pool, `UPDATE sallyport.changes SET deleted = true WHERE key = 'here'`)
	_, err = s.PutKey(ctx, newKey(t, "halved", "acme", "192.0.2.1"))
	require.NoError(t, err)
	exec(t, pool, `DELETE FROM sallyport.entries WHERE key = 'halved'`)
	told := 0
	for change, err := range s.Watch(ctx, mark) {
		require.NoError(t, err)
		if change.IsMark() {
			break
		}
		told++
		want := fmt.Sprintf(`key %q of organization "acme" is not as its last change, of revision %d, left it`, change.Key, change.Revision)
		if change.Key == "halved" {
			want = `key "halved" cannot be read: the table entries has 0 rows for it`
		}
		assert.ErrorContains(t, change.Err, want)
		assert.False(t, change.Deleted)
		assert.Nil(t, change.KeyRecord)
	}
	assert.Equal(t, 4, told)

	// An organization is called one.
	before, err := s.Revision(ctx)
	require.NoError(t, err)
	other, err := s.PutOrganization(ctx, policy.Organization{ID: "other"})
	require.NoError(t, err)
	exec(t, pool, `UPDATE sallyport.organizations SET revision = revision - 1 WHERE id = 'other'`)
	for change, err := range s.Watch(ctx, before) {
		require.NoError(t, err)
		assert.ErrorContains(t, change.Err, fmt.Sprintf(`store/postgres: organization "other" is not as its last change, of revision %d, left it`, other.Revision))
		break
	}

	// Rows of a key that is not there are no key.
	dropConstraints(t, pool)
	exec(t, pool, `INSERT INTO sallyport.entries VALUES ('no-such-key', '192.0.2.1', '', NULL, NULL)`)
	_, found, err := s.Lookup(ctx, "no-such-key")
	require.NoError(t, err)
	assert.False(t, found)
	require.NoError(t, watchError(t, s))

	// A change that cannot be read is not passed over.
	exec(t, pool, `UPDATE sallyport.changes SET deleted = NULL WHERE key = 'older'`)
	for change, err := range s.Watch(ctx, mark) {
		assert.ErrorContains(t, err, "cannot scan NULL")
		assert.Zero(t, change)
	}

	// What has no name cannot be told of, and ends the watch.
	exec(t, pool, `UPDATE sallyport.keys SET organization = NULL WHERE id = 'here'`)
	assert.ErrorContains(t, watchError(t, s), `key "here" cannot be read`)
	exec(t, pool, `UPDATE sallyport.keys SET organization = 'acme'`)
	exec(t, pool, `UPDATE sallyport.state SET revision = 7`)
	assert.ErrorContains(t, watchError(t, s), "it has come to revision 7, and a record of organization")
	exec(t, pool, `DELETE FROM sallyport.state`)
	assert.ErrorContains(t, watchError(t, s), "state has no row")
	_, _, err = s.Lookup(ctx, "here")
	assert.ErrorContains(t, err, "state has no row")
	_, err = s.PutOrganization(ctx, policy.Organization{ID: "another"})
	assert.Error(t, err)
}

// watchError returns what a watch from zero ends with.
func watchError(t testing.TB, s *postgres.Store) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for change, err := range s.Watch(ctx, 0) {
		if err != nil {
			return err
		}
		if change.IsMark() {
			break
		}
	}
	return nil
}

// TestOtherColumns has a column that is of another type than it was made with.
func TestOtherColumns(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	acme(t, s)
	exec(t, pool, `ALTER TABLE sallyport.keys ALTER entries TYPE bigint; UPDATE sallyport.keys SET entries = 1::bigint << 32`)
	pool.Reset()
	_, _, err := s.Lookup(ctx, "key")
	assert.ErrorContains(t, err, "can't scan")
	assert.Equal(t, policy.Unavailable, policy.New(s).Decide(ctx, request("key")).Reason)
	assert.ErrorContains(t, watchError(t, s), "can't scan")
	exec(t, pool, `ALTER TABLE sallyport.keys DROP COLUMN entries`)
	pool.Reset()
	_, _, err = s.Lookup(ctx, "key")
	assert.ErrorContains(t, err, "of another version: run Migrate")
}

func TestUnreadableUsage(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	dropConstraints(t, pool)
	_, err := s.PutOrganization(ctx, policy.Organization{ID: "acme"})
	require.NoError(t, err)
	key, err := s.PutKey(ctx, newKey(t, "key", "acme", "192.0.2.1"))
	require.NoError(t, err)
	for _, spoil := range []string{
		`UPDATE sallyport.entry_usage SET count = NULL`, `UPDATE sallyport.secret_usage SET count = -1`,
		`UPDATE sallyport.entry_usage SET last = 'infinity'`,
	} {
		exec(t, pool, `DELETE FROM sallyport.entry_usage; DELETE FROM sallyport.secret_usage; ALTER TABLE sallyport.entry_usage DROP CONSTRAINT IF EXISTS e; ALTER TABLE sallyport.entry_usage ADD CONSTRAINT e PRIMARY KEY (key, address); ALTER TABLE sallyport.secret_usage DROP CONSTRAINT IF EXISTS s; ALTER TABLE sallyport.secret_usage ADD CONSTRAINT s PRIMARY KEY (key, secret)`)
		require.NoError(t, s.RecordUsage(ctx, []store.UsageRecord{usage(key, 1)}))
		_, err := s.Usage(ctx, "key")
		require.NoError(t, err)
		exec(t, pool, spoil)
		_, err = s.Usage(ctx, "key")
		assert.ErrorContains(t, err, "the usage of key", spoil)
	}
}
