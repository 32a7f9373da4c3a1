package store

import (
	"context"
	"iter"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// A Position is a point in the history of a store: after the write with this revision. The
// zero Position is before everything.
//
// Revisions order the positions of one History. Positions of different histories cannot
// be compared. Only the store knows whether one is in the past of the other: see
// [Watcher.Watch].
type Position struct {
	// History names the line of writes that the revision is of (W9). Compare names for
	// equality only.
	History string

	// Revision is that of the latest write, zero if there was none.
	Revision uint64
}

// A Change is delivered by a Watch: a record that was written, a deletion, or a mark of
// progress.
type Change struct {
	// Revision is that of the write; a deletion has one of its own. A mark has the
	// revision of the latest write delivered.
	Revision uint64

	// History is set in marks only: the history that the mark's revision is of (W9).
	History string

	// Organization is the organization that changed, or whose key changed. It is empty
	// in a mark.
	Organization string

	// Key is the key that changed. It is empty if the organization itself changed.
	Key apikey.ID

	// Deleted reports whether the record was deleted.
	Deleted bool

	// OrganizationRecord or KeyRecord is the record as written. Both are nil in a mark,
	// after a deletion, and if Err is set.
	OrganizationRecord *policy.Organization
	KeyRecord          *apikey.Key

	// Err is set if the record exists and cannot be read (S6). A copy answers requests
	// for the record with this error, not with an older record or with absence.
	Err error
}

// IsMark reports whether the change is a mark of progress.
func (c Change) IsMark() bool { return c.Organization == "" }

// Position returns the position of a mark, from which a Watch may resume.
func (c Change) Position() Position { return Position{History: c.History, Revision: c.Revision} }

// A Watcher is a Store with a change feed. Without one, a copy of the store can be
// refreshed only by reading everything again. Package store/replica keeps a copy.
//
// A store can lose writes: it is restored from a backup, or a standby is promoted that
// lacked the last writes. Its history then forks, and the lost revisions mean nothing any
// more.
//
//   - W9. Every mark and every position returned MUST have a History that is not empty.
//     Of two positions with the same History, the one with the greater revision MUST
//     include every write of the other. So after a fork the positions of new writes MUST
//     have another History, one that was never given before. A
//     clock cannot tell one history from another. The name may change without a fork,
//     too; a Watch then goes on under the new name.
type Watcher interface {
	// Position returns the position of the latest write.
	//
	//   - W1. The position MUST include every write that had returned, in any process,
	//     when Position was called. Changes delivered up to it MUST be visible to reads
	//     that begin after Position has returned. It MUST fail if the store cannot be
	//     reached. So a copy at a mark of the same History, with at least its revision,
	//     is verified fresh without trusting the feed's silence.
	Position(ctx context.Context) (Position, error)

	// Watch yields the changes since a position, and goes on with those that follow. A
	// Watch from the zero Position begins with every record in the store.
	//
	//   - W2. Every change of a record MUST be delivered, by itself or by a later change
	//     of the same record.
	//   - W3. A change MUST NOT be delivered before reads see it.
	//   - W4. Watch MUST yield [ErrCompacted] if the changes since the position are no
	//     longer known. It MUST yield ErrCompacted if the position is not in the store's
	//     past: the store has not reached its revision, or its History is unknown or
	//     forked before it. It MUST NOT leave out a change instead.
	//   - W5. A Watch MUST end by yielding an error with a zero Change: the context's,
	//     ErrClosed, ErrCompacted, or a failure. After any of them but ErrCompacted it
	//     may be called again with the position of the last mark.
	//   - W6. With all changes up to a mark applied, a copy MUST be the store at the
	//     mark's position, at one moment. Between two marks changes may come in any
	//     order. Between two marks each record MUST be delivered at most once; a key is
	//     one record, whatever its organization. Every revision MUST be greater than
	//     that of the mark before and at most that of the mark after. A mark MUST follow
	//     without waiting for another write. If there is nothing to deliver, a mark MUST
	//     come first.
	//   - W7. A watcher that is slow, or has stopped, MUST NOT hold up a write or
	//     another watcher. A Watch that has ended, or was left, MUST NOT leave a
	//     goroutine or a connection behind.
	//   - W8. A record that cannot be read MUST be delivered with Err. The Watch MUST go
	//     on. Delivered records MUST NOT be shared (S7).
	//   - W10. If the store has lost a write that a mark of the Watch includes, the Watch
	//     MUST end with ErrCompacted, before another change or mark.
	Watch(ctx context.Context, after Position) iter.Seq2[Change, error]
}
