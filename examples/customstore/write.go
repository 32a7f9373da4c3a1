package main

import (
	"context"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Step 3: writing. Read what is stored, let package adapter decide (S10 to S18), write the
// file, and only then change the map. All of it is under the lock, so that of two Puts with
// one revision the second finds it changed (S13). The file is written by commit, with the
// events of step 7 if there are any.

// PutOrganization implements [store.Store].
func (s *FileStore) PutOrganization(ctx context.Context, organization policy.Organization) (policy.Organization, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return policy.Organization{}, err
	}
	return s.putOrganization(organization, nil)
}

func (s *FileStore) putOrganization(organization policy.Organization, events []store.Event) (policy.Organization, error) {
	if err := adapter.CheckPutOrganization(stored(s.organizations, organization.ID), organization); err != nil {
		return policy.Organization{}, err
	}
	organization.Revision = s.revision + 1
	if err := s.commit(organization.ID, "", events, func() error { return s.writeOrganization(organization) }); err != nil {
		return policy.Organization{}, err
	}
	s.organizations[organization.ID] = organization
	s.wrote(store.Change{Revision: organization.Revision, Organization: organization.ID, OrganizationRecord: &organization})
	return organization, nil
}

// PutKey implements [store.Store].
func (s *FileStore) PutKey(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return apikey.Key{}, err
	}
	return s.putKey(key, options, nil)
}

func (s *FileStore) putKey(key apikey.Key, options []store.PutOption, events []store.Event) (apikey.Key, error) {
	if err := adapter.CheckPutKey(stored(s.keys, key.ID), key, options...); err != nil {
		return apikey.Key{}, err
	}
	if _, found := s.organizations[key.Organization]; !found { // S16
		return apikey.Key{}, adapter.NoOrganization(key)
	}
	if err := s.forgetUsage(key); err != nil { // step 6
		return apikey.Key{}, err
	}
	key = key.Clone()
	key.Revision = s.revision + 1
	if err := s.commit(key.Organization, key.ID, events, func() error { return s.writeKey(key) }); err != nil {
		return apikey.Key{}, err
	}
	s.keys[key.ID] = key
	s.wrote(store.Change{Revision: key.Revision, Organization: key.Organization, Key: key.ID, KeyRecord: &key})
	return key.Clone(), nil
}

// DeleteOrganization implements [store.Store].
func (s *FileStore) DeleteOrganization(ctx context.Context, id string, revision uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	return s.deleteOrganization(id, revision, nil)
}

func (s *FileStore) deleteOrganization(id string, revision uint64, events []store.Event) error {
	if err := adapter.CheckDelete(adapter.OrganizationName(id), s.organizations[id].Revision, revision); err != nil {
		return err
	}
	for _, key := range s.keys {
		if key.Organization == id {
			return adapter.NotEmpty(id) // S19
		}
	}
	if err := s.commit(id, "", events, func() error { return s.remove(organizationsDir, id) }); err != nil {
		return err
	}
	delete(s.organizations, id)
	s.wrote(store.Change{Revision: s.revision, Organization: id, Deleted: true})
	return nil
}

// DeleteKey implements [store.Store].
func (s *FileStore) DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	return s.deleteKey(id, revision, nil)
}

func (s *FileStore) deleteKey(id apikey.ID, revision uint64, events []store.Event) error {
	key := s.keys[id]
	if err := adapter.CheckDelete(adapter.KeyName(id), key.Revision, revision); err != nil {
		return err
	}
	if err := s.commit(key.Organization, id, events, func() error { return s.remove(keysDir, string(id)) }); err != nil {
		return err
	}
	delete(s.keys, id)
	s.wrote(store.Change{Revision: s.revision, Organization: key.Organization, Key: id, Deleted: true})
	return nil
}

func stored[ID ~string, T any](records map[ID]T, id ID) *T {
	if record, found := records[id]; found {
		return &record
	}
	return nil
}
