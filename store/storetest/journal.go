package storetest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var journalCases = []testCase{
	{sentence: "E1", name: "the events of a write that succeeded are kept", run: eventsAreKept},
	{sentence: "E1", name: "a refused Write changes and keeps nothing", run: refusedWriteKeepsNothing},
	{sentence: "E1", name: "a Write whose context ends under way happens with its events or not at all", run: interruptedEvents},
	{sentence: "E2", name: "events have the revision of their write and their place", run: eventRevisions},
	{sentence: "E2", name: "concurrent Writes get different revisions", run: concurrentEventRevisions},
	{sentence: "E4", name: "events outlive their record", run: eventsOutliveRecords},
	{sentence: "E8", name: "other methods keep no events", run: otherMethodsKeepNone},
	{sentence: "E9", name: "the changes of Writes are delivered", run: writesAreDelivered},
}

// journal returns the journal of the store.
func (k *kit) journal() store.Journal {
	k.Helper()
	journal, ok := store.As[store.Journal](k.store)
	if !ok {
		k.Fatalf("store.As finds no store.Journal in this store, though it did in another")
	}
	return journal
}

// write makes a Write; it must succeed.
func (k *kit) write(w store.Write) (revision uint64) {
	k.Helper()
	revision, err := k.journal().Write(k.ctx, w)
	if err != nil {
		k.Fatalf("Write of %s with %d events: %v", subject(w), len(w.Events), err)
	}
	return revision
}

// subject names what a Write is of.
func subject(w store.Write) string {
	organization, key := w.Subject()
	if w.Forget != nil {
		return fmt.Sprintf("the events up to revision %d", w.Forget.Revision)
	}
	return fmt.Sprintf("key %q of organization %.100q", key, organization)
}

// putOf is a Write that puts a key with n events, tagged.
func putOf(key apikey.Key, tag string, n int) store.Write {
	return store.Write{PutKey: &key, Options: []store.PutOption{store.AllowOpen}, Events: fixture.Numbered(key.Organization, key.ID, tag, n)}
}

// putOrganizationOf is putOf for an organization.
func putOrganizationOf(o policy.Organization, tag string, n int) store.Write {
	return store.Write{PutOrganization: &o, Events: fixture.Numbered(o.ID, "", tag, n)}
}

// deletionOf is a Write that deletes a key with an event.
func deletionOf(key apikey.Key, tag string) store.Write {
	return store.Write{
		Delete: &store.Condition{Organization: key.Organization, Key: key.ID, Revision: key.Revision},
		Events: fixture.Numbered(key.Organization, key.ID, tag, 1),
	}
}

// kept makes a Write that must succeed, and returns its events as they are read.
func (k *kit) kept(w store.Write) []store.Event {
	k.Helper()
	return fixture.Kept(w.Events, k.write(w))
}

// page reads a page of events; it must succeed.
func (k *kit) page(request store.EventRequest) store.EventPage {
	k.Helper()
	page, err := k.journal().Events(k.ctx, request)
	if err != nil {
		k.Fatalf("Events of %+v: %v", request, err)
	}
	return page
}

// events reads the events of a request, page by page.
func (k *kit) events(request store.EventRequest) (all []store.Event) {
	k.Helper()
	for {
		page := k.page(request)
		if all = append(all, page.Events...); !page.More {
			return all
		}
		if k.ctx.Err() != nil || len(page.Events) == 0 || page.Next == request.After {
			k.Fatalf("Events of %+v: after %d events a page of %d with More and Next %+v: the journal does not end", request, len(all), len(page.Events), page.Next)
		}
		request.After = page.Next
	}
}

// wantEvents checks the events of a request.
func (k *kit) wantEvents(what string, request store.EventRequest, want []store.Event) {
	k.Helper()
	k.wantSame(what, k.events(request), want)
}

func (k *kit) wantSame(what string, got, want []store.Event) {
	k.Helper()
	if !slices.EqualFunc(got, want, store.Event.Equal) {
		k.Errorf("%s: the events are %s; want %s", what, fixture.ShownEvents(got), fixture.ShownEvents(want))
	}
}

// everyEvent is the request for every event, the oldest first.
var everyEvent = store.EventRequest{Limit: store.MaxPageSize}

