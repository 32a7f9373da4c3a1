package policy_test

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// The key of every test here has no list, of an organization that requires none:
// whatever is lost on the way would be allowed if it were taken for nothing.
func openFixture(t testing.TB) *fixture {
	f := newFixture(t)
	f.key.AccessList = accesslist.List{}
	require.Equal(t, policy.OpenList, f.evaluate().Reason)
	return f
}

// Line 3: a source that fails, however it fails, denies, and the operator can tell
// how.
func TestLine3ErrorsNeverOpen(t *testing.T) {
	f := openFixture(t)
	stalled := errors.New("the copy is too old")
	for name, test := range map[string]struct {
		lookup policy.SourceFunc
		is     error
		says   string
	}{
		"error": {is: io.ErrUnexpectedEOF, lookup: func(context.Context, apikey.ID) (policy.Subject, bool, error) {
			return policy.Subject{}, false, io.ErrUnexpectedEOF
		}},
		"error beside a record": {is: stalled, lookup: func(context.Context, apikey.ID) (policy.Subject, bool, error) {
			return f.subject(), true, stalled
		}},
		"panic": {says: "the source panicked: no connection", lookup: func(context.Context, apikey.ID) (policy.Subject, bool, error) {
			panic("no connection")
		}},
		"panic with nil": {says: "the source panicked", lookup: func(context.Context, apikey.ID) (policy.Subject, bool, error) {
			panic(nil) //nolint:govet // this is what is tried
		}},
		"Goexit": {says: "ended its goroutine without an answer", lookup: func(context.Context, apikey.ID) (policy.Subject, bool, error) {
			runtime.Goexit()
			return f.subject(), true, nil
		}},
		"heeds its context": {is: context.DeadlineExceeded, lookup: func(ctx context.Context, _ apikey.ID) (policy.Subject, bool, error) {
			<-ctx.Done()
			return f.subject(), true, nil // too late
		}},
		"heeds its context and says so": {is: context.DeadlineExceeded, lookup: func(ctx context.Context, _ apikey.ID) (policy.Subject, bool, error) {
			<-ctx.Done()
			return policy.Subject{}, false, ctx.Err()
		}},
		"found nothing": {says: "found a key and returned a Subject without one: want the key", lookup: func(context.Context, apikey.ID) (policy.Subject, bool, error) {
			return policy.Subject{}, true, nil
		}},
		"found an organization": {says: "found a key and returned a Subject without one: want the key", lookup: func(context.Context, apikey.ID) (policy.Subject, bool, error) {
			return policy.NewSubject(nil, &policy.Organization{ID: "acme"}), true, nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 { // a race between an answer and the deadline must not matter
				d := f.decide(test.lookup, policy.WithTimeout(time.Millisecond))
				// A slow machine may see the deadline of any of them first.
				requireDenied(t, d, policy.Unavailable)
				require.Error(t, d.Cause)
			}
			if test.is == context.DeadlineExceeded {
				require.ErrorIs(t, f.decide(test.lookup, policy.WithTimeout(time.Millisecond)).Cause, test.is)
				return
			}
			d := f.decide(test.lookup)
			requireDenied(t, d, policy.Unavailable)
			require.ErrorContains(t, d.Cause, test.says)
			if test.is != nil {
				require.ErrorIs(t, d.Cause, test.is)
			}
			require.Equal(t, policy.Subject{}, d.Subject())
		})
	}
}

