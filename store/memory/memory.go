package memory

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"unique"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// A Store is a store.Store in memory; it is also a store.Watcher, a
// store.UsageRecorder and a policy.ImmediateSource. Make one with [New].
type Store struct {
	keys          *table[keyRecord]
	organizations *table[*organization]
	closed        atomic.Bool

	mu       sync.RWMutex // for all below, and for writing the tables
	ids      index        // of the organizations
	revision uint64
	journal  journal
	usage    map[apikey.ID]store.KeyUsage
}

var (
	_ store.Store            = (*Store)(nil)
	_ store.Watcher          = (*Store)(nil)
	_ store.UsageRecorder    = (*Store)(nil)
	_ policy.ImmediateSource = (*Store)(nil)
)

type keyRecord struct {
	key          apikey.Key
	organization *organization
}

// An organization is where the record of one is found, for its keys to point to.
type organization struct {
	stored atomic.Pointer[policy.Organization]
	keys   index
}

// New returns an empty store.
func New() *Store {
	return &Store{
		keys:          newTable[keyRecord](),
		organizations: newTable[*organization](),
		journal:       journal{watchers: map[chan struct{}]bool{}},
		usage:         map[apikey.ID]store.KeyUsage{},
	}
}

// ready returns why no call can be served: S2 and S23.
func (s *Store) ready(ctx context.Context) error {
	if s.closed.Load() {
		return fmt.Errorf("store/memory: %w", store.ErrClosed)
	}
	return ctx.Err()
}

// Lookup is as policy.Source says.
func (s *Store) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	if err := s.ready(ctx); err != nil {
		return policy.Subject{}, false, err
	}
	return s.LookupNow(id)
}

// LookupNow is as policy.ImmediateSource says. It takes no lock and allocates
// nothing.
func (s *Store) LookupNow(id apikey.ID) (policy.Subject, bool, error) {
	if s.closed.Load() {
		return policy.Subject{}, false, fmt.Errorf("store/memory: %w", store.ErrClosed)
	}
	for {
		key, at := s.keys.get(string(id))
		if key == nil {
			return policy.Subject{}, false, nil
		}
		organization := key.value.organization.stored.Load()
		if s.keys.holds(key, at) {
			return policy.NewSubject(&key.value.key, organization), true, nil
		}
	}
}

// Organization is as store.Store says.
func (s *Store) Organization(ctx context.Context, id string) (policy.Organization, error) {
	if err := s.ready(ctx); err != nil {
		return policy.Organization{}, err
	}
	if r, _ := s.organizations.get(id); r != nil {
		return *r.value.stored.Load(), nil
	}
	return policy.Organization{}, notFound("organization", id)
}

// PutOrganization is as store.Store says.
func (s *Store) PutOrganization(ctx context.Context, put policy.Organization) (policy.Organization, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return policy.Organization{}, err
	}
	var stored *policy.Organization
	r, _ := s.organizations.get(put.ID)
	if r != nil {
		stored = r.value.stored.Load()
	}
	if err := store.CheckPutOrganization(stored, put); err != nil {
		return policy.Organization{}, err
	}
	put.Revision = s.revision + 1
	if r != nil {
		put.ID = r.id // see PutKey
		r.value.stored.Store(&put)
	} else {
		o := &organization{}
		o.stored.Store(&put)
		s.organizations.put(put.ID, o)
		s.ids.insert(put.ID)
	}
	s.wrote(store.Change{Organization: put.ID})
	return put, nil
}

// DeleteOrganization is as store.Store says.
func (s *Store) DeleteOrganization(ctx context.Context, id string, revision uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return err
	}
	r, _ := s.organizations.get(id)
	if r == nil {
		return notFound("organization", id)
	}
	if err := store.CheckDelete(fmt.Sprintf("organization %q", id), r.value.stored.Load().Revision, revision); err != nil {
		return err
	}
	if len(r.value.keys.chunks) > 0 {
		return fmt.Errorf("store/memory: organization %q: %w", id, store.ErrNotEmpty)
	}
	s.organizations.remove(id)
	s.ids.remove(id)
	s.wrote(store.Change{Organization: id, Deleted: true})
	return nil
}

