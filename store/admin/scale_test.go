package admin_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/memory"
)

// crowd stores n keys: every third without a list, half of these used.
func (w *world) crowd(n int) {
	w.t.Helper()
	key, _, err := w.issuer.New("acme", apikey.Grant{Role: "reader"})
	require.NoError(w.t, err)
	list := w.list("203.0.113.0/24 198.51.100.7 192.0.2.0/28")
	for i := range n {
		key.ID = apikey.ID(fmt.Sprintf("k%06d", i))
		key.AccessList = list
		if i%3 == 0 {
			key.AccessList = w.list("")
		}
		_, err := w.memory.PutKey(w.ctx, key, store.AllowOpen)
		require.NoError(w.t, err)
	}
	for i := 0; i < n; i += 6 {
		w.used(fmt.Sprintf("k%06d", i), "203.0.113.7", time.Hour, 3)
	}
}

// A change of the organization judges every key, page by page, and lists those that it hits.
func TestM15ManyKeys(t *testing.T) {
	const n = 2500 // three pages
	w := newWorld(t)
	w.crowd(n)
	w.key("boss", "198.51.100.1", "owner")
	preview := w.preview(ann, admin.SetRequirement(policy.Required))
	require.Equal(t, admin.Totals{Breaks: 417, Unused: 417, Unchanged: n + 1 - 834}, preview.Totals)
	require.Len(t, preview.Keys, 834)
	require.EqualValues(t, "k000000", preview.Keys[0].Key)
	require.Len(t, preview.Keys[0].Uses, 1)
	require.Equal(t, 417, preview.Findings[0].Count)
	require.Equal(t, `417 keys were used in the last 30 days and would be denied: key "k000000", key "k000006", key "k000012", key "k000018", key "k000024" and 412 more.`, preview.Findings[0].Text)
	w.apply(ann, admin.ApplyOptions{Token: preview.Token, Accept: preview.Needs(), Reason: "agreed with all 417"}, admin.SetRequirement(policy.Required))

	// The manager that is left may be on the last page.
	w.edit("k000000", func(k *apikey.Key) { k.Grants = []apikey.Grant{{Role: "owner"}}; k.AccessList = w.list("192.0.2.1") })
	require.Empty(t, w.preview(ann, admin.DeleteKey("boss")).Findings)
	w.apply(ann, plain, admin.DeleteKey("boss"))
	require.Equal(t, list(admin.LastManager), kinds(w.preview(ann, admin.DeleteKey("k000000")).Findings))
	w.key("zoe", "198.51.100.1", "owner")
	require.Empty(t, w.preview(ann, admin.DeleteKey("k000000")).Findings)
}

// A reading store counts the records that it returns.
type reading struct {
	*memory.Store
	keys, usages, calls int
}

func (r *reading) Keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
	page, err := r.Store.Keys(ctx, organization, request)
	r.calls, r.keys = r.calls+1, r.keys+len(page.Items)
	return page, err
}

func (r *reading) Usage(ctx context.Context, ids ...apikey.ID) (map[apikey.ID]store.KeyUsage, error) {
	r.calls, r.usages = r.calls+1, r.usages+len(ids)
	return r.Store.Usage(ctx, ids...)
}

// A preview of one organization reads nothing of the others, however many there are.
func TestPreviewReadsOneOrganization(t *testing.T) {
	const n = 1200
	preview := func(others int, change admin.Change) (admin.Preview, reading) {
		m := memory.New()
		r := &reading{Store: m}
		w := worldOf(t, r, m)
		w.observed(365 * day)
		w.crowd(n)
		w.key("boss", "198.51.100.1", "owner")
		for i := range others {
			organization := fmt.Sprintf("other-%d", i)
			w.organization(organization, policy.NotRequired)
			for k := range 20 {
				w.keyOf(organization, fmt.Sprintf("%s-%d", organization, k), "", "owner")
			}
		}
		preview := w.preview(ann, change)
		return preview, reading{keys: r.keys, usages: r.usages, calls: r.calls}
	}
	for _, change := range []admin.Change{admin.SetRequirement(policy.Required), admin.DisableOrganization(), admin.DeleteKey("boss"), admin.DisableKey("k000000")} {
		alone, read := preview(0, change)
		among, readAmong := preview(100, change)
		for i := range alone.Keys { // proven by another secret in each world
			for u := range alone.Keys[i].Uses {
				alone.Keys[i].Uses[u].Secret, among.Keys[i].Uses[u].Secret = "", ""
			}
		}
		require.Equal(t, alone, among, change)
		require.Equal(t, read, readAmong, change)
		require.LessOrEqual(t, read.keys, n+1, change)
		require.LessOrEqual(t, read.usages, n+1, change)
		require.LessOrEqual(t, read.calls, 2+n/store.MaxPageSize+2*(n/store.MaxUsageKeys), change)
	}
}

// An investigation without previews reads no key but its own.
func TestInvestigateAmongMany(t *testing.T) {
	m := memory.New()
	r := &reading{Store: m}
	w := worldOf(t, r, m)
	w.crowd(1200)
	w.apply(ann, admin.ApplyOptions{Accept: []admin.Kind{admin.BreaksKey}, Reason: "agreed"}, admin.SetRequirement(policy.Required))
	call := read("203.0.113.7")
	call.Key = "k000000" // without a list
	r.keys = 0
	found := w.investigate(ann, call)
	require.Equal(t, []string{"add_entries", "add_entries", "suspend_requirement", "set_requirement"}, proposed(found))
	require.Equal(t, 2*1200, r.keys)
	call.WithoutPreviews, r.keys = true, 0
	require.Equal(t, proposed(found), proposed(w.investigate(ann, call)))
	require.Zero(t, r.keys)
}

// The window is named in days where it is some.
func TestWindowInWords(t *testing.T) {
	for window, words := range map[time.Duration]string{day: "1 day", 36 * time.Hour: "36h0m0s", 7 * day: "7 days"} {
		w := newWorld(t, admin.WithWindow(window))
		w.key("boss", "198.51.100.1", "owner")
		w.key("k", "203.0.113.7", "reader")
		w.used("k", "203.0.113.7", time.Hour, 1)
		require.Contains(t, w.preview(ann, admin.DeleteKey("k")).Findings[0].Text, "in the last "+words+" ")
	}
}

func BenchmarkPreviewRequirement(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b)
			w.crowd(n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.admin.Preview(w.ctx, ann, "acme", admin.SetRequirement(policy.Required)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
