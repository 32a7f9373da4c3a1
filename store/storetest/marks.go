package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var markCases = []testCase{
	{sentence: "W6", name: "a watch from zero begins with every existing record", run: beginsWithEverything},
	{sentence: "W6", name: "a watch from zero begins with a snapshot while others write", run: beginsWithOneMoment},
	{sentence: "W6", name: "a mark comes first if there is nothing to deliver", run: markComesFirst},
	{sentence: "W6", name: "a mark follows every write without a further one", run: markFollows},
	{sentence: "W6", name: "a copy is the store at every mark while several write", run: copyAtEveryMark},
	{sentence: "W6", name: "a key and its organization are a snapshot at every mark", run: pairAtEveryMark},
	{sentence: "W7", name: "a watcher that has stopped holds up nobody", run: stoppedWatcher},
	{sentence: "W8", name: "a delivered record may be changed", run: deliveredIsNotShared},
}

// firstMark watches up to the first mark, without a further write.
func (k *kit) firstMark(what string, m *fixture.Mirror) {
	k.Helper()
	if err := m.Follow(k.ctx, k.watcher(), func(change store.Change) bool { return !change.IsMark() }); err != nil {
		k.Fatalf("%s, Watch from revision %d, waiting for a mark: %v", what, m.Mark.Revision, err)
	}
}

func beginsWithEverything(k *kit) {
	look := func() {
		k.Helper()
		latest, m := k.revision(), fixture.NewMirror()
		k.firstMark("from zero", m)
		if m.Mark.Revision < latest {
			k.Errorf("the first mark of a Watch from zero is of revision %d, and the store had come to %d before; want all of that before the mark", m.Mark.Revision, latest)
		}
		k.wantMirror("by a watch from zero up to its first mark", m)
	}
	look()
	k.script(look)
}

// beginsWithOneMoment watches from zero up to the first mark, again and again, while
// another goroutine writes. Afterwards it checks that each copy was the store at its mark.
func beginsWithOneMoment(k *kit) {
	past, write := k.pairWriter()
	watcher := k.watcher()
	type copied struct {
		pair
		mark uint64
	}
	var all []copied
	k.whileWriting(4*k.rounds(50), write, func() error {
		m := fixture.NewMirror()
		err := m.Follow(k.ctx, watcher, func(change store.Change) bool { return !change.IsMark() })
		key, organization := m.Records[fixture.KeyName("key")], m.Records[fixture.OrganizationName("acme")]
		all = append(all, copied{pair{key.Revision, organization.Revision}, m.Mark.Revision})
		return err
	})
	for _, c := range all {
		want := pair{latest(past.keys, c.mark), latest(past.organizations, c.mark)}
		if c.pair != want {
			k.Fatalf("a watch from zero has the key and its organization with revisions %+v at its first mark, of revision %d; want %+v", c.pair, c.mark, want)
		}
	}
}

func markComesFirst(k *kit) {
	look := func() {
		k.Helper()
		m := k.mirror()
		k.firstMark("with nothing to deliver", m)
		k.wantMirror("after a mark without anything to deliver", m)
	}
	look()
	k.script(look)
}

// markFollows keeps one watch and waits for its mark after every write.
func markFollows(k *kit) {
	reached, over := make(chan uint64), make(chan struct{})
	defer close(over) // a mark may come at any time
	wait := k.follow(k.mirror(), func(change store.Change) bool {
		if !change.IsMark() {
			return true
		}
		select {
		case reached <- change.Revision:
			return true
		case <-over:
			return false
		}
	})
	ended := make(chan error, 1)
	go func() { ended <- wait() }()
	k.script(func() {
		for latest := k.revision(); ; {
			select {
			case mark := <-reached:
				if mark >= latest {
					return
				}
			case err := <-ended:
				k.Fatalf("Watch ended before a mark of revision %d: %v", latest, err)
			case <-k.ctx.Done():
				k.Fatalf("Watch delivered no mark of revision %d or later without a further write", latest)
			}
		}
	})
}

// A trail is the state of a mirror at every mark, and the delivered changes.
type trail struct {
	*fixture.Mirror
	instants  []instant
	delivered []store.Change
}

func (t *trail) see(change store.Change) {
	if !change.IsMark() {
		t.delivered = append(t.delivered, change)
		return
	}
	t.instants = append(t.instants, instantOf(t.Mirror))
}

