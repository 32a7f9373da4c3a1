//go:build unix

package sqlite

import (
	"fmt"
	"io/fs"
	"syscall"
)

// checkLinks returns an error if a file has several names. SQLite puts the log beside the
// name by which the file was opened, so processes with different names would have a log
// each: neither would see the other's writes, and most of them would be lost.
func checkLinks(path string, info fs.FileInfo) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink > 1 {
		return fmt.Errorf("%s is one of %d names of the file (hard links), each of which would have a log of its own: want one name, the others removed", path, stat.Nlink)
	}
	return nil
}
