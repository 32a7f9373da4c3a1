package memory

import (
	"context"
	"iter"
	"slices"

	"github.com/sallyport-go/sallyport/store"
)

// journalSize is how many changes are kept at least, for those who watch.
const journalSize = 16384

// journalSpare is how many more there may be, so that dropping the oldest moves the
// others seldom.
const journalSpare = 1024

// A journal is the latest changes and who waits for more. The store's lock guards
// it.
type journal struct {
	changes  []store.Change // ascending
	dropped  uint64         // the revision of the last change no longer kept
	watchers map[chan struct{}]bool
}

func (j *journal) add(change store.Change) {
	if len(j.changes) == journalSize+journalSpare {
		j.dropped = j.changes[journalSpare-1].Revision
		j.changes = append(j.changes[:0], j.changes[journalSpare:]...)
	}
	j.changes = append(j.changes, change)
	j.wake()
}

// wake tells those who wait to look again. One token is enough for any number of
// changes.
func (j *journal) wake() {
	for watcher := range j.watchers {
		select {
		case watcher <- struct{}{}:
		default:
		}
	}
}

// since returns the changes after a revision, or ErrCompacted.
func (j *journal) since(revision uint64) ([]store.Change, error) {
	if revision < j.dropped {
		return nil, store.ErrCompacted
	}
	i, _ := slices.BinarySearchFunc(j.changes, revision, func(c store.Change, revision uint64) int {
		if c.Revision <= revision {
			return -1
		}
		return 0
	})
	return slices.Clone(j.changes[i:]), nil
}

// Revision is as store.Watcher says.
func (s *Store) Revision(ctx context.Context) (uint64, error) {
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.revision, nil
}

// Watch is as store.Watcher says. It knows the latest changes, at least 16,384 of
// them, and leaves none of those out; for one who lags further it ends with
// ErrCompacted.
func (s *Store) Watch(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
	return func(yield func(store.Change, error) bool) {
		more := make(chan struct{}, 1)
		s.mu.Lock()
		s.journal.watchers[more] = true
		s.mu.Unlock()
		defer func() {
			s.mu.Lock()
			delete(s.journal.watchers, more)
			s.mu.Unlock()
		}()
		for {
			changes, err := s.changes(ctx, after)
			if err != nil {
				yield(store.Change{}, err)
				return
			}
			for _, change := range changes {
				if !yield(change, nil) {
					return
				}
				after = change.Revision
			}
			if len(changes) > 0 {
				continue
			}
			select {
			case <-more:
			case <-ctx.Done():
			}
		}
	}
}

func (s *Store) changes(ctx context.Context, after uint64) ([]store.Change, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.journal.since(after)
}
