package lookup_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy/internal/lookup"
)

type asking = func(context.Context) (string, error)

func do(ctx context.Context, g *lookup.Gate, ask asking) (string, error) {
	return lookup.Do(ctx, g, ask)
}

func TestAnswers(t *testing.T) {
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		ask    asking
		result string
		err    string
	}{
		"an answer":  {ask: func(context.Context) (string, error) { return "found", nil }, result: "found"},
		"an error":   {ask: func(context.Context) (string, error) { return "found", broken }, err: "broken"},
		"a panic":    {ask: func(context.Context) (string, error) { panic("no connection") }, err: "the source panicked: no connection"},
		"no answer":  {ask: func(context.Context) (string, error) { runtime.Goexit(); return "", nil }, err: "the source ended its goroutine without an answer"},
		"in time":    {ask: func(context.Context) (string, error) { time.Sleep(time.Second - 1); return "found", nil }, result: "found"},
		"at the end": {ask: func(context.Context) (string, error) { time.Sleep(time.Second); return "found", nil }, err: "the source did not answer within 1s: context deadline exceeded"},
		"never":      {ask: func(context.Context) (string, error) { time.Sleep(time.Hour); return "found", nil }, err: "the source did not answer within 1s: context deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				result, err := do(t.Context(), lookup.NewGate("the source", 1, time.Second), test.ask)
				require.Equal(t, test.result, result)
				if test.err == "" {
					require.NoError(t, err)
				} else {
					require.EqualError(t, err, test.err)
				}
				time.Sleep(2 * time.Hour) // to its end
			})
		})
	}
}

// The look-up's context has a deadline and the caller's values, and the caller's end does not
// end it.
func TestContextOfALookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "a value"))
		g := lookup.NewGate("the source", 1, time.Second)
		hungUp := errors.New("hung up")
		began := time.Now()
		_, err := do(ctx, g, func(ctx context.Context) (string, error) {
			defer func() { began = time.Time{} }()
			require.Equal(t, "a value", ctx.Value(key{}))
			caller := lookup.Caller(ctx)
			require.NoError(t, caller.Err())
			cancel(hungUp)
			<-caller.Done()
			require.NoError(t, ctx.Err())
			<-ctx.Done()
			require.ErrorContains(t, context.Cause(ctx), "the source did not answer within 1s")
			require.Equal(t, began.Add(time.Second), time.Now())
			return "too late", nil
		})
		require.ErrorIs(t, err, lookup.ErrCallerGone)
		require.ErrorIs(t, err, hungUp)
		require.EqualError(t, err, "the source was not waited for: the caller was gone: hung up")
		require.Equal(t, time.Now(), began, "it was not waited for")
		_, err = do(ctx, g, nil)
		require.ErrorIs(t, err, lookup.ErrCallerGone, "and is still under way")
		time.Sleep(time.Second)
		synctest.Wait()
		require.Zero(t, began, "it went on to its end")

		// A look-up that was answered ends its caller's context, too: nobody waits any more.
		var caller context.Context
		_, err = do(t.Context(), g, func(ctx context.Context) (string, error) { caller = lookup.Caller(ctx); return "", nil })
		require.NoError(t, err)
		require.Error(t, caller.Err())
		require.Equal(t, t.Context(), lookup.Caller(t.Context()), "of any other context it is the same")
	})
}

// goneContext is cancelled and has not said so yet.
type goneContext struct {
	context.Context
	gone atomic.Bool
}

func (c *goneContext) Err() error {
	if c.gone.Load() {
		return context.Canceled
	}
	return nil
}

// An answer and the caller's end in the same instant are the end.
func TestAnswerWhenTheCallerIsGone(t *testing.T) {
	g := lookup.NewGate("the source", 1, time.Hour)
	for range 1000 {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := do(ctx, g, func(context.Context) (string, error) { cancel(); return "found", nil })
		require.ErrorIs(t, err, lookup.ErrCallerGone)
	}
	ctx := &goneContext{Context: context.Background()}
	_, err := do(ctx, g, func(context.Context) (string, error) { ctx.gone.Store(true); return "found", nil })
	require.ErrorIs(t, err, lookup.ErrCallerGone)
}

func TestExpiredRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := do(ctx, lookup.NewGate("the source", 1, time.Minute), func(ctx context.Context) (string, error) {
			time.Sleep(2 * time.Second)
			return "", nil
		})
		require.ErrorIs(t, err, lookup.ErrRequestExpired)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, lookup.ErrCallerGone)
		require.ErrorIs(t, lookup.Ended(ctx), lookup.ErrRequestExpired)
		require.NoError(t, lookup.Ended(t.Context()))
		time.Sleep(2 * time.Second)
	})
}

// No more than n look-ups are under way. The others wait in order, no longer than the timeout,
// and a bounded number of them.
func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, waiting = 3, 4096
		g := lookup.NewGate("the source", n, time.Second)
		var asked atomic.Int64
		hang := func(context.Context) (string, error) {
			asked.Add(1)
			time.Sleep(3 * time.Second)
			return "", nil
		}
		late := make(chan error, n+waiting)
		for range n + waiting {
			go func() {
				_, err := do(t.Context(), g, hang)
				late <- err
			}()
		}
		synctest.Wait()
		for range waiting + 1 { // to be refused does not count
			_, err := do(t.Context(), g, hang)
			require.EqualError(t, err, "the source has 3 look-ups under way, and 4096 wait: want a source that answers")
		}
		unasked := 0 // the operator sees which of the two it was
		for range n + waiting {
			err := <-late
			require.ErrorIs(t, err, context.DeadlineExceeded)
			if err.Error() == "the source did not answer within 1s: context deadline exceeded" {
				continue
			}
			require.EqualError(t, err, "the source was not asked within 1s, with 3 look-ups under way: want quicker answers, or more look-ups at once: context deadline exceeded")
			unasked++
		}
		require.Equal(t, waiting, unasked)
		require.EqualValues(t, n, asked.Load())
		time.Sleep(2 * time.Second)
		result, err := do(t.Context(), g, func(context.Context) (string, error) { return "found", nil })
		require.NoError(t, err)
		require.Equal(t, "found", result)

		for range n {
			go func() {
				_, _ = do(t.Context(), g, func(context.Context) (string, error) { time.Sleep(time.Second / 2); return "", nil })
			}()
		}
		synctest.Wait()
		began := time.Now()
		_, err = do(t.Context(), g, func(context.Context) (string, error) { return "", nil })
		require.NoError(t, err)
		require.Equal(t, time.Second/2, time.Since(began), "it waited for a place")
	})
}
