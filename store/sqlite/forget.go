package sqlite

import (
	"context"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// To forget events is to move a mark, in the transaction of the Write: no read returns them
// from then on. The same transaction deletes their rows, up to a bound. Further transactions
// delete the rest, and other writes come between. A later Write with Forget deletes the rows
// left by an interrupted one.
const (
	selectEventsForgotten = `SELECT events_forgotten FROM progress`
	updateEventsForgotten = `UPDATE progress SET events_forgotten = max(events_forgotten, ?)`

	// deleteEvents deletes the oldest rows of forgotten events.
	deleteEvents = `DELETE FROM events WHERE revision IN (SELECT revision FROM events WHERE revision <= (` + selectEventsForgotten + `) ORDER BY revision LIMIT ?)`
)

// sweepWrites is the number of rows deleted in a transaction, each with the events of a write.
const sweepWrites = 1000

// forgetEvents takes a revision without a change of a record.
func (t *transaction) forgetEvents(through store.Position) error {
	is, err := t.goesOnFrom(through)
	if err != nil {
		return t.failure(err)
	}
	if is {
		through.History = t.began.History
	}
	if err := adapter.CheckForget(through, t.began); err != nil {
		return err
	}
	next, err := t.next()
	if err != nil {
		return err
	}
	if err := t.exec(insertChange, int64(next), nil, nil, false); err != nil {
		return err
	}
	if err := t.exec(updateEventsForgotten, int64(through.Revision)); err != nil {
		return err
	}
	return t.sweep()
}

// sweep deletes rows of forgotten events.
func (t *transaction) sweep() error {
	deleted, err := t.StmtContext(t.ctx, t.store.write.prepared[deleteEvents]).ExecContext(t.ctx, sweepWrites)
	if err != nil {
		return t.failure(err)
	}
	n, err := deleted.RowsAffected()
	t.unswept = n == sweepWrites
	return t.failure(err)
}

// sweep deletes the rows left by the transaction of a Write.
func (s *Store) sweep(ctx context.Context, through uint64) error {
	for more := true; more; {
		if err := s.transact(ctx, "delete forgotten events", func(t *transaction) error {
			err := t.sweep()
			more = t.unswept
			return err
		}); err != nil {
			return adapter.UndeletedEvents(through, err)
		}
	}
	return nil
}
