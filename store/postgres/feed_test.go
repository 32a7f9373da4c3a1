package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
)

func assertCompacted(t testing.TB, s *postgres.Store, after uint64) {
	t.Helper()
	for change, err := range s.Watch(context.Background(), at(s, after)) {
		assert.ErrorIs(t, err, store.ErrCompacted)
		assert.Zero(t, change)
	}
}

// TestForgetting fills the table of changes until the oldest are dropped.
func TestForgetting(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	organization, _ := acme(t, s)
	_, mark := first(t, s)
	f := follow(t, s)
	// The next revision is the first after a multiple of SpareChanges.
	next := (mark/postgres.SpareChanges + 1) * postgres.SpareChanges
	exec(t, pool, `INSERT INTO sallyport.changes SELECT n, 'acme', NULL, false FROM generate_series($1::bigint, $2::bigint) AS n ON CONFLICT DO NOTHING`, next-postgres.KeptChanges-5, next-1)
	exec(t, pool, `INSERT INTO sallyport.histories VALUES ('before', 7), ('kept', $1)`, next-3)
	organization, err := s.PutOrganization(t.Context(), organization)
	require.NoError(t, err)
	require.Equal(t, next, organization.Revision)
	var rows, forgotten, oldest uint64
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT forgotten, count(*), min(changes.revision) FROM sallyport.state, sallyport.changes GROUP BY forgotten`).Scan(&forgotten, &rows, &oldest))
	assert.EqualValues(t, postgres.KeptChanges, rows)
	assert.Equal(t, next-postgres.KeptChanges, forgotten)
	assert.Equal(t, forgotten+1, oldest)
	assertCompacted(t, s, forgotten-1)
	for _, after := range []uint64{forgotten, next - 1, next} {
		for _, err := range s.Watch(t.Context(), at(s, after)) {
			require.NoError(t, err)
			break
		}
	}
	for _, after := range []store.Position{{History: "before", Revision: 7}, {History: "kept", Revision: next - 2}, {History: "kept", Revision: next - 3}} {
		for _, err := range s.Watch(t.Context(), after) {
			assert.Equal(t, after.Revision != next-3, errors.Is(err, store.ErrCompacted), after)
			break
		}
	}
	for _, after := range []store.Position{{History: "before", Revision: 7}, {History: "kept", Revision: next - 3}} {
		_, err := s.Events(t.Context(), store.EventRequest{After: after})
		require.NoError(t, err, "no event after it was forgotten: %+v", after)
	}
	f.is(t, s)
	named := at(s, next)
	organization, err = s.PutOrganization(t.Context(), organization)
	require.NoError(t, err)
	assert.Equal(t, named, at(s, next), "the history has the same name")

	// A history goes with the last event that may be read from it.
	forget(t, s, store.Position{History: "kept", Revision: next - 3})
	next += postgres.SpareChanges
	exec(t, pool, `INSERT INTO sallyport.changes SELECT n, 'acme', NULL, false FROM generate_series($1::bigint, $2::bigint) AS n ON CONFLICT DO NOTHING`, next-postgres.SpareChanges, next-1)
	organization, err = s.PutOrganization(t.Context(), organization)
	require.NoError(t, err)
	require.Equal(t, next, organization.Revision)
	rest, err := pool.Query(t.Context(), `SELECT history FROM sallyport.histories`)
	require.NoError(t, err)
	histories, err := pgx.CollectRows(rest, pgx.RowTo[string])
	require.NoError(t, err)
	assert.Contains(t, histories, "kept")
	assert.NotContains(t, histories, "before")
}

// TestSlowWatcher has a watcher take longer over what it is told than a snapshot may
// be held.
func TestSlowWatcher(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	usual, s := newStore(t, pool), openStore(t, pool)
	s.SetMaxStall(within)
	load(t, usual, 3*postgres.Chunk)
	_, mark := first(t, usual)
	told, ended := watchSlowly(t, s, 0, func() {
		require.Eventually(t, func() bool { // the server is not kept waiting for us
			var snapshots int
			err := pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_xmin IS NOT NULL AND pid <> pg_backend_pid()`).Scan(&snapshots)
			return err == nil && snapshots == 0
		}, patience, 10*time.Millisecond)
	})
	require.ErrorIs(t, ended, postgres.ErrStalled)
	assert.Less(t, told, 3*postgres.Chunk)

	// What fits into memory may be taken as slowly as anyone likes.
	require.NoError(t, usual.Load(t.Context(), []policy.Organization{{ID: "a"}, {ID: "b"}}, nil))
	told, ended = watchSlowly(t, s, mark, func() { time.Sleep(2 * within) })
	require.NoError(t, ended)
	assert.Equal(t, 2, told)
}

