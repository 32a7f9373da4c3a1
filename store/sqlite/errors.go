package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sallyport-go/sallyport/store"
)

var errClosed = fmt.Errorf("store/sqlite: %w", store.ErrClosed)

// failure returns the error of a call by what it was doing. If its context is done, that is
// the reason, whatever SQLite reports.
func failure(ctx context.Context, doing string, err error) error {
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return fmt.Errorf("store/sqlite: %s: %w", doing, err)
}

// whileLocked calls f again while it fails for a lock of another process. SQLite's own waits
// grow up to a tenth of a second, and leave little chance beside a process that writes all
// the time.
func (s *Store) whileLocked(ctx context.Context, f func() error) error {
	return s.whileLockedSince(ctx, time.Now(), f)
}

// whileLockedSince is whileLocked for a call that has waited since began.
func (s *Store) whileLockedSince(ctx context.Context, began time.Time, f func() error) error {
	for {
		err := f()
		if !isLocked(err) {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w, while waiting for another process: %w", ctx.Err(), err)
		}
		if time.Since(began) > s.lockPatience {
			return fmt.Errorf("another process has had it locked for %v: %w", s.lockPatience, err)
		}
		sleep(ctx, rand.N(time.Millisecond))
	}
}

// explained adds to an error of SQLite the cause beside the file, and the repair.
func explained(path string, err error) error {
	var failed *sqlite.Error
	if !errors.As(err, &failed) {
		return err
	}
	switch failed.Code() {
	case sqlite3.SQLITE_IOERR_SHMSIZE:
		return fmt.Errorf("%s-shm cannot be made as large as it has to be: want 32 kB of free space on the disk: %w", path, err)
	case sqlite3.SQLITE_READONLY_DIRECTORY:
		return fmt.Errorf("no file can be made in %s: want a directory in which this process may make files: %w", filepath.Dir(path), err)
	}
	return err
}

func isLocked(err error) bool {
	var failed *sqlite.Error
	return errors.As(err, &failed) && failed.Code()&0xff == sqlite3.SQLITE_BUSY
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
