package policy_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

type sourceFunc = policy.SourceFunc

// Who hangs up is answered at once, and the look-up goes on: to cancel it closes connections
// in common drivers.
func TestCallerWhoHangsUp(t *testing.T) {
	for name, test := range map[string]struct {
		end   func(t *testing.T) (context.Context, func())
		kind  policy.Kind
		cause error
	}{
		"hung up": {func(t *testing.T) (context.Context, func()) {
			ctx, cancel := context.WithCancelCause(t.Context())
			return ctx, func() { cancel(errClosed) }
		}, policy.CallerGone, errClosed},
		"out of time": {func(t *testing.T) (context.Context, func()) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			t.Cleanup(cancel)
			return ctx, func() { time.Sleep(time.Second) }
		}, policy.RequestExpired, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := openFixture(t)
				type key struct{}
				asked, answered := make(chan struct{}), make(chan error, 1)
				source := sourceFunc(func(ctx context.Context, _ apikey.ID) (policy.Subject, bool, error) {
					deadline, ok := ctx.Deadline()
					require.True(t, ok)
					require.Equal(t, time.Now().Add(time.Minute), deadline, "the engine's")
					require.Equal(t, "the request's", ctx.Value(key{}))
					require.NoError(t, policy.CallerContext(ctx).Err())
					close(asked)
					<-policy.CallerContext(ctx).Done()
					answered <- ctx.Err()
					<-ctx.Done()
					answered <- context.Cause(ctx)
					return f.subject(), true, nil
				})
				ctx, end := test.end(t)
				ctx = context.WithValue(ctx, key{}, "the request's")
				decided := make(chan policy.Decision, 1)
				began := time.Now()
				go func() {
					decided <- policy.New(source, policy.WithTimeout(time.Minute)).Decide(ctx, f.request)
				}()
				<-asked
				end()
				d := <-decided
				requireDenied(t, d, policy.Unavailable)
				require.Equal(t, test.kind, d.Kind())
				require.ErrorIs(t, d.Cause, test.cause)
				require.NotContains(t, d.Cause.Error(), "1m")
				require.NoError(t, <-answered, "the look-up goes on")
				require.ErrorContains(t, <-answered, "within 1m0s")
				require.Equal(t, time.Minute, time.Since(began))
			})
		})
	}
}

var errClosed = errors.New("the connection was closed")

// A failure of the source is one, whatever the error; and that of a source in time, too.
func TestSourceThatFailsIsNoCallerGone(t *testing.T) {
	f := openFixture(t)
	for _, err := range []error{context.Canceled, context.DeadlineExceeded, errClosed} {
		source := &memory{err: err}
		for _, d := range []policy.Decision{f.decide(source), f.decide(source.waiting())} {
			requireDenied(t, d, policy.Unavailable)
			require.ErrorIs(t, d.Cause, err)
			require.Zero(t, d.Kind())
		}
	}
	block := make(chan struct{})
	defer close(block)
	require.Zero(t, f.decide(hanging(block, nil), policy.WithTimeout(time.Millisecond)).Kind())
}

// Wherever the context ends: the guard's reading, before the look-up, and the Resolver.
func TestCallerGoneEverywhere(t *testing.T) {
	f := openFixture(t)
	ctx, cancel := context.WithCancel(context.Background())
	request := f.request
	request.Organization = ""
	request.Resolver = policy.ResolverFunc(func(context.Context) (policy.Resource, error) {
		cancel()
		return policy.Resource{}, errClosed
	})
	d := policy.New(f.source()).Decide(ctx, request)
	requireDenied(t, d, policy.Unavailable)
	require.Equal(t, policy.CallerGone, d.Kind())
	require.ErrorIs(t, d.Cause, errClosed)

	f.request.Err = policy.ErrUnavailable
	d = policy.New(f.source()).Decide(ctx, f.request)
	requireDenied(t, d, policy.Unavailable)
	require.Equal(t, policy.CallerGone, d.Kind())
	require.ErrorIs(t, d.Cause, policy.ErrUnavailable)

	f.request.Err = nil
	for _, source := range []policy.Source{f.source(), f.source().waiting(), nil} {
		d = policy.New(source).Decide(ctx, f.request)
		requireDenied(t, d, policy.Unavailable)
		require.Equal(t, policy.CallerGone, d.Kind())
		require.ErrorIs(t, d.Cause, context.Canceled)
	}
	f.request.Client = f.request.Client.Prev()
	f.request.Key = ""
	require.Zero(t, policy.New(f.source()).Decide(ctx, f.request).Kind(), "line 1 is line 1, with or without a caller")
}

