package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Step 1: where does the truth live? In files, one for each record. The maps are a copy of
// them for reading. The lock ensures that one process at a time has the store open, so no
// copy is out of date (S9). One mutex guards everything (S1).

// A FileStore keeps its records in a directory:
//
//	DIR/organizations/HASH.json   an organization
//	DIR/keys/HASH.json            a key with its list, grants and secrets
//	DIR/usage.json                the usage of all keys
//	DIR/observation.json          since when it is observed
//	DIR/events/REVISION.json      the events of a write
//	DIR/journal.json              the names of histories, and up to where events were forgotten
//	DIR/revision                  where this history began, or its latest deletion
//	DIR/lock                      locked by the process that has the store open
type FileStore struct {
	dir  string
	lock *os.File

	mu            sync.RWMutex // guards the fields below
	organizations map[string]policy.Organization
	keys          map[apikey.ID]apikey.Key
	usage         map[apikey.ID]store.KeyUsage
	observation   store.Observation
	revision      uint64
	unusable      error // why every call is refused, nil while none is

	journal journal   // step 7
	written []written // the writes with events, ascending

	log   *adapter.Log  // the latest changes: step 5
	waker adapter.Waker // of the watchers
}

// The compiler checks that nothing is missing. A store.Loader is left out: with a file for
// each record, one call for many is no faster than many calls.
var (
	_ store.Store         = (*FileStore)(nil)
	_ store.Watcher       = (*FileStore)(nil)
	_ store.UsageRecorder = (*FileStore)(nil)
	_ store.Journal       = (*FileStore)(nil)
)

// OpenFileStore opens the store in a directory, and creates the directory if it is absent.
// An unreadable file is an error with the file's name: a key without its list would be open
// to every address (S6).
func OpenFileStore(dir string) (*FileStore, error) {
	for _, sub := range []string{organizationsDir, keysDir, eventsDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	lock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("customstore: cannot lock %s: %w: want no other process that uses it", dir, err)
	}
	s := &FileStore{dir: dir, lock: lock, organizations: map[string]policy.Organization{}, keys: map[apikey.ID]apikey.Key{}}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if err := s.beginHistory(); err != nil { // the files may be a backup: step 5
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

// Close implements [store.Store]. Afterwards every call is refused (S23), Close itself is
// not (S24).
func (s *FileStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(s.unusable, store.ErrClosed) {
		return nil
	}
	s.stop(fmt.Errorf("customstore: %w", store.ErrClosed))
	return s.lock.Close() // and unlock
}

// usable returns why a call cannot be served: S23, a disk that failed, or S2.
func (s *FileStore) usable(ctx context.Context) error {
	if s.unusable != nil {
		return s.unusable
	}
	return ctx.Err()
}

// stop refuses every call from now on, and ends the watches.
func (s *FileStore) stop(why error) {
	s.unusable = why
	s.waker.Wake()
}
