package admin_test

import (
	"context"
	"errors"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
)

// A faulty store is one in memory whose calls can be made to fail, or to be overtaken.
type faulty struct {
	*memory.Store
	before func(call string) error // called before each call, by its name
	after  func(call string) error // called after a write was made
	writes []store.Write           // given to Write
}

var errFault = errors.New("the disk is full of bees")

func newFaulty() *faulty {
	none := func(string) error { return nil }
	return &faulty{Store: memory.New(), before: none, after: none}
}

// fail makes a call fail from now on, after it was made if it is a write.
func (f *faulty) fail(failing string, made bool) {
	f.before = func(call string) error {
		if call == failing && !made {
			return errFault
		}
		return nil
	}
	f.after = func(call string) error {
		if call == failing && made {
			return errFault
		}
		return nil
	}
}

// overtake runs a function before the next write, once.
func (f *faulty) overtake(other func()) {
	f.before = func(call string) error {
		if call == "Write" {
			f.before = func(string) error { return nil }
			other()
		}
		return nil
	}
}

func (f *faulty) Organization(ctx context.Context, id string) (policy.Organization, error) {
	if err := f.before("Organization"); err != nil {
		return policy.Organization{}, err
	}
	return f.Store.Organization(ctx, id)
}

func (f *faulty) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	if err := f.before("Key"); err != nil {
		return apikey.Key{}, err
	}
	return f.Store.Key(ctx, id)
}

func (f *faulty) Keys(ctx context.Context, organization string, page store.PageRequest) (store.Page[apikey.Key], error) {
	if err := f.before("Keys"); err != nil {
		return store.Page[apikey.Key]{}, err
	}
	return f.Store.Keys(ctx, organization, page)
}

func (f *faulty) Usage(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
	if err := f.before("Usage"); err != nil {
		return nil, err
	}
	return f.Store.Usage(ctx, ids...)
}

func (f *faulty) Write(ctx context.Context, write store.Write) (uint64, error) {
	f.writes = append(f.writes, write)
	if err := f.before("Write"); err != nil {
		return 0, err
	}
	revision, err := f.Store.Write(ctx, write)
	if err == nil {
		err = f.after("Write")
	}
	return revision, err
}

// bare is a store that is nothing but a Store: no Journal and no UsageRecorder.
type bare struct{ store.Store }
