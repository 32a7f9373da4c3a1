package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var loadCases = []testCase{
	{sentence: "L1", name: "with one bad record among them nothing is stored", run: badRecordInLoad},
	{sentence: "L1", name: "a Load whose context ends under way happens whole or not at all", run: interruptedLoad},
	{sentence: "L1", name: "of a Load and a Put of the same key one succeeds", run: loadOrPut},
	{sentence: "L1", name: "of several Loads of the same key one succeeds", run: oneLoads},
	{sentence: "L2", name: "loaded records come back in every field", run: loadedIsThere},
	{sentence: "L2", name: "difficult records are loaded in every field", run: hardLoad},
	{sentence: "L2", name: "IDs that differ in a byte are different", run: similarLoad},
	{sentence: "L2", name: "deleted records can be loaded", run: loadedAgain},
	{sentence: "L2", name: "a bad record is refused as a Put would", run: refusedLoad},
	{sentence: "L2", name: "no more than the limit are taken", run: largestLoad},
	{sentence: "L3", name: "each record gets a revision of its own", run: loadedRevisions},
}

// loader returns the loader of the store, and stores the organization "here" with the
// key "here".
func (k *kit) loader() store.Loader {
	k.Helper()
	loader, ok := store.As[store.Loader](k.store)
	if !ok {
		k.Fatalf("store.As finds no store.Loader in this store, though it did in another")
	}
	k.organization("here")
	k.put(fixture.Plain("here", "here", "192.0.2.1"))
	return loader
}

// A load is the arguments of one Load.
type load struct {
	organizations []policy.Organization
	keys          []apikey.Key
}

// sampleLoad returns three organizations and six keys, two of them for the organization
// "here".
func sampleLoad() load {
	var l load
	for i := range 3 {
		l.organizations = append(l.organizations, fixture.WholeOrganization(fmt.Sprint("loaded ", i), i))
	}
	for i, organization := range []string{"loaded 2", "here", "loaded 0", "loaded 0", "here", "loaded 2"} {
		l.keys = append(l.keys, fixture.Whole(apikey.ID(fmt.Sprint("loaded-", i)), organization, i))
	}
	return l
}

func (l load) into(ctx context.Context, loader store.Loader) error {
	return loader.Load(ctx, l.organizations, l.keys, store.AllowOpen)
}

// A badRecord is a record that Load must refuse, and the error.
type badRecord struct {
	name         string
	organization func(*policy.Organization) // or a key
	key          func(*apikey.Key)
	want         error
}

var badRecords = []badRecord{
	{name: "an organization that is there", organization: func(o *policy.Organization) { o.ID = "here" }, want: store.ErrExists},
	{name: "an invalid organization", organization: func(o *policy.Organization) { o.Requirement = 9 }, want: store.ErrInvalid},
	{name: "an organization without an ID", organization: func(o *policy.Organization) { o.ID = "" }, want: store.ErrInvalid},
	{name: "an organization with a revision", organization: func(o *policy.Organization) { o.Revision = 7 }, want: store.ErrNotFound},
	{name: "a key that is there", key: func(key *apikey.Key) { key.ID = "here" }, want: store.ErrExists},
	{name: "an invalid key", key: func(key *apikey.Key) { key.Secrets = nil }, want: store.ErrInvalid},
	{name: "a key without an ID", key: func(key *apikey.Key) { key.ID = "" }, want: store.ErrInvalid},
	{name: "a key with a revision", key: func(key *apikey.Key) { key.Revision = 7 }, want: store.ErrNotFound},
	{name: "a key of an organization that is not there", key: func(key *apikey.Key) { key.Organization = "gone" }, want: store.ErrNotFound},
}

