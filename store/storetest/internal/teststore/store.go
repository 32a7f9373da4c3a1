package teststore

import (
	"context"
	"iter"
	"slices"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// A Broken is a memory store. A test replaces its methods by functions.
type Broken struct {
	*memory.Store
	DoLookup             func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error)
	DoOrganization       func(ctx context.Context, id string) (policy.Organization, error)
	DoPutOrganization    func(ctx context.Context, o policy.Organization) (policy.Organization, error)
	DoDeleteOrganization func(ctx context.Context, id string, revision uint64) error
	DoOrganizations      func(ctx context.Context, page store.PageRequest) (store.Page[policy.Organization], error)
	DoKey                func(ctx context.Context, id apikey.ID) (apikey.Key, error)
	DoPutKey             func(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error)
	DoDeleteKey          func(ctx context.Context, id apikey.ID, revision uint64) error
	DoKeys               func(ctx context.Context, organization string, page store.PageRequest) (store.Page[apikey.Key], error)
	DoClose              func() error
	DoPosition           func(ctx context.Context) (store.Position, error)
	DoWatch              func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error]
	DoRecordUsage        func(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error
	DoUsage              func(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error)
	DoRecordObservation  func(ctx context.Context, report store.Report) error
	DoObservation        func(ctx context.Context) (store.Observation, error)
	DoWrite              func(ctx context.Context, w store.Write) (uint64, error)
	DoEvents             func(ctx context.Context, request store.EventRequest) (store.EventPage, error)
}

// New returns a Broken that is still sound, and the store behind it.
func New() (b *Broken, sound *memory.Store) {
	m := memory.New()
	return Of(m), m
}

// Of returns a Broken over m that is still sound.
func Of(m *memory.Store) *Broken {
	return &Broken{
		Store: m, DoLookup: m.Lookup, DoOrganization: m.Organization, DoPutOrganization: m.PutOrganization, DoDeleteOrganization: m.DeleteOrganization,
		DoOrganizations: m.Organizations, DoKey: m.Key, DoPutKey: m.PutKey, DoDeleteKey: m.DeleteKey, DoKeys: m.Keys, DoClose: m.Close,
		DoPosition: m.Position, DoWatch: m.Watch, DoRecordUsage: m.RecordUsage, DoUsage: m.Usage, DoRecordObservation: m.RecordObservation, DoObservation: m.Observation,
		DoWrite: m.Write, DoEvents: m.Events,
	}
}

func (b *Broken) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	return b.DoLookup(ctx, id)
}

func (b *Broken) Organization(ctx context.Context, id string) (policy.Organization, error) {
	return b.DoOrganization(ctx, id)
}

func (b *Broken) PutOrganization(ctx context.Context, o policy.Organization) (policy.Organization, error) {
	return b.DoPutOrganization(ctx, o)
}

func (b *Broken) DeleteOrganization(ctx context.Context, id string, revision uint64) error {
	return b.DoDeleteOrganization(ctx, id, revision)
}

func (b *Broken) Organizations(ctx context.Context, page store.PageRequest) (store.Page[policy.Organization], error) {
	return b.DoOrganizations(ctx, page)
}

func (b *Broken) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) { return b.DoKey(ctx, id) }

func (b *Broken) PutKey(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	return b.DoPutKey(ctx, key, options...)
}

func (b *Broken) DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error {
	return b.DoDeleteKey(ctx, id, revision)
}

func (b *Broken) Keys(ctx context.Context, organization string, page store.PageRequest) (store.Page[apikey.Key], error) {
	return b.DoKeys(ctx, organization, page)
}

func (b *Broken) Close() error { return b.DoClose() }

func (b *Broken) Position(ctx context.Context) (store.Position, error) { return b.DoPosition(ctx) }

func (b *Broken) Watch(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
	return b.DoWatch(ctx, after)
}

func (b *Broken) RecordUsage(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
	return b.DoRecordUsage(ctx, batch)
}

func (b *Broken) Usage(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
	return b.DoUsage(ctx, ids...)
}

func (b *Broken) RecordObservation(ctx context.Context, report store.Report) error {
	return b.DoRecordObservation(ctx, report)
}

func (b *Broken) Observation(ctx context.Context) (store.Observation, error) {
	return b.DoObservation(ctx)
}

func (b *Broken) Write(ctx context.Context, w store.Write) (uint64, error) { return b.DoWrite(ctx, w) }

func (b *Broken) Events(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
	return b.DoEvents(ctx, request)
}

// OnUsage makes a function change the usage of every key that exists.
func (b *Broken) OnUsage(change func(id apikey.ID, usage store.KeyUsage) (store.KeyUsage, error)) {
	read := b.DoUsage
	b.DoUsage = func(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
		all, err := read(ctx, ids...)
		if err != nil {
			return nil, err
		}
		for id, usage := range all {
			if all[id], err = change(id, usage); err != nil {
				return nil, err
			}
		}
		return all, nil
	}
}

// OnRead makes a function change every key read, by any method.
func (b *Broken) OnRead(change func(apikey.Key) apikey.Key) {
	lookup, key, keys := b.DoLookup, b.DoKey, b.DoKeys
	b.DoLookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
		subject, found, err := lookup(ctx, id)
		if !found || err != nil {
			return subject, found, err
		}
		k, o := change(subject.Key()), subject.Organization()
		return policy.NewSubject(&k, &o), true, nil
	}
	b.DoKey = func(ctx context.Context, id apikey.ID) (apikey.Key, error) {
		k, err := key(ctx, id)
		if err == nil {
			k = change(k)
		}
		return k, err
	}
	b.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
		page, err := keys(ctx, organization, request)
		for i := range page.Items {
			page.Items[i] = change(page.Items[i])
		}
		return page, err
	}
}

// Entries changes the entries of a key's list.
func Entries(key apikey.Key, change func([]accesslist.Entry) []accesslist.Entry) apikey.Key {
	if !key.AccessList.IsEmpty() {
		key.AccessList = fixture.Must(accesslist.New(change(slices.Collect(key.AccessList.All()))...))
	}
	return key
}

// Without hides a key.
func (b *Broken) Without(id apikey.ID) {
	sound := *b
	b.DoLookup = func(ctx context.Context, key apikey.ID) (policy.Subject, bool, error) {
		if key == id {
			return policy.Subject{}, false, nil
		}
		return sound.DoLookup(ctx, key)
	}
	b.DoKey = func(ctx context.Context, key apikey.ID) (apikey.Key, error) {
		if key == id {
			return apikey.Key{}, store.ErrNotFound
		}
		return sound.DoKey(ctx, key)
	}
	b.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
		page, err := sound.DoKeys(ctx, organization, request)
		page.Items = slices.DeleteFunc(page.Items, func(key apikey.Key) bool { return key.ID == id })
		return page, err
	}
}
