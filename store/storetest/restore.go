package storetest

import (
	"errors"
	"slices"
	"testing"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// Restore is for stores that can be taken back to an earlier state: by a backup, by a
// file copied back, or by a standby promoted without the last writes. Run checks the
// revisions given afterwards (S27), and the feed (W4, W9, W10).
//
// The function takes a backup of a store in use. The function it returns takes the store
// back, as the adapter's documentation describes, and returns the store to go on with:
// the same one, or one that was opened after the other was closed. It may be called more
// than once.
func Restore(backup func(t testing.TB, s store.Store) (restore func(t testing.TB, s store.Store) store.Store)) Option {
	return func(r *runner) error {
		r.backup = backup
		return nil
	}
}

var restoreCases = []testCase{
	{sentence: "S27", name: "a Put or a Delete with a lost revision does not succeed", run: lostRevisions, needs: "Restore"},
	{sentence: "W4", name: "a watch from a lost position is ErrCompacted", run: lostPositions, needs: "Restore"},
	{sentence: "W9", name: "after lost writes the history has another name", run: lostHistories, needs: "Restore"},
	{sentence: "W10", name: "a watch ends when the store has lost changes it delivered", run: lostWatches, needs: "Restore"},
}

// A past is what a store has lost.
type past struct {
	keys          []apikey.Key // as lost
	organizations []uint64     // lost revisions of acme
	positions     []store.Position
}

// losing writes, takes the store back, and writes the same again; and all that a second
// time. It calls back after each return and after each write that follows one.
func losing(k *kit, lost func(past), back func(past)) {
	k.organization("acme")
	k.put(fixture.Plain("kept", "acme"))
	var restore func(testing.TB, store.Store) store.Store
	k.option("Restore", func() { restore = k.runner.backup(k.TB, k.adapter) })
	var all past
	_, watches := store.As[store.Watcher](k.store)
	write := func(wrote func()) (made past) {
		k.Helper()
		for range 3 {
			made.keys = append(made.keys, k.put(k.readKey("kept")))
			wrote()
			made.organizations = append(made.organizations, k.putOrganization(k.readOrganization("acme")).Revision)
			wrote()
			made.keys = append(made.keys, k.put(fixture.Plain("new", "acme")))
			wrote()
			k.delete("new")
			wrote()
		}
		made.keys = append(made.keys, k.put(fixture.Plain("new", "acme")))
		wrote()
		return made
	}
	for range 3 {
		var positions []store.Position
		made := write(func() {
			if watches {
				positions = append(positions, k.position())
			}
		})
		lost(made)
		k.option("the function that Restore returned", func() { k.use(restore(k.TB, k.adapter)) })
		all.keys = append(all.keys, made.keys...)
		all.organizations = append(all.organizations, made.organizations...)
		all.positions = append(all.positions, positions...)
		back(all)
		if k.Failed() {
			return
		}
	}
	write(func() { back(all) })
}

// lostRevisions puts and deletes with lost revisions.
func lostRevisions(k *kit) {
	losing(k, func(past) {}, func(all past) {
		for _, key := range all.keys {
			_, err := k.store.PutKey(k.ctx, key, store.AllowOpen)
			k.wantLost(err, "PutKey", key.Revision)
			k.wantLost(k.store.DeleteKey(k.ctx, key.ID, key.Revision), "DeleteKey", key.Revision)
		}
		acme := k.readOrganization("acme")
		for _, acme.Revision = range all.organizations {
			_, err := k.store.PutOrganization(k.ctx, acme)
			k.wantLost(err, "PutOrganization", acme.Revision)
			k.wantLost(k.store.DeleteOrganization(k.ctx, "acme", acme.Revision), "DeleteOrganization", acme.Revision)
		}
	})
}

func (k *kit) wantLost(err error, method string, revision uint64) {
	k.Helper()
	if !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
		k.Errorf("%s with revision %d, which was lost when the store went back: error is %s; want ErrConflict, or ErrNotFound", method, revision, quoted(err))
	}
}

// lostPositions watches from positions that were lost.
func lostPositions(k *kit) {
	var kept *fixture.Mirror
	losing(k, func(past) {}, func(all past) {
		latest := k.position()
		for _, lost := range all.positions {
			k.wantCompacted(lost, latest)
		}
		if kept == nil {
			kept = k.mirror()
		}
		k.completeOrCompacted("after the store went back", kept.Clone())
		k.wantMirror("by a watch from zero after the store went back", k.mirror())
	})
}

// lostHistories compares the names of histories. Positions with the same name are of one
// line of writes. So the present one must be before every lost one of that name.
func lostHistories(k *kit) {
	losing(k, func(past) {}, func(all past) {
		now := k.position()
		i := slices.IndexFunc(all.positions, func(lost store.Position) bool {
			return lost.History == now.History && lost.Revision <= now.Revision
		})
		if i >= 0 {
			k.Errorf("Position is revision %d of history %q, and revision %d of that history was lost when the store went back; want another name", now.Revision, now.History, all.positions[i].Revision)
		}
		k.mirror() // whose marks have a history, too
	})
}

// lostWatches has a watch under way when the store goes back.
func lostWatches(k *kit) {
	var ended chan error
	losing(k, func(past) {
		m, reached := k.mirror(), make(chan struct{})
		last, begun := m.Mark.Revision, false
		wait := k.follow(m, func(change store.Change) bool {
			if !begun && change.IsMark() && change.Revision >= last {
				begun = true
				close(reached)
				return true
			}
			if begun && (!change.IsMark() || change.Revision != last) {
				k.Errorf("a Watch that had delivered a mark of revision %d, which was lost when the store went back, delivered %s; want ErrCompacted", last, fixture.Shown(change))
				return false
			}
			return true
		})
		ended = make(chan error, 1)
		go func(ended chan error) { ended <- wait() }(ended)
		select {
		case <-reached:
		case err := <-ended:
			k.Fatalf("Watch: %v", err)
		case <-k.ctx.Done():
			k.Fatalf("Watch delivered no mark of revision %d or later", last)
		}
	}, func(past) {
		if ended == nil {
			return
		}
		k.put(k.readKey("kept")) // at the latest now it notices
		select {
		case err := <-ended:
			// A closed store or an absent server may also end it. From the mark a watch is
			// then ErrCompacted (W4).
			if err == nil && !k.Failed() {
				k.Errorf("Watch ended without an error")
			}
		case <-k.ctx.Done():
			k.Fatalf("a Watch under way went on after the store had lost what it delivered; want ErrCompacted")
		}
		ended = nil
	})
}
