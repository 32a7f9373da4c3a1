package etcd

import (
	"context"
	"fmt"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Lookup implements [policy.Source]. It takes one round trip for an absent key and for one
// that this Store has read or written before, and two for any other.
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
		return policy.Subject{}, false, inconsistent(s.names.key(found.owner, id), "exists without its organization")
	}
	organization, err := decodeOrganization(found.organization, found.owner)
	if err != nil {
		return policy.Subject{}, false, err
	}
	return policy.NewSubject(&key, &organization), true, nil
}

// Key implements [store.Store]. It takes the round trips of Lookup.
func (s *Store) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	if err := s.ready(ctx); err != nil {
		return apikey.Key{}, err
	}
	found, err := s.find(ctx, id)
	if err != nil {
		return apikey.Key{}, err
	}
	if found == nil {
		return apikey.Key{}, adapter.NotFound(adapter.KeyName(id))
	}
	return decodeKey(found.key, found.owner, id)
}

// Organization implements [store.Store].
func (s *Store) Organization(ctx context.Context, id string) (policy.Organization, error) {
	if err := s.ready(ctx); err != nil {
		return policy.Organization{}, err
	}
	stored, err := s.get(ctx, s.names.organization(id))
	if err != nil {
		return policy.Organization{}, err
	}
	if stored[0] == nil {
		return policy.Organization{}, adapter.NotFound(adapter.OrganizationName(id))
	}
	return decodeOrganization(stored[0], id)
}

// Keys implements [store.Store]. A page takes one round trip, and another for each hundred
// keys on it. With a filter it reads the organization's keys until the page is full.
func (s *Store) Keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
	return adapter.FilterKeys(request, func(request store.PageRequest) (store.Page[apikey.Key], error) {
		return s.keys(ctx, organization, request)
	})
}

func (s *Store) keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
	if err := s.ready(ctx); err != nil {
		return store.Page[apikey.Key]{}, err
	}
	page, revision, err := list(ctx, s, s.names.keys(organization), request, func(stored *mvccpb.KeyValue, id string) (apikey.Key, error) {
		return decodeKey(stored, organization, apikey.ID(id))
	})
	if err != nil {
		return store.Page[apikey.Key]{}, err
	}
	if err := s.checkIDs(ctx, page.Items, revision); err != nil {
		return store.Page[apikey.Key]{}, err
	}
	return page, nil
}

// Organizations implements [store.Store].
func (s *Store) Organizations(ctx context.Context, request store.PageRequest) (store.Page[policy.Organization], error) {
	if err := s.ready(ctx); err != nil {
		return store.Page[policy.Organization]{}, err
	}
	page, _, err := list(ctx, s, s.names.organizations(), request, decodeOrganization)
	return page, err
}

// A found key is stored with its organization: a snapshot of both.
type found struct {
	owner             string
	key, organization *mvccpb.KeyValue // organization is nil if it is absent
}

// find returns nil if the key is absent.
func (s *Store) find(ctx context.Context, id apikey.ID) (*found, error) {
	// The name of the key's record depends on its organization, and a transaction cannot
	// read by what it reads. So the organization is guessed, by what was seen last, and
	// read in the same transaction. A right guess gives a snapshot, a wrong one the
	// organization for the next attempt.
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
			return nil, inconsistent(s.names.id(id), fmt.Sprintf("names organization %.80q, which does not have the key", owner))
		}
		s.owners.remember(id, owner)
		return &found{owner, key, organization}, nil
	}
}

// list reads a page of the names with a prefix, and the revision it is of. The rest of
// each name is the identifier.
func list[T any](ctx context.Context, s *Store, prefix string, request store.PageRequest, decode func(stored *mvccpb.KeyValue, id string) (T, error)) (page store.Page[T], revision int64, err error) {
	after, err := adapter.After(request)
	if err != nil {
		return store.Page[T]{}, 0, err
	}
	begin := prefix
	if after != "" {
		begin += after + "\x00" // the next possible name
	}
	response, err := s.scan(ctx, begin, clientv3.GetPrefixRangeEnd(prefix), request.Size(), 0)
	if err != nil {
		return store.Page[T]{}, 0, err
	}
	page.Items = make([]T, 0, len(response.Kvs))
	var last string
	for _, stored := range response.Kvs {
		last = string(stored.Key[len(prefix):])
		item, err := decode(stored, last)
		if err != nil {
			return store.Page[T]{}, 0, err
		}
		page.Items = append(page.Items, item)
	}
	if response.More {
		page.Next = adapter.CursorAfter(last)
	}
	return page, response.Header.Revision, nil
}

// scan reads the first names of a range, at a revision, zero for the latest.
func (s *Store) scan(ctx context.Context, begin, end string, limit int, revision int64) (*pb.RangeResponse, error) {
	response, err := s.transact(ctx, nil, []clientv3.Op{clientv3.OpGet(begin,
		clientv3.WithRange(end), clientv3.WithLimit(int64(limit)), clientv3.WithRev(revision))}, nil)
	if err != nil {
		return nil, err
	}
	scanned := response.Responses[0].GetResponseRange()
	scanned.Header = response.Header // its own has only the revision
	return scanned, nil
}

// checkIDs checks that look-ups find the listed keys: that ids/ names the organization of
// each. A key on a page that is absent for a look-up would look like a deleted one.
func (s *Store) checkIDs(ctx context.Context, keys []apikey.Key, revision int64) error {
	for some := range slices.Chunk(keys, 100) { // a transaction has 128 operations at most
		var names []string
		for _, key := range some {
			names = append(names, s.names.id(key.ID))
		}
		response, err := s.transact(ctx, nil, reads(names, clientv3.WithRev(revision)), nil)
		if err != nil {
			return err
		}
		for i, entry := range valuesOf(response) {
			if key := some[i]; string(entry.GetValue()) != key.Organization {
				return inconsistent(s.names.key(key.Organization, key.ID), fmt.Sprintf("exists while %s is absent, or names another organization", s.names.id(key.ID)))
			}
		}
	}
	return nil
}
