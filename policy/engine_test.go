package policy_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// Rule Q3, and what went wrong with caches elsewhere: the requirement, the list and
// the switch hold for the very next decision.
func TestQ3NothingDecidedIsKept(t *testing.T) {
	f := openFixture(t)
	source := f.source()
	for _, source2 := range []policy.Source{source, source.waiting()} {
		engine := policy.New(source2, policy.WithClock(atNoon), policy.WithTimeout(time.Minute))
		next := func() policy.Reason {
			source.subject = f.subject()
			return engine.Decide(context.Background(), f.request).Reason
		}
		require.Equal(t, policy.OpenList, next())
		f.organization.Requirement = policy.Required
		require.Equal(t, policy.OrganizationRequiresAccessList, next())
		f.key.AccessList = list(t, "203.0.113.7")
		require.Equal(t, policy.AddressListed, next())
		f.key.AccessList = list(t, "203.0.113.8")
		require.Equal(t, policy.AddressNotListed, next())
		f.key.AccessList = accesslist.List{}
		f.organization.Requirement = policy.NotRequired
		require.Equal(t, policy.OpenList, next())
		f.key.Disabled = true
		require.Equal(t, policy.KeyDisabled, next())
		f.key.Disabled = false
		require.Equal(t, policy.OpenList, next())
		f.organization.Disabled = true
		require.Equal(t, policy.KeyDisabled, next())
		f.organization.Disabled = false
		secrets := f.key.Secrets
		f.key.Secrets = nil
		require.Equal(t, policy.WrongSecret, next())
		f.key.Secrets = secrets
		require.Equal(t, policy.OpenList, next())
		source.found = false
		require.Equal(t, policy.UnknownKey, next())
		source.found = true
	}
}

// The time is read for each decision, and after the look-up: a key that expires
// while the source is slow has expired.
func TestLine8TimeIsReadAfterTheLookup(t *testing.T) {
	f := openFixture(t)
	f.key.Expires = noon
	var now atomic.Pointer[time.Time]
	before := noon.Add(-1)
	now.Store(&before)
	slow := policy.SourceFunc(func(context.Context, apikey.ID) (policy.Subject, bool, error) {
		now.Store(&noon)
		return f.subject(), true, nil
	})
	clock := policy.WithClock(func() time.Time { return *now.Load() })
	requireDenied(t, f.decide(slow, clock), policy.KeyExpired)
	now.Store(&before)
	require.Equal(t, policy.OpenList, f.decide(f.source(), clock).Reason)
}

func TestOptionsThatSayNothingChangeNothing(t *testing.T) {
	log := captureLog(t, func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) })
	f := openFixture(t)
	for _, source := range []policy.Source{f.source(), f.source().waiting()} {
		engine := policy.New(source, policy.WithClock(nil), policy.WithTimeout(0), policy.WithTimeout(-1), policy.WithObserver(nil))
		require.Equal(t, policy.OpenList, engine.Decide(context.Background(), f.request).Reason)
	}
	require.Empty(t, log.String(), "nobody called an observer that is nil")
	require.Equal(t, time.Second, policy.DefaultTimeout)
	block := make(chan struct{})
	defer close(block)
	d := policy.New(hanging(block, nil), policy.WithTimeout(0)).Decide(context.Background(), f.request)
	require.ErrorContains(t, d.Cause, "within 1s")

	// The clock is time.Now by itself.
	f.key.Expires = time.Now().Add(time.Hour)
	require.Equal(t, policy.OpenList, policy.New(f.source()).Decide(context.Background(), f.request).Reason)
	f.key.Expires = time.Now().Add(-time.Hour)
	require.Equal(t, policy.KeyExpired, policy.New(f.source()).Decide(context.Background(), f.request).Reason)
}

func TestLine3PanicsWhileDeciding(t *testing.T) {
	f := openFixture(t)
	observed := 0
	observer := policy.WithObserver(func(_ context.Context, d policy.Decision) {
		observed++
		requireDenied(t, d, policy.Unavailable)
	})
	d := f.decide(f.source(), observer, policy.WithClock(func() time.Time { panic("no clock") }))
	requireDenied(t, d, policy.Unavailable)
	require.ErrorContains(t, d.Cause, "panic while deciding: no clock")
	require.Equal(t, policy.Subject{}, d.Subject(), "nothing of a decision that was not finished")

	f.verifyBy(verifierFunc(func(apikey.Key, time.Time) error { panic("no verifier") }))
	d = f.decide(f.source(), observer)
	requireDenied(t, d, policy.Unavailable)
	require.ErrorContains(t, d.Cause, "no verifier")
	require.Equal(t, policy.Subject{}, d.Subject())
	require.Zero(t, d.Time())
	var typedNil verifierFunc
	f.verifyBy(typedNil)
	requireDenied(t, f.decide(f.source(), observer), policy.Unavailable)
	f.verifyBy(nil)
	requireDenied(t, f.decide(panicking{}, observer), policy.Unavailable)
	require.Equal(t, 4, observed)
}

