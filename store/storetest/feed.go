package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var feedCases = []testCase{
	{sentence: "W3", name: "delivered changes can be read", run: deliveredIsReadable},
	{sentence: "W3", name: "delivered changes can be read while others write", run: deliveredIsReadableMeanwhile},
	{sentence: "W4", name: "a watch from beyond the latest revision is ErrCompacted", run: watchFromBeyond},
	{sentence: "W4", name: "a watch from a revision beyond 63 bits is ErrCompacted", run: watchFromFarBeyond},
	{sentence: "W4", name: "a watch from another history is ErrCompacted", run: watchFromElsewhere},
	{sentence: "W4", name: "after reopening the feed is complete or says that it is not", run: feedAfterReopening, needs: "Reopen"},
	{sentence: "W5", name: "a watch ends with the error of its context", run: watchEndsWithContext},
	{sentence: "W5", name: "a watch ends with ErrClosed", run: watchEndsWithClose},
	{sentence: "W5", name: "a watch resumes from the last mark of an ended one", run: watchGoesOn},
	{sentence: "W5", name: "a watcher may stop at any change", run: watchIsLeft},
}

// deliveredIsReadable reads each record when its change is delivered. Only then it writes the
// next one.
func deliveredIsReadable(k *kit) {
	seen, over := make(chan struct{}), make(chan struct{})
	defer close(over)
	wait := k.follow(k.mirror(), func(change store.Change) bool {
		if change.IsMark() {
			return true
		}
		k.wantReadable(change)
		select {
		case seen <- struct{}{}:
			return true
		case <-over:
			return false
		}
	})
	ended := make(chan error, 1)
	go func() { ended <- wait() }()
	k.writeForReaders(k.rounds(30), func() {
		select {
		case <-seen:
		case err := <-ended:
			k.Fatalf("Watch ended before it delivered the latest write: %v", err)
		case <-k.ctx.Done():
			k.Fatalf("Watch did not deliver the latest write")
		}
	})
}

// deliveredIsReadableMeanwhile writes without waiting.
func deliveredIsReadableMeanwhile(k *kit) {
	wait := k.follow(k.mirror(), func(change store.Change) bool {
		if !change.IsMark() {
			k.wantReadable(change)
		}
		return change.Key != "end" && !k.Failed()
	})
	k.writeForReaders(k.rounds(30), func() {})
	if err := wait(); err != nil {
		k.Errorf("Watch: %v", err)
	}
}

// writeForReaders makes every kind of write, the key "end" last, and calls after after
// each.
func (k *kit) writeForReaders(rounds int, after func()) {
	k.Helper()
	k.organization("acme")
	after()
	for n := range rounds {
		key := k.put(fixture.Whole("key", "acme", n))
		after()
		k.put(key)
		after()
		k.delete("key")
		after()
		organization := k.organization("brief")
		after()
		k.putOrganization(organization)
		after()
		if err := k.store.DeleteOrganization(k.ctx, "brief", 0); err != nil {
			k.Fatalf("DeleteOrganization: %v", err)
		}
		after()
	}
	k.put(fixture.Plain("end", "acme"))
	after()
}

