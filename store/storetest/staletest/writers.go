package staletest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

// A writer writes to the store of a Check and keeps the truth. It has records of its
// own, and some keys that all writers replace.
type writer struct {
	*truth
	store        store.Store
	random       *rand.Rand
	versions     *atomic.Int64 // shared by all writers, so that versions are unique
	run          string        // prefix of identifiers
	organization string
	keys         []apikey.ID // its own
	shared       []apikey.ID
	sharedOwner  string
	made         int
	steps        int
	pair         bool // see stepPair
}

func newWriters(t *truth, s store.Store) (all []*writer) {
	run := fmt.Sprintf("stale-%x-", time.Now().UnixNano())
	versions := new(atomic.Int64)
	shared := []apikey.ID{apikey.ID(run + "shared-0"), apikey.ID(run + "shared-1")}
	for i := range 4 {
		all = append(all, &writer{
			truth: t, store: s, random: rand.New(rand.NewPCG(uint64(i), 7)), versions: versions, run: fmt.Sprint(run, i, "-"),
			organization: fmt.Sprint(run, i), shared: shared, sharedOwner: fmt.Sprint(run, 0), pair: i == 3,
		})
	}
	return all
}

// begin creates the writer's records. The first writer also creates the shared ones.
func (w *writer) begin(ctx context.Context) error {
	w.add(fixture.OrganizationName(w.organization))
	if !w.putOrganization(ctx, policy.Organization{Requirement: policy.Required}) {
		return errors.New("an organization could not be created")
	}
	keys := 3
	if w.pair {
		keys = 1
	}
	for range keys {
		id := w.freshKey()
		w.keys = append(w.keys, id)
		if !w.putKey(ctx, id, w.organization, w.currentOf(fixture.KeyName(id)), w.version(1)) {
			return fmt.Errorf("key %q could not be created", id)
		}
	}
	if w.organization != w.sharedOwner {
		return nil
	}
	w.add(fixture.KeyName(apikey.ID(w.run + "never-there")))
	for _, id := range w.shared {
		w.add(fixture.KeyName(id))
		if !w.putKey(ctx, id, w.sharedOwner, w.currentOf(fixture.KeyName(id)), w.version(1)) {
			return fmt.Errorf("key %q could not be created", id)
		}
	}
	return nil
}

func (w *writer) freshKey() apikey.ID {
	w.made++
	id := apikey.ID(fmt.Sprint(w.run, w.made))
	w.add(fixture.KeyName(id))
	return id
}

// version returns a version, for fixture.Whole, with a number of entries. No other call
// returns it.
func (w *writer) version(entries int) int { return int(w.versions.Add(1))*4 + entries }

// step makes one write.
func (w *writer) step(ctx context.Context) {
	w.steps++
	if w.pair {
		w.stepPair(ctx)
		return
	}
	slot := w.random.IntN(len(w.keys))
	id := w.keys[slot]
	name := fixture.KeyName(id)
	current := w.currentOf(name)
	switch kind := w.random.IntN(10); {
	case kind == 0:
		w.putOrganization(ctx, fixture.WholeOrganization("", w.steps))
	case kind < 4:
		w.putShared(ctx)
	case !current.absent && kind < 6:
		w.deleteKey(ctx, id, current)
	default:
		happened := w.putKey(ctx, id, w.organization, current, w.version(w.random.IntN(4)))
		if !happened && w.currentOf(name).absent { // it may still be created
			w.keys[slot] = w.freshKey()
		}
	}
}

// stepPair goes round states of a key and its organization. "Nothing required and no
// entries" is none of them. Each state is in force before the next one begins.
func (w *writer) stepPair(ctx context.Context) {
	id, n := w.keys[0], w.steps%4
	put := func() bool {
		return w.putKey(ctx, id, w.organization, w.currentOf(fixture.KeyName(id)), w.version(n))
	}
	require := func(requirement policy.Requirement) func() bool {
		return func() bool { return w.putOrganization(ctx, policy.Organization{Requirement: requirement}) }
	}
	steps := []func() bool{put}
	switch n {
	case 0:
		steps = []func() bool{require(policy.Required), put}
	case 1:
		steps = []func() bool{put, require(policy.NotRequired)}
	}
	for _, step := range steps {
		for !step() {
			if ctx.Err() != nil {
				return
			}
		}
	}
}

