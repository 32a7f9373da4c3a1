package memory

import (
	"context"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// keptUsage is the number of entries and of secrets beyond those of a key whose usage is kept.
const keptUsage = 1000

// RecordUsage implements [store.UsageRecorder].
func (s *Store) RecordUsage(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := adapter.CheckUsageBatch(batch); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, more := range batch {
		key := s.records.Key(id)
		if key == nil { // U3
			continue
		}
		usage := s.usage[id]
		if usage == nil {
			usage = &store.KeyUsage{}
			s.usage[id] = usage
		}
		adapter.AddUsage(usage, more)
		if len(usage.Entries) > key.AccessList.Len()+keptUsage || len(usage.Secrets) > len(key.Secrets)+keptUsage {
			adapter.PruneUsage(usage, *key)
		}
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
			all[id] = adapter.CloneUsage(*usage)
		} else if s.records.Key(id) != nil {
			all[id] = store.KeyUsage{}
		}
	}
	return all, nil
}

// RecordObservation implements [store.UsageRecorder].
func (s *Store) RecordObservation(ctx context.Context, report store.Report) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := adapter.CheckReport(report); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observation = s.observation.Add(report)
	return nil
}

// Observation implements [store.UsageRecorder].
func (s *Store) Observation(ctx context.Context) (store.Observation, error) {
	if err := s.ready(ctx); err != nil {
		return store.Observation{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.observation.Clone(), nil
}
