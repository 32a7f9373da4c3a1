package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

var feedCases = []testCase{
	{sentence: "W3", name: "what is told can be read", run: toldIsReadable},
	{sentence: "W3", name: "what is told can be read while more is written", run: toldIsReadableMeanwhile},
	{sentence: "W4", name: "a feed that was compacted says so", run: compacted, needs: "Compact"},
	{sentence: "W4", name: "a feed from the beginning is complete or says that it is not", run: feedFromBeginning},
	{sentence: "W4", name: "after reopening the feed is complete or says that it is not", run: feedAfterReopening, needs: "Reopen"},
	{sentence: "W5", name: "a watch ends with the error of its context", run: watchEndsWithContext},
	{sentence: "W5", name: "a watch ends with ErrClosed", run: watchEndsWithClose},
	{sentence: "W5", name: "a watch that ended goes on from the last revision told", run: watchGoesOn},
	{sentence: "W5", name: "whoever watches may stop at any change", run: watchIsLeft},
}

// toldIsReadable reads every record when a change to it is told, and writes the next
// one only then.
func toldIsReadable(k *kit) {
	seen := make(chan struct{})
	wait := k.watchMeanwhile(k.revision(), func(change store.Change) bool {
		if change.Organization == "" {
			return true
		}
		k.wantReadable(change)
		select {
		case seen <- struct{}{}:
			return true
		case <-k.ctx.Done():
			return false
		}
	})
	ended := make(chan error, 1)
	go func() { ended <- wait() }()
	k.writeForReaders(k.rounds(30), func() {
		select {
		case <-seen:
		case err := <-ended:
			k.Fatalf("Watch ended before it told of the latest write: %v", err)
		}
	})
}

// toldIsReadableMeanwhile does not wait with the next write.
func toldIsReadableMeanwhile(k *kit) {
	wait := k.watchMeanwhile(k.revision(), func(change store.Change) bool {
		if change.Organization != "" {
			k.wantReadable(change)
		}
		return change.Key != "end" && !k.Failed()
	})
	k.writeForReaders(k.rounds(30), func() {})
	if err := wait(); err != nil {
		k.Errorf("Watch: %v", err)
	}
}

