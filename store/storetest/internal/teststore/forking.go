package teststore

import (
	"context"
	"iter"
	"testing"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
)

// burnt is the number of revisions that a Forking passes over when it goes back.
const burnt = 500

// A Forking is a memory store that can go back to an earlier state. A test replaces its
// methods by functions.
type Forking struct {
	*Broken
	Sound  *memory.Store // of the present
	writes []func(*memory.Store)
	past   map[string]uint64 // the last revision that is in the past, by the names of earlier histories
	forked context.Context
	fork   context.CancelFunc

	GivesAgain bool                                 // the lost revisions
	Change     func(b *Broken, sound *memory.Store) // breaks the store, also after it went back; may be nil
}

// NewForking returns a Forking that change has broken, if it is not nil.
func NewForking(change func(b *Broken, sound *memory.Store)) *Forking {
	f := &Forking{Change: change}
	f.on(memory.New())
	return f
}

// on makes m the store of the present.
func (f *Forking) on(m *memory.Store) {
	b := Of(m)
	forked, fork := context.WithCancel(context.Background())
	f.Sound, f.forked, f.fork = m, forked, fork
	b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
		return func(yield func(store.Change, error) bool) {
			inner, cancel := context.WithCancel(ctx)
			defer cancel()
			defer context.AfterFunc(forked, cancel)()
			for change, err := range m.Watch(inner, after) {
				if forked.Err() != nil && ctx.Err() == nil {
					yield(store.Change{}, store.ErrCompacted)
					return
				}
				if !yield(change, err) {
					return
				}
			}
		}
	}
	b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
		if last, ok := f.past[request.After.History]; ok && request.After.Revision <= last {
			latest, _ := m.Position(context.Background())
			request.After.History = latest.History
		}
		return m.Events(ctx, request)
	}
	if f.Change != nil {
		f.Change(b, m)
	}
	if f.Broken == nil {
		f.Broken = b
		return
	}
	*f.Broken = *b
}

func (f *Forking) PutOrganization(ctx context.Context, o policy.Organization) (policy.Organization, error) {
	f.writes = append(f.writes, func(m *memory.Store) { _, _ = m.PutOrganization(context.Background(), o) })
	return f.Broken.PutOrganization(ctx, o)
}

func (f *Forking) DeleteOrganization(ctx context.Context, id string, revision uint64) error {
	f.writes = append(f.writes, func(m *memory.Store) { _ = m.DeleteOrganization(context.Background(), id, revision) })
	return f.Broken.DeleteOrganization(ctx, id, revision)
}

func (f *Forking) PutKey(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	f.writes = append(f.writes, func(m *memory.Store) { _, _ = m.PutKey(context.Background(), key, options...) })
	return f.Broken.PutKey(ctx, key, options...)
}

func (f *Forking) DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error {
	f.writes = append(f.writes, func(m *memory.Store) { _ = m.DeleteKey(context.Background(), id, revision) })
	return f.Broken.DeleteKey(ctx, id, revision)
}

func (f *Forking) Write(ctx context.Context, w store.Write) (uint64, error) {
	f.writes = append(f.writes, func(m *memory.Store) { _, _ = m.Write(context.Background(), w) })
	return f.Broken.Write(ctx, w)
}

// Backup is for the option Restore.
func Backup(_ testing.TB, s store.Store) (restore func(testing.TB, store.Store) store.Store) {
	f := s.(*Forking)
	writes, times := len(f.writes), 0
	return func(testing.TB, store.Store) store.Store {
		times++
		f.GoBack(writes, times*burnt)
		return f
	}
}

// Forked returns a context that ends when the store goes back.
func (f *Forking) Forked() context.Context { return f.forked }

// Writes returns the number of writes, for GoBack.
func (f *Forking) Writes() int { return len(f.writes) }

// GoBack takes the store back to its first writes. It passes over a number of revisions,
// unless f.GivesAgain.
func (f *Forking) GoBack(writes, skip int) {
	m := memory.New()
	f.writes = f.writes[:writes:writes]
	for _, write := range f.writes {
		write(m)
	}
	now, _ := m.Position(context.Background())
	past := map[string]uint64{}
	for name, last := range f.past {
		past[name] = min(last, now.Revision)
	}
	if f.Sound != nil {
		before, _ := f.Sound.Position(context.Background())
		past[before.History] = now.Revision
	}
	f.past = past
	for range skip {
		if f.GivesAgain {
			break
		}
		_, _ = m.PutOrganization(context.Background(), policy.Organization{ID: "skipped"})
		_ = m.DeleteOrganization(context.Background(), "skipped", 0)
	}
	fork := f.fork
	f.on(m)
	if fork != nil {
		fork()
	}
}
