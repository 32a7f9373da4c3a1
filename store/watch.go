package store

import (
	"context"
	"iter"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// A Change is what a Watch tells: that a record was written, that one was deleted, or
// a mark of progress.
type Change struct {
	// Revision is that of the write; a deletion has one of its own. Of a mark it is the
	// revision of the latest write that has been told.
	Revision uint64

	// Organization is the organization that changed, or whose key changed. It is empty
	// in a mark.
	Organization string

	// Key is the key that changed; empty if it was the organization itself.
	Key apikey.ID

	// Deleted says that the record was deleted.
	Deleted bool

	// OrganizationRecord or KeyRecord is the record that was written; both are nil in a
	// mark, and if the record was deleted or cannot be read.
	OrganizationRecord *policy.Organization
	KeyRecord          *apikey.Key

	// Err says that the record is there and cannot be read (S6). Whoever keeps a copy
	// answers with this error when the record is asked for, and not as if it were as
	// before, or not there.
	Err error
}

// IsMark reports whether the change is a mark of progress.
func (c Change) IsMark() bool { return c.Organization == "" }

// A Watcher is a Store that tells of changes. Without it, a copy of the store can
// only be kept by reading everything again. Package store/replica keeps one.
type Watcher interface {
	// Revision returns the revision of the latest write, zero if there was none.
	//
	// W1: it MUST NOT be less than that of any write that had returned, in whatever
	// process, when Revision was called; what is told up to it MUST be there for reads
	// that begin after Revision has returned; and it MUST fail when the store cannot be
	// reached. So whoever keeps a copy can prove it fresh, instead of trusting the
	// feed's silence.
	Revision(ctx context.Context) (uint64, error)

	// Watch tells what was written and deleted since a revision, and goes on to tell of
	// what follows. A Watch from zero begins with every record that is there.
	//
	// W2: no record may change without a change being told.
	// W3: a change MUST NOT be told before reads see it.
	// W4: if changes since the revision are no longer known, or the store itself has
	// not come so far (it was restored from a backup), Watch MUST yield ErrCompacted
	// instead of leaving any out.
	// W5: it ends by yielding an error with a zero Change: that of the context,
	// ErrClosed, ErrCompacted, or a failure; after any but ErrCompacted it may be called
	// again with the revision of the last mark.
	// W6: with all changes told up to a mark, a copy is the store as it was at the
	// mark's revision, at one moment. Between two marks changes may come in any order,
	// but each record, and a key is the same record in whatever organization, MUST be
	// told at most once, and no revision may be greater than that of the mark that
	// follows, or not greater than that of the mark before. A mark MUST follow without
	// waiting for a further write, and one MUST come first if there is nothing to tell.
	// W7: a watcher that is slow, or has stopped, MUST NOT hold up a write or another
	// watcher.
	// W8: a record that cannot be read MUST be told with Err, and ends nothing. What is
	// told MUST NOT be shared (S7).
	Watch(ctx context.Context, after uint64) iter.Seq2[Change, error]
}