// eachBadLoad calls f with every bad record in every place of a load, and with records
// that occur twice.
func eachBadLoad(f func(name string, l load, want error)) {
	for _, bad := range badRecords {
		good := sampleLoad()
		places := len(good.organizations)
		if bad.key != nil {
			places = len(good.keys)
		}
		for i := range places {
			l := sampleLoad()
			if bad.key != nil {
				bad.key(&l.keys[i])
			} else {
				bad.organization(&l.organizations[i])
			}
			f(fmt.Sprintf("%s, in place %d", bad.name, i+1), l, bad.want)
		}
	}
	l := sampleLoad()
	l.keys = append(l.keys, l.keys[1])
	f("a key twice", l, store.ErrExists)
	l = sampleLoad()
	l.organizations = append(l.organizations, l.organizations[1])
	f("an organization twice", l, store.ErrExists)
	l = sampleLoad()
	l.organizations = l.organizations[:2]
	f("a key whose organization is not among them", l, store.ErrNotFound)
}

func badRecordInLoad(k *kit) {
	loader := k.loader()
	before := k.snapshot()
	eachBadLoad(func(name string, l load, _ error) {
		if err := l.into(k.ctx, loader); err == nil {
			k.Errorf("Load with %s succeeded; want it refused", name)
		}
		k.wantUnchanged(before, "Load with "+name)
		if k.Failed() {
			k.FailNow()
		}
	})
	for _, l := range []load{{}, sampleLoad()} { // nothing left behind is in the way
		if err := l.into(k.ctx, loader); err != nil {
			k.Errorf("Load of %d good records, after others were refused: %v", len(l.organizations)+len(l.keys), err)
		}
	}
}

func refusedLoad(k *kit) {
	loader := k.loader()
	eachBadLoad(func(name string, l load, want error) {
		k.wantError(l.into(k.ctx, loader), want, "Load with %s", name)
	})
	l := sampleLoad()
	k.wantError(loader.Load(k.ctx, l.organizations, l.keys), store.ErrOpensKey, "Load with a key without entries and without AllowOpen")
	k.wantLoaded("after a Load that would have opened a key", l, false)
}

// wantLoaded checks that a load is there whole or not at all.
func (k *kit) wantLoaded(what string, l load, there bool) {
	k.Helper()
	count := 0
	for _, organization := range l.organizations {
		if _, err := k.store.Organization(k.ctx, organization.ID); err == nil {
			count++
		}
	}
	for _, key := range l.keys {
		if _, err := k.store.Key(k.ctx, key.ID); err == nil {
			count++
		}
	}
	want := 0
	if there {
		want = len(l.organizations) + len(l.keys)
	}
	if count != want {
		k.Errorf("%s, %d records of %d are there; want %d", what, count, len(l.organizations)+len(l.keys), want)
	}
}

func interruptedLoad(k *kit) {
	loader := k.loader()
	for n := range k.rounds(30) {
		var l load
		l.organizations = []policy.Organization{{ID: fmt.Sprint("loaded ", n)}}
		for i := range 50 {
			l.keys = append(l.keys, fixture.Whole(apikey.ID(fmt.Sprintf("loaded-%d-%d", n, i)), l.organizations[0].ID, i))
		}
		// Later and later, so that some contexts end during the Load.
		ctx, cancel := context.WithTimeout(k.ctx, time.Duration(n)*100*time.Microsecond)
		err := l.into(ctx, loader)
		cancel()
		_, lost := k.store.Organization(k.ctx, l.organizations[0].ID)
		if err == nil && lost != nil {
			k.Errorf("Load returned no error, and its organization: %v", lost)
		}
		k.wantLoaded(fmt.Sprintf("after an interrupted Load with error %s", quoted(err)), l, lost == nil)
	}
}

