//go:build unix

package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	"github.com/sallyport-go/sallyport/store"
)

func TestOpenMakesAFileForItsOwner(t *testing.T) {
	before := syscall.Umask(0)
	defer syscall.Umask(before)
	s := open(t, newPath(t))
	putOrganization(t, s, "acme")
	files, err := filepath.Glob(s.file.path + "*")
	require.NoError(t, err)
	assert.Len(t, files, 3, "the file, its log and its index")
	for _, file := range files {
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), file)
	}
	require.NoError(t, s.Close())
	files, err = filepath.Glob(s.file.path + "*")
	require.NoError(t, err)
	assert.Equal(t, []string{s.file.path}, files, "after Close the log is written back")
}

// The permissions of a file that is there are its owner's to choose.
func TestOpenLeavesPermissions(t *testing.T) {
	path := newPath(t)
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, os.Chmod(path, 0o640))
	open(t, path)
	for _, file := range []string{path, path + "-wal"} {
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o640), info.Mode().Perm(), file)
	}
}

func TestOpenOddPaths(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{
		"what?.db", "100%.db", "a%20b.db", "one two.db", "#1.db", "a&b=c.db", "a;b.db", "é.db", "\xff.db", "mode=ro", "'quoted'.db",
		`"double".db`, "a\\b.db", "new\nline.db", "keys.db?mode=memory", "file", "./file:keys.db", "-wal", "a+b.db", ".hidden",
	} {
		s := open(t, name)
		putOrganization(t, s, "acme")
		require.NoError(t, s.Close())
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err, "%q", name)
		assert.True(t, strings.HasPrefix(string(data), "SQLite format 3\x00"), "%q", name)
		_, err = open(t, filepath.Join(dir, name)).Organization(t.Context(), "acme")
		require.NoError(t, err, "%q", name)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		assert.False(t, strings.HasSuffix(entry.Name(), "-journal"), entry.Name())
	}

	require.NoError(t, os.Symlink("one two.db", "link.db"))
	_, err = open(t, "link.db").Organization(t.Context(), "acme")
	require.NoError(t, err)
}

// A path leads to the file to which it leads everybody else: above a link is what is above
// the place that it leads to.
func TestOpenAboveALink(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, os.MkdirAll(filepath.Join("releases", "one"), 0o700))
	require.NoError(t, os.Symlink(filepath.Join("releases", "one"), "current"))
	for i, path := range []string{"current/../keys.db", dir + "/current/../keys.db", "/" + dir + "//current/.././keys.db"} {
		putOrganization(t, open(t, path), fmt.Sprint("organization ", i))
	}
	s := open(t, filepath.Join("releases", "keys.db"))
	assert.Len(t, contentsOf(t, s).organizations, 3)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 2, "a file was made beside the link")
}

func TestOpenRefusesPaths(t *testing.T) {
	dir := t.TempDir()
	fifo, dangling := filepath.Join(dir, "fifo"), filepath.Join(dir, "dangling")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	require.NoError(t, os.Symlink(filepath.Join(dir, "gone"), dangling))
	for path, want := range map[string]string{
		"":                                    "the path is empty: want that of a file",
		":memory:":                            `the path ":memory:": want that of a file, not a URI or a store in memory`,
		"file::memory:?cache=shared":          "not a URI",
		"file:keys.db":                        "not a URI",
		dir:                                   dir + " is a directory: want a file",
		fifo:                                  fifo + " is a special file (p---------): want a file",
		dangling:                              "no such file or directory",
		filepath.Join(dir, "gone", "keys.db"): "no such file or directory",
		filepath.Join(dir, "a\x00b"):          "invalid argument",
	} {
		s, err := Open(t.Context(), path)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "store/sqlite: ")
		assert.Nil(t, s)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 2)
}

