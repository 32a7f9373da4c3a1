package usage_test

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/faulty"
	"github.com/sallyport-go/sallyport/store/usage"
)

var errBroken = errors.New("broken on demand")

// Rules A11 and K4: an engine's served calls are counted by entry, secret and address, denied
// ones by reason alone.
func TestA11CallsOfAnEngineAreCounted(t *testing.T) {
	s := newService(t, 3)
	now := begin
	r := usage.New(s.recorder, usage.WithInterval(time.Hour))
	want := count{}
	engine := policy.New(s.stored, policy.WithClock(func() time.Time { return now }), policy.WithObserver(r.Observe))
	served, denied := 0, 0
	for n := range 200 {
		now = now.Add(time.Second)
		key := n % len(s.keys)
		if engine.Decide(t.Context(), s.request(key, n)).Allowed() {
			served++
		} else {
			denied++
		}
		want.add(s.call(key, n, now))
	}
	require.NotZero(t, served)
	require.NotZero(t, denied)
	require.Empty(t, s.counted(t), "nothing is written on the path of a decision")
	closeRecorder(t, r)
	requireSame(t, want, s.counted(t))
	assert.Zero(t, r.Lost())
	assert.Equal(t, 1, s.Calls(faulty.RecordUsage), "calls are added up before they are written")
}

// Random traffic, while the store fails in every way in which it tells that nothing was
// recorded: in the end its counts are those of a plain map.
func TestModel(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			model(t, rand.New(rand.NewPCG(seed, 1)), func(random *rand.Rand) faulty.Fault {
				return []faulty.Fault{
					faulty.Fail(errBroken), faulty.Hang(), faulty.Slow(3 * time.Second), faulty.Slow(7 * time.Second), faulty.Panic("out of order"),
				}[random.IntN(5)]
			}, func(t *testing.T, want, got count) { requireSame(t, want, got) })
		})
	}
}

// If the outcome of a batch is not known it is written again: nothing is missing, and
// the last calls are right.
func TestModelWithLostReplies(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			model(t, rand.New(rand.NewPCG(seed, 2)), func(*rand.Rand) faulty.Fault {
				return faulty.LoseReply(errBroken)
			}, func(t *testing.T, want, got count) {
				for id := range want {
					for entry, known := range want[id].Entries {
						stored := got[id].Entries[entry]
						assert.GreaterOrEqual(t, stored.Count, known.Count)
						stored.Count = known.Count
						assert.Equal(t, known, stored)
					}
					for secret, known := range want[id].Secrets {
						stored := got[id].Secrets[secret]
						assert.GreaterOrEqual(t, stored.Count, known.Count)
						stored.Count = known.Count
						assert.Equal(t, known, stored)
					}
				}
				assert.Len(t, got, len(want))
			})
		})
	}
}

func model(t *testing.T, random *rand.Rand, fault func(*rand.Rand) faulty.Fault, check func(t *testing.T, want, got count)) {
	s := newService(t, 250)
	told := &failures{}
	r := usage.New(s.recorder, usage.WithErrorHandler(told.handle))
	want := count{}
	moments := random.Perm(3000) // calls of all times, in no order
	for len(moments) > 0 {
		n := min(random.IntN(300), len(moments))
		for _, moment := range moments[:n] {
			// Some keys are used often, most seldom.
			made := s.call(int(float64(len(s.keys))*random.Float64()*random.Float64()), random.IntN(100), begin.Add(time.Duration(moment)*time.Millisecond))
			made.observedBy(r)
			want.add(made)
		}
		moments = moments[n:]
		switch random.IntN(4) {
		case 0:
			s.BreakNext(1+random.IntN(5), fault(random), faulty.RecordUsage)
		case 1:
			s.Heal()
		case 2:
			if err := r.Flush(t.Context()); err == nil && random.IntN(2) == 0 {
				check(t, want, s.counted(t))
			}
		}
		time.Sleep(time.Duration(random.IntN(20)) * time.Second)
	}
	s.Heal()
	require.NoError(t, r.Flush(t.Context()))
	check(t, want, s.counted(t))
	require.NoError(t, r.Close(t.Context()))
	check(t, want, s.counted(t))
	require.Zero(t, r.Lost())
	require.NotEmpty(t, told.all(), "a model whose store never failed proves little")
}