func loadOrPut(k *kit) {
	loader := k.loader()
	for n := range k.rounds(30) {
		l := sampleLoad()
		for i := range l.organizations {
			l.organizations[i].ID += fmt.Sprint(" of ", n)
		}
		for i := range l.keys {
			l.keys[i].ID += apikey.ID(fmt.Sprint("-of-", n))
			if l.keys[i].Organization != "here" {
				l.keys[i].Organization += fmt.Sprint(" of ", n)
			}
		}
		contested := l.keys[4]
		var loaded, put error
		together(2, func(i int) {
			if i == 0 {
				loaded = l.into(k.ctx, loader)
			} else {
				_, put = k.store.PutKey(k.ctx, contested, store.AllowOpen)
			}
		})
		rest := l
		rest.keys = slices.Delete(slices.Clone(l.keys), 4, 5)
		switch {
		case loaded == nil && errors.Is(put, store.ErrExists):
			k.wantLoaded("after a Load that succeeded", l, true)
		case put == nil && errors.Is(loaded, store.ErrExists):
			k.wantLoaded("after a Load that was refused since one of its keys was there", rest, false)
		default:
			k.Fatalf("Load: %s, PutKey of one of its keys at the same time: %s; want one to succeed and the other to say why not", quoted(loaded), quoted(put))
		}
	}
}

// oneLoads makes several goroutines load an organization and keys of their own, and one
// common key.
func oneLoads(k *kit) {
	loader := k.loader()
	for n := range k.rounds(30) {
		loads := make([]load, writers)
		for i := range loads {
			own := fmt.Sprintf("loaded %d by %d", n, i)
			loads[i].organizations = []policy.Organization{{ID: own}}
			loads[i].keys = []apikey.Key{
				fixture.Plain(apikey.ID(fmt.Sprintf("first-%d-%d", n, i)), own),
				fixture.Plain(apikey.ID(fmt.Sprint("contested-", n)), "here"),
				fixture.Plain(apikey.ID(fmt.Sprintf("last-%d-%d", n, i)), own),
			}
		}
		errs := make([]error, writers)
		together(writers, func(i int) { errs[i] = loads[i].into(k.ctx, loader) })
		winner := k.wantOneWinner("Load of the same key", errs, store.ErrExists)
		for i, l := range loads {
			if i != winner {
				l.keys = slices.Delete(l.keys, 1, 2)
			}
			k.wantLoaded(fmt.Sprintf("after Loads of the same key, of that with error %s,", quoted(errs[i])), l, i == winner)
		}
	}
}

func loadedIsThere(k *kit) {
	loader := k.loader()
	l := sampleLoad()
	l.keys = append(l.keys, richKey("rich", "loaded 1"), fixture.Plain("plain", "loaded 1"))
	passed := load{slices.Clone(l.organizations), nil}
	for _, key := range l.keys {
		passed.keys = append(passed.keys, key.Clone())
	}
	if err := passed.into(k.ctx, loader); err != nil {
		k.Fatalf("Load: %v", err)
	}
	for i := range passed.keys { // the caller's memory (S7)
		spoil(passed.keys[i])
		passed.keys[i] = apikey.Key{}
	}
	clear(passed.organizations)
	for _, want := range l.organizations {
		got := k.readOrganization(want.ID)
		if want.Revision = got.Revision; !got.Equal(want) {
			k.Errorf("after Load, Organization is %+v; want %+v", got, want)
		}
	}
	for _, want := range l.keys {
		want.Revision = k.readKey(want.ID).Revision
		k.wantEverywhere(want)
		if got := k.lookup(want.ID).Organization(); !got.Equal(k.readOrganization(want.Organization)) {
			k.Errorf("after Load, Lookup(%q) has the organization %+v; want that which Organization returns", want.ID, got)
		}
	}
	// They behave like records that were put.
	k.put(k.readKey("rich"))
	k.delete("plain")
	k.putOrganization(k.readOrganization("loaded 1"))
}

func hardLoad(k *kit) {
	loader := k.loader()
	k.organization("acme")
	all := hardKeys("acme")
	for part := range slices.Chunk(all, 50) {
		if err := loader.Load(k.ctx, nil, part, store.AllowOpen); err != nil {
			k.Fatalf("Load of %d keys: %v", len(part), err)
		}
	}
	for i, key := range all {
		all[i].Revision = k.readKey(key.ID).Revision
	}
	k.wantAll(all)
}

