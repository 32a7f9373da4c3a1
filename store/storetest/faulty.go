package storetest

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// A Method names a method of a store, for [Faulty].
type Method string

// The methods of store.Store, store.Loader, store.Watcher and store.UsageRecorder.
const (
	MethodLookup             Method = "Lookup"
	MethodOrganization       Method = "Organization"
	MethodPutOrganization    Method = "PutOrganization"
	MethodDeleteOrganization Method = "DeleteOrganization"
	MethodOrganizations      Method = "Organizations"
	MethodKey                Method = "Key"
	MethodPutKey             Method = "PutKey"
	MethodDeleteKey          Method = "DeleteKey"
	MethodKeys               Method = "Keys"
	MethodClose              Method = "Close"
	MethodLoad               Method = "Load"
	MethodRevision           Method = "Revision"
	MethodWatch              Method = "Watch"
	MethodRecordUsage        Method = "RecordUsage"
	MethodUsage              Method = "Usage"
)

// A Faulty is a store that passes every call on to another one until it is told to
// go wrong. It is for the tests of what stands in front of a store: an engine, a
// cache, a replica, a service. It is safe for concurrent use.
//
// store.As finds a store.Loader, a store.Watcher and a store.UsageRecorder in it if it
// finds them in the other store, and those go wrong on demand too. It is no
// policy.ImmediateSource, since that cannot fail to answer.
type Faulty struct {
	store store.Store
	lent  store.Store // what As finds

	mu       sync.Mutex
	plans    map[Method]plan
	calls    map[Method]int
	healed   chan struct{}
	watching map[*context.CancelFunc]bool
}

// A plan is what a method does for some calls; forever if left is negative.
type plan struct {
	fault Fault
	left  int
}

// NewFaulty returns a Faulty that does what s does.
func NewFaulty(s store.Store) *Faulty {
	f := &Faulty{
		store: s, plans: map[Method]plan{}, calls: map[Method]int{},
		healed: make(chan struct{}), watching: map[*context.CancelFunc]bool{},
	}
	if loader, ok := store.As[store.Loader](s); ok {
		f.lent = struct {
			link
			store.Loader
		}{link{f, f.lent}, faultyLoader{f, loader}}
	}
	if watcher, ok := store.As[store.Watcher](s); ok {
		f.lent = struct {
			link
			store.Watcher
		}{link{f, f.lent}, faultyWatcher{f, watcher}}
	}
	if recorder, ok := store.As[store.UsageRecorder](s); ok {
		f.lent = struct {
			link
			store.UsageRecorder
		}{link{f, f.lent}, faultyRecorder{f, recorder}}
	}
	return f
}

// A link is one of a chain that store.As goes along. Each has one optional interface,
// so that there need not be a type for every combination of them.
type link struct {
	store.Store
	next store.Store // nil at the end
}

func (l link) Unwrap() store.Store { return l.next }

// Unwrap returns what store.As finds optional interfaces in. It is not the other
// store: what is found goes wrong on demand as well.
func (f *Faulty) Unwrap() store.Store { return f.lent }

// Break has the methods, or all of them if none is named, go wrong until Heal. It
// takes the place of what was said of them before. A Watch that is under way goes
// wrong at once.
func (f *Faulty) Break(fault Fault, methods ...Method) { f.BreakNext(-1, fault, methods...) }

// BreakNext has the next n calls of each of the methods go wrong, and all until Heal
// if n is negative.
func (f *Faulty) BreakNext(n int, fault Fault, methods ...Method) {
	if len(methods) == 0 {
		methods = []Method{
			MethodLookup, MethodOrganization, MethodPutOrganization, MethodDeleteOrganization, MethodOrganizations, MethodKey,
			MethodPutKey, MethodDeleteKey, MethodKeys, MethodClose, MethodLoad, MethodRevision, MethodWatch, MethodRecordUsage, MethodUsage,
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, method := range methods {
		f.plans[method] = plan{fault, n}
	}
	if slices.Contains(methods, MethodWatch) {
		for interrupt := range f.watching {
			(*interrupt)()
		}
	}
}

// Heal ends all that Break and BreakNext said, and releases the calls that hang.
func (f *Faulty) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.plans)
	close(f.healed)
	f.healed = make(chan struct{})
}

// Calls returns how often a method was called, whatever became of it.
func (f *Faulty) Calls(method Method) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

// take returns the fault of a call, the zero Fault if there is none, and what is
// closed when it is healed.
func (f *Faulty) take(method Method) (Fault, <-chan struct{}) {
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

func (f *Faulty) count(method Method) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[method]++
}

