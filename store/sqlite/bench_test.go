package sqlite

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
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

// fewer returns a tenth of n with -short, which is to try that a benchmark runs.
func fewer(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// loadMany stores keys with three entries each, in a hundred organizations, and returns their
// number.
func loadMany(b *testing.B, s *Store) (keys int) {
	keys = fewer(100_000)
	var organizations []policy.Organization
	for i := range 100 {
		organizations = append(organizations, policy.Organization{ID: fmt.Sprint("organization ", i)})
	}
	require.NoError(b, s.Load(context.Background(), organizations, nil))
	for from := 0; from < keys; from += store.MaxLoad {
		var some []apikey.Key
		for i := range store.MaxLoad {
			n := from + i
			key := newKey(b, apikey.ID(fmt.Sprintf("key-%06d", n*7919%keys)), organizations[n%100].ID, fmt.Sprintf("10.%d.%d.0/24", n>>8&255, n&255), "192.0.2.7", "198.51.100.0/24")
			key.Grants = []apikey.Grant{{Role: "reader", AllProjects: true}}
			some = append(some, key)
		}
		require.NoError(b, s.Load(context.Background(), nil, some))
	}
	return keys
}

// BenchmarkLoad measures the storing of 100,000 keys, and what they take on the disk.
func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		s, err := Open(context.Background(), newPath(b))
		require.NoError(b, err)
		keys := loadMany(b, s)
		require.NoError(b, s.Close())
		info, err := os.Stat(s.file.path)
		require.NoError(b, err)
		b.ReportMetric(float64(info.Size())/float64(keys), "bytes/key")
	}
}

// BenchmarkWatchFromZero measures how long it takes until 100,000 keys were told.
func BenchmarkWatchFromZero(b *testing.B) {
	s := open(b, newPath(b))
	keys := loadMany(b, s)
	for b.Loop() {
		n := 0
		for change, err := range s.Watch(context.Background(), store.Position{}) {
			require.NoError(b, err)
			if change.IsMark() {
				break
			}
			n++
		}
		require.Equal(b, keys+100, n)
	}
}

// BenchmarkUsageOfAnOrganization reads the usage of 10,000 keys, as a preview does, and of 100
// keys writes what a round of store/usage has.
func BenchmarkUsageOfAnOrganization(b *testing.B) {
	keys := fewer(10_000)
	for _, addresses := range []int{3, store.MaxUsageAddresses} {
		s := open(b, newPath(b))
		putOrganization(b, s, "acme")
		var all []apikey.Key
		var ids []apikey.ID
		for i := range keys {
			all = append(all, newKey(b, apikey.ID(fmt.Sprint("key-", i)), "acme", "192.0.2.0/24"))
			ids = append(ids, all[i].ID)
		}
		for some := range slices.Chunk(all, store.MaxLoad) {
			require.NoError(b, s.Load(b.Context(), nil, some))
		}
		var usage store.KeyUsage
		for i := range addresses {
			adapter.CountUsage(&usage, store.UsageRecord{
				Entry: netip.MustParsePrefix("192.0.2.0/24"), Secret: "5ec2e700",
				Usage: accesslist.Usage{Count: 1, Last: time.Unix(int64(i), 0), LastAddress: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})},
			})
		}
		record := func(some []apikey.ID) {
			batch := map[apikey.ID]store.KeyUsage{}
			for _, id := range some {
				batch[id] = usage
			}
			require.NoError(b, s.RecordUsage(b.Context(), batch))
		}
		for some := range slices.Chunk(ids, store.MaxUsageKeys) {
			record(some)
		}
		b.Run(fmt.Sprintf("read, %d addresses each", addresses), func(b *testing.B) {
			for b.Loop() {
				for some := range slices.Chunk(ids, store.MaxUsageKeys) {
					_, err := s.Usage(b.Context(), some...)
					require.NoError(b, err)
				}
			}
		})
		b.Run(fmt.Sprintf("record 100, %d addresses each", addresses), func(b *testing.B) {
			for b.Loop() {
				record(ids[:store.MaxUsageKeys])
			}
		})
	}
}
