package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/replica"
	"github.com/sallyport-go/sallyport/store/usage"
)

// The flows of managing, in the order of a customer's life: this file goes from the first key
// to the switch, example_incidents_test.go from a rotation to a leak. A list on trial and
// tightening come before the switch, and have examples of their own. All flows here use one
// company.

// A company sells an API: it has a store, decides from a replica, counts usage, and manages.
type company struct {
	elapsed atomic.Int64 // nanoseconds since the first morning, by every clock
	store   *memory.Store
	replica *replica.Replica
	usage   *usage.Recorder
	engine  *policy.Engine
	admin   *admin.Admin
	ann     admin.Actor // of the company's staff
}

func newCompany() *company {
	c := &company{store: memory.New()}
	clock := c.now
	c.replica = must(replica.New(c.store))
	c.usage = usage.New(c.store, usage.WithClock(clock))
	c.engine = policy.New(c.replica, policy.WithClock(clock), policy.WithObserver(c.usage.Observe))
	c.admin = must(admin.New(c.store, admin.RequireJournal(), admin.WithManagers("owner"), admin.WithPeopleManaging(),
		admin.WithClock(clock), admin.WithIssuer(must(apikey.NewIssuer(apikey.IssuerConfig{Clock: clock})))))
	c.ann = admin.ByPerson("ann@company.example", "Ann", netip.MustParseAddr("198.51.100.77")).Via(store.ViaConsole, "")
	return c
}

func (c *company) now() time.Time {
	return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).Add(time.Duration(c.elapsed.Load()))
}

func (c *company) pass(d time.Duration) { c.elapsed.Add(int64(d)) }

func (c *company) close() {
	err := errors.Join(c.usage.Close(context.Background()), c.replica.Close(), c.store.Close())
	if err != nil {
		panic(err)
	}
}

// customer creates acme with two keys, and returns their secrets: deploy manages it from
// 198.51.100.1, and report reads from 203.0.113.7.
func (c *company) customer(requirement policy.Requirement) (deploy, report apikey.Secret) {
	result := must(c.admin.Apply(context.Background(), c.ann, "acme", admin.ApplyOptions{},
		admin.CreateOrganization(requirement),
		admin.CreateKey(admin.NewKey{ID: "deploy", Grants: []apikey.Grant{{Role: "owner"}}, Entries: entriesOf("198.51.100.1")}),
		admin.CreateKey(admin.NewKey{ID: "report", Grants: []apikey.Grant{{Role: "reader"}}, Entries: entriesOf("203.0.113.7")}),
	))
	return result.Secrets[0].Secret, result.Secrets[1].Secret
}

