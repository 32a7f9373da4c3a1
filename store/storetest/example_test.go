package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

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
	request := policy.Request{Key: key.ID, Secret: secret, Client: netip.MustParseAddr("192.0.2.1"), Organization: "acme"}
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

// A server is killed while the test's own writers write to it. The Faulty stands for it
// here: it makes calls and is gone before its replies.
func ExampleLedger() {
	TestCrash := func(t *testing.T) {
		server := storetest.NewFaulty(memory.New())
		var ledger storetest.Ledger
		for seed := range uint64(3) {
			kill := time.AfterFunc(10*time.Millisecond, func() { server.Break(storetest.LoseReply(errors.New("connection reset"))) })
			err := storetest.WriteUntilKilled(t.Context(), server, seed, &ledger)
			t.Log(kill.Stop(), err)
			server.Heal()
			ledger.Check(t, server)
		}
		t.Log(ledger.Acknowledged(), "writes had returned")
	}

	_ = TestCrash
	// Output:
}

// A replica is cut off from its store and reached again, all the time. Here the two are
// one, so that no answer is older than any bound.
func ExampleStalenessCheck() {
	TestReplica := func(t *testing.T) {
		keys := memory.New()
		replica := storetest.NewFaulty(keys)
		result := storetest.StalenessCheck{
			Store: keys, Sources: []policy.Source{replica}, Bound: time.Second, Duration: 5 * time.Second,
			Disturb: func(ctx context.Context) {
				for ctx.Err() == nil {
					replica.Break(storetest.Fail(errors.New("stale")), storetest.MethodLookup)
					time.Sleep(50 * time.Millisecond)
					replica.Heal()
					time.Sleep(50 * time.Millisecond)
				}
			},
		}.Run(t)
		t.Logf("%d answers, %d errors, none older than %v", result.Answers, result.Errors, result.Oldest)
	}

	_ = TestReplica
	// Output:
}