func eventsAreKept(k *kit) {
	var want []store.Event
	wrote := func(w store.Write) {
		k.Helper()
		want = append(want, k.kept(w)...)
		k.wantEvents("after a Write of "+subject(w), everyEvent, want)
	}
	wrote(putOrganizationOf(policy.Organization{ID: "acme"}, "create", 1))
	wrote(putOrganizationOf(k.readOrganization("acme"), "replace", 2))
	wrote(putOf(fixture.Plain("key", "acme"), "create key", 3))
	wrote(putOf(k.readKey("key"), "replace key", 1))
	wrote(putOf(k.readKey("key"), "no events", 0))
	wrote(deletionOf(k.readKey("key"), "delete key"))
	acme := k.readOrganization("acme")
	wrote(store.Write{Delete: &store.Condition{Organization: "acme", Revision: acme.Revision}, Events: fixture.Numbered("acme", "", "delete", 2)})
	k.wantAbsent("acme", "key")
	_, err := k.store.Organization(k.ctx, "acme")
	k.wantError(err, store.ErrNotFound, "Organization of one that a Write deleted")
}

func refusedWriteKeepsNothing(k *kit) {
	refused := k.refusedWrites()
	before := k.snapshot()
	for _, r := range refused {
		if revision, err := k.journal().Write(k.ctx, r.write); err == nil {
			k.Errorf("a Write %s succeeded with revision %d; want it refused", r.name, revision)
		}
		k.wantUnchanged(before, "a Write "+r.name)
		k.wantEvents("after a Write "+r.name, everyEvent, nil)
	}
}

func interruptedEvents(k *kit) {
	k.organization("acme")
	stored := k.put(fixture.Whole("here", "acme", 1))
	var want []store.Event
	for n := range k.rounds(50) {
		ctx, cancel := context.WithTimeout(k.ctx, time.Duration(n)*20*time.Microsecond)
		next := fixture.Whole("here", "acme", 4*n+5)
		next.Revision = stored.Revision
		w := putOf(next, next.Description, 3)
		_, err := k.journal().Write(ctx, w)
		cancel()
		now := k.readKey("here")
		k.wantWhole("after an interrupted Write", now)
		switch now.Description {
		case next.Description:
			want = append(want, fixture.Kept(w.Events, now.Revision)...)
		case stored.Description:
			if err == nil {
				k.Errorf("Write returned no error, and the key is as it was before")
			}
		}
		k.wantEvents(fmt.Sprintf("after an interrupted Write that made %s of %s", now.Description, stored.Description), everyEvent, want)
		stored = now
	}
}

func eventRevisions(k *kit) {
	highest := k.organization("acme").Revision
	wrote := func(w store.Write, now func() uint64) {
		k.Helper()
		revision := k.write(w)
		if revision <= highest {
			k.Errorf("a Write of %s returned revision %d, and another write had returned %d", subject(w), revision, highest)
		}
		if now != nil && now() != revision {
			k.Errorf("a Write of %s returned revision %d, and the record has %d", subject(w), revision, now())
		}
		got := k.events(everyEvent)
		if n := len(w.Events); len(got) >= n {
			got = got[len(got)-n:]
		}
		k.wantSame("after a Write of "+subject(w), got, fixture.Kept(w.Events, revision))
		highest = revision
	}
	key := func() uint64 { return k.readKey("key").Revision }
	wrote(putOf(fixture.Plain("key", "acme"), "create", 3), key)
	highest = k.put(fixture.Plain("plain", "acme")).Revision // without an event
	wrote(putOf(k.readKey("key"), "replace", 2), key)
	wrote(putOrganizationOf(k.readOrganization("acme"), "replace", 1), func() uint64 { return k.readOrganization("acme").Revision })
	wrote(deletionOf(k.readKey("key"), "delete"), nil)
	wrote(putOf(fixture.Plain("key", "acme"), "again", 1), key)
	if later := k.putOrganization(k.readOrganization("acme")).Revision; later <= highest {
		k.Errorf("PutOrganization returned revision %d, and a Write had returned %d", later, highest)
	}
}

