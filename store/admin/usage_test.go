package admin_test

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/admin"
)

// The usage of a key is what a preview of it would show: in the window, by entry and secret,
// from where, and what was denied.
func TestUsage(t *testing.T) {
	w := newWorld(t)
	w.key("k", "203.0.113.0/24", "reader")
	w.used("k", "203.0.113.7", day, 3)
	w.used("k", "203.0.113.9", 40*day, 2) // before the window
	denied := store.UsageRecord{Key: "k", Denied: policy.AddressNotListed, Usage: accesslist.Usage{Count: 4, Last: w.now.Add(-time.Hour), LastAddress: netip.MustParseAddr("198.51.100.1")}}
	require.NoError(t, w.memory.RecordUsage(w.ctx, adapter.UsageBatch(denied)))
	usage, err := w.admin.Usage(w.ctx, "acme", "k")
	require.NoError(t, err)
	require.Equal(t, w.stored("k").Revision, usage.Revision)
	require.Len(t, usage.Addresses, 1)
	require.Equal(t, "203.0.113.7", usage.Addresses[0].Address.String())
	require.False(t, usage.MoreAddresses)
	require.Equal(t, []admin.DenialUse{{Reason: policy.AddressNotListed, Count: 4, Last: denied.Last, Address: denied.LastAddress}}, usage.Denials)
	require.Empty(t, usage.WouldDeny)
	require.Empty(t, usage.Gaps)
	require.Equal(t, usage.Evidence.Time.Add(-30*day), usage.Evidence.Begin)

	_, err = w.admin.Usage(w.ctx, "other", "k")
	requireClass(t, admin.NotFound, err)
}

// An entry or a secret that is removed or has ended is no more than history.
func TestUsageEnded(t *testing.T) {
	w := newWorld(t)
	first := w.key("k", "203.0.113.0/24", "reader").Secrets[0].ID()
	w.apply(ann, plain, admin.Rotate("k", time.Hour))
	second := w.stored("k").Secrets[1].ID()
	last := accesslist.Usage{Count: 1, Last: w.now.Add(-time.Minute)}
	usage := store.KeyUsage{Secrets: map[string]accesslist.Usage{first: last, second: last}, Entries: map[netip.Prefix]accesslist.Usage{
		netip.MustParsePrefix("203.0.113.0/24"): last, netip.MustParsePrefix("192.0.2.7/32"): last}}
	require.NoError(t, w.memory.RecordUsage(w.ctx, map[apikey.ID]store.KeyUsage{"k": usage}))
	ended := func() (names []string) {
		used, err := w.admin.Usage(w.ctx, "acme", "k")
		require.NoError(t, err)
		require.Len(t, used.Uses, 4)
		for _, use := range used.Uses {
			if use.Ended {
				names = append(names, use.Entry+use.Secret)
			}
		}
		return names
	}
	require.Equal(t, []string{"192.0.2.7"}, ended())
	w.now = w.now.Add(time.Hour)
	require.ElementsMatch(t, []string{"192.0.2.7", first}, ended())
	w.edit("k", func(k *apikey.Key) { k.AccessList, k.Secrets = w.list("198.51.100.1"), k.Secrets[1:] })
	require.ElementsMatch(t, []string{"192.0.2.7", "203.0.113.0/24", first}, ended())
}

// Without observation that is said, and lists are never null.
func TestUsageUnobserved(t *testing.T) {
	w := unobserved(t)
	w.key("k", "203.0.113.0/24", "reader")
	usage, err := w.admin.Usage(w.ctx, "acme", apikey.ID("k"))
	require.NoError(t, err)
	require.NotEmpty(t, usage.Gaps)
	data, err := json.Marshal(usage)
	require.NoError(t, err)
	require.Contains(t, string(data), `"uses":[],"addresses":[],"moreAddresses":false,"denials":[],"wouldDeny":[],"gaps":["`)
}
