package admin_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/replica"
)

// service stands for a program that has an Admin of its store. The organization acme has a
// key that manages it, called from 198.51.100.1, and one that reads, called from 203.0.113.7.
func service() (context.Context, *memory.Store, *admin.Admin, admin.Actor) {
	ctx, keys := context.Background(), memory.New()
	a, err := admin.New(keys, admin.WithManagers("owner"), admin.RequireJournal())
	if err != nil {
		panic(err)
	}
	ann := admin.ByPerson("ann@example.com", "Ann", netip.MustParseAddr("198.51.100.77")).Via("console", "")
	_, err = a.Apply(ctx, ann, "acme", admin.ApplyOptions{},
		admin.CreateOrganization(policy.NotRequired),
		admin.CreateKey(admin.NewKey{ID: "deploy", Grants: []apikey.Grant{{Role: "owner"}}, Entries: entriesOf("198.51.100.1")}),
		admin.CreateKey(admin.NewKey{ID: "report", Grants: []apikey.Grant{{Role: "reader"}}, Entries: entriesOf("203.0.113.7")}),
	)
	if err != nil {
		panic(err)
	}
	return ctx, keys, a, ann
}

func entriesOf(texts ...string) (entries []accesslist.Entry) {
	for _, text := range texts {
		entry, err := accesslist.ParseEntry(text)
		if err != nil {
			panic(err)
		}
		entries = append(entries, entry)
	}
	return entries
}

