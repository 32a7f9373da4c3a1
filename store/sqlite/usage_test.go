package sqlite

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

var listed = netip.MustParsePrefix("192.0.2.1/32")

func calls(count uint64, last time.Time, from string) store.UsageRecord {
	record := store.UsageRecord{Key: "first", Entry: listed, Usage: accesslist.Usage{Count: count, Last: last}}
	if from != "" {
		record.LastAddress = netip.MustParseAddr(from)
	}
	return record
}

// A call of which the time is not known never is the latest, and the address goes with
// the time.
func TestUsageOfTheLatestCall(t *testing.T) {
	s := open(t, newPath(t))
	putOrganization(t, s, "acme")
	putKey(t, s, newKey(t, "first", "acme"))
	at := time.Date(2026, 11, 24, 12, 0, 0, 123456789, time.FixedZone("", 3600))
	kept := at.Truncate(time.Microsecond).UTC()
	for _, step := range []struct {
		record store.UsageRecord
		want   accesslist.Usage
	}{
		{calls(1, time.Time{}, "192.0.2.9"), accesslist.Usage{Count: 1}},
		{calls(1, time.Time{}, "192.0.2.9"), accesslist.Usage{Count: 2}},
		{calls(1, at, "fe80::1%eth0"), accesslist.Usage{Count: 3, Last: kept, LastAddress: netip.MustParseAddr("fe80::1%eth0")}},
		{calls(1, time.Time{}, "192.0.2.9"), accesslist.Usage{Count: 4, Last: kept, LastAddress: netip.MustParseAddr("fe80::1%eth0")}},
		{calls(1, at.Add(-time.Microsecond), "192.0.2.9"), accesslist.Usage{Count: 5, Last: kept, LastAddress: netip.MustParseAddr("fe80::1%eth0")}},
		{calls(0, at, "192.0.2.9"), accesslist.Usage{Count: 5, Last: kept, LastAddress: netip.MustParseAddr("fe80::1%eth0")}},
		{calls(0, at.Add(time.Microsecond), ""), accesslist.Usage{Count: 5, Last: kept.Add(time.Microsecond)}},
	} {
		require.NoError(t, s.RecordUsage(t.Context(), adapter.UsageBatch(step.record)))
		usage, err := s.Usage(t.Context(), "first")
		require.NoError(t, err)
		assert.Equal(t, map[netip.Prefix]accesslist.Usage{listed: step.want}, usage["first"].Entries)
	}
}

// Large usage is pruned to what the key still has (U5), unless the key cannot be read.
func TestLargeUsageIsPruned(t *testing.T) {
	for _, readable := range []bool{true, false} {
		s := open(t, twoKeys(t))
		many := store.KeyUsage{Entries: map[netip.Prefix]accesslist.Usage{}, Secrets: map[string]accesslist.Usage{}}
		for i := range 3000 {
			many.Entries[netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)] = accesslist.Usage{Count: 1}
			many.Secrets[fmt.Sprint(i)] = accesslist.Usage{Count: 1}
		}
		more := map[apikey.ID]store.KeyUsage{"first": many}
		require.NoError(t, s.RecordUsage(t.Context(), more))
		if !readable {
			sqlTo(t, s.file.path, `UPDATE keys SET record = '{}' WHERE id = 'first'`)
		}
		require.NoError(t, s.RecordUsage(t.Context(), adapter.UsageBatch(calls(1, time.Time{}, ""))))
		usage, err := s.Usage(t.Context(), "first")
		require.NoError(t, err)
		assert.EqualValues(t, 4, usage["first"].Entries[listed].Count)
		if readable {
			assert.Len(t, usage["first"].Entries, 1)
			assert.Empty(t, usage["first"].Secrets)
		} else {
			assert.Len(t, usage["first"].Entries, 3001)
		}
	}
}

// What no identifier can be is not there, however long it is (S5, U3).
func TestLongIdentifiers(t *testing.T) {
	s := open(t, twoKeys(t))
	ctx := t.Context()
	for _, size := range []int{maxIdentifier, maxIdentifier + 1, 1 << 20} {
		long := strings.Repeat("x", size)
		id := apikey.ID(long)
		_, found, err := s.Lookup(ctx, id)
		require.NoError(t, err)
		assert.False(t, found)
		_, err = s.Key(ctx, id)
		require.ErrorIs(t, err, store.ErrNotFound)
		assert.Less(t, len(err.Error()), 300)
		_, err = s.Organization(ctx, long)
		require.ErrorIs(t, err, store.ErrNotFound)
		assert.Less(t, len(err.Error()), 300)
		usage, err := s.Usage(ctx, id)
		require.NoError(t, err)
		assert.Empty(t, usage)
		page, err := s.Keys(ctx, long, store.PageRequest{})
		require.NoError(t, err)
		assert.Empty(t, page)
		require.ErrorIs(t, s.DeleteKey(ctx, id, 0), store.ErrNotFound)
		require.ErrorIs(t, s.DeleteOrganization(ctx, long, 0), store.ErrNotFound)
		require.NoError(t, s.RecordUsage(ctx, adapter.UsageBatch(store.UsageRecord{Key: id, Entry: listed, Secret: "5ec2e700"})))
		_, err = s.PutKey(ctx, apikey.Key{ID: id, Organization: "acme"}, store.AllowOpen)
		require.ErrorIs(t, err, store.ErrInvalid)
	}
}

// A context that ends in the middle of many records ends them, and nothing of them is
// there.
func TestManyRecordsInterrupted(t *testing.T) {
	s := open(t, twoKeys(t))
	before := contentsOf(t, s)
	var keys []apikey.Key
	batch := map[apikey.ID]store.KeyUsage{}
	for range store.MaxLoad {
		key := newKey(t, apikey.NewID(), "acme")
		keys = append(keys, key)
		if len(batch) < store.MaxUsageKeys {
			batch[key.ID] = store.KeyUsage{Secrets: map[string]accesslist.Usage{"5ec2e700": {Count: 1}}}
		}
	}
	for _, write := range []func(ctx context.Context) error{
		func(ctx context.Context) error { return s.Load(ctx, nil, keys, store.AllowOpen) },
		func(ctx context.Context) error { return s.RecordUsage(ctx, batch) },
	} {
		ctx := &endingContext{Context: t.Context(), calls: 20}
		err := write(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorContains(t, err, "store/sqlite: ")
		assert.True(t, before.equal(contentsOf(t, s)))
	}
}

// A write whose caller has given up by the time that it could be committed is not.
func TestWriteGivenUp(t *testing.T) {
	s := open(t, twoKeys(t))
	before := contentsOf(t, s)
	_, err := s.PutKey(&endingContext{Context: t.Context(), calls: 1}, newKey(t, "third", "acme"), store.AllowOpen)
	require.ErrorIs(t, err, context.Canceled)
	assert.True(t, before.equal(contentsOf(t, s)))
}

// An endingContext ends when it was asked so many times whether it has.
type endingContext struct {
	context.Context
	calls int
}

func (c *endingContext) Err() error {
	if c.calls--; c.calls < 0 {
		return context.Canceled
	}
	return nil
}
