package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// errUncertain: a file operation failed at a point where the disk may have the old
// state or the new one.
var errUncertain = errors.New("it is not known what the disk has")

// writeFile replaces a file atomically and durably: a reader, or a process that
// starts after a crash, finds the old content or the new, whole, and once writeFile
// has returned nil it is the new. For that the content is on disk before the name
// points to it, and the name is on disk before we return.
func writeFile(path string, data []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), tempPrefix)
	if err != nil {
		return fmt.Errorf("customstore: %w", err)
	}
	_, err = temp.Write(data)
	if err == nil {
		err = temp.Sync()
	}
	if closeErr := temp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil { // nothing has changed yet
		return errors.Join(fmt.Errorf("customstore: %w", err), os.Remove(temp.Name()))
	}
	return syncDir(filepath.Dir(path))
}

// removeFile deletes a file durably.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("customstore: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err == nil {
		err = dir.Sync()
		if closeErr := dir.Close(); err == nil {
			err = closeErr
		}
	}
	if err != nil {
		return fmt.Errorf("customstore: %w: %w", err, errUncertain)
	}
	return nil
}

// tempPrefix begins the names of files that were being written.
const tempPrefix = "temp-"

// readAll reads the records of a directory and passes each to add, which returns
// its identifier. What a crash left half written has a name of its own and is
// removed; anything else that is not as it should be is an error.
func readAll[T any](dir string, add func(T) string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if strings.HasPrefix(entry.Name(), tempPrefix) {
			if err := os.Remove(path); err != nil {
				return err
			}
			continue
		}
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
			return fmt.Errorf("customstore: %s holds the record %q, whose file is %s: was it copied?", path, id, fileName(id))
		}
	}
	return nil
}
