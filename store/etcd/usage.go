package etcd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// RecordUsage implements [store.UsageRecorder]. It takes two round trips, and another for
// each time that another process counted calls of one of the keys meanwhile.
func (s *Store) RecordUsage(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := adapter.CheckUsageBatch(batch); err != nil {
		return err
	}
	ids := slices.Sorted(maps.Keys(batch))
	var names []string
	for _, id := range ids {
		names = append(names, s.names.usage(id))
	}
	response, err := s.transact(ctx, nil, reads(names), nil)
	for err == nil {
		var comparisons []clientv3.Cmp
		var then []clientv3.Op
		for i, stored := range valuesOf(response) {
			if stored == nil { // the key is absent (U3)
				continue
			}
			value, err := s.added(ctx, ids[i], stored, batch[ids[i]])
			if err != nil {
				return err
			}
			comparisons = append(comparisons, hasRevision(names[i], revisionOf(stored)))
			then = append(then, clientv3.OpPut(names[i], string(value)))
		}
		if len(then) == 0 {
			return nil
		}
		// If one of them has changed, all are read again. Another batch was taken then, so
		// this ends.
		if response, err = s.transact(ctx, comparisons, then, reads(names)); err == nil && response.Succeeded {
			return nil
		}
	}
	if errors.Is(err, errTooLarge) {
		return fmt.Errorf("store/etcd: %w: the usage of %d keys in one transaction: record fewer keys at a time: %w", store.ErrInvalid, len(ids), err)
	}
	return err
}

// added returns the stored usage of a key with more.
func (s *Store) added(ctx context.Context, id apikey.ID, stored *mvccpb.KeyValue, more store.KeyUsage) ([]byte, error) {
	document, err := adapter.AddToDocument(id, stored.Value, more, func() (*apikey.Key, error) {
		key, err := s.Key(ctx, id)
		if err != nil {
			return nil, nil
		}
		return &key, nil
	})
	if err != nil {
		return nil, fmt.Errorf("store/etcd: %.400q of revision %d: %w", stored.Key, stored.ModRevision, err)
	}
	return document, nil
}

// usageKeys is the number of keys whose usage is read in one transaction, with two reads for
// each: by default a cluster takes 128 operations.
const usageKeys = 60

// Usage implements [store.UsageRecorder]. It takes one round trip for every 60 keys.
func (s *Store) Usage(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	if err := adapter.CheckUsageKeys(ids); err != nil {
		return nil, err
	}
	all := make(map[apikey.ID]store.KeyUsage, len(ids))
	for part := range slices.Chunk(ids, usageKeys) {
		var names []string
		for _, id := range part {
			names = append(names, s.names.id(id), s.names.usage(id))
		}
		stored, err := s.get(ctx, names...)
		if err != nil {
			return nil, err
		}
		for i, id := range part {
			key, usage := stored[2*i], stored[2*i+1]
			if key == nil {
				continue
			}
			if all[id], err = s.usageOf(id, usage); err != nil {
				return nil, adapter.UnreadableUsage(id, err)
			}
		}
	}
	return all, nil
}

// noUsage is the stored form of a key that was not used.
const noUsage = "{}"

// usageOf returns the stored usage of an existing key.
func (s *Store) usageOf(id apikey.ID, stored *mvccpb.KeyValue) (store.KeyUsage, error) {
	if stored == nil {
		return store.KeyUsage{}, inconsistent(s.names.usage(id), "is not there, although its key is")
	}
	usage, err := adapter.DecodeUsage(stored.Value)
	if err != nil {
		return store.KeyUsage{}, unreadable(stored, err)
	}
	return usage, nil
}
