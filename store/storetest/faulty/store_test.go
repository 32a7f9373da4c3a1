package faulty

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

var errFault = errors.New("the disk is on fire")

// A Store without instructions keeps the contract of what it wraps.
func TestKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(testing.TB) store.Store { return New(teststore.NewLoading()) }, storetest.Compact(teststore.Flood))
}

// engineOver is an engine over a Store with a key that may call from
// 192.0.2.1 and another that may call from anywhere.
func engineOver(t *testing.T) (*policy.Engine, *Store, func(apikey.ID) policy.Request) {
	f := New(memory.New())
	t.Cleanup(f.Heal)
	_, err := f.PutOrganization(t.Context(), policy.Organization{ID: "acme"})
	require.NoError(t, err)
	secrets := map[apikey.ID]apikey.Secret{}
	for _, id := range []apikey.ID{"listed", "open"} {
		key, secret, err := apikey.New("acme")
		require.NoError(t, err)
		key.ID = id
		if id == "listed" {
			key.AccessList = fixture.Must(accesslist.Parse("192.0.2.1"))
		}
		_, err = f.PutKey(t.Context(), key, store.AllowOpen)
		require.NoError(t, err)
		secrets[id] = secret
	}
	return policy.New(f, policy.WithTimeout(time.Minute)), f, func(id apikey.ID) policy.Request {
		return policy.Request{Key: id, Secret: secrets[id], Client: netip.MustParseAddr("192.0.2.1"), Organization: "acme"}
	}
}

func TestEngineOverFaultyStore(t *testing.T) {
	for name, fault := range map[string]Fault{
		"fails":                   Fail(errFault),
		"fails with not found":    Fail(store.ErrNotFound),
		"fails with closed":       Fail(store.ErrClosed),
		"loses the reply":         LoseReply(errFault),
		"hangs":                   Hang(),
		"hangs and does not heed": HangDeaf(),
		"is slow":                 Slow(time.Minute),
		"panics":                  Panic("a bug"),
		"panics with nil error":   Panic(error(nil)),
		"the zero subject":        returnZero(),
		"another key":             returnOtherKey(),
		"another organization":    returnOtherOrganization(),
		"no organization":         returnNoOrganization(),
		"no key":                  returnNoKey(),
	} {
		t.Run(name, func(t *testing.T) {
			engine, f, request := engineOver(t)
			impatient := policy.New(f, policy.WithTimeout(20*time.Millisecond))
			for _, id := range []apikey.ID{"listed", "open"} {
				require.True(t, engine.Decide(t.Context(), request(id)).Allowed())
				f.Break(fault, Lookup)
				for range 3 {
					d := impatient.Decide(t.Context(), request(id))
					assert.False(t, d.Allowed(), "%v", d)
					assert.Equal(t, policy.Unavailable, d.Reason, "%v", d)
					assert.Error(t, d.Cause)
				}
				f.Heal()
				assert.True(t, engine.Decide(t.Context(), request(id)).Allowed(), "after it was healed")
			}
		})
	}
}

// A requirement that is none is judged as the strictest: the key without a list is
// denied, the one whose list covers the client is not.
func TestEngineOverBadRequirement(t *testing.T) {
	engine, f, request := engineOver(t)
	f.Break(returnBadRequirement(), Lookup)
	assert.Equal(t, policy.OrganizationRequiresAccessList, engine.Decide(t.Context(), request("open")).Reason)
	assert.Equal(t, policy.AddressListed, engine.Decide(t.Context(), request("listed")).Reason)
}

// What is garbled says nothing of a key that is not there.
func TestGarbledAnswerForMissingKey(t *testing.T) {
	engine, f, request := engineOver(t)
	for _, fault := range []Fault{returnOtherKey(), returnOtherOrganization(), returnNoOrganization(), returnBadRequirement()} {
		f.Break(fault)
		assert.Equal(t, policy.UnknownKey, engine.Decide(t.Context(), request("gone")).Reason)
	}
}

