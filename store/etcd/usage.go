package etcd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
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

// Usage implements [store.UsageRecorder].
func (s *Store) Usage(ctx context.Context, id apikey.ID) (store.KeyUsage, error) {
	if err := s.ready(ctx); err != nil {
		return store.KeyUsage{}, err
	}
	stored, err := s.get(ctx, s.names.id(id), s.names.usage(id))
	switch {
	case err != nil:
		return store.KeyUsage{}, err
	case stored[0] == nil:
		return store.KeyUsage{}, adapter.NotFound(adapter.KeyName(id))
	case stored[1] == nil:
		return store.KeyUsage{}, inconsistent(s.names.usage(id), "is not there, although its key is")
	}
	usage, err := decodeUsage(stored[1])
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
	usage := &storedUsage{Entries: map[netip.Prefix]storedCount{}, Secrets: map[string]storedCount{}}
	decoder := json.NewDecoder(bytes.NewReader(stored.Value))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&usage); err != nil {
		return storedUsage{}, unreadable(stored, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return storedUsage{}, unreadable(stored, errors.New("there is something after it"))
	}
	if usage == nil || usage.Entries == nil || usage.Secrets == nil {
		return storedUsage{}, unreadable(stored, errors.New("it has null in it"))
	}
	return *usage, nil
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

func (c *storedCount) UnmarshalJSON(data []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	if len(parts) != 3 {
		return fmt.Errorf("a count with %d parts: want the count, and the time and the address of the latest call", len(parts))
	}
	var last int64
	err := errors.Join(json.Unmarshal(parts[0], &c.Count), json.Unmarshal(parts[1], &last), json.Unmarshal(parts[2], &c.LastAddress))
	c.Last = time.UnixMicro(last).UTC()
	return err
}
