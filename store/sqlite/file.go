package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
	path, err := filepath.Abs(path)
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

func kind(mode fs.FileMode) string {
	if mode.IsDir() {
		return "directory"
	}
	return "special file (" + mode.Type().String() + ")"
}
