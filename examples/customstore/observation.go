package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Still step 6: since when usage is observed. Recorders report it, and the sum of their
// reports is one small document. [store.Observation.Add] does the adding up.

const observationFile = "observation.json"

// RecordObservation implements [store.UsageRecorder].
func (s *FileStore) RecordObservation(ctx context.Context, report store.Report) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	if err := adapter.CheckReport(report); err != nil { // U14
		return err
	}
	observation := s.observation.Add(report) // U13
	if err := s.write(observationFile, adapter.EncodeObservation(observation)); err != nil {
		return err
	}
	s.observation = observation
	return nil
}

// Observation implements [store.UsageRecorder].
func (s *FileStore) Observation(ctx context.Context) (store.Observation, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return store.Observation{}, err
	}
	observation := s.observation
	observation.Reports, observation.Gaps = slices.Clone(observation.Reports), slices.Clone(observation.Gaps) // U15
	return observation, nil
}

func (s *FileStore) loadObservation() error {
	path := filepath.Join(s.dir, observationFile)
	document, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		s.observation, err = adapter.DecodeObservation(document)
	}
	if err != nil {
		return fmt.Errorf("customstore: %s: %w", path, err)
	}
	return nil
}
