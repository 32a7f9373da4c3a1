package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// A FileStore keeps each record in a file of its own:
//
//	DIR/organizations/HASH.json   an organization
//	DIR/keys/HASH.json            a key with its list, grants and secrets
//	DIR/revision                  the revision of the latest deletion
//	DIR/lock                      held by the process that has the store open
//
// Step 1, where does the truth live? In the files. The maps are a copy of them for
// reading, which one process at a time may have: the lock sees to that, and so no
// copy can be out of date (S9).
type FileStore struct {
	dir  string
	lock *os.File

	mu            sync.RWMutex // guards all below (S1)
	organizations map[string]policy.Organization
	keys          map[apikey.ID]apikey.Key
	revision      uint64
	unusable      error // why every call is refused, once it is
}

// The compiler checks that nothing is missing.
var _ store.Store = (*FileStore)(nil)

// OpenFileStore opens the store in a directory, which it makes if need be. A file
// that cannot be read as the record that it should be is an error, which names it:
// a key without its list would be open to every address (S6).
func OpenFileStore(dir string) (*FileStore, error) {
	for _, sub := range []string{organizationsDir, keysDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	lock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("customstore: cannot lock %s, which one process at a time may use: %w", dir, err)
	}
	s := &FileStore{dir: dir, lock: lock, organizations: map[string]policy.Organization{}, keys: map[apikey.ID]apikey.Key{}}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

// Step 2, reading. One lock for both maps makes the key and its organization as of
// one moment (S8).

// Lookup is as policy.Source says: absence is found == false, never an error (S4).
func (s *FileStore) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return policy.Subject{}, false, err
	}
	key, found := s.keys[id]
	if !found {
		return policy.Subject{}, false, nil
	}
	organization := s.organizations[key.Organization]
	// Both are copies that nothing writes to, which is what NewSubject asks for.
	// The key's slices are the map's, and those are never written to either: PutKey
	// stores a clone in their place.
	return policy.NewSubject(&key, &organization), true, nil
}

// Key is as store.Store says. It returns a clone, since the caller may change what
// it gets (S7).
func (s *FileStore) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return apikey.Key{}, err
	}
	key, found := s.keys[id]
	if !found {
		return apikey.Key{}, fmt.Errorf("customstore: key %q: %w", id, store.ErrNotFound)
	}
	return key.Clone(), nil
}

// Organization is as store.Store says.
func (s *FileStore) Organization(ctx context.Context, id string) (policy.Organization, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return policy.Organization{}, err
	}
	organization, found := s.organizations[id]
	if !found {
		return policy.Organization{}, fmt.Errorf("customstore: organization %q: %w", id, store.ErrNotFound)
	}
	return organization, nil
}

// Step 3, writing. Read what is stored, let package store judge by it (S10 to S18),
// write the file, and only then change the map: all under the lock, so that of two
// Puts with one revision the second finds it changed (S13).

// PutKey is as store.Store says.
func (s *FileStore) PutKey(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return apikey.Key{}, err
	}
	if err := adapter.CheckPutKey(stored(s.keys, key.ID), key, options...); err != nil {
		return apikey.Key{}, err
	}
	if _, found := s.organizations[key.Organization]; !found { // S16
		return apikey.Key{}, fmt.Errorf("customstore: key %q: its organization %q: %w", key.ID, key.Organization, store.ErrNotFound)
	}
	key = key.Clone()
	key.Revision = s.revision + 1
	if err := s.write(keysDir, string(key.ID), key); err != nil {
		return apikey.Key{}, err
	}
	s.revision = key.Revision
	s.keys[key.ID] = key
	return key.Clone(), nil
}

// PutOrganization is as store.Store says.
func (s *FileStore) PutOrganization(ctx context.Context, organization policy.Organization) (policy.Organization, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return policy.Organization{}, err
	}
	if err := adapter.CheckPutOrganization(stored(s.organizations, organization.ID), organization); err != nil {
		return policy.Organization{}, err
	}
	organization.Revision = s.revision + 1
	if err := s.write(organizationsDir, organization.ID, organization); err != nil {
		return policy.Organization{}, err
	}
	s.revision = organization.Revision
	s.organizations[organization.ID] = organization
	return organization, nil
}

// DeleteKey is as store.Store says.
func (s *FileStore) DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	if err := adapter.CheckDelete(adapter.KeyName(id), s.keys[id].Revision, revision); err != nil {
		return err
	}
	if err := s.remove(keysDir, string(id)); err != nil {
		return err
	}
	delete(s.keys, id)
	return nil
}

