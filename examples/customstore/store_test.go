package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest"
	"github.com/sallyport-go/sallyport/store/storetest/crashtest"
)

var client = netip.MustParseAddr("203.0.113.7")

// TestContract is the one test that every adapter has. Reopen lets the kit check that
// records outlive the process that wrote them, and Compact that a watcher too far behind
// gets store.ErrCompacted.
func TestContract(t *testing.T) {
	dirs := map[store.Store]string{}
	open := func(t testing.TB, dir string) store.Store {
		s, err := OpenFileStore(dir)
		require.NoError(t, err)
		dirs[s] = dir
		return s
	}
	storetest.Run(t,
		func(t testing.TB) store.Store { return open(t, inMemory(t)) },
		storetest.Reopen(func(t testing.TB, s store.Store) store.Store {
			require.NoError(t, s.Close())
			return open(t, dirs[s])
		}),
		storetest.Restore(func(t testing.TB, s store.Store) func(testing.TB, store.Store) store.Store {
			backup := filepath.Join(t.TempDir(), "backup")
			require.NoError(t, os.CopyFS(backup, os.DirFS(dirs[s])))
			return func(t testing.TB, s store.Store) store.Store {
				require.NoError(t, s.Close())
				require.NoError(t, os.RemoveAll(dirs[s]))
				require.NoError(t, os.CopyFS(dirs[s], os.DirFS(backup)))
				return open(t, dirs[s])
			}
		}),
		storetest.Compact(func(t testing.TB, s store.Store) { // as reopening does
			files := s.(*FileStore)
			files.mu.Lock()
			defer files.mu.Unlock()
			require.NoError(t, files.beginHistory())
		}),
		storetest.Damage(storetest.Damages{Events: func(t testing.TB, s store.Store, revision uint64) {
			files := s.(*FileStore)
			path := filepath.Join(files.dir, files.eventsPath(revision))
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, data[:len(data)/2], 0o600))
		}}),
	)
}

// inMemory returns a directory that no disk has to be waited for, where the system has
// one: the kit writes tens of thousands of times, and tests nothing that disks do.
func inMemory(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "customstore")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func BenchmarkFileStore(b *testing.B) {
	storetest.Benchmark(b, func(t testing.TB) store.Store {
		s, err := OpenFileStore(t.TempDir())
		require.NoError(t, err)
		return s
	})
}

func TestExample(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out, nil))
	require.True(t, strings.HasPrefix(out.String(), "allow address_listed\n"), out.String())

	// A second run finds what the first one left.
	dir := t.TempDir()
	for range 2 {
		require.NoError(t, run(t.Context(), &out, []string{dir}))
	}
	require.Len(t, files(t, dir, keysDir), 2)
	require.Len(t, files(t, dir, organizationsDir), 1)
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	first, err := OpenFileStore(dir)
	require.NoError(t, err)
	_, err = OpenFileStore(dir)
	require.ErrorContains(t, err, "want no other process that uses it")
	require.NoError(t, first.Close())
	second, err := OpenFileStore(dir)
	require.NoError(t, err)
	require.NoError(t, second.Close())
}

