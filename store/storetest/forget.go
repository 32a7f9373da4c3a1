package storetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var forgetCases = []testCase{
	{sentence: "E3", name: "events of a write that returned before a Close are there after reopening", run: closedUnderWrites, needs: "Reopen"},
	{sentence: "E3", name: "a write during a Close is there with its events or not at all after reopening", run: closedUnderWrites, needs: "Reopen"},
	{sentence: "E6", name: "a position before what was forgotten is ErrCompacted", run: forgottenPositions},
	{sentence: "E6", name: "a position that is not in the past is ErrCompacted", run: positionsElsewhere},
	{sentence: "E6", name: "a smaller revision of a history is taken", run: smallerRevisions},
	{sentence: "E6", name: "a position is taken after reopening", run: positionsAfterReopening, needs: "Reopen"},
	{sentence: "E6", name: "what was forgotten is forgotten after reopening", run: forgottenAfterReopening, needs: "Reopen"},
	{sentence: "E6", name: "a position is taken that the change feed has forgotten", run: positionsAfterCompaction, needs: "Compact"},
	{sentence: "E6", name: "a lost position is ErrCompacted and an earlier one is taken", run: lostEventPositions, needs: "Restore"},
	{sentence: "E11", name: "events up to the position are removed and no later one", run: forgetting},
	{sentence: "E11", name: "events after a position that is not in the past are not forgotten", run: forgettingElsewhere},
	{sentence: "E11", name: "forgetting again is no error", run: forgettingAgain},
}

// A place is a position in a journal, and the events after it.
type place struct {
	at     store.Position
	follow []store.Event
}

// places makes Writes with events and without, and returns the Next after each.
func (k *kit) places(n int) (all []place) {
	k.Helper()
	add := func(events []store.Event) {
		for i := range all {
			all[i].follow = append(all[i].follow, events...)
		}
		all = append(all, place{at: k.page(store.EventRequest{Limit: store.MaxPageSize}).Next})
	}
	if _, err := k.store.Organization(k.ctx, "acme"); err != nil {
		k.organization("acme")
	}
	add(nil)
	for i := range n {
		w := putOrganizationOf(k.readOrganization("acme"), fmt.Sprint("place ", i), i%4)
		add(k.kept(w))
	}
	return all
}

// wantPlaces checks that Events takes every position.
func (k *kit) wantPlaces(what string, places []place) {
	k.Helper()
	for _, p := range places {
		k.wantEvents(fmt.Sprintf("%s, after revision %d of history %q", what, p.at.Revision, p.at.History), store.EventRequest{After: p.at}, p.follow)
	}
}

// wantForgotten checks that Events refuses a position.
func (k *kit) wantForgotten(what string, after store.Position) {
	k.Helper()
	for _, request := range []store.EventRequest{{After: after}, {After: after, Organization: "acme"}, {After: after, Organization: "acme", Key: "key"}, {After: after, Organization: "never"}} {
		page, err := k.journal().Events(k.ctx, request)
		k.wantError(err, store.ErrCompacted, "Events after revision %d of history %.80q, %s", after.Revision, after.History, what)
		if err == nil {
			k.Errorf("it returned %s", fixture.ShownEvents(page.Events))
			return
		}
	}
}

func forgottenPositions(k *kit) {
	places := k.places(12)
	oldest := places[0].follow
	for _, n := range []int{5, 6, 9, 12} {
		through := places[n].at
		k.write(store.Write{Forget: &through})
		for _, p := range places[:n] {
			if len(p.follow) > len(places[n].follow) {
				k.wantForgotten(fmt.Sprintf("when those up to revision %d were forgotten,", through.Revision), p.at)
			}
		}
		k.wantPlaces(fmt.Sprintf("when events up to revision %d were forgotten", through.Revision), places[n:])
		k.wantEvents("from the zero Position after events were forgotten", everyEvent, places[n].follow)
	}
	if len(oldest) == 0 {
		k.Fatalf("the case wrote no events")
	}
}