// panicking is an ImmediateSource that panics in the goroutine of the caller.
type panicking struct{ policy.Source }

func (panicking) LookupNow(apikey.ID) (policy.Subject, bool, error) { panic("broken") }

func TestObserverSeesEveryDecisionWithoutTheProof(t *testing.T) {
	f := openFixture(t)
	f.verifyBy(policy.AlreadyVerified{})
	f.request.ClientFrom = policy.OriginPeer
	type key struct{}
	ctx := context.WithValue(context.Background(), key{}, "the caller's")
	var seen []policy.Decision
	calls := ""
	source := f.source()
	engine := policy.New(source, policy.WithClock(atNoon), policy.WithObserver(func(ctx context.Context, d policy.Decision) {
		require.Equal(t, "the caller's", ctx.Value(key{}))
		require.Equal(t, f.request.Key, d.KeyID())
		require.Equal(t, f.request.Client, d.Client())
		require.Equal(t, policy.OriginPeer, d.ClientFrom())
		require.Equal(t, policy.Resource{Organization: f.request.Organization}, d.Resource())
		require.Equal(t, *f.request.Endpoint, d.Endpoint())
		requireNoSecret(t, d, f.secret)
		seen = append(seen, d)
		calls += "1"
		d.Reason = policy.Unavailable // its own copy
	}), policy.WithObserver(func(_ context.Context, d policy.Decision) {
		require.Equal(t, seen[len(seen)-1], d)
		calls += "2"
	}))
	decisions := []policy.Decision{engine.Decide(ctx, f.request)}
	require.True(t, decisions[0].Allowed())
	f.request.Console = true
	decisions = append(decisions, engine.Decide(ctx, f.request))
	f.request.Console, source.err = false, errors.New("down")
	decisions = append(decisions, engine.Decide(ctx, f.request))
	require.Equal(t, decisions, seen)
	require.Equal(t, "121212", calls)
}

// captureLog sends slog's default log to a buffer until the test ends.
func captureLog(t *testing.T, handler func(*bytes.Buffer) slog.Handler) *bytes.Buffer {
	log, before := new(bytes.Buffer), slog.Default()
	slog.SetDefault(slog.New(handler(log)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return log
}

func TestObserverThatPanicsChangesNothing(t *testing.T) {
	f := openFixture(t)
	log := captureLog(t, func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) })
	others := 0
	options := []policy.Option{
		policy.WithObserver(func(context.Context, policy.Decision) { panic("the audit log is full") }),
		policy.WithObserver(func(context.Context, policy.Decision) { others++ }),
	}
	d := f.decide(f.source(), options...)
	require.Equal(t, policy.OpenList, d.Reason)
	require.Equal(t, 1, others, "the next observer is called all the same")
	require.Contains(t, log.String(), `"msg":"policy: an observer panicked; the decision stands"`)
	require.Contains(t, log.String(), `"panic":"the audit log is full","decision":{"allowed":true,"reason":"open_list"`)
	require.NotContains(t, log.String(), f.secret.Reveal())

	f.key.Disabled = true
	requireDenied(t, f.decide(f.source(), options...), policy.KeyDisabled)
	require.Equal(t, 2, others)
	//lint:ignore SA1012 a nil context is what is tried
	requireDenied(t, policy.New(f.source(), options...).Decide(nil, f.request), policy.Unavailable)
}