// copyAtEveryMark writes all kinds of records from several goroutines while copies are
// kept: one from the beginning, one from the middle, and one that leaves its watch and
// resumes all the time. Afterwards it checks that each copy was at every mark the store
// at the mark's revision.
func copyAtEveryMark(k *kit) {
	t := newTimeline(k)
	var over atomic.Bool
	var end atomic.Uint64
	enough := func(change store.Change) bool {
		return k.Failed() || over.Load() && change.IsMark() && change.Revision >= end.Load()
	}
	keep := func(tr *trail) func() error {
		return k.follow(tr.Mirror, func(change store.Change) bool {
			tr.see(change)
			return !enough(change)
		})
	}
	whole, restless, late := &trail{Mirror: fixture.NewMirror()}, &trail{Mirror: fixture.NewMirror()}, &trail{Mirror: fixture.NewMirror()}
	waits := []func() error{keep(whole), k.restless(restless, enough)}
	together(writers, func(i int) { t.writeEverything(i, k.rounds(20)) })
	waits = append(waits, keep(late))
	together(writers, func(i int) { t.writeEverything(i+writers, k.rounds(20)) })
	over.Store(true)
	last, ok := t.putOrganization(policy.Organization{ID: "last"})
	end.Store(last.Revision)
	if _, again := t.putOrganization(last); !ok || !again {
		return
	}
	for i, wait := range waits {
		if err := wait(); err != nil {
			k.Fatalf("%v", err)
		}
		for _, change := range []*trail{whole, restless, late}[i].delivered {
			if err := t.checkDelivered(change); err != nil {
				k.Fatalf("%v", err)
			}
		}
		for _, at := range []*trail{whole, restless, late}[i].instants {
			if err := t.check(at); err != nil {
				k.Fatalf("a copy made of what was delivered up to the mark of revision %d is not the store as it was then: %v", at.mark, err)
			}
		}
	}
}

// restless follows in another goroutine. It leaves the watch after some changes and
// resumes at the last mark, until enough returns true.
func (k *kit) restless(t *trail, enough func(store.Change) bool) (wait func() error) {
	k.Helper()
	watcher := k.watcher()
	ctx, cancel := context.WithCancel(k.ctx)
	ended := make(chan error, 1)
	go func() {
		for n, patience := 1, 0; ; n++ {
			delivered, before, done := 0, t.Mark, false
			err := t.Follow(ctx, watcher, func(change store.Change) bool {
				t.see(change)
				delivered++
				done = enough(change)
				return !done && delivered < n%17+patience
			})
			if err != nil || done {
				ended <- err
				return
			}
			if patience += delivered; t.Mark.Revision > before.Revision { // or it would never reach a mark
				patience = 0
			}
		}
	}()
	wait = sync.OnceValue(func() error { return <-ended })
	k.atEnd(func() {
		cancel()
		_ = wait()
	})
	return wait
}

// writeEverything makes every kind of write, and leaves some records behind.
func (t *timeline) writeEverything(i, rounds int) {
	organization, ok := t.putOrganization(policy.Organization{ID: fmt.Sprint("organization ", i)})
	for n := 0; ok && n < rounds && !t.Failed(); n++ {
		own := organization.ID
		id, passing, brief := apikey.ID(fmt.Sprint("key-", i)), apikey.ID(fmt.Sprint("passing-", i)), fmt.Sprint("brief ", i)
		var key apikey.Key
		if key, ok = t.putKey(fixture.Whole(id, own, n)); !ok {
			return
		}
		next := fixture.Whole(id, own, n+1)
		next.Revision = key.Revision
		settings := fixture.WholeOrganization(own, n)
		settings.Revision = organization.Revision
		for _, step := range []func() bool{
			func() bool { _, ok := t.putOrganization(policy.Organization{ID: brief}); return ok },
			func() bool { _, ok := t.putKey(fixture.Whole(passing, brief, n)); return ok },
			func() bool { _, ok := t.putKey(next); return ok },
			func() bool { return t.deleteKey(passing, brief) },
			func() bool { organization, ok = t.putOrganization(settings); return ok },
			func() bool { _, ok := t.putKey(fixture.Whole(passing, own, n)); return ok }, // in another organization
			func() bool { return t.deleteOrganization(brief) },
			func() bool { return t.deleteKey(id, own) },
			func() bool { return t.deleteKey(passing, own) },
			func() bool { return n%5 > 0 || t.leave(apikey.ID(fmt.Sprintf("stays-%d-%d", i, n)), own) },
		} {
			if ok = step(); !ok {
				return
			}
		}
	}
}

func (t *timeline) leave(id apikey.ID, organization string) bool {
	_, ok := t.putKey(fixture.Whole(id, organization, 1))
	return ok
}

