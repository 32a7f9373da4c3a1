package replica_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/replica"
)

// database stands for a store in SQLite, PostgreSQL or etcd.
func database() store.Store {
	s := memory.New()
	_, _ = s.PutOrganization(context.Background(), policy.Organization{ID: "acme"})
	return s
}

// Decisions are answered from the replica, and keys are administered in the store.
func Example() {
	ctx, keys := context.Background(), database()
	defer keys.Close()
	copied, err := replica.New(keys)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer copied.Close()
	if err := copied.Ready(ctx); err != nil {
		fmt.Println(err)
		return
	}
	engine := policy.New(copied)

	key, secret, _ := apikey.New("acme", apikey.Grant{Role: "reader"})
	key, _ = keys.PutKey(ctx, key, store.AllowOpen)
	_ = copied.Sync(ctx) // for this process; others have it milliseconds later
	request := policy.Request{Key: key.ID, Secret: secret, Client: netip.MustParseAddr("203.0.113.7"), Organization: "acme"}
	fmt.Println(engine.Decide(ctx, request).Reason)

	_ = keys.DeleteKey(ctx, key.ID, key.Revision)
	_ = copied.Sync(ctx)
	fmt.Println(engine.Decide(ctx, request).Reason)
	// Output:
	// open_list
	// unknown_key
}

func BenchmarkLookupNow(b *testing.B) {
	ctx, keys := context.Background(), database()
	var ids []apikey.ID
	for range 10_000 {
		key, _, _ := apikey.New("acme", apikey.Grant{Role: "reader"})
		ids = append(ids, key.ID)
		if _, err := keys.PutKey(ctx, key, store.AllowOpen); err != nil {
			b.Fatal(err)
		}
	}
	copied, err := replica.New(keys)
	if err != nil {
		b.Fatal(err)
	}
	defer copied.Close()
	if err := copied.Ready(ctx); err != nil {
		b.Fatal(err)
	}
	for name, source := range map[string]policy.ImmediateSource{"replica": copied, "memory": keys.(*memory.Store)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n += 7919 {
				if _, found, err := source.LookupNow(ids[n%len(ids)]); !found || err != nil {
					b.Fatal(found, err)
				}
			}
		})
	}
}
