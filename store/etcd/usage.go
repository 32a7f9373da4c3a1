package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/strictjson"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// RecordUsage implements [store.UsageRecorder]. It takes two round trips, and another for
// each time that another process counted calls of one of the keys meanwhile.
func (s *Store) RecordUsage(ctx context.Context, batch []store.UsageRecord) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := adapter.CheckUsageBatch(batch); err != nil {
		return err
	}
	records := map[apikey.ID][]store.UsageRecord{}
	for _, record := range batch {
		records[record.Key] = append(records[record.Key], record)
	}
	ids := slices.Sorted(maps.Keys(records))
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
			usage, err := decodeUsage(stored)
			if err != nil {
				return err
			}
			if len(stored.Value) > largeUsage {
				s.prune(ctx, ids[i], usage)
			}
			usage.add(records[ids[i]])
			value, err := usage.encode()
			if err != nil {
				return err
			}
			comparisons = append(comparisons, hasRevision(names[i], revisionOf(stored)))
			then = append(then, clientv3.OpPut(names[i], value))
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

// usageOf returns the stored usage of an existing key.
func (s *Store) usageOf(id apikey.ID, stored *mvccpb.KeyValue) (store.KeyUsage, error) {
	if stored == nil {
		return store.KeyUsage{}, inconsistent(s.names.usage(id), "is not there, although its key is")
	}
	usage, err := decodeUsage(stored)
	if err != nil {
		return store.KeyUsage{}, err
	}
	all := store.KeyUsage{Entries: map[netip.Prefix]accesslist.Usage{}, Secrets: map[string]accesslist.Usage{}}
	for entry, used := range usage.Entries {
		all.Entries[entry] = accesslist.Usage(used)
	}
	for secret, used := range usage.Secrets {
		all.Secrets[secret] = accesslist.Usage(used)
	}
	return all, nil
}

// largeUsage is a size in bytes. Larger usage of a key is pruned, so that it does not grow
// forever.
const largeUsage = 64 << 10

// prune removes usage of what the key no longer has (U5). If the key cannot be read all
// stays.
func (s *Store) prune(ctx context.Context, id apikey.ID, usage storedUsage) {
	key, err := s.Key(ctx, id)
	if err != nil {
		return
	}
	maps.DeleteFunc(usage.Entries, func(entry netip.Prefix, _ storedCount) bool {
		_, has := key.AccessList.Find(entry)
		return !has
	})
	maps.DeleteFunc(usage.Secrets, func(id string, _ storedCount) bool {
		return !slices.ContainsFunc(key.Secrets, func(secret apikey.StoredSecret) bool { return secret.ID() == id })
	})
}

// storedUsage is the stored form of a store.KeyUsage.
type storedUsage struct {
	Entries map[netip.Prefix]storedCount `json:"entries,omitempty"`
	Secrets map[string]storedCount       `json:"secrets,omitempty"`
}

// noUsage is the stored form of a key that was not used.
const noUsage = "{}"

func decodeUsage(stored *mvccpb.KeyValue) (storedUsage, error) {
	usage := storedUsage{Entries: map[netip.Prefix]storedCount{}, Secrets: map[string]storedCount{}}
	v, err := strictjson.Parse(stored.Value)
	if err == nil {
		err = v.Object(
			strictjson.Field{Name: "entries", Read: strictjson.Map(&usage.Entries, func(name string, v strictjson.Value) (entry netip.Prefix, c storedCount, err error) {
				if err = entry.UnmarshalText([]byte(name)); err == nil {
					c, err = decodeCount(v)
				}
				return entry, c, err
			})},
			strictjson.Field{Name: "secrets", Read: strictjson.Map(&usage.Secrets, func(name string, v strictjson.Value) (string, storedCount, error) {
				c, err := decodeCount(v)
				return name, c, err
			})},
		)
	}
	if err != nil {
		return storedUsage{}, unreadable(stored, err)
	}
	return usage, nil
}

func (u storedUsage) encode() (string, error) {
	value, err := json.Marshal(u)
	if err != nil {
		return "", fmt.Errorf("store/etcd: %w", err)
	}
	return string(value), nil
}

func (u storedUsage) add(records []store.UsageRecord) {
	for _, record := range records {
		if record.Entry.IsValid() {
			u.Entries[record.Entry] = u.Entries[record.Entry].plus(record.Usage)
		}
		if record.Secret != "" {
			u.Secrets[record.Secret] = u.Secrets[record.Secret].plus(record.Usage)
		}
	}
}

// A storedCount is, in JSON, a list: the count, the time of the latest call in microseconds
// since 1970, and its address. It is short so that the usage of a hundred keys with two
// hundred entries each fits into one request.
type storedCount accesslist.Usage

func (c storedCount) plus(more accesslist.Usage) storedCount {
	return storedCount(adapter.AddUsage(accesslist.Usage(c), more))
}

func (c storedCount) MarshalJSON() ([]byte, error) {
	return json.Marshal([]any{c.Count, c.Last.UnixMicro(), c.LastAddress})
}

func decodeCount(v strictjson.Value) (c storedCount, err error) {
	parts, err := v.Items()
	if err != nil {
		return c, err
	}
	if len(parts) != 3 {
		return c, fmt.Errorf("a count with %d parts: want the count, and the time and the address of the latest call", len(parts))
	}
	var last int64
	err = errors.Join(strictjson.Uint(&c.Count)(parts[0]), strictjson.Int(&last)(parts[1]), strictjson.Unmarshal(&c.LastAddress)(parts[2]))
	c.Last = time.UnixMicro(last).UTC()
	return c, err
}