func positionsElsewhere(k *kit) {
	places := k.places(5)
	latest := places[len(places)-1].at
	for name, after := range map[string]store.Position{
		"a later revision":                    {History: latest.History, Revision: latest.Revision + 1},
		"a much later revision":               {History: latest.History, Revision: latest.Revision + 1<<40},
		"a revision beyond 63 bits":           {History: latest.History, Revision: latest.Revision | 1<<63},
		"another history":                     {History: latest.History + "x", Revision: latest.Revision},
		"a history in another letter case":    {History: swapped(latest.History), Revision: latest.Revision},
		"no history":                          {Revision: latest.Revision},
		"a history of bytes that are no text": {History: "\xff\x00", Revision: latest.Revision},
	} {
		k.wantForgotten("which is "+name+" than the store's past has,", after)
	}
	k.wantPlaces("after positions that were refused", places)
}

// swapped returns a text with the case of its letters swapped, and something more if it has
// none.
func swapped(text string) string {
	out := []byte(text)
	for i, c := range out {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			out[i] = c ^ 0x20
		}
	}
	if string(out) == text {
		return text + "."
	}
	return string(out)
}

// smallerRevisions reads after every revision, of the history of the latest Next.
func smallerRevisions(k *kit) {
	written := k.journalled()
	latest := k.page(store.EventRequest{Limit: store.MaxPageSize}).Next
	for revision := latest.Revision; revision+30 > latest.Revision && revision > 0; revision-- {
		want := slices.DeleteFunc(slices.Clone(written), func(e store.Event) bool { return e.Revision <= revision })
		k.wantEvents(fmt.Sprintf("after revision %d", revision), store.EventRequest{After: store.Position{History: latest.History, Revision: revision}}, want)
	}
}

func positionsAfterReopening(k *kit) {
	var all []place
	for n := range 4 {
		more := k.places(5)
		for i := range all {
			all[i].follow = append(all[i].follow, more[0].follow...)
		}
		all = append(all, more...)
		k.wantPlaces(fmt.Sprintf("opened for the %d. time", n+1), all)
		k.reopen()
		k.wantPlaces(fmt.Sprintf("reopened for the %d. time", n+1), all)
	}
}

func forgottenAfterReopening(k *kit) {
	places := k.places(9)
	through := places[5].at
	k.write(store.Write{Forget: &through})
	for range 2 {
		k.reopen()
		k.wantForgotten("forgotten before the store was reopened,", places[3].at)
		k.wantPlaces("after reopening", places[5:])
	}
	later := k.kept(putOrganizationOf(k.readOrganization("acme"), "later", 2))
	k.wantForgotten("forgotten before the store was reopened,", places[3].at)
	k.wantEvents("after reopening and another Write", everyEvent, append(slices.Clone(places[5].follow), later...))
}

func positionsAfterCompaction(k *kit) {
	places := k.places(9)
	k.option("Compact", func() { k.runner.compact(k.TB, k.adapter) })
	k.wantPlaces("when the change feed had forgotten the changes since", places)
	k.wantEvents("when the change feed had forgotten their changes", everyEvent, places[0].follow)
}

