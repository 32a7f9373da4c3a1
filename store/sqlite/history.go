package sqlite

import (
	"database/sql"
	"errors"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// A file does not know whether it is a backup put back: it is what it was when
// the backup was made, to the last byte. So a Store begins a history of its own before its
// first write, in the transaction of that write. The history has a random name, and its
// revisions begin at a random place behind the latest. The file keeps the names of the
// histories from which it has come.
//
//   - A restart, or another process that begins to write, leaves the past where it is: the
//     earlier names are in the file, and watchers go on.
//   - A backup lacks the names that came after it. Whoever opens it begins another history,
//     and positions of the lost ones are unknown, or beyond the end of theirs.
//
// A Store begins another history, too, if the file has lost its own latest write, or the
// latest one it has seen of another Store: a backup was restored under it.
//
// A name is kept as long as any of its positions may be watched or read from: the changes
// after it are known, or no event after it was forgotten (E6).
const (
	// The last revision of an earlier history: the one before the history that followed.
	selectEnd = `SELECT (SELECT n.before FROM histories n WHERE n.first > h.first ORDER BY n.first LIMIT 1)
		FROM histories h WHERE h.name = ?`
	selectBegins    = `SELECT first, before FROM histories WHERE first > ?`
	insertHistory   = `INSERT INTO histories (first, before, name) VALUES (?, ?, ?)`
	deleteHistories = `DELETE FROM histories WHERE first <
		(SELECT first FROM histories WHERE first <= min(?, (SELECT events_forgotten FROM progress)) ORDER BY first DESC LIMIT 1)`
)

// enterHistory begins a history, unless what this Store has written and seen is in the
// file's past.
func (t *transaction) enterHistory() error {
	known := []store.Position{t.store.known}
	if seen := t.store.poller.seen.Load(); seen != nil {
		known = append(known, *seen)
	}
	for _, p := range known {
		switch goesOn, err := t.goesOnFrom(p); {
		case err != nil:
			return t.failure(err)
		case !goesOn:
			t.now = adapter.NewHistory(t.began.Revision)
			return t.exec(insertHistory, int64(t.now.Revision)+1, int64(t.began.Revision), t.now.History)
		}
	}
	return nil
}

// goesOnFrom reports whether a position is in the file's past. The zero Position is not.
func (t *transaction) goesOnFrom(p store.Position) (bool, error) {
	switch {
	case p == store.Position{}:
		return false, nil
	case p.History == t.began.History && p.Revision <= t.began.Revision: // the usual case
		return true, nil
	}
	return isPast(p, t.began, t.StmtContext(t.ctx, t.store.write.prepared[selectEnd]).QueryRowContext(t.ctx, p.History))
}

// isPast reports whether a position is in the past of a file at its latest position. end is
// the row of selectEnd for the position's history.
func isPast(p, latest store.Position, end *sql.Row) (bool, error) {
	var last any
	switch err := end.Scan(&last); {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	case p.History == latest.History:
		return p.Revision <= latest.Revision, nil
	case last == nil: // by hand: the last history is not the file's
		return false, nil
	}
	revision, err := asCount(last)
	return err == nil && p.Revision <= revision, err
}