// What is not ours is refused, and stays as it is.
func TestOpenRefusesOtherFiles(t *testing.T) {
	for _, other := range []struct {
		name, want string
		write      func(t *testing.T, path string)
	}{
		{"text", "file is not a database", func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("Ceci n'est pas une base de données.\n", 1000)), 0o600))
		}},
		{"short text", "file is not a database", func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, []byte("hello"), 0o600))
		}},
		{"another database", "it is another SQLite database, of application 0x0 with 1 tables and indexes: want one that this package has made, or no file", func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			sqlTo(t, path, "CREATE TABLE recipes (name)", "INSERT INTO recipes VALUES ('soup')")
		}},
		{"another program's empty database", "of application 0x47504b47 with 0 tables", func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			sqlTo(t, path, "PRAGMA application_id = 0x47504b47")
		}},
		{"a later version", "a later release has changed the file: programs from version 2 on may read it, and this one has version 1", func(t *testing.T, path string) {
			require.NoError(t, os.Rename(twoKeys(t), path))
			sqlTo(t, path, "PRAGMA user_version = 3", "UPDATE progress SET readable_from = 2, writable_from = 3")
		}},
		{"a later version of another form", "the file has version 3, of a later release, and does not say who may read it: ", func(t *testing.T, path string) {
			require.NoError(t, os.Rename(twoKeys(t), path))
			sqlTo(t, path, "PRAGMA user_version = 3", "ALTER TABLE progress RENAME COLUMN readable_from TO others")
		}},
		{"no version", "the file has version 0: want 1 to 1", func(t *testing.T, path string) {
			require.NoError(t, os.Rename(twoKeys(t), path))
			sqlTo(t, path, "PRAGMA user_version = 0")
		}},
		{"a table is missing", "no such table: changes", func(t *testing.T, path string) {
			require.NoError(t, os.Rename(twoKeys(t), path))
			sqlTo(t, path, "DROP TABLE changes")
		}},
		{"another encoding", "it has the encoding UTF-16le: want UTF-8", func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			sqlTo(t, path, "PRAGMA encoding = 'UTF-16le'; CREATE TABLE gone (x); DROP TABLE gone")
		}},
	} {
		t.Run(other.name, func(t *testing.T) {
			path := newPath(t)
			other.write(t, path)
			before, err := os.ReadFile(path)
			require.NoError(t, err)
			s, err := Open(t.Context(), path)
			require.ErrorContains(t, err, other.want)
			require.ErrorContains(t, err, "store/sqlite: open "+path)
			assert.Nil(t, s)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, before, after, "the file was changed")
			files, err := filepath.Glob(path + "?*")
			require.NoError(t, err)
			assert.Empty(t, files, "something was left beside it")
		})
	}
}

// newer takes a file to the next version, as a later release would, with a step more.
func newer(t testing.TB, path string, readableFrom, writableFrom int, step string) {
	t.Helper()
	f, err := fileAt(path)
	require.NoError(t, err)
	to, err := sqlite.NewConnector(uri(path))
	require.NoError(t, err)
	db := sql.OpenDB(connector{to, f, preparing})
	defer func() { assert.NoError(t, db.Close()) }()
	from, err := version(t.Context(), db, 1000)
	require.NoError(t, err)
	steps := append(slices.Clone(migrations), make([]migration, from)...) // some are done
	steps[from] = migration{readableFrom, writableFrom, step}
	_, err = migrate(t.Context(), db, steps)
	require.NoError(t, err)
}

