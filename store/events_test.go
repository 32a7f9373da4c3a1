package store_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/faulty"
)

// A rotation and its event are one write, on the condition that the organization is as it
// was when the rotation was allowed.
func ExampleJournal() {
	ctx := context.Background()
	keys := memory.New()
	acme, _ := keys.PutOrganization(ctx, policy.Organization{ID: "acme", Requirement: policy.Required})
	key, _, _ := apikey.New("acme")
	key.ID = "backup"
	key, _ = keys.PutKey(ctx, key, store.AllowOpen)

	journal, ok := store.As[store.Journal](keys)
	if !ok {
		return // an event could be lost
	}
	key.Disabled = true
	write := store.Write{
		PutKey: &key,
		If:     []store.Condition{{Organization: "acme", Revision: acme.Revision}},
		Events: []store.Event{{
			Time: time.Now(), Type: store.EventKeyDisabled, Organization: "acme", Key: "backup",
			Actor: store.Actor{Kind: store.ActorPerson, ID: "jo@example.com"}, Via: store.ViaConsole, Reason: "it leaked",
			Before: []byte(`{"disabled":false}`), After: []byte(`{"disabled":true}`),
		}},
	}
	_, err := journal.Write(ctx, write)
	fmt.Println(err)

	// The same again: the key has another revision now. Nothing is changed or kept.
	_, err = journal.Write(ctx, write)
	fmt.Println(errors.Is(err, store.ErrConflict))

	_ = keys.DeleteKey(ctx, "backup", 0) // the events outlive the key
	page, _ := journal.Events(ctx, store.EventRequest{Organization: "acme", Key: "backup", Newest: true, Limit: 10})
	for _, event := range page.Events {
		fmt.Println(event.ID(), event.Type, event.Actor.ID, event.Reason, string(event.After))
	}
	// Output:
	// <nil>
	// true
	// 000000000000000300000000 key.disabled jo@example.com it leaked {"disabled":true}
}

// A follower hands on every event, and keeps its position after each page.
func ExampleFollowEvents() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	keys := memory.New()
	for _, id := range []string{"acme", "globex"} {
		_, _ = keys.Write(ctx, store.Write{
			PutOrganization: &policy.Organization{ID: id},
			Events:          []store.Event{{Time: time.Now(), Type: store.EventOrganizationCreated, Organization: id, Actor: store.Actor{Kind: store.ActorSystem}, Via: store.ViaLibrary}},
		})
	}
	var kept store.Position // where the follower keeps its own things
	for page, err := range store.FollowEvents(ctx, keys, store.EventRequest{After: kept}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, event := range page.Events {
			fmt.Println(event.Type, event.Organization)
		}
		kept = page.Next
		if kept.Revision == 2 { // enough for an example
			break
		}
	}
	// Output:
	// organization.created acme
	// organization.created globex
}

// Events that everybody has read are forgotten, and an event says so.
func ExampleEventsBefore() {
	ctx, keys := context.Background(), memory.New()
	event := func(kind store.EventType, organization string, at time.Time) []store.Event {
		return []store.Event{{Time: at, Type: kind, Organization: organization, Actor: store.Actor{Kind: store.ActorSystem, ID: "retention"}, Via: store.ViaLibrary}}
	}
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for i, id := range []string{"acme", "globex", "initech"} {
		_, _ = keys.Write(ctx, store.Write{PutOrganization: &policy.Organization{ID: id}, Events: event(store.EventOrganizationCreated, id, now.AddDate(i-2, 0, 0))})
	}
	through, err := store.EventsBefore(ctx, keys, now.AddDate(0, 0, -400))
	if err != nil || through == (store.Position{}) {
		fmt.Println("nothing to forget", err)
		return
	}
	_, err = keys.Write(ctx, store.Write{Forget: &through, Events: event(store.EventEventsForgotten, "", now)})
	fmt.Println(err)
	for event, err := range store.AllEvents(ctx, keys, store.EventRequest{}) {
		fmt.Println(event.Type, event.Organization, err)
	}
	// Output:
	// <nil>
	// organization.created globex <nil>
	// organization.created initech <nil>
	// events.forgotten  <nil>
}

// journalled returns a store with an organization and n events of it, and one of another.
func journalled(t *testing.T, n int) (*memory.Store, []store.Event) {
	ctx, s := t.Context(), memory.New()
	_, err := s.Write(ctx, store.Write{PutOrganization: &policy.Organization{ID: "other"}, Events: numbered("other", "other", 1)})
	require.NoError(t, err)
	var events []store.Event
	acme := policy.Organization{ID: "acme"}
	for i := range n {
		w := store.Write{PutOrganization: &acme, Events: numbered("acme", fmt.Sprint(i), 2)}
		for j := range w.Events {
			w.Events[j].Time = moment.Add(time.Duration(2*i+j) * time.Hour)
		}
		acme.Revision, err = s.Write(ctx, w)
		require.NoError(t, err)
		events = append(events, keptEvents(w.Events, acme.Revision)...)
	}
	return s, events
}