// wantReadable checks that reads see a delivered change or a later one. An absent record
// was deleted since; a deleted record that exists was created again.
func (k *kit) wantReadable(change store.Change) {
	k.Helper()
	check := func(method string, revision uint64, err error) {
		k.Helper()
		if err == nil && revision < change.Revision {
			k.Errorf("%s has revision %d after Watch delivered %s; want that one or a later one, or none if it was deleted", method, revision, fixture.Shown(change))
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			k.Errorf("%s, after Watch delivered %s: %v", method, fixture.Shown(change), err)
		}
		if errors.Is(err, store.ErrNotFound) && !change.Deleted {
			if latest, err := k.watcher().Position(k.ctx); err == nil && latest.Revision <= change.Revision {
				k.Errorf("%s does not find the record after Watch delivered %s the latest write of all", method, fixture.Shown(change))
			}
		}
	}
	if change.Err != nil {
		k.Errorf("Watch delivered %s and it can be read", fixture.Shown(change))
		return
	}
	if change.Key == "" {
		organization, err := k.store.Organization(k.ctx, change.Organization)
		check("Organization", organization.Revision, err)
		if err == nil && organization.Revision == change.Revision && !change.Deleted && !organization.Equal(*change.OrganizationRecord) {
			k.Errorf("Organization is %+v, and Watch delivered %+v of that revision", organization, *change.OrganizationRecord)
		}
		return
	}
	key, err := k.store.Key(k.ctx, change.Key)
	check("Key", key.Revision, err)
	if err == nil && key.Revision == change.Revision && !change.Deleted {
		k.wantKey("the record that Watch delivered, compared with that of Key", *change.KeyRecord, key)
	}
	subject, found, err := k.store.Lookup(k.ctx, change.Key)
	if err == nil && !found {
		err = store.ErrNotFound
	}
	check("Lookup", subject.Key().Revision, err)
}

// watchFromBeyond watches like a copy of a store that was restored from a backup: the
// copy is ahead.
func watchFromBeyond(k *kit) {
	beyond := func() {
		k.Helper()
		latest := k.position()
		for _, more := range []uint64{1, 2, 1000, 1 << 40} {
			k.wantCompacted(store.Position{History: latest.History, Revision: latest.Revision + more}, latest)
		}
	}
	beyond()
	k.script(func() {})
	beyond()
}

// watchFromFarBeyond watches from revisions that a store would take for an earlier one, or
// for zero, if it cut them or added to them.
func watchFromFarBeyond(k *kit) {
	k.script(func() {})
	latest := k.position()
	for _, revision := range beyond(latest.Revision) {
		if revision > latest.Revision {
			k.wantCompacted(store.Position{History: latest.History, Revision: revision}, latest)
		}
	}
}

// watchFromElsewhere watches like a copy of another store, or of this one in a past that
// it has lost.
func watchFromElsewhere(k *kit) {
	elsewhere := func() {
		k.Helper()
		latest := k.position()
		for _, history := range []string{"", "no history", latest.History + "x", latest.History[1:]} {
			for _, revision := range []uint64{0, 1, latest.Revision, latest.Revision + 1} {
				if history == "" && revision == 0 {
					continue // before everything
				}
				k.wantCompacted(store.Position{History: history, Revision: revision}, latest)
			}
		}
	}
	elsewhere()
	k.script(func() {})
	elsewhere()
}

// wantCompacted checks that a watch from a position yields ErrCompacted at once.
func (k *kit) wantCompacted(after, latest store.Position) {
	k.Helper()
	for change, err := range k.watcher().Watch(k.ctx, after) {
		if err == nil {
			k.Errorf("Watch from revision %d of history %q, of a store that has come to %d of %q, delivered %s; want ErrCompacted", after.Revision, after.History, latest.Revision, latest.History, fixture.Shown(change))
		} else {
			k.wantError(err, store.ErrCompacted, "Watch from revision %d of history %q, of a store that has come to %d of %q", after.Revision, after.History, latest.Revision, latest.History)
		}
		return
	}
	k.Errorf("Watch from revision %d of history %q: %v", after.Revision, after.History, fixture.ErrSilent)
}

func feedAfterReopening(k *kit) {
	marked := []*fixture.Mirror{k.mirror()}
	k.script(func() {
		next := marked[len(marked)-1].Clone()
		k.reach(next, k.revision())
		marked = append(marked, next)
	})
	k.reopen()
	for _, m := range marked {
		k.completeOrCompacted("after reopening", m)
	}
	k.wantMirror("by a watch from zero after reopening", k.mirror())
}

// An ending is the last thing that a watch yielded.
type ending struct {
	change store.Change
	err    error
	more   int // number of yields after the error
}