// Organizations is as store.Store says.
func (s *Store) Organizations(ctx context.Context, request store.PageRequest) (store.Page[policy.Organization], error) {
	if err := s.ready(ctx); err != nil {
		return store.Page[policy.Organization]{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return page(&s.ids, request, func(id string) policy.Organization {
		r, _ := s.organizations.get(id)
		return *r.value.stored.Load()
	})
}

// Key is as store.Store says.
func (s *Store) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	if err := s.ready(ctx); err != nil {
		return apikey.Key{}, err
	}
	if r, _ := s.keys.get(string(id)); r != nil {
		return r.value.key.Clone(), nil
	}
	return apikey.Key{}, notFound("key", id)
}

// PutKey is as store.Store says.
func (s *Store) PutKey(ctx context.Context, put apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return apikey.Key{}, err
	}
	var stored *apikey.Key
	r, _ := s.keys.get(string(put.ID))
	if r != nil {
		stored = &r.value.key
	}
	if err := store.CheckPutKey(stored, put, options...); err != nil {
		return apikey.Key{}, err
	}
	owner, _ := s.organizations.get(put.Organization)
	if owner == nil {
		return apikey.Key{}, fmt.Errorf("store/memory: key %q: its organization %q: %w", put.ID, put.Organization, store.ErrNotFound)
	}
	put = put.Clone()
	put.Revision = s.revision + 1
	// Names that many keys have are kept once, so that comparing them finds the same
	// memory and reads none of it.
	put.Organization = owner.id
	for i := range put.Grants {
		put.Grants[i].Role = unique.Make(put.Grants[i].Role).Value()
	}
	s.keys.put(string(put.ID), keyRecord{put, owner.value})
	if stored == nil {
		owner.value.keys.insert(string(put.ID))
	}
	s.wrote(store.Change{Organization: put.Organization, Key: put.ID})
	return put.Clone(), nil
}

// DeleteKey is as store.Store says.
func (s *Store) DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return err
	}
	r, _ := s.keys.get(string(id))
	if r == nil {
		return notFound("key", id)
	}
	if err := store.CheckDelete(fmt.Sprintf("key %q", id), r.value.key.Revision, revision); err != nil {
		return err
	}
	s.keys.remove(string(id))
	r.value.organization.keys.remove(string(id))
	delete(s.usage, id)
	s.wrote(store.Change{Organization: r.value.key.Organization, Key: id, Deleted: true})
	return nil
}

// Keys is as store.Store says.
func (s *Store) Keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
	if err := s.ready(ctx); err != nil {
		return store.Page[apikey.Key]{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var ids index
	if r, _ := s.organizations.get(organization); r != nil {
		ids = r.value.keys
	}
	return page(&ids, request, func(id string) apikey.Key {
		r, _ := s.keys.get(id)
		return r.value.key.Clone()
	})
}

// Close is as store.Store says. It ends what is being watched.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed.Store(true)
	s.journal.wake()
	return nil
}

// wrote gives a write its revision and tells those who watch.
func (s *Store) wrote(change store.Change) {
	s.revision++
	change.Revision = s.revision
	s.journal.add(change)
}

func page[T any](ids *index, request store.PageRequest, read func(id string) T) (store.Page[T], error) {
	after, err := request.After()
	if err != nil {
		return store.Page[T]{}, err
	}
	listed, more := ids.after(after, request.Size())
	p := store.Page[T]{Items: make([]T, 0, len(listed))}
	for _, id := range listed {
		p.Items = append(p.Items, read(id))
	}
	if more {
		p.Next = store.CursorAfter(listed[len(listed)-1])
	}
	return p, nil
}

func notFound[ID ~string](kind string, id ID) error {
	return fmt.Errorf("store/memory: %s %q: %w", kind, id, store.ErrNotFound)
}