var errDown = errors.New("down")

func TestAllEvents(t *testing.T) {
	s, want := journalled(t, 5)
	var got []store.Event
	for event, err := range store.AllEvents(t.Context(), s, store.EventRequest{Organization: "acme", Limit: 3}) {
		require.NoError(t, err)
		got = append(got, event)
	}
	assert.Equal(t, len(want), len(got))
	for i := range want {
		assert.True(t, want[i].Equal(got[i]))
	}
	for range store.AllEvents(t.Context(), s, store.EventRequest{}) {
		break
	}
	f := faulty.New(s)
	f.BreakNext(1, faulty.Fail(errDown), faulty.Events)
	n := 0
	journal, _ := store.As[store.Journal](f)
	for event, err := range store.AllEvents(t.Context(), journal, store.EventRequest{}) {
		assert.ErrorIs(t, err, errDown)
		assert.Zero(t, event)
		n++
	}
	assert.Equal(t, 1, n)
}

func TestFindEvent(t *testing.T) {
	ctx := t.Context()
	s, want := journalled(t, 5)
	for _, event := range want {
		got, err := store.FindEvent(ctx, s, "acme", event.ID())
		require.NoError(t, err)
		assert.True(t, event.Equal(got))
		_, err = store.FindEvent(ctx, s, "other", event.ID())
		assert.ErrorIs(t, err, store.ErrNotFound, "an event of another organization")
	}
	through := store.Position{History: mustPage(t, s).Next.History, Revision: want[1].Revision}
	_, err := s.Write(ctx, store.Write{Forget: &through})
	require.NoError(t, err)
	for name, id := range map[string]string{
		"no ID": "x", "revision zero": store.Event{}.ID(), "an index beyond": store.Event{Revision: want[5].Revision, Index: 9}.ID(),
		"a revision to come": store.Event{Revision: 1000}.ID(), "forgotten": want[0].ID(), "of a write without events": store.Event{Revision: want[9].Revision + 1}.ID(),
		"a long text": fmt.Sprintf("%01000d", 7),
	} {
		_, err := store.FindEvent(ctx, s, "acme", id)
		require.ErrorIs(t, err, store.ErrNotFound, name)
		assert.Less(t, len(err.Error()), 300)
	}
	_, err = store.FindEvent(ctx, s, "", want[5].ID())
	assert.ErrorIs(t, err, store.ErrNotFound, "of no organization")

	f := faulty.New(s)
	journal, _ := store.As[store.Journal](f)
	f.BreakNext(1, faulty.Fail(errDown), faulty.Events)
	_, err = store.FindEvent(ctx, journal, "acme", want[5].ID())
	assert.ErrorIs(t, err, errDown)
	second := &failSecond{Journal: s}
	_, err = store.FindEvent(ctx, second, "acme", want[5].ID())
	assert.ErrorIs(t, err, errDown)
	assert.NotErrorIs(t, err, store.ErrNotFound)
}

// failSecond fails to read a second page.
type failSecond struct {
	store.Journal
	calls int
}

func (f *failSecond) Events(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
	if f.calls++; f.calls == 2 {
		return store.EventPage{}, errDown
	}
	return f.Journal.Events(ctx, request)
}

func mustPage(t *testing.T, journal store.Journal) store.EventPage {
	page, err := journal.Events(t.Context(), store.EventRequest{})
	require.NoError(t, err)
	return page
}

func TestEventsBefore(t *testing.T) {
	ctx := t.Context()
	s, events := journalled(t, 5) // of hours 0 and 1, 2 and 3, …
	for hours, want := range map[float64]uint64{
		-1: 0, 0: 0, 1: 0, 1.5: events[1].Revision, 2: events[1].Revision, 3: events[1].Revision, 4: events[3].Revision, 9.5: events[9].Revision, 100: events[9].Revision,
	} {
		through, err := store.EventsBefore(ctx, journalOf{s, "acme"}, moment.Add(time.Duration(hours*float64(time.Hour))))
		require.NoError(t, err)
		assert.Equal(t, want, through.Revision, "%v hours", hours)
		assert.Equal(t, want == 0, through == store.Position{})
	}
	// Of several pages, and none.
	s, events = journalled(t, 2*store.MaxPageSize/2+3)
	through, err := store.EventsBefore(ctx, journalOf{s, "acme"}, moment.AddDate(100, 0, 0))
	require.NoError(t, err)
	assert.Equal(t, events[len(events)-1].Revision, through.Revision)
	through, err = store.EventsBefore(ctx, journalOf{s, "acme"}, events[store.MaxPageSize].Time)
	require.NoError(t, err)
	assert.Equal(t, events[store.MaxPageSize-1].Revision, through.Revision)
	through, err = store.EventsBefore(ctx, memory.New(), time.Now())
	assert.NoError(t, err)
	assert.Zero(t, through)
	_, err = store.EventsBefore(ctx, &failSecond{Journal: journalOf{s, "acme"}}, moment.AddDate(100, 0, 0))
	assert.ErrorIs(t, err, errDown)
}

