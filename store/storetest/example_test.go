package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest"
)

// The whole of an adapter's conformance test. In a file of tests the two functions
// stand by themselves.
func Example() {
	open := func(testing.TB) store.Store { return memory.New() }

	TestStore := func(t *testing.T) {
		storetest.Run(t, open,
			storetest.Without("S20/no page is larger than the limits", "a thousand writes cost money here"))
	}
	BenchmarkStore := func(b *testing.B) { storetest.Benchmark(b, open) }

	_, _ = TestStore, BenchmarkStore
	// Output:
}

// A store that fails denies, and says so.
func ExampleFaulty() {
	ctx := context.Background()
	keys := storetest.NewFaulty(memory.New())
	_, _ = keys.PutOrganization(ctx, policy.Organization{ID: "acme"})
	key, secret, _ := apikey.New("acme")
	_, _ = keys.PutKey(ctx, key)

	engine := policy.New(keys)
	request := policy.Request{Key: key.ID, Proof: secret, Client: netip.MustParseAddr("192.0.2.1"), Organization: "acme"}
	fmt.Println(engine.Decide(ctx, request).Reason)
	keys.Break(storetest.Fail(errors.New("no connection")), storetest.MethodLookup)
	fmt.Println(engine.Decide(ctx, request).Reason)
	keys.Heal()
	fmt.Println(engine.Decide(ctx, request).Reason)
	// Output:
	// open_list
	// unavailable
	// open_list
}
