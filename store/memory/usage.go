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
func (s *Store) Usage(ctx context.Context, id apikey.ID) (store.KeyUsage, error) {
	if err := s.ready(ctx); err != nil {
		return store.KeyUsage{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.records.Key(id) == nil {
		return store.KeyUsage{}, adapter.NotFound(adapter.KeyName(id))
	}
	usage := s.usage[id]
	if usage == nil {
		return store.KeyUsage{}, nil
	}
	return store.KeyUsage{Entries: maps.Clone(usage.Entries), Secrets: maps.Clone(usage.Secrets)}, nil
}