// An answer that comes when the caller is gone is not taken, even if both are known in the
// same instant.
func TestAnswerForADoneContextIsNotTaken(t *testing.T) {
	f := openFixture(t)
	subject := f.subject()
	for range 1000 {
		ctx, cancel := context.WithCancel(context.Background())
		source := sourceFunc(func(context.Context, apikey.ID) (policy.Subject, bool, error) {
			cancel()
			return subject, true, nil
		})
		d := policy.New(source, policy.WithTimeout(time.Minute)).Decide(ctx, f.request)
		require.Equal(t, policy.Unavailable, d.Reason)
		require.Equal(t, policy.CallerGone, d.Kind())
	}
}

// Nor is one that comes after the engine's timeout, however narrowly.
func TestAnswerAfterTheTimeoutIsNotTaken(t *testing.T) {
	for range 1000 {
		synctest.Test(t, func(t *testing.T) {
			f := openFixture(t)
			subject := f.subject()
			decide := func(after time.Duration) policy.Decision {
				source := sourceFunc(func(context.Context, apikey.ID) (policy.Subject, bool, error) {
					time.Sleep(after)
					return subject, true, nil
				})
				return policy.New(source, policy.WithTimeout(time.Second)).Decide(t.Context(), f.request)
			}
			d := decide(time.Second)
			require.Equal(t, policy.Unavailable, d.Reason)
			require.ErrorIs(t, d.Cause, context.DeadlineExceeded)
			require.ErrorContains(t, d.Cause, "the source did not answer within 1s")
			require.Equal(t, policy.OpenList, decide(time.Second-1).Reason)
		})
	}
}

// The source sees no more than so many look-ups at once. Others wait for their turn, and who
// hangs up meanwhile leaves the queue: its look-up is never made.
func TestAbandonedLookupsKeepNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFixture(t)
		release := make(chan struct{})
		asked := 0
		source := sourceFunc(func(context.Context, apikey.ID) (policy.Subject, bool, error) {
			asked++
			<-release
			return f.subject(), true, nil
		})
		engine := policy.New(source, policy.WithMaxLookups(1), policy.WithTimeout(time.Minute))
		decide := func(ctx context.Context) chan policy.Decision {
			decided := make(chan policy.Decision, 1)
			go func() { decided <- engine.Decide(ctx, f.request) }()
			synctest.Wait()
			return decided
		}
		first := decide(t.Context())
		ctx, cancel := context.WithCancel(t.Context())
		var strangers []chan policy.Decision
		for range 100 {
			strangers = append(strangers, decide(ctx))
		}
		honest := decide(t.Context())
		cancel()
		for _, stranger := range strangers {
			require.Equal(t, policy.CallerGone, (<-stranger).Kind())
		}
		require.Equal(t, 1, asked)
		release <- struct{}{}
		require.Equal(t, policy.OpenList, (<-first).Reason)
		synctest.Wait()
		require.Equal(t, 2, asked, "the honest one is next")
		release <- struct{}{}
		require.Equal(t, policy.OpenList, (<-honest).Reason)
	})
}

// CallerContext of a context that no engine made is that context.
func TestCallerContextOfAnother(t *testing.T) {
	require.Equal(t, t.Context(), policy.CallerContext(t.Context()))
}

// An Engine that New did not make has no source, and says so.
func TestLine3ZeroEngineSaysWhatItLacks(t *testing.T) {
	f := openFixture(t)
	var none *policy.Engine
	for _, id := range []apikey.ID{f.request.Key, "not an ID", ""} {
		f.request.Key, f.request.Err = id, policy.ErrInvalidCredentials
		for _, engine := range []*policy.Engine{new(policy.Engine), none, policy.New(nil)} {
			d := engine.Decide(context.Background(), f.request)
			requireDenied(t, d, policy.Unavailable)
			require.EqualError(t, d.Cause, "policy: the engine has no source: want New with a source")
		}
	}
}
