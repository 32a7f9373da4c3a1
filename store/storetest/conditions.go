package storetest

import (
	"errors"
	"fmt"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var conditionCases = []testCase{
	{sentence: "E5", name: "a condition that does not hold is ErrConflict", run: failedConditions},
	{sentence: "E5", name: "a Write whose conditions hold succeeds", run: heldConditions},
	{sentence: "E5", name: "two Writes with conditions on each other's records never both succeed", run: noWriteSkew},
	{sentence: "E5", name: "of Writes in a ring none succeeds after its neighbour", run: noSkewInARing},
	{sentence: "E5", name: "a Put meanwhile is a conflict too", run: putAgainstCondition},
	{sentence: "E5", name: "a condition on a key that cannot be read fails", run: onKey(ofKey, conditionOnUnreadableKey), needs: "Damage.Key"},
	{sentence: "E5", name: "a condition on an organization that cannot be read fails", run: conditionOnUnreadableOrganization, needs: "Damage.Organization"},
}

// onRecord is a condition on a stored record.
func onRecord(organization string, key apikey.ID, revision uint64) store.Condition {
	return store.Condition{Organization: organization, Key: key, Revision: revision}
}

func failedConditions(k *kit) {
	acme, other := k.organization("acme"), k.organization("other")
	before := k.put(fixture.Plain("key", "acme"))
	key := k.put(before)
	deleted := k.put(fixture.Plain("deleted", "acme"))
	k.delete("deleted")
	again := k.put(fixture.Plain("again", "acme"))
	k.delete("again")
	k.put(fixture.Plain("again", "acme"))
	target := k.put(fixture.Plain("target", "acme"))
	snapshot := k.snapshot()
	held := onRecord("acme", "", acme.Revision)
	for name, condition := range map[string]store.Condition{
		"a key at an earlier revision":                     onRecord("acme", "key", before.Revision),
		"a key at a later revision":                        onRecord("acme", "key", key.Revision+1),
		"a key at a revision beyond 63 bits":               onRecord("acme", "key", key.Revision|1<<63),
		"a key at a revision of 32 bits more":              onRecord("acme", "key", key.Revision+1<<32),
		"the absence of a key that exists":                 onRecord("acme", "key", 0),
		"a key that was deleted":                           onRecord("acme", "deleted", deleted.Revision),
		"a key that was deleted and created again":         onRecord("acme", "again", again.Revision),
		"a key that never was":                             onRecord("acme", "never", key.Revision),
		"a key of another organization":                    onRecord("other", "key", key.Revision),
		"a key of an absent organization":                  onRecord("gone", "key", key.Revision),
		"an organization at another revision":              onRecord("acme", "", acme.Revision+1),
		"an organization at the revision of another":       onRecord("acme", "", other.Revision),
		"the absence of an organization that exists":       onRecord("other", "", 0),
		"an organization that never was":                   onRecord("never", "", other.Revision),
		"an organization that differs in a letter's case":  onRecord("Acme", "", acme.Revision),
		"a key in the place of an organization":            onRecord("key", "", key.Revision),
		"an organization in the place of a key":            onRecord("acme", "acme", acme.Revision),
		"the written key, at another revision than it has": onRecord("acme", "target", target.Revision+1),
	} {
		for place, conditions := range map[string][]store.Condition{"alone": {condition}, "first": {condition, held}, "last": {held, held, condition}} {
			w := putOf(target, "refused", 1)
			w.If = conditions
			_, err := k.journal().Write(k.ctx, w)
			k.wantError(err, store.ErrConflict, "a Write with a condition on %s, %s", name, place)
		}
		w := putOrganizationOf(policy.Organization{ID: "new"}, "refused", 1)
		w.If = []store.Condition{condition}
		_, err := k.journal().Write(k.ctx, w)
		k.wantError(err, store.ErrConflict, "a Write of an organization with a condition on %s", name)
		w = deletionOf(target, "refused")
		w.If = []store.Condition{condition}
		_, err = k.journal().Write(k.ctx, w)
		k.wantError(err, store.ErrConflict, "a deletion with a condition on %s", name)
		w = store.Write{Forget: &store.Position{History: k.page(everyEvent).Next.History, Revision: 1}, If: []store.Condition{condition}}
		_, err = k.journal().Write(k.ctx, w)
		k.wantError(err, store.ErrConflict, "a Write that forgets events with a condition on %s", name)
		k.wantUnchanged(snapshot, "Writes with a condition on "+name)
	}
	k.wantEvents("after Writes whose conditions did not hold", everyEvent, nil)
}

func heldConditions(k *kit) {
	acme := k.organization("acme")
	key := k.put(fixture.Plain("key", "acme"))
	other := k.put(fixture.Plain("other", "acme"))
	k.put(fixture.Plain("deleted", "acme"))
	k.delete("deleted")
	k.organization("elsewhere")
	conditions := []store.Condition{
		onRecord("acme", "", acme.Revision), onRecord("acme", "other", other.Revision), onRecord("acme", "key", key.Revision),
		onRecord("acme", "deleted", 0), onRecord("acme", "never", 0), onRecord("never", "", 0), onRecord("never", "key", 0),
		onRecord("elsewhere", "key", 0), onRecord("acme", "other", other.Revision),
	}
	w := putOf(key, "held", 1)
	w.If = conditions
	want := k.kept(w)
	w = putOf(fixture.Plain("new", "acme"), "new", 1)
	w.If = append([]store.Condition{onRecord("acme", "new", 0)}, conditions[:2]...)
	want = append(want, k.kept(w)...)
	w = deletionOf(k.readKey("new"), "delete")
	w.If = conditions[:2]
	want = append(want, k.kept(w)...)
	k.wantEvents("after Writes whose conditions held", everyEvent, want)
	k.wantAbsent("acme", "new")
}

// A rival returns two Writes, each of one record and with a condition on the other's.
type rival func(k *kit, round int) (one, two store.Write)

// rivals are pairs of Writes, each harmless alone.
var rivals = map[string]rival{
	"of two keys": func(k *kit, _ int) (one, two store.Write) {
		a, b := k.readKey("a"), k.readKey("b")
		one, two = putOf(a, "a", 1), putOf(b, "b", 1)
		one.If, two.If = []store.Condition{onRecord("acme", "b", b.Revision)}, []store.Condition{onRecord("acme", "a", a.Revision)}
		return one, two
	},
	"of an organization and its key": func(k *kit, round int) (one, two store.Write) {
		acme, key := k.readOrganization("acme"), k.readKey("a")
		acme.Requirement = policy.Requirement(round % 3)
		one, two = putOrganizationOf(acme, "acme", 2), putOf(key, "a", 2)
		one.If, two.If = []store.Condition{onRecord("acme", "a", key.Revision)}, []store.Condition{onRecord("acme", "", acme.Revision)}
		return one, two
	},
	"of two organizations": func(k *kit, _ int) (one, two store.Write) {
		acme, other := k.readOrganization("acme"), k.readOrganization("other")
		one, two = putOrganizationOf(acme, "acme", 1), putOrganizationOf(other, "other", 1)
		one.If, two.If = []store.Condition{onRecord("other", "", other.Revision)}, []store.Condition{onRecord("acme", "", acme.Revision)}
		return one, two
	},
	"that create two keys": func(k *kit, round int) (one, two store.Write) {
		a, b := apikey.ID(fmt.Sprint("new-a-", round)), apikey.ID(fmt.Sprint("new-b-", round))
		one, two = putOf(fixture.Plain(a, "acme"), "create", 1), putOf(fixture.Plain(b, "acme"), "create", 1)
		one.If, two.If = []store.Condition{onRecord("acme", b, 0)}, []store.Condition{onRecord("acme", a, 0)}
		return one, two
	},
	"that delete two keys": func(k *kit, round int) (one, two store.Write) {
		a := k.put(fixture.Plain(apikey.ID(fmt.Sprint("old-a-", round)), "acme"))
		b := k.put(fixture.Plain(apikey.ID(fmt.Sprint("old-b-", round)), "acme"))
		one, two = deletionOf(a, "delete"), deletionOf(b, "delete")
		one.If, two.If = []store.Condition{onRecord("acme", b.ID, b.Revision)}, []store.Condition{onRecord("acme", a.ID, a.Revision)}
		return one, two
	},
	"that delete a key and replace another": func(k *kit, round int) (one, two store.Write) {
		a, b := k.put(fixture.Plain(apikey.ID(fmt.Sprint("gone-", round)), "acme")), k.readKey("b")
		one, two = deletionOf(a, "delete"), putOf(b, "b", 1)
		one.If, two.If = []store.Condition{onRecord("acme", "b", b.Revision)}, []store.Condition{onRecord("acme", a.ID, a.Revision)}
		return one, two
	},
}

func noWriteSkew(k *kit) {
	k.organization("acme")
	k.organization("other")
	k.put(fixture.Plain("a", "acme"))
	k.put(fixture.Plain("b", "acme"))
	request := everyEvent
	more := func() (n int) { // events since the last call
		k.Helper()
		for {
			page := k.page(request)
			n, request.After = n+len(page.Events), page.Next
			if !page.More || k.ctx.Err() != nil {
				return n
			}
		}
	}
	for name, rival := range rivals {
		for round := range k.rounds(40) {
			one, two := rival(k, round)
			more()
			var errs [2]error
			together(2, func(i int) {
				_, errs[i] = k.journal().Write(k.ctx, []store.Write{one, two}[i])
			})
			kept := 0
			for i, err := range errs {
				switch {
				case err == nil:
					kept += len([]store.Write{one, two}[i].Events)
				case !errors.Is(err, store.ErrConflict):
					k.Errorf("two Writes %s with conditions on each other's records: error is %s; want none or %s", name, quoted(err), quoted(store.ErrConflict))
				}
			}
			if errs[0] == nil && errs[1] == nil {
				k.Fatalf("two Writes %s with conditions on each other's records both succeeded in round %d", name, round)
			}
			if got := more(); got != kept {
				k.Fatalf("after two Writes %s, with the errors %s and %s, there are %d more events; want %d", name, quoted(errs[0]), quoted(errs[1]), got, kept)
			}
		}
	}
}

// noSkewInARing has several Writes at once, each with a condition on the next one's key.
func noSkewInARing(k *kit) {
	k.organization("acme")
	keys := make([]apikey.Key, writers)
	for i := range keys {
		keys[i] = k.put(fixture.Plain(apikey.ID(fmt.Sprint("key-", i)), "acme"))
	}
	for range k.rounds(40) {
		errs := make([]error, writers)
		together(writers, func(i int) {
			w, next := putOf(keys[i], "ring", 1), keys[(i+1)%writers]
			w.If = []store.Condition{onRecord("acme", next.ID, next.Revision)}
			_, errs[i] = k.journal().Write(k.ctx, w)
		})
		for i := range errs {
			// Write i wants key i+1 unchanged. Both may succeed, i first; all of them cannot.
			if errs[i] != nil && !errors.Is(errs[i], store.ErrConflict) {
				k.Errorf("a Write with a condition: error is %s; want none or %s", quoted(errs[i]), quoted(store.ErrConflict))
			}
			keys[i] = k.readKey(keys[i].ID)
		}
		k.wantRing(keys, errs)
	}
}

// wantRing checks that each successful Write of the ring came before its neighbour's.
func (k *kit) wantRing(keys []apikey.Key, errs []error) {
	k.Helper()
	for i, err := range errs {
		next := (i + 1) % len(keys)
		if err == nil && errs[next] == nil && keys[i].Revision > keys[next].Revision {
			k.Fatalf("a Write of key %q succeeded with revision %d, on the condition that key %q was unchanged; that had become revision %d before", keys[i].ID, keys[i].Revision, keys[next].ID, keys[next].Revision)
		}
	}
}

// putAgainstCondition puts a record during a Write with a condition on it.
func putAgainstCondition(k *kit) {
	acme := k.organization("acme")
	key := k.put(fixture.Plain("key", "acme"))
	for range k.rounds(40) {
		w := putOf(key, "conditional", 1)
		w.If = []store.Condition{onRecord("acme", "", acme.Revision)}
		var revision, organization uint64
		var written, put error
		together(2, func(i int) {
			if i == 0 {
				revision, written = k.journal().Write(k.ctx, w)
			} else {
				var stored policy.Organization
				stored, put = k.store.PutOrganization(k.ctx, acme)
				organization = stored.Revision
			}
		})
		switch {
		case put != nil:
			k.Fatalf("PutOrganization beside a Write that has a condition on it: %v", put)
		case written == nil && revision > organization:
			k.Fatalf("a Write succeeded with revision %d, on the condition that the organization was unchanged; that had become revision %d before", revision, organization)
		case written != nil && !errors.Is(written, store.ErrConflict):
			k.Errorf("a Write with a condition: error is %s; want none or %s", quoted(written), quoted(store.ErrConflict))
		}
		acme, key = k.readOrganization("acme"), k.readKey("key")
	}
}

func conditionOnUnreadableKey(d damagedKey) {
	for _, revision := range []uint64{d.key.Revision, 0} {
		w := putOf(d.sound[0], "refused", 1)
		w.If = []store.Condition{onRecord("acme", d.key.ID, revision)}
		_, err := d.journal().Write(d.ctx, w)
		d.wantUnreadable(err, "a Write with a condition that key %q, which cannot be read, has revision %d", d.key.ID, revision)
	}
	d.wantKey("Key after Writes that were refused", d.readKey(d.sound[0].ID), d.sound[0])
	d.wantEvents("after Writes that were refused", everyEvent, nil)
}

func conditionOnUnreadableOrganization(k *kit) {
	d := k.damagedOrganization()
	for _, revision := range []uint64{d.stored.Revision, 0} {
		w := putOf(d.other, "refused", 1)
		w.If = []store.Condition{onRecord("damaged", "", revision)}
		_, err := k.journal().Write(k.ctx, w)
		k.wantUnreadable(err, "a Write with a condition that an organization, which cannot be read, has revision %d", revision)
	}
	k.wantKey("Key after Writes that were refused", k.readKey("other"), d.other)
	k.wantEvents("after Writes that were refused", everyEvent, nil)
}