// A later release changes a file while an older one has it open: it adds a column, then
// forbids the older one to write, then to read.
func TestLaterVersionWhileOpen(t *testing.T) {
	path := twoKeys(t)
	s := open(t, path)
	next, stop := iter.Pull2(s.Watch(t.Context(), store.Position{}))
	defer stop()
	wantMark(t, next, 3)

	newer(t, path, 1, 1, "ALTER TABLE keys ADD COLUMN parent TEXT; CREATE TABLE parents (id TEXT) STRICT")
	again := open(t, path)
	for name, call := range everyCall(t) {
		if name == "DeleteKey" || name == "DeleteOrganization" {
			continue // of what the others need
		}
		require.NoError(t, call(t.Context(), s), name)
	}
	_, err, _ := next()
	require.NoError(t, err, "the watch goes on")

	writes := []string{"PutOrganization", "PutKey", "DeleteKey", "DeleteOrganization", "RecordUsage", "RecordObservation", "Load", "Write"}
	newer(t, path, 1, 3, "ALTER TABLE keys ADD COLUMN hidden INTEGER")
	for _, s := range []*Store{s, again, open(t, path)} {
		before, err := s.Position(t.Context())
		require.NoError(t, err)
		for name, call := range everyCall(t) {
			err := call(t.Context(), s)
			if !slices.Contains(writes, name) {
				require.NoError(t, err, name)
				continue
			}
			wantPrefix(t, err, "store/sqlite: ")
			require.ErrorIs(t, err, store.ErrNewer, name)
			require.ErrorContains(t, err, "programs from version 3 on may write it, and this one has version 1", name)
		}
		after, err := s.Position(t.Context())
		require.NoError(t, err)
		require.Equal(t, before, after, "nothing was written")
		assert.True(t, decide(s, "first", "192.0.2.1").Allowed())
	}

	newer(t, path, 4, 4, "")
	for name, call := range everyCall(t) {
		err := call(t.Context(), s)
		wantPrefix(t, err, "store/sqlite: ")
		require.ErrorIs(t, err, store.ErrNewer, name)
		require.ErrorContains(t, err, "programs from version 4 on may ", name)
	}
	for err == nil {
		_, err, _ = next()
	}
	require.ErrorIs(t, err, store.ErrNewer, "a watch that was waiting")
	assert.False(t, decide(s, "first", "192.0.2.1").Allowed())
	_, err = Open(t.Context(), path)
	require.ErrorIs(t, err, store.ErrNewer)

	sqlTo(t, path, "PRAGMA ignore_check_constraints = 1; UPDATE progress SET readable_from = 0")
	require.ErrorContains(t, everyCall(t)["Lookup"](t.Context(), s), "the file does not say who may read it: want a version from 1 on")
	sqlTo(t, path, "DELETE FROM progress")
	for name, call := range everyCall(t) {
		require.Error(t, call(t.Context(), s), name)
	}
}

// An empty database is a file to be made, and so is one that was made only half.
func TestOpenMakesEmptyDatabases(t *testing.T) {
	for name, prepare := range map[string]string{
		"empty":                "PRAGMA user_version = 0",
		"with a log":           "PRAGMA journal_mode = WAL",
		"with another journal": "PRAGMA journal_mode = TRUNCATE",
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			sqlTo(t, path, prepare)
			putOrganization(t, open(t, path), "acme")
		})
	}
}

// Of two that find an empty file the second finds the tables there.
func TestMigrateTwice(t *testing.T) {
	path, err := makeFile(newPath(t))
	require.NoError(t, err)
	f, err := fileAt(path)
	require.NoError(t, err)
	to, err := sqlite.NewConnector(uri(path))
	require.NoError(t, err)
	db := sql.OpenDB(connector{to, f, preparing})
	defer func() { assert.NoError(t, db.Close()) }()
	made, err := migrate(t.Context(), db, migrations)
	require.NoError(t, err)
	assert.NotEmpty(t, made.History, "it made the tables, and so the history")
	made, err = migrate(t.Context(), db, migrations)
	require.NoError(t, err)
	assert.Zero(t, made, "it cannot know whether there was more in the file")
}

