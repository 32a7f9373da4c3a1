package crashtest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// A knownEvents is all known about the events of one write.
type knownEvents struct {
	number   int
	revision uint64 // zero if unknown
	outcome  fixture.Outcome
	found    []store.Event
}

// withEvents makes a Write of two of three writes, with events, if the store is a Journal.
func (w *writer) withEvents(begins announcement, write store.Write) (announcement, store.Write) {
	if w.journal == nil || w.random.IntN(3) == 0 {
		return begins, write
	}
	begins.Tag, begins.Events = w.freshID(), 1+w.random.IntN(3)
	organization, key := write.Subject()
	write.Events = fixture.Numbered(organization, key, begins.Tag, begins.Events)
	return begins, write
}

// readEvents returns the events since the last Check, by the tag of their write.
func (l *Ledger) readEvents(ctx context.Context, journal store.Journal) (byTag map[string][]store.Event, next store.Position, err error) {
	byTag = map[string][]store.Event{}
	request := store.EventRequest{After: l.journal, Limit: store.MaxPageSize}
	for {
		page, err := journal.Events(ctx, request)
		if err != nil {
			return nil, next, fmt.Errorf("reading events after revision %d: %w", request.After.Revision, err)
		}
		for _, event := range page.Events {
			if tag, _, _ := strings.Cut(event.Correlation, "/"); strings.HasPrefix(tag, idPrefix) {
				byTag[tag] = append(byTag[tag], event)
			}
		}
		if request.After = page.Next; !page.More {
			return byTag, page.Next, nil
		}
	}
}

// checkEvents compares the journal with the writes. before was read before the records.
func (l *Ledger) checkEvents(ctx context.Context, journal store.Journal, before map[string][]store.Event) error {
	now, next, err := l.readEvents(ctx, journal)
	if err != nil {
		return err
	}
	for tag, found := range now {
		known := l.events[tag]
		if known == nil {
			l.problem("E3", "there are the events %s, of a write that never was", fixture.ShownEvents(found))
			continue
		}
		known.found = append(known.found, found...)
	}
	for tag, known := range l.events {
		l.compareEvents(tag, known, before[tag])
		if known.outcome != fixture.InDoubt {
			delete(l.events, tag)
		}
	}
	l.journal = next
	return nil
}

func (l *Ledger) compareEvents(tag string, known *knownEvents, before []store.Event) {
	n := len(known.found)
	whole := n == known.number
	for i, event := range known.found {
		whole = whole && event.Index == i && event.Revision == known.found[0].Revision
	}
	pending := slices.ContainsFunc(l.doubts, func(w *announcedWrite) bool { return w.Tag == tag })
	switch {
	case n > 0 && !whole:
		l.problem("E3", "of the %d events of a write there are %s; want all or none", known.number, fixture.ShownEvents(known.found))
	case known.outcome == fixture.Acknowledged && n == 0:
		l.problem("E3", "a write with the events %q happened, and they are not there", tag)
	case known.outcome == fixture.Acknowledged && known.revision > 0 && known.found[0].Revision != known.revision:
		l.problem("E2", "a write returned revision %d, and its events are %s", known.revision, fixture.ShownEvents(known.found))
	case known.outcome == fixture.Refused && n > 0:
		l.problem("E1", "a write was refused, and its events are there: %s", fixture.ShownEvents(known.found))
	case known.outcome == fixture.InDoubt && pending && len(before) > 0:
		l.problem("E3", "a write did not happen, and its events are there: %s", fixture.ShownEvents(before))
	}
}
