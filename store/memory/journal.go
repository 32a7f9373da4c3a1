package memory

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// A journal keeps events by revision. The lock of the store guards it.
type journal struct {
	all       []*written
	of        map[string][]*written // by organization
	forgotten uint64                // events up to this revision were forgotten
}

// written has the events of one write. They do not change.
type written struct {
	revision uint64
	key      apikey.ID
	events   []store.Event
}

// Write implements [store.Journal]. Events take memory until they are forgotten
// (store.Write.Forget).
func (s *Store) Write(ctx context.Context, write store.Write) (revision uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	if err := adapter.CheckWrite(write); err != nil {
		return 0, err
	}
	for _, condition := range write.If {
		if err := adapter.CheckCondition(condition, s.revisionOf(condition)); err != nil {
			return 0, err
		}
	}
	if err := s.change(write); err != nil {
		return 0, err
	}
	s.journal.keep(write, s.log.Revision())
	return s.log.Revision(), nil
}

// change makes the change of a Write.
func (s *Store) change(write store.Write) (err error) {
	switch {
	case write.PutOrganization != nil:
		_, err = s.putOrganization(*write.PutOrganization)
	case write.PutKey != nil:
		_, err = s.putKey(*write.PutKey, write.Options...)
	case write.Delete != nil:
		err = s.deleteAt(*write.Delete)
	default:
		err = s.forget(*write.Forget)
	}
	return err
}

func (s *Store) deleteAt(condition store.Condition) error {
	if err := adapter.CheckDeleteOf(condition, s.revisionOf(condition)); err != nil {
		return err
	}
	if condition.Key != "" {
		return s.deleteKey(condition.Key, condition.Revision)
	}
	return s.deleteOrganization(condition.Organization, condition.Revision)
}

func (s *Store) forget(through store.Position) error {
	if err := adapter.CheckForget(through, s.log.Position()); err != nil {
		return err
	}
	s.journal.forget(through.Revision)
	s.log.Advance(s.log.Revision() + 1)
	s.waker.Wake()
	return nil
}

// revisionOf returns the revision of a condition's record, zero if it is absent or a key of
// another organization.
func (s *Store) revisionOf(condition store.Condition) uint64 {
	if condition.Key == "" {
		if organization := s.records.Organization(condition.Organization); organization != nil {
			return organization.Revision
		}
		return 0
	}
	if key := s.records.Key(condition.Key); key != nil && key.Organization == condition.Organization {
		return key.Revision
	}
	return 0
}

// keep keeps the events of a write.
func (j *journal) keep(write store.Write, revision uint64) {
	if len(write.Events) == 0 {
		return
	}
	organization, key := write.Subject()
	w := &written{revision: revision, key: key}
	for i, event := range write.Events {
		event = event.Clone() // S7
		event.Revision, event.Index = revision, i
		w.events = append(w.events, event)
	}
	j.all = append(j.all, w)
	if j.of == nil {
		j.of = map[string][]*written{}
	}
	j.of[organization] = append(j.of[organization], w)
}

func (j *journal) forget(through uint64) {
	j.forgotten = max(j.forgotten, through)
	j.all = slices.Delete(j.all, 0, firstAfter(j.all, through))
	for organization, of := range j.of {
		if of = slices.Delete(of, 0, firstAfter(of, through)); len(of) == 0 {
			delete(j.of, organization)
		} else {
			j.of[organization] = of
		}
	}
}

// search returns the place of the first write with a revision or after it, and whether it
// has the revision.
func search(all []*written, revision uint64) (place int, found bool) {
	return slices.BinarySearchFunc(all, revision, func(w *written, revision uint64) int { return cmp.Compare(w.revision, revision) })
}

// firstAfter returns the place of the first write after a revision.
func firstAfter(all []*written, revision uint64) int {
	place, found := search(all, revision)
	if found {
		place++
	}
	return place
}

// Events implements [store.Journal].
func (s *Store) Events(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
	if err := s.ready(ctx); err != nil {
		return store.EventPage{}, err
	}
	if err := adapter.CheckEventRequest(request); err != nil {
		return store.EventPage{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	latest := s.log.Position()
	if request.After != (store.Position{}) {
		if err := adapter.CheckEventsAfter(request.After, s.journal.forgotten, latest); err != nil {
			return store.EventPage{}, err
		}
	}
	page := adapter.NewEventReader(request, latest)
	for _, w := range s.journal.after(request) {
		if request.Key != "" && w.key != request.Key {
			continue
		}
		if !page.Add(w.copied()) {
			break
		}
	}
	return page.Page(), nil
}

// after returns the writes of the requested organization that follow the position, in the
// order of the request.
func (j *journal) after(request store.EventRequest) iter.Seq2[int, *written] {
	all := j.all
	if request.Organization != "" {
		all = j.of[request.Organization]
	}
	if !request.Newest {
		return slices.All(all[firstAfter(all, request.After.Revision):])
	}
	if request.After != (store.Position{}) {
		before, _ := search(all, request.After.Revision)
		all = all[:before]
	}
	return slices.Backward(all)
}

// copied returns the events as copies (S7).
func (w *written) copied() (events []store.Event) {
	for _, event := range w.events {
		events = append(events, event.Clone())
	}
	return events
}