// DeleteOrganization is as store.Store says.
func (s *FileStore) DeleteOrganization(ctx context.Context, id string, revision uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	if err := adapter.CheckDelete(adapter.OrganizationName(id), s.organizations[id].Revision, revision); err != nil {
		return err
	}
	for _, key := range s.keys {
		if key.Organization == id { // S19
			return fmt.Errorf("customstore: organization %q: %w", id, store.ErrNotEmpty)
		}
	}
	if err := s.remove(organizationsDir, id); err != nil {
		return err
	}
	delete(s.organizations, id)
	return nil
}

// Step 4, pages. The cursor names the last identifier of the page before, not a
// number of records: numbers shift when records come and go (S21).

// Keys is as store.Store says.
func (s *FileStore) Keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return store.Page[apikey.Key]{}, err
	}
	page, err := page(s.keys, request, func(key apikey.Key) bool { return key.Organization == organization })
	for i := range page.Items {
		page.Items[i] = page.Items[i].Clone() // S7
	}
	return page, err
}

// Organizations is as store.Store says.
func (s *FileStore) Organizations(ctx context.Context, request store.PageRequest) (store.Page[policy.Organization], error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return store.Page[policy.Organization]{}, err
	}
	return page(s.organizations, request, func(policy.Organization) bool { return true })
}

// page sorts all that is listed anew. A database has an index for it; for some
// thousands of keys this will do.
func page[ID ~string, T any](records map[ID]T, request store.PageRequest, listed func(T) bool) (store.Page[T], error) {
	after, err := adapter.After(request)
	if err != nil {
		return store.Page[T]{}, err
	}
	var ids []ID
	for id, record := range records {
		if string(id) > after && listed(record) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	page := store.Page[T]{}
	if size := request.Size(); len(ids) > size {
		ids = ids[:size]
		page.Next = adapter.CursorAfter(string(ids[size-1]))
	}
	for _, id := range ids {
		page.Items = append(page.Items, records[id])
	}
	return page, nil
}

// Step 5, the end.

// Close is as store.Store says: afterwards every call is refused (S23), Close itself
// is not (S24).
func (s *FileStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(s.unusable, store.ErrClosed) {
		return nil
	}
	s.unusable = fmt.Errorf("customstore: %w", store.ErrClosed)
	return s.lock.Close() // which lets go of the lock
}

// usable returns why a call cannot be served: S2, S23, or a disk that failed.
func (s *FileStore) usable(ctx context.Context) error {
	if s.unusable != nil {
		return s.unusable
	}
	return ctx.Err()
}

// Step 6, the files. See also files.go.

// load reads every record. What it cannot read it refuses; it repairs nothing.
func (s *FileStore) load() error {
	if text, err := os.ReadFile(s.revisionFile()); err == nil {
		if s.revision, err = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err != nil {
			return fmt.Errorf("customstore: %s: %w: want a number", s.revisionFile(), err)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
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
	return err
}

// write puts a record into its file. If that fails half-way nobody can tell what
// the disk has, so the store refuses to go on rather than to answer from a guess.
func (s *FileStore) write(sub, id string, record any) error {
	data, err := json.MarshalIndent(record, "", "\t")
	if err != nil {
		return fmt.Errorf("customstore: %w", err)
	}
	return s.after(writeFile(filepath.Join(s.dir, sub, fileName(id)), data))
}

// remove deletes a record's file. Before that it notes the revision that the
// deletion has, or after a restart the store could give it out again (S12).
func (s *FileStore) remove(sub, id string) error {
	err := s.after(writeFile(s.revisionFile(), fmt.Appendln(nil, s.revision+1)))
	if err != nil {
		return err
	}
	s.revision++
	return s.after(removeFile(filepath.Join(s.dir, sub, fileName(id))))
}

func (s *FileStore) after(err error) error {
	if errors.Is(err, errUncertain) {
		s.unusable = fmt.Errorf("customstore: closed after an earlier failure: %w", err)
	}
	return err
}

func (s *FileStore) revisionFile() string { return filepath.Join(s.dir, "revision") }

const (
	organizationsDir = "organizations"
	keysDir          = "keys"
)

// fileName returns the name of an identifier's file. The identifier itself would
// not do: it may be longer than a file name, hold a slash, or differ from another
// in case only, which some file systems do not tell apart (S5).
func fileName(id string) string {
	hash := sha256.Sum256([]byte(id))
	return hex.EncodeToString(hash[:]) + ".json"
}

func stored[ID ~string, T any](records map[ID]T, id ID) *T {
	if record, found := records[id]; found {
		return &record
	}
	return nil
}
