package usage_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/storetest/faulty"
	"github.com/sallyport-go/sallyport/store/usage"
)

// from is a request of the key from the n-th of many addresses.
func (s *service) from(key, n int) policy.Request {
	r := s.request(key, 0)
	var client [16]byte
	binary.BigEndian.PutUint32(client[:], 0x20010db8)
	binary.BigEndian.PutUint64(client[8:], uint64(n))
	r.Client = netip.AddrFrom16(client)
	return r
}

// Callers without the secret of a key write nothing and take no memory: calls that lines 1 to
// 5 deny, with IDs of keys, with random ones, and with none.
func TestStrangersLeaveNoTrace(t *testing.T) {
	s := newService(t, 4)
	r := usage.New(s.recorder, usage.WithInterval(time.Hour), usage.WithLimit(8))
	engine := policy.New(s.stored, policy.WithObserver(r.Observe))
	reasons := map[policy.Reason]int{}
	decide := func(request policy.Request) {
		decision := engine.Decide(t.Context(), request)
		require.False(t, decision.Allowed())
		reasons[decision.Reason]++
	}
	flood := func(n int) {
		for i := range n {
			wrong := s.from(i%4, i)
			wrong.Secret = s.secrets[(i+1)%4]
			decide(wrong)
			unknown := s.from(0, i)
			unknown.Key = apikey.NewID()
			decide(unknown)
			console := s.from(i%4, i)
			console.Console = true
			decide(console)
			nobody := s.from(i%4, i)
			nobody.Client = netip.Addr{}
			decide(nobody)
			cancelled, cancel := context.WithCancel(t.Context())
			cancel()
			reasons[engine.Decide(cancelled, policy.Request{}).Reason]++
		}
	}
	flood(100)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	flood(5000)
	runtime.GC()
	runtime.ReadMemStats(&after)
	assert.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(128<<10))
	for reason := policy.InvalidRequest; reason <= policy.WrongSecret; reason++ {
		assert.True(t, reason == policy.Unavailable || reasons[reason] > 1000, "%v", reason)
	}
	require.NoError(t, r.Flush(t.Context()))
	assert.Zero(t, s.Calls(faulty.RecordUsage))
	assert.Empty(t, s.counted(t))

	// And they take no room from others.
	require.True(t, engine.Decide(t.Context(), s.request(1, 0)).Allowed())
	closeRecorder(t, r)
	assert.Zero(t, r.Lost())
	assert.EqualValues(t, 1, s.counted(t).calls())
}

// Lines 6 to 14 are counted, each by its reason, and on nothing else (A11).
func TestDenialsAfterTheProof(t *testing.T) {
	s := newService(t, 2) // the first has no list
	key, organization := s.keys[1], policy.Organization{ID: "acme"}
	r := usage.New(s.recorder)
	want := map[policy.Reason]accesslist.Usage{}
	for reason := policy.InvalidRequest; reason <= policy.RoleMissing; reason++ {
		of, in, request := key, organization, s.request(1, 0)
		switch reason {
		case policy.InvalidRequest:
			request.Organization = ""
		case policy.ConsoleForbidden:
			request.Console = true
		case policy.Unavailable:
			continue // no decision on records
		case policy.UnknownKey:
			of.ID = "other"
		case policy.WrongSecret:
			request.Secret = s.secrets[0]
		case policy.KeyDisabled:
			of.Disabled = true
		case policy.KeyNotYetValid:
			of.NotBefore = begin.Add(time.Hour)
		case policy.KeyExpired:
			of.Expires = begin
		case policy.AddressNotListed:
			request.Client = netip.MustParseAddr("203.0.113.1")
		case policy.OrganizationRequiresAccessList:
			of.AccessList, in.Requirement = accesslist.List{}, policy.Required
		case policy.EndpointRequiresAccessList:
			of.AccessList, request.Endpoint = accesslist.List{}, &policy.Endpoint{RequiresAccessList: true}
		case policy.WrongOrganization:
			request.Organization = "other"
		case policy.ProjectNotGranted:
			request.Project = "project"
		case policy.RoleMissing:
			request.Endpoint = &policy.Endpoint{Roles: []string{"owner"}}
		}
		decision := policy.Evaluate(policy.NewSubject(&of, &in), request, begin)
		if reason != policy.UnknownKey { // which is the engine's
			require.Equal(t, reason, decision.Reason)
		}
		r.Observe(t.Context(), decision)
		r.Observe(t.Context(), decision)
		if reason.AfterProof() {
			want[reason] = accesslist.Usage{Count: 2, Last: begin, LastAddress: request.Client}
		}
	}
	closeRecorder(t, r)
	requireSame(t, count{key.ID: {Denials: want}}, s.counted(t))
}

