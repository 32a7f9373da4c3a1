package usage_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/usage"
)

func ExampleRecorder() {
	ctx, begin := context.Background(), time.Now()
	keys := memory.New()
	_, _ = keys.PutOrganization(ctx, policy.Organization{ID: "acme"})
	key, secret, _ := apikey.New("acme")
	key.ID = "backup"
	key.AccessList, _ = accesslist.Parse("203.0.113.7", "198.51.100.0/24")
	_, _ = keys.PutKey(ctx, key)

	counts, ok := store.As[store.UsageRecorder](keys)
	if !ok {
		fmt.Println("the store does not count")
		return
	}
	recorder := usage.New(counts, usage.WithErrorHandler(func(err error) { fmt.Println(err) }))
	engine := policy.New(keys, policy.WithObserver(recorder.Observe))
	for _, client := range []string{"198.51.100.2", "198.51.100.2", "192.0.2.1"} {
		engine.Decide(ctx, policy.Request{
			Key: key.ID, Secret: secret, Client: netip.MustParseAddr(client),
			Organization: "acme", Endpoint: &policy.Endpoint{Name: "backup.restore"},
		})
	}
	// At the end of the program, with a bound on how long it may take.
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := recorder.Close(ctx); err != nil {
		fmt.Println(err)
	}

	usage, _ := counts.Usage(ctx, key.ID) // of one key, or up to 100
	known := usage[key.ID]
	for entry := range key.AccessList.All() {
		fmt.Println(entry, known.Entries[entry.Prefix()].Count, known.Entries[entry.Prefix()].LastAddress)
	}
	now := time.Now()
	evidence := accesslist.Evidence{Usage: known.Entries, Since: begin, Window: now.Sub(begin)} // in earnest 30 days
	for _, finding := range key.AccessList.Findings(now, evidence) {
		fmt.Println(finding.Entry, finding.Kind)
	}
	// Output:
	// 198.51.100.0/24 2 198.51.100.2
	// 203.0.113.7 0 invalid IP
	// 203.0.113.7 unused
}

// Whom would a new list hit? The addresses that a key was used from say so, if usage was
// observed all the time.
func Example_evidence() {
	ctx, keys := context.Background(), memory.New()
	_, _ = keys.PutOrganization(ctx, policy.Organization{ID: "acme"})
	key, secret, _ := apikey.New("acme") // without a list
	_, _ = keys.PutKey(ctx, key, store.AllowOpen)
	recorder := usage.New(keys)
	from := time.Now()
	engine := policy.New(keys, policy.WithObserver(recorder.Observe))
	for _, client := range []string{"198.51.100.1", "198.51.100.2", "198.51.100.1"} {
		engine.Decide(ctx, policy.Request{Key: key.ID, Secret: secret, Client: netip.MustParseAddr(client), Organization: "acme"})
	}
	engine.Decide(ctx, policy.Request{Key: key.ID, Secret: secret, Client: netip.MustParseAddr("203.0.113.7"), Organization: "other"})
	_ = recorder.Flush(ctx)

	all, _ := keys.Usage(ctx, key.ID)
	list, _ := accesslist.Parse("198.51.100.1")
	addresses, complete := all[key.ID].AddressesSince(from)
	for _, address := range addresses {
		_, covered := list.Match(address, time.Now())
		fmt.Println(address, all[key.ID].Addresses[address].Count, "covered:", covered)
	}
	fmt.Println("all addresses:", complete)
	for reason, denied := range all[key.ID].Denials {
		fmt.Println(reason, denied.Count, denied.LastAddress)
	}
	observation, _ := keys.Observation(ctx)
	fmt.Println("missing:", observation.Coverage(from, time.Now()).Missing)
	_ = recorder.Close(ctx)
	// Output:
	// 198.51.100.1 2 covered: true
	// 198.51.100.2 1 covered: false
	// all addresses: true
	// wrong_organization 1 203.0.113.7
	// missing: 0s
}
