package teststore

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// A Loading is the memory store with a store.Loader. Writes take turns.
type Loading struct {
	*memory.Store
	mu sync.Mutex
}

func NewLoading() *Loading { return &Loading{Store: memory.New()} }

func (l *Loading) Load(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, options ...store.PutOption) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.CheckLoad(ctx, organizations, keys, options); err != nil {
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

func (l *Loading) CheckLoad(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, options []store.PutOption) error {
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

func (l *Loading) PutOrganization(ctx context.Context, o policy.Organization) (policy.Organization, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Store.PutOrganization(ctx, o)
}

func (l *Loading) DeleteOrganization(ctx context.Context, id string, revision uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Store.DeleteOrganization(ctx, id, revision)
}

func (l *Loading) PutKey(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Store.PutKey(ctx, key, options...)
}

func (l *Loading) DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Store.DeleteKey(ctx, id, revision)
}

func (l *Loading) Write(ctx context.Context, w store.Write) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Store.Write(ctx, w)
}

// A Loader is a Broken with a store.Loader.
type Loader struct {
	*Broken
	Sound  *Loading
	DoLoad func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, options ...store.PutOption) error
}

func (b *Loader) Load(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, options ...store.PutOption) error {
	return b.DoLoad(ctx, organizations, keys, options...)
}

func (b *Loader) OneByOne(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, options ...store.PutOption) error {
	for _, organization := range organizations {
		if _, err := b.Sound.PutOrganization(ctx, organization); err != nil {
			return err
		}
	}
	for _, key := range keys {
		if _, err := b.Sound.PutKey(ctx, key, options...); err != nil {
			return err
		}
	}
	return nil
}

// NewLoader returns a Loader that is still sound.
func NewLoader() *Loader {
	l := NewLoading()
	b := &Loader{Broken: Of(l.Store), Sound: l, DoLoad: l.Load}
	b.DoPutKey, b.DoDeleteKey, b.DoPutOrganization, b.DoDeleteOrganization = l.PutKey, l.DeleteKey, l.PutOrganization, l.DeleteOrganization
	b.DoWrite = l.Write
	return b
}

// Flood creates more keys than the memory store's feed remembers.
func Flood(t testing.TB, s store.Store) {
	_, err := s.PutOrganization(context.Background(), policy.Organization{ID: "flood"})
	for i := range 33_000 {
		if err == nil {
			_, err = s.PutKey(context.Background(), fixture.Plain(apikey.ID(fmt.Sprint("flood-", i)), "flood", "192.0.2.1"))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}
