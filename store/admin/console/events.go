package console

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/store"
)

type eventsBody struct {
	eventList
	Key, Type, From, Until string // the filters
	Filtered               bool
	Types                  []choice
	Turn                   turn
}

type eventList struct {
	Journal  bool // the store keeps events
	Rows     []eventRow
	Next     store.Position
	More     bool
	Searched int
}

type eventRow struct {
	ID, Title   string
	Time        time.Time
	Key         string
	Project     string
	ActorKind   string
	Actor       string
	Address     netip.Addr
	Via         string
	Correlation string
	Reason      string
	Accepted    []string
	Entry       string
	Fields      []fieldChange
}

// A fieldChange is a field of a record before and after.
type fieldChange struct{ Name, Before, After string }

// A dateLayout is that of an input element of the type date. A day is one of UTC.
const dateLayout = "2006-01-02"

// showEvents shows who changed what, the newest first.
func showEvents(v *visit) (answer, error) {
	query := v.r.URL.Query()
	body := eventsBody{Key: strings.TrimSpace(query.Get("key")), Type: query.Get("type"), From: query.Get("from"), Until: query.Get("until")}
	body.Filtered = body.Key != "" || body.Type != "" || body.From != "" || body.Until != ""
	body.Types = eventChoices(body.Type)
	from, err := day(body.From)
	until, err2 := day(body.Until)
	after, err3 := position(query)
	if err := errors.Join(err, err2, err3); err != nil {
		return answer{}, noSuchQuery
	}
	if !until.IsZero() {
		until = until.AddDate(0, 0, 1)
	}
	request := store.EventRequest{Organization: v.organization.ID, Key: apikey.ID(body.Key), Newest: true, Limit: pageRows, After: after}
	body.eventList, err = v.searchEvents(request, func(e store.Event) bool {
		return (body.Type == "" || string(e.Type) == body.Type) && !e.Time.Before(from) && (until.IsZero() || e.Time.Before(until))
	})
	switch {
	case errors.Is(err, store.ErrCompacted):
		return answer{}, problem{Status: http.StatusGone, Title: "No longer kept", Text: "The events from there on were forgotten. Begin again from the first page."}
	case err != nil:
		return answer{}, err
	}
	var next url.Values
	if body.More {
		next = url.Values{"history": {body.Next.History}, "revision": {strconv.FormatUint(body.Next.Revision, 10)}}
	}
	body.Turn = v.turnOf(next, after == store.Position{}, len(body.Rows), body.Searched)
	return answer{Page: "events", Title: "Events", Tab: "events", Body: body}, nil
}

// eventChoices are all types by their titles.
func eventChoices(selected string) []choice {
	pairs := []string{"", "Any change"}
	for _, t := range slices.Sorted(maps.Keys(events)) {
		pairs = append(pairs, string(t), eventTitle(t))
	}
	return choices(selected, pairs...)
}

// day reads a day; an empty text is the zero time.
func day(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return time.Parse(dateLayout, text)
}

// position reads where the page begins; without one it is the zero Position.
func position(query url.Values) (store.Position, error) {
	if !query.Has("revision") {
		return store.Position{}, nil
	}
	revision, err := strconv.ParseUint(query.Get("revision"), 10, 64)
	return store.Position{History: query.Get("history"), Revision: revision}, err
}

// events reads one page.
func (v *visit) events(request store.EventRequest) (eventList, error) {
	return v.searchEvents(request, func(store.Event) bool { return true })
}

// searchEvents reads events until a page of them is kept, the last is read, or maxSearch were
// read.
func (v *visit) searchEvents(request store.EventRequest, keep func(store.Event) bool) (eventList, error) {
	journal, ok := store.As[store.Journal](v.Store)
	list := eventList{Journal: ok}
	for ok {
		page, err := journal.Events(v.r.Context(), request)
		if err != nil {
			return eventList{}, err
		}
		for _, e := range page.Events {
			if keep(e) {
				list.Rows = append(list.Rows, newEventRow(e))
			}
		}
		list.Searched += len(page.Events)
		list.Next, list.More, request.After = page.Next, page.More, page.Next
		ok = page.More && len(list.Rows) < request.Limit && list.Searched < maxSearch
	}
	return list, nil
}

func newEventRow(e store.Event) eventRow {
	row := eventRow{
		ID: e.ID(), Title: eventTitle(e.Type), Time: e.Time, Key: string(e.Key), Project: e.Project,
		ActorKind: string(e.Actor.Kind), Actor: e.Actor.ID, Address: e.Address, Via: string(e.Via),
		Correlation: e.Correlation, Reason: e.Reason, Fields: fieldChanges(e.Before, e.After),
	}
	if e.Actor.Name != "" {
		row.Actor = e.Actor.Name
	}
	if e.Entry.IsValid() {
		row.Entry = e.Entry.String()
		if e.Entry.IsSingleIP() {
			row.Entry = e.Entry.Addr().String()
		}
	}
	for _, accepted := range e.Accepted {
		row.Accepted = append(row.Accepted, words(accepted))
	}
	return row
}

// fieldChanges returns the fields of two JSON objects, in order, each bounded.
func fieldChanges(before, after json.RawMessage) (changes []fieldChange) {
	var old, now map[string]json.RawMessage
	_ = json.Unmarshal(before, &old) // events are valid: an object, or empty
	_ = json.Unmarshal(after, &now)
	names := slices.Collect(maps.Keys(old))
	for name := range now {
		if _, ok := old[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		changes = append(changes, fieldChange{plain.Cut(name, maxText), valueText(old[name]), valueText(now[name])})
	}
	return changes
}

// valueText returns a JSON string as its text, and any other value as it is.
func valueText(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return plain.Cut(text, maxText)
	}
	return plain.Cut(value, maxText)
}
