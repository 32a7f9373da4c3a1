package admin_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/memory"
)

// called stands for calls that the guard decides and a store/usage Recorder counts.
func called(ctx context.Context, keys *memory.Store, secret apikey.Secret, clients ...string) {
	engine := policy.New(keys)
	for _, client := range clients {
		decision := engine.Decide(ctx, policy.Request{Key: "report", Secret: secret, Client: netip.MustParseAddr(client), Organization: "acme"})
		record, _ := store.UsageOf(decision)
		record.Last = time.Now() // without an observer the engine reads no clock
		_ = keys.RecordUsage(ctx, adapter.UsageBatch(record))
	}
}

// A list is tightened to the addresses in use: one look, and one write.
func ExampleAdmin_Tighten() {
	ctx, keys, a, ann := service()
	terms := admin.ApplyOptions{Reason: "a new office"}
	result, err := a.Apply(ctx, ann, "acme", terms, admin.Rotate("report", 0), admin.AddEntries("report", entriesOf("192.0.2.0/24")...))
	if err != nil {
		fmt.Println(err)
		return
	}
	called(ctx, keys, result.Secrets[0].Secret, "192.0.2.16", "192.0.2.17", "192.0.2.18", "192.0.2.16")

	tightening, err := a.Tighten(ctx, ann, "acme", "report", admin.TightenOptions{Budget: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, entry := range tightening.Removed {
		fmt.Println("-", entry.Address)
	}
	for _, entry := range tightening.Added {
		fmt.Println("+", entry.Address)
	}
	fmt.Println(len(tightening.Observed), "addresses;", tightening.Preview.Keys[0].Class, tightening.Preview.Needs())
	fmt.Println(tightening.Gaps[0])

	terms = admin.ApplyOptions{Token: tightening.Preview.Token, Reason: "as observed"}
	result, err = a.Apply(ctx, ann, "acme", terms, tightening.Change)
	fmt.Println(result.Keys[0].Entries[0].Address, err)
	// Output:
	// - 192.0.2.0/24
	// - 203.0.113.7
	// + 192.0.2.16/30
	// 3 addresses; may_break []
	// Usage was not observed for 30 days of the last 30 days.
	// 192.0.2.16/30 <nil>
}

// A list is tried before it comes into force. A call that it would deny is served meanwhile,
// and shows in the preview.
func ExampleSetTrialList() {
	ctx, keys, a, ann := service()
	result, err := a.Apply(ctx, ann, "acme", admin.ApplyOptions{}, admin.Rotate("report", 0),
		admin.AddEntries("report", entriesOf("192.0.2.0/24")...), admin.SetTrialList("report", entriesOf("203.0.113.7", "192.0.2.0/28")...))
	if err != nil {
		fmt.Println(err)
		return
	}
	called(ctx, keys, result.Secrets[0].Secret, "192.0.2.1", "192.0.2.77")

	preview, _ := a.Preview(ctx, ann, "acme", admin.EnforceTrial("report"))
	key := preview.Keys[0]
	fmt.Println(key.Key, key.Class, preview.Needs())
	for _, denied := range key.WouldDeny {
		fmt.Println(denied.Count, "would be denied, the last from", denied.Address, "by", denied.Reason)
	}

	// The list is corrected, and then enforced.
	result, err = a.Apply(ctx, ann, "acme", admin.ApplyOptions{Reason: "tried for a week"},
		admin.SetTrialList("report", entriesOf("192.0.2.0/28", "192.0.2.77")...), admin.EnforceTrial("report"))
	for _, entry := range result.Keys[0].Entries {
		fmt.Println(entry.Address)
	}
	fmt.Println(err)
	// Output:
	// report breaks [breaks_key]
	// 1 would be denied, the last from 192.0.2.77 by address_not_listed
	// 192.0.2.0/28
	// 192.0.2.77
	// <nil>
}

// After a rotation the old secret is ended once it is out of use.
func ExampleAdmin_Rotation() {
	ctx, _, a, ann := service()
	_, err := a.Apply(ctx, ann, "acme", admin.ApplyOptions{}, admin.Rotate("report", 7*24*time.Hour))
	if err != nil {
		fmt.Println(err)
		return
	}
	rotation, err := a.Rotation(ctx, "acme", "report", 0)
	for _, secret := range rotation.Secrets {
		if secret.SafeToEnd {
			end := admin.EndSecret("report", secret.ID, time.Time{}).At(rotation.Revision)
			_, err = a.Apply(ctx, ann, "acme", admin.ApplyOptions{Reason: "out of use"}, end)
			continue
		}
		fmt.Println(secret.Why)
	}
	fmt.Println(err)
	// Output:
	// Usage was not observed for 1 day of the last 1 day. The usage of the latest calls is not known yet.
	// It is the latest secret. Rotate the key first.
	// <nil>
}
