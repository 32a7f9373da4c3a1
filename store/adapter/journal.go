package adapter

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/internal/strictjson"
	"github.com/sallyport-go/sallyport/store"
)

// The events of one write are one document: a write is of one record, so organization, key
// and revision stand beside it once. Its size is bounded (store.MaxWriteBytes).

// CheckWrite returns the error of a Write whatever is stored, nil to accept it: E10. Then
// the adapter, in one transaction,
//   - checks every condition by [CheckCondition];
//   - checks the record by [CheckPutOrganization], [CheckPutKey] or [CheckDeleteOf], or the
//     position by [CheckForget];
//   - changes the record, and keeps the document of [EncodeEvents] if there are events.
func CheckWrite(write store.Write) error {
	if err := write.Validate(); err != nil {
		return fmt.Errorf("%w: %w", store.ErrInvalid, err)
	}
	return nil
}

// CheckCondition returns the store.ErrConflict of a condition that does not hold: E5. stored
// is the record's revision, zero if it is absent or a key of another organization.
func CheckCondition(condition store.Condition, stored uint64) error {
	if condition.Revision == stored {
		return nil
	}
	return fmt.Errorf("store: a condition: %v has revision %d, not %d: %w", ConditionName(condition), stored, condition.Revision, store.ErrConflict)
}

// ConditionName returns the name of the record of a condition.
func ConditionName(condition store.Condition) Name {
	if condition.Key != "" {
		return KeyName(condition.Key)
	}
	return OrganizationName(condition.Organization)
}

// CheckDeleteOf returns the error of the Delete of a Write, nil to accept it: E9. stored is as
// that of CheckCondition. The adapter itself looks for keys of an organization ([NotEmpty]).
func CheckDeleteOf(condition store.Condition, stored uint64) error {
	return CheckDelete(ConditionName(condition), stored, condition.Revision)
}

// CheckForget returns the error of the Forget of a Write, nil to accept it: E11. latest is
// the position of the store. If its history has a past of several names, the adapter does as
// for [CheckWatch].
func CheckForget(through, latest store.Position) error {
	return checkPast("forget events up to", "the Next of a page", through, 0, latest)
}

// UndeletedEvents returns the error of a Write that has forgotten the events up to a revision,
// and could not delete all of them (E11). It wraps err, the reason.
func UndeletedEvents(through uint64, err error) error {
	if unwritten, ok := errors.AsType[notWritten](err); ok { // of the deletion, and not of the Write
		err = unwritten.error
	}
	return fmt.Errorf("store: events up to revision %d are forgotten, but not all were deleted: forget them again: %w", through, err)
}

// CheckEventRequest returns the error of Events whatever is stored, nil to accept it: E16.
func CheckEventRequest(request store.EventRequest) error {
	if request.Key != "" && request.Organization == "" {
		return fmt.Errorf("store: %w: events of key %q of no organization: want its organization", store.ErrInvalid, request.Key)
	}
	return nil
}

// CheckEventsAfter returns the store.ErrCompacted of Events after a position, nil to accept
// it: E6. forgotten is the revision up to which events were forgotten, zero if none were.
// Positions of another history are refused, as by [CheckWatch]. Events after the zero
// Position need no check.
func CheckEventsAfter(after store.Position, forgotten uint64, latest store.Position) error {
	return checkPast("read events after", "the zero Position", after, forgotten, latest)
}

// checkPast refuses a position that is not in the store's past, or before what was forgotten.
func checkPast(what, want string, p store.Position, forgotten uint64, latest store.Position) error {
	var problem string
	switch {
	case p.History != latest.History:
		problem = fmt.Sprintf("a store with history %s", plain.Quote(latest.History))
	case p.Revision > latest.Revision:
		problem = fmt.Sprintf("a store that has come to %d", latest.Revision)
	case p.Revision < forgotten:
		problem = fmt.Sprintf("a store that has forgotten those up to %d", forgotten)
	default:
		return nil
	}
	return fmt.Errorf("store: %s revision %d of history %s, of %s: want %s: %w", what, p.Revision, plain.Quote(p.History), problem, want, store.ErrCompacted)
}

// EncodeEvents returns the stored form of the events of a write, which is valid
// ([CheckWrite]): an array of their JSON, without revisions. It is nil for no events.
func EncodeEvents(events []store.Event) ([]byte, error) {
	if len(events) == 0 {
		return nil, nil
	}
	document, err := json.Marshal(events)
	if err != nil {
		return nil, fmt.Errorf("store: the events of a write: %w", err)
	}
	return document, nil
}

// DecodeEvents returns the events in a document, with their revision and index. Their
// organization and key must be those given, which stand beside the document.
//
// The error says what is wrong with the document; wrap it by [UnreadableEvents].
func DecodeEvents(document []byte, organization string, key apikey.ID, revision uint64) ([]store.Event, error) {
	v, err := strictjson.Parse(document)
	if err != nil {
		return nil, err
	}
	var events []store.Event
	err = strictjson.Slice(&events, func(v strictjson.Value) (event store.Event, err error) { return event, event.UnmarshalJSON(v) })(v)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return nil, fmt.Errorf("its document has no events: want one at least")
	}
	for i := range events {
		event := &events[i]
		if event.Organization != organization || event.Key != key || event.Revision != 0 || event.Index != 0 {
			return nil, fmt.Errorf("its event %d is of key %q of organization %s, revision %d: want key %q of organization %s, revision 0",
				i, event.Key, plain.Quote(event.Organization), event.Revision, key, plain.Quote(organization))
		}
		event.Revision, event.Index = revision, i
	}
	return events, nil
}

// UnreadableEvents returns the error of stored but unreadable events of a revision (E7). It
// wraps err, the reason.
func UnreadableEvents(revision uint64, err error) error {
	return fmt.Errorf("store: the events of revision %d cannot be read: %w", revision, err)
}

// An EventReader makes a page of whole writes (E12 to E14). Make one with [NewEventReader].
type EventReader struct {
	request store.EventRequest
	page    store.EventPage
	latest  store.Position
}

// NewEventReader returns a reader of a request. latest is the position of the store in the
// snapshot that the events are read from.
func NewEventReader(request store.EventRequest, latest store.Position) *EventReader {
	return &EventReader{request: request, latest: latest}
}

// Enough returns the number of further writes that fill the page for certain: at first
// request.Size()+1, and always one at least. A request for one key may have to look through
// many more.
func (r *EventReader) Enough() int { return max(r.request.Size()-len(r.page.Events), 0) + 1 }

// Add adds the events of the next write, in the order of the request: they are as decoded.
// It is false if the page is full, and then nothing more is to be read.
func (r *EventReader) Add(events []store.Event) (more bool) {
	have := len(r.page.Events)
	if have > 0 && have+len(events) > r.request.Size() {
		r.page.More = true
		return false
	}
	if r.request.Newest {
		slices.Reverse(events)
	}
	r.page.Events = append(r.page.Events, events...)
	r.page.Next = store.Position{History: r.latest.History, Revision: events[0].Revision}
	return true
}

// Page returns the page.
func (r *EventReader) Page() store.EventPage {
	if r.page.More {
		return r.page
	}
	switch newest := r.request.Newest; {
	case !newest:
		r.page.Next = r.latest
	case len(r.page.Events) > 0: // nothing is older than the last one
	case r.request.After != store.Position{}:
		r.page.Next = r.request.After
	default:
		r.page.Next = r.latest
	}
	return r.page
}
