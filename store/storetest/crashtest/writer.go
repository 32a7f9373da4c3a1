package crashtest

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// WriteUntilKilled writes to a store from several goroutines. They create, replace,
// delete and load organizations and keys, with events if the store is a Journal, and record
// usage. Before each write it writes a line to to, and another after the write has returned. A
// [Ledger] reads the lines; each is one call of Write.
//
// It goes on until the process is killed, ctx ends, or a write is in doubt: its server
// was killed, for example, and nobody knows whether it happened. It returns the write's
// error, or the context's.
//
// All its identifiers begin with "crash-". It continues with the records it finds, so it
// may be called repeatedly on the same data: one call at a time, each with another seed.
func WriteUntilKilled(ctx context.Context, s store.Store, seed uint64, to io.Writer) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	out := &announcer{to: to}
	var wait sync.WaitGroup
	for i := range writerCount {
		wait.Go(func() {
			w := &writer{
				announcer: out, store: s, number: i, seed: seed, random: rand.New(rand.NewPCG(seed, uint64(i))),
				organizations: map[string]policy.Organization{}, keys: map[apikey.ID]apikey.Key{},
			}
			w.recorder, _ = store.As[store.UsageRecorder](s)
			w.loader, _ = store.As[store.Loader](s)
			w.journal, _ = store.As[store.Journal](s)
			end(w.run(ctx)) // ends the others too
		})
	}
	if watcher, ok := store.As[store.Watcher](s); ok {
		wait.Go(func() { out.tellMarks(ctx, watcher) })
	}
	wait.Wait()
	return context.Cause(ctx)
}

const (
	writerCount = 4
	idPrefix    = "crash-"

	// Limits on the records of one writer, so that the store does not grow over many
	// rounds.
	maxOrganizations = 4
	maxKeys          = 12
)

// A writer writes to records of its own. Except creations, all its writes are
// conditional on the revision, and an identifier whose creation is in doubt is not used
// again. So a write in doubt cannot take effect after a later one.
type writer struct {
	*announcer
	store    store.Store
	recorder store.UsageRecorder // may be nil
	loader   store.Loader        // may be nil
	journal  store.Journal       // may be nil
	number   int
	seed     uint64
	random   *rand.Rand
	made     int // identifiers and versions

	organizations map[string]policy.Organization
	keys          map[apikey.ID]apikey.Key
	deleted       []apikey.ID // by this call, for a second creation
	latest        apikey.ID   // the last key put
}

func (w *writer) prefix() string { return fmt.Sprintf("%s%d-", idPrefix, w.number) }

func (w *writer) run(ctx context.Context) error {
	if err := w.find(ctx); err != nil {
		return err
	}
	for {
		if err := w.step(ctx); err != nil {
			return err
		}
	}
}

// find reads the records of earlier calls.
func (w *writer) find(ctx context.Context) error {
	for organization, err := range store.AllOrganizations(ctx, w.store) {
		if err != nil {
			return err
		}
		if !strings.HasPrefix(organization.ID, w.prefix()) {
			continue
		}
		w.organizations[organization.ID] = organization
		for key, err := range store.AllKeys(ctx, w.store, organization.ID) {
			if err != nil {
				return err
			}
			w.keys[key.ID] = key
		}
	}
	return nil
}

// step makes one write of a random kind.
func (w *writer) step(ctx context.Context) error {
	kind := w.random.IntN(100)
	switch {
	case len(w.organizations) == 0:
		return w.createOrganization(ctx)
	case len(w.keys) == 0 || kind < 25 && len(w.keys) < maxKeys:
		return w.createKey(ctx)
	case kind < 50:
		return w.replaceKey(ctx)
	case kind < 65 || len(w.keys) > maxKeys:
		return w.deleteKey(ctx)
	case kind < 70 && len(w.organizations) < maxOrganizations:
		return w.createOrganization(ctx)
	case kind < 78:
		return w.replaceOrganization(ctx)
	case kind < 82:
		return w.deleteOrganization(ctx)
	case kind < 86 && w.loader != nil && len(w.organizations) < maxOrganizations:
		return w.load(ctx)
	case w.recorder != nil:
		return w.recordUsage(ctx)
	}
	return w.replaceKey(ctx)
}

