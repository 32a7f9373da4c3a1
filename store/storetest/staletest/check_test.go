package staletest

import (
	"context"
	"errors"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/records"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/faulty"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
	"github.com/sallyport-go/sallyport/store/storetest/internal/recorder"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

var errKilled = errors.New("the server was killed")

// A laggard is a replica that is late.
type laggard struct {
	copy   *records.Copy
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// newLaggard follows a store and applies what it receives after a delay, and only what
// keep lets through.
func newLaggard(s *memory.Store, delay time.Duration, keep func(store.Change) bool) *laggard {
	type batch struct {
		delivered time.Time
		changes   []store.Change
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &laggard{copy: records.NewCopy(), cancel: cancel}
	batches := make(chan batch, 1<<16)
	l.done.Go(func() {
		defer close(batches)
		var changes []store.Change
		for change, err := range s.Watch(ctx, store.Position{}) {
			if err != nil {
				return
			}
			if !change.IsMark() {
				if keep(change) {
					changes = append(changes, change)
				}
				continue
			}
			batches <- batch{time.Now(), changes}
			changes = nil
		}
	})
	l.done.Go(func() {
		for b := range batches {
			select {
			case <-time.After(time.Until(b.delivered.Add(delay))):
				l.copy.Apply(b.changes)
			case <-ctx.Done():
			}
		}
	})
	return l
}

func (l *laggard) Lookup(_ context.Context, id apikey.ID) (policy.Subject, bool, error) {
	return l.copy.LookupNow(id)
}

func (l *laggard) stop() {
	l.cancel()
	l.done.Wait()
}

func all(store.Change) bool { return true }

func TestStalenessOfSoundSources(t *testing.T) {
	m := memory.New()
	late := newLaggard(m, 20*time.Millisecond, all)
	defer late.stop()
	result := Check{
		Store: m, Sources: []policy.Source{m, faulty.New(m), late}, Bound: 20 * time.Second, Duration: time.Second,
	}.Run(t)
	assert.Positive(t, result.Writes)
	assert.Positive(t, result.Answers)
	assert.Zero(t, result.Errors)
	assert.Zero(t, result.Doubts)
	assert.Positive(t, result.Oldest, "the late one is seen to be late")
	t.Logf("%+v", result)
}

// Writes of which nobody knows whether they happened, or happened only later, are none
// of a sound source's mistakes, which here is the store itself.
func TestStalenessWithDoubts(t *testing.T) {
	m := teststore.NewLoading()
	slow := &tardy{Store: m}
	defer slow.late.Wait()
	f := faulty.New(slow)
	errs := []faulty.Fault{faulty.LoseReply(errKilled), faulty.Fail(errKilled), faulty.LoseReply(context.DeadlineExceeded)}
	result := Check{
		Store: f, Sources: []policy.Source{m, f}, Bound: 0, Duration: time.Second,
		Disturb: func(ctx context.Context) {
			random := rand.New(rand.NewPCG(1, 2))
			for ctx.Err() == nil {
				f.BreakNext(3, errs[random.IntN(len(errs))], faulty.PutKey, faulty.DeleteKey, faulty.PutOrganization)
				if random.IntN(4) == 0 {
					f.BreakNext(2, errs[0], faulty.Key, faulty.Organization, faulty.Lookup)
				}
				pause(ctx, random)
			}
			f.Heal()
		},
	}.Run(t)
	assert.Positive(t, result.Writes)
	assert.Positive(t, result.Doubts)
	assert.Positive(t, result.Errors)
	t.Logf("%+v", result)
}

// A tardy store tells some callers that their replacement failed, and makes it a little
// later.
type tardy struct {
	store.Store
	late sync.WaitGroup
}

func (s *tardy) PutKey(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	if key.Revision == 0 || rand.IntN(5) > 0 {
		return s.Store.PutKey(ctx, key, options...)
	}
	s.late.Go(func() {
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
		_, _ = s.Store.PutKey(context.WithoutCancel(ctx), key, options...)
	})
	return apikey.Key{}, errKilled
}

func (s *tardy) DeleteKey(ctx context.Context, id apikey.ID, revision uint64) error {
	if rand.IntN(5) > 0 {
		return s.Store.DeleteKey(ctx, id, revision)
	}
	s.late.Go(func() {
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
		_ = s.Store.DeleteKey(context.WithoutCancel(ctx), id, revision)
	})
	return errKilled
}

func TestStalenessCatchesBrokenSources(t *testing.T) {
	const (
		bound         = 30 * time.Millisecond
		tooOldOrMixed = "want no answer older than|which never were there at one moment"
	)
	for name, test := range map[string]struct {
		bound  time.Duration
		source func(t *testing.T, m *memory.Store) policy.Source
		want   string
	}{
		"freezes": {bound, func(_ *testing.T, m *memory.Store) policy.Source {
			var frozen sync.Map
			return policy.SourceFunc(func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
				if subject, ok := frozen.Load(id); ok {
					return subject.(policy.Subject), true, nil
				}
				subject, found, err := m.Lookup(ctx, id)
				if found {
					frozen.Store(id, subject)
				}
				return subject, found, err
			})
		}, tooOldOrMixed},
		"freezes what is not there": {bound, func(_ *testing.T, m *memory.Store) policy.Source {
			var missing sync.Map
			return policy.SourceFunc(func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
				if _, was := missing.Load(id); was {
					return policy.Subject{}, false, nil
				}
				subject, found, err := m.Lookup(ctx, id)
				if !found && err == nil {
					missing.Store(id, true)
				}
				return subject, found, err
			})
		}, "did not find it, which another write that had returned replaced"},
		"is late": {bound, func(t *testing.T, m *memory.Store) policy.Source {
			l := newLaggard(m, bound+100*time.Millisecond, all)
			t.Cleanup(l.stop)
			return l
		}, tooOldOrMixed},
		"mixes an old key with a new organization": {time.Minute, func(t *testing.T, m *memory.Store) policy.Source {
			l := newLaggard(m, 20*time.Millisecond, all)
			t.Cleanup(l.stop)
			return policy.SourceFunc(func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
				subject, found, err := l.Lookup(ctx, id)
				if err != nil || !found {
					return subject, found, err
				}
				key := subject.Key()
				organization, err := m.Organization(ctx, key.Organization)
				return policy.NewSubject(&key, &organization), err == nil, err
			})
		}, "which never were there at one moment"},
		"drops deletions": {bound, func(t *testing.T, m *memory.Store) policy.Source {
			l := newLaggard(m, 0, func(c store.Change) bool { return !c.Deleted })
			t.Cleanup(l.stop)
			return l
		}, tooOldOrMixed},
		"drops creations": {bound, func(t *testing.T, m *memory.Store) policy.Source {
			l := newLaggard(m, 0, func(c store.Change) bool { return c.KeyRecord == nil || c.KeyRecord.Revision%3 > 0 })
			t.Cleanup(l.stop)
			return l
		}, tooOldOrMixed},
		"does not find a key that was not deleted": {bound, func(_ *testing.T, m *memory.Store) policy.Source {
			return policy.SourceFunc(func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
				subject, found, err := m.Lookup(ctx, id)
				return subject, found && rand.IntN(10) > 0, err
			})
		}, "did not find it, which another write that had returned replaced"},
		"invents a version": {time.Minute, func(_ *testing.T, m *memory.Store) policy.Source {
			return policy.SourceFunc(func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
				subject, found, err := m.Lookup(ctx, id)
				if !found || err != nil {
					return subject, found, err
				}
				key, organization := subject.Key(), subject.Organization()
				next := fixture.Whole(id, key.Organization, 1_000_000_000)
				return policy.NewSubject(&next, &organization), true, nil
			})
		}, "which was never written"},
		"loses lists": {time.Minute, func(_ *testing.T, m *memory.Store) policy.Source {
			f := faulty.New(m)
			f.Break(garbleRecords(func(key *apikey.Key, _ *policy.Organization) { key.AccessList = fixture.Plain("x", "x").AccessList }), faulty.Lookup)
			return f
		}, "number of entries"},
		"answers with another key": {time.Minute, func(_ *testing.T, m *memory.Store) policy.Source {
			f := faulty.New(m)
			f.Break(garbleRecords(func(key *apikey.Key, _ *policy.Organization) { key.ID += "x" }), faulty.Lookup)
			return f
		}, "answered with key"},
		"answers with another organization": {time.Minute, func(_ *testing.T, m *memory.Store) policy.Source {
			f := faulty.New(m)
			f.Break(garbleRecords(func(_ *apikey.Key, o *policy.Organization) {
				*o = policy.Organization{ID: o.ID + "x", Revision: o.Revision}
			}), faulty.Lookup)
			return f
		}, "answered with the organization"},
		"answers with an organization that was never switched off": {time.Minute, func(_ *testing.T, m *memory.Store) policy.Source {
			f := faulty.New(m)
			f.Break(garbleRecords(func(_ *apikey.Key, o *policy.Organization) { o.Disabled = false }), faulty.Lookup)
			return f
		}, "answered with the organization"},
		"answers with an organization that was never suspended": {time.Minute, func(_ *testing.T, m *memory.Store) policy.Source {
			f := faulty.New(m)
			f.Break(garbleRecords(func(_ *apikey.Key, o *policy.Organization) { o.SuspendedUntil = time.Time{} }), faulty.Lookup)
			return f
		}, "answered with the organization"},
		"never answers": {time.Minute, func(_ *testing.T, m *memory.Store) policy.Source {
			f := faulty.New(m)
			f.Break(faulty.Fail(errors.New("no connection")), faulty.Lookup)
			return f
		}, "no source answered"},
	} {
		t.Run(name, func(t *testing.T) {
			requireFound(t, test.want, func() Check {
				m := memory.New()
				return Check{Store: m, Sources: []policy.Source{test.source(t, m)}, Bound: test.bound, Duration: 300 * time.Millisecond, healing: 50 * time.Millisecond}
			})
		})
	}
}

