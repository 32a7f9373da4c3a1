package postgres_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
)

func TestUsageRefused(t *testing.T) {
	ctx, s := t.Context(), newStore(t, newPool(t, postgrestest.Shared(t).Database(t)))
	_, key := acme(t, s)
	for name, batch := range map[string][]store.UsageRecord{
		"too many calls":      {usage(key, 1<<63)},
		"too many calls in 2": {usage(key, 1<<62), usage(key, 1<<62)},
		"a late year":         {{Key: key.ID, Secret: "x", Usage: accesslist.Usage{Count: 1, Last: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}}},
		"an early year":       {{Key: key.ID, Secret: "x", Usage: accesslist.Usage{Count: 1, Last: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)}}},
	} {
		assert.ErrorIs(t, s.RecordUsage(ctx, batch), store.ErrInvalid, name)
	}
	require.NoError(t, s.RecordUsage(ctx, []store.UsageRecord{usage(key, 1<<63-1)}))
	assert.ErrorContains(t, s.RecordUsage(ctx, []store.UsageRecord{usage(key, 1)}), "out of range")

	// What cannot be an entry or a secret, or a key, is passed over with the rest counted.
	odd := usage(key, 1)
	odd.Entry = netip.MustParsePrefix("192.0.2.1/24")
	odd.Secret = "nul\x00"
	other := usage(newKey(t, "\xff", "acme"), 1)
	require.NoError(t, s.RecordUsage(ctx, []store.UsageRecord{odd, other}))
	zone := store.UsageRecord{Key: key.ID, Secret: "zone", Usage: accesslist.Usage{Count: 1, Last: moment, LastAddress: netip.MustParseAddr("fe80::1%eth0")}}
	mapped := store.UsageRecord{Key: key.ID, Secret: "mapped", Usage: accesslist.Usage{Count: 1, Last: moment, LastAddress: netip.MustParseAddr("::ffff:192.0.2.1")}}
	require.NoError(t, s.RecordUsage(ctx, []store.UsageRecord{zone, mapped}))
	known, err := s.Usage(ctx, key.ID)
	require.NoError(t, err)
	assert.Len(t, known[key.ID].Entries, 1)
	assert.Equal(t, netip.MustParseAddr("fe80::1"), known[key.ID].Secrets["zone"].LastAddress)
	assert.Equal(t, netip.MustParseAddr("::ffff:192.0.2.1"), known[key.ID].Secrets["mapped"].LastAddress)

	// Usage of what the key no longer has goes when the key is replaced.
	key.AccessList, err = accesslist.Parse("198.51.100.0/24")
	require.NoError(t, err)
	_, err = s.PutKey(ctx, key)
	require.NoError(t, err)
	known, err = s.Usage(ctx, key.ID)
	require.NoError(t, err)
	assert.Empty(t, known[key.ID].Entries)
	assert.Len(t, known[key.ID].Secrets, 1)
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
	go func() { ended <- s.RecordUsage(context.Background(), []store.UsageRecord{usage(key, 1)}) }()
	waitsFor(t, pool, "transactionid")
	require.NoError(t, tx.Rollback(ctx))
	require.NoError(t, <-ended)
	known, err := s.Usage(ctx, key.ID)
	require.NoError(t, err)
	assert.EqualValues(t, 1, known[key.ID].Secrets[key.Secrets[0].ID()].Count)
}
