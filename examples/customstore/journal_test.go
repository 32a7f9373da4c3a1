package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

func newEvents(organization string, key apikey.ID, reason string) []store.Event {
	return []store.Event{{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Type: store.EventKeyDescribed, Organization: organization, Key: key,
		Actor: store.Actor{Kind: store.ActorSystem}, Via: store.ViaLibrary, Reason: reason,
	}}
}

func reasons(t *testing.T, s *FileStore) (all []string) {
	t.Helper()
	for event, err := range store.AllEvents(t.Context(), s, store.EventRequest{}) {
		require.NoError(t, err)
		all = append(all, event.Reason)
	}
	return all
}

// journalled returns a directory with a store that is open, of organization acme with key k1
// and an event of each.
func journalled(t *testing.T) (dir string, s *FileStore) {
	t.Helper()
	dir = t.TempDir()
	s, err := OpenFileStore(dir)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	_, err = s.Write(t.Context(), store.Write{PutOrganization: &policy.Organization{ID: "acme"}, Events: newEvents("acme", "", "acme")})
	require.NoError(t, err)
	key := apikey.Key{ID: "k1", Organization: "acme", Secrets: []apikey.StoredSecret{{Sum: [32]byte{1}}}}
	_, err = s.Write(t.Context(), store.Write{PutKey: &key, Options: []store.PutOption{store.AllowOpen}, Events: newEvents("acme", "k1", "k1")})
	require.NoError(t, err)
	return dir, s
}

// A crash may come between any two files of a Write. It has happened with its events or not
// at all. The states are made of the files before and after it.
func TestCrashBetweenFiles(t *testing.T) {
	records := []string{organizationsDir, keysDir}
	for name, test := range map[string]struct {
		write  func(s *FileStore) store.Write
		writes [][]string // files in the order in which they are written; the last is the commit
		left   []string   // reasons of the events if it happened
	}{
		"creates an organization": {func(*FileStore) store.Write {
			return store.Write{PutOrganization: &policy.Organization{ID: "new"}, Events: newEvents("new", "", "crash")}
		}, [][]string{{eventsDir}, records}, []string{"acme", "k1", "crash"}},
		"replaces a key": {func(s *FileStore) store.Write {
			key := s.keys["k1"]
			key.Description = "new"
			return store.Write{PutKey: &key, Events: newEvents("acme", "k1", "crash")}
		}, [][]string{{eventsDir}, records}, []string{"acme", "k1", "crash"}},
		"deletes a key": {func(s *FileStore) store.Write {
			return store.Write{Delete: &store.Condition{Organization: "acme", Key: "k1", Revision: s.keys["k1"].Revision}, Events: newEvents("acme", "k1", "crash")}
		}, [][]string{{eventsDir}, {revisionFile}, records}, []string{"acme", "k1", "crash"}},
		"forgets events": {func(s *FileStore) store.Write {
			return store.Write{Forget: &store.Position{History: s.log.Position().History, Revision: s.organizations["acme"].Revision}, Events: newEvents("", "", "crash")}
		}, [][]string{{eventsDir}, {journalFile}}, []string{"k1", "crash"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, s := journalled(t)
			before, after := t.TempDir(), dir
			require.NoError(t, os.CopyFS(before, os.DirFS(dir)))
			_, err := s.Write(t.Context(), test.write(s))
			require.NoError(t, err)
			require.NoError(t, s.Close())
			for done := range len(test.writes) + 1 {
				crashed := t.TempDir()
				require.NoError(t, os.CopyFS(crashed, os.DirFS(before)))
				for _, paths := range test.writes[:done] {
					for _, path := range paths {
						if path == eventsDir { // those that are forgotten were not removed yet
							overwrite(t, crashed, after, path)
							continue
						}
						require.NoError(t, os.RemoveAll(filepath.Join(crashed, path)))
						overwrite(t, crashed, after, path)
					}
				}
				s, err := OpenFileStore(crashed)
				require.NoError(t, err)
				want := []string{"acme", "k1"}
				if done == len(test.writes) {
					want = test.left
				}
				require.Equal(t, want, reasons(t, s), "after %d steps", done)
				require.Len(t, files(t, crashed, eventsDir), len(want), "after %d steps", done)
				_, err = s.Write(t.Context(), store.Write{PutOrganization: &policy.Organization{ID: "later"}, Events: newEvents("later", "", "later")})
				require.NoError(t, err)
				require.Equal(t, append(want, "later"), reasons(t, s))
				require.NoError(t, s.Close())
			}
		})
	}
}

