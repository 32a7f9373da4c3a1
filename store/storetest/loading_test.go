package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/memory"
)

// A loadingStore is the memory store as a store.Loader. All writes take turns.
type loadingStore struct {
	*memory.Store
	mu sync.Mutex
}

func newLoading() *loadingStore { return &loadingStore{Store: memory.New()} }

func (l *loadingStore) Load(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, options ...store.PutOption) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.checkLoad(ctx, organizations, keys, options); err != nil {
		return err
	}
	for _, organization := range organizations {
		if _, err := l.Store.PutOrganization(context.WithoutCancel(ctx), organization); err != nil {
			return err
		}
	}
	for _, key := range keys {
		if _, err := l.Store.PutKey(context.WithoutCancel(ctx), key, options...); err != nil {
			return err
		}
	}
	return nil
}

func (l *loadingStore) checkLoad(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, options []store.PutOption) error {
	if _, err := l.Organizations(ctx, store.PageRequest{Limit: 1}); err != nil { // S2, S23
		return err
	}
	if n := len(organizations) + len(keys); n > store.MaxLoad {
		return fmt.Errorf("%w: %d records", store.ErrInvalid, n)
	}
	for i, organization := range organizations {
		var stored *policy.Organization
		if o, err := l.Organization(ctx, organization.ID); err == nil {
			stored = &o
		} else if j := slices.IndexFunc(organizations[:i], func(o policy.Organization) bool { return o.ID == organization.ID }); j >= 0 {
			stored = &policy.Organization{Revision: 1}
		}
		if err := adapter.CheckPutOrganization(stored, organization); err != nil {
			return err
		}
		if stored != nil {
			return store.ErrExists // though a Put with its revision would replace it
		}
	}
	for i, key := range keys {
		var stored *apikey.Key
		if k, err := l.Key(ctx, key.ID); err == nil {
			stored = &k
		} else if j := slices.IndexFunc(keys[:i], func(k apikey.Key) bool { return k.ID == key.ID }); j >= 0 {
			stored = &apikey.Key{Revision: 1}
		}
		if err := adapter.CheckPutKey(stored, key, options...); err != nil {
			return err
		}
		_, err := l.Organization(ctx, key.Organization)
		if err != nil && !slices.ContainsFunc(organizations, func(o policy.Organization) bool { return o.ID == key.Organization }) {
			return err
		}
		if stored != nil {
			return store.ErrExists
		}
	}
	return nil
}

func (l *loadingStore) PutOrganization(ctx context.Context, o policy.Organization) (policy.Organization, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Store.PutOrganization(ctx, o)
}

func (l *loadingStore) DeleteOrganization(ctx context.Context, id string, revision uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Store.DeleteOrganization(ctx, id, revision)
}

func (l *loadingStore) PutKey(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Store.PutKey(ctx, key, options...)
}

func (l *loadingStore) DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Store.DeleteKey(ctx, id, revision)
}
