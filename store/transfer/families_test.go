package transfer_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/transfer"
)

// A list comes back from a store and from an export whole, whatever families it has: a
// shorter one would deny, and an empty one admit everybody.
func TestListsOfBothFamiliesAreKept(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 0x5a11))
	from, to := memory.New(), memory.New()
	_, err := from.PutOrganization(t.Context(), policy.Organization{ID: "acme"})
	require.NoError(t, err)
	lists := map[apikey.ID]accesslist.List{}
	for i := range 200 {
		key := plainKey(apikey.ID(fmt.Sprint("key-", i)), "acme")
		for key.AccessList.IsEmpty() {
			key.AccessList = randomList(t, r)
		}
		lists[key.ID] = key.AccessList
		_, err := from.PutKey(t.Context(), key)
		require.NoError(t, err)
	}
	var file bytes.Buffer
	_, err = transfer.Export(t.Context(), from, &file)
	require.NoError(t, err)
	_, err = transfer.Import(t.Context(), to, bytes.NewReader(file.Bytes()))
	require.NoError(t, err)
	for _, s := range []store.Store{from, to} {
		read := 0
		for key, err := range store.AllKeys(t.Context(), s, "acme") {
			require.NoError(t, err)
			require.True(t, lists[key.ID].Equal(key.AccessList), key.ID)
			read++
		}
		require.Len(t, lists, read)
	}
}

// randomList returns a list of up to 20 blocks of both families.
func randomList(t testing.TB, r *rand.Rand) accesslist.List {
	var list accesslist.List
	for range r.IntN(20) {
		addr := netip.AddrFrom4([4]byte{byte(1 + r.IntN(223)), byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256))})
		if r.IntN(2) == 0 {
			b := addr.As4()
			addr = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, b[0], b[1], 14: b[2], 15: b[3]})
		}
		entry, err := accesslist.Parser{AllowIPv6: true}.NewEntry(netip.PrefixFrom(addr, 1+r.IntN(addr.BitLen())).Masked())
		if err != nil {
			continue // 0.0.0.0 or ::
		}
		if r.IntN(3) == 0 {
			entry.Comment, entry.Expires = "größer <b>", time.Unix(1_800_000_000+r.Int64N(1e6), r.Int64N(1e6)*1000)
		}
		if longer, err := list.With(entry); err == nil { // else it is there already
			list = longer
		}
	}
	require.True(t, list.IsValid())
	return list
}
