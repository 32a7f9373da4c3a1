package admin_test

import (
	"context"
	"errors"
	"strings"

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

// do makes a call. With an error it returns no result.
func do[T any](f *faulty, name string, call func() (T, error)) (T, error) {
	var none T
	if err := f.before(name); err != nil {
		return none, err
	}
	result, err := call()
	if err == nil && isWrite(name) {
		err = f.after(name)
	}
	if err != nil {
		return none, err
	}
	return result, nil
}

func isWrite(call string) bool {
	return call == "Write" || strings.HasPrefix(call, "Put") || strings.HasPrefix(call, "Delete")
}

func (f *faulty) Organization(ctx context.Context, id string) (policy.Organization, error) {
	return do(f, "Organization", func() (policy.Organization, error) { return f.Store.Organization(ctx, id) })
}

func (f *faulty) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	return do(f, "Key", func() (apikey.Key, error) { return f.Store.Key(ctx, id) })
}

func (f *faulty) Keys(ctx context.Context, organization string, page store.PageRequest) (store.Page[apikey.Key], error) {
	return do(f, "Keys", func() (store.Page[apikey.Key], error) { return f.Store.Keys(ctx, organization, page) })
}

func (f *faulty) Usage(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
	return do(f, "Usage", func() (map[apikey.ID]store.KeyUsage, error) { return f.Store.Usage(ctx, ids...) })
}

func (f *faulty) Observation(ctx context.Context) (store.Observation, error) {
	return do(f, "Observation", func() (store.Observation, error) { return f.Store.Observation(ctx) })
}

func (f *faulty) Write(ctx context.Context, write store.Write) (uint64, error) {
	f.writes = append(f.writes, write)
	return do(f, "Write", func() (uint64, error) { return f.Store.Write(ctx, write) })
}

func (f *faulty) Lookup(ctx context.Context, id apikey.ID) (subject policy.Subject, found bool, err error) {
	subject, err = do(f, "Lookup", func() (subject policy.Subject, err error) {
		subject, found, err = f.Store.Lookup(ctx, id)
		return subject, err
	})
	return subject, found && err == nil, err
}

func (f *faulty) Events(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
	return do(f, "Events", func() (store.EventPage, error) { return f.Store.Events(ctx, request) })
}

// The writes of a store without a Journal.

func (f *faulty) PutOrganization(ctx context.Context, o policy.Organization) (policy.Organization, error) {
	return do(f, "PutOrganization", func() (policy.Organization, error) { return f.Store.PutOrganization(ctx, o) })
}

func (f *faulty) PutKey(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	return do(f, "PutKey", func() (apikey.Key, error) { return f.Store.PutKey(ctx, key, options...) })
}

func (f *faulty) DeleteOrganization(ctx context.Context, id string, revision uint64) error {
	_, err := do(f, "DeleteOrganization", func() (struct{}, error) {
		return struct{}{}, f.Store.DeleteOrganization(ctx, id, revision)
	})
	return err
}

func (f *faulty) DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error {
	_, err := do(f, "DeleteKey", func() (struct{}, error) { return struct{}{}, f.Store.DeleteKey(ctx, id, revision) })
	return err
}

// bare is a store that is nothing but a Store: no Journal and no UsageRecorder.
type bare struct{ store.Store }

// unjournaled is a store with usage and without a Journal.
type unjournaled struct {
	store.Store
	usage store.UsageRecorder
}

func (u unjournaled) RecordUsage(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
	return u.usage.RecordUsage(ctx, batch)
}

func (u unjournaled) Usage(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
	return u.usage.Usage(ctx, ids...)
}

func (u unjournaled) RecordObservation(ctx context.Context, report store.Report) error {
	return u.usage.RecordObservation(ctx, report)
}

func (u unjournaled) Observation(ctx context.Context) (store.Observation, error) {
	return u.usage.Observation(ctx)
}
