package memory_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/memory"
)

// Usage of what a key once had is kept in a bounded number (U5); that of what it has stays.
func TestUsageOfFormerEntriesIsBounded(t *testing.T) {
	ctx, s := t.Context(), memory.New()
	_, err := s.PutOrganization(ctx, policy.Organization{ID: "acme"})
	require.NoError(t, err)
	entry, err := accesslist.ParseEntry("192.0.2.7")
	require.NoError(t, err)
	list, err := accesslist.New(entry)
	require.NoError(t, err)
	secret := apikey.StoredSecret{Sum: [32]byte{1}}
	_, err = s.PutKey(ctx, apikey.Key{ID: "key", Organization: "acme", AccessList: list, Secrets: []apikey.StoredSecret{secret}})
	require.NoError(t, err)
	record := func(entry netip.Prefix, secret string) {
		require.NoError(t, s.RecordUsage(ctx, adapter.UsageBatch(store.UsageRecord{
			Key: "key", Entry: entry, Secret: secret, Usage: accesslist.Usage{Count: 1},
		})))
	}
	record(entry.Prefix(), secret.ID())
	most := 0
	for i := range 5000 {
		record(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32), fmt.Sprint(i))
		known, err := s.Usage(ctx, "key")
		require.NoError(t, err)
		most = max(most, len(known["key"].Entries), len(known["key"].Secrets))
	}
	assert.LessOrEqual(t, most, 1001)
	known, err := s.Usage(ctx, "key")
	require.NoError(t, err)
	assert.Contains(t, known["key"].Entries, entry.Prefix())
	assert.Contains(t, known["key"].Secrets, secret.ID())
}
