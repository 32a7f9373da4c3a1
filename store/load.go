package store

import (
	"context"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// MaxLoad is the largest number of records in one call of Load.
const MaxLoad = 1000

// A Loader is a Store that creates many records in one call. Without it records are put
// one by one, which is much slower where each write is a transaction.
type Loader interface {
	// Load creates organizations and keys. A key's organization may be stored already or
	// be among them.
	//
	//   - L1. If Load returns an error, it MUST have stored nothing (S3).
	//   - L2. A record MUST be refused as a Put with the same options would refuse it:
	//     with ErrInvalid, ErrExists, ErrNotFound or ErrOpensKey. A record that occurs
	//     twice MUST be refused with ErrExists. A record with a revision MUST be refused
	//     with ErrNotFound. More than [MaxLoad] records MUST be refused with ErrInvalid.
	//   - L3. Each record MUST get a revision of its own, as by a Put (S12). Each MUST
	//     be delivered to watchers.
	Load(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, options ...PutOption) error
}
