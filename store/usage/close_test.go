package usage_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/storetest/faulty"
	"github.com/sallyport-go/sallyport/store/usage"
)

// What a hung batch had is lost as well, if it fails in the end.
func TestCloseEndsWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, 300)
		told := &failures{}
		r := usage.New(s.recorder, usage.WithErrorHandler(told.handle))
		s.Break(faulty.Hang(), faulty.RecordUsage)
		for key := range s.keys {
			s.call(key, 0, begin).observedBy(r)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, r.Close(ctx), context.DeadlineExceeded)
		require.ErrorIs(t, r.Close(t.Context()), context.Canceled)
		require.ErrorIs(t, r.Flush(t.Context()), context.Canceled)
		require.EqualValues(t, 300, r.Lost())
		require.Len(t, told.all(), 1)
		require.Equal(t, 1, s.Calls(faulty.RecordUsage), "after the context has ended no batch is begun")
	})
}

func TestFlushWaitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, 1)
		r := usage.New(s.recorder)
		s.BreakNext(1, faulty.Slow(3*time.Second), faulty.RecordUsage)
		s.call(0, 0, begin).observedBy(r)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := r.Flush(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "store/usage: while writing: ")
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorContains(t, r.Flush(ctx), "store/usage: waiting to write: ")
		require.NoError(t, r.Flush(t.Context()), "the writing went on")
		require.EqualValues(t, 1, s.counted(t).calls())
		closeRecorder(t, r)
	})
}

func TestClose(t *testing.T) {
	s := newService(t, 1)
	told := &failures{}
	r := usage.New(s.recorder, usage.WithErrorHandler(told.handle))
	s.call(0, 0, begin).observedBy(r)
	closeRecorder(t, r)
	require.EqualValues(t, 1, s.counted(t).calls())
	s.call(0, 0, begin).observedBy(r)
	require.EqualValues(t, 1, r.Lost())
	done, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, r.Close(done), "it was closed")
	require.NoError(t, r.Flush(t.Context()))
	require.NoError(t, s.Close(), "the store is the caller's to close")
	requireNone(t, told)
}

func TestCloseTellsWhatIsLost(t *testing.T) {
	s := newService(t, 250)
	told := &failures{}
	r := usage.New(s.recorder, usage.WithErrorHandler(told.handle))
	s.Break(faulty.Fail(errBroken), faulty.RecordUsage)
	for key := range s.keys {
		s.call(key, 0, begin).observedBy(r)
		s.call(key, 0, begin).observedBy(r)
	}
	err := r.Close(t.Context())
	require.ErrorIs(t, err, errBroken)
	require.ErrorContains(t, err, "500 calls that were not written are lost")
	require.EqualValues(t, 500, r.Lost())
	require.Equal(t, err, r.Close(t.Context()))
	require.Equal(t, err, r.Flush(t.Context()))
	require.Len(t, told.all(), 1)
}

// Calls while Close is under way are in the store or lost.
func TestCallsWhileClosing(t *testing.T) {
	for range 20 {
		s := newService(t, 50)
		r := usage.New(s.recorder)
		const callers, each = 4, 200
		var group sync.WaitGroup
		started := make(chan struct{}, callers)
		for range callers {
			group.Go(func() {
				for n := range each {
					s.call(n%len(s.keys), 0, begin).observedBy(r)
					if n == 20 {
						started <- struct{}{}
					}
				}
			})
		}
		for range callers {
			<-started
		}
		closeRecorder(t, r)
		group.Wait()
		require.EqualValues(t, callers*each, s.counted(t).calls()+r.Lost())
	}
}