// What cannot be read is refused when the store is opened, with the file's name, and
// nothing is changed by that: rule A3.
func TestDamagedFiles(t *testing.T) {
	replace := func(old, with string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Contains(t, string(data), old)
			require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(data), old, with, 1)), 0o600))
		}
	}
	usage := func(text string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), usageFile), []byte(text), 0o600))
		}
	}
	for name, test := range map[string]struct {
		sub    string
		damage func(t *testing.T, path string)
		want   string
	}{
		"empty":            {keysDir, func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 0)) }, "unexpected end"},
		"cut off":          {keysDir, func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 50)) }, "unexpected end"},
		"list renamed":     {keysDir, replace("accessList", "allow"), `unknown name "allow"`},
		"list gone":        {keysDir, replace(`"accessList":[`, `"accessList":null,"x":[`), "null"},
		"bad entry":        {keysDir, replace("203.0.113.7", "203.0.113.700"), "want octets from 0 to 255"},
		"another key":      {keysDir, replace(`"id":"`, `"id":"x`), "was it copied?"},
		"requirement gone": {organizationsDir, replace("requirement", "require"), "require"},
		"organization gone": {organizationsDir, func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) },
			`is of organization "acme", which has no file`},
		"foreign file": {keysDir, func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), "note.txt"), []byte("hello"), 0o600))
		}, "note.txt"},
		"revision": {".", func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), "revision"), []byte("many"), 0o600))
		}, "want a number"},
		"last revision": {".", func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), "revision"), []byte("9223372036854775807"), 0o600))
		}, "want less"},
		"last revision of a record": {keysDir, func(t *testing.T, path string) {
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			data = regexp.MustCompile(`"revision":\d+`).ReplaceAll(data, []byte(`"revision":18446744073709551615`))
			require.NoError(t, os.WriteFile(path, data, 0o600))
		}, "want less"},
		"usage":       {".", usage(`{"k":{"entries":{}`), usageFile},
		"usage gone":  {".", usage("null"), "want a JSON object, not null"},
		"usage and":   {".", usage("{}]"), "want one JSON object"},
		"usage twice": {".", usage("{}{}"), "want one JSON object"},
		"observation": {".", func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), observationFile), []byte("{}"), 0o600))
		}, observationFile},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_, _, err := addKey(t.Context(), dir)
			require.NoError(t, err)
			path := filepath.Join(dir, test.sub, "x")
			if test.sub != "." {
				path = files(t, dir, test.sub)[0]
			}
			test.damage(t, path)
			before := snapshot(t, dir)
			_, err = OpenFileStore(dir)
			require.ErrorContains(t, err, test.want)
			require.Equal(t, before, snapshot(t, dir))
		})
	}
}

// A disk that refuses to write costs the call, not the record.
func TestFailedWriteChangesNothing(t *testing.T) {
	dir := t.TempDir()
	id, _, err := addKey(t.Context(), dir)
	require.NoError(t, err)
	s, err := OpenFileStore(dir)
	require.NoError(t, err)
	defer s.Close()
	key, err := s.Key(t.Context(), id)
	require.NoError(t, err)

	// A directory in the way, since root may write where it is not allowed to.
	path := filepath.Join(dir, keysDir, fileName(string(id)))
	require.NoError(t, os.Rename(path, path+".aside"))
	require.NoError(t, os.Mkdir(path, 0o700))
	changed := key.Clone()
	changed.Disabled = true
	_, err = s.PutKey(t.Context(), changed)
	require.Error(t, err)
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Rename(path+".aside", path))

	stored, err := s.Key(t.Context(), id)
	require.NoError(t, err)
	require.True(t, stored.Equal(key))
	require.Len(t, files(t, dir, keysDir), 1, "the temporary file was left behind")
	stored.Disabled = true
	_, err = s.PutKey(t.Context(), stored)
	require.NoError(t, err)
}

// The usage of a key goes with it, also if the process ends right after (S14). A failed
// write of usage changes nothing (U4).
func TestUsageGoesWithTheKey(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	id, _, err := addKey(ctx, dir)
	require.NoError(t, err)
	open := func() *FileStore {
		s, err := OpenFileStore(dir)
		require.NoError(t, err)
		return s
	}
	count := func(s *FileStore) uint64 {
		usage, err := s.Usage(ctx, id)
		require.NoError(t, err)
		return usage[id].Secrets["secret"].Count
	}
	s := open()
	key, err := s.Key(ctx, id)
	require.NoError(t, err)
	batch := map[apikey.ID]store.KeyUsage{id: {Secrets: map[string]accesslist.Usage{"secret": {Count: 7}}}}
	require.NoError(t, s.RecordUsage(ctx, batch))

	require.NoError(t, os.Rename(filepath.Join(dir, usageFile), filepath.Join(dir, "aside")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, usageFile), 0o700))
	require.Error(t, s.RecordUsage(ctx, batch))
	require.EqualValues(t, 7, count(s))
	require.NoError(t, s.DeleteKey(ctx, id, 0))
	key.Revision = 0
	_, err = s.PutKey(ctx, key)
	require.Error(t, err, "the usage of the earlier key is still there")
	require.NoError(t, os.Remove(filepath.Join(dir, usageFile)))
	require.NoError(t, os.Rename(filepath.Join(dir, "aside"), filepath.Join(dir, usageFile)))
	require.NoError(t, s.Close())

	s = open()
	_, err = s.PutKey(ctx, key)
	require.NoError(t, err)
	require.Zero(t, count(s))
	require.NoError(t, s.Close())
	s = open()
	require.Zero(t, count(s))
	require.NoError(t, s.Close())
}

