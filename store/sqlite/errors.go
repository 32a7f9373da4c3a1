package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sallyport-go/sallyport/store"
)

var errClosed = fmt.Errorf("store/sqlite: %w", store.ErrClosed)

// failure says what a call was doing when it failed. If its context is done, that is
// why, whatever SQLite made of it.
func failure(ctx context.Context, doing string, err error) error {
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return fmt.Errorf("store/sqlite: %s: %w", doing, err)
}

func notFound[ID ~string](kind string, id ID) error {
	return fmt.Errorf("store/sqlite: %s %.100q: %w", kind, id, store.ErrNotFound)
}

// whileLocked calls f again and again while what it needs is locked by another process.
// SQLite would wait by itself, but longer and longer, up to a tenth of a second at a
// time, and a process that writes all the time leaves others a chance only now and
// then.
func (s *Store) whileLocked(ctx context.Context, f func() error) error {
	for began := time.Now(); ; {
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
