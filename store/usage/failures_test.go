package usage_test

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/faulty"
	"github.com/sallyport-go/sallyport/store/usage"
)

// What the store refuses waits and is added up. A round asks a store that fails three
// times and no more.
func TestAFailedBatchIsKept(t *testing.T) {
	s := newService(t, 1000)
	told := &failures{}
	r := usage.New(s.recorder, usage.WithInterval(time.Hour), usage.WithErrorHandler(told.handle))
	want := count{}
	s.Break(faulty.Fail(errBroken), faulty.RecordUsage)
	for n := range 3 {
		for key := range s.keys {
			made := s.call(key, n, begin.Add(time.Duration(n)*time.Second))
			made.observedBy(r)
			want.add(made)
		}
		err := r.Flush(t.Context())
		require.ErrorIs(t, err, errBroken)
		require.ErrorContains(t, err, "store/usage: writing ")
		require.Equal(t, 3*(n+1), s.Calls(faulty.RecordUsage))
		require.Len(t, told.all(), n+1)
	}
	s.Heal()
	require.NoError(t, r.Flush(t.Context()))
	requireSame(t, want, s.counted(t))

	// Batches are as large again as they may be.
	before := s.Calls(faulty.RecordUsage)
	for key := range s.keys {
		s.call(key, 0, begin).observedBy(r)
	}
	closeRecorder(t, r)
	assert.Equal(t, 10, s.Calls(faulty.RecordUsage)-before)
	assert.Zero(t, r.Lost())
}

// A record that the store refuses for ever does not keep others from being written.
func TestARefusedRecordHoldsUpNoOthers(t *testing.T) {
	s := newService(t, 500)
	refused := s.keys[77].ID
	r := usage.New(recorderFunc(func(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
		if _, ok := batch[refused]; ok {
			return errBroken
		}
		return s.stored.RecordUsage(ctx, batch)
	}), usage.WithInterval(time.Hour), usage.WithErrorHandler(func(error) {}))
	want := count{}
	for key := range s.keys {
		made := s.call(key, 2, begin)
		made.observedBy(r)
		want.add(made)
	}
	delete(want, refused)
	for round := 0; len(s.counted(t)) < len(want); round++ {
		require.Less(t, round, 200)
		require.ErrorIs(t, r.Flush(t.Context()), errBroken)
	}
	requireSame(t, want, s.counted(t))
	require.ErrorContains(t, r.Close(t.Context()), "1 calls that were not written are lost")
	assert.EqualValues(t, 1, r.Lost())
}

// A batch that takes too long is a batch that failed, and says why.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, 1)
		r := usage.New(s.recorder, usage.WithErrorHandler(func(error) {}))
		s.BreakNext(1, faulty.Hang(), faulty.RecordUsage)
		s.call(0, 0, begin).observedBy(r)
		start := time.Now()
		err := r.Flush(t.Context())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "store/usage: writing the usage of 1 keys: the store took longer than 5s")
		require.Equal(t, usage.DefaultTimeout, time.Since(start))
		closeRecorder(t, r)
		require.EqualValues(t, 1, s.counted(t).calls())
	})
}

// A store that hangs, and does not even heed its context, holds up neither Observe nor a
// decision, nor Flush and Close beyond their contexts.
func TestAHungStoreBlocksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, 300)
		r := usage.New(s.recorder)
		engine := policy.New(s.stored, policy.WithObserver(r.Observe))
		s.Break(faulty.HangDeaf(), faulty.RecordUsage)
		decide := func() {
			start := time.Now()
			for key := range s.keys {
				require.True(t, engine.Decide(t.Context(), s.request(key, 0)).Allowed())
			}
			require.Zero(t, time.Since(start))
		}
		decide()
		time.Sleep(usage.DefaultInterval)
		synctest.Wait()
		require.Equal(t, 1, s.Calls(faulty.RecordUsage), "it hangs")
		decide()
		require.Zero(t, r.Lost())

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, r.Flush(ctx), context.DeadlineExceeded)
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := r.Close(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "store/usage: closed before everything was written")
		lost := r.Lost()
		require.Greater(t, lost, uint64(300))
		decide()
		require.Equal(t, lost+300, r.Lost())

		s.Heal()
		require.NoError(t, r.Close(t.Context()))
		require.EqualValues(t, 900, r.Lost()+s.counted(t).calls(), "the batch that hung was recorded, the others were not")
	})
}

// No panic of a store or of the error handler gets out, and none ends the writing.
func TestPanics(t *testing.T) {
	var log bytes.Buffer
	previous := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(previous)

	s := newService(t, 1)
	r := usage.New(s.recorder, usage.WithErrorHandler(func(error) { panic("the handler's") }))
	s.BreakNext(1, faulty.Panic("the store's"), faulty.RecordUsage)
	s.call(0, 0, begin).observedBy(r)
	require.ErrorContains(t, r.Flush(t.Context()), "store/usage: writing the usage of 1 keys: the store panicked: the store's")
	closeRecorder(t, r)
	require.EqualValues(t, 1, s.counted(t).calls())
	assert.Contains(t, log.String(), `msg="store/usage: the error handler panicked" panic="the handler's"`)
}

func TestWithoutAnErrorHandlerFailuresAreLogged(t *testing.T) {
	var log bytes.Buffer
	previous := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(previous)

	s := newService(t, 1)
	r := usage.New(nil, usage.WithErrorHandler(nil), usage.WithInterval(0), usage.WithLimit(-1), usage.WithTimeout(-1), nil)
	s.call(0, 0, begin).observedBy(r)
	require.Error(t, r.Close(t.Context()))
	assert.Contains(t, log.String(), `level=ERROR msg="store/usage: the usage of keys was not written" error="store/usage: writing the usage of 1 keys: the store panicked`)
	assert.EqualValues(t, 1, r.Lost())
}

// A store that ends the goroutine that calls it ends the Recorder, which says so instead
// of waiting for ever.
func TestAStoreThatEndsTheGoroutine(t *testing.T) {
	s := newService(t, 300)
	r := usage.New(recorderFunc(func(context.Context, map[apikey.ID]store.KeyUsage) error {
		runtime.Goexit()
		return nil
	}), usage.WithInterval(time.Millisecond))
	s.call(0, 0, begin).observedBy(r)
	for r.Flush(t.Context()) == nil { // until the goroutine has ended
		s.call(0, 0, begin).observedBy(r)
	}
	require.ErrorContains(t, r.Flush(t.Context()), "store/usage: the store ended the goroutine that writes")
	lost := r.Lost()
	s.call(0, 0, begin).observedBy(r)
	require.Equal(t, lost+1, r.Lost())
	require.ErrorContains(t, r.Close(t.Context()), "store/usage: the store ended the goroutine that writes")
}
