package etcdtest_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/etcd"
	"github.com/sallyport-go/sallyport/store/etcd/etcdtest"
	"github.com/sallyport-go/sallyport/store/storetest"
)

func BenchmarkStore(b *testing.B) {
	client := etcdtest.Start(b, 3).Client(b)
	storetest.Benchmark(b, func(t testing.TB) store.Store {
		s, _ := opened(t, client)
		return s
	})
}

// BenchmarkPutKey is of a store's writers, each with a key of its own.
func BenchmarkPutKey(b *testing.B) {
	client := etcdtest.Start(b, 3).Client(b)
	s, _ := opened(b, client)
	putOrganization(b, s, "acme")
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(writers, " writers"), func(b *testing.B) {
			var left, n atomic.Int64
			left.Store(int64(b.N))
			var all sync.WaitGroup
			for range writers {
				all.Go(func() {
					for left.Add(-1) >= 0 {
						id := apikey.ID(fmt.Sprintf("k-%d-%d-%d", b.N, writers, n.Add(1)))
						if _, err := s.PutKey(b.Context(), newKey(id, "acme")); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
		})
	}
}

// BenchmarkTold is how long after a write has returned a watch tells of it; it is
// negative where the watch was first. Each operation is a write.
func BenchmarkTold(b *testing.B) {
	cluster := etcdtest.Start(b, 3)
	s, prefix := opened(b, cluster.Client(b))
	organization := putOrganization(b, s, "acme")
	for member := range 3 {
		b.Run(fmt.Sprint("member ", member), func(b *testing.B) {
			watching := openedAt(b, cluster.Client(b, member), prefix)
			told := make(chan time.Time, 1)
			go tellTimes(b.Context(), watching, organization.Revision, told)
			key := newKey("k1", "acme")
			if stored, err := s.Key(b.Context(), "k1"); err == nil {
				key = stored
			}
			key = put(b, s, key)
			for caughtUp := false; !caughtUp; { // with what other runs wrote
				select {
				case <-told:
				case <-time.After(300 * time.Millisecond):
					caughtUp = true
				}
			}
			var latencies []time.Duration
			for b.Loop() {
				var err error
				if key, err = s.PutKey(b.Context(), key); err != nil {
					b.Fatal(err)
				}
				returned := time.Now()
				latencies = append(latencies, (<-told).Sub(returned))
			}
			slices.Sort(latencies)
			for name, part := range map[string]float64{"p50-us": 0.5, "p99-us": 0.99, "p99.9-us": 0.999} {
				b.ReportMetric(float64(latencies[int(part*float64(len(latencies)-1))].Microseconds()), name)
			}
		})
	}
}

func tellTimes(ctx context.Context, s *etcd.Store, after uint64, told chan<- time.Time) {
	for change, err := range s.Watch(ctx, at(ctx, s, after)) {
		if err != nil {
			return
		}
		if change.IsMark() {
			told <- time.Now()
		}
	}
}

// fewer returns a tenth of n with -short, which is to try that a benchmark runs.
func fewer(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// BenchmarkMany stores 20,000 keys from 64 goroutines, and reads them all by a watch
// from zero.
func BenchmarkMany(b *testing.B) {
	keys := fewer(20_000)
	client := etcdtest.Start(b, 3).Client(b)
	s, _ := opened(b, client)
	putOrganization(b, s, "acme")
	b.Run("put", func(b *testing.B) {
		if b.N > 1 {
			b.Skip("measured once, by -benchtime 1x: it takes seconds")
		}
		putMany(b, s, keys)
	})
	b.Run("watch from zero", func(b *testing.B) {
		for b.Loop() {
			told := 0
			for change, err := range s.Watch(b.Context(), store.Position{}) {
				require.NoError(b, err)
				if change.IsMark() {
					break
				}
				told++
			}
			require.Equal(b, keys+1, told)
		}
	})
	b.Run("pages", func(b *testing.B) {
		for b.Loop() {
			listed := 0
			for _, err := range store.AllKeys(b.Context(), s, "acme") {
				require.NoError(b, err)
				listed++
			}
			require.Equal(b, keys, listed)
		}
	})
}
