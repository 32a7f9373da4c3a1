package store

import "errors"

// Errors of a Store, for errors.Is. An adapter wraps them with the name of the record.
// Any other error is a failure of the adapter.
var (
	// ErrNotFound is returned when a record is absent (S4, S11, S14, S16, E9).
	ErrNotFound = errors.New("not found")

	// ErrExists is returned when a record to create exists (S10, L2).
	ErrExists = errors.New("exists already: to replace it, give its revision")

	// ErrConflict is returned when the stored revision is not the one given (S11, S14, E5).
	// Read the record again, make the change again, and put it again.
	ErrConflict = errors.New("revision conflict: it was changed since it was read")

	// ErrInvalid is returned for an invalid record, cursor, batch, load, write or request
	// (S15, S17, S22, L2, U7, E10, E16).
	ErrInvalid = errors.New("invalid")

	// ErrOpensKey is returned when a write would create a key without entries or remove
	// a key's last entry, and AllowOpen is not given (S18).
	ErrOpensKey = errors.New("an empty access list opens the key to every address: want entries, or AllowOpen")

	// ErrNotEmpty is returned when an organization to delete has keys (S19).
	ErrNotEmpty = errors.New("the organization has keys: delete them first")

	// ErrNotWritten is part of the error of a write that failed and certainly changed nothing
	// (S3): it did not get the store's lock or a connection, or was refused before its commit.
	// After a failure without it a write may have happened.
	ErrNotWritten = errors.New("nothing was written")

	// ErrClosed is returned after Close (S23).
	ErrClosed = errors.New("the store is closed")

	// ErrNewer is returned when a newer version of the program has changed the store, and this
	// version may no longer write it, or not even read it (S32). Nothing has changed. Run
	// the newer version.
	ErrNewer = errors.New("the store was changed by a newer version of this program: run that one")

	// ErrCompacted is returned when a watch, or a reader of events, cannot go on from its
	// position: changes or events since are no longer known (W4, E6), or the store lost
	// writes before it (W4, W10, E6, E11). Begin from the zero Position instead.
	ErrCompacted = errors.New("the history does not reach back so far")
)
