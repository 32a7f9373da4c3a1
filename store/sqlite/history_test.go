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
	options := []storetest.Option{storetest.Restore(restoreInPlace)}
	for prefix, n := range map[string]int{"S": 29, "L": 3, "W": 10, "U": 15, "E": 16} {
		for i := range n {
			switch sentence := fmt.Sprint(prefix, i+1); sentence {
			case "S27", "W4", "W9", "W10": // those with cases of Restore
			default:
				options = append(options, storetest.Without(sentence, "TestContract has the same store"))
			}
		}
	}
	storetest.Run(t, func(t testing.TB) store.Store { return open(t, filepath.Join(inMemory(t), "keys.db")) }, options...)
}

// A backup is restored under a process whose own latest write is in it, while that of
// another process is not. The process has learned of the other's write.
func TestRestoredInPlaceAfterAnothersWrite(t *testing.T) {
	for name, learn := range map[string]func(t *testing.T, s *Store) store.Position{
		"by its position": func(t *testing.T, s *Store) store.Position { return positionOf(t, s) },
		"by a watch": func(t *testing.T, s *Store) store.Position {
			for change, err := range s.Watch(t.Context(), store.Position{}) {
				require.NoError(t, err)
				if change.IsMark() {
					return store.Position{History: change.History, Revision: change.Revision}
				}
			}
			return store.Position{}
		},
		"by the events": func(t *testing.T, s *Store) store.Position {
			page, err := s.Events(t.Context(), store.EventRequest{})
			require.NoError(t, err)
			return page.Next
		},
	} {
		t.Run(name, func(t *testing.T) {
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
			seen := learn(t, one)
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
		})
	}
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
		s.keptChanges = 20
		_, err := s.PutOrganization(t.Context(), policy.Organization{ID: string(rune('a' + n))})
		require.NoError(t, err)
		require.NoError(t, forget(t.Context(), s, positionOf(t, s)))
		marks = append(marks, positionOf(t, s))
		require.NoError(t, s.Close())
	}
	s := open(t, path)
	var histories, changes int
	require.NoError(t, s.read.QueryRow("SELECT (SELECT count(*) FROM histories), (SELECT count(*) FROM changes)").Scan(&histories, &changes))
	assert.Equal(t, 20, changes)
	assert.Equal(t, 11, histories, "two changes each, and that of the latest one forgotten")
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

// A history is kept as long as no event after it was forgotten, though its changes are.
func TestHistoriesAreKeptForEvents(t *testing.T) {
	path := newPath(t)
	putOrganization(t, open(t, path), "acme")
	var nexts []store.Position
	var s *Store
	for n := range 30 {
		s = open(t, path)
		s.keptChanges = 3
		write(t, s, newKey(t, apikey.ID(fmt.Sprint("key-", n)), "acme"))
		page, err := s.Events(t.Context(), store.EventRequest{Limit: store.MaxPageSize})
		require.NoError(t, err)
		nexts = append(nexts, page.Next)
	}
	assert.ErrorIs(t, watchErrorFrom(t, s, nexts[25]), store.ErrCompacted)
	wantAfter := func(first, more int) {
		t.Helper()
		for n, next := range nexts {
			page, err := s.Events(t.Context(), store.EventRequest{After: next, Limit: store.MaxPageSize})
			if n < first {
				assert.ErrorIs(t, err, store.ErrCompacted, "after write %d", n)
				continue
			}
			require.NoError(t, err, "after write %d", n)
			assert.Len(t, page.Events, 29-n+more, "after write %d", n)
		}
	}
	wantAfter(0, 0)
	require.NoError(t, forget(t.Context(), s, nexts[20]))
	wantAfter(20, 1)
	var histories int
	require.NoError(t, s.read.QueryRow("SELECT count(*) FROM histories WHERE name <> ?", nexts[20].History).Scan(&histories))
	assert.Equal(t, 9, histories, "one for each later write")
	require.NoError(t, forget(t.Context(), s, nexts[20]), "again")
	require.ErrorIs(t, forget(t.Context(), s, nexts[10]), store.ErrCompacted, "its history is forgotten, too")
	wantAfter(20, 2)
}

// A backup is restored under a process that has seen another's write by the Next of a page.
func TestRestoredInPlaceAfterNext(t *testing.T) {
	path := twoKeys(t)
	one, other := open(t, path), open(t, path)
	write(t, one, newKey(t, "kept", "acme"))
	restore := restoreInPlace(t, one)
	lost := write(t, other, newKey(t, "lost", "acme"))
	page, err := one.Events(t.Context(), store.EventRequest{})
	require.NoError(t, err)
	assert.Equal(t, lost, page.Next.Revision)
	restore(t, one)
	assert.NotEqual(t, lost, write(t, one, newKey(t, "again", "acme")))
	for _, after := range []store.Position{page.Next, {History: page.Next.History, Revision: lost}} {
		_, err = one.Events(t.Context(), store.EventRequest{After: after})
		assert.ErrorIs(t, err, store.ErrCompacted)
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
