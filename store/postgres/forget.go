package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// To forget events is to move a mark, in the transaction of the Write: no read returns them
// from then on. The same transaction deletes their rows, up to a bound. Further transactions
// delete the rest, without the lock of all writes. A later Write with Forget deletes the rows
// left by an interrupted one.

const (
	// It is followed by placeSQL.
	forgetEventsSQL = `UPDATE sallyport.state SET events_forgotten = greatest(events_forgotten, $1), place = ''`

	// isKept is true for a write with events that are kept.
	isKept = `revision > (SELECT events_forgotten FROM sallyport.state)`

	// deleteEventsSQL deletes the oldest $2 rows of forgotten events after revision $1, all of
	// them if $2 is NULL. It returns their number and the last revision.
	deleteEventsSQL = `WITH gone AS (DELETE FROM sallyport.events
		WHERE revision > $1 AND revision <= (SELECT max(revision) FROM (
			SELECT revision FROM sallyport.events WHERE revision > $1 AND NOT ` + isKept + ` ORDER BY revision LIMIT $2) AS oldest)
		RETURNING revision)
	SELECT count(*), coalesce(max(revision), 0) FROM gone`
)

// sweepWrites is the number of rows deleted in a transaction, each with the events of a write.
const sweepWrites = 1000

func (s *Store) planForget(ctx context.Context, through store.Position) (plan, error) {
	var past pastRow
	err := s.read(ctx, s.querier(), past.columns(), func() error {
		latest, _, err := past.decode()
		if err != nil {
			return err
		}
		return adapter.CheckForget(past.resolve(through), latest)
	}, pastSQL, historyArgument(through))
	if err != nil {
		return plan{}, err
	}
	return plan{change{}, func(b *batch) {
		b.queue(forgetEventsSQL, through.Revision)
		b.queue(placeSQL)
		if s.tx == nil {
			b.sweep(0)
		} else { // it keeps the lock of all writes anyway
			b.queue(deleteEventsSQL, 0, nil)
		}
	}}, nil
}

// sweep queues the deletion of rows of forgotten events after a revision.
func (b *batch) sweep(after int64) {
	b.queue(deleteEventsSQL, after, sweepWrites).QueryRow(func(row pgx.Row) error {
		var n int
		err := row.Scan(&n, &b.swept)
		b.unswept = n == sweepWrites
		return err
	})
}

// sweep deletes the rows left by the transaction of a Write.
func (s *Store) sweep(ctx context.Context, of *batch, through uint64) error {
	for of.unswept {
		var b *batch
		err := s.retry(ctx, "the forgotten events", func() error {
			b = &batch{schema: s.schema}
			b.beginWrite()
			b.sweep(of.swept)
			return s.inTx(ctx, func(tx pgx.Tx) error { return tx.SendBatch(ctx, &b.Batch).Close() })
		})
		if err != nil {
			return adapter.UndeletedEvents(through, err)
		}
		of = b
	}
	return nil
}