// recorderFunc is a store.UsageRecorder that only records.
type recorderFunc func(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error

func (f recorderFunc) RecordUsage(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
	return f(ctx, batch)
}

func (recorderFunc) Usage(context.Context, ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
	return nil, errors.New("nobody asks")
}

func (recorderFunc) RecordObservation(context.Context, store.Report) error { return nil }

func (recorderFunc) Observation(context.Context) (store.Observation, error) {
	return store.Observation{}, errors.New("nobody asks")
}

// Rounds come at most the interval apart and not regularly; after failures the pauses
// double up to about a minute, and are as before once the store works.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, 1)
		var rounds []time.Time
		var failing atomic.Bool
		r := usage.New(recorderFunc(func(ctx context.Context, _ map[apikey.ID]store.KeyUsage) error {
			rounds = append(rounds, time.Now())
			deadline, ok := ctx.Deadline()
			assert.True(t, ok)
			assert.Equal(t, 7*time.Second, time.Until(deadline))
			if failing.Load() {
				return errBroken
			}
			return nil
		}), usage.WithTimeout(7*time.Second), usage.WithErrorHandler(func(error) {}))
		defer closeRecorder(t, r)
		// pauses returns those between the next rounds.
		pauses := func(n int) []time.Duration {
			rounds = []time.Time{time.Now()}
			for len(rounds) <= n {
				s.call(0, 2, begin).observedBy(r)
				time.Sleep(time.Second / 4)
				synctest.Wait()
			}
			var all []time.Duration
			for i, at := range rounds[1:] {
				all = append(all, at.Sub(rounds[i]))
			}
			return all
		}
		different := map[time.Duration]bool{}
		for i, pause := range pauses(50) {
			different[pause] = true
			assert.LessOrEqual(t, pause, usage.DefaultInterval)
			if i > 0 {
				assert.GreaterOrEqual(t, pause, usage.DefaultInterval/2)
			}
		}
		assert.Greater(t, len(different), 40)

		failing.Store(true)
		longest := usage.DefaultInterval
		for i, pause := range pauses(8) {
			assert.LessOrEqual(t, pause, longest)
			if i > 0 {
				assert.GreaterOrEqual(t, pause, longest/2)
			}
			longest = min(2*longest, 40*time.Second)
		}
		failing.Store(false)
		pauses(1)
		for _, pause := range pauses(5)[1:] {
			assert.LessOrEqual(t, pause, usage.DefaultInterval)
		}
	})
}

// A batch has the records of at most store.MaxUsageKeys keys (U7), and there are no more
// batches than that asks for.
func TestBatches(t *testing.T) {
	s := newService(t, 1050)
	batches := 0
	r := usage.New(recorderFunc(func(_ context.Context, batch map[apikey.ID]store.KeyUsage) error {
		assert.NoError(t, adapter.CheckUsageBatch(batch))
		batches++
		return s.stored.RecordUsage(t.Context(), batch)
	}), usage.WithInterval(time.Hour))
	want := count{}
	for key := range s.keys {
		for n := range 15 {
			made := s.call(key, n, begin.Add(time.Duration(n)*time.Second))
			made.observedBy(r)
			want.add(made)
		}
	}
	closeRecorder(t, r)
	requireSame(t, want, s.counted(t))
	assert.Equal(t, 11, batches)
}

// A call of an open list with another proof is counted on its address alone.
func TestACallWithoutEntryAndSecret(t *testing.T) {
	s := newService(t, 1)
	r := usage.New(s.recorder)
	none := s.call(0, 2*len(clients), begin)
	require.True(t, none.decision.Allowed())
	none.observedBy(r)
	closeRecorder(t, r)
	client := none.decision.Client()
	requireSame(t, count{s.keys[0].ID: {Addresses: map[netip.Addr]store.AddressUsage{client: {Count: 1, First: begin, Last: begin}}}}, s.counted(t))
}