func concurrentEventRevisions(k *kit) {
	k.organization("acme")
	each := k.rounds(20)
	written := make([][]store.Event, writers)
	together(writers, func(i int) {
		key := fixture.Plain(apikey.ID(fmt.Sprint("key-", i)), "acme")
		for n := range each {
			w := putOf(key, fmt.Sprintf("%d-%d", i, n), 1+n%3)
			revision, err := k.journal().Write(k.ctx, w)
			if err != nil {
				k.Errorf("Write of %s, which nobody else writes: %v", subject(w), err)
				return
			}
			key.Revision = revision
			written[i] = append(written[i], fixture.Kept(w.Events, revision)...)
		}
	})
	want := slices.Concat(written...)
	slices.SortFunc(want, byID)
	for i := range max(len(want)-1, 0) {
		if want[i].ID() == want[i+1].ID() {
			k.Errorf("revision %d was given to the Writes %s and %s", want[i].Revision, want[i].Correlation, want[i+1].Correlation)
		}
	}
	k.wantEvents("after Writes by several at once", everyEvent, want)
}

// byID orders events as a journal does.
func byID(a, b store.Event) int {
	switch x, y := a.ID(), b.ID(); {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func eventsOutliveRecords(k *kit) {
	want := k.kept(putOrganizationOf(policy.Organization{ID: "acme"}, "create", 1))
	keep := func(w store.Write) { want = append(want, k.kept(w)...) }
	keep(putOf(fixture.Plain("key", "acme"), "create key", 2))
	k.put(k.readKey("key"))
	k.wantEvents("after the key was replaced", everyEvent, want)
	k.delete("key")
	k.wantEvents("after the key was deleted", everyEvent, want)
	keep(putOf(fixture.Plain("key", "acme"), "create key again", 1))
	keep(deletionOf(k.readKey("key"), "delete key"))
	if err := k.store.DeleteOrganization(k.ctx, "acme", 0); err != nil {
		k.Fatalf("DeleteOrganization: %v", err)
	}
	k.wantEvents("after the organization was deleted", everyEvent, want)
	k.wantEvents("after the organization was deleted, its events", store.EventRequest{Organization: "acme"}, want)
	k.wantEvents("after the organization was deleted, those of its key", store.EventRequest{Organization: "acme", Key: "key"}, want[1:])
	k.organization("acme")
	k.put(fixture.Plain("key", "acme"))
	k.wantEvents("after another was created under the same ID", store.EventRequest{Organization: "acme"}, want)
}

func otherMethodsKeepNone(k *kit) {
	want := k.kept(putOrganizationOf(policy.Organization{ID: "first"}, "only", 1))
	organization := k.organization("acme")
	k.putOrganization(organization)
	key := k.put(fixture.Plain("key", "acme", "192.0.2.1"))
	k.put(key)
	k.delete("key")
	if err := k.store.DeleteOrganization(k.ctx, "acme", 0); err != nil {
		k.Fatalf("DeleteOrganization: %v", err)
	}
	if loader, ok := store.As[store.Loader](k.store); ok {
		if err := loader.Load(k.ctx, []policy.Organization{{ID: "loaded"}}, []apikey.Key{fixture.Plain("loaded", "loaded", "192.0.2.1")}); err != nil {
			k.Fatalf("Load: %v", err)
		}
	}
	k.wantEvents("after writes by the methods of Store and Loader", everyEvent, want)
}

func writesAreDelivered(k *kit) {
	if _, ok := store.As[store.Watcher](k.store); !ok {
		k.Skip("store.As finds no store.Watcher in the store: deliveries do not apply")
	}
	m := k.mirror()
	delivered := func(what string) {
		k.Helper()
		k.reach(m, k.revision())
		k.wantMirror("after a Write that "+what, m)
	}
	k.write(putOrganizationOf(policy.Organization{ID: "acme"}, "create", 1))
	delivered("creates an organization")
	k.write(putOf(fixture.Plain("key", "acme"), "create", 2))
	delivered("creates a key")
	k.write(putOf(k.readKey("key"), "replace", 0))
	delivered("replaces a key, without events")
	acme := k.readOrganization("acme")
	acme.Requirement = policy.Required
	k.write(putOrganizationOf(acme, "replace", 1))
	delivered("replaces an organization")
	k.write(deletionOf(k.readKey("key"), "delete"))
	delivered("deletes a key")
	through := k.page(everyEvent).Next
	k.write(store.Write{Forget: &through})
	delivered("forgets events")
	k.write(store.Write{Delete: &store.Condition{Organization: "acme", Revision: k.readOrganization("acme").Revision}})
	delivered("deletes an organization")
}
