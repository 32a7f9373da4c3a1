package etcd

import (
	"context"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// RecordObservation implements [store.UsageRecorder]. It takes two round trips, and another
// for each time that another recorder reported meanwhile.
func (s *Store) RecordObservation(ctx context.Context, report store.Report) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := adapter.CheckReport(report); err != nil {
		return err
	}
	name := s.names.observation()
	read := reads([]string{name})
	response, err := s.transact(ctx, nil, read, nil)
	if err != nil {
		return err
	}
	for {
		stored := valuesOf(response)[0]
		observation, err := decodeObservation(stored)
		if err != nil {
			return err
		}
		value := adapter.EncodeObservation(observation.Add(report))
		unchanged := []clientv3.Cmp{hasRevision(name, revisionOf(stored))}
		response, err = s.transact(ctx, unchanged, []clientv3.Op{clientv3.OpPut(name, string(value))}, read)
		if err != nil || response.Succeeded {
			return err
		}
	}
}

// Observation implements [store.UsageRecorder].
func (s *Store) Observation(ctx context.Context) (store.Observation, error) {
	if err := s.ready(ctx); err != nil {
		return store.Observation{}, err
	}
	stored, err := s.get(ctx, s.names.observation())
	if err != nil {
		return store.Observation{}, err
	}
	return decodeObservation(stored[0])
}

// decodeObservation reads a value. Nil is the zero observation: nothing was ever observed.
func decodeObservation(stored *mvccpb.KeyValue) (store.Observation, error) {
	if stored == nil {
		return store.Observation{}, nil
	}
	observation, err := adapter.DecodeObservation(stored.Value)
	if err != nil {
		return store.Observation{}, adapter.UnreadableObservation(unreadable(stored, err))
	}
	return observation, nil
}
