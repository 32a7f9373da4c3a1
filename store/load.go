package store

import (
	"context"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// MaxLoad is how many records one call of Load may have.
const MaxLoad = 1000

// A Loader is a Store that takes many new records at once, for those to whom one
// transaction is much faster than many. Without it, records are put one by one.
type Loader interface {
	// Load creates organizations and keys, whose revisions are zero; a key's
	// organization may be there or among them. L1: with an error nothing of it MUST have
	// been stored (S3). L2: a record MUST be refused as a Put with the same options would
	// refuse it: with ErrExists, also if it is there twice, with ErrInvalid, ErrOpensKey,
	// or with ErrNotFound, also if it has a revision; more than MaxLoad records with
	// ErrInvalid.
	// L3: each record MUST get a revision of its own, as by a Put (S12), and be told to
	// those who watch.
	Load(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, options ...PutOption) error
}