// Line 3: what a source cannot have meant denies. A case-folding database (OpenFGA
// CVE-2026-55170), a wrong join and a record without its organization all show here, and
// the error names the contradiction.
func TestLine3RecordsThatCannotBeRight(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*fixture)
		says   string
	}{
		"another key":                 {func(f *fixture) { f.key.ID = "key-2" }, `returned key "key-2" for key "key-1"`},
		"the ID in capitals":          {func(f *fixture) { f.key.ID = "KEY-1" }, `returned key "KEY-1" for key "key-1"`},
		"the ID and a space":          {func(f *fixture) { f.key.ID = "key-1 " }, `returned key "key-1 " for key "key-1"`},
		"no ID":                       {func(f *fixture) { f.key.ID = "" }, `returned key "" for key "key-1"`},
		"another organization":        {func(f *fixture) { f.organization.ID = "globex" }, `of organization "acme" with organization "globex"`},
		"the organization in capital": {func(f *fixture) { f.organization.ID = "ACME" }, `of organization "acme" with organization "ACME"`},
		"an organization without ID":  {func(f *fixture) { f.organization.ID, f.key.Organization = "", "" }, `of organization "" with organization ""`},
	} {
		t.Run(name, func(t *testing.T) {
			f := openFixture(t)
			test.change(f)
			for _, d := range []policy.Decision{f.evaluate(), f.decide(f.source()), f.decide(f.source().waiting())} {
				requireDenied(t, d, policy.Unavailable)
				require.ErrorContains(t, d.Cause, test.says)
			}
		})
	}
	f := openFixture(t)
	key, organization := f.key, f.organization
	d := policy.Evaluate(policy.NewSubject(&key, nil), f.request, noon)
	requireDenied(t, d, policy.Unavailable)
	require.EqualError(t, d.Cause, `policy: the source returned key "key-1" without its organization "acme"`)
	require.Equal(t, policy.Subject{}, d.Subject(), "nothing was judged by it")
	require.Equal(t, policy.Organization{}, d.Subject().Organization())
	d = policy.Evaluate(policy.NewSubject(nil, &organization), f.request, noon)
	requireDenied(t, d, policy.Unavailable)
	require.EqualError(t, d.Cause, `policy: the source returned organization "acme" without key "key-1"`)
	require.Equal(t, apikey.Key{}, d.Subject().Key())
}

// Rule A3: a bad entry that was dropped silently left the list empty elsewhere, and
// an empty list means everyone. A reader's error is line 3, whatever came with it.
func TestA3ListThatLostItsEntriesIsNotEmpty(t *testing.T) {
	f := openFixture(t)
	for _, stored := range []string{`null`, `[""]`, `[","]`, `[{"address":"010.0.0.1"}]`, `[{"address":"10.0.0.0/33"}]`, `[null]`, `{}`} {
		source := f.source()
		var read accesslist.List
		source.err = read.UnmarshalJSON([]byte(stored))
		require.Error(t, source.err, stored)
		requireDenied(t, f.decide(source), policy.Unavailable)
	}
}

// Line 1: nil.Equal(nil) admitted callers without an address elsewhere (Tyk).
func TestLine1NoAddressIsNoMatch(t *testing.T) {
	for _, f := range []*fixture{openFixture(t), newFixture(t)} {
		f.request.Client = netip.Addr{}
		requireDenied(t, f.evaluate(), policy.InvalidRequest)
		source := f.source()
		requireDenied(t, f.decide(source), policy.InvalidRequest)
		require.Zero(t, source.asked, "lines 1 and 2 need no look-up")
	}
}

// An unknown requirement is judged as required.
func TestLine10UnknownRequirementRequires(t *testing.T) {
	f := openFixture(t)
	for requirement := policy.Required; requirement != 0; requirement++ {
		f.organization.Requirement = requirement
		requireDenied(t, f.evaluate(), policy.OrganizationRequiresAccessList)
	}
}

// Rule K5: a grant for one project and for all of them contradicts itself.
func TestK5ContradictoryGrantReachesNothing(t *testing.T) {
	f := newFixture(t)
	f.key.Grants = []apikey.Grant{{Role: "reader", Project: "alpha", AllProjects: true}}
	for _, project := range []string{"alpha", "beta"} {
		f.request.Project = project
		requireDenied(t, f.evaluate(), policy.ProjectNotGranted)
	}
}

