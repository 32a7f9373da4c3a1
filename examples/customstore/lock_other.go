//go:build !unix

package main

import (
	"errors"
	"os"
)

// lockFile refuses: without a lock two processes could lose each other's writes.
func lockFile(path string) (*os.File, error) {
	return nil, errors.ErrUnsupported
}
