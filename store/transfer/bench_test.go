package transfer_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/transfer"
)

// BenchmarkTransfer moves keys that are as keys are: five entries, two grants, used.
func BenchmarkTransfer(b *testing.B) {
	const keys = 10000
	ctx, s := context.Background(), memory.New()
	for n := range keys {
		organization := fmt.Sprintf("organization %d", n/100)
		if n%100 == 0 {
			_, err := s.PutOrganization(ctx, policy.Organization{ID: organization})
			require.NoError(b, err)
		}
		key, _, err := apikey.New(organization, apikey.Grant{Role: "backup.admin"}, apikey.Grant{Role: "reader", AllProjects: true})
		require.NoError(b, err)
		key.Created = moment
		key.AccessList = must(accesslist.Parse("10.0.0.0/8", "192.0.2.1", "192.0.2.2", "198.51.100.0/24", "203.0.113.7"))
		_, err = s.PutKey(ctx, key, store.AllowOpen)
		require.NoError(b, err)
		require.NoError(b, s.RecordUsage(ctx, adapter.UsageBatch(store.UsageRecord{
			Key: key.ID, Entry: netip.MustParsePrefix("10.0.0.0/8"), Secret: key.Secrets[0].ID(),
			Usage: accesslist.Usage{Count: 1, Last: moment, LastAddress: netip.MustParseAddr("10.0.0.1")},
		})))
	}
	file := export(b, s)
	b.Logf("%d bytes a key", len(file)/keys)
	perKey := func(b *testing.B) { b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/keys, "ns/key") }
	for name, from := range map[string]store.Store{"Export": s, "Export/listed": feedless{s, s}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var out bytes.Buffer
				_, err := transfer.Export(ctx, from, &out)
				require.NoError(b, err)
			}
			perKey(b)
		})
	}
	b.Run("Import", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err := importInto(memory.New(), file)
			require.NoError(b, err)
		}
		perKey(b)
	})
	b.Run("Verify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err := transfer.Verify(ctx, s, strings.NewReader(file))
			require.NoError(b, err)
		}
		perKey(b)
	})
}
