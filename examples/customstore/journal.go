package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// Step 7: the journal of who changed what. The events of a write are
// kept if and only if the write is (E1). A database has one transaction for both. Two files
// cannot be written at once, so the order matters:
//
//   - The events are written first, to a file named by their revision.
//   - The file of the record is the commit: with it the write has happened.
//   - After a crash in between, the latest events have no write. Opening removes them.
//
// Positions of followers outlive the process (E6), and each opening begins a history. So the
// names of earlier histories are kept, as long as events from after them.

const (
	eventsDir   = "events"
	journalFile = "journal.json"
)

// A journal is what journalFile has.
type journal struct {
	Forgotten uint64    `json:"forgotten"` // events up to this revision were forgotten
	Revision  uint64    `json:"revision"`  // of the latest write that forgot some
	Histories []history `json:"histories"` // in order; the last is the present one
}

// A history is the time from one opening to the next.
type history struct {
	Name  string `json:"name"`
	After uint64 `json:"after"` // latest revision of the history before
}

// written names the events of one write. They are read from their file when asked for.
type written struct {
	Revision     uint64          `json:"-"` // in the name of the file
	Organization string          `json:"organization"`
	Key          apikey.ID       `json:"key"`
	Events       json.RawMessage `json:"events"` // adapter.EncodeEvents
}

func (s *FileStore) eventsPath(revision uint64) string {
	return filepath.Join(eventsDir, fmt.Sprintf("%016x.json", revision))
}

// Write implements [store.Journal]. The checks are those of a Put or a Delete, and it shares
// their code.
func (s *FileStore) Write(ctx context.Context, write store.Write) (revision uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return 0, err
	}
	if err := adapter.CheckWrite(write); err != nil { // E10
		return 0, err
	}
	for _, condition := range write.If { // E5: nobody else writes, since the lock is held
		if err := adapter.CheckCondition(condition, s.revisionOf(condition)); err != nil {
			return 0, err
		}
	}
	switch {
	case write.PutOrganization != nil:
		_, err = s.putOrganization(*write.PutOrganization, write.Events)
	case write.PutKey != nil:
		_, err = s.putKey(*write.PutKey, write.Options, write.Events)
	case write.Delete != nil:
		err = s.deleteAt(*write.Delete, write.Events)
	default:
		err = s.forget(*write.Forget, write.Events)
	}
	if err != nil {
		return 0, err
	}
	return s.revision, nil
}

// revisionOf returns the revision of a condition's record, zero if it is absent or a key of
// another organization.
func (s *FileStore) revisionOf(condition store.Condition) uint64 {
	if condition.Key == "" {
		return s.organizations[condition.Organization].Revision
	}
	if key := s.keys[condition.Key]; key.Organization == condition.Organization {
		return key.Revision
	}
	return 0
}

func (s *FileStore) deleteAt(condition store.Condition, events []store.Event) error {
	if err := adapter.CheckDeleteOf(condition, s.revisionOf(condition)); err != nil {
		return err
	}
	if condition.Key == "" {
		return s.deleteOrganization(condition.Organization, condition.Revision, events)
	}
	return s.deleteKey(condition.Key, condition.Revision, events)
}

// commit keeps the events of the next revision, and then writes the record by write. If that
// fails, the events are removed.
func (s *FileStore) commit(organization string, key apikey.ID, events []store.Event, write func() error) error {
	if len(events) == 0 {
		return write()
	}
	document, err := adapter.EncodeEvents(events)
	if err != nil {
		return err
	}
	w := written{Revision: s.revision + 1, Organization: organization, Key: key, Events: document}
	data, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("customstore: events: %w", err)
	}
	path := s.eventsPath(w.Revision)
	if err := s.write(path, data); err != nil {
		return err
	}
	err = write()
	switch {
	case err == nil:
		w.Events = nil
		s.written = append(s.written, w)
	case !errors.Is(err, errUncertain): // otherwise the next opening knows
		if left := removeFile(filepath.Join(s.dir, path)); left != nil {
			err = errors.Join(err, left)
			s.stop(fmt.Errorf("customstore: stopped, since events without a write cannot be removed: %w", err))
		}
	}
	return err
}

// forget moves the mark in the journal's file, which is the commit. The files of forgotten
// events are removed afterwards, by the next opening at the latest.
func (s *FileStore) forget(through store.Position, events []store.Event) error {
	latest := s.log.Position()
	if err := adapter.CheckForget(s.inPast(through, latest), latest); err != nil { // E11
		return err
	}
	next := s.journal
	next.Forgotten, next.Revision = max(next.Forgotten, through.Revision), s.revision+1
	for len(next.Histories) > 1 && next.Histories[1].After < next.Forgotten {
		next.Histories = next.Histories[1:]
	}
	if err := s.commit("", "", events, func() error { return s.writeJournal(next) }); err != nil {
		return err
	}
	s.revision = next.Revision
	s.log.Advance(s.revision)
	s.waker.Wake()
	return s.removeForgotten()
}

// removeForgotten removes the files of forgotten events.
func (s *FileStore) removeForgotten() (err error) {
	kept := s.writtenAfter(s.journal.Forgotten)
	for _, w := range s.written[:len(s.written)-len(kept)] {
		err = errors.Join(err, os.Remove(filepath.Join(s.dir, s.eventsPath(w.Revision))))
	}
	s.written = slices.Clone(kept)
	if err != nil {
		return fmt.Errorf("customstore: events were forgotten, but not all files removed: close and open the store: %w", err)
	}
	return nil
}