// journalOf has the events of one organization only.
type journalOf struct {
	store.Journal
	organization string
}

func (j journalOf) Events(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
	request.Organization = j.organization
	return j.Journal.Events(ctx, request)
}

// unwatched is a Journal without a feed.
type unwatched struct {
	store.Store
	store.Journal
}

func (u unwatched) Close() error { return u.Store.Close() }

// Each event comes once and in order, to a follower that begins in the middle, with a feed
// and without one.
func TestFollowEvents(t *testing.T) {
	for _, watches := range []bool{true, false} {
		t.Run(fmt.Sprint("feed ", watches), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, want := journalled(t, 5)
				var followed store.Store = s
				if !watches {
					followed = unwatched{s, s}
				}
				after := store.Position{History: mustPage(t, s).Next.History, Revision: want[1].Revision}
				want = want[2:]
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go func() {
					for range 3 {
						time.Sleep(5 * time.Second)
						acme, err := s.Organization(ctx, "acme")
						assert.NoError(t, err)
						_, err = s.Write(ctx, store.Write{PutOrganization: &acme, Events: numbered("acme", "later", 2)})
						assert.NoError(t, err)
					}
				}()
				var got []store.Event
				for page, err := range store.FollowEvents(ctx, followed, store.EventRequest{Organization: "acme", After: after, Limit: 2}) {
					require.NoError(t, err)
					got = append(got, page.Events...)
					assert.NotEmpty(t, page.Next.History)
					if len(got) >= len(want)+6 {
						break
					}
				}
				for i := range want {
					assert.True(t, want[i].Equal(got[i]))
				}
				assert.Equal(t, "later/1", got[len(want)+5].Correlation)
				assert.Len(t, got, len(want)+6)
			})
		})
	}
}

func TestFollowEventsEnds(t *testing.T) {
	follow := func(s store.Store, request store.EventRequest) (pages int, end error) {
		for page, err := range store.FollowEvents(t.Context(), s, request) {
			if err != nil {
				assert.Zero(t, page)
				return pages, err
			}
			if pages++; pages == 3 {
				return pages, nil
			}
		}
		return pages, errors.New("it ended without an error")
	}
	s, want := journalled(t, 5)
	_, err := follow(struct{ store.Store }{s}, store.EventRequest{})
	assert.ErrorIs(t, err, store.ErrInvalid)
	assert.ErrorContains(t, err, "want a Journal")
	_, err = follow(s, store.EventRequest{Newest: true})
	assert.ErrorIs(t, err, store.ErrInvalid)
	through := store.Position{History: mustPage(t, s).Next.History, Revision: want[3].Revision}
	_, err = s.Write(t.Context(), store.Write{Forget: &through})
	require.NoError(t, err)
	for _, followed := range []store.Store{s, unwatched{s, s}} {
		_, err = follow(followed, store.EventRequest{After: store.Position{History: through.History, Revision: 1}})
		assert.ErrorIs(t, err, store.ErrCompacted, "what was forgotten is no gap")
		pages, err := follow(followed, store.EventRequest{Limit: 2})
		assert.NoError(t, err)
		assert.Equal(t, 3, pages)
	}
	for _, method := range []faulty.Method{faulty.Position, faulty.Watch, faulty.Events} {
		f := faulty.New(s)
		f.Break(faulty.Fail(errDown), method)
		_, err = follow(f, store.EventRequest{})
		assert.ErrorIs(t, err, errDown, method)
	}
	// A feed that does not reach back so far is watched again. The journal goes on.
	f := faulty.New(s)
	f.BreakNext(3, faulty.Fail(store.ErrCompacted), faulty.Watch)
	pages, err := follow(f, store.EventRequest{Limit: 2})
	assert.NoError(t, err)
	assert.Equal(t, 3, pages)

	for _, followed := range []store.Store{s, unwatched{s, s}} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		for _, err = range store.FollowEvents(ctx, followed, store.EventRequest{}) {
		}
		cancel()
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	}
	_, err = follow(silent{s}, store.EventRequest{})
	assert.ErrorContains(t, err, "Watch ended without an error")
}

// silent has a feed that delivers nothing, not even an error.
type silent struct{ *memory.Store }

func (silent) Watch(context.Context, store.Position) iter.Seq2[store.Change, error] {
	return func(func(store.Change, error) bool) {}
}

func TestEventRequestSize(t *testing.T) {
	for limit, want := range map[int]int{-1: store.DefaultPageSize, 0: store.DefaultPageSize, 7: 7, store.MaxPageSize + 1: store.MaxPageSize} {
		assert.Equal(t, want, store.EventRequest{Limit: limit}.Size())
	}
}