// do makes a call, or has it go wrong. What the call returned is kept from the
// caller if there is an error.
func do[T any](ctx context.Context, f *Faulty, method Method, call func() (T, error)) (T, error) {
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

// doOnly is do for calls that return an error alone.
func doOnly(ctx context.Context, f *Faulty, method Method, call func() error) error {
	_, err := do(ctx, f, method, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

// A foundSubject is the two results of a Lookup as one.
type foundSubject struct {
	subject policy.Subject
	found   bool
}

// Lookup passes the call on or goes wrong.
func (f *Faulty) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	result, err := do(ctx, f, MethodLookup, func() (foundSubject, error) {
		subject, found, err := f.store.Lookup(ctx, id)
		return foundSubject{subject, found}, err
	})
	return result.subject, result.found, err
}

// Organization passes the call on or goes wrong.
func (f *Faulty) Organization(ctx context.Context, id string) (policy.Organization, error) {
	return do(ctx, f, MethodOrganization, func() (policy.Organization, error) { return f.store.Organization(ctx, id) })
}

// PutOrganization passes the call on or goes wrong.
func (f *Faulty) PutOrganization(ctx context.Context, organization policy.Organization) (policy.Organization, error) {
	return do(ctx, f, MethodPutOrganization, func() (policy.Organization, error) { return f.store.PutOrganization(ctx, organization) })
}

// DeleteOrganization passes the call on or goes wrong.
func (f *Faulty) DeleteOrganization(ctx context.Context, id string, revision uint64) error {
	return doOnly(ctx, f, MethodDeleteOrganization, func() error { return f.store.DeleteOrganization(ctx, id, revision) })
}

// Organizations passes the call on or goes wrong.
func (f *Faulty) Organizations(ctx context.Context, page store.PageRequest) (store.Page[policy.Organization], error) {
	return do(ctx, f, MethodOrganizations, func() (store.Page[policy.Organization], error) { return f.store.Organizations(ctx, page) })
}

// Key passes the call on or goes wrong.
func (f *Faulty) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	return do(ctx, f, MethodKey, func() (apikey.Key, error) { return f.store.Key(ctx, id) })
}

// PutKey passes the call on or goes wrong.
func (f *Faulty) PutKey(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	return do(ctx, f, MethodPutKey, func() (apikey.Key, error) { return f.store.PutKey(ctx, key, options...) })
}

// DeleteKey passes the call on or goes wrong.
func (f *Faulty) DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error {
	return doOnly(ctx, f, MethodDeleteKey, func() error { return f.store.DeleteKey(ctx, id, revision) })
}

// Keys passes the call on or goes wrong.
func (f *Faulty) Keys(ctx context.Context, organization string, page store.PageRequest) (store.Page[apikey.Key], error) {
	return do(ctx, f, MethodKeys, func() (store.Page[apikey.Key], error) { return f.store.Keys(ctx, organization, page) })
}

// Close passes the call on or goes wrong. It has no context, so Hang waits for Heal.
func (f *Faulty) Close() error {
	return doOnly(context.Background(), f, MethodClose, f.store.Close)
}

// A faultyWatcher is the feed of a Faulty.
type faultyWatcher struct {
	f       *Faulty
	watcher store.Watcher
}

func (w faultyWatcher) Revision(ctx context.Context) (uint64, error) {
	return do(ctx, w.f, MethodRevision, func() (uint64, error) { return w.watcher.Revision(ctx) })
}

// Watch passes the feed on, from mark to mark: what the other tells it yields when the
// mark comes, since only there can it begin again. When it is told to go wrong it leaves
// the other's feed, and if the fault ends without an error it goes on from the last
// mark, without a loss.
func (w faultyWatcher) Watch(ctx context.Context, after uint64) iter.Seq2[store.Change, error] {
	return func(yield func(store.Change, error) bool) {
		w.f.count(MethodWatch)
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

// feed yields changes until inner is interrupted. It reports whether to begin again.
func (w faultyWatcher) feed(ctx, inner context.Context, mark *uint64, yield func(store.Change, error) bool) (more bool) {
	fault, healed := w.f.take(MethodWatch)
	err := fault.after
	if fault.before != nil {
		err = fault.before(ctx, healed)
	}
	if err != nil {
		yield(store.Change{}, err)
		return false
	}
	var since []store.Change // the last mark
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
		*mark, since = change.Revision, nil
	}
	return inner.Err() != nil && ctx.Err() == nil
}

// interruptible returns a context that Break ends.
func (f *Faulty) interruptible(ctx context.Context) (context.Context, func()) {
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

// A faultyLoader is the loader of a Faulty.
type faultyLoader struct {
	f      *Faulty
	loader store.Loader
}

func (l faultyLoader) Load(ctx context.Context, organizations []policy.Organization, keys []apikey.Key, options ...store.PutOption) error {
	return doOnly(ctx, l.f, MethodLoad, func() error { return l.loader.Load(ctx, organizations, keys, options...) })
}

// A faultyRecorder is the usage recorder of a Faulty.
type faultyRecorder struct {
	f        *Faulty
	recorder store.UsageRecorder
}

func (r faultyRecorder) RecordUsage(ctx context.Context, batch []store.UsageRecord) error {
	return doOnly(ctx, r.f, MethodRecordUsage, func() error { return r.recorder.RecordUsage(ctx, batch) })
}

func (r faultyRecorder) Usage(ctx context.Context, id apikey.ID) (store.KeyUsage, error) {
	return do(ctx, r.f, MethodUsage, func() (store.KeyUsage, error) { return r.recorder.Usage(ctx, id) })
}