// calls makes one call of every method, of a store that As finds all interfaces in.
func calls(t *testing.T, f *Store) map[Method]func(ctx context.Context) error {
	loader, _ := store.As[store.Loader](f)
	watcher, _ := store.As[store.Watcher](f)
	recorder, ok := store.As[store.UsageRecorder](f)
	require.True(t, ok)
	journal, ok := store.As[store.Journal](f)
	require.True(t, ok)
	key := fixture.Plain("here", "acme", "192.0.2.1")
	return map[Method]func(ctx context.Context) error{
		Lookup:       func(ctx context.Context) error { _, _, err := f.Lookup(ctx, "here"); return err },
		Organization: func(ctx context.Context) error { _, err := f.Organization(ctx, "acme"); return err },
		PutOrganization: func(ctx context.Context) error {
			_, err := f.PutOrganization(ctx, policy.Organization{ID: "new"})
			return err
		},
		DeleteOrganization: func(ctx context.Context) error { return f.DeleteOrganization(ctx, "new", 0) },
		Organizations:      func(ctx context.Context) error { _, err := f.Organizations(ctx, store.PageRequest{}); return err },
		Key:                func(ctx context.Context) error { _, err := f.Key(ctx, "here"); return err },
		PutKey:             func(ctx context.Context) error { _, err := f.PutKey(ctx, key); return err },
		DeleteKey:          func(ctx context.Context) error { return f.DeleteKey(ctx, "here", 0) },
		Keys:               func(ctx context.Context) error { _, err := f.Keys(ctx, "acme", store.PageRequest{}); return err },
		Close:              func(context.Context) error { return f.Close() },
		Load:               func(ctx context.Context) error { return loader.Load(ctx, nil, nil) },
		Position:           func(ctx context.Context) error { _, err := watcher.Position(ctx); return err },
		Watch: func(ctx context.Context) error {
			for _, err := range watcher.Watch(ctx, store.Position{}) {
				return err
			}
			return errors.New("nothing was delivered")
		},
		RecordUsage: func(ctx context.Context) error { return recorder.RecordUsage(ctx, nil) },
		Usage:       func(ctx context.Context) error { _, err := recorder.Usage(ctx, "here"); return err },
		RecordObservation: func(ctx context.Context) error {
			return recorder.RecordObservation(ctx, store.Report{Recorder: "one", Since: fixture.Moment, From: fixture.Moment, Until: fixture.Moment, At: fixture.Moment})
		},
		Observation: func(ctx context.Context) error { _, err := recorder.Observation(ctx); return err },
		Write: func(ctx context.Context) error {
			_, err := journal.Write(ctx, store.Write{PutOrganization: &policy.Organization{ID: "journalled"}})
			return err
		},
		Events: func(ctx context.Context) error { _, err := journal.Events(ctx, store.EventRequest{}); return err },
	}
}

func TestBreaksEveryMethod(t *testing.T) {
	f := New(teststore.NewLoading())
	all := calls(t, f)
	assert.ElementsMatch(t, everyMethod, slices.Collect(maps.Keys(all)))
	f.Break(Fail(errFault))
	for method, call := range all {
		assert.ErrorIs(t, call(t.Context()), errFault, "%s", method)
		assert.Equal(t, 1, f.Calls(method), "%s", method)
	}
	f.Heal()
	for method, call := range all {
		assert.NotErrorIs(t, call(t.Context()), errFault, "%s, after it was healed", method)
	}
	f.Break(Panic("a bug"), Keys)
	assert.PanicsWithValue(t, "a bug", func() { _, _ = f.Keys(t.Context(), "acme", store.PageRequest{}) })
	f.Heal()
}

