package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
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
	{sentence: "E9", name: "a Write is refused as a Put or a Delete is", run: writeIsRefusedAsPut},
	{sentence: "E9", name: "options permit a Write as they permit a PutKey", run: writeOptions},
	{sentence: "E9", name: "a key of another organization is not deleted", run: deleteElsewhere},
	{sentence: "E9", name: "the changes of Writes are told", run: writesAreTold},
	{sentence: "E10", name: "an invalid Write is refused", run: invalidWrites},
	{sentence: "E10", name: "a Write at all bounds is kept", run: writeAtAllBounds},
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

// A refusedWrite is a Write to be refused, and its error.
type refusedWrite struct {
	name  string
	write store.Write
	want  error
}

// refusedWrites stores some records, and returns Writes that a journal must refuse, each for
// another reason.
func (k *kit) refusedWrites() []refusedWrite {
	k.Helper()
	acme := k.organization("acme")
	k.organization("other")
	here := k.put(fixture.Plain("here", "acme", "192.0.2.1"))
	there := k.put(fixture.Plain("there", "other", "192.0.2.1"))
	put := func(change func(*apikey.Key)) store.Write {
		key := here.Clone()
		key.Description = "changed"
		change(&key)
		return store.Write{PutKey: &key, Events: fixture.Numbered(key.Organization, key.ID, "refused", 2)}
	}
	conditional := func(c store.Condition) store.Write {
		w := put(func(*apikey.Key) {})
		w.If = []store.Condition{{Organization: "acme", Revision: acme.Revision}, c}
		return w
	}
	putOrganization := func(o policy.Organization) store.Write { return putOrganizationOf(o, "refused", 2) }
	deletion := func(c store.Condition) store.Write {
		return store.Write{Delete: &c, Events: fixture.Numbered(c.Organization, c.Key, "refused", 1)}
	}
	valid := put(func(*apikey.Key) {})
	foreign := valid
	foreign.Events = fixture.Numbered("other", "there", "refused", 1)
	twoChanges := valid
	twoChanges.Delete = &store.Condition{Organization: "other", Key: "there", Revision: there.Revision}
	return []refusedWrite{
		{"of a key that exists, with revision zero", put(func(key *apikey.Key) { key.Revision = 0 }), store.ErrExists},
		{"of a key with another revision", put(func(key *apikey.Key) { key.Revision++ }), store.ErrConflict},
		{"of an absent key with a revision", put(func(key *apikey.Key) { key.ID = "gone" }), store.ErrNotFound},
		{"of an invalid key", put(func(key *apikey.Key) { key.Secrets = nil }), store.ErrInvalid},
		{"of a key of an absent organization", put(func(key *apikey.Key) { key.ID, key.Organization, key.Revision = "new", "gone", 0 }), store.ErrNotFound},
		{"that moves a key", put(func(key *apikey.Key) { key.Organization = "other" }), store.ErrInvalid},
		{"that removes the last entry", put(func(key *apikey.Key) { key.AccessList = accesslist.List{} }), store.ErrOpensKey},
		{"of too many entries", put(func(key *apikey.Key) { key.AccessList = entries(store.MaxEntries + 1) }), store.ErrInvalid},
		{"of an organization that exists, with revision zero", putOrganization(policy.Organization{ID: "acme"}), store.ErrExists},
		{"of an organization with another revision", putOrganization(policy.Organization{ID: "acme", Revision: acme.Revision + 1}), store.ErrConflict},
		{"of an absent organization with a revision", putOrganization(policy.Organization{ID: "gone", Revision: 1}), store.ErrNotFound},
		{"of an invalid organization", putOrganization(policy.Organization{ID: "new", Requirement: 9}), store.ErrInvalid},
		{"that deletes an absent key", deletion(store.Condition{Organization: "acme", Key: "gone", Revision: 1}), store.ErrNotFound},
		{"that deletes a key with another revision", deletion(store.Condition{Organization: "acme", Key: "here", Revision: here.Revision + 1}), store.ErrConflict},
		{"that deletes an absent organization", deletion(store.Condition{Organization: "gone", Revision: 1}), store.ErrNotFound},
		{"that deletes an organization with another revision", deletion(store.Condition{Organization: "acme", Revision: acme.Revision + 1}), store.ErrConflict},
		{"that deletes an organization with keys", deletion(store.Condition{Organization: "acme", Revision: acme.Revision}), store.ErrNotEmpty},
		{"with a condition on an earlier revision", conditional(store.Condition{Organization: "other", Key: "there", Revision: there.Revision - 1}), store.ErrConflict},
		{"with a condition that a record is absent", conditional(store.Condition{Organization: "other", Key: "there"}), store.ErrConflict},
		{"with two changes", twoChanges, store.ErrInvalid},
		{"with an event of another record", foreign, store.ErrInvalid},
	}
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

func writeIsRefusedAsPut(k *kit) {
	for _, r := range k.refusedWrites() {
		_, err := k.journal().Write(k.ctx, r.write)
		k.wantError(err, r.want, "a Write %s", r.name)
	}
}

func writeOptions(k *kit) {
	k.organization("acme")
	open := fixture.Plain("open", "acme")
	_, err := k.journal().Write(k.ctx, store.Write{PutKey: &open})
	k.wantError(err, store.ErrOpensKey, "a Write of a new key without entries, without AllowOpen")
	k.write(store.Write{PutKey: &open, Options: []store.PutOption{store.AllowOpen}})
	listed := fixture.Plain("listed", "acme", "192.0.2.1")
	listed.Revision = k.write(store.Write{PutKey: &listed})
	listed.AccessList = accesslist.List{}
	_, err = k.journal().Write(k.ctx, store.Write{PutKey: &listed, Options: []store.PutOption{store.AllowManyEntries}})
	k.wantError(err, store.ErrOpensKey, "a Write that removes the last entry, without AllowOpen")
	listed.Revision = k.write(store.Write{PutKey: &listed, Options: []store.PutOption{store.AllowOpen}})
	k.wantEverywhere(listed)
	many := fixture.Plain("many", "acme")
	many.AccessList = entries(store.MaxEntries + 1)
	_, err = k.journal().Write(k.ctx, store.Write{PutKey: &many, Options: []store.PutOption{store.AllowOpen}})
	k.wantError(err, store.ErrInvalid, "a Write of %d entries, without AllowManyEntries", many.AccessList.Len())
	many.Revision = k.write(store.Write{PutKey: &many, Options: []store.PutOption{store.AllowManyEntries}})
	k.wantEverywhere(many)
}

func deleteElsewhere(k *kit) {
	k.organization("acme")
	k.organization("other")
	key := k.put(fixture.Plain("key", "acme", "192.0.2.1"))
	for _, organization := range []string{"other", "gone"} {
		c := store.Condition{Organization: organization, Key: "key", Revision: key.Revision}
		_, err := k.journal().Write(k.ctx, store.Write{Delete: &c, Events: fixture.Numbered(organization, "key", "refused", 1)})
		k.wantError(err, store.ErrNotFound, "a Write that deletes a key of organization %q as one of %q", "acme", organization)
	}
	k.wantEverywhere(key)
	k.wantEvents("after deletions that were refused", everyEvent, nil)
}

func writesAreTold(k *kit) {
	if _, ok := store.As[store.Watcher](k.store); !ok {
		k.Skip("store.As finds no store.Watcher in the store: nothing is told")
	}
	m := k.mirror()
	told := func(what string) {
		k.Helper()
		k.reach(m, k.revision())
		k.wantMirror("after a Write that "+what, m)
	}
	k.write(putOrganizationOf(policy.Organization{ID: "acme"}, "create", 1))
	told("creates an organization")
	k.write(putOf(fixture.Plain("key", "acme"), "create", 2))
	told("creates a key")
	k.write(putOf(k.readKey("key"), "replace", 0))
	told("replaces a key, without events")
	acme := k.readOrganization("acme")
	acme.Requirement = policy.Required
	k.write(putOrganizationOf(acme, "replace", 1))
	told("replaces an organization")
	k.write(deletionOf(k.readKey("key"), "delete"))
	told("deletes a key")
	through := k.page(everyEvent).Next
	k.write(store.Write{Forget: &through})
	told("forgets events")
	k.write(store.Write{Delete: &store.Condition{Organization: "acme", Revision: k.readOrganization("acme").Revision}})
	told("deletes an organization")
}

func invalidWrites(k *kit) {
	k.organization("acme")
	key := k.put(fixture.Plain("key", "acme", "192.0.2.1"))
	before := k.snapshot()
	with := func(change func(*store.Write)) store.Write {
		w := putOf(key, "invalid", 2)
		change(&w)
		return w
	}
	event := func(change func(*store.Event)) store.Write {
		return with(func(w *store.Write) { change(&w.Events[1]) })
	}
	for name, w := range map[string]store.Write{
		"without a change":              with(func(w *store.Write) { w.PutKey = nil }),
		"with two changes":              with(func(w *store.Write) { w.PutOrganization = &policy.Organization{ID: "new"} }),
		"that deletes at revision zero": {Delete: &store.Condition{Organization: "acme", Key: "key"}},
		"that forgets from zero":        {Forget: &store.Position{}},
		"with too many conditions":      with(func(w *store.Write) { w.If = make([]store.Condition, store.MaxConditions+1) }),
		"with a condition on no record": with(func(w *store.Write) { w.If = []store.Condition{{Key: "key"}} }),
		"with too many events":          putOf(key, "invalid", store.MaxEvents+1),
		"with too large events": with(func(w *store.Write) {
			w.Events = nil
			for range store.MaxWriteBytes/store.MaxEventBytes + 1 {
				w.Events = append(w.Events, sized(key, store.MaxEventBytes))
			}
		}),
		"with an event that is too large":       with(func(w *store.Write) { w.Events[1] = sized(key, store.MaxEventBytes+1) }),
		"with an event of another key":          event(func(e *store.Event) { e.Key = "other" }),
		"with an event of another organization": event(func(e *store.Event) { e.Organization = "other" }),
		"with an event of no key":               event(func(e *store.Event) { e.Key = "" }),
		"with an event without a time":          event(func(e *store.Event) { e.Time = time.Time{} }),
		"with an event without a type":          event(func(e *store.Event) { e.Type = "" }),
		"with an event without an actor":        event(func(e *store.Event) { e.Actor = store.Actor{} }),
		"with an event that has a revision":     event(func(e *store.Event) { e.Revision = key.Revision + 1 }),
		"with an event that has an index":       event(func(e *store.Event) { e.Index = 1 }),
		"with an event that is no JSON object":  event(func(e *store.Event) { e.After = []byte(`[1]`) }),
		"with an event in another encoding":     event(func(e *store.Event) { e.Reason = "\xff" }),
		"with an event that has the key's hash": event(func(e *store.Event) { e.Reason = fmt.Sprintf("%x", key.Secrets[0].Sum) }),
	} {
		_, err := k.journal().Write(k.ctx, w)
		k.wantError(err, store.ErrInvalid, "a Write %s", name)
		if err != nil && len(err.Error()) > maxError {
			k.Errorf("a Write %s returned an error of %d bytes; want at most %d (S28)", name, len(err.Error()), maxError)
		}
		k.wantUnchanged(before, "a Write "+name)
	}
	k.wantEvents("after invalid Writes", everyEvent, nil)
}

// sized returns an event of a size in JSON.
func sized(key apikey.Key, size int) store.Event {
	event := fixture.Event(key.Organization, key.ID, "sized")
	event.Before, event.After = []byte(`{"a":""}`), []byte(`{"a":""}`)
	room := size - len(fixture.Must(event.MarshalJSON()))
	pad := func(n int) []byte {
		text := make([]byte, n)
		for i := range text {
			text[i] = byte('a' + i%26)
		}
		return fmt.Appendf(nil, `{"a":"%s"}`, text)
	}
	event.Before, event.After = pad(room/2), pad(room-room/2)
	return event
}

func writeAtAllBounds(k *kit) {
	organization := "bounds"
	var conditions []store.Condition
	acme := k.organization(organization)
	for i := range store.MaxConditions {
		c := store.Condition{Organization: organization, Key: apikey.ID(fmt.Sprint("condition-", i))}
		if i%2 == 0 {
			c.Revision = k.put(fixture.Plain(c.Key, organization)).Revision
		}
		conditions = append(conditions, c)
	}
	conditions[store.MaxConditions-1] = store.Condition{Organization: organization, Revision: acme.Revision}
	key := greatestKey(organization)

	// As many events as there may be, and then as large ones.
	w := store.Write{PutKey: &key, If: conditions}
	for range store.MaxEvents {
		w.Events = append(w.Events, sized(key, store.MaxWriteBytes/store.MaxEvents))
	}
	key.Revision = k.write(w)
	want := fixture.Kept(w.Events, key.Revision)
	w.Events = nil
	for range store.MaxWriteBytes / store.MaxEventBytes {
		w.Events = append(w.Events, sized(key, store.MaxEventBytes))
	}
	key.Revision = k.write(w)
	want = append(want, fixture.Kept(w.Events, key.Revision)...)
	k.wantEvents("after Writes at all bounds", everyEvent, want)
	k.wantEverywhere(key)
	_, err := k.journal().Write(k.ctx, store.Write{PutKey: &key, If: append(conditions[1:], store.Condition{Organization: organization, Revision: acme.Revision + 1})})
	if !errors.Is(err, store.ErrConflict) {
		k.Errorf("a Write whose last condition of %d does not hold: error is %s; want %s", store.MaxConditions, quoted(err), quoted(store.ErrConflict))
	}
}