// write announces a write, makes it, and announces its end. done is false without an
// error if the store refused the write.
func (w *writer) write(ctx context.Context, begins announcement, do func() (revision uint64, err error)) (done bool, err error) {
	begins.Writer = w.number
	if err := w.announce(begins); err != nil {
		return false, err
	}
	revision, err := do()
	ends := announcement{Writer: w.number, Outcome: fixture.OutcomeOf(err), Revision: revision}
	if ends.Outcome != fixture.Acknowledged {
		ends.Revision = 0
	}
	if err := w.announce(ends); err != nil {
		return false, err
	}
	if ends.Outcome == fixture.Refused { // this writer no longer knows the records
		clear(w.organizations)
		clear(w.keys)
		return false, w.find(ctx)
	}
	return err == nil, err
}

func (w *writer) putOrganization(ctx context.Context, o policy.Organization) error {
	begins, write := w.withEvents(announcement{Begins: []record{organizationRecord(o)}}, store.Write{PutOrganization: &o})
	done, err := w.write(ctx, begins, func() (revision uint64, err error) {
		if begins.Events > 0 {
			o.Revision, err = w.journal.Write(ctx, write)
			return o.Revision, err
		}
		o, err = w.store.PutOrganization(ctx, o)
		return o.Revision, err
	})
	if done {
		w.organizations[o.ID] = o
	}
	return err
}

func (w *writer) createOrganization(ctx context.Context) error {
	return w.putOrganization(ctx, w.freshOrganization())
}

func (w *writer) freshOrganization() policy.Organization {
	return fixture.WholeOrganization(w.freshID(), w.freshVersion())
}

func (w *writer) replaceOrganization(ctx context.Context) error {
	o := w.organizations[w.anyOrganization()]
	next := fixture.WholeOrganization(o.ID, w.freshVersion())
	next.Revision = o.Revision
	return w.putOrganization(ctx, next)
}

// deleteOrganization deletes an organization without keys. If there is none, it makes a
// write towards one.
func (w *writer) deleteOrganization(ctx context.Context) error {
	empty := maps.Clone(w.organizations)
	for _, key := range w.keys {
		delete(empty, key.Organization)
	}
	switch {
	case len(w.organizations) < maxOrganizations/2:
		return w.createOrganization(ctx)
	case len(empty) == 0:
		return w.deleteKey(ctx)
	}
	id := anyOf(w.random, empty)
	at := store.Condition{Organization: id, Revision: w.organizations[id].Revision}
	begins, write := w.withEvents(announcement{Begins: []record{{Organization: id, Deleted: true}}}, store.Write{Delete: &at})
	done, err := w.write(ctx, begins, func() (uint64, error) {
		if begins.Events > 0 {
			return w.journal.Write(ctx, write)
		}
		return 0, w.store.DeleteOrganization(ctx, id, at.Revision)
	})
	if done {
		delete(w.organizations, id)
	}
	return err
}

func (w *writer) putKey(ctx context.Context, key apikey.Key, version int) error {
	begins, write := w.withEvents(announcement{Begins: []record{{Key: key.ID, Organization: key.Organization, Version: version}}}, store.Write{PutKey: &key})
	done, err := w.write(ctx, begins, func() (revision uint64, err error) {
		if begins.Events > 0 {
			key.Revision, err = w.journal.Write(ctx, write)
			return key.Revision, err
		}
		key, err = w.store.PutKey(ctx, key)
		return key.Revision, err
	})
	if done {
		w.keys[key.ID], w.latest = key, key.ID
	}
	return err
}

func (w *writer) createKey(ctx context.Context) error {
	id := apikey.ID(w.freshID())
	if n := len(w.deleted); n > 0 && w.random.IntN(2) == 0 {
		id, w.deleted = w.deleted[n-1], w.deleted[:n-1]
	}
	version := w.freshVersion()
	return w.putKey(ctx, fixture.Whole(id, w.anyOrganization(), version), version)
}

func (w *writer) replaceKey(ctx context.Context) error {
	key, version := w.keys[w.anyKey()], w.freshVersion()
	next := fixture.Whole(key.ID, key.Organization, version)
	next.Revision = key.Revision
	return w.putKey(ctx, next, version)
}

