package storetest

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

var errUnreadable = errors.New("the record cannot be read")

// A damageable store can be damaged, and is sound all the same.
type damageable struct {
	*teststore.Loader
	mu            sync.Mutex
	keys          map[apikey.ID]bool
	usage         map[apikey.ID]bool
	organizations map[string]bool
	observation   bool
	events        map[uint64]bool
}

var damages = Damages{
	Key:          func(_ testing.TB, s store.Store, id apikey.ID) { s.(*damageable).spoil(s.(*damageable).keys, id) },
	AccessList:   func(_ testing.TB, s store.Store, id apikey.ID) { s.(*damageable).spoil(s.(*damageable).keys, id) },
	Newer:        func(_ testing.TB, s store.Store, id apikey.ID) { s.(*damageable).spoil(s.(*damageable).keys, id) },
	Usage:        func(_ testing.TB, s store.Store, id apikey.ID) { s.(*damageable).spoil(s.(*damageable).usage, id) },
	Organization: func(_ testing.TB, s store.Store, id string) { s.(*damageable).organizations[id] = true },
	Observation:  func(_ testing.TB, s store.Store) { s.(*damageable).observation = true },
	Events:       func(_ testing.TB, s store.Store, revision uint64) { s.(*damageable).events[revision] = true },
}

func (d *damageable) spoil(what map[apikey.ID]bool, id apikey.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	what[id] = true
}

func (d *damageable) badKey(id apikey.ID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.keys[id]
}

func (d *damageable) badOrganization(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.organizations[id]
}

func unreadableIf(bad bool) error {
	if bad {
		return errUnreadable
	}
	return nil
}

func newDamageable() *damageable {
	l := teststore.NewLoader()
	sound := l.Sound
	d := &damageable{Loader: l, keys: map[apikey.ID]bool{}, usage: map[apikey.ID]bool{}, organizations: map[string]bool{}, events: map[uint64]bool{}}
	d.DoLookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
		subject, found, err := sound.Lookup(ctx, id)
		if bad := found && (d.badKey(id) || d.badOrganization(subject.Organization().ID)); bad {
			return policy.Subject{}, false, errUnreadable
		}
		return subject, found, err
	}
	d.DoKey = func(ctx context.Context, id apikey.ID) (apikey.Key, error) {
		key, err := sound.Key(ctx, id)
		return key, errors.Join(err, unreadableIf(d.badKey(id)))
	}
	d.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
		page, err := sound.Keys(ctx, organization, request)
		for _, key := range page.Items {
			if d.badKey(key.ID) {
				return page, adapter.Unreadable(adapter.KeyName(key.ID), errUnreadable)
			}
		}
		return page, err
	}
	d.DoOrganization = func(ctx context.Context, id string) (policy.Organization, error) {
		organization, err := sound.Organization(ctx, id)
		return organization, errors.Join(err, unreadableIf(d.badOrganization(id)))
	}
	d.DoOrganizations = func(ctx context.Context, request store.PageRequest) (store.Page[policy.Organization], error) {
		page, err := sound.Organizations(ctx, request)
		for _, o := range page.Items {
			if d.badOrganization(o.ID) {
				return page, adapter.Unreadable(adapter.OrganizationName(o.ID), errUnreadable)
			}
		}
		return page, err
	}
	d.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
		if d.badKey(key.ID) {
			return apikey.Key{}, errUnreadable
		}
		return sound.PutKey(ctx, key, o...)
	}
	d.DoPutOrganization = func(ctx context.Context, o policy.Organization) (policy.Organization, error) {
		if d.badOrganization(o.ID) {
			return policy.Organization{}, errUnreadable
		}
		return sound.PutOrganization(ctx, o)
	}
	d.DoLoad = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
		if slices.ContainsFunc(keys, func(key apikey.Key) bool { return d.badKey(key.ID) }) {
			return errUnreadable
		}
		return sound.Load(ctx, organizations, keys, o...)
	}
	d.OnUsage(func(id apikey.ID, usage store.KeyUsage) (store.KeyUsage, error) {
		if d.usage[id] {
			return usage, adapter.UnreadableUsage(id, errUnreadable)
		}
		return usage, nil
	})
	d.DoRecordUsage = func(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
		for id := range batch {
			if d.usage[id] {
				return errUnreadable
			}
		}
		return sound.RecordUsage(ctx, batch)
	}
	d.DoObservation = func(ctx context.Context) (store.Observation, error) {
		if d.observation {
			return store.Observation{}, adapter.UnreadableObservation(errUnreadable)
		}
		return sound.Observation(ctx)
	}
	d.DoRecordObservation = func(ctx context.Context, report store.Report) error {
		if d.observation {
			return adapter.UnreadableObservation(errUnreadable)
		}
		return sound.RecordObservation(ctx, report)
	}
	d.DoWrite = d.write
	d.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
		page, err := sound.Events(ctx, request)
		bad := slices.ContainsFunc(page.Events, func(e store.Event) bool { return d.events[e.Revision] })
		if bad {
			return store.EventPage{}, errUnreadable
		}
		return page, err
	}
	d.DoWatch = d.feed(func(c store.Change) (store.Change, bool, error) {
		c.KeyRecord, c.OrganizationRecord, c.Err = nil, nil, errUnreadable
		return c, true, nil
	})
	return d
}

