package postgres_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
)

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
	exec(t, pool, `UPDATE sallyport.keys SET revision = revision - 1, document = document::jsonb || jsonb_build_object('revision', revision - 1) WHERE id = 'older'`)
	exec(t, pool, `UPDATE sallyport.changes SET deleted = true WHERE key = 'here'`)
	_, err = s.PutKey(ctx, newKey(t, "halved", "acme", "192.0.2.1"))
	require.NoError(t, err)
	exec(t, pool, `UPDATE sallyport.keys SET document = document::jsonb || '{"accessList":[]}' WHERE id = 'halved'`)
	told := 0
	for change, err := range s.Watch(ctx, at(s, mark)) {
		require.NoError(t, err)
		if change.IsMark() {
			break
		}
		told++
		assert.Nil(t, change.KeyRecord)
		if change.Key == "deleted" { // it is gone, by whatever means
			assert.True(t, change.Deleted)
			assert.NoError(t, change.Err)
			continue
		}
		assert.False(t, change.Deleted)
		assert.ErrorContains(t, change.Err, fmt.Sprintf(`key %q cannot be read: `, change.Key))
		assert.ErrorContains(t, change.Err, map[apikey.ID]string{
			"older":  fmt.Sprintf("its latest change has %d: it was written by other means", change.Revision),
			"here":   fmt.Sprintf("its latest change, of revision %d, deleted it: it was written by other means", change.Revision),
			"halved": "its document has 0 entries, and its column entries 1",
		}[change.Key])
	}
	assert.Equal(t, 4, told)

	// An organization is called one.
	before, err := revisionOf(ctx, s)
	require.NoError(t, err)
	other, err := s.PutOrganization(ctx, policy.Organization{ID: "other"})
	require.NoError(t, err)
	exec(t, pool, `UPDATE sallyport.organizations SET revision = revision - 1, document = document::jsonb || jsonb_build_object('revision', revision - 1) WHERE id = 'other'`)
	for change, err := range s.Watch(ctx, at(s, before)) {
		require.NoError(t, err)
		assert.ErrorContains(t, change.Err, fmt.Sprintf(`organization "other" cannot be read: it has revision %d, and its latest change has %d`, other.Revision-1, other.Revision))
		break
	}

	// Usage of a key that is not there is no key.
	dropConstraints(t, pool)
	exec(t, pool, `INSERT INTO sallyport.usage VALUES ('no-such-key', '{}')`)
	_, found, err := s.Lookup(ctx, "no-such-key")
	require.NoError(t, err)
	assert.False(t, found)
	known, err := s.Usage(ctx, "no-such-key")
	require.NoError(t, err)
	assert.Empty(t, known)
	require.NoError(t, watchError(t, s))

	// A change that cannot be read is not passed over.
	exec(t, pool, `UPDATE sallyport.changes SET deleted = NULL WHERE key = 'older'`)
	for change, err := range s.Watch(ctx, at(s, mark)) {
		assert.ErrorContains(t, err, "cannot scan NULL")
		assert.Zero(t, change)
	}

	// What has no name cannot be told of, and ends the watch.
	exec(t, pool, `UPDATE sallyport.keys SET organization = NULL WHERE id = 'here'`)
	assert.ErrorContains(t, watchError(t, s), `key "here" cannot be read`)
	exec(t, pool, `UPDATE sallyport.keys SET organization = 'acme'`)
	exec(t, pool, `DELETE FROM sallyport.changes; INSERT INTO sallyport.changes VALUES (7, 'acme', NULL, false)`)
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
	for change, err := range s.Watch(ctx, store.Position{}) {
		if err != nil {
			return err
		}
		if change.IsMark() {
			break
		}
	}
	return nil
}

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
