package storetest

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var eventCases = []testCase{
	{sentence: "E7", name: "an event comes back in every field", run: richEventComesBack},
	{sentence: "E7", name: "members of a later version come back", run: laterEvent},
	{sentence: "E7", name: "times of events are kept to the microsecond", run: eventTimes},
	{sentence: "E7", name: "changing what was passed in or returned changes no event", run: eventsAreNotShared},
	{sentence: "E7", name: "events are there after reopening", run: eventsAfterReopening, needs: "Reopen"},
	{sentence: "E7", name: "events that cannot be read are an error", run: unreadableEvents, needs: "Damage.Events"},
	{sentence: "E12", name: "events come in order, in either direction", run: eventOrder},
	{sentence: "E12", name: "only events of the organization and the key come", run: eventsOfOne},
	{sentence: "E13", name: "pages have whole writes and are full", run: eventPages},
	{sentence: "E16", name: "a key without an organization is refused", run: eventsOfNoOrganization},
}

func richEventComesBack(k *kit) {
	k.organization("acme é")
	rich := fixture.RichEvent("acme é", "key")
	person, plain := fixture.RichEvent("acme é", "key"), fixture.Event("acme é", "key", "")
	person.Actor = store.Actor{Kind: store.ActorPerson, ID: "jo@example.com"}
	person.Address, person.Origin, person.Accepted = netip.MustParseAddr("192.0.2.1"), policy.OriginPeer, nil
	person.Before, person.After = nil, []byte(`{ "spaced" : [ 1 , 2 ] }`)
	system := fixture.Event("acme é", "key", "")
	system.Actor, system.Address = store.Actor{Kind: store.ActorSystem, ID: "cron", Name: "the nightly job"}, netip.MustParseAddr("::ffff:192.0.2.1")
	system.Entry = netip.MustParsePrefix("2001:db8::/32")
	key := fixture.Plain("key", "acme é")
	w := store.Write{PutKey: &key, Options: []store.PutOption{store.AllowOpen}, Events: []store.Event{rich, person, plain, system, rich}}
	want := k.kept(w)
	for name, request := range map[string]store.EventRequest{
		"all events": {}, "those of the organization": {Organization: "acme é"}, "those of the key": {Organization: "acme é", Key: "key"},
	} {
		got := k.events(request)
		k.wantSame(name, got, want)
		for i := range min(len(got), len(want)) {
			if !got[i].Equal(want[i]) {
				k.Errorf("%s: an event is %+v; want %+v", name, got[i], want[i])
			}
		}
	}
}

// laterEvent keeps an event with what only a later version knows.
func laterEvent(k *kit) {
	k.organization("acme")
	event := fixture.Event("acme", "key", "later")
	text := fixture.Must(event.MarshalJSON())
	text = append(text[:len(text)-1], `,"origin":"satellite","ticket":{"id":7,"texts":["\u003cb\u003e",null]}}`...)
	if err := event.UnmarshalJSON(text); err != nil {
		panic(err)
	}
	key := fixture.Plain("key", "acme", "192.0.2.1")
	want := k.kept(store.Write{PutKey: &key, Events: []store.Event{event}})
	for _, request := range []store.EventRequest{{}, {Organization: "acme", Key: "key", Newest: true}} {
		got := k.events(request)
		k.wantSame("all events", got, want)
		if len(got) == 1 && !got[0].Equal(want[0]) {
			k.Errorf("an event with members of unknown names is %s; want %s", fixture.Must(got[0].MarshalJSON()), fixture.Must(want[0].MarshalJSON()))
		}
	}
}

func eventTimes(k *kit) {
	k.organization("acme")
	var events []store.Event
	for _, at := range hardTimes {
		event := fixture.Event("acme", "key", at.String())
		event.Time = at
		events = append(events, event)
	}
	key := fixture.Plain("key", "acme")
	want := k.kept(store.Write{PutKey: &key, Options: []store.PutOption{store.AllowOpen}, Events: events})
	k.wantEvents("events of every time", everyEvent, want)

	// Below a microsecond a store may round.
	fine := fixture.Event("acme", "key", "fine")
	fine.Time = fixture.Moment.Add(789 * time.Nanosecond)
	key = k.readKey("key")
	k.write(store.Write{PutKey: &key, Options: []store.PutOption{store.AllowOpen}, Events: []store.Event{fine}})
	if got := k.page(store.EventRequest{Newest: true, Limit: 1}).Events[0].Time; got.Sub(fine.Time).Abs() >= time.Microsecond {
		k.Errorf("the time of an event is %v; want %v, to the microsecond", got, fine.Time)
	}
}

