package adapter_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// newEvents returns n events of a record, as they are written.
func newEvents(organization string, key apikey.ID, n int) (events []store.Event) {
	for i := range n {
		events = append(events, store.Event{
			Time: time.Date(2031, 1, 2, 3, 4, 5, 6000, time.UTC), Type: store.EventKeyDescribed, Organization: organization, Key: key,
			Actor: store.Actor{Kind: store.ActorSystem}, Via: store.ViaLibrary, Correlation: fmt.Sprint(i), After: []byte(`{"a":1}`),
		})
	}
	return events
}

func TestCheckWrite(t *testing.T) {
	w := store.Write{PutOrganization: &policy.Organization{ID: "acme"}, Events: newEvents("acme", "", 2)}
	wantError(t, adapter.CheckWrite(w), nil)
	w.Events[1].Organization = "other"
	err := adapter.CheckWrite(w)
	wantError(t, err, store.ErrInvalid)
	assert.ErrorContains(t, err, "event 1")
	wantError(t, adapter.CheckWrite(store.Write{}), store.ErrInvalid)
}

// E5.
func TestCheckCondition(t *testing.T) {
	for _, test := range []struct {
		wanted, stored uint64
		err            error
	}{{0, 0, nil}, {5, 5, nil}, {1<<64 - 1, 1<<64 - 1, nil}, {0, 5, store.ErrConflict}, {5, 0, store.ErrConflict}, {5, 6, store.ErrConflict}, {6, 5, store.ErrConflict}} {
		wantError(t, adapter.CheckCondition(store.Condition{Organization: "acme", Revision: test.wanted}, test.stored), test.err)
		wantError(t, adapter.CheckCondition(store.Condition{Organization: "acme", Key: "key", Revision: test.wanted}, test.stored), test.err)
	}
	err := adapter.CheckCondition(store.Condition{Organization: "acme", Key: "key", Revision: 7}, 9)
	assert.EqualError(t, err, `store: a condition: key "key" has revision 9, not 7: revision conflict: it was changed since it was read`)
	err = adapter.CheckCondition(store.Condition{Organization: "acme"}, 9)
	assert.ErrorContains(t, err, `organization "acme" has revision 9, not 0`)
}

// E9.
func TestCheckDeleteOf(t *testing.T) {
	c := store.Condition{Organization: "acme", Key: "key", Revision: 5}
	wantError(t, adapter.CheckDeleteOf(c, 5), nil)
	wantError(t, adapter.CheckDeleteOf(c, 4), store.ErrConflict)
	wantError(t, adapter.CheckDeleteOf(c, 0), store.ErrNotFound)
	c.Key = ""
	assert.ErrorContains(t, adapter.CheckDeleteOf(c, 0), `organization "acme": not found`)
}

// E6 and E11.
func TestCheckEventsAfter(t *testing.T) {
	for _, test := range []struct {
		after, forgotten, latest uint64
		read, forget             error
	}{
		{0, 0, 0, nil, nil}, {5, 5, 9, nil, nil}, {9, 9, 9, nil, nil}, {9, 0, 9, nil, nil},
		{4, 5, 9, store.ErrCompacted, nil}, {10, 0, 9, store.ErrCompacted, store.ErrCompacted},
	} {
		wantError(t, adapter.CheckEventsAfter(at(test.after), test.forgotten, at(test.latest)), test.read)
		wantError(t, adapter.CheckForget(at(test.after), at(test.latest)), test.forget)
	}
	other := store.Position{History: strings.Repeat("other ", 100), Revision: 5}
	for _, err := range []error{adapter.CheckEventsAfter(other, 0, at(9)), adapter.CheckForget(other, at(9))} {
		wantError(t, err, store.ErrCompacted)
		assert.Less(t, len(err.Error()), 400)
	}
	assert.EqualError(t, adapter.CheckEventsAfter(at(4), 5, at(9)),
		`store: read events after revision 4 of history "history", of a store that has forgotten those up to 5: want the zero Position: the history does not reach back so far`)
	assert.EqualError(t, adapter.CheckForget(at(10), at(9)),
		`store: forget events up to revision 10 of history "history", of a store that has come to 9: want the Next of a page: the history does not reach back so far`)
}

// E16.
func TestCheckEventRequest(t *testing.T) {
	wantError(t, adapter.CheckEventRequest(store.EventRequest{}), nil)
	wantError(t, adapter.CheckEventRequest(store.EventRequest{Organization: "acme", Key: "key"}), nil)
	err := adapter.CheckEventRequest(store.EventRequest{Key: "key"})
	wantError(t, err, store.ErrInvalid)
	assert.ErrorContains(t, err, `key "key" of no organization: want its organization`)
}

