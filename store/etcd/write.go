package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Every write is one transaction. It compares its preconditions, and if they do not hold it
// reads them in the same snapshot. The values say why the write is refused, and nothing
// need be retried. Earlier reads only spare the cluster a write that it would refuse.

// PutOrganization implements [store.Store].
func (s *Store) PutOrganization(ctx context.Context, put policy.Organization) (policy.Organization, error) {
	if err := s.ready(ctx); err != nil {
		return policy.Organization{}, err
	}
	return s.putOrganization(ctx, put, nil)
}

func (s *Store) putOrganization(ctx context.Context, put policy.Organization, beside *beside) (policy.Organization, error) {
	if err := put.Validate(); err != nil {
		return policy.Organization{}, fmt.Errorf("store/etcd: %w: %w", store.ErrInvalid, err)
	}
	value, err := encodeOrganization(put)
	if err != nil {
		return policy.Organization{}, err
	}
	name := s.names.organization(put.ID)
	response, err := s.write(ctx, beside,
		[]clientv3.Cmp{hasRevision(name, put.Revision)},
		[]clientv3.Op{clientv3.OpPut(name, value)},
		[]clientv3.Op{clientv3.OpGet(name, clientv3.WithKeysOnly())})
	if err != nil {
		return policy.Organization{}, err
	}
	if !response.Succeeded {
		var stored *policy.Organization
		if found := valuesOf(response)[0]; found != nil {
			stored = &policy.Organization{ID: put.ID, Revision: revisionOf(found)}
		}
		return policy.Organization{}, adapter.CheckPutOrganization(stored, put)
	}
	put.Revision = uint64(response.Header.Revision)
	return put, nil
}

// PutKey implements [store.Store]. It takes one round trip. A key without entries, or with
// more than store.MaxEntries, and without the option for it, is read before.
func (s *Store) PutKey(ctx context.Context, put apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	if err := s.ready(ctx); err != nil {
		return apikey.Key{}, err
	}
	return s.putKey(ctx, put, options, nil)
}

func (s *Store) putKey(ctx context.Context, put apikey.Key, options []store.PutOption, beside *beside) (apikey.Key, error) {
	if err := put.Validate(); err != nil {
		return apikey.Key{}, fmt.Errorf("store/etcd: %w: %w", store.ErrInvalid, err)
	}
	value, err := encodeKey(put)
	if err != nil {
		return apikey.Key{}, err
	}
	opens := put.AccessList.IsEmpty() && !slices.Contains(options, store.AllowOpen)
	many := put.Entries() > store.MaxEntries && !slices.Contains(options, store.AllowManyEntries)
	if opens || many {
		// A comparison cannot tell whether this opens the key (S18) or lengthens its list
		// (S28). The one below checks that the record is unchanged since this read.
		var stored *apikey.Key
		switch read, err := s.Key(ctx, put.ID); {
		case err == nil:
			stored = &read
		case !errors.Is(err, store.ErrNotFound):
			return apikey.Key{}, err
		}
		if err := adapter.CheckPutKey(stored, put, options...); err != nil {
			return apikey.Key{}, err
		}
	}
	id, key, organization := s.names.id(put.ID), s.names.key(put.Organization, put.ID), s.names.organization(put.Organization)
	comparisons := []clientv3.Cmp{isThere(organization), hasRevision(key, put.Revision)}
	then := []clientv3.Op{clientv3.OpPut(key, value)}
	if put.Revision == 0 {
		comparisons = append(comparisons, hasRevision(id, 0))
		then = append(then, clientv3.OpPut(id, put.Organization), clientv3.OpPut(s.names.usage(put.ID), noUsage))
	} else {
		comparisons = append(comparisons, clientv3.Compare(clientv3.Value(id), "=", put.Organization))
	}
	response, err := s.write(ctx, beside, comparisons, then,
		[]clientv3.Op{clientv3.OpGet(id), clientv3.OpGet(key), clientv3.OpGet(organization, clientv3.WithKeysOnly())})
	if errors.Is(err, errTooLarge) {
		return apikey.Key{}, fmt.Errorf("store/etcd: %w: key %q, with %d entries, has %d bytes: take some off, or their comments: %w", store.ErrInvalid, put.ID, put.AccessList.Len(), len(value), err)
	}
	if err != nil {
		return apikey.Key{}, err
	}
	if !response.Succeeded {
		return apikey.Key{}, s.refusal(response, put, options)
	}
	s.owners.remember(put.ID, put.Organization)
	put = put.Clone()
	put.Revision = uint64(response.Header.Revision)
	return put, nil
}

// refusal returns why a key cannot be put, by the values read when it was refused.
func (s *Store) refusal(response *clientv3.TxnResponse, put apikey.Key, options []store.PutOption) error {
	values := valuesOf(response)
	entry, key, organization := values[0], values[1], values[2]
	if entry != nil && string(entry.Value) != put.Organization {
		// Its revision was not read and does not matter: no Put can succeed (S10, S17).
		stored := apikey.Key{ID: put.ID, Organization: string(entry.Value), Revision: max(put.Revision, 1)}
		return adapter.CheckPutKey(&stored, put, options...)
	}
	if (entry == nil) != (key == nil) {
		return inconsistent(s.names.key(put.Organization, put.ID), fmt.Sprintf("or %s is there without the other", s.names.id(put.ID)))
	}
	var stored *apikey.Key
	if key != nil {
		read, err := decodeKey(key, put.Organization, put.ID)
		if err != nil {
			return err
		}
		stored = &read
	}
	if err := adapter.CheckPutKey(stored, put, options...); err != nil {
		return err
	}
	if organization == nil {
		return adapter.NoOrganization(put)
	}
	return fmt.Errorf("store/etcd: key %q was refused, with nothing to speak against it", put.ID)
}

