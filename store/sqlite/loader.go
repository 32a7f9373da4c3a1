package sqlite

import (
	"context"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Load implements [store.Loader]: one transaction, which waits for the disk once.
func (s *Store) Load(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, options ...store.PutOption) error {
	return s.transact(ctx, "load records", func(t *transaction) error {
		if err := adapter.CheckLoad(organizations, keys, options...); err != nil {
			return err
		}
		for _, organization := range organizations {
			if _, err := t.putOrganization(organization); err != nil {
				return err
			}
		}
		for _, key := range keys {
			if _, err := t.putKey(key, options...); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return failure(ctx, t.doing, err)
			}
		}
		return nil
	})
}
