package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

var watchCases = []testCase{
	{sentence: "W1", name: "what a watch from Revision leaves out can be read", run: revisionIsThere},
	{sentence: "W1", name: "what was not there is told by a watch from Revision", run: revisionIsNotAhead},
	{sentence: "W1", name: "Revision rises with every write and fails after Close", run: revisionFollows},
	{sentence: "W2", name: "every kind of write is told", run: everyWriteIsTold},
	{sentence: "W2", name: "a watch resumes after any revision", run: resumes},
	{sentence: "W2", name: "every watcher is told what several write", run: concurrentWritesAreTold},
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

// revision returns the latest revision.
func (k *kit) revision() uint64 {
	k.Helper()
	revision, err := k.watcher().Revision(k.ctx)
	if err != nil {
		k.Fatalf("Revision: %v", err)
	}
	return revision
}

// watch returns the changes after a revision, up to one that must be told, without
// marks of progress. It checks their order.
func (k *kit) watch(after, until uint64) (told []store.Change, err error) {
	last := after
	for change, err := range k.watcher().Watch(k.ctx, after) {
		if err != nil {
			return told, err
		}
		if change.Revision <= after || change.Revision < last {
			k.Errorf("Watch from %d told %+v after revision %d; want the order of the revisions, from after %d", after, change, last, after)
		}
		last = change.Revision
		if change.Organization != "" {
			told = append(told, change)
		} else if change.Key != "" || change.Deleted {
			k.Errorf("Watch told %+v: a change without an organization is a mark of progress, and has nothing but a revision", change)
		}
		if last >= until {
			break
		}
	}
	return told, nil
}

// mustWatch is watch without an error.
func (k *kit) mustWatch(after, until uint64) []store.Change {
	k.Helper()
	told, err := k.watch(after, until)
	if err != nil {
		k.Fatalf("Watch from %d, waiting for %d, ended after %d changes: %v", after, until, len(told), err)
	}
	return told
}

// watchMeanwhile watches in another goroutine until see returns false. The function
// that it returns waits for that, and returns the error if one came instead.
func (k *kit) watchMeanwhile(after uint64, see func(store.Change) bool) (wait func() error) {
	k.Helper()
	watcher := k.watcher()
	ctx, cancel := context.WithCancel(k.ctx)
	ended := make(chan error, 1)
	go func() {
		for change, err := range watcher.Watch(ctx, after) {
			if err != nil {
				ended <- err
				return
			}
			if !see(change) {
				break
			}
		}
		ended <- nil
	}()
	wait = sync.OnceValue(func() error { return <-ended })
	k.Cleanup(func() { // also when the case gave up
		cancel()
		_ = wait()
	})
	return wait
}

// A recordName names a record in a feed; the key is empty for an organization.
type recordName struct {
	organization string
	key          apikey.ID
}

// A script is writes of every kind, some records written more than once.
type script struct {
	final map[recordName]store.Change // the last change of each record; Revision zero where only the store knows it
	marks []uint64                    // revisions between the writes
	end   uint64                      // a revision of the last write, to a record of its own
}

func (k *kit) script() script {
	s := script{final: map[recordName]store.Change{}}
	wrote := func(organization string, key apikey.ID, revision uint64, deleted bool) {
		s.final[recordName{organization, key}] = store.Change{Revision: revision, Organization: organization, Key: key, Deleted: deleted}
		s.marks = append(s.marks, max(revision, s.end))
		s.end = max(revision, s.end)
	}
	put := func(key apikey.Key) apikey.Key {
		stored := k.put(key, store.AllowEmptyList)
		wrote(key.Organization, key.ID, stored.Revision, false)
		return stored
	}
	organize := func(o policy.Organization) policy.Organization {
		stored := k.putOrganization(o)
		wrote(o.ID, "", stored.Revision, false)
		return stored
	}
	remove := func(organization string, key apikey.ID) {
		err := k.store.DeleteKey(k.ctx, key, 0)
		if key == "" {
			err = k.store.DeleteOrganization(k.ctx, organization, 0)
		}
		if err != nil {
			k.Fatalf("deleting %q of %q: %v", key, organization, err)
		}
		wrote(organization, key, 0, true)
	}
	acme := organize(policy.Organization{ID: "acme"})
	organize(policy.Organization{ID: "other \u00e9"})
	organize(policy.Organization{ID: "brief"})
	created := put(plainKey("created", "acme"))
	replaced := put(plainKey("replaced", "other \u00e9", "192.0.2.1"))
	replaced = put(replaced)
	put(plainKey("deleted", "acme"))
	put(plainKey("again", "acme"))
	put(plainKey("moved", "acme"))
	remove("acme", "deleted")
	remove("acme", "again")
	remove("acme", "moved")
	put(plainKey("again", "acme"))
	put(plainKey("moved", "other \u00e9"))
	remove("brief", "")
	acme.Requirement = policy.Required
	organize(acme)
	created.Disabled = true
	put(created)
	replaced.AccessList = plainKey("x", "x").AccessList
	put(replaced)
	put(plainKey("end", "acme"))
	return s
}

// wantTold checks that the last change of every record after a revision was told.
func (s script) wantTold(k *kit, what string, told []store.Change, after uint64) {
	k.Helper()
	last := map[recordName]store.Change{}
	for _, change := range told {
		last[recordName{change.Organization, change.Key}] = change
	}
	for name, want := range s.final {
		got, ok := last[name]
		switch {
		case want.Revision == 0 && after > 0: // a deletion that may have been before
		case want.Revision != 0 && want.Revision <= after:
		case !ok:
			k.Errorf("%s did not tell of %+v", what, want)
		case got.Deleted != want.Deleted, want.Revision != 0 && got.Revision != want.Revision:
			k.Errorf("%s told %+v last of this record; want %+v", what, got, want)
		}
	}
	for name, change := range last {
		if _, ok := s.final[name]; !ok {
			k.Errorf("%s told %+v, of a record that was not written", what, change)
		}
	}
}

func revisionFollows(k *kit) {
	last := k.revision()
	rises := func(revision uint64, what string) {
		k.Helper()
		now := k.revision()
		if now < revision || now <= last {
			k.Errorf("after %s, of revision %d, Revision is %d and was %d before; want it risen", what, revision, now, last)
		}
		last = now
	}
	organization := k.organization("acme")
	rises(organization.Revision, "PutOrganization")
	rises(k.putOrganization(organization).Revision, "PutOrganization that replaces")
	key := k.put(plainKey("key", "acme"))
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
	_, err := watcher.Revision(k.ctx)
	k.wantError(err, store.ErrClosed, "Revision of a store that cannot be reached, since it was closed,")
}

func revisionIsNotAhead(k *kit) {
	k.organization("acme")
	for n := range k.rounds(20) {
		after := k.revision()
		key := k.put(plainKey(apikey.ID(fmt.Sprint("key-", n)), "acme"))
		end := k.put(plainKey(apikey.ID(fmt.Sprint("end-", n)), "acme"))
		if told := k.mustWatch(after, end.Revision); !slices.ContainsFunc(told, func(c store.Change) bool { return c.Key == key.ID }) {
			k.Errorf("Watch from revision %d told %+v, without key %q, which was written after Revision had returned that", after, told, key.ID)
		}
	}
}

// revisionIsThere asks for the revision and reads, while another goroutine writes:
// what is read must not be older than the last write up to that revision.
func revisionIsThere(k *kit) {
	k.organization("acme")
	stored := k.put(whole("key", "acme", 0))
	past := history{keys: []uint64{stored.Revision}}
	watcher := k.watcher()
	type reading struct{ revision, key uint64 }
	readings := [2][]reading{}
	read := func(i int) func() error {
		return func() error {
			revision, err := watcher.Revision(k.ctx)
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
			readings[i] = append(readings[i], reading{revision, key.Revision})
			return err
		}
	}
	k.whileWriting(k.rounds(200), func(n int) {
		next := whole("key", "acme", n)
		next.Revision = stored.Revision
		stored = k.put(next, store.AllowEmptyList)
		past.keys = append(past.keys, stored.Revision)
	}, read(0), read(1))
	for _, r := range slices.Concat(readings[0], readings[1]) {
		if least := latest(past.keys, r.revision); r.key < least {
			k.Fatalf("after Revision had returned %d, the key was read with revision %d; want %d or later, which a watch from there leaves out", r.revision, r.key, least)
		}
	}
}

func everyWriteIsTold(k *kit) {
	before := k.revision()
	var live []store.Change
	wait := k.watchMeanwhile(before, func(change store.Change) bool {
		if change.Organization != "" {
			live = append(live, change)
		}
		return change.Key != "end"
	})
	s := k.script()
	if err := wait(); err != nil {
		k.Fatalf("Watch that began before the writes ended after %d changes: %v", len(live), err)
	}
	s.wantTold(k, "Watch that began before the writes", live, 0)
	s.wantTold(k, "Watch that began after the writes", k.mustWatch(before, s.end), 0)
}

func resumes(k *kit) {
	before := k.revision()
	s := k.script()
	for _, after := range s.marks[:len(s.marks)-1] {
		s.wantTold(k, fmt.Sprintf("Watch from revision %d", after), k.mustWatch(after, s.end), after)
	}
	// One change at a time, each from the last that was told.
	var told []store.Change
	for after := before; after < s.end; {
		for change, err := range k.watcher().Watch(k.ctx, after) {
			if err != nil {
				k.Fatalf("Watch from revision %d: %v", after, err)
			}
			if change.Organization == "" {
				continue
			}
			if change.Revision <= after {
				k.Fatalf("Watch from revision %d told %+v", after, change)
			}
			told = append(told, change)
			after = change.Revision
			break
		}
	}
	s.wantTold(k, "Watch that resumed after every change", told, 0)
}

func concurrentWritesAreTold(k *kit) {
	before := k.revision()
	k.organization("acme")
	var told [2]map[apikey.ID]uint64
	var waits [2]func() error
	for i := range told {
		told[i] = map[apikey.ID]uint64{}
		waits[i] = k.watchMeanwhile(before, func(change store.Change) bool {
			told[i][change.Key] = change.Revision
			return change.Key != "end"
		})
	}
	together(writers, func(i int) {
		key := plainKey(apikey.ID(fmt.Sprint("key-", i)), "acme")
		for range k.rounds(20) {
			stored, err := k.store.PutKey(k.ctx, key)
			if err != nil {
				k.Errorf("PutKey: %v", err)
				return
			}
			key = stored
		}
	})
	k.put(plainKey("end", "acme"))
	for i, wait := range waits {
		if err := wait(); err != nil {
			k.Fatalf("watcher %d: %v", i, err)
		}
		for _, key := range k.keys("acme", 0) {
			if got := told[i][key.ID]; got != key.Revision {
				k.Errorf("watcher %d was told revision %d last of key %q; want %d", i, got, key.ID, key.Revision)
			}
		}
	}
}
