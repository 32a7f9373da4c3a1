package store

import "errors"

// Errors of a Store, told apart with errors.Is. An adapter wraps them with what
// was asked for; other errors are failures of the adapter's own.
var (
	// ErrNotFound: there is no such record (S4, S11, S14, S16).
	ErrNotFound = errors.New("not found")

	// ErrExists: a Put with revision zero found the record there (S10).
	ErrExists = errors.New("exists already: to replace it, give its revision")

	// ErrConflict: the stored revision is not the one given (S11, S14). Read the
	// record again, make the change again, and put it again.
	ErrConflict = errors.New("revision conflict: it was changed since it was read")

	// ErrInvalid: the record, or the cursor, cannot be accepted (S15, S17, S22).
	ErrInvalid = errors.New("invalid")

	// ErrOpensKey: the Put would have created a key without entries, or taken the last
	// entry of one (S18).
	ErrOpensKey = errors.New("an empty access list opens the key to every address: want entries, or AllowOpen")

	// ErrNotEmpty: the organization still has keys (S19).
	ErrNotEmpty = errors.New("the organization has keys: delete them first")

	// ErrClosed: the store was closed (S23).
	ErrClosed = errors.New("the store is closed")

	// ErrCompacted: the change feed no longer reaches back to the revision given
	// (W4). Load everything again and watch from there.
	ErrCompacted = errors.New("the change feed does not reach back so far")
)
