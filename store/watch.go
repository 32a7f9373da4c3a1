package store

import (
	"context"
	"iter"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// A Change is delivered by a Watch: a record that was written, a deletion, or a mark of
// progress.
type Change struct {
	// Revision is that of the write; a deletion has one of its own. A mark has the
	// revision of the latest write delivered.
	Revision uint64

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

// A Watcher is a Store with a change feed. Without one, a copy of the store can be
// refreshed only by reading everything again. Package store/replica keeps a copy.
type Watcher interface {
	// Revision returns the revision of the latest write, zero if there was none.
	//
	//   - W1. Revision MUST NOT be less than the revision of any write that had
	//     returned, in any process, when Revision was called. Changes delivered up to it
	//     MUST be visible to reads that begin after Revision has returned. It MUST fail
	//     if the store cannot be reached. So a copy can be verified fresh without
	//     trusting the feed's silence.
	Revision(ctx context.Context) (uint64, error)

	// Watch yields the changes since a revision, and goes on with those that follow. A
	// Watch from zero begins with every record in the store.
	//
	//   - W2. Every change of a record MUST be delivered, by itself or by a later change
	//     of the same record.
	//   - W3. A change MUST NOT be delivered before reads see it.
	//   - W4. Watch MUST yield [ErrCompacted] if the changes since the revision are no
	//     longer known. It MUST yield ErrCompacted if the store has not reached the
	//     revision, as after a restored backup. It MUST NOT leave out a change instead.
	//   - W5. A Watch MUST end by yielding an error with a zero Change: the context's,
	//     ErrClosed, ErrCompacted, or a failure. After any of them but ErrCompacted it
	//     may be called again with the revision of the last mark.
	//   - W6. With all changes up to a mark applied, a copy MUST be the store at the
	//     mark's revision, at one moment. Between two marks changes may come in any
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
	Watch(ctx context.Context, after uint64) iter.Seq2[Change, error]
}
