package admin_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/memory"
)

// endpoints are those of the guard.
var endpoints = []policy.Endpoint{
	{Name: "GET status"},
	{Name: "GET reports", Roles: []string{"reader", "writer"}},
	{Name: "PUT reports", Roles: []string{"writer"}},
}

// exports stands for a program with a key that exports reports, as of noon.
func exports() (context.Context, *admin.Admin, admin.Actor, *time.Time) {
	ctx, now := context.Background(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	a, err := admin.New(memory.New(), admin.WithManagers("owner"), admin.WithClock(func() time.Time { return now }))
	if err != nil {
		panic(err)
	}
	ann := admin.ByPerson("ann@example.com", "Ann", netip.MustParseAddr("198.51.100.77"))
	entries := entriesOf("203.0.113.0/24", "198.51.100.9")
	entries[1].Expires = now.Add(time.Hour)
	_, err = a.Apply(ctx, ann, "acme", admin.ApplyOptions{},
		admin.CreateOrganization(policy.Required),
		admin.CreateKey(admin.NewKey{ID: "export", Entries: entries,
			Grants: []apikey.Grant{{Role: "reader", AllProjects: true}, {Role: "writer", Project: "blue"}}}))
	if err != nil {
		panic(err)
	}
	return ctx, a, ann, &now
}

// The answers are those of policy.Evaluate to calls of the guard's endpoints, here from any
// address on the key's list.
func ExampleAdmin_May() {
	ctx, a, _, _ := exports()
	may, err := a.May(ctx, "acme", "export", endpoints, netip.Addr{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(may)
	// Output:
	// key "export" of organization "acme", from any address with a live entry, at 2026-03-01T12:00:00Z: address_listed
	// organization
	//   GET status   yes  no grant needed
	//   GET reports  no   role_missing
	//   PUT reports  no   role_missing
	//
	// project "blue"
	//   GET status   yes  "reader" in all projects
	//   GET reports  yes  "reader" in all projects
	//   PUT reports  yes  "writer" in project "blue"
	//
	// all projects
	//   GET status   yes  "reader" in all projects
	//   GET reports  yes  "reader" in all projects
	//   PUT reports  no   role_missing
}

// A customer reports a 403 with the address that the answer named. The investigation says which
// line answered, and what would let the call pass. One proposal is applied as it was previewed.
func ExampleAdmin_Investigate() {
	ctx, a, ann, now := exports()
	*now = now.Add(4 * time.Hour)
	found, err := a.Investigate(ctx, ann, "acme", admin.Call{
		Key: "export", Client: netip.MustParseAddr("198.51.100.9"), Endpoint: endpoints[1],
		Resource: policy.Resource{Organization: "acme", Project: "blue"}, Time: now.Add(-2 * time.Hour),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(found)

	renew := found.Remedies[0]
	result, err := a.Apply(ctx, ann, "acme", admin.ApplyOptions{Token: renew.Preview.Token, Reason: "ticket 4711"}, renew.Changes()...)
	fmt.Println(result.Events[0].Type, result.Events[0].Entry, err)
	// Output:
	// deny address_not_listed
	//  1 invalid_request                   no   key "export", client "198.51.100.9", organization "acme", project "blue"
	//  2 console_forbidden                 no   the call is to the API
	//  3 unavailable                       no   the source answered
	//  4 unknown_key                       no   key "export" belongs to organization "acme", revision 2
	//  5 wrong_secret                      no   verified by other means than a secret
	//  6 key_disabled                      no   the key is switched on; organization "acme" is switched on
	//  7 key_not_yet_valid                 no   the not-before is unset
	//  8 key_expired                       no   the expiry is unset
	//  9 address_not_listed                yes  198.51.100.9 is covered by none; the list has 2 entries, 1 expired
	// The call was at 2026-03-01T14:00:00Z. The records are those of now: the key at revision 2, the organization at 1.
	// Made again, it is denied: address_not_listed. It passes after
	// - Renew the entry 198.51.100.9 until 2026-03-02T16:00:00Z.
	// key.entry_changed 198.51.100.9/32 <nil>
}

// Where two lines are in the way, the remedy is two changes with one preview.
func ExampleInvestigation_obstacles() {
	ctx, a, ann, _ := exports()
	if _, err := a.Apply(ctx, ann, "acme", admin.ApplyOptions{Reason: "it may have leaked"}, admin.DisableKey("export")); err != nil {
		fmt.Println(err)
		return
	}
	found, err := a.Investigate(ctx, ann, "acme", admin.Call{
		Key: "export", Client: netip.MustParseAddr("192.0.2.9"), Endpoint: endpoints[0], Resource: policy.Resource{Organization: "acme"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(found.Obstacles)
	for _, remedy := range found.Remedies {
		fmt.Println(remedy, "Then:", remedy.After)
		for _, effect := range remedy.Preview.Keys {
			fmt.Println(effect.Key, effect.Class, "in", remedy.Proposals[0].Kind, "and", remedy.Proposals[1].Kind)
		}
	}
	// Output:
	// [key_disabled address_not_listed]
	// Switch the key on. Add 192.0.2.9 to the access list until 2026-03-02T12:00:00Z. Then: address_listed
	// export widens in enable_key and add_entries
}