// write refuses a Write of what cannot be read, and one with a condition on it.
func (d *damageable) write(ctx context.Context, w store.Write) (uint64, error) {
	organization, key := w.Subject()
	for _, c := range append(slices.Clone(w.If), onRecord(organization, key, 1)) {
		if c.Key != "" && d.badKey(c.Key) || c.Key == "" && d.badOrganization(c.Organization) {
			return 0, errUnreadable
		}
	}
	return d.Sound.Write(ctx, w)
}

// feed is a feed that delivers what cannot be read as f has it, leaves it out if f
// returns false, or ends with f's error.
func (d *damageable) feed(f func(store.Change) (store.Change, bool, error)) func(context.Context, store.Position) iter.Seq2[store.Change, error] {
	return func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
		return func(yield func(store.Change, error) bool) {
			for c, err := range d.Sound.Watch(ctx, after) {
				bad := c.Key != "" && d.badKey(c.Key) || c.Key == "" && d.badOrganization(c.Organization)
				more := true
				if err == nil && bad && !c.Deleted {
					if c, more, err = f(c); err != nil {
						c, more = store.Change{}, true
					}
				}
				if more && !yield(c, err) || err != nil {
					return
				}
			}
		}
	}
}

// damaged makes a store of what change does to one that is sound though damaged.
func damaged(change func(d *damageable)) func() store.Store {
	return func() store.Store {
		d := newDamageable()
		change(d)
		return d
	}
}

func damagedFeed(f func(store.Change) (store.Change, bool, error)) func() store.Store {
	return damaged(func(d *damageable) { d.DoWatch = d.feed(f) })
}

var withDamages = []Option{Damage(damages)}

