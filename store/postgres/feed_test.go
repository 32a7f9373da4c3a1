package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
)

// TestNewHistory restores a store to what it was before, and has it go on from there,
// past the revisions that it had given: who had come to one of these is told so.
func TestNewHistory(t *testing.T) {
	ctx, server := t.Context(), postgrestest.Shared(t)
	dsn := server.Database(t)
	pool := newPool(t, dsn)
	s := newStore(t, pool)
	acme(t, s)
	_, kept := first(t, s)
	exec(t, pool, `CREATE SCHEMA backup; CREATE TABLE backup.state AS TABLE sallyport.state; CREATE TABLE backup.keys AS TABLE sallyport.keys; CREATE TABLE backup.changes AS TABLE sallyport.changes`)
	key, err := s.Key(ctx, "key")
	require.NoError(t, err)
	lost, err := s.PutKey(ctx, key)
	require.NoError(t, err)

	exec(t, pool, `DELETE FROM sallyport.changes; INSERT INTO sallyport.changes TABLE backup.changes;
		DELETE FROM sallyport.state; INSERT INTO sallyport.state TABLE backup.state;
		UPDATE sallyport.keys SET revision = b.revision FROM backup.keys b WHERE b.id = sallyport.keys.id`)
	assertCompacted(t, s, lost.Revision)
	again, err := s.PutKey(ctx, key)
	require.NoError(t, err)
	assert.Greater(t, again.Revision, lost.Revision, "the clock has gone on, so no revision is given twice")
	assertCompacted(t, s, lost.Revision)
	assertCompacted(t, s, lost.Revision+1)
	assertCompacted(t, s, 1<<63)
	for change, err := range s.Watch(ctx, kept) { // what was before is known
		require.NoError(t, err)
		assert.Equal(t, again.Revision, change.Revision)
		break
	}
}

func assertCompacted(t testing.TB, s *postgres.Store, after uint64) {
	t.Helper()
	for change, err := range s.Watch(context.Background(), after) {
		assert.ErrorIs(t, err, store.ErrCompacted)
		assert.Zero(t, change)
	}
}

// TestClockGoesBack: revisions rise whatever the clock says.
func TestClockGoesBack(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	future := uint64(time.Now().AddDate(100, 0, 0).UnixMicro())
	exec(t, pool, `UPDATE sallyport.state SET revision = $1`, future)
	organization, key := acme(t, s)
	assert.Equal(t, future+1, organization.Revision)
	assert.Equal(t, future+2, key.Revision)
	require.NoError(t, s.Load(t.Context(), []policy.Organization{{ID: "a"}, {ID: "b"}}, nil))
	b, err := s.Organization(t.Context(), "b")
	require.NoError(t, err)
	assert.Equal(t, future+4, b.Revision)
}

// TestForgetting fills the table of changes until the oldest are dropped.
func TestForgetting(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	organization, _ := acme(t, s)
	_, mark := first(t, s)
	f := follow(t, s)
	const more = postgres.KeptChanges + postgres.SpareChanges - 3
	exec(t, pool, `INSERT INTO sallyport.changes SELECT n, 'acme', NULL, false FROM generate_series(1, $1::bigint) AS n`, more)
	exec(t, pool, `UPDATE sallyport.state SET kept = kept + $1`, more)
	_, err := s.PutOrganization(t.Context(), organization)
	require.NoError(t, err)
	var kept, rows, forgotten, oldest int64
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT kept, forgotten, count(*), min(changes.revision) FROM sallyport.state, sallyport.changes GROUP BY kept, forgotten`).Scan(&kept, &forgotten, &rows, &oldest))
	assert.EqualValues(t, postgres.KeptChanges, rows)
	assert.Equal(t, rows, kept)
	assert.EqualValues(t, postgres.SpareChanges, forgotten)
	assert.Equal(t, forgotten+1, oldest)
	assertCompacted(t, s, postgres.SpareChanges-1)
	for _, after := range []uint64{postgres.SpareChanges, mark} {
		for _, err := range s.Watch(t.Context(), after) {
			require.NoError(t, err)
			break
		}
	}
	f.is(t, s)

	// Somebody has deleted the changes, and the table says that it is full.
	exec(t, pool, `DELETE FROM sallyport.changes`)
	exec(t, pool, `UPDATE sallyport.state SET kept = $1`, 2*postgres.KeptChanges)
	require.NoError(t, s.Load(t.Context(), []policy.Organization{{ID: "a"}, {ID: "b"}}, nil))
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT kept FROM sallyport.state`).Scan(&kept))
	assert.EqualValues(t, 2, kept)
	f.is(t, s)
	assert.ErrorIs(t, f.ended()[0], store.ErrCompacted)
}

// TestSlowWatcher has a watcher take longer over what it is told than a snapshot may
// be held.
func TestSlowWatcher(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	s.SetMaxStall(within)
	load(t, s, 3*postgres.Chunk)
	told := 0
	var ended error
	for change, err := range s.Watch(t.Context(), 0) {
		if err != nil {
			ended = err
			break
		}
		if told++; told == postgres.Chunk/2 {
			require.Eventually(t, func() bool { // the server is not kept waiting for us
				var snapshots int
				err := pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_xmin IS NOT NULL AND pid <> pg_backend_pid()`).Scan(&snapshots)
				return err == nil && snapshots == 0
			}, patience, 10*time.Millisecond)
		}
		require.False(t, change.IsMark())
	}
	require.ErrorIs(t, ended, postgres.ErrStalled)
	assert.Less(t, told, 3*postgres.Chunk)

	// What fits into memory may be taken as slowly as anyone likes.
	_, mark := first(t, s)
	require.NoError(t, s.Load(t.Context(), []policy.Organization{{ID: "a"}, {ID: "b"}}, nil))
	told = 0
	for change, err := range s.Watch(t.Context(), mark) {
		require.NoError(t, err)
		if change.IsMark() {
			break
		}
		told++
		time.Sleep(2 * within)
	}
	assert.Equal(t, 2, told)
}

// TestManyChanges resumes from before more changes than are read at a time.
func TestManyChanges(t *testing.T) {
	s := newStore(t, newPool(t, postgrestest.Shared(t).Database(t)))
	_, key := acme(t, s)
	_, mark := first(t, s)
	load(t, s, 2*postgres.Chunk+7)
	require.NoError(t, s.DeleteKey(t.Context(), key.ID, 0))
	told := 0
	for change, err := range s.Watch(t.Context(), mark) {
		require.NoError(t, err)
		if change.IsMark() {
			break
		}
		assert.Equal(t, change.Key == key.ID, change.Deleted)
		told++
	}
	assert.Equal(t, 2*postgres.Chunk+7+10+1, told)
	for range s.Watch(t.Context(), mark) { // and leaves in the middle
		break
	}
	for range s.Watch(t.Context(), 0) {
		break
	}
	require.NoError(t, s.Close())
}