// overwrite copies a file, or those of a directory.
func overwrite(t *testing.T, to, from, path string) {
	t.Helper()
	info, err := os.Stat(filepath.Join(from, path))
	require.NoError(t, err)
	paths := []string{filepath.Join(from, path)}
	if info.IsDir() {
		require.NoError(t, os.MkdirAll(filepath.Join(to, path), 0o700))
		paths = files(t, from, path)
	}
	for _, file := range paths {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		name, err := filepath.Rel(from, file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(to, name), data, 0o600))
	}
}

// A record that cannot be written leaves no events. Where those stay, the store goes out of
// use.
func TestEventsOfFailedWrites(t *testing.T) {
	dir, s := journalled(t)
	path := filepath.Join(dir, organizationsDir, fileName("new"))
	require.NoError(t, os.MkdirAll(filepath.Join(path, "in the way"), 0o700))
	w := store.Write{PutOrganization: &policy.Organization{ID: "new"}, Events: newEvents("new", "", "new")}
	_, err := s.Write(t.Context(), w)
	require.Error(t, err)
	require.Len(t, files(t, dir, eventsDir), 2)
	require.Equal(t, []string{"acme", "k1"}, reasons(t, s))
	require.NoError(t, os.RemoveAll(path))
	_, err = s.Write(t.Context(), w)
	require.NoError(t, err)
	require.Equal(t, []string{"acme", "k1", "new"}, reasons(t, s))

	failed := errors.New("the disk failed")
	err = s.commit("acme", "", newEvents("acme", "", "stays"), func() error { return fmt.Errorf("%w: %w", failed, errUncertain) })
	require.ErrorIs(t, err, failed)
	require.Len(t, files(t, dir, eventsDir), 4, "the next opening knows")
	err = s.commit("acme", "", newEvents("acme", "", "gone"), func() error {
		require.NoError(t, os.Remove(filepath.Join(dir, s.eventsPath(s.revision+1))))
		return failed
	})
	require.ErrorIs(t, err, failed)
	_, err = s.Events(t.Context(), store.EventRequest{})
	require.ErrorIs(t, err, failed)
}

// A journal that cannot be read is refused when the store is opened, with the file's name.
func TestDamagedJournal(t *testing.T) {
	for name, text := range map[string]string{
		journalFile: `{"forgotten":1`,
		filepath.Join(eventsDir, "00000000000000ff.json"): `{"organization":"acme","key":"","events":[]}{}`,
		filepath.Join(eventsDir, "FF.json"):               `{"organization":"acme","key":"","events":[]}`,
		filepath.Join(eventsDir, "note.txt"):              `hello`,
	} {
		dir, s := journalled(t)
		require.NoError(t, s.Close())
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		before := snapshot(t, dir)
		_, err := OpenFileStore(dir)
		require.ErrorContains(t, err, filepath.Join(dir, name))
		require.Equal(t, before, snapshot(t, dir))
	}

	// Events that cannot be known to have happened stay, while a record cannot be read.
	dir, s := journalled(t)
	require.NoError(t, s.Close())
	require.NoError(t, os.Truncate(files(t, dir, keysDir)[0], 10))
	before := snapshot(t, dir)
	_, err := OpenFileStore(dir)
	require.Error(t, err)
	require.Equal(t, before, snapshot(t, dir))
}

// A file of forgotten events that cannot be removed is removed by the next opening.
func TestForgottenFilesAreRemoved(t *testing.T) {
	dir, s := journalled(t)
	latest, err := s.Position(t.Context())
	require.NoError(t, err)
	oldest := files(t, dir, eventsDir)[0]
	require.NoError(t, os.Rename(oldest, oldest+".aside"))
	_, err = s.Write(t.Context(), store.Write{Forget: &latest})
	require.ErrorContains(t, err, "close and open the store")
	require.Empty(t, reasons(t, s))
	require.NoError(t, s.Close())
	require.NoError(t, os.Rename(oldest+".aside", oldest))
	s, err = OpenFileStore(dir)
	require.NoError(t, err)
	require.Empty(t, reasons(t, s))
	require.Empty(t, files(t, dir, eventsDir))
	require.NoError(t, s.Close())
}
