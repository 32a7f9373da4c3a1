package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/store"
)

var (
	errLeft     = errors.New("whoever watched wants no more")
	errNotTaken = errors.New("store/sqlite: the watch was left because a change was not taken in time")
)

// Watch is as store.Watcher says. It knows the last 100,000 changes at least, of whatever
// process, and tells of a write about a millisecond after it. A watch from before those,
// or from beyond the latest, is store.ErrCompacted.
//
// What is told between two marks is read in one transaction, record by record. While
// that is under way no write waits, but the log grows with what is written and cannot be
// used anew. So whoever takes more than a minute over one change in the middle is left:
// the transaction ends then, and the watch does, with an error, when it is gone on with.
// Over a mark anyone may take as long as it takes.
func (s *Store) Watch(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
	return func(yield func(store.Change, error) bool) {
		err := s.watch(ctx, after, func(c store.Change) error {
			if !yield(c, nil) {
				return errLeft
			}
			return nil
		})
		if !errors.Is(err, errLeft) {
			yield(store.Change{}, err)
		}
	}
}

// watch returns why it ended.
func (s *Store) watch(ctx context.Context, after uint64, tell func(store.Change) error) error {
	more, leave := s.await()
	defer leave()
	read := (*batch).changes
	if after == 0 {
		read = (*batch).everything
	}
	for first := true; ; first = false {
		latest, err := s.readBatch(ctx, after, read, tell)
		if err != nil {
			return err
		}
		if first || latest > after {
			if err := tell(store.Change{Revision: latest}); err != nil {
				return err
			}
		}
		read, after = (*batch).changes, latest
		select {
		case <-more:
		case <-ctx.Done():
		case <-s.life.Done():
		}
	}
}

// readBatch tells what read reads, in a transaction, and returns the latest revision in
// it. The transaction does not outlast the context, nor the store, nor the patience,
// whatever those who are told are doing.
func (s *Store) readBatch(ctx context.Context, after uint64, read func(*batch) error, tell func(store.Change) error) (latest uint64, err error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	var conn *sql.Conn
	err = s.whileLocked(ctx, func() (err error) {
		conn, err = s.feed.Conn(ctx)
		return err
	})
	if err != nil {
		leave()
		return 0, failure(ctx, "watch", err)
	}
	tx, err := conn.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true})
	release := sync.OnceFunc(func() {
		if tx != nil {
			_ = tx.Rollback() // which ends what is read in it
		}
		_ = conn.Close()
		leave()
	})
	defer release()
	if err != nil {
		return 0, failure(ctx, "watch", err)
	}

	held, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer context.AfterFunc(s.life, func() { end(errClosed) })()
	defer context.AfterFunc(held, release)()
	patience := time.AfterFunc(s.watchPatience, func() { end(errNotTaken) })
	defer patience.Stop()

	b := &batch{feed: s.feed, tx: tx, after: after, tell: func(c store.Change) error {
		if held.Err() != nil { // which the transaction notices a little later
			return held.Err()
		}
		patience.Reset(s.watchPatience)
		return tell(c)
	}}
	if err = s.whileLocked(held, func() error { return b.start(held) }); err == nil && (b.latest > after || after == 0) {
		err = read(b)
	}
	switch {
	case err == nil || errors.Is(err, errLeft) || errors.Is(err, store.ErrCompacted):
		return b.latest, err
	case ctx.Err() != nil:
		return 0, failure(ctx, "watch", err)
	case held.Err() != nil:
		return 0, context.Cause(held)
	}
	return 0, fmt.Errorf("store/sqlite: watch: %w", err)
}
