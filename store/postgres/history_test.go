package postgres_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/postgres"
	"github.com/sallyport-go/sallyport/store/replica"
)

// position returns the store's position.
func position(t testing.TB, s *postgres.Store) store.Position {
	t.Helper()
	p, err := s.Position(context.Background())
	require.NoError(t, err)
	return p
}

// resumes watches from a position to the next mark. The error is that of the watch.
func resumes(t testing.TB, s *postgres.Store, after store.Position) (told []store.Change, mark store.Position, err error) {
	t.Helper()
	for change, err := range s.Watch(t.Context(), after) {
		if err != nil {
			return told, mark, err
		}
		if change.IsMark() {
			return told, change.Position(), nil
		}
		told = append(told, change)
	}
	return told, mark, nil
}

// replace puts a key with another description.
func replace(t testing.TB, s store.Store, key apikey.Key, description string) apikey.Key {
	t.Helper()
	key.Description = description
	key, err := s.PutKey(context.Background(), key)
	require.NoError(t, err)
	return key
}

// A fork is a store in a second place, which lacks the last writes of the first.
type fork struct {
	first, second *postgres.Store
	kept          store.Position // both have it
	key           apikey.Key     // as both have it
	lost          []apikey.Key   // versions of the key that only the first has
	positions     []store.Position
}

// lose has the first store write what the second does not get.
func (f *fork) lose(t testing.TB) {
	t.Helper()
	last := f.key
	for n := range 5 {
		last = replace(t, f.first, last, fmt.Sprint("lost ", n))
		f.lost = append(f.lost, last)
		f.positions = append(f.positions, position(t, f.first))
	}
}

// check compares the histories before and after the second store's first writes.
func (f *fork) check(t testing.TB) {
	t.Helper()
	unwritten := position(t, f.second)
	assert.Equal(t, f.kept.Revision, unwritten.Revision)
	assert.NotEqual(t, f.kept.History, unwritten.History)
	f.checkLost(t)
	_, mark, err := resumes(t, f.second, f.kept)
	require.NoError(t, err, "what both have is no loss")
	assert.Equal(t, unwritten, mark)
	assert.Empty(t, eventsAfter(t, f.second, f.kept))

	key := f.key
	key.Description = "in the second place"
	key.Revision, err = f.second.Write(t.Context(), writeOf(key))
	require.NoError(t, err)
	written := position(t, f.second)
	assert.Equal(t, unwritten.History, written.History, "the first write keeps the name")
	f.checkLost(t)
	for _, from := range []store.Position{f.kept, unwritten} {
		told, mark, err := resumes(t, f.second, from)
		require.NoError(t, err)
		assert.Equal(t, written, mark)
		require.Len(t, told, 1)
		assert.True(t, key.Equal(*told[0].KeyRecord))
		events := eventsAfter(t, f.second, from)
		require.Len(t, events, 1)
		assert.Equal(t, key.Revision, events[0].Revision)
	}
	forget(t, f.second, f.kept)
	assert.Len(t, eventsAfter(t, f.second, f.kept), 1)
	_, _, err = resumes(t, f.second, store.Position{History: "unknown", Revision: f.kept.Revision})
	assert.ErrorIs(t, err, store.ErrCompacted)
	_, _, err = resumes(t, f.second, store.Position{History: "\x00\xff", Revision: f.kept.Revision})
	assert.ErrorIs(t, err, store.ErrCompacted)
}

// checkLost looks for what was lost.
func (f *fork) checkLost(t testing.TB) {
	t.Helper()
	for i, lost := range f.lost {
		_, err := f.second.PutKey(t.Context(), lost)
		assert.ErrorIs(t, err, store.ErrConflict)
		assert.ErrorIs(t, f.second.DeleteKey(t.Context(), lost.ID, lost.Revision), store.ErrConflict)
		_, _, err = resumes(t, f.second, f.positions[i])
		assert.ErrorIs(t, err, store.ErrCompacted)
		_, err = f.second.Events(t.Context(), store.EventRequest{After: f.positions[i]})
		assert.ErrorIs(t, err, store.ErrCompacted)
		_, err = f.second.Write(t.Context(), store.Write{Forget: &f.positions[i]})
		assert.ErrorIs(t, err, store.ErrCompacted)
	}
}