func eventsAreNotShared(k *kit) {
	spoilEvents := func(events []store.Event) {
		for i := range events {
			for _, text := range [][]byte{events[i].Before, events[i].After} {
				for j := range text {
					text[j] = ' '
				}
			}
			for j := range events[i].Accepted {
				events[i].Accepted[j] = "spoilt"
			}
			events[i].Correlation, events[i].Revision = "spoilt", 1
		}
	}
	k.organization("acme")
	key := fixture.Plain("key", "acme")
	w := store.Write{PutKey: &key, Options: []store.PutOption{store.AllowOpen}, Events: []store.Event{fixture.RichEvent("acme", "key"), fixture.RichEvent("acme", "key")}}
	given := make([]store.Event, len(w.Events))
	for i, event := range w.Events {
		given[i] = event.Clone()
	}
	want := fixture.Kept(given, k.write(w))
	k.wantSame("the events passed to Write, afterwards,", w.Events, given)
	spoilEvents(w.Events)
	k.wantEvents("after the events passed to Write were changed", everyEvent, want)
	for _, newest := range []bool{false, true, false} {
		spoilEvents(k.events(store.EventRequest{Newest: newest}))
		k.wantEvents("after the events of a page were changed", everyEvent, want)
	}
}

func eventsAfterReopening(k *kit) {
	want := k.journalled()
	k.reopen()
	k.wantEvents("after reopening", everyEvent, want)
	k.wantEvents("after reopening, those of an organization", store.EventRequest{Organization: "acme"}, of(want, "acme", ""))
	want = append(want, k.kept(putOf(fixture.Plain("later", "acme"), "later", 2))...)
	k.wantEvents("after reopening and another Write", everyEvent, want)
}

// journalled makes Writes of several records, each of another number of events, and returns
// the events.
func (k *kit) journalled() (want []store.Event) {
	k.Helper()
	keep := func(w store.Write) { want = append(want, k.kept(w)...) }
	keep(putOrganizationOf(policy.Organization{ID: "acme"}, "acme", 1))
	keep(putOrganizationOf(policy.Organization{ID: "other"}, "other", 2))
	for i, n := range []int{1, 3, 1, 1, 7, 2, 0, 1, 5} {
		organization := []string{"acme", "other", "acme"}[i%3]
		keep(putOf(fixture.Plain(apikey.ID(fmt.Sprint("key-", i)), organization), fmt.Sprint("create ", i), n))
		k.putOrganization(k.readOrganization(organization)) // revisions without events
	}
	keep(putOf(k.readKey("key-1"), "replace 1", 2))
	keep(deletionOf(k.readKey("key-1"), "delete 1"))
	keep(putOf(fixture.Plain("key-1", "acme"), "elsewhere", 2)) // of another organization now
	keep(putOf(k.readKey("key-0"), "replace 0", 1))
	return want
}

// of returns the events of an organization and a key, if they are not empty.
func of(events []store.Event, organization string, key apikey.ID) []store.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e store.Event) bool {
		return organization != "" && e.Organization != organization || key != "" && e.Key != key
	})
}

// eventRequests are requests for the events of journalled.
var eventRequests = []store.EventRequest{
	{}, {Organization: "acme"}, {Organization: "other"}, {Organization: "acme", Key: "key-1"}, {Organization: "other", Key: "key-1"},
	{Organization: "acme", Key: "key-4"}, {Organization: "other", Key: "key-4"}, {Organization: "never"}, {Organization: "acme", Key: "never"},
	{Organization: "Acme"}, {Organization: "acme "}, {Organization: "\xff\x00"}, {Organization: "acme", Key: "KEY-1"}, {Organization: "acme", Key: "\x00"},
}

func eventOrder(k *kit) {
	want := k.journalled()
	for _, limit := range []int{0, 1, 3} {
		k.wantEvents("ascending", store.EventRequest{Limit: limit}, want)
	}
	slices.Reverse(want)
	for _, limit := range []int{0, 1, 3} {
		k.wantEvents("newest first", store.EventRequest{Limit: limit, Newest: true}, want)
	}
}

func eventsOfOne(k *kit) {
	written := k.journalled()
	for _, request := range eventRequests {
		want := of(written, request.Organization, request.Key)
		k.wantEvents(fmt.Sprintf("of organization %q and key %q", request.Organization, request.Key), request, want)
		request.Newest = true
		slices.Reverse(want)
		k.wantEvents(fmt.Sprintf("of organization %q and key %q, newest first", request.Organization, request.Key), request, want)
	}
}

