package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

const (
	selectKey          = `SELECT organization, revision, record FROM keys WHERE id = ?`
	selectOrganization = `SELECT revision, record FROM organizations WHERE id = ?`
	selectOwner        = `SELECT id FROM organizations WHERE id = ?`
	selectPlace        = `SELECT organization, revision FROM keys WHERE id = ?`
	selectAnyKey       = `SELECT id FROM keys WHERE organization = ? LIMIT 1`
	insertKey          = `INSERT INTO keys (id, organization, revision, record) VALUES (?, ?, ?, ?)`
	updateKey          = `UPDATE keys SET revision = ?2, record = ?3 WHERE id = ?1`
	deleteKey          = `DELETE FROM keys WHERE id = ?`
	insertOrganization = `INSERT INTO organizations (id, revision, record) VALUES (?, ?, ?)`
	updateOrganization = `UPDATE organizations SET revision = ?2, record = ?3 WHERE id = ?1`
	deleteOrganization = `DELETE FROM organizations WHERE id = ?`
	insertChange       = `INSERT INTO changes (revision, organization, key, deleted) VALUES (?, ?, ?, ?)`
	selectOldest       = `SELECT revision FROM changes WHERE revision > 0 ORDER BY revision DESC LIMIT 1 OFFSET ?`
	deleteChanges      = `DELETE FROM changes WHERE revision <= ?`
	updateProgress     = `UPDATE progress SET history = ?, revision = ?`
	updateForgotten    = `UPDATE progress SET forgotten = max(forgotten, ?)`
)

var writeQueries = []string{
	selectProgress, selectKey, selectOwner, selectPlace, selectAnyKey, insertKey, updateKey, deleteKey,
	selectOrganization, insertOrganization, updateOrganization, deleteOrganization,
	insertChange, selectOldest, deleteChanges, updateProgress, updateForgotten, selectEnd, insertHistory, deleteHistories,
	selectKeyUsage, putUsage, selectObservation, putObservation,
	insertEvents, deleteEvents, updateEventsForgotten,
}

// A transaction is one write, or several that happen together. Meanwhile no other process
// writes.
type transaction struct {
	*sql.Tx
	store *Store
	doing string          // for errors
	ctx   context.Context // does not end
	began store.Position  // the latest before
	now   store.Position  // after the writes so far

	unswept bool // rows of forgotten events may be left
	sent    bool // the commit was begun: after an error it may have happened
}

// transact calls f in a transaction and commits, unless f returns an error or ctx has
// ended. ctx bounds the wait for other writers. The rest takes the time of the disk and is
// not interrupted, so that its outcome is known. An error before the commit is
// [store.ErrNotWritten].
func (s *Store) transact(ctx context.Context, doing string, f func(*transaction) error) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return adapter.NotWritten(err)
	}
	defer leave()
	t := &transaction{store: s, doing: doing, ctx: context.WithoutCancel(ctx)}
	if err = t.run(ctx, f); err != nil && !t.sent {
		return adapter.NotWritten(err)
	}
	return err
}

func (t *transaction) run(ctx context.Context, f func(*transaction) error) error {
	s, began := t.store, time.Now()
	conn, err := s.turn(ctx, began)
	if err != nil {
		return failure(ctx, t.doing, err)
	}
	defer conn.Close()
	err = s.whileLockedSince(ctx, began, func() (err error) {
		t.Tx, err = conn.BeginTx(t.ctx, nil)
		return err
	})
	if err != nil {
		return failure(ctx, t.doing, err)
	}
	defer func() { _ = t.Rollback() }() // unless it was committed
	if err := t.start(); err != nil {
		return err
	}
	if err := f(t); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return failure(ctx, t.doing, err)
	}
	return t.finish()
}

// turn returns the writing connection when the calls before are done with it. They may be
// waiting for another process. If each began to count its wait only at its turn, the last
// of many would wait many times too long.
func (s *Store) turn(ctx context.Context, began time.Time) (conn *sql.Conn, err error) {
	waiting, end := context.WithDeadline(ctx, began.Add(s.lockPatience))
	defer end()
	err = s.whileLockedSince(ctx, began, func() (err error) {
		conn, err = s.write.Conn(waiting)
		return err
	})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = fmt.Errorf("other writes of this process have kept it waiting for %v", s.lockPatience)
	}
	return conn, err
}

func (t *transaction) start() error {
	latest, _, err := progress(t.StmtContext(t.ctx, t.store.write.prepared[selectProgress]).QueryRowContext(t.ctx), "write")
	t.began, t.now = latest, latest
	return t.failure(err)
}

func (t *transaction) finish() error {
	if err := t.store.file.check(); err != nil { // the wait may have been long
		return t.failure(err)
	}
	if t.now == t.began { // usage only
		t.sent = true
		return t.failure(t.Commit())
	}
	if err := t.exec(updateProgress, t.now.History, int64(t.now.Revision)); err != nil {
		return err
	}
	if err := t.forget(); err != nil {
		return err
	}
	t.sent = true
	if err := t.Commit(); err != nil {
		return t.failure(err)
	}
	t.store.known = t.now
	t.store.poller.saw(t.now)
	return nil
}

// forget drops the oldest changes, now and then a hundredth of those kept.
func (t *transaction) forget() error {
	kept := t.store.keptChanges
	step := max(kept/100, 1)
	if t.now.Revision <= kept || t.began.Revision/step == t.now.Revision/step {
		return nil
	}
	var last int64
	switch err := t.StmtContext(t.ctx, t.store.write.prepared[selectOldest]).QueryRowContext(t.ctx, int64(kept)).Scan(&last); {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return t.failure(err)
	}
	return errors.Join(t.exec(deleteChanges, last), t.exec(updateForgotten, last), t.exec(deleteHistories, last))
}

// write executes the query of a write and logs the change under its revision (S12, W2).
func (t *transaction) write(revision uint64, organization string, key apikey.ID, deleted bool, query string, args ...any) error {
	if err := t.exec(query, args...); err != nil {
		return err
	}
	return t.exec(insertChange, int64(revision), organization, string(key), deleted)
}

// next gives the revision of a write.
func (t *transaction) next() (uint64, error) {
	if t.now.Revision == math.MaxInt64 {
		return 0, t.failure(fmt.Errorf("all %d revisions were given", t.now.Revision))
	}
	if t.now == t.began {
		if err := t.enterHistory(); err != nil {
			return 0, err
		}
	}
	t.now.Revision++
	return t.now.Revision, nil
}

// find reads the row with an identifier; found is false if there is none.
func (t *transaction) find(query, id string, into ...any) (found bool, err error) {
	if len(id) > maxIdentifier {
		return false, nil
	}
	err = t.StmtContext(t.ctx, t.store.write.prepared[query]).QueryRowContext(t.ctx, id).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, t.failure(err)
}

func (t *transaction) exec(query string, args ...any) error {
	_, err := t.StmtContext(t.ctx, t.store.write.prepared[query]).ExecContext(t.ctx, args...)
	return t.failure(err)
}

func (t *transaction) failure(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store/sqlite: %s: %w", t.doing, err)
}
