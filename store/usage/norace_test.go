//go:build !race

// The race detector allocates.

package usage_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/usage"
)

// Counting a call allocates nothing of its own. What store.UsageOf allocates is the text
// of the secret's ID.
func TestObserveAllocatesNothing(t *testing.T) {
	s := newService(t, 8)
	r := usage.New(s.recorder, usage.WithInterval(time.Hour))
	defer closeRecorder(t, r)
	for name, n := range map[string]int{"by a secret": 0, "by another proof": 2 * len(clients)} {
		var calls []call
		for key := range s.keys {
			calls = append(calls, s.call(key, n, begin))
			require.True(t, calls[key].decision.Allowed())
			calls[key].observedBy(r)
		}
		// Records stay while they are not used, so it is the same after a round.
		require.NoError(t, r.Flush(t.Context()))
		i := 0
		next := func() call { i++; return calls[i%len(calls)] }
		bare := testing.AllocsPerRun(1000, func() {
			c := next()
			_, _ = store.UsageOf(c.decision)
		})
		assert.LessOrEqual(t, bare, 1.0, name)
		assert.Equal(t, bare, testing.AllocsPerRun(1000, func() { next().observedBy(r) }), name)
	}
	other := s.call(1, 2*len(clients), begin)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { other.observedBy(r) }))
	denied := s.call(1, 4, begin)
	denied.observedBy(r)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { denied.observedBy(r) }))
}

// A key with more addresses than it has records for makes each call take another's place, and
// that allocates nothing beside the text of the secret's ID, either.
func TestObserveOfManyAddressesAllocatesNothing(t *testing.T) {
	s := newService(t, 1)
	r := usage.New(s.recorder, usage.WithInterval(time.Hour))
	defer closeRecorder(t, r)
	organization := policy.Organization{ID: "acme"}
	var calls []policy.Decision
	for n := range 2 * store.MaxUsageAddresses {
		calls = append(calls, policy.Evaluate(policy.NewSubject(&s.keys[0], &organization), s.from(0, n), begin))
		r.Observe(t.Context(), calls[n])
	}
	i := 0
	assert.LessOrEqual(t, testing.AllocsPerRun(1000, func() {
		i++
		r.Observe(t.Context(), calls[i%len(calls)])
	}), 1.0)
}