// deleteKey deletes the latest key every other time: if its revision was the highest, no
// record shows any more that the revision was given.
func (w *writer) deleteKey(ctx context.Context) error {
	key, there := w.keys[w.latest]
	if !there || w.random.IntN(2) == 0 {
		key = w.keys[w.anyKey()]
	}
	at := store.Condition{Organization: key.Organization, Key: key.ID, Revision: key.Revision}
	begins, write := w.withEvents(announcement{Begins: []record{{Key: key.ID, Organization: key.Organization, Deleted: true}}}, store.Write{Delete: &at})
	done, err := w.write(ctx, begins, func() (uint64, error) {
		if begins.Events > 0 {
			return w.journal.Write(ctx, write)
		}
		return 0, w.store.DeleteKey(ctx, key.ID, key.Revision)
	})
	if done {
		delete(w.keys, key.ID)
		w.deleted = append(w.deleted, key.ID)
	}
	return err
}

// load loads an organization, with keys for it and for another one.
func (w *writer) load(ctx context.Context) error {
	organization := w.freshOrganization()
	begins := announcement{Begins: []record{organizationRecord(organization)}}
	var keys []apikey.Key
	for _, owner := range []string{organization.ID, w.anyOrganization(), organization.ID} {
		version := w.freshVersion()
		key := fixture.Whole(apikey.ID(w.freshID()), owner, version)
		keys = append(keys, key)
		begins.Begins = append(begins.Begins, record{Key: key.ID, Organization: owner, Version: version})
	}
	done, err := w.write(ctx, begins, func() (uint64, error) { return 0, w.loader.Load(ctx, []policy.Organization{organization}, keys) })
	if !done {
		return err
	}
	// Later writes need their revisions.
	if w.organizations[organization.ID], err = w.store.Organization(ctx, organization.ID); err != nil {
		return err
	}
	for _, key := range keys {
		if w.keys[key.ID], err = w.store.Key(ctx, key.ID); err != nil {
			return err
		}
	}
	return nil
}

// usedEntry is on the list of every key of a writer. Usage is recorded for it.
var usedEntry = netip.MustParsePrefix("192.0.2.0/32")

// recordUsage records usage of up to three keys in one batch.
func (w *writer) recordUsage(ctx context.Context) error {
	begins, batch := announcement{Usage: true}, []store.UsageRecord(nil)
	ids := slices.Sorted(maps.Keys(w.keys))
	w.random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	for _, id := range ids[:min(len(ids), 3)] {
		count := 1 + w.random.Uint64N(9)
		begins.Begins = append(begins.Begins, record{Key: id, Organization: w.keys[id].Organization, Count: count})
		batch = append(batch, store.UsageRecord{Key: id, Entry: usedEntry, Usage: accesslist.Usage{Count: count, Last: fixture.Moment, LastAddress: usedEntry.Addr()}})
	}
	_, err := w.write(ctx, begins, func() (uint64, error) { return 0, w.recorder.RecordUsage(ctx, adapter.UsageBatch(batch...)) })
	return err
}

// freshID returns a new identifier.
func (w *writer) freshID() string {
	w.made++
	return fmt.Sprintf("%s%x-%d", w.prefix(), w.seed, w.made)
}

// freshVersion returns a version, for fixture.Whole and fixture.WholeOrganization, that no other call has written: a
// write in doubt must differ from the record it replaces. The version has at least one
// entry, so a lost list always shows.
func (w *writer) freshVersion() int {
	w.made++
	return int((w.seed<<20+uint64(w.made))&(math.MaxInt>>3))*4 + 1 + w.random.IntN(3)
}

func (w *writer) anyOrganization() string { return anyOf(w.random, w.organizations) }
func (w *writer) anyKey() apikey.ID       { return anyOf(w.random, w.keys) }

// anyOf returns a random key of a map, the same one for the same random numbers.
func anyOf[K ~string, V any](random *rand.Rand, all map[K]V) K {
	return slices.Sorted(maps.Keys(all))[random.IntN(len(all))]
}
