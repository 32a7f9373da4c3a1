package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// making is held while a file is created. On most systems a process that closes a file
// loses all its locks on it, those of another Store included. So no SQLite of this process
// may open the file until it is closed again.
var making sync.Mutex

// makeFile creates the file if it is absent, and returns its absolute path. SQLite itself
// would create a file, and a log, that others may read.
func makeFile(path string) (string, error) {
	path, err := fileName(path)
	if err != nil {
		return "", err
	}
	making.Lock()
	defer making.Unlock()
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		return path, file.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return path, checkRegular(path)
}

// findFile returns the absolute path of a file that exists.
func findFile(path string) (string, error) {
	path, err := fileName(path)
	if err != nil {
		return "", err
	}
	return path, checkRegular(path)
}

func checkRegular(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is a %s: want a file", path, kind(info.Mode()))
	}
	return err
}

func fileName(path string) (string, error) {
	switch {
	case path == "":
		return "", errors.New("the path is empty: want that of a file")
	case path == ":memory:" || strings.HasPrefix(path, "file:"):
		return "", fmt.Errorf("the path %q: want that of a file, not a URI or a store in memory", path)
	}
	return absolute(path)
}

// absolute returns a path from the root. It does not clean it as filepath.Abs does: before a
// ".." there may be a link, and the system goes up from its target. Windows cleans paths
// itself.
func absolute(path string) (string, error) {
	if runtime.GOOS == "windows" {
		return filepath.Abs(path)
	}
	if filepath.IsAbs(path) {
		return path, nil
	}
	directory, err := os.Getwd()
	return directory + "/" + path, err
}

// A file is a path and the file opened there.
type file struct {
	path   string
	opened fs.FileInfo
}

// fileAt returns the file at a path.
func fileAt(path string) (file, error) {
	info, err := os.Stat(path)
	if err != nil {
		return file{}, err
	}
	os.SameFile(info, info) // on Windows only this finds out which file it is
	return file{path, info}, nil
}

// check returns an error if the path is no longer that of the file. Open connections would
// go on with the old file and new ones get another, so neither would see the other's
// writes. It opens nothing, and so takes no locks: see making.
func (f file) check() error {
	const wanted = "want it back at its path, or the store closed and opened again"
	now, err := os.Stat(f.path)
	switch {
	case err != nil:
		return fmt.Errorf("the file that was opened is not there: %w: %s", err, wanted)
	case !os.SameFile(f.opened, now):
		return fmt.Errorf("another file is at %s than the one that was opened: %s", f.path, wanted)
	}
	return nil
}

func kind(mode fs.FileMode) string {
	if mode.IsDir() {
		return "directory"
	}
	return "special file (" + mode.Type().String() + ")"
}