func TestBreakNext(t *testing.T) {
	f := New(memory.New())
	f.BreakNext(2, Fail(errFault), Key)
	for i := range 4 {
		_, err := f.Key(t.Context(), "gone")
		if want := store.ErrNotFound; i >= 2 {
			assert.ErrorIs(t, err, want)
		} else {
			assert.ErrorIs(t, err, errFault)
		}
	}
	_, _, err := f.Lookup(t.Context(), "gone")
	assert.NoError(t, err, "another method is served")
	assert.Equal(t, 4, f.Calls(Key))
	assert.Equal(t, 1, f.Calls(Lookup))
	assert.Zero(t, f.Calls(PutKey))
	f.BreakNext(0, Fail(errFault))
	_, _, err = f.Lookup(t.Context(), "gone")
	assert.NoError(t, err)
}

func TestLosesTheReply(t *testing.T) {
	f := New(memory.New())
	f.BreakNext(1, LoseReply(errFault), PutOrganization)
	stored, err := f.PutOrganization(t.Context(), policy.Organization{ID: "acme"})
	assert.ErrorIs(t, err, errFault)
	assert.Zero(t, stored)
	_, err = f.Organization(t.Context(), "acme")
	assert.NoError(t, err, "the call was made")
	f.BreakNext(1, Fail(errFault), DeleteOrganization)
	assert.ErrorIs(t, f.DeleteOrganization(t.Context(), "acme", 0), errFault)
	_, err = f.Organization(t.Context(), "acme")
	assert.NoError(t, err, "the call was not made")
}

func TestHangs(t *testing.T) {
	f := New(memory.New())
	f.Break(Hang(), Key)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := f.Key(ctx, "gone")
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	f.Break(Slow(time.Minute), Key)
	_, err = f.Key(ctx, "gone")
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	f.Break(Slow(time.Microsecond), Key)
	_, err = f.Key(t.Context(), "gone")
	assert.ErrorIs(t, err, store.ErrNotFound)

	for _, fault := range []Fault{Hang(), HangDeaf()} {
		f.Break(fault, Key)
		calls := f.Calls(Key)
		answer := make(chan error)
		go func() {
			_, err := f.Key(context.Background(), "gone")
			answer <- err
		}()
		for f.Calls(Key) == calls {
			time.Sleep(time.Millisecond)
		}
		select {
		case <-answer:
			t.Fatal("it did not hang")
		case <-time.After(10 * time.Millisecond):
		}
		f.Heal()
		assert.ErrorIs(t, <-answer, store.ErrNotFound, "it was released, and then served")
	}
}

func TestLendsWhatTheStoreHas(t *testing.T) {
	m := teststore.NewLoading()
	for bits := range 1 << 4 {
		var wrapped store.Store = struct{ store.Store }{m}
		loads, watches, records, journals := bits&1 != 0, bits&2 != 0, bits&4 != 0, bits&8 != 0
		if loads {
			wrapped = struct {
				link
				store.Loader
			}{link{m, wrapped}, m}
		}
		if watches {
			wrapped = struct {
				link
				store.Watcher
			}{link{m, wrapped}, m}
		}
		if records {
			wrapped = struct {
				link
				store.UsageRecorder
			}{link{m, wrapped}, m}
		}
		if journals {
			wrapped = struct {
				link
				store.Journal
			}{link{m, wrapped}, m}
		}
		for _, f := range []*Store{New(wrapped), New(New(wrapped))} {
			loader, canLoad := store.As[store.Loader](f)
			watcher, canWatch := store.As[store.Watcher](f)
			recorder, canRecord := store.As[store.UsageRecorder](f)
			journal, canJournal := store.As[store.Journal](f)
			_, immediate := store.As[policy.ImmediateSource](f)
			assert.Equal(t, []bool{loads, watches, records, journals, false}, []bool{canLoad, canWatch, canRecord, canJournal, immediate})
			f.Break(Fail(errFault))
			if loads {
				assert.ErrorIs(t, loader.Load(t.Context(), nil, nil), errFault, "what As found is not the store that was wrapped")
			}
			if watches {
				_, err := watcher.Position(t.Context())
				assert.ErrorIs(t, err, errFault)
			}
			if records {
				assert.ErrorIs(t, recorder.RecordUsage(t.Context(), nil), errFault)
			}
			if journals {
				_, err := journal.Events(t.Context(), store.EventRequest{})
				assert.ErrorIs(t, err, errFault)
			}
			f.Heal()
			if loads {
				assert.NoError(t, loader.Load(t.Context(), nil, nil))
			}
		}
	}
}

