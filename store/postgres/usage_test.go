package postgres_test

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
)

func TestUsageOfAnyKind(t *testing.T) {
	ctx, s := t.Context(), newStore(t, newPool(t, postgrestest.Shared(t).Database(t)))
	_, key := acme(t, s)
	require.NoError(t, s.RecordUsage(ctx, nil))

	// No key has the ID \xff. A secret's ID is kept as JSON has it.
	odd := usage(key, 1<<63)
	odd.Entry, odd.Secret = netip.MustParsePrefix("192.0.2.1/24"), "nul\x00"
	other := usage(newKey(t, "\xff", "acme"), 1)
	require.NoError(t, s.RecordUsage(ctx, adapter.UsageBatch(other)))
	require.NoError(t, s.RecordUsage(ctx, adapter.UsageBatch(odd, other)))
	zone := store.UsageRecord{Key: key.ID, Secret: "zone", Usage: accesslist.Usage{Count: 1, Last: moment, LastAddress: netip.MustParseAddr("fe80::1%eth0")}}
	late := store.UsageRecord{Key: key.ID, Secret: "late", Usage: accesslist.Usage{Count: 1, Last: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), LastAddress: netip.MustParseAddr("::ffff:192.0.2.1")}}
	require.NoError(t, s.RecordUsage(ctx, adapter.UsageBatch(zone, late, odd)))
	known, err := s.Usage(ctx, key.ID)
	require.NoError(t, err)
	assert.EqualValues(t, uint64(math.MaxUint64), known[key.ID].Entries[odd.Entry].Count, "the sum would be more")
	assert.Contains(t, known[key.ID].Secrets, odd.Secret)
	assert.Equal(t, zone.Usage, known[key.ID].Secrets["zone"])
	assert.Equal(t, late.Usage, known[key.ID].Secrets["late"])
}

// TestLargeUsageIsPruned to what the key still has (U5), unless the key cannot be read.
func TestLargeUsageIsPruned(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	_, key := acme(t, s)
	var many store.KeyUsage
	for i := range 3000 {
		entry := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
		adapter.CountUsage(&many, store.UsageRecord{Entry: entry, Secret: fmt.Sprint(i), Usage: accesslist.Usage{Count: 1}})
	}
	for _, want := range []int{1, 3000} {
		require.NoError(t, s.RecordUsage(ctx, map[apikey.ID]store.KeyUsage{key.ID: many}))
		require.NoError(t, s.RecordUsage(ctx, adapter.UsageBatch(usage(key, 1))))
		known, err := s.Usage(ctx, key.ID)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, len(known[key.ID].Entries), want)
		assert.LessOrEqual(t, len(known[key.ID].Entries), want+1)
		exec(t, pool, `UPDATE sallyport.keys SET document = '{}'`)
	}
}

// TestUsageWaitsForDeletion: whether a key is there, to be counted, is known when the
// transaction ends that has deleted it.
func TestUsageWaitsForDeletion(t *testing.T) {
	ctx, pool := t.Context(), newPool(t, postgrestest.Shared(t).Database(t))
	s := newStore(t, pool)
	_, key := acme(t, s)
	tx, err := pool.Begin(ctx)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	require.NoError(t, s.WithTx(tx).DeleteKey(ctx, key.ID, 0))
	ended := make(chan error, 1)
	go func() { ended <- s.RecordUsage(context.Background(), adapter.UsageBatch(usage(key, 1))) }()
	waitsFor(t, pool, "transactionid")
	require.NoError(t, tx.Rollback(ctx))
	require.NoError(t, <-ended)
	known, err := s.Usage(ctx, key.ID)
	require.NoError(t, err)
	assert.EqualValues(t, 1, known[key.ID].Secrets[key.Secrets[0].ID()].Count)
}
