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
	for _, client := range []string{"198.51.100.1", "198.51.100.2", "192.0.2.1"} {
		engine.Decide(ctx, policy.Request{
			Key: key.ID, Secret: secret, Client: netip.MustParseAddr(client),
			Organization: "acme", Endpoint: policy.Endpoint{Name: "backup.restore"},
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