// requireFound runs a check until it finds what is wrong: on a busy machine too little may
// be asked in one run, and something else may be too late.
func requireFound(t *testing.T, want string, check func() Check) {
	t.Helper()
	var got *recorder.TB
	for range 20 {
		got = recorder.Record(t, func(t testing.TB) { check().Run(t) })
		if regexp.MustCompile(want).MatchString(strings.Join(got.Failures, "\n")) {
			t.Logf("%s", got.Failures[0])
			return
		}
	}
	require.Fail(t, "it is not found", "want %s, and the last failures are %q", want, got.Failures)
}

// A source that shows what the store never came to have, as one does that reads what
// was not committed.
func TestStalenessCatchesWhatNeverHappened(t *testing.T) {
	requireFound(t, "a write that did not happen|which was never in force", func() Check {
		s := &uncommitted{Store: memory.New()}
		return Check{Store: s, Sources: []policy.Source{policy.SourceFunc(s.dirty)}, Bound: time.Minute, Duration: time.Second}
	})
}

// An uncommitted store does not make some replacements, and shows them for a while.
type uncommitted struct {
	store.Store
	shown sync.Map
}

func (s *uncommitted) PutKey(ctx context.Context, key apikey.Key, options ...store.PutOption) (apikey.Key, error) {
	if key.Revision == 0 || rand.IntN(5) > 0 {
		return s.Store.PutKey(ctx, key, options...)
	}
	s.shown.Store(key.ID, key)
	time.Sleep(2 * time.Millisecond)
	return apikey.Key{}, errKilled
}

func (s *uncommitted) dirty(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	subject, found, err := s.Lookup(ctx, id)
	if key, ok := s.shown.LoadAndDelete(id); ok && found {
		key, organization := key.(apikey.Key), subject.Organization()
		key.Revision++
		return policy.NewSubject(&key, &organization), true, nil
	}
	return subject, found, err
}

func TestStalenessNeedsAStore(t *testing.T) {
	f := faulty.New(memory.New())
	f.Break(faulty.Fail(errKilled), faulty.PutOrganization)
	got := recorder.Record(t, func(t testing.TB) { Check{Store: f, Duration: time.Millisecond}.Run(t) })
	require.NotEmpty(t, got.Failures)
	assert.Contains(t, got.Failures[0], "before anything was disturbed")
}

func garbleRecords(change func(*apikey.Key, *policy.Organization)) faulty.Fault {
	return faulty.Garble(func(subject policy.Subject, found bool) (policy.Subject, bool) {
		if !found {
			return subject, found
		}
		key, organization := subject.Key(), subject.Organization()
		change(&key, &organization)
		return policy.NewSubject(&key, &organization), true
	})
}