// Events implements [store.Journal]. The lock makes the page and the position a snapshot.
func (s *FileStore) Events(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return store.EventPage{}, err
	}
	if err := adapter.CheckEventRequest(request); err != nil { // E16
		return store.EventPage{}, err
	}
	latest := s.log.Position()
	if request.After != (store.Position{}) {
		if err := adapter.CheckEventsAfter(s.inPast(request.After, latest), s.journal.Forgotten, latest); err != nil { // E6
			return store.EventPage{}, err
		}
	}
	page := adapter.NewEventReader(request, latest)
	for _, w := range s.requested(request) {
		if request.Organization != "" && w.Organization != request.Organization || request.Key != "" && w.Key != request.Key {
			continue
		}
		events, err := s.readEvents(w)
		if err != nil {
			return store.EventPage{}, adapter.UnreadableEvents(w.Revision, err) // E7
		}
		if !page.Add(events) {
			break
		}
	}
	return page.Page(), nil
}

// requested returns the writes that follow the position, in the order of the request.
func (s *FileStore) requested(request store.EventRequest) []written {
	if !request.Newest {
		return s.writtenAfter(request.After.Revision)
	}
	older := slices.Clone(s.written)
	if request.After != (store.Position{}) {
		older = slices.DeleteFunc(older, func(w written) bool { return w.Revision >= request.After.Revision })
	}
	slices.Reverse(older)
	return older
}

// writtenAfter returns the writes after a revision.
func (s *FileStore) writtenAfter(revision uint64) []written {
	first := slices.IndexFunc(s.written, func(w written) bool { return w.Revision > revision })
	if first < 0 {
		return nil
	}
	return s.written[first:]
}

func (s *FileStore) readEvents(w written) ([]store.Event, error) {
	stored, err := s.readWritten(w.Revision)
	if err != nil {
		return nil, err
	}
	return adapter.DecodeEvents(stored.Events, w.Organization, w.Key, w.Revision)
}

func (s *FileStore) readWritten(revision uint64) (w written, err error) {
	path := filepath.Join(s.dir, s.eventsPath(revision))
	data, err := os.ReadFile(path)
	if err != nil {
		return w, err
	}
	if err := decodeOne(data, &w); err != nil {
		return w, fmt.Errorf("customstore: %s: %w", path, err)
	}
	w.Revision = revision
	return w, nil
}

// inPast returns a position of an earlier history with the name of the present one, and any
// other as it is.
func (s *FileStore) inPast(p, latest store.Position) store.Position {
	for i, h := range s.journal.Histories[:len(s.journal.Histories)-1] {
		if h.Name == p.History && p.Revision <= s.journal.Histories[i+1].After {
			p.History = latest.History
			break
		}
	}
	return p
}

// beginHistory begins a history. Its name is on disk before a watcher or a follower sees it,
// and before the revision: otherwise a crash in between would move the end of the history
// before.
func (s *FileStore) beginHistory() error {
	from := adapter.NewHistory(s.revision)
	next := s.journal
	next.Histories = append(slices.Clone(next.Histories), history{Name: from.History, After: s.revision})
	if err := s.writeJournal(next); err != nil {
		return err
	}
	s.revision, s.log = from.Revision, adapter.NewLog(keptChanges, from)
	return s.writeRevision()
}

// writeJournal writes the file, and only then changes what is in memory.
func (s *FileStore) writeJournal(next journal) error {
	data, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("customstore: journal: %w", err)
	}
	if err := s.write(journalFile, data); err != nil {
		return err
	}
	s.journal = next
	return nil
}

func (s *FileStore) loadJournal() error {
	path := filepath.Join(s.dir, journalFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = decodeOne(data, &s.journal)
	}
	if err != nil {
		return fmt.Errorf("customstore: %s: %w", path, err)
	}
	s.revision = max(s.revision, s.journal.Revision)
	return nil
}

// loadEvents reads the names of events. All records must have been read: they say whether
// the latest write happened.
func (s *FileStore) loadEvents() error {
	dir := filepath.Join(s.dir, eventsDir)
	if err := removeUnfinished(dir); err != nil {
		return err
	}
	files, err := os.ReadDir(dir) // by name, and so by revision
	if err != nil {
		return err
	}
	for _, file := range files {
		number, _ := strings.CutSuffix(file.Name(), ".json")
		revision, err := strconv.ParseUint(number, 16, 64)
		if err != nil || s.eventsPath(revision) != filepath.Join(eventsDir, file.Name()) {
			return fmt.Errorf("customstore: %s: want a name such as %s", filepath.Join(dir, file.Name()), s.eventsPath(1))
		}
		w, err := s.readWritten(revision)
		if err != nil {
			return err
		}
		w.Events = nil
		s.written = append(s.written, w)
	}
	if n := len(s.written); n > 0 && !s.happened(s.written[n-1]) {
		if err := removeFile(filepath.Join(s.dir, s.eventsPath(s.written[n-1].Revision))); err != nil {
			return err
		}
		s.written = s.written[:n-1]
	}
	return s.removeForgotten()
}

// happened reports whether a crash left the latest events with their write. A deletion notes
// its revision before it removes the record.
func (s *FileStore) happened(w written) bool {
	if w.Organization == "" {
		return s.journal.Revision >= w.Revision
	}
	stored := s.organizations[w.Organization].Revision
	if w.Key != "" {
		stored = s.keys[w.Key].Revision
	}
	if stored != 0 {
		return stored >= w.Revision
	}
	return s.revision >= w.Revision
}

// decodeOne decodes one JSON object, which has no unknown fields.
func decodeOne(data []byte, to any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(to); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("want one JSON object")
	}
	return nil
}
