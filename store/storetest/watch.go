package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var watchCases = []testCase{
	{sentence: "W1", name: "changes delivered up to Position can be read", run: revisionIsThere},
	{sentence: "W1", name: "Position includes every write that returned", run: revisionCoversWrites},
	{sentence: "W1", name: "Position rises with every write and fails after Close", run: revisionFollows},
	{sentence: "W2", name: "every kind of write is delivered", run: everyWriteIsDelivered},
	{sentence: "W2", name: "a watch resumes from any mark", run: resumes},
	{sentence: "W9", name: "every position and every mark has a history", run: historyIsNamed},
	{sentence: "W2", name: "every watcher receives the changes of several writers", run: concurrentWritesAreDelivered},
}

// watcher returns the feed of the store.
func (k *kit) watcher() store.Watcher {
	k.Helper()
	watcher, ok := store.As[store.Watcher](k.store)
	if !ok {
		k.Fatalf("store.As finds no store.Watcher in this store, though it did in another")
	}
	return watcher
}

// position returns the latest position.
func (k *kit) position() store.Position {
	k.Helper()
	position, err := k.watcher().Position(k.ctx)
	if err != nil {
		k.Fatalf("Position: %v", err)
	}
	return position
}

// revision returns the latest revision.
func (k *kit) revision() uint64 {
	k.Helper()
	return k.position().Revision
}

// at returns the position of a revision in the present history.
func (k *kit) at(revision uint64) store.Position {
	k.Helper()
	return store.Position{History: k.position().History, Revision: revision}
}

// reach makes a mirror follow until a mark at or after a revision. The mark must come
// without a further write.
func (k *kit) reach(m *fixture.Mirror, revision uint64) {
	k.Helper()
	from := m.Mark.Revision
	err := m.Reach(k.ctx, k.watcher(), revision)
	if errors.Is(err, k.ctx.Err()) && err != nil {
		k.Fatalf("Watch from revision %d delivered no mark of revision %d or later without a further write; the last was of %d", from, revision, m.Mark.Revision)
	}
	if err != nil {
		k.Fatalf("Watch from revision %d, waiting for a mark of %d or later: %v", from, revision, err)
	}
}

// mirror returns a copy of the store from a watch from zero.
func (k *kit) mirror() *fixture.Mirror {
	k.Helper()
	m := fixture.NewMirror()
	k.reach(m, k.revision())
	return m
}

// wantMirror checks that a mirror equals what reads return.
func (k *kit) wantMirror(what string, m *fixture.Mirror) {
	k.Helper()
	if all := m.Differences(k.snapshot()); len(all) > 0 {
		k.Errorf("%s, a copy made of what was delivered up to the mark of revision %d is not the store: %s", what, m.Mark.Revision, strings.Join(all, "; "))
	}
}

// follow makes a mirror follow in another goroutine until see returns false. The
// returned function waits for the end, and returns the error.
func (k *kit) follow(m *fixture.Mirror, see func(store.Change) bool) (wait func() error) {
	k.Helper()
	watcher := k.watcher()
	ctx, cancel := context.WithCancel(k.ctx)
	ended := make(chan error, 1)
	go func() { ended <- m.Follow(ctx, watcher, see) }()
	wait = sync.OnceValue(func() error { return <-ended })
	k.atEnd(func() { // also after a failure
		cancel()
		_ = wait()
	})
	return wait
}

// script makes every kind of write, to some records more than once. It calls step after
// each.
func (k *kit) script(step func()) {
	k.Helper()
	did := func(err error) {
		k.Helper()
		if err != nil {
			k.Fatalf("a deletion: %v", err)
		}
		step()
	}
	put := func(key apikey.Key) apikey.Key {
		k.Helper()
		stored := k.put(key)
		step()
		return stored
	}
	organize := func(o policy.Organization) policy.Organization {
		k.Helper()
		stored := k.putOrganization(o)
		step()
		return stored
	}
	deleteKey := func(id apikey.ID) { did(k.store.DeleteKey(k.ctx, id, 0)) }

	acme := organize(policy.Organization{ID: "acme"})
	organize(policy.Organization{ID: "other \u00e9"})
	organize(policy.Organization{ID: "brief"})
	created := put(fixture.Plain("created", "acme"))
	replaced := put(put(richKey("replaced", "other \u00e9")))
	put(fixture.Plain("deleted", "acme"))
	put(fixture.Plain("again", "acme"))
	put(fixture.Plain("moved", "acme"))
	deleteKey("deleted")
	deleteKey("again")
	deleteKey("moved")
	put(fixture.Plain("again", "acme"))
	put(fixture.Plain("moved", "other \u00e9"))
	did(k.store.DeleteOrganization(k.ctx, "brief", 0))
	acme.Requirement = policy.Required
	acme = organize(acme)
	acme.Disabled = true
	acme = organize(acme)
	acme.SuspendedUntil = fixture.Moment
	organize(acme)
	created.Disabled = true
	put(created)
	replaced.AccessList = expiredList()
	put(replaced)
	organize(fixture.WholeOrganization("brief", 7))
}

// historyIsNamed checks positions; a mirror checks the marks.
func historyIsNamed(k *kit) {
	look := func() {
		k.Helper()
		if k.position().History == "" {
			k.Errorf("Position has no History; want a name")
		}
		k.mirror()
	}
	look()
	k.script(look)
}

