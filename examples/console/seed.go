package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// day is a day of the seeded traffic.
const day = 24 * time.Hour

// A program is a customer's, with its key and where its calls came from.
type program struct {
	organization string
	key          admin.NewKey
	entries      []string
	used         map[string][2]time.Duration // by address: first and last call, before now
	refused      map[policy.Reason]string    // by reason: the address of the last call
	wouldDeny    map[policy.Reason]string    // the same of calls that were served
	rotated      bool
}

// programs are the seeded keys.
var programs = []program{
	{organization: "acme", key: admin.NewKey{ID: "deploy", Description: "Deployment pipeline", Grants: []apikey.Grant{{Role: "owner"}}, Labels: map[string]string{"team": "platform", "env": "production"}, ExternalID: "svc-1042"},
		entries: []string{"203.0.113.7", "198.51.100.0/24", "198.51.100.20"},
		used:    map[string][2]time.Duration{"203.0.113.7": {29 * day, 3 * time.Minute}, "198.51.100.20": {12 * day, 2 * day}},
		refused: map[policy.Reason]string{policy.AddressNotListed: "192.0.2.44"}, rotated: true},
	{organization: "acme", key: admin.NewKey{ID: "nightly-report", Description: "Nightly report", Grants: []apikey.Grant{{Role: "reader", AllProjects: true}}},
		used:      map[string][2]time.Duration{"203.0.113.80": {25 * day, 9 * time.Hour}, "203.0.113.81": {4 * day, 33 * time.Hour}},
		wouldDeny: map[policy.Reason]string{policy.OrganizationRequiresAccessList: "203.0.113.80"}},
	{organization: "acme", key: admin.NewKey{ID: "grafana", Description: "Grafana data source", Grants: []apikey.Grant{{Role: "reader", Project: "acme-data"}}},
		entries: []string{"10.0.0.0/8", "203.0.113.90"}, used: map[string][2]time.Duration{"203.0.113.90": {20 * day, time.Minute}}},
	{organization: "acme", key: admin.NewKey{ID: "old-ci", Description: "CI before the move", Grants: []apikey.Grant{{Role: "owner"}}, Disabled: true}, entries: []string{"192.0.2.10"}},
	{organization: "acme", key: admin.NewKey{ID: "intern", Description: "Script of the summer", Grants: []apikey.Grant{{Role: "reader", Project: "acme-web"}}}},
	{organization: "globex", key: admin.NewKey{ID: "globex-sync", Description: "Inventory sync", Grants: []apikey.Grant{{Role: "owner"}}},
		entries: []string{"198.51.100.77"}, used: map[string][2]time.Duration{"198.51.100.77": {10 * day, time.Hour}}},
}

// seed fills the store with organizations, keys and the traffic of some weeks.
func seed(ctx context.Context, keys interface {
	store.Store
	store.UsageRecorder
}) error {
	now := time.Now()
	then := func() time.Time { return now.Add(-41 * day) }
	issuer, err := apikey.NewIssuer(apikey.IssuerConfig{Clock: then})
	if err != nil {
		return err
	}
	a, err := newAdmin(keys, admin.WithClock(then), admin.WithIssuer(issuer))
	if err != nil {
		return err
	}
	today, err := newAdmin(keys)
	if err != nil {
		return err
	}
	actor := admin.BySystem("seed").Via(store.ViaCLI, "")
	for id, name := range map[string]string{"acme": "Acme Rockets", "globex": "Globex"} {
		if _, err := a.Apply(ctx, actor, id, admin.ApplyOptions{Reason: "new customer"}, admin.CreateOrganization(policy.NotRequired), admin.SetName(name)); err != nil {
			return err
		}
	}
	if err := keys.RecordObservation(ctx, store.Report{Recorder: "seed", Since: now.Add(-40 * day), From: now.Add(-40 * day), Until: now, At: now}); err != nil {
		return err
	}
	for _, p := range programs {
		if err := p.seed(ctx, a, actor, keys, now); err != nil {
			return fmt.Errorf("%s: %w", p.key.ID, err)
		}
	}
	for _, p := range programs {
		if !p.rotated {
			continue
		}
		if _, err := today.Apply(ctx, actor, p.organization, admin.ApplyOptions{Reason: "yearly rotation"}, admin.Rotate(p.key.ID, 7*day)); err != nil {
			return fmt.Errorf("%s: %w", p.key.ID, err)
		}
	}
	return nil
}

// seed makes the key of a program, and its traffic.
func (p program) seed(ctx context.Context, a *admin.Admin, actor admin.Actor, usage store.UsageRecorder, now time.Time) error {
	for _, text := range p.entries {
		entry, err := accesslist.ParseEntry(text)
		if err != nil {
			return err
		}
		entry.Comment = "of the customer's network"
		p.key.Entries = append(p.key.Entries, entry)
	}
	options := admin.ApplyOptions{Reason: "set up", Accept: []admin.Kind{admin.Opens, admin.OverBroad}}
	made, err := a.Apply(ctx, actor, p.organization, options, admin.CreateKey(p.key))
	if err != nil {
		return err
	}
	secret := made.Secrets[0].ID
	record := store.KeyUsage{Entries: map[netip.Prefix]accesslist.Usage{}, Secrets: map[string]accesslist.Usage{}, Addresses: map[netip.Addr]store.AddressUsage{}, Denials: map[policy.Reason]accesslist.Usage{}, WouldDeny: map[policy.Reason]accesslist.Usage{}}
	for text, times := range p.used {
		address, first, last := netip.MustParseAddr(text), now.Add(-times[0]), now.Add(-times[1])
		count := uint64(times[0]/time.Hour) + 1
		record.Addresses[address] = store.AddressUsage{Count: count, First: first, Last: last}
		used := accesslist.Usage{Count: record.Secrets[secret].Count + count, Last: last, LastAddress: address}
		if before := record.Secrets[secret]; before.Last.After(last) {
			used.Last, used.LastAddress = before.Last, before.LastAddress
		}
		record.Secrets[secret] = used
		for _, entry := range p.key.Entries {
			if entry.Covers(address, now) {
				record.Entries[entry.Prefix()] = accesslist.Usage{Count: count, Last: last, LastAddress: address}
				break
			}
		}
	}
	for reason, text := range p.refused {
		record.Denials[reason] = accesslist.Usage{Count: 14, Last: now.Add(-5 * day), LastAddress: netip.MustParseAddr(text)}
	}
	for reason, text := range p.wouldDeny {
		record.WouldDeny[reason] = accesslist.Usage{Count: 212, Last: now.Add(-9 * time.Hour), LastAddress: netip.MustParseAddr(text)}
	}
	return usage.RecordUsage(ctx, map[apikey.ID]store.KeyUsage{p.key.ID: record})
}
