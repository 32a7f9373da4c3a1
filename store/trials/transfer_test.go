package trials_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/transfer"
)

// TestTransfer moves all records from each store to the next, and back to one of the
// first kind: nothing may be lost or altered on the way.
func TestTransfer(t *testing.T) {
	ctx, n := t.Context(), of(5000, 200)
	from := sqliteSystem(t).open(t)
	loadMany(t, from, n)
	recorder, ok := store.As[store.UsageRecorder](from)
	require.True(t, ok)
	subject, found, err := from.Lookup(ctx, scaleKey(7))
	require.NoError(t, err)
	require.True(t, found)
	key := subject.Key()
	for entry := range key.AccessList.All() {
		require.NoError(t, recorder.RecordUsage(ctx, adapter.UsageBatch(store.UsageRecord{
			Key: key.ID, Entry: entry.Prefix(), Secret: key.Secrets[0].ID(),
			Usage: accesslist.Usage{Count: 3, Last: key.Created, LastAddress: entry.Prefix().Addr()},
		})))
	}
	for _, newSystem := range []func(t *testing.T) system{postgresSystem, etcdSystem, sqliteSystem} {
		next := newSystem(t)
		to := next.open(t)
		var file bytes.Buffer
		exported, err := transfer.Export(ctx, from, &file)
		require.NoError(t, err)
		assert.Equal(t, transfer.Counts{Organizations: scaleOrganizations, Keys: n, Usage: 1}, exported)
		result, err := transfer.Import(ctx, to, bytes.NewReader(file.Bytes()))
		require.NoError(t, err)
		assert.Equal(t, exported, result.Written)
		verified, err := transfer.Verify(ctx, to, bytes.NewReader(file.Bytes()))
		require.NoError(t, err)
		assert.Equal(t, exported, verified)
		t.Logf("%d keys are in %s now", n, next.name)
		from = to
	}
}
