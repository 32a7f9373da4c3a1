//go:build !race

// Under the race detector this takes half a minute, and nothing in it happens at once that
// does not elsewhere.

package transfer_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
)

// Few records are read and written together if their lines are long.
func TestLongLines(t *testing.T) {
	s := memory.New()
	_, err := s.PutOrganization(t.Context(), policy.Organization{ID: "acme"})
	require.NoError(t, err)
	var entries []accesslist.Entry
	for i := range apikey.MaxEntries {
		entry := must(accesslist.Parser{}.NewEntry(netip.PrefixFrom(netip.AddrFrom4([4]byte{11, 0, byte(i >> 8), byte(i)}), 32)))
		entry.Added, entry.Expires = moment, moment.AddDate(1, 0, 0)
		entries = append(entries, entry)
	}
	for _, id := range []apikey.ID{"long-1", "long-2", "long-3", "long-4", "long-5", "short"} {
		key := plainKey(id, "acme")
		if id != "short" {
			key.AccessList = must(accesslist.New(entries...))
		}
		_, err = s.PutKey(t.Context(), key, store.AllowOpen, store.AllowManyEntries)
		require.NoError(t, err)
	}
	file := export(t, bare{s})
	require.Greater(t, len(file), 4<<20)
	to := &loading{Store: memory.New()}
	_, err = importInto(to, file)
	require.NoError(t, err)
	requireSameContent(t, s, to)
	require.Equal(t, 2, to.loads)
}
