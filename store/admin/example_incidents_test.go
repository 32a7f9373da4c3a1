package admin_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A secret is rotated without an outage: for a week both are valid, and the usage of each
// shows when the program has moved on, and the old one is safe to end.
func Example_rotateWithoutOutage() {
	c, ctx := newCompany(), context.Background()
	defer c.close()
	_, old := c.customer(policy.Required)
	c.call("report", old, "203.0.113.7", "reader")

	result := must(c.admin.Apply(ctx, c.ann, "acme", admin.ApplyOptions{Reason: "yearly"}, admin.Rotate("report", 7*24*time.Hour)))
	// Show the new secret when every replica has it: its owner may use it at once.
	must(0, admin.WaitFor(ctx, c.replica))
	fresh := result.Secrets[0].Secret
	fmt.Println("old:", c.call("report", old, "203.0.113.7", "reader").Reason)
	fmt.Println("new:", c.call("report", fresh, "203.0.113.7", "reader").Reason)

	// The page of the key: when and where was each secret used last?
	c.pass(6 * time.Hour)
	c.call("report", fresh, "203.0.113.7", "reader")
	for i, secret := range must(c.admin.Rotation(ctx, "acme", "report", 24*time.Hour)).Secrets {
		fmt.Printf("secret %d: %d calls, the last %v ago from %v. %s\n", i+1, secret.Count, c.now().Sub(secret.Last), secret.Address, secret.Why)
	}

	// The next day nobody has used the old one, and that is observed. If nothing is done, it
	// ends by the clock.
	c.pass(19 * time.Hour)
	c.call("report", fresh, "203.0.113.7", "reader")
	rotation := must(c.admin.Rotation(ctx, "acme", "report", 24*time.Hour))
	if unused := rotation.Secrets[0]; unused.SafeToEnd {
		end := admin.EndSecret("report", unused.ID, time.Time{}).At(rotation.Revision)
		must(c.admin.Apply(ctx, c.ann, "acme", admin.ApplyOptions{Reason: "idle since " + unused.IdleSince.Format(time.RFC3339)}, end))
	}
	fmt.Println("old:", c.call("report", old, "203.0.113.7", "reader").Reason)
	fmt.Println("new:", c.call("report", fresh, "203.0.113.7", "reader").Reason)
	// Output:
	// old: address_listed
	// new: address_listed
	// secret 1: 2 calls, the last 6h0m0s ago from 203.0.113.7. It was used at 2026-03-02T09:00:00Z. Without further use it is safe to end at 2026-03-03T09:00:00Z.
	// secret 2: 2 calls, the last 0s ago from 203.0.113.7. It is the latest secret. Rotate the key first.
	// old: wrong_secret
	// new: address_listed
}

// A customer reports a 403. The decision has what was compared, a preview shows whether a
// change would help, and the remedy ends by the clock.
func Example_investigateRefusal() {
	c, ctx := newCompany(), context.Background()
	defer c.close()
	_, secret := c.customer(policy.Required)
	denied := c.call("report", secret, "203.0.113.99", "reader")

	// The customer sees the address as the service saw it, the operator what was compared.
	fmt.Println(denied.Answer().Code, denied.Answer().Parameters)
	lines := strings.Split(strings.TrimSpace(denied.Explain()), "\n")
	fmt.Println(lines[len(lines)-1])
	for reason, use := range must(c.store.Usage(ctx, "report"))["report"].Denials {
		fmt.Println("denied by", reason, use.Count, "times, the last from", use.LastAddress)
	}

	// Would this entry be enough? Evaluate answers on the records after the change.
	entry := entriesOf("203.0.113.99")[0]
	entry.Comment, entry.Expires = "ticket 815", c.now().Add(24*time.Hour)
	remedy := admin.AddEntries("report", entry)
	preview := must(c.admin.Preview(ctx, c.ann, "acme", remedy))
	fmt.Println("from", preview.Keys[0].Address, preview.Keys[0].Before, "then", preview.Keys[0].After)

	must(c.admin.Apply(ctx, c.ann, "acme", admin.ApplyOptions{Token: preview.Token, Reason: "ticket 815"}, remedy))
	fmt.Println("today:", c.call("report", secret, "203.0.113.99", "reader").Reason)
	c.pass(24 * time.Hour)
	fmt.Println("tomorrow:", c.call("report", secret, "203.0.113.99", "reader").Reason)
	// Output:
	// IP_ADDRESS_NOT_ON_ACCESS_LIST [203.0.113.99]
	//  9 address_not_listed                yes  203.0.113.99 is covered by none; the list has 1 entry, 0 expired
	// denied by address_not_listed 1 times, the last from 203.0.113.99
	// from 203.0.113.99 address_not_listed then address_listed
	// today: address_listed
	// tomorrow: address_not_listed
}

