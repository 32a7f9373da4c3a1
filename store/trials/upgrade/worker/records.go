package main

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/trials/upgrade/orders"
)

// read answers with a key, or an organization where the order names no key.
func (w *worker) read(ctx context.Context, o orders.Order, a *orders.Answer) error {
	if o.Key == "" {
		organization, err := w.organization(ctx, o)
		a.Records = append(a.Records, organizationRecord(organization))
		return err
	}
	key, err := w.key(ctx, o)
	a.Records = append(a.Records, keyRecord(key))
	return err
}

// key reads the key of an order, or returns it as it was last read.
func (w *worker) key(ctx context.Context, o orders.Order) (apikey.Key, error) {
	if key, ok := w.memory.Load(o.Key); o.Remembered && ok {
		return key.(apikey.Key), nil
	}
	key, err := w.store.Key(ctx, apikey.ID(o.Key))
	if err == nil {
		w.memory.Store(o.Key, key)
	}
	return key, err
}

// organization is key for an organization.
func (w *worker) organization(ctx context.Context, o orders.Order) (policy.Organization, error) {
	if organization, ok := w.memory.Load("organization " + o.Organization); o.Remembered && ok {
		return organization.(policy.Organization), nil
	}
	organization, err := w.store.Organization(ctx, o.Organization)
	if err == nil {
		w.memory.Store("organization "+o.Organization, organization)
	}
	return organization, err
}

// list answers with everything in the store, by the listings.
func (w *worker) list(ctx context.Context, _ orders.Order, a *orders.Answer) error {
	for organization, err := range store.AllOrganizations(ctx, w.store) {
		if err != nil {
			return err
		}
		a.Records = append(a.Records, organizationRecord(organization))
		for key, err := range store.AllKeys(ctx, w.store, organization.ID) {
			if err != nil {
				return err
			}
			a.Records = append(a.Records, keyRecord(key))
		}
	}
	return nil
}

func organizationRecord(o policy.Organization) orders.Record {
	return orders.Record{Organization: o.ID, Revision: o.Revision, Description: o.Name, Disabled: o.Disabled, Requirement: o.Requirement.String()}
}

func keyRecord(k apikey.Key) orders.Record {
	record := orders.Record{Organization: k.Organization, Key: string(k.ID), Revision: k.Revision, Description: k.Description, Disabled: k.Disabled, Labels: k.Labels()}
	for entry := range k.AccessList.All() {
		record.Entries = append(record.Entries, entry.String())
	}
	for _, secret := range k.Secrets {
		record.Secrets = append(record.Secrets, secret.ID())
	}
	return record
}

// put replaces a record at the revision of the order, or creates an organization at
// revision zero. Whatever the order does not say stays as it is stored.
func (w *worker) put(ctx context.Context, o orders.Order, a *orders.Answer) error {
	if o.Key == "" {
		organization := policy.Organization{ID: o.Organization}
		if o.Revision != 0 {
			stored, err := w.organization(ctx, o)
			if err != nil {
				return err
			}
			organization = stored
		}
		organization.Revision, organization.Name, organization.Disabled = o.Revision, o.Description, o.Disabled
		if err := organization.Requirement.UnmarshalText([]byte(o.Requirement)); err != nil {
			return err
		}
		organization, err := w.store.PutOrganization(ctx, organization)
		a.Revision = organization.Revision
		return err
	}
	key, err := w.key(ctx, o)
	if err != nil {
		return err
	}
	key.Revision, key.Description, key.Disabled = o.Revision, o.Description, o.Disabled
	if key.AccessList, err = listOf(o.Entries); err != nil {
		return err
	}
	key, err = w.store.PutKey(ctx, key)
	a.Revision = key.Revision
	return err
}

func listOf(texts []string) (accesslist.List, error) {
	entries, err := entriesOf(texts)
	if err != nil {
		return accesslist.List{}, err
	}
	return accesslist.New(entries...)
}

func entriesOf(texts []string) (entries []accesslist.Entry, err error) {
	for _, text := range texts {
		entry, err := accesslist.ParseEntry(text)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

func (w *worker) delete(ctx context.Context, o orders.Order, _ *orders.Answer) error {
	if o.Key == "" {
		return w.store.DeleteOrganization(ctx, o.Organization, o.Revision)
	}
	return w.store.DeleteKey(ctx, apikey.ID(o.Key), o.Revision)
}

// load creates many keys of an organization at once, named after the order's key. Stores
// that are no Loader put them one by one.
func (w *worker) load(ctx context.Context, o orders.Order, a *orders.Answer) error {
	var keys []apikey.Key
	for n := range o.Count {
		key, _, err := w.issuer.New(o.Organization)
		if err != nil {
			return err
		}
		key.ID, key.Created = apikey.ID(fmt.Sprintf("%s-%d", o.Key, n)), time.Now()
		if key.AccessList, err = listOf(o.Entries); err != nil {
			return err
		}
		keys = append(keys, key)
	}
	a.Count = uint64(len(keys))
	if loader, ok := store.As[store.Loader](w.store); ok {
		return loader.Load(ctx, nil, keys)
	}
	for _, key := range keys {
		if _, err := w.store.PutKey(ctx, key); err != nil {
			return err
		}
	}
	return nil
}
