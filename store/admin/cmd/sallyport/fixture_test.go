package main

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/memory"
)

// began is when the scripts begin, a day after their store was made.
var began = time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)

// aStore returns a store with two organizations and some keys, used in the last ten minutes:
//   - acme requires access lists: owner, report with an expired and a broad entry, and old
//     without a list;
//   - globex requires none, and its key is open.
func aStore(t testing.TB) store.Store {
	keys := memory.New()
	fill(t, keys)
	return keys
}

func fill(t testing.TB, keys store.Store) {
	ctx := context.Background()
	made := began.Add(-24 * time.Hour)
	clock := func() time.Time { return made }
	issuer, err := apikey.NewIssuer(apikey.IssuerConfig{Clock: clock})
	require.NoError(t, err)
	a, err := admin.New(keys, admin.RequireJournal(), admin.WithPeopleManaging(), admin.WithClock(clock), admin.WithIssuer(issuer))
	require.NoError(t, err)
	apply := func(organization string, accept admin.Kind, changes ...admin.Change) {
		options := admin.ApplyOptions{}
		if accept != "" {
			options = admin.ApplyOptions{Accept: []admin.Kind{accept}, Reason: "set up"}
		}
		_, err := a.Apply(ctx, admin.BySystem("set-up"), organization, options, changes...)
		require.NoError(t, err)
	}
	apply("acme", admin.Opens, admin.CreateOrganization(policy.NotRequired), admin.SetName("Acme Ltd"),
		admin.CreateKey(admin.NewKey{ID: "owner", Description: "manages acme", Grants: []apikey.Grant{{Role: "owner"}}, Entries: listOf(t, "198.51.100.0/24 # the office"), Labels: map[string]string{"team": "core"}}),
		admin.CreateKey(admin.NewKey{ID: "report", Description: "nightly report", Grants: []apikey.Grant{{Role: "reader", AllProjects: true}, {Role: "writer", Project: "p1"}},
			Entries: listOf(t, "203.0.113.0/24", "192.0.2.7 expires=2031-05-06T00:00:00Z # a visitor")}),
		admin.CreateKey(admin.NewKey{ID: "old", Description: "before lists", Grants: []apikey.Grant{{Role: "reader"}}, ExternalID: "crm-7"}))
	apply("acme", "", admin.SetRequirement(policy.Required))
	apply("globex", admin.Opens, admin.CreateOrganization(policy.NotRequired),
		admin.CreateKey(admin.NewKey{ID: "globe", Grants: []apikey.Grant{{Role: "reader"}}}))

	recorder, ok := store.As[store.UsageRecorder](keys)
	require.True(t, ok)
	last := began.Add(-10 * time.Minute)
	usage := accesslist.Usage{Count: 40, Last: last, LastAddress: netip.MustParseAddr("203.0.113.9")}
	require.NoError(t, recorder.RecordUsage(ctx, map[apikey.ID]store.KeyUsage{
		"report": {
			Entries: map[netip.Prefix]accesslist.Usage{netip.MustParsePrefix("203.0.113.0/24"): usage},
			Addresses: map[netip.Addr]store.AddressUsage{netip.MustParseAddr("203.0.113.9"): {Count: 30, First: made, Last: last},
				netip.MustParseAddr("203.0.113.12"): {Count: 10, First: made, Last: last.Add(-time.Hour)}},
			Denials: map[policy.Reason]accesslist.Usage{policy.AddressNotListed: {Count: 3, Last: last, LastAddress: netip.MustParseAddr("192.0.2.7")}},
		},
		"old": {Denials: map[policy.Reason]accesslist.Usage{policy.OrganizationRequiresAccessList: {Count: 5, Last: last, LastAddress: netip.MustParseAddr("203.0.113.77")}}},
	}))
	require.NoError(t, recorder.RecordObservation(ctx, store.Report{Recorder: "r1", Since: made.Add(-40 * 24 * time.Hour), From: made.Add(-40 * 24 * time.Hour), Until: began, At: began}))
}

func listOf(t testing.TB, lines ...string) []accesslist.Entry {
	var all []accesslist.Entry
	for _, line := range lines {
		list, err := accesslist.Parser{}.ParseText([]byte(line))
		require.NoError(t, err)
		all = slices.AppendSeq(all, list.All())
	}
	return all
}