// A key is created, and its secret shown once.
func Example() {
	ctx, _, a, ann := service()
	result, err := a.Apply(ctx, ann, "acme", admin.ApplyOptions{}, admin.CreateKey(admin.NewKey{
		Description: "nightly export",
		Grants:      []apikey.Grant{{Role: "reader"}},
		Entries:     entriesOf("203.0.113.0/24"),
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	key, secret := result.Keys[0], result.Secrets[0].Secret
	fmt.Println(key.Description, key.Status, key.Entries[0].Address)
	fmt.Println("shown once:", len(secret.Reveal()), "characters; logged:", secret)
	for _, event := range result.Events {
		fmt.Println(event.Type, event.Actor.ID, event.Via)
	}
	// Output:
	// nightly export active 203.0.113.0/24
	// shown once: 62 characters; logged: [redacted]
	// key.created ann@example.com console
	// key.entry_added ann@example.com console
}

// An entry is added after a look at what it does. The token makes sure that nothing that
// matters has changed between the look and the change.
func ExampleAdmin_Preview() {
	ctx, _, a, ann := service()
	change := admin.AddEntries("report", entriesOf("192.0.2.0/28")...)
	preview, err := a.Preview(ctx, ann, "acme", change)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, key := range preview.Keys {
		fmt.Printf("%s %s: from %s %s, then %s\n", key.Key, key.Class, key.Address, key.Before, key.After)
	}
	result, err := a.Apply(ctx, ann, "acme", admin.ApplyOptions{Token: preview.Token}, change)
	fmt.Println(len(result.Keys[0].Entries), "entries,", err)
	// Output:
	// report widens: from 192.0.2.0 address_not_listed, then address_listed
	// 2 entries, <nil>
}

// Switching the requirement on shows whom it hits, and goes ahead by name.
func ExampleAdmin_Apply_accept() {
	ctx, keys, a, ann := service()
	result, err := a.Apply(ctx, ann, "acme", admin.ApplyOptions{Accept: []admin.Kind{admin.Opens}, Reason: "it runs on laptops"},
		admin.CreateKey(admin.NewKey{ID: "laptops", Grants: []apikey.Grant{{Role: "reader"}}}))
	if err != nil {
		fmt.Println(err)
		return
	}
	// A store/usage Recorder does this for the calls that the guard allowed.
	_ = keys.RecordUsage(ctx, adapter.UsageBatch(store.UsageRecord{Key: "laptops", Secret: result.Secrets[0].ID,
		Usage: accesslist.Usage{Count: 12, Last: time.Now(), LastAddress: netip.MustParseAddr("192.0.2.50")}}))

	require := admin.SetRequirement(policy.Required)
	preview, _ := a.Preview(ctx, ann, "acme", require)
	for _, key := range preview.Keys {
		fmt.Println(key.Key, key.Class, "from", key.Address, "by", key.After)
	}
	fmt.Println(preview.Totals.Unchanged, "unchanged; in the way:", preview.Needs())

	terms := admin.ApplyOptions{Token: preview.Token, Accept: []admin.Kind{admin.BreaksKey}, Reason: "they were told in May"}
	result, err = a.Apply(ctx, ann, "acme", terms, require)
	fmt.Println(result.Organizations[0].Requirement, err)
	fmt.Println(result.Events[0].Accepted, result.Events[0].Reason)
	// Output:
	// laptops breaks from 192.0.2.50 by organization_requires_access_list
	// 2 unchanged; in the way: [breaks_key]
	// required <nil>
	// [breaks_key] they were told in May
}

// In an emergency a person suspends the requirement. It applies again by itself.
func ExampleSuspendRequirement() {
	ctx, _, a, ann := service()
	terms := admin.ApplyOptions{Accept: []admin.Kind{admin.Opens}, Reason: "the proxy is down, incident 4711"}
	_, err := a.Apply(ctx, ann, "acme", terms, admin.SetRequirement(policy.Required))
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := a.Apply(ctx, ann, "acme", terms, admin.SuspendRequirement(time.Now().Add(30*time.Minute)))
	fmt.Println(result.Events[0].Type, err)
	fmt.Println(time.Until(result.Organizations[0].SuspendedUntil) <= 30*time.Minute)

	_, err = a.Apply(ctx, ann, "acme", terms, admin.SuspendRequirement(time.Now().Add(48*time.Hour)))
	fmt.Println(err)
	// Output:
	// organization.requirement_suspended <nil>
	// true
	// store/admin: invalid: A suspension lasts 24 hours at most. Choose an earlier end.
}

// Keys are found by the words that the embedding program gave them.
func ExampleSetLabels() {
	ctx, _, a, ann := service()
	_, err := a.Apply(ctx, ann, "acme", admin.ApplyOptions{},
		admin.SetLabels("report", map[string]string{"team": "finance"}), admin.SetExternalID("report", "cus_8123"))
	if err != nil {
		fmt.Println(err)
		return
	}
	page, err := a.Keys(ctx, "acme", store.PageRequest{Filter: store.Filter{Label: "team=finance"}})
	for _, key := range page.Items {
		fmt.Println(key.ID, key.Labels["team"], key.ExternalID, err)
	}
	// Output:
	// report finance cus_8123 <nil>
}

// A key is rotated with an overlap, and the old secret ended once nobody uses it.
func ExampleRotate() {
	ctx, _, a, ann := service()
	result, err := a.Apply(ctx, ann, "acme", admin.ApplyOptions{}, admin.Rotate("report", 24*time.Hour))
	if err != nil {
		fmt.Println(err)
		return
	}
	old := result.Keys[0].Secrets[0]
	fmt.Println(len(result.Keys[0].Secrets), "live secrets; the old one ends:", !old.Expires.IsZero())

	end := admin.EndSecret("report", old.ID, time.Time{})
	if preview, _ := a.Preview(ctx, ann, "acme", end); preview.Totals.Breaks == 0 {
		result, err = a.Apply(ctx, ann, "acme", admin.ApplyOptions{Reason: "the new one is in use"}, end)
		fmt.Println(result.Events[0].Type, err)
	}
	// Output:
	// 2 live secrets; the old one ends: true
	// key.secret_ended <nil>
}

// A key cannot lock itself out. It is told what would answer it, and what would cover it.
func ExampleByKey() {
	ctx, keys, a, ann := service()
	result, _ := a.Apply(ctx, ann, "acme", admin.ApplyOptions{}, admin.Rotate("deploy", 0))
	request := policy.Request{ // as the guard of the service reads it
		Key: "deploy", Secret: result.Secrets[0].Secret, Client: netip.MustParseAddr("198.51.100.1"),
		Organization: "acme", Endpoint: &policy.Endpoint{Name: "replace list", Roles: []string{"owner"}},
	}
	actor, err := admin.ByKey(policy.New(keys).Decide(ctx, request))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = a.Apply(ctx, actor, "acme", admin.ApplyOptions{}, admin.ReplaceEntries("deploy", entriesOf("203.0.113.0/24")...))
	var refusal *admin.Error
	if errors.As(err, &refusal) {
		fmt.Println(refusal.Class)
		fmt.Println(refusal.Message)
		fmt.Println("add:", refusal.Findings[0].Covers)
	}
	// Output:
	// refused
	// The change is refused. The key that makes this change, from the address 198.51.100.1, would be denied after the change: no entry of its access list covers the address. An entry 198.51.100.1 would cover it.
	// add: 198.51.100.1
}

// A leaked key is disabled at once, and the call returns when no replica accepts it any more.
func ExampleWaitFor() {
	ctx, keys, a, ann := service()
	copied, err := replica.New(keys)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer copied.Close()

	_, err = a.Apply(ctx, ann, "acme", admin.ApplyOptions{Reason: "found in a public repository"}, admin.DisableKey("report"))
	fmt.Println("disabled:", err)
	fmt.Println("in force:", admin.WaitFor(ctx, copied))
	subject, _, err := copied.LookupNow("report")
	fmt.Println(subject.Key().Disabled, err)
	// Output:
	// disabled: <nil>
	// in force: <nil>
	// true <nil>
}
