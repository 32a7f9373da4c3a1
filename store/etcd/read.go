package etcd

import (
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// Lookup is as policy.Source says. It takes one round trip for a key that is not there
// and for one that this Store has read or written before, and two for another.
func (s *Store) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	if err := s.ready(ctx); err != nil {
		return policy.Subject{}, false, err
	}
	found, err := s.find(ctx, id)
	if err != nil || found == nil {
		return policy.Subject{}, false, err
	}
	key, err := decodeKey(found.key, found.owner, id)
	if err != nil {
		return policy.Subject{}, false, err
	}
	if found.organization == nil {
		return policy.Subject{}, false, inconsistent(s.names.key(found.owner, id), "is there without its organization")
	}
	organization, err := decodeOrganization(found.organization, found.owner)
	if err != nil {
		return policy.Subject{}, false, err
	}
	return policy.NewSubject(&key, &organization), true, nil
}

// Key is as store.Store says. Its round trips are those of Lookup.
func (s *Store) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	if err := s.ready(ctx); err != nil {
		return apikey.Key{}, err
	}
	found, err := s.find(ctx, id)
	if err != nil {
		return apikey.Key{}, err
	}
	if found == nil {
		return apikey.Key{}, notFound("key", id)
	}
	return decodeKey(found.key, found.owner, id)
}

// A found key is what is stored of it and of its organization, as of one moment.
type found struct {
	owner             string
	key, organization *mvccpb.KeyValue // organization is nil if it is not there
}

// find returns nil if there is no such key.
func (s *Store) find(ctx context.Context, id apikey.ID) (*found, error) {
	// Where the key is depends on its organization, and a transaction cannot read what
	// depends on what it reads. So the organization is guessed, from what was seen last,
	// and read in the same transaction: if it was right all is as of one moment, and if
	// not it is known better.
	owner := s.owners.guess(id)
	for {
		stored, err := s.get(ctx, s.names.id(id), s.names.key(owner, id), s.names.organization(owner))
		if err != nil {
			return nil, err
		}
		entry, key, organization := stored[0], stored[1], stored[2]
		switch {
		case entry == nil:
			s.owners.forget(id)
			return nil, nil
		case len(entry.Value) == 0:
			return nil, inconsistent(s.names.id(id), "does not name an organization")
		case string(entry.Value) != owner:
			owner = string(entry.Value)
			continue
		case key == nil:
			return nil, inconsistent(s.names.id(id), fmt.Sprintf("names organization %q, which does not have the key", owner))
		}
		s.owners.remember(id, owner)
		return &found{owner, key, organization}, nil
	}
}

// Organization is as store.Store says.
func (s *Store) Organization(ctx context.Context, id string) (policy.Organization, error) {
	if err := s.ready(ctx); err != nil {
		return policy.Organization{}, err
	}
	stored, err := s.get(ctx, s.names.organization(id))
	if err != nil {
		return policy.Organization{}, err
	}
	if stored[0] == nil {
		return policy.Organization{}, notFound("organization", id)
	}
	return decodeOrganization(stored[0], id)
}

func notFound[ID ~string](kind string, id ID) error {
	return fmt.Errorf("store/etcd: %s %q: %w", kind, id, store.ErrNotFound)
}
