package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Step 6: usage. A batch is of many keys and must be recorded whole or not at all (U4). So
// the usage of all keys is in one file, replaced for every batch.
//
// A deleted key takes its usage with it (S14). It would take two writes to delete both, and
// a crash could come in between. So the usage of an absent key stays in the file, where
// nobody asks for it, and goes before a key is created under its ID.

const usageFile = "usage.json"

// RecordUsage implements [store.UsageRecorder].
func (s *FileStore) RecordUsage(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	if err := adapter.CheckUsageBatch(batch); err != nil { // U7, U12
		return err
	}
	counted := maps.Clone(s.usage)
	maps.DeleteFunc(counted, func(id apikey.ID, _ store.KeyUsage) bool { return !s.has(id) })
	for id, more := range batch {
		if s.has(id) { // U3
			usage := adapter.CloneUsage(counted[id])
			adapter.AddUsage(&usage, more) // U1, U2, U11
			counted[id] = usage
		}
	}
	return s.writeUsage(counted)
}

// Usage implements [store.UsageRecorder].
func (s *FileStore) Usage(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	if err := adapter.CheckUsageKeys(ids); err != nil { // U10
		return nil, err
	}
	all := map[apikey.ID]store.KeyUsage{}
	for _, id := range ids {
		if s.has(id) { // U9
			all[id] = adapter.CloneUsage(s.usage[id]) // U6
		}
	}
	return all, nil
}

// forgetUsage removes what is left of the usage of an earlier key with the ID of a key to
// be created.
func (s *FileStore) forgetUsage(key apikey.Key) error {
	if _, left := s.usage[key.ID]; !left || s.has(key.ID) {
		return nil
	}
	rest := maps.Clone(s.usage)
	delete(rest, key.ID)
	return s.writeUsage(rest)
}

// writeUsage writes the file, and only then changes what is in memory (S3).
func (s *FileStore) writeUsage(usage map[apikey.ID]store.KeyUsage) error {
	data, err := json.Marshal(usage)
	if err != nil {
		return fmt.Errorf("customstore: usage: %w", err)
	}
	if err := s.write(usageFile, data); err != nil {
		return err
	}
	s.usage = usage
	return nil
}

func (s *FileStore) loadUsage() error {
	s.usage = map[apikey.ID]store.KeyUsage{}
	path := filepath.Join(s.dir, usageFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		if err = decodeOne(data, &s.usage); err == nil && s.usage == nil {
			err = errors.New("want a JSON object, not null")
		}
	}
	if err != nil {
		return fmt.Errorf("customstore: %s: %w", path, err)
	}
	return nil
}

func (s *FileStore) has(id apikey.ID) bool {
	_, found := s.keys[id]
	return found
}
