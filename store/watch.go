package store

import (
	"context"
	"iter"

	"github.com/sallyport-go/sallyport/apikey"
)

// A Change says that a record was written or deleted. It is a hint to read the
// record again; what is read, with its revision, is the truth.
type Change struct {
	// Revision is that of the write. A deletion has one of its own.
	Revision uint64

	// Organization is the organization that changed, or whose key changed. It is
	// empty in a mark of progress: nothing to read, and everything up to Revision has
	// been told.
	Organization string

	// Key is the key that changed; empty if it was the organization itself.
	Key apikey.ID

	// Deleted says that the record was deleted.
	Deleted bool
}

// A Watcher is a Store that tells of changes. Without it, a copy of the store can
// only be kept by reading everything again.
type Watcher interface {
	// Revision returns the revision of the latest write, zero if there was none. W1:
	// what a Watch from it leaves out MUST have been there for reads that begin after
	// Revision has returned. It MUST fail when the store cannot be reached, so that
	// whoever keeps a copy can prove the feed alive instead of trusting its silence.
	Revision(ctx context.Context) (uint64, error)

	// Watch yields the changes with a revision greater than after, in the order of
	// their revisions, and waits for further ones. It may leave out a change when a
	// later one to the same record is told.
	//
	// W2: no record may change without a change being told. W3: a change MUST NOT be
	// told before reads see it. W4: if changes since after are no longer known, it
	// MUST yield ErrCompacted instead of leaving any out. W5: it ends by yielding an
	// error with a zero Change: that of the context, ErrClosed, ErrCompacted, or a
	// failure; after any of them it may be called again with the last revision told.
	Watch(ctx context.Context, after uint64) iter.Seq2[Change, error]
}