// Broken in what they make of records that cannot be read: S6, W8 and U8.
var brokenDamages = []brokenStore{
	{name: "reads a list that cannot be read as empty", sentence: "S6", options: withDamages, make: damaged(func(d *damageable) {
		d.DoLookup, d.DoKey, d.DoKeys = d.Sound.Lookup, d.Sound.Key, d.Sound.Keys
		d.OnRead(func(key apikey.Key) apikey.Key {
			if d.badKey(key.ID) {
				key.AccessList = accesslist.List{}
			}
			return key
		})
	})},
	{name: "looks a key up that cannot be read", sentence: "S6", options: withDamages, make: damaged(func(d *damageable) {
		d.DoLookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
			subject, found, err := d.Sound.Lookup(ctx, id)
			if d.badOrganization(subject.Organization().ID) {
				return policy.Subject{}, false, errUnreadable
			}
			return subject, found, err
		}
	})},
	{name: "does not find a key that cannot be read", sentence: "S6", options: withDamages, make: damaged(func(d *damageable) {
		lookup := d.DoLookup
		d.DoLookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
			if d.badKey(id) {
				return policy.Subject{}, false, nil
			}
			return lookup(ctx, id)
		}
	})},
	{name: "returns ErrNotFound for a key that cannot be read", sentence: "S6", options: withDamages, make: damaged(func(d *damageable) {
		key := d.DoKey
		d.DoKey = func(ctx context.Context, id apikey.ID) (apikey.Key, error) {
			if d.badKey(id) {
				return apikey.Key{}, store.ErrNotFound
			}
			return key(ctx, id)
		}
	})},
	{name: "leaves a key that cannot be read out of a listing", sentence: "S6", options: withDamages, make: damaged(func(d *damageable) {
		d.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
			page, err := d.Sound.Keys(ctx, organization, request)
			page.Items = slices.DeleteFunc(page.Items, func(key apikey.Key) bool { return d.badKey(key.ID) })
			return page, err
		}
	})},
	{name: "does not say which key of a listing cannot be read", sentence: "S6", options: withDamages, make: damaged(func(d *damageable) {
		keys := d.DoKeys
		d.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
			page, err := keys(ctx, organization, request)
			if err != nil {
				err = errUnreadable
			}
			return page, err
		}
	})},
	{name: "does not say which organization of a listing cannot be read", sentence: "S6", options: withDamages, make: damaged(func(d *damageable) {
		list := d.DoOrganizations
		d.DoOrganizations = func(ctx context.Context, request store.PageRequest) (store.Page[policy.Organization], error) {
			page, err := list(ctx, request)
			if err != nil {
				err = errUnreadable
			}
			return page, err
		}
	})},
	{name: "leaves an organization that cannot be read out of a listing", sentence: "S6", options: withDamages, make: damaged(func(d *damageable) {
		d.DoOrganizations = func(ctx context.Context, request store.PageRequest) (store.Page[policy.Organization], error) {
			page, err := d.Sound.Organizations(ctx, request)
			page.Items = slices.DeleteFunc(page.Items, func(o policy.Organization) bool { return d.badOrganization(o.ID) })
			return page, err
		}
	})},
	{name: "reads an organization that cannot be read as one that requires nothing", sentence: "S6", options: withDamages, make: damaged(func(d *damageable) {
		d.DoOrganization = func(ctx context.Context, id string) (policy.Organization, error) {
			organization, err := d.Sound.Organization(ctx, id)
			if d.badOrganization(id) {
				organization.Requirement = policy.NotRequired
			}
			return organization, err
		}
	})},
	{name: "looks a key up whose organization cannot be read", sentence: "S6", options: withDamages, make: damaged(func(d *damageable) {
		d.DoLookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
			subject, found, err := d.Sound.Lookup(ctx, id)
			if found && d.badOrganization(subject.Organization().ID) {
				key := subject.Key()
				return policy.NewSubject(&key, &policy.Organization{ID: key.Organization}), true, nil
			}
			if d.badKey(id) {
				return policy.Subject{}, false, errUnreadable
			}
			return subject, found, err
		}
	})},
	{name: "does not find a key whose organization cannot be read", sentence: "S6", options: withDamages, make: damaged(func(d *damageable) {
		lookup := d.DoLookup
		d.DoLookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
			subject, found, err := lookup(ctx, id)
			if errors.Is(err, errUnreadable) && !d.badKey(id) {
				return policy.Subject{}, false, nil
			}
			return subject, found, err
		}
	})},
	{name: "replaces a key that cannot be read", sentence: "S6", options: withDamages, make: damaged(replacesUnreadable)},
	{name: "creates a key where one cannot be read", sentence: "S6", options: withDamages, make: damaged(func(d *damageable) {
		put := d.DoPutKey
		d.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			if d.badKey(key.ID) && key.Revision == 0 {
				d.mu.Lock()
				delete(d.keys, key.ID)
				d.mu.Unlock()
				_ = d.Sound.DeleteKey(ctx, key.ID, 0)
			}
			return put(ctx, key, o...)
		}
	})},
	{name: "has no key to replace where one cannot be read", sentence: "S6", options: withDamages, make: damaged(func(d *damageable) {
		put := d.DoPutKey
		d.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			if d.badKey(key.ID) && key.Revision > 0 {
				return apikey.Key{}, store.ErrNotFound
			}
			return put(ctx, key, o...)
		}
	})},
	{name: "loads a key where one cannot be read", sentence: "S6", options: withDamages, make: damaged(func(d *damageable) {
		load := d.DoLoad
		d.DoLoad = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
			for _, key := range keys {
				if d.badKey(key.ID) {
					_ = d.Sound.DeleteKey(ctx, key.ID, 0)
					return d.Sound.Load(ctx, organizations, keys, o...)
				}
			}
			return load(ctx, organizations, keys, o...)
		}
	})},
	{name: "says that it deleted a key that cannot be read", sentence: "S6", options: withDamages, make: damaged(func(d *damageable) {
		d.DoDeleteKey = func(ctx context.Context, id apikey.ID, revision uint64) error {
			if d.badKey(id) {
				return nil
			}
			return d.Sound.DeleteKey(ctx, id, revision)
		}
	})},
	{name: "replaces an organization that cannot be read", sentence: "S6", options: withDamages, make: damaged(func(d *damageable) {
		d.DoPutOrganization = func(ctx context.Context, o policy.Organization) (policy.Organization, error) {
			stored, err := d.Sound.PutOrganization(ctx, o)
			if err == nil {
				d.mu.Lock()
				defer d.mu.Unlock()
				delete(d.organizations, o.ID)
			}
			return stored, err
		}
	})},
	{name: "deletes an organization that cannot be read with its keys", sentence: "S6", options: withDamages, make: damaged(func(d *damageable) {
		d.DoDeleteOrganization = func(ctx context.Context, id string, revision uint64) error {
			if d.badOrganization(id) {
				for key := range store.AllKeys(ctx, d.Sound, id) {
					_ = d.Sound.DeleteKey(ctx, key.ID, 0)
				}
			}
			return d.Sound.DeleteOrganization(ctx, id, revision)
		}
	})},

	{name: "ends at a record that cannot be read", sentence: "W8", options: withDamages, make: damagedFeed(func(c store.Change) (store.Change, bool, error) {
		return c, true, errUnreadable
	})},
	{name: "delivers what cannot be read as if it had no list", sentence: "W8", options: withDamages, make: damagedFeed(func(c store.Change) (store.Change, bool, error) {
		if c.KeyRecord != nil {
			c.KeyRecord.AccessList = accesslist.List{}
		}
		return c, true, nil
	})},
	{name: "delivers what cannot be read as deleted", sentence: "W8", options: withDamages, make: damagedFeed(func(c store.Change) (store.Change, bool, error) {
		return store.Change{Revision: c.Revision, Organization: c.Organization, Key: c.Key, Deleted: true}, true, nil
	})},
	{name: "does not deliver an organization that cannot be read", sentence: "W8", options: withDamages, make: damaged(func(d *damageable) {
		d.DoWatch = d.feed(func(c store.Change) (store.Change, bool, error) {
			c.KeyRecord, c.OrganizationRecord, c.Err = nil, nil, errUnreadable
			return c, c.Key != "", nil
		})
	})},
	{name: "does not deliver a key that cannot be read", sentence: "W8", options: withDamages, make: damaged(func(d *damageable) {
		d.DoWatch = d.feed(func(c store.Change) (store.Change, bool, error) {
			c.KeyRecord, c.OrganizationRecord, c.Err = nil, nil, errUnreadable
			return c, c.Key == "", nil
		})
	})},

	{name: "has no usage where it cannot be read", sentence: "U8", options: withDamages, make: damaged(func(d *damageable) {
		d.DoUsage = d.Sound.Usage
		d.OnUsage(func(id apikey.ID, usage store.KeyUsage) (store.KeyUsage, error) {
			if d.usage[id] {
				return store.KeyUsage{}, nil
			}
			return usage, nil
		})
	})},
	{name: "leaves out the keys whose usage cannot be read", sentence: "U8", options: withDamages, make: damaged(func(d *damageable) {
		d.DoUsage = func(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
			all, err := d.Sound.Usage(ctx, ids...)
			maps.DeleteFunc(all, func(id apikey.ID, _ store.KeyUsage) bool { return d.usage[id] })
			return all, err
		}
	})},
	{name: "does not say whose usage cannot be read", sentence: "U8", options: withDamages, make: damaged(func(d *damageable) {
		d.DoUsage = d.Sound.Usage
		d.OnUsage(func(id apikey.ID, usage store.KeyUsage) (store.KeyUsage, error) {
			return usage, unreadableIf(d.usage[id])
		})
	})},
	{name: "begins to count anew where it cannot be read", sentence: "U8", options: withDamages, make: damaged(func(d *damageable) {
		counted := map[apikey.ID]store.KeyUsage{}
		d.DoRecordUsage = func(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
			for id, usage := range batch {
				if d.usage[id] {
					counted[id] = usage
				}
			}
			return d.Sound.RecordUsage(ctx, batch)
		}
		d.DoUsage = d.Sound.Usage
		d.OnUsage(func(id apikey.ID, usage store.KeyUsage) (store.KeyUsage, error) {
			if anew, ok := counted[id]; ok {
				return anew, nil
			}
			if d.usage[id] {
				return usage, adapter.UnreadableUsage(id, errUnreadable)
			}
			return usage, nil
		})
	})},
	{name: "begins to observe anew where it cannot be read", sentence: "U15", options: withDamages, make: damaged(func(d *damageable) {
		var anew store.Observation
		d.DoRecordObservation = func(ctx context.Context, report store.Report) error {
			if !d.observation {
				return d.Sound.RecordObservation(ctx, report)
			}
			anew = anew.Add(report)
			return nil
		}
		d.DoObservation = func(ctx context.Context) (store.Observation, error) {
			if d.observation {
				return anew, nil
			}
			return d.Sound.Observation(ctx)
		}
	})},
}

// replacesUnreadable has a Put replace a key that cannot be read.
func replacesUnreadable(d *damageable) {
	d.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
		stored, err := d.Sound.PutKey(ctx, key, o...)
		if err == nil {
			d.mu.Lock()
			defer d.mu.Unlock()
			delete(d.keys, key.ID)
		}
		return stored, err
	}
}