// A feed that is under way fails, or falls silent and goes on without a loss.
func TestFeed(t *testing.T) {
	f := New(memory.New())
	watcher, ok := store.As[store.Watcher](f)
	require.True(t, ok)
	put := func(id string) uint64 {
		stored, err := f.PutOrganization(t.Context(), policy.Organization{ID: id})
		require.NoError(t, err)
		return stored.Revision
	}
	delivered := make(chan string)
	ended := make(chan error)
	watch := func(after uint64) {
		position, err := watcher.Position(t.Context())
		assert.NoError(t, err)
		position.Revision = after
		for change, err := range watcher.Watch(t.Context(), position) {
			if err != nil {
				ended <- err
				return
			}
			if !change.IsMark() {
				delivered <- change.Organization
			}
		}
	}
	put("one")
	go watch(0)
	assert.Equal(t, "one", <-delivered)
	f.Break(Hang(), Watch)
	last := put("two")
	select {
	case id := <-delivered:
		t.Fatalf("a feed that hangs delivered %s", id)
	case <-time.After(10 * time.Millisecond):
	}
	f.Heal()
	assert.Equal(t, "two", <-delivered)

	f.Break(Fail(errFault), Watch)
	assert.ErrorIs(t, <-ended, errFault)
	put("three")
	f.Break(Fail(store.ErrCompacted), Watch)
	go watch(last)
	assert.ErrorIs(t, <-ended, store.ErrCompacted)
	f.Heal()
	go watch(last)
	assert.Equal(t, "three", <-delivered)
	require.NoError(t, f.Close())
	assert.ErrorIs(t, <-ended, store.ErrClosed)
}

// returnZero has Lookup find any key and return the zero Subject.
func returnZero() Fault {
	return Garble(func(policy.Subject, bool) (policy.Subject, bool) { return policy.Subject{}, true })
}

// returnOtherKey has Lookup return the record under another ID, as a database does
// that folds case.
func returnOtherKey() Fault {
	return garbleRecords(func(key *apikey.Key, _ *policy.Organization) { key.ID += "x" })
}

// returnOtherOrganization has Lookup return an organization that is not the key's,
// and that requires nothing, as a join does that went wrong.
func returnOtherOrganization() Fault {
	return garbleRecords(func(_ *apikey.Key, organization *policy.Organization) {
		*organization = policy.Organization{ID: organization.ID + "x", Revision: organization.Revision}
	})
}

// returnBadRequirement has Lookup return a requirement that is none of the
// constants. Package policy judges it as policy.Required.
func returnBadRequirement() Fault {
	return garbleRecords(func(_ *apikey.Key, organization *policy.Organization) { organization.Requirement = 0xff })
}

// returnNoOrganization has Lookup return the key without its organization.
func returnNoOrganization() Fault {
	return Garble(func(subject policy.Subject, found bool) (policy.Subject, bool) {
		if !found {
			return subject, found
		}
		key := subject.Key()
		return policy.NewSubject(&key, nil), true
	})
}

// returnNoKey has Lookup return the organization without the key.
func returnNoKey() Fault {
	return Garble(func(subject policy.Subject, found bool) (policy.Subject, bool) {
		organization := subject.Organization()
		return policy.NewSubject(nil, &organization), true
	})
}

func garbleRecords(change func(*apikey.Key, *policy.Organization)) Fault {
	return Garble(func(subject policy.Subject, found bool) (policy.Subject, bool) {
		if !found {
			return subject, found
		}
		key, organization := subject.Key(), subject.Organization()
		change(&key, &organization)
		return policy.NewSubject(&key, &organization), true
	})
}
