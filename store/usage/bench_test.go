package usage_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/usage"
)

func BenchmarkObserve(b *testing.B) {
	s := newService(b, 10000)
	var calls []call
	for key := range s.keys {
		calls = append(calls, s.call(key, 0, begin))
	}
	ctx := context.Background()
	b.Run("UsageOf alone", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			c := &calls[i%len(calls)]
			_, _ = store.UsageOf(c.decision)
		}
	})
	b.Run("serial", func(b *testing.B) {
		r := usage.New(s.recorder)
		defer closeRecorder(b, r)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			c := &calls[i%len(calls)]
			r.Observe(ctx, c.decision)
		}
	})
	b.Run("denied", func(b *testing.B) {
		r := usage.New(s.recorder)
		defer closeRecorder(b, r)
		denied := s.call(1, 4, begin)
		b.ReportAllocs()
		for b.Loop() {
			r.Observe(ctx, denied.decision)
		}
	})
	organization := policy.Organization{ID: "acme"}
	for _, addresses := range []int{1, 64, 1000} {
		b.Run(fmt.Sprintf("one key from %d addresses", addresses), func(b *testing.B) {
			r := usage.New(s.recorder)
			defer closeRecorder(b, r)
			var calls []policy.Decision
			for n := range addresses {
				calls = append(calls, policy.Evaluate(policy.NewSubject(&s.keys[0], &organization), s.from(0, n), begin.Add(time.Duration(n))))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r.Observe(ctx, calls[i%addresses])
			}
		})
	}
	for name, keys := range map[string]int{"parallel": len(calls), "parallel, one key": 1} {
		b.Run(name, func(b *testing.B) {
			r := usage.New(s.recorder)
			defer closeRecorder(b, r)
			var begin atomic.Int64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := int(begin.Add(4001)); pb.Next(); i++ {
					c := &calls[i%keys]
					r.Observe(ctx, c.decision)
				}
			})
			b.StopTimer() // not the last round
		})
	}
}

func BenchmarkDecide(b *testing.B) {
	s := newService(b, 10000)
	r := usage.New(s.recorder)
	defer closeRecorder(b, r)
	ctx := context.Background()
	for name, engine := range map[string]*policy.Engine{
		"without": policy.New(s.stored),
		"with":    policy.New(s.stored, policy.WithObserver(r.Observe)),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				engine.Decide(ctx, s.request(i%len(s.keys), 0))
			}
		})
	}
}

// BenchmarkRound is what a round of writing costs, beside the store.
func BenchmarkRound(b *testing.B) {
	s := newService(b, 10000)
	var calls []call
	for key := range s.keys {
		calls = append(calls, s.call(key, 0, begin))
	}
	r := usage.New(recorderFunc(func(context.Context, map[apikey.ID]store.KeyUsage) error { return nil }), usage.WithInterval(time.Hour))
	defer closeRecorder(b, r)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		for i := range calls {
			calls[i].observedBy(r)
		}
		b.StartTimer()
		require.NoError(b, r.Flush(context.Background()))
	}
}
