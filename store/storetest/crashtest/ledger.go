package crashtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// A Ledger knows the state that a store must have after a crash, and the states it may
// have (S25, S26). Its Write takes the lines of [WriteUntilKilled]: pass the Ledger
// itself, or use it as the Stdout of an exec.Cmd. It skips other lines and an unfinished
// last line. The zero Ledger is ready to use. It is safe for concurrent use.
type Ledger struct {
	mu       sync.Mutex
	line     []byte                              // an unfinished line
	records  map[fixture.RecordName]*knownRecord // all announced ones
	underway map[int]*announcedWrite             // by writer
	doubts   []*announcedWrite                   // writes in doubt
	given    map[uint64]record                   // by revision
	floor    uint64                              // revisions up to here may not be given again
	returned uint64                              // highest revision of a returned write
	mark     store.Position                      // the last of the feed
	events   map[string]*knownEvents             // by tag, since the last Check
	journal  store.Position                      // of the last Check
	count    int                                 // of acknowledged writes
	problems []problem                           // found while reading
}

// A problem is a violation, and the sentence it violates.
type problem struct{ sentence, text string }

// An announcedWrite is a begun write.
type announcedWrite struct {
	announcement
	floor uint64 // the Ledger's at its begin
	mark  store.Position
}

// A knownRecord is all known about one record.
type knownRecord struct {
	stored   record // Deleted if absent
	revision uint64 // zero if unknown
	since    uint64 // lower bound of an unknown revision

	counted uint64 // acknowledged calls
	late    uint64 // calls in doubt, possibly recorded later

	deletion *announcedWrite // the acknowledged one, if absent
	deleted  uint64          // its revision before the deletion
}

// Acknowledged returns the number of writes that returned without an error. A test waits
// for it before it kills anything.
func (l *Ledger) Acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// Write takes lines. It never fails: Check reports invalid ones.
func (l *Ledger) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.records == nil {
		l.records, l.underway, l.given = map[fixture.RecordName]*knownRecord{}, map[int]*announcedWrite{}, map[uint64]record{}
		l.events = map[string]*knownEvents{}
	}
	l.line = append(l.line, p...)
	for {
		line, rest, found := bytes.Cut(l.line, []byte("\n"))
		if !found {
			return len(p), nil
		}
		if text, ok := strings.CutPrefix(string(line), linePrefix); ok {
			l.read(text)
		}
		l.line = rest
	}
}

func (l *Ledger) problem(sentence, format string, args ...any) {
	l.problems = append(l.problems, problem{sentence, fmt.Sprintf(format, args...)})
}

func (l *Ledger) read(text string) {
	var a announcement
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		l.problem("S25", "a line of the ledger cannot be read: %q: %v", text, err)
		return
	}
	if a.Outcome == marked {
		l.mark = store.Position{History: a.History, Revision: a.Revision}
		l.floor = max(l.floor, a.Revision) // a copy may have reached it
		return
	}
	w := l.underway[a.Writer]
	if a.Outcome == "" {
		if w != nil { // of a killed process
			l.doubts = append(l.doubts, w)
		}
		l.underway[a.Writer] = &announcedWrite{a, l.floor, l.mark}
		if a.Events > 0 {
			l.events[a.Tag] = &knownEvents{number: a.Events, outcome: fixture.InDoubt}
		}
		return
	}
	if w == nil {
		l.problem("S25", "a line of the ledger is of the end of a write that never began: %q", text)
		return
	}
	delete(l.underway, a.Writer)
	if known := l.events[w.Tag]; known != nil {
		known.outcome, known.revision = a.Outcome, a.Revision
	}
	switch a.Outcome {
	case fixture.Acknowledged:
		l.count++
		l.acknowledge(w, a.Revision)
	case fixture.InDoubt:
		l.doubts = append(l.doubts, w)
	}
}

// acknowledge notes that a write returned.
func (l *Ledger) acknowledge(w *announcedWrite, revision uint64) {
	if revision > 0 {
		l.give(w, w.Begins[0], revision)
		l.returned = max(l.returned, revision)
	}
	l.happened(w, revision)
}

// give notes the revision that a write gave a record (S12, S26).
func (l *Ledger) give(w *announcedWrite, r record, revision uint64) {
	if other, ok := l.given[revision]; ok && other != r {
		l.problem("S26", "revision %d was given to %v and, later, to %v", revision, other.name(), r.name())
	} else if revision <= w.floor {
		l.problem("S26", "%v was given revision %d by a write that began when revision %d had been given", r.name(), revision, w.floor)
	}
	l.given[revision] = r
	l.floor = max(l.floor, revision)
}

// happened notes that a write took effect. revision is zero if unknown.
func (l *Ledger) happened(w *announcedWrite, revision uint64) {
	for _, r := range w.Begins {
		known := l.record(r.name())
		if w.Usage {
			known.counted += r.Count
			continue
		}
		before := known.revision
		known.stored, known.revision, known.since, known.deletion = r, revision, w.floor, nil
		if r.Deleted {
			known.deletion, known.deleted, known.counted = w, before, 0
		}
		// A write in doubt to the same record was conditional on a revision that is
		// replaced now: it can no longer happen.
		l.doubts = slices.DeleteFunc(l.doubts, func(d *announcedWrite) bool {
			return d != w && !d.Usage && len(d.Begins) == 1 && d.Begins[0].name() == r.name()
		})
	}
}

func (l *Ledger) record(name fixture.RecordName) *knownRecord {
	known := l.records[name]
	if known == nil {
		known = &knownRecord{stored: record{Key: name.Key, Organization: name.Organization, Deleted: true}}
		l.records[name] = known
	}
	return known
}

// is reports whether a record was found as the write left it.
func (r record) is(found foundRecord) bool {
	if r.Deleted || !found.there {
		return r.Deleted == !found.there
	}
	if r.Settings != nil && found.settings != nil {
		return fixture.SameSettings(*r.Settings, *found.settings)
	}
	return r.Organization == found.organization && r.Version == found.version && r.Settings == found.settings
}

// A foundRecord is a record as the store returned it.
type foundRecord struct {
	there        bool
	organization string
	version      int                  // of a key
	settings     *policy.Organization // of an organization
	revision     uint64
	used         uint64 // calls of usedEntry
}
