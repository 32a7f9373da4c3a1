package storetest

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

// A migratable store is sound, and does what a newer version allows.
type migratable struct {
	*teststore.Loader
	noReads, noWrites atomic.Bool
}

var migrations = []Option{Migrate(func(_ testing.TB, s store.Store, mayRead, mayWrite bool) {
	m := s.(*migratable)
	m.noReads.Store(!mayRead)
	m.noWrites.Store(!mayWrite)
})}

func (m *migratable) read() error {
	if m.noReads.Load() {
		return fmt.Errorf("read: %w", store.ErrNewer)
	}
	return nil
}

func (m *migratable) written() error {
	if m.noWrites.Load() {
		return fmt.Errorf("write: %w", store.ErrNewer)
	}
	return nil
}

func newMigratable() *migratable {
	l := teststore.NewLoader()
	m, sound := &migratable{Loader: l}, l.Sound
	m.DoLookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
		if err := m.read(); err != nil {
			return policy.Subject{}, false, err
		}
		return sound.Lookup(ctx, id)
	}
	m.DoKey = func(ctx context.Context, id apikey.ID) (apikey.Key, error) {
		if err := m.read(); err != nil {
			return apikey.Key{}, err
		}
		return sound.Key(ctx, id)
	}
	m.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
		if err := m.read(); err != nil {
			return store.Page[apikey.Key]{}, err
		}
		return sound.Keys(ctx, organization, request)
	}
	m.DoOrganization = func(ctx context.Context, id string) (policy.Organization, error) {
		if err := m.read(); err != nil {
			return policy.Organization{}, err
		}
		return sound.Organization(ctx, id)
	}
	m.DoOrganizations = func(ctx context.Context, request store.PageRequest) (store.Page[policy.Organization], error) {
		if err := m.read(); err != nil {
			return store.Page[policy.Organization]{}, err
		}
		return sound.Organizations(ctx, request)
	}
	m.DoPosition = func(ctx context.Context) (store.Position, error) {
		if err := m.read(); err != nil {
			return store.Position{}, err
		}
		return sound.Position(ctx)
	}
	m.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
		if err := m.read(); err != nil {
			return func(yield func(store.Change, error) bool) { yield(store.Change{}, err) }
		}
		return sound.Watch(ctx, after)
	}
	m.DoUsage = func(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
		if err := m.read(); err != nil {
			return nil, err
		}
		return sound.Usage(ctx, ids...)
	}
	m.DoObservation = func(ctx context.Context) (store.Observation, error) {
		if err := m.read(); err != nil {
			return store.Observation{}, err
		}
		return sound.Observation(ctx)
	}
	m.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
		if err := m.read(); err != nil {
			return store.EventPage{}, err
		}
		return sound.Events(ctx, request)
	}
	m.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
		if err := m.written(); err != nil {
			return apikey.Key{}, err
		}
		return sound.PutKey(ctx, key, o...)
	}
	m.DoPutOrganization = func(ctx context.Context, o policy.Organization) (policy.Organization, error) {
		if err := m.written(); err != nil {
			return policy.Organization{}, err
		}
		return sound.PutOrganization(ctx, o)
	}
	m.DoDeleteKey = func(ctx context.Context, id apikey.ID, revision uint64) error {
		if err := m.written(); err != nil {
			return err
		}
		return sound.DeleteKey(ctx, id, revision)
	}
	m.DoLoad = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
		if err := m.written(); err != nil {
			return err
		}
		return sound.Load(ctx, organizations, keys, o...)
	}
	m.DoRecordUsage = func(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
		if err := m.written(); err != nil {
			return err
		}
		return sound.RecordUsage(ctx, batch)
	}
	m.DoRecordObservation = func(ctx context.Context, report store.Report) error {
		if err := m.written(); err != nil {
			return err
		}
		return sound.RecordObservation(ctx, report)
	}
	m.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
		if err := m.written(); err != nil {
			return 0, err
		}
		return sound.Write(ctx, w)
	}
	return m
}

// migrated makes a store of what change does to one that is sound.
func migrated(change func(m *migratable)) func() store.Store {
	return func() store.Store {
		m := newMigratable()
		change(m)
		return m
	}
}

// known returns metadata without what only a later version knows.
func known(m *apikey.Metadata) *apikey.Metadata {
	if m == nil {
		return nil
	}
	return &apikey.Metadata{Labels: m.Labels, ExternalID: m.ExternalID}
}

