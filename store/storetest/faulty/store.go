package faulty

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// A Method is the name of a method of a store.
type Method string

// The methods of store.Store, store.Loader, store.Watcher, store.UsageRecorder and
// store.Journal.
const (
	Lookup             Method = "Lookup"
	Organization       Method = "Organization"
	PutOrganization    Method = "PutOrganization"
	DeleteOrganization Method = "DeleteOrganization"
	Organizations      Method = "Organizations"
	Key                Method = "Key"
	PutKey             Method = "PutKey"
	DeleteKey          Method = "DeleteKey"
	Keys               Method = "Keys"
	Close              Method = "Close"
	Load               Method = "Load"
	Position           Method = "Position"
	Watch              Method = "Watch"
	RecordUsage        Method = "RecordUsage"
	Usage              Method = "Usage"
	RecordObservation  Method = "RecordObservation"
	Observation        Method = "Observation"
	Write              Method = "Write"
	Events             Method = "Events"
)

// everyMethod lists the constants above.
var everyMethod = []Method{
	Lookup, Organization, PutOrganization, DeleteOrganization, Organizations, Key,
	PutKey, DeleteKey, Keys, Close, Load, Position, Watch, RecordUsage, Usage,
	RecordObservation, Observation, Write, Events,
}

// A Store passes every call on to another store, until [Store.Break] makes calls fail.
// It is safe for concurrent use.
//
// store.As finds a store.Loader, a store.Watcher, a store.UsageRecorder and a store.Journal in
// it if the other store has them, and their calls fail on demand too. A Store is no
// policy.ImmediateSource, because an ImmediateSource cannot fail.
type Store struct {
	store store.Store
	lent  store.Store // where As finds the optional interfaces

	mu       sync.Mutex
	plans    map[Method]plan
	calls    map[Method]int
	healed   chan struct{}
	watching map[*context.CancelFunc]bool
}

// A plan is the fault of a method for the next left calls, or until Heal if left is
// negative.
type plan struct {
	fault Fault
	left  int
}

// New returns a Store over s, without faults.
func New(s store.Store) *Store {
	f := &Store{
		store: s, plans: map[Method]plan{}, calls: map[Method]int{},
		healed: make(chan struct{}), watching: map[*context.CancelFunc]bool{},
	}
	if l, ok := store.As[store.Loader](s); ok {
		f.lent = struct {
			link
			store.Loader
		}{link{f, f.lent}, loader{f, l}}
	}
	if w, ok := store.As[store.Watcher](s); ok {
		f.lent = struct {
			link
			store.Watcher
		}{link{f, f.lent}, watcher{f, w}}
	}
	if r, ok := store.As[store.UsageRecorder](s); ok {
		f.lent = struct {
			link
			store.UsageRecorder
		}{link{f, f.lent}, usageRecorder{f, r}}
	}
	if j, ok := store.As[store.Journal](s); ok {
		f.lent = struct {
			link
			store.Journal
		}{link{f, f.lent}, journal{f, j}}
	}
	return f
}

// A link is one of a chain that store.As follows. Each has one optional interface, so no
// type is needed for every combination.
type link struct {
	store.Store
	next store.Store // nil at the end
}

func (l link) Unwrap() store.Store { return l.next }

// Unwrap returns the store in which store.As finds the optional interfaces. It is not
// the other store, because their calls must fail on demand too.
func (f *Store) Unwrap() store.Store { return f.lent }

// Break makes the methods fail until Heal: all methods if none is named. It replaces
// earlier faults of these methods. A Watch under way fails at once.
func (f *Store) Break(fault Fault, methods ...Method) { f.BreakNext(-1, fault, methods...) }

// BreakNext makes the next n calls of each method fail. If n is negative, it is
// [Store.Break].
func (f *Store) BreakNext(n int, fault Fault, methods ...Method) {
	if len(methods) == 0 {
		methods = everyMethod
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, method := range methods {
		f.plans[method] = plan{fault, n}
	}
	if slices.Contains(methods, Watch) {
		for interrupt := range f.watching {
			(*interrupt)()
		}
	}
}

// Heal ends all faults and releases the calls that hang.
func (f *Store) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.plans)
	close(f.healed)
	f.healed = make(chan struct{})
}

// Calls returns the number of calls of a method, failed ones included.
func (f *Store) Calls(method Method) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

// take returns the fault of the next call, and the channel that Heal closes.
func (f *Store) take(method Method) (Fault, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.plans[method]
	if p.left == 0 {
		return Fault{}, f.healed
	}
	if p.left > 0 {
		p.left--
		f.plans[method] = p
	}
	return p.fault, f.healed
}

func (f *Store) count(method Method) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[method]++
}

// do makes a call under the fault of its method. With an error it returns no result.
func do[T any](ctx context.Context, f *Store, method Method, call func() (T, error)) (T, error) {
	f.count(method)
	fault, healed := f.take(method)
	var none T
	if fault.before != nil {
		if err := fault.before(ctx, healed); err != nil {
			return none, err
		}
	}
	result, err := call()
	if err == nil {
		err = fault.after
	}
	if err != nil {
		return none, err
	}
	if found, ok := any(&result).(*foundSubject); ok && fault.garble != nil {
		found.subject, found.found = fault.garble(found.subject, found.found)
	}
	return result, nil
}

