package memory

import (
	"context"
	"maps"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// RecordUsage implements [store.UsageRecorder].
func (s *Store) RecordUsage(ctx context.Context, batch []store.UsageRecord) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := adapter.CheckUsageBatch(batch); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, record := range batch {
		if s.records.Key(record.Key) == nil { // U3
			continue
		}
		usage := s.usage[record.Key]
		if usage == nil {
			usage = &store.KeyUsage{}
			s.usage[record.Key] = usage
		}
		adapter.CountUsage(usage, record)
	}
	return nil
}

// Usage implements [store.UsageRecorder].
func (s *Store) Usage(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	if err := adapter.CheckUsageKeys(ids); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make(map[apikey.ID]store.KeyUsage, len(ids))
	for _, id := range ids {
		if usage := s.usage[id]; usage != nil {
			all[id] = store.KeyUsage{Entries: maps.Clone(usage.Entries), Secrets: maps.Clone(usage.Secrets)}
		} else if s.records.Key(id) != nil {
			all[id] = store.KeyUsage{}
		}
	}
	return all, nil
}
