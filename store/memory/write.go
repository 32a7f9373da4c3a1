package memory

import (
	"context"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// PutOrganization implements [store.Store].
func (s *Store) PutOrganization(ctx context.Context, put policy.Organization) (policy.Organization, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return policy.Organization{}, err
	}
	return s.putOrganization(put)
}

// putOrganization puts an organization. The lock is held, here and in the functions like it.
func (s *Store) putOrganization(put policy.Organization) (policy.Organization, error) {
	if err := adapter.CheckPutOrganization(s.records.Organization(put.ID), put); err != nil {
		return policy.Organization{}, err
	}
	put.Revision = s.log.Revision() + 1
	kept := s.records.PutOrganization(put)
	s.wrote(store.Change{Revision: kept.Revision, Organization: kept.ID, OrganizationRecord: kept})
	return *kept, nil
}

// PutKey implements [store.Store].
func (s *Store) PutKey(ctx context.Context, put apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return apikey.Key{}, err
	}
	return s.putKey(put, options...)
}

func (s *Store) putKey(put apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	if err := adapter.CheckPutKey(s.records.Key(put.ID), put, options...); err != nil {
		return apikey.Key{}, err
	}
	if s.records.Organization(put.Organization) == nil {
		return apikey.Key{}, adapter.NoOrganization(put)
	}
	put.Revision = s.log.Revision() + 1
	kept := s.records.PutKey(put)
	s.wrote(store.Change{Revision: kept.Revision, Organization: kept.Organization, Key: kept.ID, KeyRecord: kept})
	return kept.Clone(), nil
}

// DeleteOrganization implements [store.Store].
func (s *Store) DeleteOrganization(ctx context.Context, id string, revision uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return err
	}
	return s.deleteOrganization(id, revision)
}

func (s *Store) deleteOrganization(id string, revision uint64) error {
	var stored uint64
	if organization := s.records.Organization(id); organization != nil {
		stored = organization.Revision
	}
	if err := adapter.CheckDelete(adapter.OrganizationName(id), stored, revision); err != nil {
		return err
	}
	if len(s.records.Keys(id, "", 1)) > 0 {
		return adapter.NotEmpty(id)
	}
	s.records.RemoveOrganization(id)
	s.wrote(store.Change{Revision: s.log.Revision() + 1, Organization: id, Deleted: true})
	return nil
}

// DeleteKey implements [store.Store].
func (s *Store) DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return err
	}
	return s.deleteKey(id, revision)
}

func (s *Store) deleteKey(id apikey.ID, revision uint64) error {
	var stored uint64
	key := s.records.Key(id)
	if key != nil {
		stored = key.Revision
	}
	if err := adapter.CheckDelete(adapter.KeyName(id), stored, revision); err != nil {
		return err
	}
	s.records.RemoveKey(id)
	delete(s.usage, id)
	s.wrote(store.Change{Revision: s.log.Revision() + 1, Organization: key.Organization, Key: id, Deleted: true})
	return nil
}

// wrote logs a write and wakes the watchers.
func (s *Store) wrote(change store.Change) {
	s.log.Add(change)
	s.waker.Wake()
}