// Rule Q2: what a switch would deny is counted, and the call is served all the same.
func TestQ2WouldBeDenials(t *testing.T) {
	s := newService(t, 1)
	r := usage.New(s.recorder)
	organization := policy.Organization{ID: "acme", Requirement: policy.ReportOnly}
	request := s.request(0, 0)
	decision := policy.Evaluate(policy.NewSubject(&s.keys[0], &organization), request, begin)
	require.True(t, decision.Allowed())
	require.Equal(t, policy.OrganizationRequiresAccessList, decision.WouldDeny)
	r.Observe(t.Context(), decision)
	closeRecorder(t, r)
	one := accesslist.Usage{Count: 1, Last: begin, LastAddress: request.Client}
	requireSame(t, count{s.keys[0].ID: {
		Secrets:   map[string]accesslist.Usage{s.keys[0].Secrets[0].ID(): one},
		Addresses: map[netip.Addr]store.AddressUsage{request.Client: {Count: 1, First: begin, Last: begin}},
		WouldDeny: map[policy.Reason]accesslist.Usage{policy.OrganizationRequiresAccessList: one},
	}}, s.counted(t))
}

// A caller with a secret and addresses without end takes no more memory than allowed, and no
// room from other keys. All its calls are counted, and the addresses kept are the last ones,
// however rounds of writing fall.
func TestAKeyOfManyAddresses(t *testing.T) {
	const addresses = 1000
	for _, rounds := range []int{1, 7} {
		t.Run(fmt.Sprint(rounds), func(t *testing.T) {
			s := newService(t, 8)
			r := usage.New(s.recorder, usage.WithInterval(time.Hour), usage.WithLimit(600))
			organization := policy.Organization{ID: "acme"}
			for n := range addresses {
				decision := policy.Evaluate(policy.NewSubject(&s.keys[0], &organization), s.from(0, n), begin.Add(time.Duration(n)*time.Second))
				require.True(t, decision.Allowed())
				r.Observe(t.Context(), decision)
				if n%10 == 0 { // the one in use all the time
					made := s.call(0, 0, begin.Add(time.Duration(n)*time.Second))
					made.observedBy(r)
				}
				if n%(addresses/rounds) == 0 {
					require.NoError(t, r.Flush(t.Context()))
				}
			}
			for key := range s.keys[1:] {
				s.call(key+1, 0, begin).observedBy(r)
			}
			closeRecorder(t, r)
			require.Zero(t, r.Lost())
			counted := s.counted(t)
			assert.EqualValues(t, addresses+addresses/10+len(s.keys)-1, counted.calls())
			used := counted[s.keys[0].ID]
			assert.Len(t, used.Addresses, store.MaxUsageAddresses)
			regular := used.Addresses[s.request(0, 0).Client]
			assert.Equal(t, store.AddressUsage{Count: 100, First: begin, Last: begin.Add(990 * time.Second)}, regular)
			for n := addresses - store.MaxUsageAddresses + 1; n < addresses; n++ {
				assert.EqualValues(t, 1, used.Addresses[s.from(0, n).Client].Count, n)
			}
			assert.Equal(t, begin.Add((addresses-store.MaxUsageAddresses)*time.Second), used.Dropped.Last)
		})
	}
}

// Where there is no room for what leaves its place, the newer call is lost and counted as
// that.
func TestNoRoomForManyAddresses(t *testing.T) {
	s := newService(t, 1)
	r := usage.New(s.recorder, usage.WithInterval(time.Hour), usage.WithLimit(store.MaxUsageAddresses+1), usage.WithErrorHandler(func(error) {}))
	organization := policy.Organization{ID: "acme"}
	observe := func(n int) {
		r.Observe(t.Context(), policy.Evaluate(policy.NewSubject(&s.keys[0], &organization), s.from(0, n), begin.Add(time.Duration(n)*time.Second)))
	}
	for n := range 2 * store.MaxUsageAddresses {
		observe(n)
	}
	assert.EqualValues(t, store.MaxUsageAddresses, r.Lost())
	require.NoError(t, r.Flush(t.Context()))
	for n := range store.MaxUsageAddresses { // room again
		observe(1000 + n)
	}
	closeRecorder(t, r)
	assert.EqualValues(t, store.MaxUsageAddresses, r.Lost())
	assert.EqualValues(t, 2*store.MaxUsageAddresses, s.counted(t).calls())
}