// The clock is read once where the time matters, and not where nothing asks for it.
func TestTheClockIsReadWhereTheTimeMatters(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(f *fixture)
		options []policy.Option
		reads   int
	}{
		"nothing asks": {func(*fixture) {}, nil, 0},
		"a list":       {func(f *fixture) { f.key.AccessList = list(t, "203.0.113.7") }, nil, 0},
		"a suspension": {func(f *fixture) {
			f.organization.Requirement, f.organization.SuspendedUntil = policy.Required, noon.Add(1)
		}, nil, 1},
		"an end on trial": {func(f *fixture) { f.key.TrialList, _ = accesslist.New(expired(t, "203.0.113.7", noon.Add(1))) }, nil, 1},
		"a trial":         {func(f *fixture) { f.key.TrialList = list(t, "203.0.113.7") }, nil, 0},
		"an expiry":       {func(f *fixture) { f.key.Expires = noon.Add(1) }, nil, 1},
		"a not-before":    {func(f *fixture) { f.key.NotBefore = noon }, nil, 1},
		"a secret":        {func(f *fixture) { f.request.Secret, f.request.Verifier = f.secret, nil }, nil, 1},
		"another proof":   {func(f *fixture) { f.verifyBy(verifierFunc(func(apikey.Key, time.Time) error { return nil })) }, nil, 1},
		"an observer":     {func(*fixture) {}, []policy.Option{policy.WithObserver(func(context.Context, policy.Decision) {})}, 1},
		"an entry's end":  {func(f *fixture) { f.key.AccessList, _ = accesslist.New(expired(t, "203.0.113.7", noon.Add(1))) }, nil, 1},
	} {
		f := openFixture(t)
		f.verifyBy(policy.AlreadyVerified{})
		test.change(f)
		reads := 0
		d := f.decide(f.source(), append(test.options, policy.WithClock(func() time.Time { reads++; return noon }))...)
		require.True(t, d.Allowed(), "%s: %v", name, d)
		require.Equal(t, test.reads, reads, name)
		require.Equal(t, test.reads == 1, d.Time().Equal(noon), name)
	}
}

// Rule M20: a suspension ends by the clock, whatever the proof and without an observer.
func TestM20ASuspensionEndsByTheClock(t *testing.T) {
	f := openFixture(t)
	f.organization.Requirement, f.organization.SuspendedUntil = policy.Required, noon
	for _, verifier := range []policy.Verifier{nil, policy.AlreadyVerified{}} {
		if verifier != nil {
			f.verifyBy(verifier)
		}
		now := noon.Add(-time.Hour)
		immediate, waiting := f.source(), f.source().waiting()
		clock := policy.WithClock(func() time.Time { return now })
		for at, want := range map[time.Time]policy.Reason{
			noon.Add(-time.Hour): policy.OpenList, noon.Add(-1): policy.OpenList, noon: policy.OrganizationRequiresAccessList,
			noon.Add(1): policy.OrganizationRequiresAccessList, noon.AddDate(100, 0, 0): policy.OrganizationRequiresAccessList,
		} {
			now = at
			for _, source := range []policy.Source{immediate, waiting} {
				d := f.decide(source, clock)
				require.Equal(t, want, d.Reason, "%v", at)
				require.Equal(t, want == policy.OpenList, d.WouldDeny == policy.OrganizationRequiresAccessList, "%v", at)
			}
		}
	}

	// No suspension is none for a clock that is far off, too.
	f.organization.SuspendedUntil = time.Time{}
	requireDenied(t, policy.Evaluate(f.subject(), f.request, time.Time{}.Add(-1)), policy.OrganizationRequiresAccessList)
}

// brokenLog is a slog.Handler that panics.
type brokenLog struct{ slog.Handler }

func (brokenLog) Enabled(context.Context, slog.Level) bool { panic("the log is broken too") }

func TestObserverThatPanicsWithALogThatPanics(t *testing.T) {
	f := openFixture(t)
	captureLog(t, func(b *bytes.Buffer) slog.Handler { return brokenLog{} })
	d := f.decide(f.source(), policy.WithObserver(func(context.Context, policy.Decision) { panic("first") }))
	require.Equal(t, policy.OpenList, d.Reason)
}

// An Engine is shared by all requests of a program.
func TestEngineConcurrently(t *testing.T) {
	f := openFixture(t)
	var subject atomic.Pointer[policy.Subject]
	set := func(requirement policy.Requirement) {
		f.organization.Requirement = requirement
		s := f.subject()
		subject.Store(&s)
	}
	set(policy.NotRequired)
	var observed atomic.Int64
	engine := policy.New(policy.SourceFunc(func(context.Context, apikey.ID) (policy.Subject, bool, error) { return *subject.Load(), true, nil }),
		policy.WithClock(atNoon), policy.WithTimeout(time.Minute),
		policy.WithObserver(func(context.Context, policy.Decision) { observed.Add(1) }))
	request := f.request
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 200 {
				d := engine.Decide(context.Background(), request)
				want := policy.OpenList
				if d.Subject().Organization().Requirement == policy.Required {
					want = policy.OrganizationRequiresAccessList
				}
				if d.Reason != want {
					t.Errorf("%v", d)
				}
			}
		})
	}
	for i := range 200 {
		set(policy.Requirement(i % 2 * 2))
		time.Sleep(10 * time.Microsecond)
	}
	group.Wait()
	require.EqualValues(t, 8*200, observed.Load())
}
