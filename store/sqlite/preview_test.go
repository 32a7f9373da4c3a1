package sqlite

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// crowd stores keys of acme with their usage: every third open, the others with three
// entries, all of them used from so many addresses each.
func crowd(tb testing.TB, s *Store, keys, addresses int) {
	tb.Helper()
	ctx, now := tb.Context(), time.Now()
	require.NoError(tb, s.Load(ctx, []policy.Organization{{ID: "acme"}}, nil))
	list, err := accesslist.Parse("203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24")
	require.NoError(tb, err)
	for from := 0; from < keys; from += store.MaxUsageKeys {
		var some []apikey.Key
		usage := map[apikey.ID]store.KeyUsage{}
		for i := from; i < min(keys, from+store.MaxUsageKeys); i++ {
			key := apikey.Key{
				ID: apikey.ID(fmt.Sprintf("k%06d", i)), Organization: "acme", Grants: []apikey.Grant{{Role: "reader"}}, Created: now.Add(-1000 * time.Hour),
				Secrets: []apikey.StoredSecret{{Sum: [32]byte{byte(i), byte(i >> 8), byte(i >> 16), 1}, Created: now.Add(-1000 * time.Hour)}},
			}
			used := accesslist.Usage{Count: 100, Last: now.Add(-time.Hour), LastAddress: netip.MustParseAddr("203.0.113.1")}
			of := store.KeyUsage{Secrets: map[string]accesslist.Usage{key.Secrets[0].ID(): used}, Addresses: map[netip.Addr]store.AddressUsage{}}
			if i%3 != 0 {
				key.AccessList, of.Entries = list, map[netip.Prefix]accesslist.Usage{}
				for entry := range list.All() {
					of.Entries[entry.Prefix()] = used
				}
			}
			for n := range addresses {
				of.Addresses[netip.AddrFrom4([4]byte{203, 0, 113, byte(n)})] = store.AddressUsage{Count: 2, First: now.Add(-99 * time.Hour), Last: now.Add(-time.Duration(n+1) * time.Minute)}
			}
			some, usage[key.ID] = append(some, key), of
		}
		require.NoError(tb, s.Load(ctx, nil, some, store.AllowOpen))
		require.NoError(tb, s.RecordUsage(ctx, usage))
	}
	require.NoError(tb, s.RecordObservation(ctx, store.Report{Recorder: "one", Since: now.Add(-1000 * time.Hour), From: now.Add(-1000 * time.Hour), Until: now, At: now}))
}

// BenchmarkPreview previews changes of the organization, which judge all of its keys by their
// usage: that lists become required changes the answer for a third of them, that the
// organization is switched off for all.
func BenchmarkPreview(b *testing.B) {
	keys := fewer(10_000)
	for _, addresses := range []int{4, store.MaxUsageAddresses} {
		s := open(b, newPath(b))
		crowd(b, s, keys, addresses)
		managing, err := admin.New(s, admin.WithPeopleManaging())
		require.NoError(b, err)
		for _, change := range []admin.Change{admin.SetRequirement(policy.Required), admin.DisableOrganization()} {
			b.Run(fmt.Sprintf("%v/addresses=%d", change, addresses), func(b *testing.B) {
				var preview admin.Preview
				before := heap()
				b.ReportAllocs()
				for b.Loop() {
					if preview, err = managing.Preview(b.Context(), admin.BySystem("benchmark"), "acme", change); err != nil {
						b.Fatal(err)
					}
				}
				require.Equal(b, keys-preview.Totals.Unchanged, preview.Totals.Breaks)
				b.ReportMetric(float64(heap()-before), "B-held")
				b.ReportMetric(float64(preview.Totals.Breaks), "keys")
				runtime.KeepAlive(preview)
			})
		}
	}
}

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
