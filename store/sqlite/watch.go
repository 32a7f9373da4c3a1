package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// The changes since a revision, the latest first, with their records as they are now.
const selectChanges = `SELECT c.revision, c.organization, c.key, c.deleted,
		coalesce(k.id, o.id), k.organization, coalesce(k.revision, o.revision), coalesce(k.record, o.record)
	FROM changes c
		LEFT JOIN keys k ON c.key <> '' AND k.id = c.key
		LEFT JOIN organizations o ON c.key = '' AND o.id = c.organization
	WHERE c.revision > ? ORDER BY c.revision DESC`

var feedQueries = []string{selectProgress, selectEnd, selectBegins, selectEveryOrganization, selectEveryKey, selectChanges}

// Position implements [store.Watcher]. It is read from the file, where every process
// writes it in the transaction of the record.
func (s *Store) Position(ctx context.Context) (store.Position, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return store.Position{}, err
	}
	defer leave()
	var latest store.Position
	err = s.whileLocked(ctx, func() error {
		latest, _, err = progress(s.read.prepared[selectProgress].QueryRowContext(ctx), "read")
		return err
	})
	if err != nil {
		return store.Position{}, failure(ctx, "read the latest revision", err)
	}
	s.poller.saw(latest)
	return latest, nil
}

// Watch implements [store.Watcher]. It knows the last 100,000 changes at least, of every
// process, and delivers a write a millisecond or two after it: 25 after a time of quiet, and
// 50 on a busy machine. A watch from an earlier position, or from one that is not in the
// file's past, ends with store.ErrCompacted.
//
// The changes between two marks are read record by record in one transaction. Meanwhile
// no write waits, but the log grows by what is written and cannot be reused. A watcher
// that takes more than a minute over one change in the middle is therefore left: the
// transaction ends, and so does the watch, with an error. Over a mark it may take any
// time.
func (s *Store) Watch(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
	return adapter.Watch(func(deliver adapter.Deliver) error {
		woken, stop := s.await()
		defer stop()
		return adapter.Follow(ctx, after, woken, func(after store.Position, deliver adapter.Deliver) (store.Position, error) {
			return s.deliver(ctx, after, deliver)
		}, deliver)
	})
}

var errNotTaken = errors.New("store/sqlite: the watch was left because a change was not taken in time")

// deliver delivers what was written after a position, everything after the zero Position,
// in one transaction, and returns the latest position in it. The transaction ends with the
// context, with the store, or when the patience with the watcher does.
func (s *Store) deliver(ctx context.Context, after store.Position, deliver adapter.Deliver) (latest store.Position, err error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return store.Position{}, err
	}
	began := time.Now()
	var conn *sql.Conn
	err = s.whileLocked(ctx, func() (err error) {
		conn, err = s.feed.Conn(ctx)
		return err
	})
	if err != nil {
		leave()
		return store.Position{}, failure(ctx, "watch", err)
	}
	tx, err := conn.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true})
	release := sync.OnceFunc(func() {
		if tx != nil {
			_ = tx.Rollback() // ends the reads in it
		}
		_ = conn.Close()
		leave()
	})
	defer release()
	if err != nil {
		return store.Position{}, failure(ctx, "watch", err)
	}

	held, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer context.AfterFunc(s.life, func() { end(errClosed) })()
	defer context.AfterFunc(held, release)()
	patience := time.AfterFunc(s.watchPatience, func() { end(errNotTaken) })
	defer patience.Stop()

	b := &batch{feed: s.feed, tx: tx, after: after, deliver: func(c store.Change) error {
		if held.Err() != nil { // the transaction notices a little later
			return held.Err()
		}
		patience.Reset(s.watchPatience)
		return deliver(c)
	}}
	if err = s.whileLocked(held, func() error { return b.start(held) }); err == nil {
		err = b.read()
		s.poller.delivered(b.latest, time.Since(began))
	}
	switch {
	case err == nil || errors.Is(err, adapter.ErrLeft) || errors.Is(err, store.ErrCompacted):
		return b.latest, err
	case ctx.Err() != nil:
		return store.Position{}, failure(ctx, "watch", err)
	case held.Err() != nil:
		return store.Position{}, context.Cause(held)
	}
	return store.Position{}, fmt.Errorf("store/sqlite: watch: %w", err)
}