func similarLoad(k *kit) {
	loader := k.loader()
	var l load
	for _, id := range []string{"twin", "Twin", "TWIN", "twin-", "twin_"} {
		l.organizations = append(l.organizations, policy.Organization{ID: id})
		l.keys = append(l.keys, fixture.Plain(apikey.ID(id), "here"))
	}
	for _, id := range []string{"\u00e9", "e\u0301", "\u00c9", "twin."} {
		l.organizations = append(l.organizations, policy.Organization{ID: id})
	}
	if err := l.into(k.ctx, loader); err != nil {
		k.Fatalf("Load of records whose IDs differ in a byte: %v", err)
	}
	k.wantLoaded("after a Load of records whose IDs differ in a byte", l, true)
}

func loadedAgain(k *kit) {
	loader := k.loader()
	l := sampleLoad()
	for range 3 {
		if err := l.into(k.ctx, loader); err != nil {
			k.Fatalf("Load of what was deleted before: %v", err)
		}
		for _, want := range l.keys {
			want.Revision = k.readKey(want.ID).Revision
			k.wantEverywhere(want)
			k.delete(want.ID)
		}
		for _, organization := range l.organizations {
			if err := k.store.DeleteOrganization(k.ctx, organization.ID, 0); err != nil {
				k.Fatalf("DeleteOrganization: %v", err)
			}
		}
	}
}

func largestLoad(k *kit) {
	loader := k.loader()
	full := load{organizations: []policy.Organization{{ID: "full"}, {ID: "empty"}}}
	for i := range store.MaxLoad - len(full.organizations) {
		full.keys = append(full.keys, fixture.Plain(apikey.ID(fmt.Sprintf("full-%04d", i)), "full"))
	}
	tooMuch := full
	tooMuch.keys = append(slices.Clone(full.keys), fixture.Plain("one-too-many", "full"))
	k.wantError(tooMuch.into(k.ctx, loader), store.ErrInvalid, "Load of %d records", store.MaxLoad+1)
	k.wantLoaded("after a Load of too many", tooMuch, false)
	k.wantError(full.into(k.ctx, loader), nil, "Load of %d records", store.MaxLoad)
	if got := len(k.keys("full", store.MaxPageSize)); got != len(full.keys) {
		k.Errorf("after a Load of %d keys, Keys has %d", len(full.keys), got)
	}
}

func loadedRevisions(k *kit) {
	loader := k.loader()
	watcher, watches := store.As[store.Watcher](k.store)
	var before, after *fixture.Mirror
	if watches {
		before = k.mirror()
	}
	floor := k.put(k.readKey("here")).Revision
	l := sampleLoad()
	if err := l.into(k.ctx, loader); err != nil {
		k.Fatalf("Load: %v", err)
	}
	if watches { // before anything else is written
		after = k.mirror()
		k.reach(before, k.revision())
		k.wantMirror("by a watch from the mark before a Load", before)
		k.wantMirror("by a watch from zero after a Load", after)
	}
	given := map[uint64]string{}
	rises := func(what string, revision uint64) {
		if revision <= floor {
			k.Errorf("Load gave revision %d to %s; want more than %d, which the store gave before", revision, what, floor)
		}
		if other, ok := given[revision]; ok {
			k.Errorf("Load gave revision %d to %s and to %s; want one of its own for each", revision, what, other)
		}
		given[revision] = what
	}
	for _, organization := range l.organizations {
		rises(fmt.Sprintf("organization %q", organization.ID), k.readOrganization(organization.ID).Revision)
	}
	for _, key := range l.keys {
		rises(fmt.Sprintf("key %q", key.ID), k.readKey(key.ID).Revision)
	}
	next := k.put(k.readKey("here")).Revision
	for revision, what := range given {
		if next <= revision {
			k.Errorf("a Put after a Load got revision %d; want more than %d, which %s has", next, revision, what)
		}
		if watches {
			if latest, err := watcher.Position(k.ctx); err != nil || latest.Revision < revision {
				k.Errorf("after a Load that gave revision %d, Position has %d (error %v)", revision, latest.Revision, err)
			}
		}
	}
}
