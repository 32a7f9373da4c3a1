package memory

import (
	"context"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Lookup implements [policy.Source].
func (s *Store) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	if err := s.ready(ctx); err != nil {
		return policy.Subject{}, false, err
	}
	return s.records.LookupNow(id)
}

// LookupNow implements [policy.ImmediateSource]. It takes no lock and allocates nothing.
func (s *Store) LookupNow(id apikey.ID) (policy.Subject, bool, error) {
	return s.records.LookupNow(id)
}

// Key implements [store.Store].
func (s *Store) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	if err := s.ready(ctx); err != nil {
		return apikey.Key{}, err
	}
	if key := s.records.Key(id); key != nil {
		return key.Clone(), nil
	}
	return apikey.Key{}, adapter.NotFound(adapter.KeyName(id))
}

// Organization implements [store.Store].
func (s *Store) Organization(ctx context.Context, id string) (policy.Organization, error) {
	if err := s.ready(ctx); err != nil {
		return policy.Organization{}, err
	}
	if organization := s.records.Organization(id); organization != nil {
		return *organization, nil
	}
	return policy.Organization{}, adapter.NotFound(adapter.OrganizationName(id))
}

// Keys implements [store.Store]. With a filter it looks at each key of the organization.
func (s *Store) Keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
	page, err := adapter.FilterKeys(request, func(request store.PageRequest) (store.Page[apikey.Key], error) {
		return s.shared(ctx, organization, request)
	})
	for i := range page.Items {
		page.Items[i] = page.Items[i].Clone() // S7
	}
	return page, err
}

// shared returns a page of keys that share memory with the store's.
func (s *Store) shared(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
	if err := s.ready(ctx); err != nil {
		return store.Page[apikey.Key]{}, err
	}
	after, err := adapter.After(request)
	if err != nil {
		return store.Page[apikey.Key]{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	page := adapter.NewPage(request, s.records.Keys(organization, after, request.Size()+1), func(key *apikey.Key) string { return string(key.ID) })
	return copied(page, func(key *apikey.Key) apikey.Key { return *key }), nil
}

// Organizations implements [store.Store].
func (s *Store) Organizations(ctx context.Context, request store.PageRequest) (store.Page[policy.Organization], error) {
	if err := s.ready(ctx); err != nil {
		return store.Page[policy.Organization]{}, err
	}
	after, err := adapter.After(request)
	if err != nil {
		return store.Page[policy.Organization]{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	page := adapter.NewPage(request, s.records.Organizations(after, request.Size()+1), func(o *policy.Organization) string { return o.ID })
	return copied(page, func(o *policy.Organization) policy.Organization { return *o }), nil
}

// copied returns the page with copies of its records (S7).
func copied[T any](page store.Page[*T], clone func(*T) T) store.Page[T] {
	items := make([]T, 0, len(page.Items))
	for _, item := range page.Items {
		items = append(items, clone(item))
	}
	return store.Page[T]{Items: items, Next: page.Next}
}
