package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var writeCases = []testCase{
	{sentence: "E9", name: "a Write is refused as a Put or a Delete is", run: writeIsRefusedAsPut},
	{sentence: "E9", name: "options permit a Write as they permit a PutKey", run: writeOptions},
	{sentence: "E9", name: "a key of another organization is not deleted", run: deleteElsewhere},
	{sentence: "E10", name: "an invalid Write is refused", run: invalidWrites},
	{sentence: "E10", name: "a Write at all bounds is kept", run: writeAtAllBounds},
}

// A refusedWrite is a Write to refuse, and its error.
type refusedWrite struct {
	name  string
	write store.Write
	want  error
}

// refusedWrites stores some records, and returns Writes to refuse, each for another reason.
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

// refusedJournalCalls returns calls of a journal to refuse, beside a stored organization and
// its key.
func (k *kit) refusedJournalCalls(journal store.Journal, organization policy.Organization, key apikey.Key) (calls []call) {
	conditional := putOf(key, "refused", 1)
	conditional.If = []store.Condition{onRecord("acme", "", organization.Revision+1)}
	beyond := store.EventRequest{After: k.page(store.EventRequest{}).Next}
	beyond.After.Revision += 1000
	for name, w := range map[string]store.Write{
		"Write without a change": {}, "Write whose condition does not hold": conditional,
		"Write of a key that exists":           putOf(fixture.Plain("here", "acme", "192.0.2.1"), "refused", 1),
		"Write that forgets beyond the latest": {Forget: &beyond.After},
	} {
		calls = append(calls, call{name, func(ctx context.Context) error { _, err := journal.Write(ctx, w); return err }})
	}
	for name, request := range map[string]store.EventRequest{"Events of a key of no organization": {Key: "here"}, "Events after a position beyond the latest": beyond} {
		calls = append(calls, call{name, func(ctx context.Context) error { _, err := journal.Events(ctx, request); return err }})
	}
	return calls
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
