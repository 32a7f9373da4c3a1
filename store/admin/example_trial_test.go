package admin_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A list is tightened to the addresses in use: one look, and one write.
func ExampleAdmin_Tighten() {
	c, ctx := newCompany(), context.Background()
	defer c.close()
	_, secret := c.customer(policy.NotRequired)
	must(c.admin.Apply(ctx, c.ann, "acme", admin.ApplyOptions{Reason: "a new office"}, admin.AddEntries("report", entriesOf("192.0.2.0/24")...)))
	for _, client := range strings.Fields("192.0.2.16 192.0.2.17 192.0.2.18 192.0.2.16") {
		c.call("report", secret, client, "reader")
	}
	c.pass(20 * 24 * time.Hour)
	c.call("report", secret, "192.0.2.17", "reader")

	tightening := must(c.admin.Tighten(ctx, c.ann, "acme", "report", admin.TightenOptions{Budget: 1}))
	for _, entry := range tightening.Removed {
		fmt.Println("-", entry.Address)
	}
	for _, entry := range tightening.Added {
		fmt.Println("+", entry.Address)
	}
	fmt.Println("for", len(tightening.Observed), "addresses; to accept:", tightening.Preview.Needs())
	fmt.Println(tightening.Gaps)

	terms := admin.ApplyOptions{Token: tightening.Preview.Token, Reason: "as observed"}
	must(c.admin.Apply(ctx, c.ann, "acme", terms, tightening.Change))
	fmt.Println("192.0.2.17:", c.call("report", secret, "192.0.2.17", "reader").Reason)
	fmt.Println("192.0.2.99:", c.call("report", secret, "192.0.2.99", "reader").Reason)
	// Output:
	// - 192.0.2.0/24
	// - 203.0.113.7
	// + 192.0.2.16/30
	// for 3 addresses; to accept: []
	// [Usage was not observed for 10 days of the last 30 days.]
	// 192.0.2.17: address_listed
	// 192.0.2.99: address_not_listed
}

// A list is tried before it comes into force. A call that it would deny is served meanwhile,
// and shows in the preview.
func ExampleSetTrialList() {
	c, ctx := newCompany(), context.Background()
	defer c.close()
	_, secret := c.customer(policy.NotRequired)
	must(c.admin.Apply(ctx, c.ann, "acme", admin.ApplyOptions{}, admin.AddEntries("report", entriesOf("192.0.2.0/24")...)))
	must(c.admin.Apply(ctx, c.ann, "acme", admin.ApplyOptions{}, admin.SetTrialList("report", entriesOf("203.0.113.7", "192.0.2.0/28")...)))
	for _, client := range strings.Fields("192.0.2.1 192.0.2.77") {
		fmt.Println(client, "is", c.call("report", secret, client, "reader").Reason)
	}

	c.pass(7 * 24 * time.Hour)
	key := must(c.admin.Preview(ctx, c.ann, "acme", admin.EnforceTrial("report"))).Keys[0]
	for _, denied := range key.WouldDeny {
		fmt.Println(key.Key, key.Class, "by", denied.Reason, "at", denied.Address)
	}

	// The list is corrected, and then enforced.
	must(c.admin.Apply(ctx, c.ann, "acme", admin.ApplyOptions{}, admin.SetTrialList("report", entriesOf("192.0.2.0/28", "192.0.2.77")...)))
	enforce := admin.EnforceTrial("report")
	preview := must(c.admin.Preview(ctx, c.ann, "acme", enforce))
	fmt.Println("to accept:", preview.Needs())
	result := must(c.admin.Apply(ctx, c.ann, "acme", admin.ApplyOptions{Token: preview.Token, Reason: "tried for a week"}, enforce))
	for _, event := range result.Events {
		fmt.Println(event.Type)
	}
	fmt.Println("203.0.113.7 is", c.call("report", secret, "203.0.113.7", "reader").Reason)
	// Output:
	// 192.0.2.1 is address_listed
	// 192.0.2.77 is address_listed
	// report breaks by address_not_listed at 192.0.2.77
	// to accept: []
	// key.entry_removed
	// key.entry_removed
	// key.entry_added
	// key.entry_added
	// key.trial_list_changed
	// 203.0.113.7 is address_not_listed
}

// A rotation says why its old secret is not safe to end yet.
func ExampleAdmin_Rotation() {
	c, ctx := newCompany(), context.Background()
	defer c.close()
	c.customer(policy.NotRequired)
	must(c.admin.Apply(ctx, c.ann, "acme", admin.ApplyOptions{}, admin.Rotate("report", 7*24*time.Hour)))
	c.pass(48 * time.Hour)
	must(0, c.usage.Flush(ctx))
	for _, secret := range must(c.admin.Rotation(ctx, "acme", "report", 0)).Secrets {
		fmt.Println(secret.SafeToEnd, secret.Why)
	}
	// Output:
	// false The latest secret was not used yet.
	// false It is the latest secret. Rotate the key first.
}