// The addresses of a customer change overnight. Nobody is exempt from the guard: break-glass
// is a suspension, a temporary entry or a temporary key, and each ends by the clock.
func Example_breakGlass() {
	c, ctx := newCompany(), context.Background()
	defer c.close()
	deploy, _ := c.customer(policy.NotRequired)
	open := admin.ApplyOptions{Accept: []admin.Kind{admin.Opens}, Reason: "incident 42"}
	result := must(c.admin.Apply(ctx, c.ann, "acme", open, admin.CreateKey(admin.NewKey{ID: "worker", Grants: []apikey.Grant{{Role: "reader"}}})))
	worker := result.Secrets[0].Secret
	must(c.admin.Apply(ctx, c.ann, "acme", open, admin.SetRequirement(policy.Required)))
	fmt.Println("required:", c.call("worker", worker, "192.0.2.50", "reader").Reason)

	// A key cannot suspend what restricts it. A person can, with a reason, for a day at most.
	key := must(admin.ByKey(c.call("deploy", deploy, "198.51.100.1", "owner")))
	suspend := admin.SuspendRequirement(c.now().Add(30 * time.Minute))
	_, err := c.admin.Apply(ctx, key, "acme", open, suspend)
	fmt.Println("a key:", admin.ClassOf(err))
	_, err = c.admin.Apply(ctx, c.ann, "acme", admin.ApplyOptions{}, suspend)
	fmt.Println("without a word:", admin.ClassOf(err))
	must(c.admin.Apply(ctx, c.ann, "acme", open, suspend))

	// Decisions have the answer without the suspension, to see who depends on it.
	decision := c.call("worker", worker, "192.0.2.50", "reader")
	fmt.Println("suspended:", decision.Reason, "would be", decision.WouldDeny)
	c.pass(30 * time.Minute)
	fmt.Println("afterwards:", c.call("worker", worker, "192.0.2.50", "reader").Reason)

	// For one program an entry or a key with an end is narrower.
	result = must(c.admin.Apply(ctx, c.ann, "acme", admin.ApplyOptions{Reason: "incident 42"}, admin.CreateKey(admin.NewKey{
		ID: "temporary", Grants: []apikey.Grant{{Role: "reader"}}, Entries: entriesOf("192.0.2.50"), Expires: c.now().Add(time.Hour)})))
	fmt.Println("for an hour:", c.call("temporary", result.Secrets[0].Secret, "192.0.2.50", "reader").Reason)
	c.pass(time.Hour)
	fmt.Println("afterwards:", c.call("temporary", result.Secrets[0].Secret, "192.0.2.50", "reader").Reason)
	// Output:
	// required: organization_requires_access_list
	// a key: forbidden
	// without a word: refused
	// suspended: open_list would be organization_requires_access_list
	// afterwards: organization_requires_access_list
	// for an hour: address_listed
	// afterwards: key_expired
}

// A secret has leaked. Disable first: nothing but the caller's own lockout and the last
// manager are in the way of it. Then look, replace, and delete when nobody tries the key any
// more.
func Example_leakedKey() {
	c, ctx := newCompany(), context.Background()
	defer c.close()
	_, leaked := c.customer(policy.Required)
	must(c.admin.Apply(ctx, c.ann, "acme", admin.ApplyOptions{}, admin.AddEntries("report", entriesOf("198.18.0.0/15")...)))
	c.call("report", leaked, "203.0.113.7", "reader")
	c.call("report", leaked, "198.18.3.4", "reader")

	terms := admin.ApplyOptions{Reason: "found in a public repository"}
	result := must(c.admin.Apply(ctx, c.ann, "acme", terms, admin.DisableKey("report")))
	must(0, admin.WaitFor(ctx, c.replica)) // an error: disabled, but not yet known to be in force
	fmt.Println("now:", c.call("report", leaked, "198.18.3.4", "reader").Reason)

	// The effect is looked at afterwards. One of the addresses is not the customer's.
	for _, address := range result.Preview.Keys[0].Addresses {
		fmt.Println("was used from", address.Address)
	}
	// Who put that wide block there?
	request := store.EventRequest{Organization: "acme", Key: "report", Newest: true}
	for event, err := range store.AllEvents(ctx, c.store, request) {
		if must(event, err).Entry == netip.MustParsePrefix("198.18.0.0/15") {
			fmt.Println(event.Type, event.Entry, "by", event.Actor.Name)
		}
	}

	// A replacement with the same rights, on the right list.
	view := must(c.admin.Key(ctx, "acme", "report"))
	next := admin.NewKey{ID: "report-2", Description: view.Description, Labels: view.Labels, Entries: entriesOf("203.0.113.7")}
	for _, grant := range view.Grants {
		next.Grants = append(next.Grants, apikey.Grant(grant))
	}
	result = must(c.admin.Apply(ctx, c.ann, "acme", terms, admin.CreateKey(next)))
	fmt.Println("replaced:", c.call("report-2", result.Secrets[0].Secret, "203.0.113.7", "reader").Reason)

	// A week later: the last try is long ago, so the key goes. Its events stay.
	c.pass(8 * 24 * time.Hour)
	tried := must(c.store.Usage(ctx, "report"))["report"].Denials[policy.KeyDisabled]
	if c.now().Sub(tried.Last) > 7*24*time.Hour {
		must(c.admin.Apply(ctx, c.ann, "acme", admin.ApplyOptions{Reason: "nobody tries it any more"}, admin.DeleteKey("report")))
	}
	newest := must(c.store.Events(ctx, request)).Events[0]
	fmt.Println(newest.Type, newest.Key, "because", newest.Reason)
	// Output:
	// now: key_disabled
	// was used from 198.18.3.4
	// was used from 203.0.113.7
	// key.entry_added 198.18.0.0/15 by Ann
	// replaced: address_listed
	// key.deleted report because nobody tries it any more
}