// A file that a tool has taken out of the log's mode, or made by VACUUM INTO, is put back
// into it.
func TestOpenReturnsToTheLog(t *testing.T) {
	path := twoKeys(t)
	backup := filepath.Join(t.TempDir(), "backup.db")
	sqlTo(t, path, "VACUUM INTO '"+backup+"'", "PRAGMA journal_mode = DELETE")
	want := contentsOf(t, open(t, path))
	for _, path := range []string{path, backup} {
		s := open(t, path)
		var mode string
		require.NoError(t, s.read.QueryRow("PRAGMA journal_mode").Scan(&mode))
		assert.Equal(t, "wal", mode)
		assert.True(t, want.equal(contentsOf(t, s)))
	}
}

// A file system without shared memory is an error: here it is SQLite's way of locking
// for such ones.
func TestOpenNeedsSharedMemory(t *testing.T) {
	path, err := makeFile(newPath(t))
	require.NoError(t, err)
	to, err := sqlite.NewConnector(uri(path) + "&vfs=unix-dotfile")
	require.NoError(t, err)
	_, err = openFile(t.Context(), path, to, bringUpToDate)
	require.ErrorContains(t, err, `the file system cannot have a write-ahead log, which processes share by shared memory: PRAGMA journal_mode is "delete": want "wal"`)
}

// Every connection has the settings that make writes last, and can be seen to have them.
func TestSettingsAreInForce(t *testing.T) {
	s := open(t, newPath(t))
	for _, d := range []struct {
		name     string
		database database
		settings []setting
	}{{"write", s.write, writing}, {"read", s.read, reading}, {"feed", s.feed, reading}} {
		for _, setting := range d.settings {
			var value any
			require.NoError(t, d.database.QueryRow("PRAGMA "+setting.name).Scan(&value))
			assert.Equal(t, setting.value, fmt.Sprint(value), "%s: %s", d.name, setting.name)
		}
	}
	for name, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var value any
		require.NoError(t, s.write.QueryRow("PRAGMA "+name).Scan(&value))
		assert.Equal(t, want, fmt.Sprint(value), name)
	}
	_, err := s.read.Exec("DELETE FROM keys")
	require.ErrorContains(t, err, "readonly")

	to, err := sqlite.NewConnector(uri(s.file.path))
	require.NoError(t, err)
	db := sql.OpenDB(connector{to, s.file, []setting{{name: "journal_mode", value: "off"}}})
	require.ErrorContains(t, db.PingContext(t.Context()), `PRAGMA journal_mode is "wal": want "off"`)
	require.NoError(t, db.Close())
	db = sql.OpenDB(connector{to, s.file, []setting{{name: "no_such_setting", value: "1"}}})
	require.ErrorContains(t, db.PingContext(t.Context()), `PRAGMA no_such_setting is "": want "1"`)
	require.NoError(t, db.Close())
}

func TestOpenWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := newPath(t)
	_, err := Open(ctx, path)
	require.ErrorIs(t, err, context.Canceled)
	_, err = os.Stat(path)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// What was in the log when the process ended without Close is there when the file is
// opened again; what somebody has removed with the log is not, and watches say so.
func TestLogDeletedWhileClosed(t *testing.T) {
	path := twoKeys(t)
	lost := open(t, path)
	before := contentsOf(t, lost)
	putKey(t, lost, newKey(t, "third", "acme"))
	after := contentsOf(t, lost)

	// As after a crash: the files as they are while they are open. This takes the locks
	// from the store, which nobody else here misses.
	dir := t.TempDir()
	kept, without := filepath.Join(dir, "kept.db"), filepath.Join(dir, "without.db")
	for _, to := range []string{kept, without} {
		for _, suffix := range []string{"", "-wal"} {
			data, err := os.ReadFile(path + suffix)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(to+suffix, data, 0o600))
		}
	}
	require.NoError(t, os.Remove(without+"-wal"))
	assert.True(t, after.equal(contentsOf(t, open(t, kept))))
	s := open(t, without)
	assert.True(t, before.equal(contentsOf(t, s)))
	require.ErrorIs(t, watchError(t, s, after.revision), store.ErrCompacted)
}