// call is a call of acme's API, as the guard of package policyhttp has it judged. The usage
// is written at once; a Recorder takes some seconds by itself.
func (c *company) call(key apikey.ID, secret apikey.Secret, from, role string) policy.Decision {
	ctx := context.Background()
	must(0, c.replica.Sync(ctx))
	decision := c.engine.Decide(ctx, policy.Request{Key: key, Secret: secret, Client: netip.MustParseAddr(from),
		Organization: "acme", Endpoint: &policy.Endpoint{Name: role, Roles: []string{role}}})
	must(0, c.usage.Flush(ctx))
	return decision
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// A customer signs up: an organization with its first key, whose secret is shown once.
// Further keys the customer makes with that key.
func Example_onboarding() {
	c, ctx := newCompany(), context.Background()
	defer c.close()
	first := admin.NewKey{ID: "acme-first", Description: "first key of acme", Grants: []apikey.Grant{{Role: "owner"}}, Entries: entriesOf("198.51.100.0/28")}
	create := []admin.Change{admin.CreateOrganization(policy.Required), admin.SetName("Acme Corporation"), admin.CreateKey(first)}
	result := must(c.admin.Apply(ctx, c.ann, "acme", admin.ApplyOptions{Reason: "order 4711"}, create...))

	// The one moment for the secret: only its hash is stored.
	shown := result.Secrets[0].Secret
	fmt.Println("shown once:", len(shown.Reveal()), "characters")
	fmt.Printf("in the log: %s\n", must(json.Marshal(result.Secrets[0].Secret)))

	// The form is sent again. With an ID of its own there is no second key.
	_, err := c.admin.Apply(ctx, c.ann, "acme", admin.ApplyOptions{}, create...)
	fmt.Println("again:", admin.ClassOf(err))

	// The customer's program makes the next key. It is the actor of the call that carries it.
	owner := must(admin.ByKey(c.call("acme-first", shown, "198.51.100.5", "owner")))
	result = must(c.admin.Apply(ctx, owner.Via(store.ViaAPI, ""), "acme", admin.ApplyOptions{}, admin.CreateKey(admin.NewKey{
		ID: "nightly", Grants: []apikey.Grant{{Role: "reader"}}, Entries: entriesOf("203.0.113.7"), Expires: c.now().AddDate(1, 0, 0)})))
	fmt.Println("reads:", c.call("nightly", result.Secrets[0].Secret, "203.0.113.7", "reader").Reason)

	for _, event := range must(c.store.Events(ctx, store.EventRequest{Organization: "acme"})).Events {
		fmt.Println(event.Type, "by", event.Actor.Kind, event.Actor.ID)
	}
	// Output:
	// shown once: 52 characters
	// in the log: "[redacted]"
	// again: conflict
	// reads: address_listed
	// organization.created by person ann@company.example
	// key.created by person ann@company.example
	// key.entry_added by person ann@company.example
	// key.created by key acme-first
	// key.entry_added by key acme-first
}

// A program moves to another network, and changes its own list. The guard lets it do so in
// the right order only.
func Example_editAccessList() {
	c, ctx := newCompany(), context.Background()
	defer c.close()
	secret, _ := c.customer(policy.NotRequired)
	old, moved := "198.51.100.1", "192.0.2.17"
	remove := admin.RemoveEntries("deploy", netip.MustParsePrefix(old+"/32"))

	// Each request is the actor, with the address resolved by the guard.
	before := must(admin.ByKey(c.call("deploy", secret, old, "owner")))
	_, err := c.admin.Apply(ctx, before, "acme", admin.ApplyOptions{}, remove, admin.AddEntries("deploy", entriesOf("192.0.2.16/28")...))
	if refusal, ok := errors.AsType[*admin.Error](err); ok {
		fmt.Println(refusal.Findings[0].Kind, "by", refusal.Findings[0].Reason, "from", refusal.Findings[0].Address)
	}
	// So the new entry comes first. Both are there now.
	result := must(c.admin.Apply(ctx, before, "acme", admin.ApplyOptions{}, admin.AddEntries("deploy", entriesOf("192.0.2.16/28")...)))
	fmt.Println(len(result.Keys[0].Entries), "entries")

	// From there the old one can go. At names the revision shown to the person or program.
	after := must(admin.ByKey(c.call("deploy", secret, moved, "owner")))
	_, err = c.admin.Apply(ctx, after, "acme", admin.ApplyOptions{}, remove.At(1))
	fmt.Println(admin.ClassOf(err))
	// The old address was used in the last 30 days. The finding is accepted by name.
	preview := must(c.admin.Preview(ctx, after, "acme", remove.At(result.Keys[0].Revision)))
	fmt.Println(preview.Findings[0].Kind, "of calls from", preview.Keys[0].Address)
	terms := admin.ApplyOptions{Token: preview.Token, Accept: []admin.Kind{admin.BreaksKey}, Reason: "moved to the new network"}
	result = must(c.admin.Apply(ctx, after, "acme", terms, remove.At(result.Keys[0].Revision)))
	fmt.Println(result.Keys[0].Entries[0].Address, "is left")

	// Removing the last entry would open the key to everybody. It has a name of its own.
	last := admin.RemoveEntries("deploy", netip.MustParsePrefix("192.0.2.16/28"))
	fmt.Println(must(c.admin.Preview(ctx, c.ann, "acme", last)).Needs())
	// Output:
	// self_lockout by address_not_listed from 198.51.100.1
	// 2 entries
	// conflict
	// breaks_key of calls from 198.51.100.1
	// 192.0.2.16/28 is left
	// [opens]
}

// Lists become required without an outage: report only first, then a look at what it would
// refuse, then a preview, then the switch.
func Example_requireAccessLists() {
	c, ctx := newCompany(), context.Background()
	defer c.close()
	_, report := c.customer(policy.NotRequired)
	result := must(c.admin.Apply(ctx, c.ann, "acme", admin.ApplyOptions{Accept: []admin.Kind{admin.Opens}, Reason: "not restricted yet"},
		admin.CreateKey(admin.NewKey{ID: "billing", Grants: []apikey.Grant{{Role: "reader"}}}),
		admin.CreateKey(admin.NewKey{ID: "old", Grants: []apikey.Grant{{Role: "reader"}}})))
	billing := result.Secrets[0].Secret

	// Report only refuses nobody, so nothing has to be accepted.
	must(c.admin.Apply(ctx, c.ann, "acme", admin.ApplyOptions{}, admin.SetRequirement(policy.ReportOnly)))
	c.call("report", report, "203.0.113.7", "reader")
	fmt.Println("billing is", c.call("billing", billing, "192.0.2.50", "reader").Reason)

	// Some days later: the calls that would have been refused.
	c.pass(3 * 24 * time.Hour)
	require := admin.SetRequirement(policy.Required)
	for _, key := range must(c.admin.Preview(ctx, c.ann, "acme", require)).Keys {
		for _, denied := range key.WouldDeny {
			fmt.Println(key.Key, key.Class, "by", denied.Reason, "at", denied.Address)
		}
	}
	// Its owner confirms the address.
	must(c.admin.Apply(ctx, c.ann, "acme", admin.ApplyOptions{}, admin.AddEntries("billing", entriesOf("192.0.2.50")...)))

	// The preview of the switch: only a key without known calls is left.
	preview := must(c.admin.Preview(ctx, c.ann, "acme", require))
	for _, key := range preview.Keys {
		fmt.Println(key.Key, key.Class, "then", key.After)
	}
	fmt.Println(preview.Totals.Unchanged, "unchanged; to accept:", preview.Needs())

	// The token makes sure that the switch does what was seen.
	result = must(c.admin.Apply(ctx, c.ann, "acme", admin.ApplyOptions{Token: preview.Token, Reason: "audit of March"}, require))
	must(0, admin.WaitFor(ctx, c.replica))
	fmt.Println("in force:", result.Organizations[0].Requirement)
	fmt.Println("billing is", c.call("billing", billing, "192.0.2.50", "reader").Reason)
	// Output:
	// billing is open_list
	// billing breaks by organization_requires_access_list at 192.0.2.50
	// old unknown then organization_requires_access_list
	// 3 unchanged; to accept: []
	// in force: required
	// billing is address_listed
}
