package memory

import (
	"context"
	"maps"
	"net/netip"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

// RecordUsage is as store.UsageRecorder says.
func (s *Store) RecordUsage(ctx context.Context, batch []store.UsageRecord) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := store.CheckUsageBatch(batch); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, record := range batch {
		if key, _ := s.keys.get(string(record.Key)); key == nil {
			continue
		}
		usage, ok := s.usage[record.Key]
		if !ok {
			usage = store.KeyUsage{Entries: map[netip.Prefix]accesslist.Usage{}, Secrets: map[string]accesslist.Usage{}}
			s.usage[record.Key] = usage
		}
		if record.Entry.IsValid() {
			usage.Entries[record.Entry] = add(usage.Entries[record.Entry], record.Usage)
		}
		if record.Secret != "" {
			usage.Secrets[record.Secret] = add(usage.Secrets[record.Secret], record.Usage)
		}
	}
	return nil
}

func add(known, more accesslist.Usage) accesslist.Usage {
	known.Count += more.Count
	if more.Last.After(known.Last) {
		known.Last, known.LastAddress = more.Last, more.LastAddress
	}
	return known
}

// Usage is as store.UsageRecorder says.
func (s *Store) Usage(ctx context.Context, id apikey.ID) (store.KeyUsage, error) {
	if err := s.ready(ctx); err != nil {
		return store.KeyUsage{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if key, _ := s.keys.get(string(id)); key == nil {
		return store.KeyUsage{}, notFound("key", id)
	}
	usage := s.usage[id]
	return store.KeyUsage{Entries: maps.Clone(usage.Entries), Secrets: maps.Clone(usage.Secrets)}, nil
}