// watchSlowly watches to the next mark, and pauses after the first change. On a busy
// machine the server may be too slow, too, before it: then it watches again.
func watchSlowly(t testing.TB, s *postgres.Store, after uint64, pause func()) (told int, ended error) {
	t.Helper()
	for told == 0 {
		for change, err := range s.Watch(t.Context(), at(s, after)) {
			if ended = err; err != nil || change.IsMark() {
				break
			}
			if told++; told == 1 {
				pause()
			}
		}
		if told == 0 {
			require.ErrorIs(t, ended, postgres.ErrStalled)
		}
	}
	return told, ended
}

// assertNotified checks that those who watch a store are notified of what it writes: they
// do not look by themselves before the test gives up.
func assertNotified(t testing.TB, s *postgres.Store) {
	t.Helper()
	s.SetPollInterval(time.Hour)
	organization, _ := acme(t, s)
	f := follow(t, s)
	for range 5 { // of the first it may learn when it begins, and when it has connected
		f.is(t, s)
		var err error
		organization, err = s.PutOrganization(t.Context(), organization)
		require.NoError(t, err)
	}
	f.is(t, s)
	assert.Empty(t, f.ended())
}

func TestNotified(t *testing.T) {
	assertNotified(t, newStore(t, newPool(t, postgrestest.Shared(t).Database(t))))
}

// TestChangesDeleted has somebody delete what is known of the latest writes. Whoever has
// come to the latest has missed nothing.
func TestChangesDeleted(t *testing.T) {
	pool := newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	organization, _ := acme(t, s)
	_, mark := first(t, s)
	exec(t, pool, `DELETE FROM sallyport.changes`)
	assert.Equal(t, mark, nextMark(t, s, mark))
	organization, err := s.PutOrganization(t.Context(), organization)
	require.NoError(t, err)
	assert.Greater(t, organization.Revision, mark)
	assertCompacted(t, s, mark)
	assert.Equal(t, organization.Revision, nextMark(t, s, organization.Revision))
}

// nextMark returns the mark that a watch begins with to which there is nothing to tell.
func nextMark(t testing.TB, s *postgres.Store, after uint64) uint64 {
	t.Helper()
	for change, err := range s.Watch(t.Context(), at(s, after)) {
		require.NoError(t, err)
		require.True(t, change.IsMark())
		return change.Revision
	}
	return 0
}

// TestWatchDuringRewrite has a migration that writes a table anew begin while a watch is
// told what it has read before it.
func TestWatchDuringRewrite(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	acme(t, s)
	var organizations []policy.Organization
	for i := range store.MaxLoad {
		organizations = append(organizations, policy.Organization{ID: fmt.Sprint("organization ", i)})
	}
	require.NoError(t, s.Load(ctx, organizations, nil))
	steps, err := postgres.Steps()
	require.NoError(t, err)
	migrated := make(chan error, 1)
	toldOrganizations, toldKeys := 0, 0
	for change, err := range s.Watch(ctx, store.Position{}) {
		require.NoError(t, err)
		if change.IsMark() {
			break
		}
		if change.Key != "" {
			toldKeys++
			continue
		}
		if toldOrganizations++; toldOrganizations == 1 {
			go func() {
				migrated <- postgres.MigrateTo(ctx, pool, append(steps, "-- readable from 2, writable from 2\n"+`ALTER TABLE sallyport.keys ALTER COLUMN document TYPE jsonb`))
			}()
			require.Eventually(t, func() bool {
				var waiting bool
				err := pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waiting)
				return err == nil && waiting || len(migrated) > 0
			}, patience, time.Millisecond)
		}
	}
	assert.Equal(t, store.MaxLoad+1, toldOrganizations)
	assert.Equal(t, 1, toldKeys)
	require.NoError(t, <-migrated)
	err = watchError(t, s)
	assert.ErrorContains(t, err, "the store was changed by a newer version of this program")
	assert.ErrorIs(t, err, store.ErrNewer)
}

// TestManyChanges resumes from before more changes than are read at a time.
func TestManyChanges(t *testing.T) {
	s := newStore(t, newPool(t, postgrestest.Shared(t).Database(t)))
	_, key := acme(t, s)
	_, mark := first(t, s)
	load(t, s, 2*postgres.Chunk+7)
	require.NoError(t, s.DeleteKey(t.Context(), key.ID, 0))
	told := 0
	for change, err := range s.Watch(t.Context(), at(s, mark)) {
		require.NoError(t, err)
		if change.IsMark() {
			break
		}
		assert.Equal(t, change.Key == key.ID, change.Deleted)
		told++
	}
	assert.Equal(t, 2*postgres.Chunk+7+10+1, told)
	for range s.Watch(t.Context(), at(s, mark)) { // and leaves in the middle
		break
	}
	for range s.Watch(t.Context(), store.Position{}) {
		break
	}
	require.NoError(t, s.Close())
}
