package memory

import (
	"context"
	"fmt"
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
// them, leaves none of those out, and tells a mark after each; for one who lags
// further it ends with ErrCompacted.
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
		tell := func(change store.Change) bool { return yield(own(change), nil) }
		read, load := s.changes, after == 0
		if load {
			read = s.everything
		}
		for first := true; ; first = false {
			changes, revision, err := read(ctx, after)
			if err != nil {
				yield(store.Change{}, err)
				return
			}
			for _, change := range changes {
				if !tell(change) || !load && !tell(store.Change{Revision: change.Revision}) {
					return
				}
			}
			if (load || first && len(changes) == 0) && !tell(store.Change{Revision: revision}) {
				return
			}
			read, load, after = s.changes, false, revision
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

// own returns the change with records that are nobody else's (W8).
func own(change store.Change) store.Change {
	if change.KeyRecord != nil {
		key := change.KeyRecord.Clone()
		change.KeyRecord = &key
	}
	if change.OrganizationRecord != nil {
		organization := *change.OrganizationRecord
		change.OrganizationRecord = &organization
	}
	return change
}

// changes returns what was written after a revision, and the latest revision.
func (s *Store) changes(ctx context.Context, after uint64) ([]store.Change, uint64, error) {
	if err := s.ready(ctx); err != nil {
		return nil, 0, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if after > s.revision {
		return nil, 0, fmt.Errorf("store/memory: a watch from revision %d, of a store that has come to %d: %w", after, s.revision, store.ErrCompacted)
	}
	changes, err := s.journal.since(after)
	return changes, s.revision, err
}

// everything returns all records, as changes, and the latest revision.
func (s *Store) everything(ctx context.Context, _ uint64) ([]store.Change, uint64, error) {
	if err := s.ready(ctx); err != nil {
		return nil, 0, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []store.Change
	for _, chunk := range s.ordered.chunks {
		for _, o := range chunk {
			stored := o.stored.Load()
			all = append(all, store.Change{Revision: stored.Revision, Organization: o.id, OrganizationRecord: stored})
			for _, chunk := range o.keys.chunks {
				for _, r := range chunk {
					all = append(all, store.Change{Revision: r.key.Revision, Organization: o.id, Key: r.key.ID, KeyRecord: &r.key})
				}
			}
		}
	}
	return all, s.revision, nil
}