// However many keys are used, no more records are kept than were allowed. What does not
// fit is counted as lost, and told once; when there is room again calls are counted
// again.
func TestBound(t *testing.T) {
	const limit = 500
	s := &service{stored: memory.New()}
	_, err := s.stored.PutOrganization(t.Context(), policy.Organization{ID: "acme"})
	require.NoError(t, err)
	for n := range 10 * limit {
		key, err := s.stored.PutKey(t.Context(), plainKey(n), store.AllowOpen)
		require.NoError(t, err)
		s.keys = append(s.keys, key)
	}
	var broken atomic.Bool
	told := &failures{}
	largest := 0
	r := usage.New(recorderFunc(func(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
		if broken.Load() {
			return errBroken
		}
		largest += len(batch)
		return s.stored.RecordUsage(ctx, batch)
	}), usage.WithLimit(limit), usage.WithInterval(time.Hour), usage.WithErrorHandler(told.handle))
	entry := policy.Request{Client: clients[0], Verifier: policy.AlreadyVerified{}, Organization: "acme"}
	calls := func(from, to int) {
		for n := from; n < to; n++ {
			key := s.keys[n]
			key.AccessList, err = accesslist.Parse("10.0.0.0/8")
			require.NoError(t, err)
			request := entry
			request.Key = key.ID
			decision := policy.Evaluate(policy.NewSubject(&key, &policy.Organization{ID: "acme"}), request, begin)
			r.Observe(t.Context(), decision)
		}
	}

	calls(0, 10*limit)
	require.EqualValues(t, 9*limit, r.Lost())
	calls(0, limit) // these are there and need no room
	require.EqualValues(t, 9*limit, r.Lost())

	broken.Store(true)
	require.Error(t, r.Flush(t.Context()))
	require.Error(t, r.Flush(t.Context()))
	calls(limit, limit+1)
	require.EqualValues(t, 9*limit+1, r.Lost(), "what failed has the room")
	require.Len(t, told.all(), 2)
	require.ErrorContains(t, told.all()[0], "4500 calls were not counted, since there is room for 500 records: raise it with WithLimit, or write more often")
	require.NotContains(t, told.all()[1].Error(), "not counted", "it was told")

	broken.Store(false)
	require.NoError(t, r.Flush(t.Context()))
	require.ErrorContains(t, told.all()[2], "1 calls were not counted")
	require.Equal(t, limit, largest)
	for round := range 9 {
		calls((round+1)*limit, (round+2)*limit)
		require.NoError(t, r.Flush(t.Context()))
	}
	require.EqualValues(t, 9*limit+1, r.Lost())
	require.Equal(t, 10*limit, largest)
	closeRecorder(t, r)
	for n, key := range s.keys {
		known, err := s.stored.Usage(t.Context(), key.ID)
		require.NoError(t, err)
		want := uint64(1)
		if n < limit {
			want = 2
		}
		require.Equal(t, want, known[key.ID].Entries[netip.MustParsePrefix("10.0.0.0/8")].Count, key.ID)
	}
}

// The ID in a request may be a piece of all that the client sent, with its secret. None of
// that is kept.
func TestARequestIsNotKept(t *testing.T) {
	s := newService(t, 1)
	batch := map[apikey.ID]store.KeyUsage{}
	r := usage.New(recorderFunc(func(_ context.Context, b map[apikey.ID]store.KeyUsage) error {
		maps.Copy(batch, b)
		return nil
	}))
	sent := func() weak.Pointer[[1000]byte] {
		made, text := s.call(0, 0, begin), new([1000]byte)
		id := text[:copy(text[:], made.request.Key)]
		made.request.Key = apikey.ID(unsafe.String(&id[0], len(id)))
		made.observedBy(r)
		return weak.Make(text)
	}()
	runtime.GC()
	require.True(t, sent.Value() == nil, "what was sent is still there")
	closeRecorder(t, r)
	require.Len(t, batch, 1)
	require.Contains(t, batch, s.keys[0].ID)
}

// Many callers at once, while rounds of writing come and go: no call is lost or counted
// twice.
func TestManyAtOnce(t *testing.T) {
	s := newService(t, 300)
	r := usage.New(s.recorder, usage.WithInterval(time.Millisecond), usage.WithLimit(400), usage.WithErrorHandler(func(error) {}))
	const callers, each = 16, 2000
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(caller), 3))
			for n := range each {
				s.call(random.IntN(len(s.keys)), 0, begin.Add(time.Duration(n))).observedBy(r)
				if n%100 == 0 {
					s.BreakNext(1, faulty.Fail(errBroken), faulty.RecordUsage)
				}
			}
		})
	}
	stop, flushed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(flushed)
		for {
			select {
			case <-stop:
				return
			default:
				_ = r.Flush(context.Background())
			}
		}
	}()
	group.Wait()
	close(stop)
	<-flushed
	s.Heal()
	closeRecorder(t, r)
	require.EqualValues(t, callers*each, s.counted(t).calls()+r.Lost())
	require.Zero(t, r.Lost(), "there was room for all")
}