func lostEventPositions(k *kit) {
	before := k.places(6)
	var restore func(testing.TB, store.Store) store.Store
	k.option("Restore", func() { restore = k.runner.backup(k.TB, k.adapter) })
	var lost []place
	ids := map[string]string{}
	for n := range 3 {
		more := k.places(5)[1:] // the first is in the past of the backup
		lost = append(lost, more...)
		for _, e := range k.kept(putOf(fixture.Plain(apikey.ID(fmt.Sprint("lost-", n)), "acme"), fmt.Sprint("lost ", n), 2)) {
			if other, ok := ids[e.ID()]; ok {
				k.Errorf("the events %s and %s, of before and after the store went back, have the ID %s", other, e.Correlation, e.ID())
			}
			ids[e.ID()] = e.Correlation
		}
		k.option("the function that Restore returned", func() { k.use(restore(k.TB, k.adapter)) })
		check := func() {
			k.Helper()
			for _, p := range lost {
				k.wantForgotten("lost when the store went back,", p.at)
			}
			k.wantPlaces("after the store went back", before)
		}
		check()
		w := putOrganizationOf(k.readOrganization("acme"), "after the restore", 1)
		w.Events[0].Type = store.EventRequirementChanged
		later := k.kept(w)
		for i := range before {
			before[i].follow = append(slices.Clone(before[i].follow), later...)
		}
		check()
		for i := range before { // the next time the store goes back, it is lost
			before[i].follow = before[i].follow[:len(before[i].follow)-1]
		}
		lost = append(lost, place{at: k.page(store.EventRequest{}).Next})
		if k.Failed() {
			return
		}
	}
}

func forgetting(k *kit) {
	written := k.journalled()
	acme := k.readOrganization("acme")
	history := k.page(store.EventRequest{}).Next.History
	// To revisions with events and between them, the whole, and with an event of its own.
	for i := 0; i < len(written); i += 4 {
		through := store.Position{History: history, Revision: written[i].Revision}
		if i%8 == 0 {
			through.Revision-- // of a write without events, or of the one before
		}
		w := store.Write{Forget: &through, If: []store.Condition{onRecord("acme", "", acme.Revision)}}
		w.Events = fixture.Numbered("", "", "forgotten", i%3)
		w.Options = []store.PutOption{store.AllowOpen}
		before := k.snapshot()
		written = append(written, k.kept(w)...)
		k.wantUnchanged(before, "events were forgotten")
		want := slices.DeleteFunc(slices.Clone(written), func(e store.Event) bool { return e.Revision <= through.Revision })
		for _, request := range eventRequests {
			k.wantEvents(fmt.Sprintf("forgotten up to revision %d, of organization %q and key %q", through.Revision, request.Organization, request.Key), request, of(want, request.Organization, request.Key))
		}
		newest := slices.Clone(want)
		slices.Reverse(newest)
		k.wantEvents("newest first, after some were forgotten", store.EventRequest{Newest: true, Limit: 3}, newest)
	}
	latest := k.page(store.EventRequest{}).Next
	k.write(store.Write{Forget: &latest})
	k.wantEvents("after all were forgotten", everyEvent, nil)
	later := k.kept(putOrganizationOf(k.readOrganization("acme"), "later", 2))
	k.wantEvents("after all were forgotten, and another Write", everyEvent, later)
}

func forgettingElsewhere(k *kit) {
	places := k.places(5)
	latest := places[len(places)-1].at
	before := k.snapshot()
	for name, through := range map[string]store.Position{
		"a later revision":          {History: latest.History, Revision: latest.Revision + 1},
		"a revision beyond 63 bits": {History: latest.History, Revision: latest.Revision | 1<<63},
		"another history":           {History: latest.History + "x", Revision: latest.Revision},
	} {
		_, err := k.journal().Write(k.ctx, store.Write{Forget: &through, Events: fixture.Numbered("", "", "refused", 1)})
		k.wantError(err, store.ErrCompacted, "a Write that forgets events up to %s", name)
		k.wantUnchanged(before, "a Write that forgets events up to "+name)
	}
	k.wantPlaces("after Writes that were refused", places)
}

func forgettingAgain(k *kit) {
	places := k.places(9)
	for _, n := range []int{6, 6, 3, 1} {
		through := places[n].at
		k.write(store.Write{Forget: &through})
		k.wantPlaces("after events were forgotten twice", places[6:])
		k.wantForgotten("forgotten before,", places[2].at)
	}
	event := k.kept(store.Write{Forget: &places[2].at, Events: fixture.Numbered("", "", "forgotten", 1)})
	k.wantEvents("after a Write that forgot nothing more", everyEvent, append(slices.Clone(places[6].follow), event...))
}