// Usage that was folded and could not be written keeps its room, until it is written.
func TestFoldedUsageThatFails(t *testing.T) {
	s := newService(t, 2)
	r := usage.New(s.recorder, usage.WithInterval(time.Hour), usage.WithLimit(200), usage.WithErrorHandler(func(error) {}))
	organization := policy.Organization{ID: "acme"}
	s.Break(faulty.Fail(errBroken), faulty.RecordUsage)
	for round := range 5 {
		for n := range 100 {
			r.Observe(t.Context(), policy.Evaluate(policy.NewSubject(&s.keys[0], &organization), s.from(0, n), begin.Add(time.Duration(100*round+n)*time.Second)))
		}
		require.ErrorIs(t, r.Flush(t.Context()), errBroken)
	}
	s.Heal()
	closeRecorder(t, r)
	assert.EqualValues(t, 500, s.counted(t).calls()+r.Lost())
	assert.Zero(t, r.Lost())
}

// observation returns what the store knows of its recorders.
func (s *service) observation(t testing.TB) store.Observation {
	o, err := s.stored.Observation(context.Background())
	require.NoError(t, err)
	return o
}

// Rule M16: a recorder says when it begins, after every round how far it has come, and when it
// ends. What it lost is a gap.
func TestM16Reports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, 300)
		start := time.Now().UTC()
		r := usage.New(s.recorder, usage.WithInterval(usage.MaxInterval*100), usage.WithLimit(300), usage.WithErrorHandler(func(error) {}))
		synctest.Wait()
		o := s.observation(t)
		require.Len(t, o.Reports, 1, "before any call")
		first := o.Reports[0]
		require.Equal(t, store.Report{Recorder: first.Recorder, Since: start, From: start, Until: start, At: start}, first)

		// The rounds go on without calls.
		time.Sleep(24 * time.Hour)
		o = s.observation(t)
		require.Equal(t, first.Recorder, o.Reports[0].Recorder)
		require.Less(t, time.Since(o.Reports[0].Until), usage.MaxInterval)
		require.Empty(t, o.Gaps)

		// A round that fails brings Until no further, but says that the recorder lives.
		require.NoError(t, r.Flush(t.Context()))
		until := time.Now().UTC()
		s.Break(faulty.Fail(errBroken), faulty.RecordUsage)
		for key := range s.keys {
			s.call(key, 0, begin).observedBy(r)
		}
		time.Sleep(time.Minute)
		require.ErrorIs(t, r.Flush(t.Context()), errBroken)
		o = s.observation(t)
		require.Equal(t, until, o.Reports[0].Until)
		require.Equal(t, until.Add(time.Minute), o.Reports[0].At)
		require.Equal(t, store.Coverage{Since: start, Until: until}, o.Coverage(start, time.Now()))

		// Nor does one whose report fails; the next one has all of it.
		s.Heal()
		s.BreakNext(1, faulty.Fail(errBroken), faulty.RecordObservation)
		require.ErrorContains(t, r.Flush(t.Context()), "store/usage: reporting the observation: broken on demand")
		require.Equal(t, until, s.observation(t).Reports[0].Until)
		require.NoError(t, r.Flush(t.Context()))
		o = s.observation(t)
		require.Equal(t, until, o.Reports[0].From)
		require.Equal(t, time.Now().UTC(), o.Reports[0].Until)
		require.Empty(t, o.Gaps)

		// Calls without room.
		begun := time.Now().UTC()
		for key := range s.keys {
			s.call(key, 0, begin).observedBy(r)
		}
		for n := range 2 {
			s.call(0, 10+n, begin).observedBy(r) // of other kinds
		}
		time.Sleep(time.Second)
		require.NoError(t, r.Flush(t.Context()))
		require.Equal(t, []store.Gap{{From: begun, To: time.Now().UTC(), Lost: 2}}, s.observation(t).Gaps)
		require.EqualValues(t, 2, r.Lost())

		// The end, with calls that cannot be written any more.
		time.Sleep(time.Second)
		begun = time.Now().UTC()
		require.NoError(t, r.Flush(t.Context()))
		lost := r.Lost()
		s.call(1, 0, begin).observedBy(r)
		s.Break(faulty.Fail(errBroken), faulty.RecordUsage)
		time.Sleep(time.Second)
		require.ErrorContains(t, r.Close(t.Context()), "1 calls that were not written are lost")
		o = s.observation(t)
		require.Len(t, o.Reports, 1)
		require.True(t, o.Reports[0].Ended)
		require.Equal(t, time.Now().UTC(), o.Until)
		require.Equal(t, store.Gap{From: begun, To: time.Now().UTC(), Lost: 1}, o.Gaps[len(o.Gaps)-1])
		require.Equal(t, lost+1, r.Lost())
	})
}

