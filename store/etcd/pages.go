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
)

// Organizations is as store.Store says.
func (s *Store) Organizations(ctx context.Context, request store.PageRequest) (store.Page[policy.Organization], error) {
	if err := s.ready(ctx); err != nil {
		return store.Page[policy.Organization]{}, err
	}
	page, _, err := list(ctx, s, s.names.organizations(), request, decodeOrganization)
	return page, err
}

// Keys is as store.Store says. A page takes a round trip, and another for each hundred
// keys on it.
func (s *Store) Keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
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

// list reads the page of what has a prefix in its name, and the revision that it is of.
// The rest of each name is the identifier.
func list[T any](ctx context.Context, s *Store, prefix string, request store.PageRequest, decode func(stored *mvccpb.KeyValue, id string) (T, error)) (page store.Page[T], revision int64, err error) {
	after, err := request.After()
	if err != nil {
		return store.Page[T]{}, 0, err
	}
	begin := prefix
	if after != "" {
		begin += after + "\x00" // the least that is greater
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
		page.Next = store.CursorAfter(last)
	}
	return page, response.Header.Revision, nil
}

// scan reads some of a range, in order, as of a revision, the latest if it is zero.
func (s *Store) scan(ctx context.Context, begin, end string, limit int, revision int64) (*pb.RangeResponse, error) {
	response, err := s.transact(ctx, nil, []clientv3.Op{clientv3.OpGet(begin,
		clientv3.WithRange(end), clientv3.WithLimit(int64(limit)), clientv3.WithRev(revision))}, nil)
	if err != nil {
		return nil, err
	}
	scanned := response.Responses[0].GetResponseRange()
	scanned.Header = response.Header // its own has no more than the revision
	return scanned, nil
}

// checkIDs checks that look-ups find the keys that are listed, where the ids of all name
// their organization: a key that is on a page and not there for a look-up could be told
// by nobody from one that was deleted.
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
				return inconsistent(s.names.key(key.Organization, key.ID), fmt.Sprintf("is there while %s is not, or names another organization", s.names.id(key.ID)))
			}
		}
	}
	return nil
}
