package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// errAgain is returned by a read of several round trips when the journal was changed in
// between other than by a Write with events.
var errAgain = errors.New("store/etcd: events were forgotten meanwhile")

// Events implements [store.Journal]. It takes one round trip if there are no events, and
// another for each hundred writes on the page. For a key it takes one more for each
// thousand writes of the organization that it looks through.
func (s *Store) Events(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
	if err := s.ready(ctx); err != nil {
		return store.EventPage{}, err
	}
	if err := adapter.CheckEventRequest(request); err != nil {
		return store.EventPage{}, err
	}
	for {
		page, err := s.events(ctx, request)
		if !errors.Is(err, errAgain) {
			return page, err
		}
	}
}

func (s *Store) events(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
	scan := newEventScan(s.names, request)
	first, found, err := s.journalState(ctx, append(scan.operations(), clientv3.OpGet(s.names.history(request.After.History)))...)
	if err != nil {
		return store.EventPage{}, err
	}
	last := len(found) - 1
	if request.After != (store.Position{}) {
		after := inPast(request.After, first.latest, only(found[last]))
		if err := adapter.CheckEventsAfter(after, first.forgotten, first.latest); err != nil {
			return store.EventPage{}, err
		}
	}
	reader := adapter.NewEventReader(request, first.latest)
	for found = found[:last]; ; {
		kept, err := scan.advance(found, first)
		if err != nil {
			return store.EventPage{}, err
		}
		full, err := s.read(ctx, kept, first, reader)
		if err != nil {
			return store.EventPage{}, err
		}
		if full || scan.done {
			return reader.Page(), nil
		}
		if found, err = s.journalAgain(ctx, first, scan.operations()...); err != nil {
			return store.EventPage{}, err
		}
	}
}

// A journalState is the state of a journal in a snapshot.
type journalState struct {
	latest    store.Position
	forgotten uint64
}

// values are those of one read of a transaction.
type values = []*mvccpb.KeyValue

func only(found values) *mvccpb.KeyValue {
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

// journalState returns the state of the journal, and what is read in the same snapshot.
func (s *Store) journalState(ctx context.Context, reading ...clientv3.Op) (state journalState, found []values, err error) {
	response, err := s.transact(ctx, nil, append([]clientv3.Op{clientv3.OpGet(s.names.revision()), clientv3.OpGet(s.names.journal())}, reading...), nil)
	if err != nil {
		return state, nil, err
	}
	for _, r := range response.Responses {
		found = append(found, r.GetResponseRange().GetKvs())
	}
	if state.latest, err = s.names.position(only(found[0])); err != nil {
		return state, nil, err
	}
	state.forgotten, err = forgottenIn(only(found[1]))
	return state, found[2:], err
}

// journalAgain reads more for a page that began in a state. Between two reads events are
// added, and have later revisions. So the page is a snapshot, unless events were forgotten
// or the cluster went back. It does not read at the revision of the first read, which may
// have been compacted.
func (s *Store) journalAgain(ctx context.Context, first journalState, reading ...clientv3.Op) (found []values, err error) {
	now, found, err := s.journalState(ctx, reading...)
	if err == nil && (now.forgotten != first.forgotten || now.latest.Revision < first.latest.Revision) {
		err = errAgain
	}
	return found, err
}

// readDocuments is the largest number of documents read in one transaction.
const readDocuments = 100

// read reads the events of some writes and reports whether the page is full. It reads no more
// documents than a page of writes with one event each takes.
func (s *Store) read(ctx context.Context, kept []keptEvents, first journalState, reader *adapter.EventReader) (full bool, err error) {
	for len(kept) > 0 {
		some := kept[:min(len(kept), reader.Enough(), readDocuments)]
		kept = kept[len(some):]
		var names []string
		for _, k := range some {
			names = append(names, s.names.oldest("").name(k))
		}
		found, err := s.journalAgain(ctx, first, reads(names)...)
		if err != nil {
			return false, err
		}
		for i, k := range some {
			events, err := decodeEvents(only(found[i]), k)
			if err != nil {
				return false, adapter.UnreadableEvents(k.revision, fmt.Errorf("%.400q: %w", names[i], err))
			}
			if !reader.Add(events) {
				return true, nil
			}
		}
	}
	return false, nil
}

// decodeEvents decodes a document. It is never rewritten, so one with another revision was
// not written by this package.
func decodeEvents(stored *mvccpb.KeyValue, kept keptEvents) ([]store.Event, error) {
	switch {
	case stored == nil:
		return nil, errors.New("it is absent: it was deleted by other means than this package")
	case revisionOf(stored) != kept.revision || stored.CreateRevision != stored.ModRevision:
		return nil, fmt.Errorf("it has revision %d: it was changed by other means than this package", stored.ModRevision)
	}
	return adapter.DecodeEvents(stored.Value, kept.organization, kept.key, kept.revision)
}

// lookThrough is the number of names read at a time in search for those of a key.
const lookThrough = 1000

// An eventScan finds the writes of a request, by their names.
type eventScan struct {
	request store.EventRequest
	order   eventOrder
	back    eventOrder // the other direction
	begin   string     // first name to be read next
	first   bool       // nothing was read yet
	done    bool
	limit   int
}

func newEventScan(n names, request store.EventRequest) *eventScan {
	scan := &eventScan{request: request, order: n.oldest(request.Organization), back: n.newest(request.Organization), first: true}
	after := request.After.Revision
	if request.Newest {
		scan.order, scan.back = scan.back, scan.order
		after = max(after, 1) - 1
	}
	scan.begin = scan.order.prefix
	if request.After != (store.Position{}) {
		scan.begin = scan.order.begin(after)
	}
	// One more shows whether any follow, and one may be on the wrong side of the position.
	if scan.limit = request.Size() + 2; request.Key != "" {
		scan.limit = max(scan.limit, lookThrough)
	}
	return scan
}

// operations read the next names. A write has a place before its revision: the last one with
// a place before a position may itself come after it.
func (e *eventScan) operations() (all []clientv3.Op) {
	if after := e.request.After.Revision; e.first && !e.request.Newest && after > 0 {
		all = append(all, clientv3.OpGet(e.back.begin(after-1), clientv3.WithRange(e.back.end()), clientv3.WithLimit(1), clientv3.WithKeysOnly()))
	}
	return append(all, clientv3.OpGet(e.begin, clientv3.WithRange(e.order.end()), clientv3.WithLimit(int64(e.limit)), clientv3.WithKeysOnly()))
}

// advance returns the requested ones of the writes read, and moves past them.
func (e *eventScan) advance(found []values, state journalState) (kept []keptEvents, err error) {
	for _, stored := range slices.Concat(found...) {
		order := e.order
		if !order.has(stored.Key) {
			order = e.back
		}
		k, err := order.parse(stored)
		if err != nil {
			return nil, err
		}
		if e.wants(k, state) {
			kept = append(kept, k)
		}
	}
	e.first = false
	last := found[len(found)-1]
	if e.done = len(last) < e.limit; !e.done {
		e.begin = string(last[len(last)-1].Key) + "\x00"
	}
	return kept, nil
}

// wants reports whether a write follows the position in a state of the journal, and is of
// the key requested.
func (e *eventScan) wants(k keptEvents, state journalState) bool {
	follows := k.revision > e.request.After.Revision
	if e.request.Newest && e.request.After != (store.Position{}) {
		follows = k.revision < e.request.After.Revision
	}
	return follows && k.revision > state.forgotten && k.revision <= state.latest.Revision && (e.request.Key == "" || e.request.Key == k.key)
}