// Nothing that a crash left half written stays.
func TestUnfinishedFilesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	_, _, err := addKey(t.Context(), dir)
	require.NoError(t, err)
	before := snapshot(t, dir)
	for _, sub := range []string{".", organizationsDir, keysDir, eventsDir} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, sub, tempPrefix+"1"), []byte("{"), 0o600))
	}
	s, err := OpenFileStore(dir)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	after := snapshot(t, dir)
	for _, name := range []string{revisionFile, journalFile} {
		path := filepath.Join(dir, name)
		require.NotEqual(t, before[path], after[path], "each opening begins a history")
		delete(before, path)
		delete(after, path)
	}
	require.Equal(t, before, after)
}

// When the disk fails at a point where the record may be there or not, the store
// goes out of use: decisions are unavailable rather than guessed.
func TestUncertainWriteEndsTheUse(t *testing.T) {
	dir := t.TempDir()
	id, secret, err := addKey(t.Context(), dir)
	require.NoError(t, err)
	s, err := OpenFileStore(dir)
	require.NoError(t, err)
	defer s.Close()

	require.ErrorIs(t, s.after(fmt.Errorf("sync: %w", errUncertain)), errUncertain)
	_, err = s.Key(t.Context(), id)
	require.ErrorIs(t, err, errUncertain)
	decision := policy.New(s).Decide(t.Context(), policy.Request{Key: id, Secret: secret, Client: client, Organization: "acme"})
	require.Equal(t, policy.Unavailable, decision.Reason)
	require.ErrorIs(t, decision.Cause, errUncertain)
}

// TestCrash kills a process that writes, at random moments, and looks at what it left:
// S25 and S26. The child is this test binary.
func TestCrash(t *testing.T) {
	if dir := os.Getenv("CUSTOMSTORE_CRASH_DIR"); dir != "" {
		require.NoError(t, crashChild(t.Context(), dir))
		return
	}
	rounds := 200
	if testing.Short() {
		rounds = 10
	}
	dir := t.TempDir()
	var ledger crashtest.Ledger
	// With a slow disk, children are killed before they wrote anything: then more follow.
	killed := 0
	for ; killed < rounds || killed < 20*rounds && ledger.Acknowledged() <= rounds; killed++ {
		child := exec.Command(os.Args[0], "-test.run", "^TestCrash$")
		child.Env = append(os.Environ(), "CUSTOMSTORE_CRASH_DIR="+dir)
		child.Stdout = &ledger
		err := child.Run()
		require.ErrorContains(t, err, "signal: killed")

		s, err := OpenFileStore(dir)
		require.NoError(t, err)
		ledger.Check(t, s)
		require.NoError(t, s.Close())
	}
	require.Greater(t, ledger.Acknowledged(), rounds, "the children were killed before they wrote anything")
	t.Logf("%d writes had returned when %d processes were killed", ledger.Acknowledged(), killed)
}

// crashChild writes until it kills itself, which is as sudden as if another did and can
// be timed from the moment when it begins to write.
func crashChild(ctx context.Context, dir string) error {
	s, err := OpenFileStore(dir)
	if err != nil {
		return err
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	time.AfterFunc(time.Duration(rand.IntN(30_000))*time.Microsecond, func() { _ = self.Kill() })
	return crashtest.WriteUntilKilled(ctx, s, rand.Uint64(), os.Stdout)
}

func files(t *testing.T, dir, sub string) []string {
	paths, err := filepath.Glob(filepath.Join(dir, sub, "*"))
	require.NoError(t, err)
	return paths
}

func snapshot(t *testing.T, dir string) map[string]string {
	content := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		content[path] = string(data)
		return err
	}))
	return content
}