const metadataComesBack, metadataIsDelivered = "S30/metadata of a later version comes back", "S30/metadata of a later version is loaded and delivered"

// Broken in what they make of a later version: S30 to S32 and E7.
var brokenVersions = []brokenStore{
	{name: "keeps the metadata it knows", sentence: "S30", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			key.Metadata = known(key.Metadata)
			return sound.PutKey(ctx, key, o...)
		}
	})},
	{name: "loses unknown metadata when it replaces a key", sentence: "S30", only: metadataComesBack, make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			if key.Revision > 0 && key.Description == "changed" {
				key.Metadata = known(key.Metadata)
			}
			return sound.PutKey(ctx, key, o...)
		}
	})},
	{name: "keeps what it knows of an organization", sentence: "S30", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPutOrganization = func(ctx context.Context, o policy.Organization) (policy.Organization, error) {
			return sound.PutOrganization(ctx, policy.Organization{ID: o.ID, Name: o.Name, Requirement: o.Requirement, Revision: o.Revision})
		}
	})},
	{name: "lists the metadata it knows", sentence: "S30", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoKeys = func(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
			page, err := sound.Keys(ctx, organization, request)
			for i := range page.Items {
				page.Items[i].Metadata = known(page.Items[i].Metadata)
			}
			return page, err
		}
	})},
	{name: "loads the metadata it knows", sentence: "S30", only: metadataIsDelivered, make: func() store.Store {
		l := teststore.NewLoader()
		l.DoLoad = func(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, o ...putOption) error {
			keys = slices.Clone(keys)
			for i := range keys {
				keys[i].Metadata = known(keys[i].Metadata)
			}
			return l.Sound.Load(ctx, organizations, keys, o...)
		}
		return l
	}},
	{name: "delivers the metadata it knows", sentence: "S30", only: metadataIsDelivered, make: feed(func(c store.Change) (store.Change, bool) {
		if c.KeyRecord != nil {
			key := c.KeyRecord.Clone()
			key.Metadata = known(key.Metadata)
			c.KeyRecord = &key
		}
		return c, true
	})},
	{name: "delivers what it knows of an organization", sentence: "S30", only: metadataIsDelivered, make: feed(func(c store.Change) (store.Change, bool) {
		if o := c.OrganizationRecord; o != nil {
			c.OrganizationRecord = &policy.Organization{ID: o.ID, Name: o.Name, Requirement: o.Requirement, Revision: o.Revision}
		}
		return c, true
	})},
	{name: "pays no attention to a name it does not know", sentence: "S30", options: withDamages, make: damaged(func(d *damageable) {
		d.DoLookup, d.DoKey, d.DoKeys, d.DoPutKey = d.Sound.Lookup, d.Sound.Key, d.Sound.Keys, d.Sound.PutKey
	})},
	{name: "overwrites what it cannot read", sentence: "S30", only: "S30/a key with an unknown name is not replaced", options: withDamages, make: damaged(replacesUnreadable)},

	{name: "refuses every call", sentence: "S31", options: migrations, make: migrated(func(m *migratable) {
		m.DoLookup = func(context.Context, apikey.ID) (policy.Subject, bool, error) {
			return policy.Subject{}, false, store.ErrNewer
		}
	})},
	{name: "refuses writes that are allowed", sentence: "S31", only: "S31/reads and writes go on as far as a newer version allows", options: migrations, make: migrated(func(m *migratable) {
		write := m.DoRecordUsage
		migrate := 0
		m.DoRecordUsage = func(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
			if migrate++; migrate > 1 { // the first is before
				return store.ErrNewer
			}
			return write(ctx, batch)
		}
	})},
	{name: "ends its watches where it may not write", sentence: "S31", only: "S31/reads go on where a newer version forbids writes", options: migrations, make: migrated(func(m *migratable) {
		watch := m.DoWatch
		m.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			if err := m.written(); err != nil {
				return func(yield func(store.Change, error) bool) { yield(store.Change{}, err) }
			}
			return watch(ctx, after)
		}
	})},

	{name: "writes where it may not", sentence: "S32", options: migrations, make: migrated(func(m *migratable) { m.DoPutKey = m.Sound.PutKey })},
	{name: "deletes where it may not", sentence: "S32", options: migrations, make: migrated(func(m *migratable) { m.DoDeleteKey = m.Sound.DeleteKey })},
	{name: "counts where it may not", sentence: "S32", options: migrations, make: migrated(func(m *migratable) { m.DoRecordUsage = m.Sound.RecordUsage })},
	{name: "observes where it may not", sentence: "S32", options: migrations, make: migrated(func(m *migratable) { m.DoRecordObservation = m.Sound.RecordObservation })},
	{name: "loads where it may not", sentence: "S32", options: migrations, make: migrated(func(m *migratable) { m.DoLoad = m.Sound.Load })},
	{name: "makes Writes where it may not", sentence: "S32", options: migrations, make: migrated(func(m *migratable) { m.DoWrite = m.Sound.Write })},
	{name: "writes and returns ErrNewer", sentence: "S32", only: "S32/a forbidden write returns ErrNewer and changes nothing", options: migrations, make: migrated(func(m *migratable) {
		m.DoPutOrganization = func(ctx context.Context, o policy.Organization) (policy.Organization, error) {
			stored, err := m.Sound.PutOrganization(ctx, o)
			if refused := m.written(); refused != nil {
				return policy.Organization{}, refused
			}
			return stored, err
		}
	})},
	{name: "does not say that a newer version forbids a write", sentence: "S32", only: "S32/a forbidden write returns ErrNewer and changes nothing", options: migrations, make: migrated(func(m *migratable) {
		put := m.DoPutKey
		m.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			stored, err := put(ctx, key, o...)
			if err != nil {
				err = fmt.Errorf("refused: %v", err)
			}
			return stored, err
		}
	})},
	{name: "reads where it may not", sentence: "S32", options: migrations, make: migrated(func(m *migratable) { m.DoLookup = m.Sound.Lookup })},
	{name: "reads an organization where it may not", sentence: "S32", options: migrations, make: migrated(func(m *migratable) { m.DoOrganization = m.Sound.Organization })},
	{name: "lists where it may not", sentence: "S32", options: migrations, make: migrated(func(m *migratable) { m.DoKeys = m.Sound.Keys })},
	{name: "lists organizations where it may not", sentence: "S32", options: migrations, make: migrated(func(m *migratable) { m.DoOrganizations = m.Sound.Organizations })},
	{name: "has usage where it may not read", sentence: "S32", options: migrations, make: migrated(func(m *migratable) { m.DoUsage = m.Sound.Usage })},
	{name: "has an observation where it may not read", sentence: "S32", options: migrations, make: migrated(func(m *migratable) { m.DoObservation = m.Sound.Observation })},
	{name: "has events where it may not read", sentence: "S32", options: migrations, make: migrated(func(m *migratable) { m.DoEvents = m.Sound.Events })},
	{name: "has a position where it may not read", sentence: "S32", options: migrations, make: migrated(func(m *migratable) { m.DoPosition = m.Sound.Position })},
	{name: "watches where it may not read", sentence: "S32", options: migrations, make: migrated(func(m *migratable) { m.DoWatch = m.Sound.Watch })},
	{name: "finds nothing where it may not read", sentence: "S32", options: migrations, make: migrated(func(m *migratable) {
		lookup := m.DoLookup
		m.DoLookup = func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
			if m.read() != nil {
				return policy.Subject{}, false, nil
			}
			return lookup(ctx, id)
		}
	})},
	{name: "returns ErrNotFound where it may not read", sentence: "S32", options: migrations, make: migrated(func(m *migratable) {
		key := m.DoKey
		m.DoKey = func(ctx context.Context, id apikey.ID) (apikey.Key, error) {
			if m.read() != nil {
				return apikey.Key{}, store.ErrNotFound
			}
			return key(ctx, id)
		}
	})},

	{name: "keeps of events what it knows", sentence: "E7", only: "E7/members of a later version come back", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
			page, err := sound.Events(ctx, request)
			for i, e := range page.Events {
				page.Events[i] = store.Event{Revision: e.Revision, Index: e.Index, Time: e.Time, Type: e.Type, Organization: e.Organization, Key: e.Key, Project: e.Project,
					Actor: e.Actor, Address: e.Address, Origin: e.Origin, Via: e.Via, Correlation: e.Correlation, Reason: e.Reason, Accepted: e.Accepted, Entry: e.Entry, Before: e.Before, After: e.After}
			}
			return page, err
		}
	})},
}
