package sqlite_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/sqlite"
)

func ExampleOpen() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "example")
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "keys.db")

	keys, err := sqlite.Open(ctx, path)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = keys.PutOrganization(ctx, policy.Organization{ID: "acme", Requirement: policy.Required})
	key, secret, _ := apikey.New("acme") // the secret is shown once
	key.AccessList, _ = accesslist.Parse("203.0.113.7")
	_, _ = keys.PutKey(ctx, key)
	_ = keys.Close()

	// Another process, or this one after a restart.
	keys, err = sqlite.Open(ctx, path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer keys.Close()
	engine := policy.New(keys)
	for _, client := range []string{"203.0.113.7", "192.0.2.1"} {
		d := engine.Decide(ctx, policy.Request{Key: key.ID, Secret: secret, Client: netip.MustParseAddr(client), Organization: "acme"})
		fmt.Println(d.Allowed(), d.Reason)
	}
	// Output:
	// true address_listed
	// false address_not_listed
}

// A watch from zero begins with every record that is there. At its marks a copy that was
// made of them is the store as it was at one moment.
func ExampleStore_Watch() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "example")
	defer os.RemoveAll(dir)
	keys, err := sqlite.Open(ctx, filepath.Join(dir, "keys.db"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer keys.Close()
	_, _ = keys.PutOrganization(ctx, policy.Organization{ID: "acme"})
	key, _, _ := apikey.New("acme")
	key.ID = "backup"
	_, _ = keys.PutKey(ctx, key, store.AllowOpen)

	deleted := false
	for change, err := range keys.Watch(ctx, store.Position{}) {
		switch {
		case err != nil: // it may be begun again, from the last mark
			fmt.Println(err)
			return
		case !change.IsMark():
			fmt.Printf("%q %q deleted: %v\n", change.Organization, change.Key, change.Deleted)
		case deleted:
			return
		default:
			fmt.Println("mark", change.Revision)
			_ = keys.DeleteKey(ctx, "backup", 0)
			deleted = true
		}
	}
	// Output:
	// "acme" "" deleted: false
	// "acme" "backup" deleted: false
	// mark 2
	// "acme" "backup" deleted: true
}