func revisionFollows(k *kit) {
	last := k.revision()
	rises := func(revision uint64, what string) {
		k.Helper()
		now := k.revision()
		if now < revision || now <= last {
			k.Errorf("after %s, of revision %d, Position has revision %d and had %d before; want it risen", what, revision, now, last)
		}
		last = now
		k.reach(fixture.NewMirror(), now) // not ahead of the feed
	}
	organization := k.organization("acme")
	rises(organization.Revision, "PutOrganization")
	rises(k.putOrganization(organization).Revision, "PutOrganization that replaces")
	key := k.put(fixture.Plain("key", "acme"))
	rises(key.Revision, "PutKey")
	rises(k.put(key).Revision, "PutKey that replaces")
	k.delete("key")
	rises(last, "DeleteKey")
	if err := k.store.DeleteOrganization(k.ctx, "acme", 0); err != nil {
		k.Fatalf("DeleteOrganization: %v", err)
	}
	rises(last, "DeleteOrganization")
	watcher := k.watcher()
	k.close()
	_, err := watcher.Position(k.ctx)
	k.wantError(err, store.ErrClosed, "Position of a store that cannot be reached, since it was closed,")
}

// revisionCoversWrites calls Position from several goroutines while several others
// write.
func revisionCoversWrites(k *kit) {
	k.organization("acme")
	watcher := k.watcher()
	var floor atomic.Uint64 // the highest revision of a returned write
	var writing atomic.Int64
	writing.Store(writers)
	ask := func() bool {
		least := floor.Load()
		latest, err := watcher.Position(k.ctx)
		if err != nil {
			k.Errorf("Position: %v", err)
			return false
		}
		if latest.Revision < least {
			k.Errorf("Position returned revision %d after a write had returned with revision %d", latest.Revision, least)
			return false
		}
		return true
	}
	together(writers+2, func(i int) {
		if i >= writers {
			for writing.Load() > 0 && ask() {
			}
			return
		}
		defer writing.Add(-1)
		key := fixture.Plain(apikey.ID(fmt.Sprint("key-", i)), "acme")
		for range k.rounds(20) {
			stored, err := k.store.PutKey(k.ctx, key, store.AllowOpen)
			if err != nil {
				k.Errorf("PutKey: %v", err)
				return
			}
			for known := floor.Load(); known < stored.Revision && !floor.CompareAndSwap(known, stored.Revision); {
				known = floor.Load()
			}
			if key = stored; !ask() {
				return
			}
		}
	})
}

// revisionIsThere calls Position and reads while another goroutine writes: reads must
// not be older than the last write up to that revision.
func revisionIsThere(k *kit) {
	k.organization("acme")
	stored := k.put(fixture.Whole("key", "acme", 0))
	past := history{keys: []uint64{stored.Revision}}
	watcher := k.watcher()
	type reading struct{ revision, key uint64 }
	readings := [2][]reading{}
	read := func(i int) func() error {
		return func() error {
			latest, err := watcher.Position(k.ctx)
			if err != nil {
				return err
			}
			var key apikey.Key
			if i == 0 {
				subject, _, lookupErr := k.store.Lookup(k.ctx, "key")
				key, err = subject.Key(), lookupErr
			} else {
				key, err = k.store.Key(k.ctx, "key")
			}
			readings[i] = append(readings[i], reading{latest.Revision, key.Revision})
			return err
		}
	}
	k.whileWriting(k.rounds(200), func(n int) {
		next := fixture.Whole("key", "acme", n)
		next.Revision = stored.Revision
		stored = k.put(next)
		past.keys = append(past.keys, stored.Revision)
	}, read(0), read(1))
	for _, all := range readings {
		for _, r := range all {
			if least := latest(past.keys, r.revision); r.key < least {
				k.Fatalf("after Revision had returned %d, the key was read with revision %d; want %d or later", r.revision, r.key, least)
			}
		}
	}
}

// everyWriteIsDelivered follows from before the first write, and checks a copy after each.
func everyWriteIsDelivered(k *kit) {
	k.organization("first")
	early, before := k.mirror(), k.mirror()
	k.script(func() {
		k.reach(early, k.revision())
		k.wantMirror("after each write", early)
	})
	k.reach(before, k.revision())
	k.wantMirror("by a watch from the mark before the first write", before)
	k.wantMirror("by a watch from zero", k.mirror())
}

func resumes(k *kit) {
	marked := []*fixture.Mirror{k.mirror()}
	k.script(func() {
		next := marked[len(marked)-1].Clone()
		k.reach(next, k.revision())
		marked = append(marked, next)
	})
	for _, m := range marked {
		from := m.Mark.Revision
		k.reach(m, k.revision())
		k.wantMirror(fmt.Sprintf("by a watch from the mark of revision %d", from), m)
	}
}

func concurrentWritesAreDelivered(k *kit) {
	k.organization("acme")
	mirrors := []*fixture.Mirror{fixture.NewMirror(), k.mirror()}
	var waits []func() error
	var end atomic.Uint64 // the revision to reach; zero while unknown
	for _, m := range mirrors {
		waits = append(waits, k.follow(m, func(change store.Change) bool {
			until := end.Load()
			return until == 0 || !change.IsMark() || change.Revision < until
		}))
	}
	together(writers, func(i int) {
		key := fixture.Plain(apikey.ID(fmt.Sprint("key-", i)), "acme")
		for range k.rounds(20) {
			stored, err := k.store.PutKey(k.ctx, key, store.AllowOpen)
			if err != nil {
				k.Errorf("PutKey: %v", err)
				return
			}
			key = stored
		}
	})
	last := k.organization("last")
	end.Store(last.Revision)
	k.putOrganization(last) // delivered after the watchers know their end
	for i, wait := range waits {
		if err := wait(); err != nil {
			k.Fatalf("watcher %d: %v", i, err)
		}
		k.reach(mirrors[i], k.revision())
		k.wantMirror(fmt.Sprintf("by watcher %d", i), mirrors[i])
	}
}
