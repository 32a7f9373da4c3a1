package main

import (
	"context"
	"slices"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Step 2: reading. One lock for both maps makes the key and its organization a snapshot
// (S8). Package adapter has the errors.

// Lookup implements [policy.Source]. Absence is found == false, never an error (S4).
func (s *FileStore) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return policy.Subject{}, false, err
	}
	key, found := s.keys[id]
	if !found {
		return policy.Subject{}, false, nil
	}
	organization := s.organizations[key.Organization]
	// NewSubject wants records that nobody writes to. These are copies, and the slices in
	// the key never change: PutKey stores a clone in their place.
	return policy.NewSubject(&key, &organization), true, nil
}

// Key implements [store.Store]. It returns a clone, since callers may change it (S7).
func (s *FileStore) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return apikey.Key{}, err
	}
	key, found := s.keys[id]
	if !found {
		return apikey.Key{}, adapter.NotFound(adapter.KeyName(id))
	}
	return key.Clone(), nil
}

// Organization implements [store.Store].
func (s *FileStore) Organization(ctx context.Context, id string) (policy.Organization, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return policy.Organization{}, err
	}
	organization, found := s.organizations[id]
	if !found {
		return policy.Organization{}, adapter.NotFound(adapter.OrganizationName(id))
	}
	return organization, nil
}

// Pages. A cursor names the last identifier of the page before, not a number of records:
// numbers shift when records come and go (S21).

// Keys implements [store.Store].
func (s *FileStore) Keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return store.Page[apikey.Key]{}, err
	}
	page, err := adapter.FilterKeys(request, func(request store.PageRequest) (store.Page[apikey.Key], error) {
		return page(s.keys, request, func(key apikey.Key) bool { return key.Organization == organization })
	})
	for i := range page.Items {
		page.Items[i] = page.Items[i].Clone() // S7
	}
	return page, err
}

// Organizations implements [store.Store].
func (s *FileStore) Organizations(ctx context.Context, request store.PageRequest) (store.Page[policy.Organization], error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return store.Page[policy.Organization]{}, err
	}
	return page(s.organizations, request, func(policy.Organization) bool { return true })
}

// page sorts everything for every page. A database has an index; for some thousands of
// keys this is enough.
func page[ID ~string, T any](records map[ID]T, request store.PageRequest, listed func(T) bool) (store.Page[T], error) {
	after, err := adapter.After(request)
	if err != nil {
		return store.Page[T]{}, err
	}
	var ids []ID
	for id, record := range records {
		if string(id) > after && listed(record) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	found := adapter.NewPage(request, ids, func(id ID) string { return string(id) })
	page := store.Page[T]{Next: found.Next}
	for _, id := range found.Items {
		page.Items = append(page.Items, records[id])
	}
	return page, nil
}