// A process that is killed reports no end. It is a gap once it has been silent for long.
func TestM16AKilledProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, 1)
		var killed atomic.Bool
		start := time.Now()
		dying := usage.New(killable{s.recorder, &killed}, usage.WithErrorHandler(func(error) {}))
		other := usage.New(s.recorder)
		time.Sleep(time.Hour)
		s.call(0, 0, begin).observedBy(dying)
		killed.Store(true)
		at := time.Now()
		time.Sleep(time.Hour)
		synctest.Wait()
		o, now := s.observation(t), time.Now()
		require.Len(t, o.Reports, 2)
		c := o.Coverage(start, now)
		assert.Greater(t, c.Missing, store.MaxSilence-time.Second)
		assert.Less(t, c.Missing, store.MaxSilence+usage.DefaultInterval)
		assert.True(t, c.Since.After(at) && c.Since.Before(at.Add(store.MaxSilence+time.Second)))
		assert.Less(t, now.Sub(c.Until), 2*usage.DefaultInterval)
		assert.Zero(t, o.Coverage(c.Since, now).Missing)
		closeRecorder(t, other)
		require.Error(t, dying.Close(t.Context()))
	})
}

// killable is the store of a process that is killed: nothing of it comes through then.
type killable struct {
	store.UsageRecorder
	killed *atomic.Bool
}

func (k killable) RecordUsage(ctx context.Context, batch map[apikey.ID]store.KeyUsage) error {
	if k.killed.Load() {
		return errBroken
	}
	return k.UsageRecorder.RecordUsage(ctx, batch)
}

func (k killable) RecordObservation(ctx context.Context, report store.Report) error {
	if k.killed.Load() {
		return errBroken
	}
	return k.UsageRecorder.RecordObservation(ctx, report)
}

// Reports are valid whatever the clock does.
func TestReportsWithABadClock(t *testing.T) {
	s := newService(t, 1)
	now := begin
	r := usage.New(s.recorder, usage.WithInterval(time.Hour), usage.WithClock(func() time.Time { return now }), usage.WithClock(nil))
	require.NoError(t, r.Flush(t.Context()))
	now = begin.Add(-time.Hour)
	require.NoError(t, r.Flush(t.Context()))
	assert.Equal(t, begin, s.observation(t).Reports[0].At)
	now = begin.Add(time.Hour)
	require.NoError(t, r.Flush(t.Context()))
	assert.Equal(t, now, s.observation(t).Reports[0].Until)
	now = begin
	closeRecorder(t, r)
	o := s.observation(t)
	assert.True(t, o.Reports[0].Ended)
	assert.Empty(t, o.Gaps)
	assert.Equal(t, begin.Add(time.Hour), o.Until)
}

// The batches are what a store takes, whatever calls there are.
func TestBatchesAreValid(t *testing.T) {
	s := newService(t, 300)
	r := usage.New(recorderFunc(func(_ context.Context, batch map[apikey.ID]store.KeyUsage) error {
		return adapter.CheckUsageBatch(batch)
	}), usage.WithInterval(time.Hour))
	for key := range s.keys {
		for n := range 20 {
			s.call(key, n, begin).observedBy(r)
		}
	}
	closeRecorder(t, r)
	assert.Zero(t, r.Lost())
}

// A batch that comes back after Close gave up is lost, and its calls are counted, each once.
func TestCallsOfALostBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, 2)
		r := usage.New(s.recorder, usage.WithErrorHandler(func(error) {}))
		s.Break(faulty.Hang(), faulty.RecordUsage)
		for n := range clients { // served by each entry, and denied
			s.call(1, n, begin).observedBy(r)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, r.Close(ctx), context.DeadlineExceeded)
		require.ErrorIs(t, r.Close(t.Context()), context.Canceled)
		require.EqualValues(t, len(clients), r.Lost())
	})
}