// newFork returns a fork whose second store is to be set.
func newFork(t testing.TB, first *postgres.Store) *fork {
	t.Helper()
	acme(t, first)
	key, err := first.PutKey(t.Context(), newKey(t, "forked", "acme", "192.0.2.1"))
	require.NoError(t, err)
	return &fork{first: first, kept: position(t, first), key: key}
}

// TestPromotedStandby promotes two standbys that lacked the last writes, and leaves the
// primary running.
func TestPromotedStandby(t *testing.T) {
	primary := postgrestest.Start(t)
	first := newStore(t, newPool(t, primary.DSN()))
	f := newFork(t, first)
	var standbys []*postgrestest.Server
	for range 2 {
		standbys = append(standbys, primary.Standby(t, "standby"))
	}
	for _, standby := range standbys {
		waitForRevision(t, standby, f.kept.Revision)
		standby.Detach(t)
	}
	f.lose(t)
	names := map[string]bool{f.kept.History: true}
	for _, standby := range standbys {
		standby.Promote(t)
		promoted := *f
		promoted.second = openStore(t, newPool(t, standby.DSN()))
		promoted.check(t)
		names[position(t, promoted.second).History] = true
	}
	assert.Len(t, names, 3)
	assert.Equal(t, f.positions[len(f.positions)-1], position(t, first), "the primary goes on")
}

// waitForRevision waits until a standby has a revision.
func waitForRevision(t testing.TB, standby *postgrestest.Server, revision uint64) {
	t.Helper()
	require.Eventually(t, func() bool {
		return standby.SQL(t, standby.DSN(), "SELECT max(revision) FROM sallyport.changes") == fmt.Sprint(revision)
	}, patience, 10*time.Millisecond)
}

// TestCopiedFiles restores a copy of the server's files: same system, same timeline.
func TestCopiedFiles(t *testing.T) {
	server := postgrestest.Start(t)
	first := newStore(t, newPool(t, server.DSN()))
	f := newFork(t, first)
	server.Stop(t)
	copied := server.Copy(t)
	server.Restart(t)
	waitFor(t, first)
	f.lose(t)
	f.second = openStore(t, newPool(t, copied.DSN()))
	f.check(t)
}

// TestRestart: after a mere restart nothing is lost, and who watches goes on.
func TestRestart(t *testing.T) {
	server := postgrestest.Start(t)
	s := newStore(t, newPool(t, server.DSN()))
	acme(t, s)
	before := []store.Position{position(t, s)}
	key, err := s.Key(t.Context(), "key")
	require.NoError(t, err)
	for range 3 {
		server.Restart(t)
		waitFor(t, s)
		for _, from := range before {
			_, mark, err := resumes(t, s, from)
			require.NoError(t, err)
			assert.Equal(t, position(t, s), mark)
		}
		key = replace(t, s, key, "restarted")
		for _, from := range before {
			told, _, err := resumes(t, s, from)
			require.NoError(t, err)
			assert.Len(t, told, 1)
		}
		before = append(before, position(t, s))
	}
}

