package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// errUncertain is returned when a file operation failed at a point where the disk may have
// the old state or the new one.
var errUncertain = errors.New("it is unknown what the disk has")

// tempPrefix begins the names of unfinished files.
const tempPrefix = "temp-"

// writeFile replaces a file atomically and durably. A process that starts after a crash
// finds the old content or the new one, whole; once writeFile has returned nil it is the
// new one. For that the content is on disk before the name points to it, and the name is
// on disk before writeFile returns.
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

// removeUnfinished deletes the files in a directory left half written by a crash.
func removeUnfinished(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), tempPrefix) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, entry.Name())))
		}
	}
	return err
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