func TestLine3EngineWithoutSource(t *testing.T) {
	f := openFixture(t)
	var typedNil *memory
	var zero policy.Engine
	var none *policy.Engine
	ctx := context.Background()
	for name, d := range map[string]policy.Decision{
		"nil source":       f.decide(nil),
		"nil SourceFunc":   f.decide(policy.SourceFunc(nil)),
		"typed nil source": f.decide(typedNil),
		"zero engine":      zero.Decide(ctx, f.request),
		"nil engine":       none.Decide(ctx, f.request),
	} {
		requireDenied(t, d, policy.Unavailable)
		require.Error(t, d.Cause, name)
	}
	require.ErrorContains(t, f.decide(nil).Cause, "the engine has no source")
	f.request.Key = "not an ID"
	requireDenied(t, zero.Decide(ctx, f.request), policy.Unavailable)
}

func TestLine3Contexts(t *testing.T) {
	f := openFixture(t)
	gaveUp := errors.New("the client hung up")
	cancelled, cancel := context.WithCancelCause(context.Background())
	cancel(gaveUp)
	past, cancelPast := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancelPast()
	for _, source := range []policy.Source{f.source(), f.source().waiting()} {
		engine := policy.New(source, policy.WithTimeout(time.Minute))
		d := engine.Decide(cancelled, f.request)
		requireDenied(t, d, policy.Unavailable)
		require.ErrorIs(t, d.Cause, gaveUp)
		d = engine.Decide(past, f.request)
		requireDenied(t, d, policy.Unavailable)
		require.ErrorIs(t, d.Cause, context.DeadlineExceeded)
		//lint:ignore SA1012 a nil context is what is tried
		requireDenied(t, engine.Decide(nil, f.request), policy.Unavailable)
	}
	source := f.source()
	requireDenied(t, policy.New(source).Decide(cancelled, f.request), policy.Unavailable)
	require.Zero(t, source.asked)

	// The caller's deadline counts if it comes before the engine's.
	soon, cancelSoon := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancelSoon()
	block := make(chan struct{})
	defer close(block)
	d := policy.New(hanging(block, nil), policy.WithTimeout(time.Hour)).Decide(soon, f.request)
	requireDenied(t, d, policy.Unavailable)
	require.ErrorIs(t, d.Cause, context.DeadlineExceeded)
	require.NotContains(t, d.Cause.Error(), "1h", "it was not the engine's timeout")
}

// hanging is a source that does not heed its context until block is closed, and
// then finds no key.
func hanging(block <-chan struct{}, asked *atomic.Int64) policy.Source {
	return policy.SourceFunc(func(context.Context, apikey.ID) (policy.Subject, bool, error) {
		if asked != nil {
			asked.Add(1)
		}
		<-block
		return policy.Subject{}, false, nil
	})
}

func TestLine3SourceThatHangsIgnoringItsContext(t *testing.T) {
	f := openFixture(t)
	block := make(chan struct{})
	defer close(block) // so Decide returns without its answer
	d := f.decide(hanging(block, nil), policy.WithTimeout(20*time.Millisecond))
	requireDenied(t, d, policy.Unavailable)
	require.ErrorIs(t, d.Cause, context.DeadlineExceeded)
	require.ErrorContains(t, d.Cause, "the source did not answer within 20ms")
}

// A source that hangs costs a bounded number of goroutines, and has a bounded number of
// requests waiting; past it they are denied at once, and when it comes back so do the answers.
func TestLine3BoundOnLookups(t *testing.T) {
	const waiting = 4096
	synctest.Test(t, func(t *testing.T) {
		f := openFixture(t)
		block := make(chan struct{})
		var asked atomic.Int64
		engine := policy.New(hanging(block, &asked), policy.WithTimeout(time.Minute), policy.WithMaxLookups(0))
		var requests sync.WaitGroup
		for range policy.DefaultMaxLookups + waiting {
			requests.Go(func() { engine.Decide(context.Background(), f.request) })
		}
		synctest.Wait()
		require.EqualValues(t, policy.DefaultMaxLookups, asked.Load())
		for range waiting + 1 { // since being refused must not count
			d := engine.Decide(context.Background(), f.request)
			requireDenied(t, d, policy.Unavailable)
			require.EqualError(t, d.Cause, "policy: the source has 32 look-ups under way, and 4096 wait: want a source that answers")
		}
		requests.Wait() // in time, though the source hangs
		require.EqualValues(t, policy.DefaultMaxLookups, asked.Load(), "past the bound the source is not asked")
		requireDenied(t, engine.Decide(context.Background(), f.request), policy.Unavailable)
		close(block)
		synctest.Wait()
		requireDenied(t, engine.Decide(context.Background(), f.request), policy.UnknownKey)
	})
}