// watchToTheEnd watches in another goroutine, past any error, and sends the ending. delivered
// is closed at the first delivery, or at the end.
func (k *kit) watchToTheEnd(ctx context.Context, after store.Position) (ended <-chan ending, delivered <-chan struct{}) {
	k.Helper()
	watcher := k.watcher()
	ends, delivers := make(chan ending, 1), make(chan struct{})
	deliver := sync.OnceFunc(func() { close(delivers) })
	go func() {
		defer deliver()
		var end ending
		for change, err := range watcher.Watch(ctx, after) {
			if end.err != nil {
				end.more++
				continue
			}
			end.change, end.err = change, err
			deliver()
		}
		ends <- end
	}()
	return ends, delivers
}

func (k *kit) wantEnding(ended <-chan ending, want error, what string) {
	k.Helper()
	select {
	case end := <-ended:
		k.wantError(end.err, want, "%s, the last that Watch yielded", what)
		if end.err != nil && end.change != (store.Change{}) {
			k.Errorf("%s, Watch yielded %s with its error; want a zero Change", what, fixture.Shown(end.change))
		}
		if end.more > 0 {
			k.Errorf("%s, Watch yielded %d times after its error", what, end.more)
		}
	case <-k.ctx.Done():
		k.Fatalf("%s, Watch did not end", what)
	}
}

func watchEndsWithContext(k *kit) {
	k.organization("acme")
	before := k.mirror().Mark
	k.put(fixture.Plain("key", "acme"))
	for _, after := range []store.Position{{}, before, k.mirror().Mark} { // with changes to deliver, and without
		ctx, cancel := context.WithCancel(k.ctx)
		ended, delivered := k.watchToTheEnd(ctx, after)
		<-delivered // at least a mark
		cancel()
		k.wantEnding(ended, context.Canceled, "after its context was cancelled")

		ctx, cancel = context.WithTimeout(k.ctx, time.Millisecond)
		ended, _ = k.watchToTheEnd(ctx, after)
		k.wantEnding(ended, context.DeadlineExceeded, "after its context's deadline")
		cancel()
	}
}

func watchEndsWithClose(k *kit) {
	k.organization("acme")
	var all []<-chan ending
	for _, after := range []store.Position{{}, k.mirror().Mark} {
		ended, delivered := k.watchToTheEnd(k.ctx, after)
		<-delivered
		all = append(all, ended)
	}
	k.close()
	for _, ended := range all {
		k.wantEnding(ended, store.ErrClosed, "after Close")
	}
}

// watchGoesOn ends a watch again and again, and resumes at the last mark.
func watchGoesOn(k *kit) {
	m := k.mirror()
	k.organization("acme")
	for n := range 5 {
		for i := range 3 {
			k.put(fixture.Plain(apikey.ID(fmt.Sprintf("key-%d-%d", n, i)), "acme"))
		}
		ctx, cancel := context.WithCancel(k.ctx)
		delivered := 0
		err := m.Follow(ctx, k.watcher(), func(store.Change) bool {
			// Each round delivers at least three keys and a mark. More may come before
			// the watch notices its context.
			if delivered++; delivered > n%4 {
				cancel()
			}
			return true
		})
		cancel()
		k.wantError(err, context.Canceled, "Watch")
	}
	k.reach(m, k.revision())
	k.wantMirror("by watches that went on from the last mark after each end", m)
}

func watchIsLeft(k *kit) {
	before := k.mirror()
	k.organization("acme")
	for i := range 5 {
		k.put(fixture.Plain(apikey.ID(fmt.Sprint("key-", i)), "acme"))
	}
	for stop := range 5 {
		for _, after := range []store.Position{{}, before.Mark} {
			delivered := 0
			for _, err := range k.watcher().Watch(k.ctx, after) {
				if err != nil {
					k.Fatalf("Watch: %v", err)
				}
				if delivered++; delivered > stop {
					break
				}
			}
		}
	}
	// A watch left behind blocks neither the next one nor a write.
	k.put(fixture.Plain("end", "acme"))
	k.reach(before, k.revision())
	k.wantMirror("by a watch after others were left", before)
}
