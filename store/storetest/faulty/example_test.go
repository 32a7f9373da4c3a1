package faulty_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/faulty"
)

// A store that fails denies, and says so.
func Example() {
	ctx := context.Background()
	keys := faulty.New(memory.New())
	_, _ = keys.PutOrganization(ctx, policy.Organization{ID: "acme"})
	key, secret, _ := apikey.New("acme")
	_, _ = keys.PutKey(ctx, key, store.AllowOpen)

	engine := policy.New(keys)
	request := policy.Request{Key: key.ID, Secret: secret, Client: netip.MustParseAddr("192.0.2.1"), Organization: "acme"}
	fmt.Println(engine.Decide(ctx, request).Reason)
	keys.Break(faulty.Fail(errors.New("no connection")), faulty.Lookup)
	fmt.Println(engine.Decide(ctx, request).Reason)
	keys.Heal()
	fmt.Println(engine.Decide(ctx, request).Reason)
	// Output:
	// open_list
	// unavailable
	// open_list
}