// A batch delivers the changes up to a mark. They are read in one transaction, so all are
// of the mark's revision.
type batch struct {
	feed    database
	tx      *sql.Tx
	after   store.Position // of the mark before
	latest  store.Position
	deliver adapter.Deliver
}

// start begins to read. Only here may it have to wait for another process.
func (b *batch) start(ctx context.Context) error {
	latest, forgotten, err := progress(b.tx.StmtContext(ctx, b.feed.prepared[selectProgress]).QueryRowContext(ctx), "read")
	if b.latest = latest; err != nil || b.after == (store.Position{}) {
		return err
	}
	after := b.after
	if is, err := isPast(after, latest, b.tx.StmtContext(ctx, b.feed.prepared[selectEnd]).QueryRowContext(ctx, after.History)); err != nil {
		return err
	} else if is {
		after.History = latest.History
	}
	return adapter.CheckWatch(after, forgotten, latest)
}

func (b *batch) read() error {
	switch b.after {
	case store.Position{}:
		return b.snapshot()
	case b.latest:
		return nil
	}
	begins, err := b.begins()
	if err != nil {
		return err
	}
	return b.changes(begins)
}

// begins returns the first revision of each history that began since the mark before, with
// the revision before it.
func (b *batch) begins() (map[uint64]uint64, error) {
	begins := map[uint64]uint64{}
	var first, before int64
	err := b.each(selectBegins, []any{&first, &before}, func() error {
		begins[uint64(first)] = uint64(before)
		return nil
	}, int64(b.after.Revision))
	return begins, err
}

// changes delivers every record written or deleted since the mark before, each by its
// latest change. The latest comes first.
func (b *batch) changes(begins map[uint64]uint64) error {
	var revision, deleted int64
	var organization, key any
	var change store.Change
	var r row
	next, seen := b.latest.Revision, map[adapter.Name]bool{}
	err := b.each(selectChanges, []any{&revision, &organization, &key, &deleted, &r.id, &r.organization, &r.revision, &r.record}, func() error {
		forgot := organization == nil && key == nil // events, and no record was written
		change.Organization, _ = organization.(string)
		id, named := key.(string)
		change.Key = apikey.ID(id)
		if uint64(revision) != next || !forgot && (change.Organization == "" || !named) {
			return fmt.Errorf("the change of revision %d cannot be read: there is one of revision %d, organization %.300q", next, revision, change.Organization)
		}
		if before, begins := begins[next]; begins {
			next = before
		} else {
			next--
		}
		name := adapter.NameOf(change)
		if forgot || seen[name] {
			return nil
		}
		seen[name] = true
		change.Revision, change.Deleted = uint64(revision), deleted != 0
		return b.deliver(adapter.Confirm(change, r.found(name, b.latest.Revision)))
	}, int64(b.after.Revision))
	if err == nil && next > b.after.Revision {
		err = fmt.Errorf("the change of revision %d is absent, and the store has come to %d", next, b.latest.Revision)
	}
	return err
}

// found returns the row as a change, nil if there is none.
func (r row) found(name adapter.Name, latest uint64) *store.Change {
	var found store.Change
	switch {
	case r.id == nil:
		return nil
	case name.Key != "":
		found = r.keyChange(latest)
	default:
		found = r.organizationChange(latest)
	}
	return &found
}

// each scans every row of a query and calls f after each.
func (b *batch) each(query string, into []any, f func() error, args ...any) (err error) {
	ctx := context.Background() // deliver ends the transaction in time
	rows, err := b.tx.StmtContext(ctx, b.feed.prepared[query]).QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := f(); err != nil {
			return err
		}
	}
	return rows.Err()
}
