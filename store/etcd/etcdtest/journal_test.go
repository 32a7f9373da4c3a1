package etcdtest_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/etcd/etcdtest"
)

// TestLargestWrite is of the longest list of store.MaxEntries entries, and the longest events,
// with the server's default limits.
func TestLargestWrite(t *testing.T) {
	s, _ := opened(t, etcdtest.Start(t, 1).Client(t))
	putOrganization(t, s, "acme")
	key := newKey("k1", "acme")
	var list []accesslist.Entry
	for n := range store.MaxEntries {
		entry, err := accesslist.NewEntry(netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, byte(100 + n>>8), byte(n)}), 32))
		require.NoError(t, err)
		entry.Comment = strings.Repeat("<", apikey.MaxText/store.MaxEntries) // six bytes each in JSON
		list = append(list, entry)
	}
	var err error
	key.AccessList, err = accesslist.New(list...)
	require.NoError(t, err)
	event := newEvent("acme", "")
	event.Key = key.ID
	event.After = fmt.Appendf(nil, `{"x":%q}`, strings.Repeat("x", store.MaxEventBytes-500))
	write := store.Write{PutKey: &key}
	for range store.MaxWriteBytes / store.MaxEventBytes {
		write.Events = append(write.Events, event)
	}
	_, err = s.Write(t.Context(), write)
	require.NoError(t, err)
	page, err := s.Events(t.Context(), store.EventRequest{})
	require.NoError(t, err)
	require.Len(t, page.Events, len(write.Events))
}
