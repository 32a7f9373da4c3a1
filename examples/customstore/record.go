package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Step 4: records in files. A file has the JSON of its record; files.go makes writing one
// atomic and durable (S25, S26).

const (
	organizationsDir = "organizations"
	keysDir          = "keys"
)

// fileName returns the name of an identifier's file. The identifier itself would not do: it
// may be longer than a file name or contain a slash, and some file systems ignore case (S5).
func fileName(id string) string {
	hash := sha256.Sum256([]byte(id))
	return hex.EncodeToString(hash[:]) + ".json"
}

func (s *FileStore) writeOrganization(organization policy.Organization) error {
	document, err := adapter.EncodeOrganization(organization)
	if err != nil {
		return err
	}
	return s.write(filepath.Join(organizationsDir, fileName(organization.ID)), document)
}

func (s *FileStore) writeKey(key apikey.Key) error {
	document, err := adapter.EncodeKey(key)
	if err != nil {
		return err
	}
	return s.write(filepath.Join(keysDir, fileName(string(key.ID))), document)
}

// write replaces a file. If that fails half-way nobody can tell what the disk has: the
// store stops rather than answer from a guess.
func (s *FileStore) write(name string, data []byte) error {
	return s.after(writeFile(filepath.Join(s.dir, name), data))
}

// remove deletes the file of a record. Before that it notes the revision of the deletion,
// or the store could give it again after a restart (S12).
func (s *FileStore) remove(sub, id string) error {
	s.revision++
	if err := s.writeRevision(); err != nil {
		return err
	}
	return s.after(removeFile(filepath.Join(s.dir, sub, fileName(id))))
}

const revisionFile = "revision"

// writeRevision notes the revision, so that after a crash no smaller one is given (S26).
func (s *FileStore) writeRevision() error {
	return s.write(revisionFile, fmt.Appendln(nil, s.revision))
}

func (s *FileStore) after(err error) error {
	if errors.Is(err, errUncertain) {
		s.stop(fmt.Errorf("customstore: stopped by an earlier failure: %w", err))
	}
	return err
}

// load reads every record. It refuses what it cannot read and repairs nothing.
func (s *FileStore) load() error {
	if err := removeUnfinished(s.dir); err != nil {
		return err
	}
	path := filepath.Join(s.dir, revisionFile)
	if text, err := os.ReadFile(path); err == nil {
		if s.revision, err = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err != nil {
			return fmt.Errorf("customstore: %s: %w: want a number", path, err)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := s.loadJournal(); err != nil {
		return err
	}
	err := readAll(filepath.Join(s.dir, organizationsDir), func(o policy.Organization) string {
		s.organizations[o.ID] = o
		s.revision = max(s.revision, o.Revision)
		return o.ID
	})
	if err != nil {
		return err
	}
	err = readAll(filepath.Join(s.dir, keysDir), func(key apikey.Key) string {
		s.keys[key.ID] = key
		s.revision = max(s.revision, key.Revision)
		return string(key.ID)
	})
	for _, key := range s.keys {
		if _, found := s.organizations[key.Organization]; !found {
			err = errors.Join(err, fmt.Errorf("customstore: key %q is of organization %q, which has no file", key.ID, key.Organization))
		}
	}
	if s.revision >= math.MaxInt64 {
		err = errors.Join(err, fmt.Errorf("customstore: %s: a record or %s has revision %d: want less than %d, so that others follow", s.dir, revisionFile, s.revision, uint64(math.MaxInt64)))
	}
	if err := errors.Join(err, s.loadUsage(), s.loadObservation()); err != nil {
		return err
	}
	return s.loadEvents()
}

// readAll reads the records of a directory and passes each to add, which returns its
// identifier.
func readAll[T any](dir string, add func(T) string) error {
	if err := removeUnfinished(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var record T
		// The records' own UnmarshalJSON is strict: see apikey.Key.
		if err := json.Unmarshal(data, &record); err != nil {
			return fmt.Errorf("customstore: %s: %w", path, err)
		}
		if id := add(record); fileName(id) != entry.Name() {
			return fmt.Errorf("customstore: %s has the record %q: want that in %s: was it copied?", path, id, fileName(id))
		}
	}
	return nil
}

// wrote notes a write on the disk: its revision, and the change for the watchers.
func (s *FileStore) wrote(change store.Change) {
	s.revision = change.Revision
	s.log.Add(change)
	s.waker.Wake()
}
