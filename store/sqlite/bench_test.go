package sqlite

import (
	"context"
	"fmt"
	"iter"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest"
)

func BenchmarkStore(b *testing.B) {
	storetest.Benchmark(b, func(t testing.TB) store.Store { return open(t, newPath(t)) })
}

// BenchmarkWatch measures how long after a write in another process has returned it is
// told here: the median, and what one in a thousand exceeds.
func BenchmarkWatch(b *testing.B) {
	s := shared(b)
	other := talkTo(b, "put", s.file.path)
	next, stop := iter.Pull2(s.Watch(context.Background(), store.Position{}))
	defer stop()
	wantMark(b, next, 0)
	told := make(chan time.Time)
	var all []time.Duration
	for n := 0; b.Loop(); n++ {
		go func() {
			wantMark(b, next, uint64(n)+3)
			told <- time.Now()
		}()
		_, returned := other.put(fmt.Sprint(n))
		all = append(all, (<-told).Sub(returned))
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "µs-median")
	b.ReportMetric(float64(all[len(all)*999/1000].Microseconds()), "µs-p99.9")
}

const manyKeys = 100_000

// loadMany stores keys with three entries each, in a hundred organizations.
func loadMany(b *testing.B, s *Store) {
	var organizations []policy.Organization
	for i := range 100 {
		organizations = append(organizations, policy.Organization{ID: fmt.Sprint("organization ", i)})
	}
	require.NoError(b, s.Load(context.Background(), organizations, nil))
	for from := 0; from < manyKeys; from += store.MaxLoad {
		var keys []apikey.Key
		for i := range store.MaxLoad {
			n := from + i
			key := newKey(b, apikey.ID(fmt.Sprintf("key-%06d", n*7919%manyKeys)), organizations[n%100].ID, fmt.Sprintf("10.%d.%d.0/24", n>>8&255, n&255), "192.0.2.7", "198.51.100.0/24")
			key.Grants = []apikey.Grant{{Role: "reader", AllProjects: true}}
			keys = append(keys, key)
		}
		require.NoError(b, s.Load(context.Background(), nil, keys))
	}
}

// BenchmarkLoad measures the storing of 100,000 keys, and what they take on the disk.
func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		s, err := Open(context.Background(), newPath(b))
		require.NoError(b, err)
		loadMany(b, s)
		require.NoError(b, s.Close())
		info, err := os.Stat(s.file.path)
		require.NoError(b, err)
		b.ReportMetric(float64(info.Size())/manyKeys, "bytes/key")
	}
}

// BenchmarkWatchFromZero measures how long it takes until 100,000 keys were told.
func BenchmarkWatchFromZero(b *testing.B) {
	s := open(b, newPath(b))
	loadMany(b, s)
	for b.Loop() {
		n := 0
		for change, err := range s.Watch(context.Background(), store.Position{}) {
			require.NoError(b, err)
			if change.IsMark() {
				break
			}
			n++
		}
		require.Equal(b, manyKeys+100, n)
	}
}
