package storetest

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
)

var errFault = errors.New("the disk is on fire")

// A Faulty that was told nothing keeps the contract of what it wraps.
func TestFaultyKeepsTheContract(t *testing.T) {
	Run(t, func(testing.TB) store.Store { return NewFaulty(newLoading()) }, Compact(flood))
}

// faultyEngine is an engine over a Faulty with a key that may call from
// 192.0.2.1 and another that may call from anywhere.
func faultyEngine(t *testing.T) (*policy.Engine, *Faulty, func(apikey.ID) policy.Request) {
	f := NewFaulty(memory.New())
	t.Cleanup(f.Heal)
	_, err := f.PutOrganization(t.Context(), policy.Organization{ID: "acme"})
	require.NoError(t, err)
	secrets := map[apikey.ID]apikey.Secret{}
	for _, id := range []apikey.ID{"listed", "open"} {
		key, secret, err := apikey.New("acme")
		require.NoError(t, err)
		key.ID = id
		if id == "listed" {
			key.AccessList = must(accesslist.Parse("192.0.2.1"))
		}
		_, err = f.PutKey(t.Context(), key)
		require.NoError(t, err)
		secrets[id] = secret
	}
	return policy.New(f), f, func(id apikey.ID) policy.Request {
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
		"the zero subject":        ReturnZero(),
		"another key":             ReturnOtherKey(),
		"another organization":    ReturnOtherOrganization(),
		"no organization":         ReturnNoOrganization(),
		"no key":                  ReturnNoKey(),
	} {
		t.Run(name, func(t *testing.T) {
			engine, f, request := faultyEngine(t)
			impatient := policy.New(f, policy.WithTimeout(20*time.Millisecond))
			for _, id := range []apikey.ID{"listed", "open"} {
				require.True(t, engine.Decide(t.Context(), request(id)).Allowed())
				f.Break(fault, MethodLookup)
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
	engine, f, request := faultyEngine(t)
	f.Break(ReturnBadRequirement(), MethodLookup)
	assert.Equal(t, policy.OrganizationRequiresAccessList, engine.Decide(t.Context(), request("open")).Reason)
	assert.Equal(t, policy.AddressListed, engine.Decide(t.Context(), request("listed")).Reason)
}

// What is garbled says nothing of a key that is not there.
func TestGarbledAnswerForMissingKey(t *testing.T) {
	engine, f, request := faultyEngine(t)
	for _, fault := range []Fault{ReturnOtherKey(), ReturnOtherOrganization(), ReturnNoOrganization(), ReturnBadRequirement()} {
		f.Break(fault)
		assert.Equal(t, policy.UnknownKey, engine.Decide(t.Context(), request("gone")).Reason)
	}
}

func TestFaultyBreaksEveryMethod(t *testing.T) {
	r, err := newRunner(func(testing.TB) store.Store { return NewFaulty(newLoading()) }, nil)
	require.NoError(t, err)
	got := record(t, func(t testing.TB) {
		r.run(t, testCase{"S3", "x", func(k *kit) {
			f := k.store.(*Faulty)
			calls := k.everyCall()
			f.Break(Fail(errFault))
			for _, call := range calls {
				k.wantError(call.do(k.ctx), errFault, "%s", call.name)
			}
			k.wantError(f.Close(), errFault, "Close")
			f.Heal()
			for _, call := range calls {
				if call.name == "Watch" {
					continue // it would wait for more
				}
				if err := call.do(k.ctx); errors.Is(err, errFault) {
					k.Errorf("%s, after it was healed: %v", call.name, err)
				}
			}
			f.Break(Panic("a bug"), MethodKeys)
			assert.PanicsWithValue(k.TB, "a bug", func() { _, _ = f.Keys(k.ctx, "acme", store.PageRequest{}) })
			f.Heal()
		}, ""})
	})
	assert.Empty(t, got.failures)
}

func TestFaultyBreakNext(t *testing.T) {
	f := NewFaulty(memory.New())
	f.BreakNext(2, Fail(errFault), MethodKey)
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
	assert.Equal(t, 4, f.Calls(MethodKey))
	assert.Equal(t, 1, f.Calls(MethodLookup))
	assert.Zero(t, f.Calls(MethodPutKey))
	f.BreakNext(0, Fail(errFault))
	_, _, err = f.Lookup(t.Context(), "gone")
	assert.NoError(t, err)
}

func TestFaultyLosesTheReply(t *testing.T) {
	f := NewFaulty(memory.New())
	f.BreakNext(1, LoseReply(errFault), MethodPutOrganization)
	stored, err := f.PutOrganization(t.Context(), policy.Organization{ID: "acme"})
	assert.ErrorIs(t, err, errFault)
	assert.Zero(t, stored)
	_, err = f.Organization(t.Context(), "acme")
	assert.NoError(t, err, "the call was made")
	f.BreakNext(1, Fail(errFault), MethodDeleteOrganization)
	assert.ErrorIs(t, f.DeleteOrganization(t.Context(), "acme", 0), errFault)
	_, err = f.Organization(t.Context(), "acme")
	assert.NoError(t, err, "the call was not made")
}

func TestFaultyHangs(t *testing.T) {
	f := NewFaulty(memory.New())
	f.Break(Hang(), MethodKey)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := f.Key(ctx, "gone")
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	f.Break(Slow(time.Minute), MethodKey)
	_, err = f.Key(ctx, "gone")
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	f.Break(Slow(time.Microsecond), MethodKey)
	_, err = f.Key(t.Context(), "gone")
	assert.ErrorIs(t, err, store.ErrNotFound)

	for _, fault := range []Fault{Hang(), HangDeaf()} {
		f.Break(fault, MethodKey)
		calls := f.Calls(MethodKey)
		answer := make(chan error)
		go func() {
			_, err := f.Key(context.Background(), "gone")
			answer <- err
		}()
		for f.Calls(MethodKey) == calls {
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

func TestFaultyLendsWhatTheStoreHas(t *testing.T) {
	m := newLoading()
	for bits := range 1 << 3 {
		var wrapped store.Store = onlyStore{m}
		loads, watches, records := bits&1 != 0, bits&2 != 0, bits&4 != 0
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
		for _, f := range []*Faulty{NewFaulty(wrapped), NewFaulty(NewFaulty(wrapped))} {
			loader, canLoad := store.As[store.Loader](f)
			watcher, canWatch := store.As[store.Watcher](f)
			recorder, canRecord := store.As[store.UsageRecorder](f)
			_, immediate := store.As[policy.ImmediateSource](f)
			assert.Equal(t, []bool{loads, watches, records, false}, []bool{canLoad, canWatch, canRecord, immediate})
			f.Break(Fail(errFault))
			if loads {
				assert.ErrorIs(t, loader.Load(t.Context(), nil, nil), errFault, "what As found is not the store that was wrapped")
			}
			if watches {
				_, err := watcher.Revision(t.Context())
				assert.ErrorIs(t, err, errFault)
			}
			if records {
				assert.ErrorIs(t, recorder.RecordUsage(t.Context(), nil), errFault)
			}
			f.Heal()
			if loads {
				assert.NoError(t, loader.Load(t.Context(), nil, nil))
			}
		}
	}
}

// A feed that is under way fails, or falls silent and goes on without a loss.
func TestFaultyFeed(t *testing.T) {
	f := NewFaulty(memory.New())
	watcher, ok := store.As[store.Watcher](f)
	require.True(t, ok)
	put := func(id string) uint64 {
		stored, err := f.PutOrganization(t.Context(), policy.Organization{ID: id})
		require.NoError(t, err)
		return stored.Revision
	}
	told := make(chan string)
	ended := make(chan error)
	watch := func(after uint64) {
		for change, err := range watcher.Watch(t.Context(), after) {
			if err != nil {
				ended <- err
				return
			}
			if !change.IsMark() {
				told <- change.Organization
			}
		}
	}
	put("one")
	go watch(0)
	assert.Equal(t, "one", <-told)
	f.Break(Hang(), MethodWatch)
	last := put("two")
	select {
	case id := <-told:
		t.Fatalf("a feed that hangs told of %s", id)
	case <-time.After(10 * time.Millisecond):
	}
	f.Heal()
	assert.Equal(t, "two", <-told)

	f.Break(Fail(errFault), MethodWatch)
	assert.ErrorIs(t, <-ended, errFault)
	put("three")
	f.Break(Fail(store.ErrCompacted), MethodWatch)
	go watch(last)
	assert.ErrorIs(t, <-ended, store.ErrCompacted)
	f.Heal()
	go watch(last)
	assert.Equal(t, "three", <-told)
	require.NoError(t, f.Close())
	assert.ErrorIs(t, <-ended, store.ErrClosed)
}
