package memory

import (
	"context"
	"iter"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Revision implements [store.Watcher].
func (s *Store) Revision(ctx context.Context) (uint64, error) {
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.log.Revision(), nil
}

// Watch implements [store.Watcher]. It delivers every change, each with a mark. The store
// knows its latest 16,384 changes at least, or as many as have records of some 64 MiB; a
// watcher that lags further gets store.ErrCompacted.
func (s *Store) Watch(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
	return adapter.Watch(func(deliver adapter.Deliver) error {
		woken, stop := s.waker.Wait()
		defer stop()
		return adapter.Follow(ctx, after, woken, func(after uint64, deliver adapter.Deliver) (uint64, error) {
			return s.deliver(ctx, after, deliver)
		}, deliver)
	})
}

// deliver delivers what was written after a revision, everything after zero.
func (s *Store) deliver(ctx context.Context, after uint64, deliver adapter.Deliver) (mark uint64, err error) {
	changes, mark, err := s.changes(ctx, after)
	if err != nil {
		return 0, err
	}
	for i, change := range changes { // without a lock: a slow watcher holds up nobody (W7)
		if err := deliver(adapter.Own(change)); err != nil {
			return 0, err
		}
		if last := i == len(changes)-1; after == 0 || last { // Follow delivers the last mark
			continue
		}
		if err := deliver(store.Change{Revision: change.Revision}); err != nil {
			return 0, err
		}
	}
	return mark, nil
}

// changes returns what was written after a revision, and the revision of the store.
func (s *Store) changes(ctx context.Context, after uint64) (changes []store.Change, mark uint64, err error) {
	if err := s.ready(ctx); err != nil {
		return nil, 0, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if after == 0 {
		changes = s.snapshot()
	} else {
		changes, err = s.log.Since(after)
	}
	return changes, s.log.Revision(), err
}