// writeForReaders writes in every way, the key "end" last, and calls after after
// every write.
func (k *kit) writeForReaders(rounds int, after func()) {
	k.Helper()
	k.organization("acme")
	after()
	for n := range rounds {
		key := k.put(whole("key", "acme", n))
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
	k.put(plainKey("end", "acme"))
	after()
}

// wantReadable checks that reads see a change or a later one. A record that is not
// there was deleted; a deleted one that is there was created again.
func (k *kit) wantReadable(change store.Change) {
	k.Helper()
	check := func(method string, revision uint64, err error) {
		k.Helper()
		if err == nil && revision < change.Revision {
			k.Errorf("%s has revision %d after %+v was told; want that one or a later one, or none if it was deleted", method, revision, change)
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			k.Errorf("%s, after %+v was told: %v", method, change, err)
		}
		if errors.Is(err, store.ErrNotFound) && !change.Deleted {
			if latest, err := k.watcher().Revision(k.ctx); err == nil && latest <= change.Revision {
				k.Errorf("%s does not find the record after %+v, the latest write of all, was told", method, change)
			}
		}
	}
	if change.Key == "" {
		organization, err := k.store.Organization(k.ctx, change.Organization)
		check("Organization", organization.Revision, err)
		return
	}
	key, err := k.store.Key(k.ctx, change.Key)
	check("Key", key.Revision, err)
	subject, found, err := k.store.Lookup(k.ctx, change.Key)
	if err == nil && !found {
		err = store.ErrNotFound
	}
	check("Lookup", subject.Key().Revision, err)
}

func compacted(k *kit) {
	before := k.revision()
	s := k.script()
	k.runner.compact(k.TB, k.store)
	k.completeOrCompacted("after compaction", s, before)

	// It goes on from the present, whatever it forgot.
	after := k.revision()
	key := k.put(plainKey("later", "acme"))
	if told := k.mustWatch(after, key.Revision); len(told) != 1 || told[0].Key != "later" {
		k.Errorf("Watch from the latest revision told %+v; want the one write since", told)
	}
}

func feedFromBeginning(k *kit) {
	before := k.revision()
	k.completeOrCompacted("from before the first write", k.script(), before)
}

func feedAfterReopening(k *kit) {
	before := k.revision()
	s := k.script()
	k.reopen()
	k.completeOrCompacted("after reopening", s, before)
}

// completeOrCompacted checks that a watch from long ago tells all of the script, or
// says that it cannot.
func (k *kit) completeOrCompacted(when string, s script, before uint64) {
	k.Helper()
	ctx, cancel := context.WithCancel(k.ctx)
	defer cancel()
	end := k.put(plainKey("end-of-it", "acme"))
	s.final[recordName{"acme", end.ID}] = store.Change{Revision: end.Revision, Organization: "acme", Key: end.ID}
	var told []store.Change
	for change, err := range k.watcher().Watch(ctx, before) {
		if errors.Is(err, store.ErrCompacted) {
			return
		}
		if err != nil {
			k.Fatalf("%s, Watch from revision %d: %v; want all changes or ErrCompacted", when, before, err)
		}
		told = append(told, change)
		if change.Key == end.ID {
			break
		}
	}
	ours := func(c store.Change) bool { _, ok := s.final[recordName{c.Organization, c.Key}]; return ok }
	s.wantTold(k, when+", Watch", slices.DeleteFunc(told, func(c store.Change) bool { return !ours(c) }), 0)
}

// An ending is what a watch yielded last.
type ending struct {
	change store.Change
	err    error
	more   int // yielded after the error
}

// watchToTheEnd watches in another goroutine, through any error, and sends how it
// ended. told is closed when something was told, or when it ended without.
func (k *kit) watchToTheEnd(ctx context.Context, after uint64) (ended <-chan ending, told <-chan struct{}) {
	k.Helper()
	watcher := k.watcher()
	ends, tells := make(chan ending, 1), make(chan struct{})
	tell := sync.OnceFunc(func() { close(tells) })
	go func() {
		defer tell()
		var end ending
		for change, err := range watcher.Watch(ctx, after) {
			if end.err != nil {
				end.more++
				continue
			}
			end.change, end.err = change, err
			tell()
		}
		ends <- end
	}()
	return ends, tells
}

func (k *kit) wantEnding(ended <-chan ending, want error, what string) {
	k.Helper()
	select {
	case end := <-ended:
		k.wantError(end.err, want, "%s, the last that Watch yielded", what)
		if end.err != nil && end.change != (store.Change{}) {
			k.Errorf("%s, Watch yielded %+v with its error; want a zero Change", what, end.change)
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
	before := k.revision()
	key := k.put(plainKey("key", "acme"))
	for _, after := range []uint64{before, key.Revision} { // with something to tell, and with nothing
		ctx, cancel := context.WithCancel(k.ctx)
		ended, told := k.watchToTheEnd(ctx, after)
		if after == before {
			<-told
		}
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
	before := k.revision()
	k.put(plainKey("key", "acme"))
	ended, told := k.watchToTheEnd(k.ctx, before)
	<-told
	k.close()
	k.wantEnding(ended, store.ErrClosed, "after Close")
}

func watchGoesOn(k *kit) {
	after := k.revision()
	k.organization("acme")
	var want, got []apikey.ID
	for n := range 5 {
		for i := range 3 {
			want = append(want, k.put(plainKey(apikey.ID(fmt.Sprintf("key-%d-%d", n, i)), "acme")).ID)
		}
		ctx, cancel := context.WithCancel(k.ctx)
		for change, err := range k.watcher().Watch(ctx, after) {
			if err != nil {
				k.wantError(err, context.Canceled, "Watch")
				break
			}
			after = change.Revision
			if change.Key != "" {
				got = append(got, change.Key)
			}
			if change.Key == want[len(want)-1] {
				cancel() // it may tell of more before it notices
			}
		}
		cancel()
		if k.Failed() || k.ctx.Err() != nil {
			break
		}
	}
	if !slices.Equal(got, want) {
		k.Errorf("Watch, called again after each end with the last revision told, told of keys %q; want %q", got, want)
	}
}

func watchIsLeft(k *kit) {
	before := k.revision()
	k.organization("acme")
	for i := range 5 {
		k.put(plainKey(apikey.ID(fmt.Sprint("key-", i)), "acme"))
	}
	for stop := range 5 {
		n := 0
		for _, err := range k.watcher().Watch(k.ctx, before) {
			if err != nil {
				k.Fatalf("Watch: %v", err)
			}
			if n++; n > stop {
				break
			}
		}
	}
	// Nothing that was left behind keeps the next one from being told, or a write.
	end := k.put(plainKey("end", "acme"))
	k.mustWatch(before, end.Revision)
}
