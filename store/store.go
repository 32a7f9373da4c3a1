package store

import (
	"context"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// A Store keeps two kinds of record: organizations, and keys with their access lists,
// grants and secrets. Each record is read and written whole. The package documentation
// has the contract, S1 to S32.
type Store interface {
	// Lookup reads for decisions: see policy.Source.
	policy.Source

	// Organization returns the organization with this ID, or ErrNotFound.
	Organization(ctx context.Context, id string) (policy.Organization, error)

	// PutOrganization creates (revision zero) or replaces (the stored revision) an
	// organization, and returns it with its new revision. A changed requirement holds
	// for every key at once (rule Q3), and so does a changed Disabled. Errors: ErrExists, ErrConflict, ErrNotFound,
	// ErrInvalid.
	PutOrganization(ctx context.Context, organization policy.Organization) (policy.Organization, error)

	// DeleteOrganization deletes an organization without keys, if its revision is the
	// one given or zero is given. Errors: ErrNotFound, ErrConflict, ErrNotEmpty.
	DeleteOrganization(ctx context.Context, id string, revision uint64) error

	// Organizations returns a page of all organizations. Error: ErrInvalid for a bad
	// cursor.
	Organizations(ctx context.Context, page PageRequest) (Page[policy.Organization], error)

	// Key returns the key with this ID, or ErrNotFound.
	Key(ctx context.Context, id apikey.ID) (apikey.Key, error)

	// PutKey creates (revision zero) or replaces (the stored revision) a key, and
	// returns it with its new revision. Errors: ErrExists, ErrConflict, ErrNotFound
	// (also for its organization), ErrInvalid, ErrOpensKey.
	PutKey(ctx context.Context, key apikey.Key, options ...PutOption) (apikey.Key, error)

	// DeleteKey deletes a key with its list, grants, secrets and usage, if its revision
	// is the one given or zero is given. Once it has returned, Lookup does not find the
	// key. Errors: ErrNotFound, ErrConflict.
	DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error

	// Keys returns a page of an organization's keys, of those that a filter selects if
	// the request has one. Error: ErrInvalid for a bad cursor.
	Keys(ctx context.Context, organization string, page PageRequest) (Page[apikey.Key], error)

	// Close ends the use of the store and releases its resources.
	Close() error
}

// A PutOption permits a write that would otherwise be refused.
type PutOption uint8

// AllowOpen lets PutKey and Load create a key without entries, and PutKey remove a key's
// last entry. Where nothing requires a list, such a key is open to every address (rule
// A10).
const AllowOpen PutOption = 1

// AllowManyEntries lets PutKey and Load store a key of more than [MaxEntries] entries, up to
// apikey.MaxEntries. Each look-up in a database reads the whole list: with 10,000 entries it
// takes some thousand times as long as that of an unknown key, and strangers can ask for it
// if they know the key's ID. Have a replica with it (see policy.Source).
const AllowManyEntries PutOption = 2

// MaxEntries is the number of entries of a key, its list on trial included, without
// [AllowManyEntries].
const MaxEntries = 1000

// As finds an optional interface, such as [Watcher], in a store or in the stores that it
// wraps. It returns the first T among s, s.Unwrap(), and so on. A wrapper that must not be
// bypassed has no Unwrap method, and implements the optional interfaces it allows.
func As[T any](s Store) (T, bool) {
	for s != nil {
		if t, ok := s.(T); ok {
			return t, true
		}
		wrapper, ok := s.(interface{ Unwrap() Store })
		if !ok {
			break
		}
		s = wrapper.Unwrap()
	}
	var none T
	return none, false
}