func TestEventsDocument(t *testing.T) {
	document, err := adapter.EncodeEvents(nil)
	require.NoError(t, err)
	assert.Nil(t, document)

	events := newEvents("acme", "key", 3)
	document, err = adapter.EncodeEvents(events)
	require.NoError(t, err)
	assert.NotContains(t, string(document), "revision")
	read, err := adapter.DecodeEvents(document, "acme", "key", 7)
	require.NoError(t, err)
	require.Len(t, read, 3)
	for i, event := range events {
		assert.Zero(t, event.Revision, "the caller's are left as they are")
		event.Revision, event.Index = 7, i
		assert.True(t, event.Equal(read[i]))
	}

	for want, decode := range map[string]func() error{
		`its event 0 is of key "key" of organization "acme", revision 0: want key "key" of organization "other", revision 0`: func() error { _, err := adapter.DecodeEvents(document, "other", "key", 7); return err },
		`want key "other" of organization "acme"`: func() error { _, err := adapter.DecodeEvents(document, "acme", "other", 7); return err },
		`revision 3: want`: func() error {
			_, err := adapter.DecodeEvents([]byte(strings.Replace(string(document), `"time"`, `"revision":3,"time"`, 1)), "acme", "key", 7)
			return err
		},
		`revision 0: want`: func() error {
			_, err := adapter.DecodeEvents([]byte(strings.Replace(string(document), `"time"`, `"index":3,"time"`, 1)), "acme", "key", 7)
			return err
		},
		`unexpected end`:        func() error { _, err := adapter.DecodeEvents(document[:40], "acme", "key", 7); return err },
		`number 1`:              func() error { _, err := adapter.DecodeEvents(without(document, "via"), "acme", "key", 7); return err },
		`want an array`:         func() error { _, err := adapter.DecodeEvents([]byte(`{}`), "acme", "key", 7); return err },
		`has no events: want`:   func() error { _, err := adapter.DecodeEvents([]byte(`[]`), "acme", "key", 7); return err },
		`after top-level value`: func() error { _, err := adapter.DecodeEvents(append(document, '1'), "acme", "key", 7); return err },
	} {
		assert.ErrorContains(t, decode(), want)
	}
	events[1].Type = ""
	_, err = adapter.EncodeEvents(events)
	assert.ErrorContains(t, err, "store: the events of a write")

	reason := errors.New("it is cut")
	err = adapter.UnreadableEvents(7, reason)
	assert.ErrorIs(t, err, reason)
	assert.EqualError(t, err, "store: the events of revision 7 cannot be read: it is cut")
	err = adapter.UndeletedEvents(7, reason)
	assert.ErrorIs(t, err, reason)
	assert.EqualError(t, err, "store: events up to revision 7 are forgotten, but not all were deleted: forget them again: it is cut")
	err = adapter.UndeletedEvents(7, adapter.NotWritten(reason))
	assert.ErrorIs(t, err, reason)
	assert.NotErrorIs(t, err, store.ErrNotWritten, "the Write has forgotten them")
}

// E12 to E14.
func TestEventReader(t *testing.T) {
	write := func(revision uint64, n int) []store.Event {
		events := newEvents("acme", "key", n)
		for i := range events {
			events[i].Revision, events[i].Index = revision, i
		}
		return events
	}
	ids := func(page store.EventPage) (all []string) {
		for _, event := range page.Events {
			all = append(all, fmt.Sprintf("%d.%d", event.Revision, event.Index))
		}
		return all
	}
	for _, test := range []struct {
		request store.EventRequest
		writes  [][]store.Event
		want    []string
		next    uint64
		more    bool
	}{
		{store.EventRequest{}, nil, nil, 9, false},
		{store.EventRequest{After: at(4)}, nil, nil, 9, false},
		{store.EventRequest{Newest: true}, nil, nil, 9, false},
		{store.EventRequest{Newest: true, After: at(4)}, nil, nil, 4, false},
		{store.EventRequest{Limit: 3}, [][]store.Event{write(3, 1), write(5, 2)}, []string{"3.0", "5.0", "5.1"}, 9, false},
		{store.EventRequest{Limit: 3}, [][]store.Event{write(3, 1), write(5, 2), write(6, 1)}, []string{"3.0", "5.0", "5.1"}, 5, true},
		{store.EventRequest{Limit: 2}, [][]store.Event{write(3, 1), write(5, 2), write(6, 1)}, []string{"3.0"}, 3, true},
		{store.EventRequest{Limit: 1}, [][]store.Event{write(5, 3), write(6, 1)}, []string{"5.0", "5.1", "5.2"}, 5, true},
		{store.EventRequest{Limit: 1}, [][]store.Event{write(5, 3)}, []string{"5.0", "5.1", "5.2"}, 9, false},
		{store.EventRequest{Limit: 3, Newest: true}, [][]store.Event{write(5, 2), write(3, 1)}, []string{"5.1", "5.0", "3.0"}, 3, false},
		{store.EventRequest{Limit: 2, Newest: true}, [][]store.Event{write(5, 2), write(3, 1)}, []string{"5.1", "5.0"}, 5, true},
	} {
		reader := adapter.NewEventReader(test.request, at(9))
		assert.Equal(t, test.request.Size()+1, reader.Enough())
		full := false
		for _, events := range test.writes {
			enough := reader.Enough()
			assert.Positive(t, enough, "%+v", test.request)
			if full = !reader.Add(events); !full {
				assert.Equal(t, max(enough-len(events), 1), reader.Enough(), "%+v", test.request)
			}
			if full {
				break
			}
		}
		assert.Equal(t, test.more, full, "%+v", test.request)
		page := reader.Page()
		assert.Equal(t, test.want, ids(page), "%+v", test.request)
		assert.Equal(t, at(test.next), page.Next, "%+v", test.request)
		assert.Equal(t, test.more, page.More, "%+v", test.request)
	}
}