// doOnly is do for a call without a result.
func doOnly(ctx context.Context, f *Store, method Method, call func() error) error {
	_, err := do(ctx, f, method, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

// A foundSubject has both results of a Lookup.
type foundSubject struct {
	subject policy.Subject
	found   bool
}

// Lookup implements [store.Store].
func (f *Store) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	result, err := do(ctx, f, Lookup, func() (foundSubject, error) {
		subject, found, err := f.store.Lookup(ctx, id)
		return foundSubject{subject, found}, err
	})
	return result.subject, result.found, err
}

// Organization implements [store.Store].
func (f *Store) Organization(ctx context.Context, id string) (policy.Organization, error) {
	return do(ctx, f, Organization, func() (policy.Organization, error) { return f.store.Organization(ctx, id) })
}

// PutOrganization implements [store.Store].
func (f *Store) PutOrganization(ctx context.Context, organization policy.Organization) (policy.Organization, error) {
	return do(ctx, f, PutOrganization, func() (policy.Organization, error) { return f.store.PutOrganization(ctx, organization) })
}

// DeleteOrganization implements [store.Store].
func (f *Store) DeleteOrganization(ctx context.Context, id string, revision uint64) error {
	return doOnly(ctx, f, DeleteOrganization, func() error { return f.store.DeleteOrganization(ctx, id, revision) })
}

// Organizations implements [store.Store].
func (f *Store) Organizations(ctx context.Context, page store.PageRequest) (store.Page[policy.Organization], error) {
	return do(ctx, f, Organizations, func() (store.Page[policy.Organization], error) { return f.store.Organizations(ctx, page) })
}

// Key implements [store.Store].
func (f *Store) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	return do(ctx, f, Key, func() (apikey.Key, error) { return f.store.Key(ctx, id) })
}

// PutKey implements [store.Store].
func (f *Store) PutKey(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	return do(ctx, f, PutKey, func() (apikey.Key, error) { return f.store.PutKey(ctx, key, options...) })
}

// DeleteKey implements [store.Store].
func (f *Store) DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error {
	return doOnly(ctx, f, DeleteKey, func() error { return f.store.DeleteKey(ctx, id, revision) })
}

// Keys implements [store.Store].
func (f *Store) Keys(ctx context.Context, organization string, page store.PageRequest) (store.Page[apikey.Key], error) {
	return do(ctx, f, Keys, func() (store.Page[apikey.Key], error) { return f.store.Keys(ctx, organization, page) })
}

// Close implements [store.Store]. It has no context, so Hang waits for Heal.
func (f *Store) Close() error {
	return doOnly(context.Background(), f, Close, f.store.Close)
}

// A watcher is the change feed of a Store.
type watcher struct {
	f       *Store
	watcher store.Watcher
}

func (w watcher) Position(ctx context.Context) (store.Position, error) {
	return do(ctx, w.f, Position, func() (store.Position, error) { return w.watcher.Position(ctx) })
}

// Watch passes the feed on from mark to mark, because it can resume only at a mark. On a
// fault it leaves the other store's feed. If the fault ends without an error, it resumes
// at the last mark without a loss.
func (w watcher) Watch(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
	return func(yield func(store.Change, error) bool) {
		w.f.count(Watch)
		mark := after
		for {
			inner, interrupt := w.f.interruptible(ctx)
			more := w.feed(ctx, inner, &mark, yield)
			interrupt()
			if !more {
				return
			}
		}
	}
}

// feed yields changes until inner is interrupted. It reports whether to resume.
func (w watcher) feed(ctx, inner context.Context, mark *store.Position, yield func(store.Change, error) bool) (more bool) {
	fault, healed := w.f.take(Watch)
	err := fault.after
	if fault.before != nil {
		err = fault.before(ctx, healed)
	}
	if err != nil {
		yield(store.Change{}, err)
		return false
	}
	var since []store.Change // changes since the last mark
	for change, err := range w.watcher.Watch(inner, *mark) {
		if inner.Err() != nil && ctx.Err() == nil {
			return true
		}
		if err != nil {
			yield(store.Change{}, err)
			return false
		}
		since = append(since, change)
		if !change.IsMark() {
			continue
		}
		for _, change := range since {
			if !yield(change, nil) {
				return false
			}
		}
		*mark, since = change.Position(), nil
	}
	return inner.Err() != nil && ctx.Err() == nil
}

// interruptible returns a context that BreakNext ends.
func (f *Store) interruptible(ctx context.Context) (context.Context, func()) {
	inner, cancel := context.WithCancel(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watching[&cancel] = true
	return inner, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watching, &cancel)
		cancel()
	}
}

// A loader is the loader of a Store.
type loader struct {
	f      *Store
	loader store.Loader
}

func (l loader) Load(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, options ...store.PutOption) error {
	return doOnly(ctx, l.f, Load, func() error { return l.loader.Load(ctx, organizations, keys, options...) })
}

// A usageRecorder is the usage recorder of a Store.
type usageRecorder struct {
	f        *Store
	recorder store.UsageRecorder
}

func (r usageRecorder) RecordUsage(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
	return doOnly(ctx, r.f, RecordUsage, func() error { return r.recorder.RecordUsage(ctx, batch) })
}

func (r usageRecorder) Usage(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
	return do(ctx, r.f, Usage, func() (map[apikey.ID]store.KeyUsage, error) { return r.recorder.Usage(ctx, ids...) })
}

func (r usageRecorder) RecordObservation(ctx context.Context, report store.Report) error {
	return doOnly(ctx, r.f, RecordObservation, func() error { return r.recorder.RecordObservation(ctx, report) })
}

func (r usageRecorder) Observation(ctx context.Context) (store.Observation, error) {
	return do(ctx, r.f, Observation, func() (store.Observation, error) { return r.recorder.Observation(ctx) })
}

// A journal is the journal of a Store.
type journal struct {
	f       *Store
	journal store.Journal
}

func (j journal) Write(ctx context.Context, w store.Write) (uint64, error) {
	return do(ctx, j.f, Write, func() (uint64, error) { return j.journal.Write(ctx, w) })
}

func (j journal) Events(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
	return do(ctx, j.f, Events, func() (store.EventPage, error) { return j.journal.Events(ctx, request) })
}
