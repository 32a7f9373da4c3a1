package storetest

import (
	"context"
	"fmt"
	"slices"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var followerCases = []testCase{
	{sentence: "E14", name: "a page after any Next goes on", run: eventsAfterNext},
	{sentence: "E14", name: "Next and the position of a mark are one", run: nextAndMarks},
	{sentence: "E14", name: "a quiet organization's Next goes along", run: quietNext},
	{sentence: "E15", name: "events are there after their Write", run: eventsAfterWrite},
	{sentence: "E15", name: "events are there after a mark that includes them", run: eventsAfterMark},
	{sentence: "E15", name: "a follower misses none while several write", run: followerMissesNone},
}

func eventsAfterNext(k *kit) {
	// From the Next of a journal without events, too.
	empty := k.page(store.EventRequest{})
	k.wantHistory("of a journal without events", empty)
	written := k.journalled()
	k.wantEvents("after the Next of a journal without events", store.EventRequest{After: empty.Next}, written)
	if got := k.page(store.EventRequest{Newest: true, After: empty.Next}); len(got.Events) > 0 {
		k.Errorf("older than the first event there are %s; want none", fixture.ShownEvents(got.Events))
	}
	for _, request := range eventRequests[:5] {
		for _, request.Newest = range []bool{false, true} {
			follow := of(written, request.Organization, request.Key)
			if request.Newest {
				slices.Reverse(follow)
			}
			for request.Limit, request.After = 1, (store.Position{}); ; {
				page := k.page(request)
				k.wantHistory(fmt.Sprintf("of page %+v", request), page)
				if n := len(page.Events); n > len(follow) || n == 0 {
					break
				}
				follow = follow[len(page.Events):]
				request.After = page.Next
				k.wantEvents(fmt.Sprintf("after page %+v", request), request, follow)
			}
			if len(follow) > 0 {
				k.Errorf("pages of %+v end before %s", request, fixture.ShownEvents(follow))
			}
		}
	}
	// Events written later follow the last page.
	last := k.page(store.EventRequest{Limit: store.MaxPageSize}).Next
	k.wantEvents("after the last page", store.EventRequest{After: last}, nil)
	later := k.kept(putOf(fixture.Plain("later", "acme"), "later", 2))
	k.wantEvents("after the last page, and a Write", store.EventRequest{After: last}, later)
	k.wantEvents("after the last page, of another organization", store.EventRequest{Organization: "other", After: last}, nil)
}

func (k *kit) wantHistory(what string, page store.EventPage) {
	k.Helper()
	if page.Next.History == "" {
		k.Errorf("Next %s is %+v; want a History", what, page.Next)
	}
}

func nextAndMarks(k *kit) {
	if _, ok := store.As[store.Watcher](k.store); !ok {
		k.Skip("store.As finds no store.Watcher in the store: marks do not apply")
	}
	m := k.mirror()
	k.wantEvents("after a mark of an empty store", store.EventRequest{After: m.Mark}, nil)
	written := k.journalled()
	k.wantEvents("after a mark", store.EventRequest{After: m.Mark}, written)
	k.wantEvents("after a mark, of an organization", store.EventRequest{After: m.Mark, Organization: "other"}, of(written, "other", ""))

	// A watch from any Next goes on.
	k.reach(m, k.revision())
	for request := (store.EventRequest{Limit: 1}); ; {
		page := k.page(request)
		from := m.Clone()
		from.Mark = page.Next // changes since come again
		k.completeOrCompacted("from the Next of a page", from)
		request.After = page.Next
		if page.More {
			continue
		}
		if latest := k.position(); page.Next.Revision < latest.Revision {
			k.Errorf("Next of the last page has revision %d; want %d, that of Position, or later", page.Next.Revision, latest.Revision)
		}
		from = m.Clone()
		from.Mark = page.Next
		k.putOrganization(k.readOrganization("acme"))
		k.reach(from, k.revision()) // of the present, so it is no ErrCompacted
		k.wantMirror("by a watch from the Next of the last page", from)
		return
	}
}

// quietNext forgets the events of others. A follower that was at the end has missed none.
func quietNext(k *kit) {
	k.organization("acme")
	k.organization("other")
	quiet := k.page(store.EventRequest{Organization: "acme"})
	for n := range 3 {
		k.write(putOrganizationOf(k.readOrganization("other"), fmt.Sprint(n), 2))
		k.putOrganization(k.readOrganization("acme")) // without an event
		before := quiet.Next
		quiet = k.page(store.EventRequest{Organization: "acme", After: before})
		if len(quiet.Events) > 0 || quiet.More {
			k.Fatalf("of an organization without events there are %s, More %t; want none", fixture.ShownEvents(quiet.Events), quiet.More)
		}
		through := k.page(store.EventRequest{}).Next
		if through.Revision > quiet.Next.Revision {
			k.Fatalf("Next of the last page of an organization has revision %d; want at least %d, that of the latest write", quiet.Next.Revision, through.Revision)
		}
		through.Revision = min(through.Revision, quiet.Next.Revision)
		k.write(store.Write{Forget: &through})
		if _, err := k.journal().Events(k.ctx, store.EventRequest{Organization: "acme", After: quiet.Next}); err != nil {
			k.Fatalf("Events after the Next of a last page, after others' events from before it were forgotten: %v", err)
		}
	}
}

func eventsAfterWrite(k *kit) {
	k.organization("acme")
	together(4, func(i int) {
		key := fixture.Plain(apikey.ID(fmt.Sprint("key-", i)), "acme")
		for n := range k.rounds(30) {
			w := putOf(key, fmt.Sprint(n), 1+n%2)
			revision, err := k.journal().Write(k.ctx, w)
			if err != nil {
				k.Errorf("Write of %s, which nobody else writes: %v", subject(w), err)
				return
			}
			key.Revision = revision
			page, err := k.journal().Events(k.ctx, store.EventRequest{Organization: "acme", Key: key.ID, Newest: true, Limit: 1})
			if err != nil || len(page.Events) != len(w.Events) || page.Events[0].Revision != revision {
				k.Errorf("after a Write with revision %d the newest events of its key are %s (error %s)", revision, fixture.ShownEvents(page.Events), quoted(err))
				return
			}
		}
	})
}

func eventsAfterMark(k *kit) {
	if _, ok := store.As[store.Watcher](k.store); !ok {
		k.Skip("store.As finds no store.Watcher in the store: marks do not apply")
	}
	k.organization("acme")
	rounds := k.rounds(30)
	m := k.mirror()
	var after store.Position
	var read []store.Event
	wait := k.follow(m, func(change store.Change) bool {
		if !change.IsMark() {
			return true
		}
		for { // to the end, as a follower does
			page, err := k.journal().Events(k.ctx, store.EventRequest{After: after})
			if err != nil {
				k.Errorf("Events after a mark: %v", err)
				return false
			}
			read, after = append(read, page.Events...), page.Next
			if !page.More {
				break
			}
		}
		if after.Revision < change.Revision {
			k.Errorf("after a mark of revision %d, events are read to revision %d; want what the mark includes", change.Revision, after.Revision)
		}
		return len(read) < rounds
	})
	var want []store.Event
	key := fixture.Plain("key", "acme")
	for n := range rounds {
		w := putOf(key, fmt.Sprint(n), 1)
		kept := k.kept(w)
		key.Revision = kept[0].Revision
		want = append(want, kept...)
	}
	if err := wait(); err != nil {
		k.Fatalf("Watch: %v", err)
	}
	k.wantSame("read after marks", read, want)
}

// followerMissesNone reads on from Next to Next while several write. Where revisions are
// given before a commit, a later one may be visible first: a follower would pass over the
// other.
func followerMissesNone(k *kit) {
	k.organization("acme")
	each := k.rounds(40)
	ctx, stop := context.WithCancel(k.ctx)
	defer stop()
	var followed []store.Event
	var failure error
	request := store.EventRequest{Limit: 3}
	read := func() error {
		page, err := k.journal().Events(k.ctx, request)
		if err == nil {
			followed, request.After = append(followed, page.Events...), page.Next
		}
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil && failure == nil {
			failure = read()
		}
	}()
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
		}
	})
	stop()
	<-ended
	want := k.events(everyEvent)
	for failure == nil && len(followed) < len(want) {
		had := len(followed)
		if failure = read(); len(followed) == had {
			break
		}
	}
	if failure != nil {
		k.Fatalf("Events, while others write: %v", failure)
	}
	k.wantSame("read while others wrote", followed, want)
}
