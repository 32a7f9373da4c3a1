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

// making is held while a file is made. On most systems a process that closes a file
// loses all the locks that it has on it, those of another Store included: so nobody
// here may have SQLite open the file before it was closed again.
var making sync.Mutex

// makeFile makes the file if it is not there, and returns its absolute path. Without
// it SQLite would make one that others may read, and its log too.
func makeFile(path string) (string, error) {
	switch {
	case path == "":
		return "", errors.New("the path is empty: want that of a file")
	case path == ":memory:" || strings.HasPrefix(path, "file:"):
		return "", fmt.Errorf("the path %q: want that of a file, not a URI or a store in memory", path)
	}
	path, err := absolute(path)
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
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is a %s: want a file", path, kind(info.Mode()))
	}
	return path, nil
}

// absolute returns a path from the root. It is not cleaned, as filepath.Abs does: what is
// before a ".." may be a link to another place, from which the system goes up. Windows
// cleans paths itself.
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

// A file is a path, and which file it was that of when it was opened.
type file struct {
	path   string
	opened fs.FileInfo
}

// fileAt returns the file that is at a path.
func fileAt(path string) (file, error) {
	info, err := os.Stat(path)
	if err != nil {
		return file{}, err
	}
	os.SameFile(info, info) // on Windows only this finds out which file it is
	return file{path, info}, nil
}

// check returns an error if the path is no longer that of the file. What has the file open
// goes on with it, wherever it is, and what opens the path gets another one: so neither
// reads what others have written. It opens nothing, and so takes no locks: see making.
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