// TestRestoredDump restores a dump into the same database, into another of the same server,
// and clones the database.
func TestRestoredDump(t *testing.T) {
	server := postgrestest.Shared(t)
	for name, restore := range map[string]func(t *testing.T, dsn string) (second string, lost func()){
		"into the same database": func(t *testing.T, dsn string) (string, func()) {
			dump := server.Dump(t, dsn)
			return dsn, func() {
				server.SQL(t, dsn, "DROP SCHEMA sallyport CASCADE")
				server.Load(t, dsn, dump)
			}
		},
		"into another database": func(t *testing.T, dsn string) (string, func()) {
			other := server.Database(t)
			server.Load(t, other, server.Dump(t, dsn))
			return other, func() {}
		},
		"row by row": func(t *testing.T, dsn string) (string, func()) {
			tables := []string{"organizations", "keys", "changes", "events", "histories", "state"}
			server.SQL(t, dsn, "CREATE SCHEMA backup")
			for _, table := range tables {
				server.SQL(t, dsn, fmt.Sprintf("CREATE TABLE backup.%s AS TABLE sallyport.%[1]s", table))
			}
			return dsn, func() {
				sql := "BEGIN; DELETE FROM sallyport.keys;"
				for _, table := range tables {
					sql += fmt.Sprintf("DELETE FROM sallyport.%s; INSERT INTO sallyport.%[1]s TABLE backup.%[1]s;", table)
				}
				server.SQL(t, dsn, sql+"COMMIT")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dsn := server.Database(t)
			f := newFork(t, newStore(t, newPool(t, dsn)))
			second, lost := restore(t, dsn)
			f.lose(t)
			lost()
			f.second = openStore(t, newPool(t, second))
			f.check(t)
		})
	}
	t.Run("cloned", func(t *testing.T) {
		dsn := server.Database(t)
		pool := newPool(t, dsn)
		f := newFork(t, newStore(t, pool))
		pool.Reset()
		require.NoError(t, f.first.Close())
		var name string
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT current_database()`).Scan(&name))
		pool.Close()
		clone := server.Database(t, "TEMPLATE "+name)
		f.first, f.second = openStore(t, newPool(t, dsn)), openStore(t, newPool(t, clone))
		f.lose(t)
		f.check(t)
	})
}

// TestHistoryInTransaction begins a history in a caller's transaction.
func TestHistoryInTransaction(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	empty := position(t, s)
	for _, end := range []string{"ROLLBACK", "COMMIT"} {
		tx, err := pool.Begin(ctx)
		require.NoError(t, err)
		_, err = s.WithTx(tx).PutOrganization(ctx, policy.Organization{ID: "acme"})
		require.NoError(t, err)
		if end == "COMMIT" {
			require.NoError(t, tx.Commit(ctx))
		} else {
			require.NoError(t, tx.Rollback(ctx))
			assert.Equal(t, empty, position(t, s))
		}
	}
	after := position(t, s)
	assert.Equal(t, empty.History, after.History)
	_, err := s.PutOrganization(ctx, policy.Organization{ID: "other"})
	require.NoError(t, err)
	assert.Equal(t, store.Position{History: after.History, Revision: after.Revision + 1}, position(t, s))
	exec(t, pool, `VACUUM (FULL, FREEZE) sallyport.state`)
	_, mark, err := resumes(t, s, after)
	require.NoError(t, err)
	assert.Equal(t, position(t, s), mark)
}

// TestReplicaAfterFailover switches a key off at a standby that was promoted without the
// last writes, while a replica has a copy with them: it must not answer from that.
func TestReplicaAfterFailover(t *testing.T) {
	primary := postgrestest.Start(t)
	f := newFork(t, newStore(t, newPool(t, primary.DSN())))
	standby := primary.Standby(t, "standby")
	waitForRevision(t, standby, f.kept.Revision)
	standby.Detach(t)
	f.lose(t)

	s := openStore(t, newPool(t, fmt.Sprintf("host=%s,%s port=%s,%s user=postgres dbname=postgres target_session_attrs=primary",
		primary.Socket(), standby.Socket(), port(primary), port(standby))))
	r, err := replica.New(s, replica.WithMaxStaleness(5*time.Second), replica.WithErrorHandler(func(error) {}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	require.NoError(t, r.Ready(t.Context()))

	primary.Kill(t)
	standby.Promote(t)
	second := openStore(t, newPool(t, standby.DSN()))
	off := f.key
	off.Disabled = true
	off, err = second.PutKey(t.Context(), off)
	require.NoError(t, err)
	switchedOff := time.Now()
	for {
		asked := time.Now()
		subject, found, err := r.Lookup(t.Context(), "forked")
		if err == nil && found && subject.Key().Disabled {
			break
		}
		require.False(t, err == nil && asked.Sub(switchedOff) > 5*time.Second, "the key is on, %v after it was switched off", asked.Sub(switchedOff))
		require.Less(t, time.Since(switchedOff), patience)
		time.Sleep(5 * time.Millisecond)
	}
}

func port(s *postgrestest.Server) string {
	_, port, _ := net.SplitHostPort(s.Address())
	return port
}