// attempt makes a write and reports whether it took effect. If its outcome is unknown,
// settle finds out.
func (w *writer) attempt(ctx context.Context, name fixture.RecordName, p *phase, do func(ctx context.Context) (uint64, error)) bool {
	w.call(name, p)
	call, cancel := context.WithTimeout(ctx, callTimeout)
	revision, err := do(call)
	cancel()
	o := fixture.OutcomeOf(err)
	w.returned(name, p, o, revision)
	if o != fixture.Acknowledged {
		_, _ = w.settle(ctx, w.store, name)
	}
	return w.inForce(p)
}

func (t *truth) inForce(p *phase) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return p.known != never
}

// putOrganization gives the writer's organization new settings.
func (w *writer) putOrganization(ctx context.Context, settings policy.Organization) bool {
	base := w.currentOf(fixture.OrganizationName(w.organization))
	settings.ID, settings.Revision = w.organization, base.revision
	p := &phase{settings: settings, base: base}
	return w.attempt(ctx, fixture.OrganizationName(w.organization), p, func(ctx context.Context) (uint64, error) {
		stored, err := w.store.PutOrganization(ctx, settings)
		return stored.Revision, err
	})
}

func (w *writer) putKey(ctx context.Context, id apikey.ID, organization string, base *phase, version int) bool {
	key := fixture.Whole(id, organization, version)
	if !base.absent {
		key.Revision = base.revision
	}
	return w.attempt(ctx, fixture.KeyName(id), &phase{version: version, base: base}, func(ctx context.Context) (uint64, error) {
		stored, err := w.store.PutKey(ctx, key, store.AllowOpen)
		return stored.Revision, err
	})
}

func (w *writer) deleteKey(ctx context.Context, id apikey.ID, base *phase) bool {
	return w.attempt(ctx, fixture.KeyName(id), &phase{absent: true, base: base}, func(ctx context.Context) (uint64, error) {
		return 0, w.store.DeleteKey(ctx, id, base.revision)
	})
}

// putShared reads a shared key and replaces it.
func (w *writer) putShared(ctx context.Context) {
	id := w.shared[w.random.IntN(len(w.shared))]
	if base, err := w.settle(ctx, w.store, fixture.KeyName(id)); err == nil {
		w.putKey(ctx, id, w.sharedOwner, base, w.version(w.random.IntN(4)))
	}
}

// settle reads a record from the store until that succeeds, and returns its phase.
func (t *truth) settle(ctx context.Context, s store.Store, name fixture.RecordName) (*phase, error) {
	for {
		call, cancel := context.WithTimeout(ctx, callTimeout)
		p, err := t.readFrom(call, s, name)
		cancel()
		if err == nil {
			return p, nil
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (t *truth) readFrom(ctx context.Context, s store.Store, name fixture.RecordName) (*phase, error) {
	if name.Key == "" {
		o, err := s.Organization(ctx, name.Organization)
		if errors.Is(err, store.ErrNotFound) { // its creation is in doubt
			return t.currentOf(name), nil
		}
		if err != nil {
			return nil, err
		}
		return t.readOrganization(o), nil
	}
	key, err := s.Key(ctx, name.Key)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	return t.readKey(key, err == nil, name.Key), nil
}

// settleAll reads every record.
func (t *truth) settleAll(ctx context.Context, s store.Store) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	t.mu.Lock()
	names := slices.Collect(maps.Keys(t.tracks))
	t.mu.Unlock()
	for _, name := range names {
		if _, err := t.settle(ctx, s, name); err != nil {
			return err
		}
	}
	return nil
}
