package memory_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
)

func ExampleNew() {
	ctx := context.Background()
	keys := memory.New()
	_, _ = keys.PutOrganization(ctx, policy.Organization{ID: "acme", Requirement: policy.Required})
	key, secret, _ := apikey.New("acme", apikey.Grant{Role: "backup.admin"}) // the secret is shown once
	key.AccessList, _ = accesslist.Parse("203.0.113.7", "198.51.100.0/24")
	_, _ = keys.PutKey(ctx, key)

	engine := policy.New(keys)
	for _, client := range []string{"203.0.113.7", "198.51.100.99", "192.0.2.1"} {
		d := engine.Decide(ctx, policy.Request{
			Key: key.ID, Secret: secret, Client: netip.MustParseAddr(client),
			Organization: "acme", Endpoint: &policy.Endpoint{Name: "backup.restore", RequiresAccessList: true},
		})
		fmt.Println(d.Allowed(), d.Reason)
	}
	// Output:
	// true address_listed
	// true address_listed
	// false address_not_listed
}

// A switched-off organization switches off each of its keys. Switched on again, every key is
// as it was.
func ExampleStore_PutOrganization() {
	ctx := context.Background()
	keys := memory.New()
	acme, _ := keys.PutOrganization(ctx, policy.Organization{ID: "acme"})
	key, secret, _ := apikey.New("acme")
	key.ID = "backup"
	key.AccessList, _ = accesslist.Parse("203.0.113.7")
	_, _ = keys.PutKey(ctx, key)

	engine := policy.New(keys)
	for _, disabled := range []bool{true, false} {
		acme.Disabled = disabled
		acme, _ = keys.PutOrganization(ctx, acme)
		d := engine.Decide(ctx, policy.Request{
			Key: key.ID, Secret: secret, Client: netip.MustParseAddr("203.0.113.7"), Organization: "acme",
		})
		stored, _ := keys.Key(ctx, "backup")
		fmt.Println(d.Reason, "and the key itself is disabled:", stored.Disabled)
		fmt.Printf("%q\n", d.Answer().Message) // the caller's side is that of a disabled key
	}
	// Output:
	// key_disabled and the key itself is disabled: false
	// "The API key is switched off."
	// address_listed and the key itself is disabled: false
	// ""
}

// Keys are found by their labels and by the ID that the program has for their owner.
func ExampleStore_Keys() {
	ctx, keys := context.Background(), memory.New()
	_, _ = keys.PutOrganization(ctx, policy.Organization{ID: "acme"})
	for _, id := range []apikey.ID{"deploy", "report"} {
		key, _, _ := apikey.New("acme")
		key.ID = id
		key.Metadata = &apikey.Metadata{Labels: map[string]string{"team": "web", "job": string(id)}, ExternalID: "cus_1"}
		_, _ = keys.PutKey(ctx, key, store.AllowOpen)
	}
	page, err := keys.Keys(ctx, "acme", store.PageRequest{Filter: store.Filter{Label: "team=web", ExternalID: "cus_1"}})
	for _, key := range page.Items {
		job, _ := key.Label("job")
		fmt.Println(key.ID, job)
	}
	fmt.Println(err)
	// Output:
	// deploy deploy
	// report report
	// <nil>
}

// A change is made by reading the record, changing it and putting it back, and made
// again if somebody else was faster.
func ExampleStore_PutKey() {
	ctx := context.Background()
	keys := memory.New()
	_, _ = keys.PutOrganization(ctx, policy.Organization{ID: "acme"})
	key, _, _ := apikey.New("acme")
	key.ID = "backup"
	key.AccessList, _ = accesslist.Parse("198.51.100.0/24")
	_, _ = keys.PutKey(ctx, key)

	for {
		key, err := keys.Key(ctx, "backup")
		if err != nil {
			fmt.Println(err)
			return
		}
		entry, _ := accesslist.ParseEntry("203.0.113.7")
		entry.Comment = "the office"
		if key.AccessList, err = key.AccessList.With(entry); err != nil {
			fmt.Println(err)
			return
		}
		if key, err = keys.PutKey(ctx, key); errors.Is(err, store.ErrConflict) {
			continue
		}
		fmt.Println(key.AccessList.Len(), err)
		break
	}

	// Taking the last entry, as creating a key without one, opens the key: it has to be
	// said.
	key, _ = keys.Key(ctx, "backup")
	key.AccessList = accesslist.List{}
	_, err := keys.PutKey(ctx, key)
	fmt.Println(err)
	_, err = keys.PutKey(ctx, key, store.AllowOpen)
	fmt.Println(err)
	// Output:
	// 2 <nil>
	// store: key "backup" would lose its 2 entries: an empty access list opens the key to every address: want entries, or AllowOpen
	// <nil>
}