// pageOf returns the first page of the events that follow.
func pageOf(follow []store.Event, size int) (page []store.Event, more bool) {
	for len(page) < len(follow) {
		end := len(page)
		for end < len(follow) && follow[end].Revision == follow[len(page)].Revision {
			end++
		}
		if len(page) > 0 && end > size {
			return page, true
		}
		page = follow[:end]
	}
	return page, false
}

func eventPages(k *kit) {
	written := k.journalled()
	for _, request := range eventRequests[:5] {
		for _, request.Newest = range []bool{false, true} {
			for _, request.Limit = range []int{1, 2, 3, 4, 6, 7, 8, 9, 1000} {
				request, follow := request, of(written, request.Organization, request.Key)
				if request.Newest {
					slices.Reverse(follow)
				}
				for {
					want, more := pageOf(follow, request.Size())
					got := k.page(request)
					k.wantSame(fmt.Sprintf("page %+v", request), got.Events, want)
					if got.More != more {
						k.Fatalf("page %+v has More %t; want %t: %d events follow", request, got.More, more, len(follow)-len(want))
					}
					if !more || k.Failed() {
						break
					}
					request.After, follow = got.Next, follow[len(want):]
				}
			}
		}
	}
	// The bounds of a page.
	acme := k.readOrganization("acme")
	for range store.MaxPageSize/store.MaxEvents + 1 {
		acme.Revision = k.write(putOrganizationOf(acme, "many", store.MaxEvents))
	}
	if got := k.page(store.EventRequest{Newest: true, Limit: 1}); len(got.Events) != store.MaxEvents || !got.More {
		k.Errorf("a page of limit 1 has %d events, More %t; want all %d of its first write, and more", len(got.Events), got.More, store.MaxEvents)
	}
	for _, limit := range []int{0, -1, store.MaxPageSize, store.MaxPageSize + 1, 1 << 40} {
		want, more := pageOf(k.events(everyEvent), store.EventRequest{Limit: limit}.Size())
		if got := k.page(store.EventRequest{Limit: limit}); len(got.Events) != len(want) || got.More != more {
			k.Errorf("a page of limit %d has %d events, More %t; want %d and %t", limit, len(got.Events), got.More, len(want), more)
		}
	}
}

func eventsOfNoOrganization(k *kit) {
	k.journalled()
	for _, request := range []store.EventRequest{{Key: "key-1"}, {Key: "never"}, {Key: "key-1", Newest: true}} {
		page, err := k.journal().Events(k.ctx, request)
		k.wantError(err, store.ErrInvalid, "Events of a key without an organization")
		if len(page.Events) > 0 {
			k.Errorf("Events of a key without an organization returned %s", fixture.ShownEvents(page.Events))
		}
	}
}

func unreadableEvents(k *kit) {
	written := k.journalled()
	damaged := of(written, "other", "key-4")[0]
	k.option("Damage", func() { k.runner.damages.Events(k.TB, k.adapter, damaged.Revision) })
	for _, newest := range []bool{false, true} {
		for _, request := range []store.EventRequest{{}, {Organization: "other"}, {Organization: "other", Key: "key-4"}, {Limit: 1}} {
			request.Newest = newest
			var read []store.Event
			var err error
			for err == nil {
				var page store.EventPage
				page, err = k.journal().Events(k.ctx, request)
				read = append(read, page.Events...)
				if request.After = page.Next; !page.More {
					break
				}
			}
			k.wantUnreadable(err, "Events of %+v, with %s and some that cannot be read,", request, fixture.ShownEvents(read))
			if errors.Is(err, store.ErrCompacted) {
				k.Errorf("Events that cannot be read: error is %s; want another, since they were not forgotten", quoted(err))
			}
		}
	}
	k.wantEvents("of another organization than that of events that cannot be read", store.EventRequest{Organization: "acme"}, of(written, "acme", ""))

	// The record is not affected, and the journal goes on. They may be forgotten.
	later := k.kept(putOf(k.readKey("key-4"), "later", 1))
	page := k.page(store.EventRequest{Newest: true, Limit: 1})
	k.wantSame("after a further Write", page.Events, later)
	k.write(store.Write{Forget: &store.Position{History: page.Next.History, Revision: damaged.Revision}})
	k.wantEvents("after those that cannot be read were forgotten", everyEvent, append(slices.DeleteFunc(written, func(e store.Event) bool { return e.Revision <= damaged.Revision }), later...))
}
