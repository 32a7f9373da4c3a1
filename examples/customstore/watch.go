package main

import (
	"context"
	"iter"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Step 5: the change feed, so that package replica can keep a copy of the store. Every
// write adds its change to a log in memory and wakes the watchers (W2). The changes
// before the store was opened are unknown to the log, and it says so (W4).
//
// The directory may have been restored from a backup, which nothing in it shows. So every
// opening begins a history. It has a new name (W9), and revisions that not even a lost write
// was given (S27).

// keptChanges is the number of changes kept for watchers, at least, within
// adapter.MaxLogBytes.
const keptChanges = 10_000

// Position implements [store.Watcher]. No other process writes, so it is that of the
// latest change (W1).
func (s *FileStore) Position(ctx context.Context) (store.Position, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return store.Position{}, err
	}
	return s.log.Position(), nil
}

// Watch implements [store.Watcher]. Package adapter ends the sequence as W5 wants, waits
// for the waker, and puts a mark after each batch of deliver (W6).
func (s *FileStore) Watch(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
	return adapter.Watch(func(deliver adapter.Deliver) error {
		woken, stop := s.waker.Wait()
		defer stop()
		return adapter.Follow(ctx, after, woken, func(after store.Position, deliver adapter.Deliver) (store.Position, error) {
			return s.deliver(ctx, after, deliver)
		}, deliver)
	})
}

// deliver delivers a batch and returns the position of its mark. The lock is not held
// meanwhile, so that a slow watcher holds up nobody (W7).
func (s *FileStore) deliver(ctx context.Context, after store.Position, deliver adapter.Deliver) (mark store.Position, err error) {
	changes, mark, err := s.changes(ctx, after)
	if err != nil {
		return store.Position{}, err
	}
	for _, change := range changes {
		if err := deliver(adapter.Own(change)); err != nil { // W8: the records stay ours
			return store.Position{}, err
		}
	}
	return mark, nil
}

// changes returns the changes after a position, of each record the latest, or every record
// after the zero Position; and the position they lead to. Under the lock both are of one moment (W6).
func (s *FileStore) changes(ctx context.Context, after store.Position) (changes []store.Change, mark store.Position, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return nil, store.Position{}, err
	}
	if after == (store.Position{}) {
		return s.snapshot(), s.log.Position(), nil
	}
	changes, err = s.log.Since(after)
	return adapter.Latest(changes, adapter.NameOf), s.log.Position(), err
}

// snapshot returns every record as a change.
func (s *FileStore) snapshot() (all []store.Change) {
	for id, organization := range s.organizations {
		all = append(all, store.Change{Revision: organization.Revision, Organization: id, OrganizationRecord: &organization})
	}
	for id, key := range s.keys {
		all = append(all, store.Change{Revision: key.Revision, Organization: key.Organization, Key: id, KeyRecord: &key})
	}
	return all
}
