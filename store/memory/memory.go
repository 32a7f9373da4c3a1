package memory

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// A Store is a store.Store in memory; it is also a store.Watcher, a
// store.UsageRecorder and a policy.ImmediateSource. Make one with [New].
type Store struct {
	closed atomic.Bool
	records

	mu       sync.RWMutex // for all below, and for writing what is above
	ordered  index[*organization]
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

// New returns an empty store.
func New() *Store {
	return &Store{
		records: records{keys: newTable()},
		journal: journal{watchers: map[chan struct{}]bool{}},
		usage:   map[apikey.ID]store.KeyUsage{},
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
	return s.lookup(id)
}

// Organization is as store.Store says.
func (s *Store) Organization(ctx context.Context, id string) (policy.Organization, error) {
	if err := s.ready(ctx); err != nil {
		return policy.Organization{}, err
	}
	if o := s.organization(id); o != nil {
		return *o.stored.Load(), nil
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
	o := s.organization(put.ID)
	if o != nil {
		stored = o.stored.Load()
	}
	if err := store.CheckPutOrganization(stored, put); err != nil {
		return policy.Organization{}, err
	}
	put.Revision = s.revision + 1
	if o != nil {
		put.ID = o.id // see newRecord
		o.stored.Store(&put)
	} else {
		o = &organization{id: put.ID}
		o.stored.Store(&put)
		s.organizations.Store(o.id, o)
		s.ordered.put(o)
	}
	s.wrote(store.Change{Organization: put.ID, OrganizationRecord: &put})
	return put, nil
}

// DeleteOrganization is as store.Store says.
func (s *Store) DeleteOrganization(ctx context.Context, id string, revision uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return err
	}
	o := s.organization(id)
	if o == nil {
		return notFound("organization", id)
	}
	if err := store.CheckDelete(fmt.Sprintf("organization %q", id), o.stored.Load().Revision, revision); err != nil {
		return err
	}
	if len(o.keys.chunks) > 0 {
		return fmt.Errorf("store/memory: organization %q: %w", id, store.ErrNotEmpty)
	}
	s.organizations.Delete(id)
	s.ordered.remove(id)
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
	return page(&s.ordered, request, func(o *organization) policy.Organization { return *o.stored.Load() })
}

// Key is as store.Store says.
func (s *Store) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	if err := s.ready(ctx); err != nil {
		return apikey.Key{}, err
	}
	if r, _ := s.keys.get(string(id)); r != nil {
		return r.key.Clone(), nil
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
	if old, _ := s.keys.get(string(put.ID)); old != nil {
		stored = &old.key
	}
	if err := store.CheckPutKey(stored, put, options...); err != nil {
		return apikey.Key{}, err
	}
	owner := s.organization(put.Organization)
	if owner == nil {
		return apikey.Key{}, fmt.Errorf("store/memory: key %q: its organization %q: %w", put.ID, put.Organization, store.ErrNotFound)
	}
	put.Revision = s.revision + 1
	r := newRecord(put, owner)
	s.keys.put(r)
	owner.keys.put(r)
	s.wrote(store.Change{Organization: owner.id, Key: r.key.ID, KeyRecord: &r.key})
	return r.key.Clone(), nil
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
	if err := store.CheckDelete(fmt.Sprintf("key %q", id), r.key.Revision, revision); err != nil {
		return err
	}
	s.keys.remove(string(id))
	r.organization.keys.remove(string(id))
	delete(s.usage, id)
	s.wrote(store.Change{Organization: r.key.Organization, Key: id, Deleted: true})
	return nil
}

// Keys is as store.Store says.
func (s *Store) Keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
	if err := s.ready(ctx); err != nil {
		return store.Page[apikey.Key]{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var keys index[*record]
	if o := s.organization(organization); o != nil {
		keys = o.keys
	}
	return page(&keys, request, func(r *record) apikey.Key { return r.key.Clone() })
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

func page[R identified, T any](records *index[R], request store.PageRequest, read func(R) T) (store.Page[T], error) {
	after, err := request.After()
	if err != nil {
		return store.Page[T]{}, err
	}
	listed, more := records.after(after, request.Size())
	p := store.Page[T]{Items: make([]T, 0, len(listed))}
	for _, r := range listed {
		p.Items = append(p.Items, read(r))
	}
	if more {
		p.Next = store.CursorAfter(listed[len(listed)-1].identifier())
	}
	return p, nil
}

func notFound[ID ~string](kind string, id ID) error {
	return fmt.Errorf("store/memory: %s %q: %w", kind, id, store.ErrNotFound)
}