// DeleteOrganization implements [store.Store]. It takes two round trips.
func (s *Store) DeleteOrganization(ctx context.Context, id string, revision uint64) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	_, err := s.deleteOrganization(ctx, id, revision, nil)
	return err
}

// deleteOrganization returns the revision of the deletion.
func (s *Store) deleteOrganization(ctx context.Context, id string, revision uint64, beside *beside) (uint64, error) {
	name, keys := s.names.organization(id), s.names.keys(id)
	organization := clientv3.OpGet(name, clientv3.WithKeysOnly())
	// To compare that there is no key, every member reads all keys with their values, and
	// takes no other write meanwhile. So the first key is asked for before.
	response, err := s.transact(ctx, nil, []clientv3.Op{organization,
		clientv3.OpGet(keys, clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithKeysOnly())}, nil)
	if err != nil {
		return 0, err
	}
	stored := valuesOf(response)
	if err := checkDelete(adapter.OrganizationName(id), stored[0], revision); err != nil {
		return 0, err
	}
	if stored[1] != nil {
		return 0, adapter.NotEmpty(id)
	}
	isGiven := isThere(name)
	if revision != 0 {
		isGiven = hasRevision(name, revision)
	}
	response, err = s.write(ctx, beside,
		// This covers a key being created: PutKey compares that its organization exists,
		// and of two transactions one comes first.
		[]clientv3.Cmp{isGiven, clientv3.Compare(clientv3.CreateRevision(keys).WithPrefix(), "=", 0)},
		[]clientv3.Op{clientv3.OpDelete(name)},
		[]clientv3.Op{organization})
	if err != nil {
		return 0, err
	}
	if response.Succeeded {
		return uint64(response.Header.Revision), nil
	}
	if err := checkDelete(adapter.OrganizationName(id), valuesOf(response)[0], revision); err != nil {
		return 0, err
	}
	return 0, adapter.NotEmpty(id)
}

// checkDelete decides S14 by the stored value, nil if it is absent.
func checkDelete(name adapter.Name, stored *mvccpb.KeyValue, revision uint64) error {
	return adapter.CheckDelete(name, revisionOf(stored), revision)
}

// DeleteKey implements [store.Store]. It takes one round trip for a key that this Store
// has read or written before, and two for any other. A key whose value cannot be read can
// be deleted. One that is not where ids/ says cannot, and the error says what to do.
func (s *Store) DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	for owner := s.owners.guess(id); ; {
		_, actual, err := s.deleteKey(ctx, owner, id, revision, nil)
		if err != nil || actual == owner {
			return err
		}
		owner = actual
	}
}

// deleteKey deletes a key of an organization and returns the revision of the deletion. If
// the key is of another organization, it is not deleted, and that is returned as actual.
func (s *Store) deleteKey(ctx context.Context, owner string, id apikey.ID, revision uint64, beside *beside) (at uint64, actual string, err error) {
	entry, key := s.names.id(id), s.names.key(owner, id)
	// The key must exist whatever its revision. Deleting the entry alone would leave a
	// record elsewhere in force for watchers, by a write that no watch delivers.
	isGiven := isThere(key)
	if revision != 0 {
		isGiven = hasRevision(key, revision)
	}
	response, err := s.write(ctx, beside,
		[]clientv3.Cmp{clientv3.Compare(clientv3.Value(entry), "=", owner), clientv3.Compare(clientv3.Value(entry), "!=", ""), isGiven},
		[]clientv3.Op{clientv3.OpDelete(key), clientv3.OpDelete(entry), clientv3.OpDelete(s.names.usage(id))},
		[]clientv3.Op{clientv3.OpGet(entry), clientv3.OpGet(key, clientv3.WithKeysOnly())})
	if err != nil {
		return 0, "", err
	}
	s.owners.forget(id)
	if response.Succeeded {
		return uint64(response.Header.Revision), owner, nil
	}
	values := valuesOf(response)
	switch {
	case values[0] == nil:
		return 0, "", adapter.NotFound(adapter.KeyName(id))
	case len(values[0].Value) == 0:
		return 0, "", s.astray(id, "does not name an organization")
	case string(values[0].Value) != owner:
		return 0, string(values[0].Value), nil
	case values[1] == nil:
		return 0, "", s.astray(id, fmt.Sprintf("names organization %.80q, which does not have the key", owner))
	}
	return 0, "", checkDelete(adapter.KeyName(id), values[1], revision)
}

// astray returns the error of a key that cannot be deleted because its place is unknown.
// The repair deletes the record by this package, so that watchers receive it.
func (s *Store) astray(id apikey.ID, problem string) error {
	entry, keys := s.names.id(id), s.names.prefix+"keys/"
	return fmt.Errorf("%w: if etcdctl get --prefix --keys-only %s shows a name that ends in /%s, put its organization into %s with etcdctl put and delete the key again; otherwise remove %s and %s with etcdctl del",
		inconsistent(entry, problem), keys, id, entry, entry, s.names.usage(id))
}

// hasRevision compares the revision; that of an absent name is zero.
func hasRevision(name string, revision uint64) clientv3.Cmp {
	return clientv3.Compare(clientv3.ModRevision(name), "=", int64(revision))
}

func isThere(name string) clientv3.Cmp {
	return clientv3.Compare(clientv3.CreateRevision(name), ">", 0)
}
