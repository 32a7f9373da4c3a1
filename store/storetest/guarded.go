package storetest

import (
	"context"
	"iter"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// A guarded store reports every call to the watchdog, those of optional interfaces
// included.
type guarded struct {
	store store.Store // the adapter's
	lent  store.Store // where As finds the optional interfaces
	dog   *watchdog
}

func guard(s store.Store, dog *watchdog) *guarded {
	g := &guarded{store: s, dog: dog}
	if loader, ok := store.As[store.Loader](s); ok {
		g.lent = struct {
			link
			store.Loader
		}{link{g, g.lent}, guardedLoader{g, loader}}
	}
	if watcher, ok := store.As[store.Watcher](s); ok {
		g.lent = struct {
			link
			store.Watcher
		}{link{g, g.lent}, guardedWatcher{g, watcher}}
	}
	if recorder, ok := store.As[store.UsageRecorder](s); ok {
		g.lent = struct {
			link
			store.UsageRecorder
		}{link{g, g.lent}, guardedRecorder{g, recorder}}
	}
	if journal, ok := store.As[store.Journal](s); ok {
		g.lent = struct {
			link
			store.Journal
		}{link{g, g.lent}, guardedJournal{g, journal}}
	}
	return g
}

// A link is one of a chain that store.As follows. Each has one optional interface, so no
// type is needed for every combination.
type link struct {
	store.Store
	next store.Store // nil at the end
}

func (l link) Unwrap() store.Store { return l.next }

// Unwrap returns the store in which store.As finds the optional interfaces.
func (g *guarded) Unwrap() store.Store { return g.lent }

// in notes the begin of a call. The returned function notes its end.
func (g *guarded) in(ctx context.Context, method string) (out func()) {
	s := g.dog.begin(pending{method: method, ctx: ctx})
	return func() { g.dog.end(s) }
}

func (g *guarded) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	defer g.in(ctx, "Lookup")()
	return g.store.Lookup(ctx, id)
}

func (g *guarded) Organization(ctx context.Context, id string) (policy.Organization, error) {
	defer g.in(ctx, "Organization")()
	return g.store.Organization(ctx, id)
}

func (g *guarded) PutOrganization(ctx context.Context, o policy.Organization) (policy.Organization, error) {
	defer g.in(ctx, "PutOrganization")()
	return g.store.PutOrganization(ctx, o)
}

func (g *guarded) DeleteOrganization(ctx context.Context, id string, revision uint64) error {
	defer g.in(ctx, "DeleteOrganization")()
	return g.store.DeleteOrganization(ctx, id, revision)
}

func (g *guarded) Organizations(ctx context.Context, page store.PageRequest) (store.Page[policy.Organization], error) {
	defer g.in(ctx, "Organizations")()
	return g.store.Organizations(ctx, page)
}

func (g *guarded) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	defer g.in(ctx, "Key")()
	return g.store.Key(ctx, id)
}

func (g *guarded) PutKey(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	defer g.in(ctx, "PutKey")()
	return g.store.PutKey(ctx, key, options...)
}

func (g *guarded) DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error {
	defer g.in(ctx, "DeleteKey")()
	return g.store.DeleteKey(ctx, id, revision)
}

func (g *guarded) Keys(ctx context.Context, organization string, page store.PageRequest) (store.Page[apikey.Key], error) {
	defer g.in(ctx, "Keys")()
	return g.store.Keys(ctx, organization, page)
}

func (g *guarded) Close() error {
	defer g.in(context.Background(), "Close")()
	return g.store.Close()
}

type guardedLoader struct {
	*guarded
	loader store.Loader
}

func (g guardedLoader) Load(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, options ...store.PutOption) error {
	defer g.in(ctx, "Load")()
	return g.loader.Load(ctx, organizations, keys, options...)
}

type guardedRecorder struct {
	*guarded
	recorder store.UsageRecorder
}

func (g guardedRecorder) RecordUsage(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
	defer g.in(ctx, "RecordUsage")()
	return g.recorder.RecordUsage(ctx, batch)
}

func (g guardedRecorder) Usage(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
	defer g.in(ctx, "Usage")()
	return g.recorder.Usage(ctx, ids...)
}

func (g guardedRecorder) RecordObservation(ctx context.Context, report store.Report) error {
	defer g.in(ctx, "RecordObservation")()
	return g.recorder.RecordObservation(ctx, report)
}

func (g guardedRecorder) Observation(ctx context.Context) (store.Observation, error) {
	defer g.in(ctx, "Observation")()
	return g.recorder.Observation(ctx)
}

type guardedJournal struct {
	*guarded
	journal store.Journal
}

func (g guardedJournal) Write(ctx context.Context, w store.Write) (uint64, error) {
	defer g.in(ctx, "Write")()
	return g.journal.Write(ctx, w)
}

func (g guardedJournal) Events(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
	defer g.in(ctx, "Events")()
	return g.journal.Events(ctx, request)
}

type guardedWatcher struct {
	*guarded
	watcher store.Watcher
}

func (g guardedWatcher) Position(ctx context.Context) (store.Position, error) {
	defer g.in(ctx, "Position")()
	return g.watcher.Position(ctx)
}

// Watch is under way while the store works, not while the consumer does.
func (g guardedWatcher) Watch(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
	return func(yield func(store.Change, error) bool) {
		waiting := pending{method: "Watch", ctx: ctx, waits: true}
		s := g.dog.begin(waiting)
		defer g.dog.end(s)
		for change, err := range g.watcher.Watch(ctx, after) {
			s.set(nil)
			g.dog.happened()
			more := yield(change, err)
			if !more || err != nil { // nothing to wait for any more
				s.set(&pending{method: "Watch, after its consumer stopped or it yielded an error,", ctx: ctx})
				if !more {
					return
				}
				continue
			}
			next := waiting
			s.set(&next)
		}
	}
}
