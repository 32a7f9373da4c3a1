package memory

import (
	"context"
	"iter"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Position implements [store.Watcher]. Each Store has a history of its own, with a random
// name.
func (s *Store) Position(ctx context.Context) (store.Position, error) {
	if err := s.ready(ctx); err != nil {
		return store.Position{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.log.Position(), nil
}

// Watch implements [store.Watcher]. It delivers every change, each with a mark. The store
// knows its latest 16,384 changes at least, or as many as have records of some 64 MiB; a
// watcher that lags further gets store.ErrCompacted.
func (s *Store) Watch(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
	return adapter.Watch(func(deliver adapter.Deliver) error {
		woken, stop := s.waker.Wait()
		defer stop()
		return adapter.Follow(ctx, after, woken, func(after store.Position, deliver adapter.Deliver) (store.Position, error) {
			return s.deliver(ctx, after, deliver)
		}, deliver)
	})
}

// deliver delivers what was written after a position, everything after the zero Position.
func (s *Store) deliver(ctx context.Context, after store.Position, deliver adapter.Deliver) (mark store.Position, err error) {
	changes, mark, err := s.changes(ctx, after)
	if err != nil {
		return store.Position{}, err
	}
	for i, change := range changes { // without a lock: a slow watcher holds up nobody (W7)
		if err := deliver(adapter.Own(change)); err != nil {
			return store.Position{}, err
		}
		if last := i == len(changes)-1; after == (store.Position{}) || last { // Follow delivers the last mark
			continue
		}
		if err := deliver(store.Change{History: mark.History, Revision: change.Revision}); err != nil {
			return store.Position{}, err
		}
	}
	return mark, nil
}

// changes returns what was written after a position, and the position of the store.
func (s *Store) changes(ctx context.Context, after store.Position) (changes []store.Change, mark store.Position, err error) {
	if err := s.ready(ctx); err != nil {
		return nil, store.Position{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if after == (store.Position{}) {
		changes = s.snapshot()
	} else {
		changes, err = s.log.Since(after)
	}
	return changes, s.log.Position(), err
}