// An invalid ID has no key, and no database sees it: PostgreSQL answers a NUL byte with an
// error, which would tell such IDs from others.
func TestLine4InvalidIDsReachNoDatabase(t *testing.T) {
	f := openFixture(t)
	for _, id := range []apikey.ID{"key-1\x00", "\x00", "key 1", "key-1\n", "ключ", "\xff", "%", "' OR 1=1 --", apikey.ID(make([]byte, 1<<16))} {
		f.request.Key, f.key.ID = id, id
		source := f.source()
		requireDenied(t, f.decide(source.waiting()), policy.UnknownKey)
		require.Zero(t, source.asked, "%q", id)
	}
}

func TestZeroValuesDeny(t *testing.T) {
	f := openFixture(t)
	requireDenied(t, policy.Decision{}, 0)
	require.Equal(t, 503, policy.Decision{}.Answer().Status)
	requireDenied(t, policy.Evaluate(policy.Subject{}, policy.Request{}, time.Time{}), policy.InvalidRequest)
	requireDenied(t, policy.Evaluate(f.subject(), policy.Request{}, noon), policy.InvalidRequest)
	requireDenied(t, policy.Evaluate(policy.Subject{}, f.request, noon), policy.UnknownKey)
	requireDenied(t, policy.New(f.source()).Decide(context.Background(), policy.Request{}), policy.InvalidRequest)
	require.Equal(t, apikey.Key{}, policy.Subject{}.Key())
	require.Equal(t, policy.Organization{}, policy.Subject{}.Organization())
	require.False(t, policy.Reason(0).Allows())
	require.Empty(t, policy.Decision{}.SecretID())

	// A key that is nothing but its names proves nothing, whatever is shown.
	f.key = apikey.Key{ID: "key-1", Organization: "acme"}
	requireDenied(t, f.evaluate(), policy.WrongSecret)
	f.request.Secret = apikey.Secret{}
	requireDenied(t, f.evaluate(), policy.WrongSecret)
}

// noError is an error whose nil pointer panics, a common mistake of those who return one.
type noError struct{ text string }

func (e *noError) Error() string { return e.text }

// A Cause that panics when it is read denies like any other, and is on record.
func TestPanickingCauseIsRecorded(t *testing.T) {
	for name, spoil := range map[string]func(*fixture){
		"of a Verifier": func(f *fixture) {
			f.verifyBy(verifierFunc(func(apikey.Key, time.Time) error { return (*noError)(nil) }))
		},
		"of a guard": func(f *fixture) { f.request.Err = (*noError)(nil) },
		"of a Resolver": func(f *fixture) {
			f.request.Organization, f.request.Project = "", ""
			f.request.Resolver = policy.ResolverFunc(func(context.Context) (policy.Resource, error) { return policy.Resource{}, (*noError)(nil) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			spoil(f)
			var recorded []string
			engine := policy.New(f.source(), policy.WithObserver(func(_ context.Context, d policy.Decision) {
				text, err := d.MarshalJSON()
				require.NoError(t, err)
				recorded = append(recorded, d.String(), d.LogValue().String(), d.Explain(), string(text))
			}))
			d := engine.Decide(t.Context(), f.request)
			require.False(t, d.Allowed())
			require.Error(t, d.Err())
			require.Len(t, recorded, 4)
			for _, text := range recorded {
				require.Contains(t, text, d.Reason.String())
			}
		})
	}
}

// A nil Option is none.
func TestNilOption(t *testing.T) {
	f := newFixture(t)
	require.True(t, policy.New(f.source(), nil).Decide(t.Context(), f.request).Allowed())
}
