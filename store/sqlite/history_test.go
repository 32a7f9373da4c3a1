package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/replica"
	"github.com/sallyport-go/sallyport/store/storetest"
)

// backup copies the store in use, as the documentation says.
func backup(t testing.TB, s store.Store) (path string) {
	path = filepath.Join(t.TempDir(), "backup.db")
	sqlTo(t, s.(*Store).file.path, "VACUUM INTO '"+path+"'")
	return path
}

// restoreClosed closes the store and puts the backup in the place of the file.
func restoreClosed(t testing.TB, s store.Store) func(testing.TB, store.Store) store.Store {
	from := backup(t, s)
	return func(t testing.TB, s store.Store) store.Store {
		require.NoError(t, s.Close())
		putBack(t, from, s.(*Store).file.path)
		return open(t, s.(*Store).file.path)
	}
}

func putBack(t testing.TB, from, path string) {
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + suffix); !os.IsNotExist(err) {
			require.NoError(t, err)
		}
	}
	content, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, content, 0o600))
}

// restoreInPlace writes the backup into the file while the store has it open, as the
// command .restore of the sqlite3 program does.
func restoreInPlace(t testing.TB, s store.Store) func(testing.TB, store.Store) store.Store {
	from := backup(t, s)
	return func(t testing.TB, s store.Store) store.Store {
		to, err := sqlite.NewConnector(uri(s.(*Store).file.path))
		require.NoError(t, err)
		conn, err := to.Connect(context.Background())
		require.NoError(t, err)
		defer conn.Close()
		restore, err := conn.(interface {
			NewRestore(string) (*sqlite.Backup, error)
		}).NewRestore(from)
		require.NoError(t, err)
		for more := true; more; {
			more, err = restore.Step(-1)
			require.NoError(t, err)
		}
		require.NoError(t, restore.Finish())
		return s
	}
}

// One process notices that a backup was restored under it, since its own latest write is
// no longer there.
func TestContractRestoredInPlace(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store { return open(t, filepath.Join(inMemory(t), "keys.db")) }, storetest.Restore(restoreInPlace))
}

// A backup is restored under a process whose own latest write is in it, while that of
// another process is not. The process has seen the other's write by its position.
func TestRestoredInPlaceAfterAnothersWrite(t *testing.T) {
	path := newPath(t)
	one, other := open(t, path), open(t, path)
	put := func(s *Store, organization policy.Organization) policy.Organization {
		t.Helper()
		stored, err := s.PutOrganization(t.Context(), organization)
		require.NoError(t, err)
		return stored
	}
	put(other, policy.Organization{ID: "other"})
	kept := put(one, policy.Organization{ID: "acme"})
	restore := restoreInPlace(t, one)
	lost := put(other, kept)
	seen := positionOf(t, one)
	restore(t, one)
	for range 2 {
		assert.Less(t, positionOf(t, one).Revision, seen.Revision, "what went back is seen, too")
	}
	again := put(one, kept)
	assert.NotEqual(t, lost.Revision, again.Revision)
	assert.NotEqual(t, seen.History, positionOf(t, one).History)
	_, err := other.PutOrganization(t.Context(), lost)
	assert.ErrorIs(t, err, store.ErrConflict)
	assert.ErrorIs(t, watchErrorFrom(t, one, seen), store.ErrCompacted)
}

// positionOf returns the latest position.
func positionOf(t testing.TB, s store.Watcher) store.Position {
	t.Helper()
	latest, err := s.Position(t.Context())
	require.NoError(t, err)
	return latest
}