// pairAtEveryMark writes the states of noMixture and looks in a copy for "nothing
// required and no entries", which is none of them.
func pairAtEveryMark(k *kit) {
	organization := k.putOrganization(policy.Organization{ID: "acme", Requirement: policy.Required})
	key := k.put(fixture.Whole("key", "acme", 0))
	var over atomic.Bool
	see := func(m *fixture.Mirror) func(store.Change) bool {
		return func(change store.Change) bool {
			if !change.IsMark() || m.Records[fixture.KeyName("key")].KeyRecord == nil {
				return !over.Load()
			}
			key, organization := m.Records[fixture.KeyName("key")].KeyRecord, m.Records[fixture.OrganizationName("acme")].OrganizationRecord
			if organization == nil {
				k.Errorf("at the mark of revision %d a copy has a key without its organization", change.Revision)
			} else if key.AccessList.IsEmpty() && organization.Requirement == policy.NotRequired {
				k.Errorf("at the mark of revision %d a copy has a key without entries, of revision %d, and an organization that requires none, of revision %d, which never were at the same time",
					change.Revision, key.Revision, organization.Revision)
			}
			return !over.Load() && !k.Failed()
		}
	}
	var waits []func() error
	watch := func() {
		for _, m := range []*fixture.Mirror{fixture.NewMirror(), k.mirror()} {
			waits = append(waits, k.follow(m, see(m)))
		}
	}
	watch()
	for n := range 4 * k.rounds(100) {
		if n%4 == 0 { // entries by version: none, one, two, three, none, …
			organization.Requirement = policy.Required
			organization = k.putOrganization(organization)
		}
		next := fixture.Whole("key", "acme", n)
		next.Revision = key.Revision
		key = k.put(next)
		if n%4 == 1 {
			organization.Requirement = policy.NotRequired
			organization = k.putOrganization(organization)
		}
		if n == 2*k.rounds(100) {
			watch()
		}
	}
	over.Store(true)
	k.put(key)
	for _, wait := range waits {
		if err := wait(); err != nil {
			k.Fatalf("Watch: %v", err)
		}
	}
}

// stoppedWatcher stops two consumers, one within the first records of a watch and one at
// a mark. Meanwhile thousands of changes are written and others watch.
func stoppedWatcher(k *kit) {
	k.organization("acme")
	other, stopped := k.mirror(), []*fixture.Mirror{fixture.NewMirror(), k.mirror()}
	standing, goOn := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(goOn) })
	var end atomic.Uint64 // the revision to reach; zero while unknown
	var waits []func() error
	for _, m := range stopped {
		stand := sync.OnceFunc(func() {
			select {
			case standing <- struct{}{}:
				<-goOn
			case <-k.ctx.Done():
			}
		})
		waits = append(waits, k.follow(m, func(change store.Change) bool {
			stand()
			until := end.Load()
			return until == 0 || !change.IsMark() || change.Revision < until
		}))
	}
	k.atEnd(release)
	// They also go on when the context ends, or a store that waits for them regardless
	// of its context would block the case for ever.
	defer context.AfterFunc(k.ctx, release)()
	for range stopped {
		select {
		case <-standing:
		case <-k.ctx.Done():
			k.Fatalf("a watcher received nothing while another did not go on")
		}
	}

	together(writers, func(i int) {
		key := fixture.Plain(apikey.ID(fmt.Sprint("key-", i)), "acme")
		for range k.rounds(4000) / writers {
			stored, err := k.store.PutKey(k.ctx, key, store.AllowOpen)
			if err != nil {
				k.Errorf("PutKey while a watcher does not go on: %v", err)
				return
			}
			key = stored
		}
	})
	if k.ctx.Err() != nil {
		k.Fatalf("writes did not get done while a watcher did not go on")
	}
	// The store may keep fewer changes than were written: then other reloads.
	if err := other.Reach(k.ctx, k.watcher(), k.revision()); errors.Is(err, store.ErrCompacted) {
		other = k.mirror()
	} else if err != nil {
		k.Fatalf("Watch, while another watcher did not go on: %v", err)
	}
	k.wantMirror("by a watcher while another did not go on", other)
	k.wantMirror("by a watcher that began while another did not go on", k.mirror())

	// The stopped ones receive everything, or an error.
	last := k.organization("last")
	end.Store(last.Revision)
	k.putOrganization(last)
	release()
	for i, wait := range waits {
		if err := wait(); err == nil {
			k.reach(stopped[i], k.revision())
			k.wantMirror("by a watcher that stood still for a while", stopped[i])
		}
	}
}