// A Store begins a history by its first write, and not by being opened, read or counted
// in. A watch, and one from a mark of an earlier history, go on; nobody has to reload.
func TestEveryWriterBeginsAHistory(t *testing.T) {
	path := newPath(t)
	write := func(s *Store, id string) store.Position {
		t.Helper()
		_, err := s.PutOrganization(t.Context(), policy.Organization{ID: id})
		require.NoError(t, err)
		return positionOf(t, s)
	}
	made := open(t, path)
	before := positionOf(t, made)
	first := write(made, "a")
	assert.Equal(t, store.Position{History: before.History, Revision: 1}, first, "it made the file, which has no other past")

	other := open(t, path)
	assert.Equal(t, first, positionOf(t, other))
	require.NoError(t, other.RecordUsage(t.Context(), nil))
	assert.Equal(t, first, positionOf(t, other))
	second := write(other, "b")
	assert.NotEqual(t, first.History, second.History)
	assert.Greater(t, second.Revision, first.Revision)
	third := write(made, "c")
	assert.Equal(t, store.Position{History: second.History, Revision: second.Revision + 1}, third, "two that take turns share it")
	assert.Equal(t, store.Position{History: second.History, Revision: second.Revision + 2}, write(other, "d"))
	assert.Equal(t, store.Position{History: second.History, Revision: second.Revision + 3}, write(made, "e"))

	for after, want := range map[store.Position][]string{
		{}:     {"a", "b", "c", "d", "e"},
		before: {"e", "d", "c", "b", "a"},
		first:  {"e", "d", "c", "b"},
		second: {"e", "d", "c"},
		{History: second.History, Revision: first.Revision + 1}: {"e", "d", "c", "b"}, // between the two
	} {
		var told []string
		for change, err := range other.Watch(t.Context(), after) {
			require.NoError(t, err)
			if change.IsMark() {
				assert.Equal(t, positionOf(t, other), change.Position())
				break
			}
			told = append(told, change.Organization)
		}
		assert.Equal(t, want, told, "after %+v", after)
	}
	for _, after := range []store.Position{
		{History: first.History, Revision: first.Revision + 1}, // beyond the end of its history
		{History: second.History, Revision: second.Revision + 4},
		{History: "none", Revision: 1},
		{Revision: 1},
	} {
		assert.ErrorIs(t, watchErrorFrom(t, other, after), store.ErrCompacted, "%+v", after)
	}
}

func watchErrorFrom(t testing.TB, s store.Watcher, after store.Position) error {
	t.Helper()
	for change, err := range s.Watch(t.Context(), after) {
		require.Error(t, err, "it told %+v", change)
		return err
	}
	return nil
}

// Of the histories those are kept whose positions may still be watched from.
func TestHistoriesAreForgotten(t *testing.T) {
	path := newPath(t)
	var marks []store.Position
	for n := range 30 {
		s := open(t, path)
		s.keptChanges = 10
		_, err := s.PutOrganization(t.Context(), policy.Organization{ID: string(rune('a' + n))})
		require.NoError(t, err)
		marks = append(marks, positionOf(t, s))
		require.NoError(t, s.Close())
	}
	s := open(t, path)
	var histories, changes int
	require.NoError(t, s.read.QueryRow("SELECT (SELECT count(*) FROM histories), (SELECT count(*) FROM changes)").Scan(&histories, &changes))
	assert.Equal(t, 10, changes)
	assert.Equal(t, 11, histories, "one change each, and that of the latest one forgotten")
	for n, mark := range marks {
		if n < 19 {
			assert.ErrorIs(t, watchErrorFrom(t, s, mark), store.ErrCompacted)
			continue
		}
		told := 0
		for change, err := range s.Watch(t.Context(), mark) {
			require.NoError(t, err)
			if change.IsMark() {
				break
			}
			told++
		}
		assert.Equal(t, 29-n, told)
	}
}

// A replica goes on while one program after another writes and ends, and has everything
// loaded again after a backup was restored under it.
func TestReplicaOfAFileWithHistories(t *testing.T) {
	path := twoKeys(t)
	s := open(t, path)
	failures := make(chan error, 100)
	copied, err := replica.New(s, replica.WithErrorHandler(func(err error) { failures <- err }))
	require.NoError(t, err)
	defer copied.Close()
	require.NoError(t, copied.Ready(t.Context()))
	restore := restoreInPlace(t, s)
	for n := range 5 {
		other, err := Open(t.Context(), path)
		require.NoError(t, err)
		putKey(t, other, newKey(t, apikey.ID(fmt.Sprint("key-", n)), "acme"))
		latest := positionOf(t, other)
		require.NoError(t, other.Close())
		require.NoError(t, copied.Sync(t.Context()))
		assert.Equal(t, latest, copied.Position())
	}
	assert.Empty(t, failures)

	restore(t, s)
	require.NoError(t, s.DeleteKey(t.Context(), "second", 0))
	require.NoError(t, copied.Sync(t.Context()))
	for id, want := range map[apikey.ID]bool{"first": true, "second": false, "key-0": false, "key-4": false} {
		_, found, err := copied.LookupNow(id)
		require.NoError(t, err)
		assert.Equal(t, want, found, id)
	}
	assert.Error(t, <-failures) // ErrCompacted, unless it asked between the restore and the deletion
}
