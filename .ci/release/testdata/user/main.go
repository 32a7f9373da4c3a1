// A program of a user, outside the repository. It imports every released module that has
// packages to import, and prints an allowed and a denied call.
package main

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"path/filepath"

	"github.com/jackc/pgx/v5/pgxpool"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policygrpc"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/policy/policyotel"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/etcd"
	"github.com/sallyport-go/sallyport/store/postgres"
	"github.com/sallyport-go/sallyport/store/sqlite"
)

// Each store that lasts is made as the README shows.
var stores = map[string]func(ctx context.Context, address string) (store.Store, error){
	"sqlite": func(ctx context.Context, address string) (store.Store, error) { return sqlite.Open(ctx, address) },
	"postgres": func(ctx context.Context, address string) (store.Store, error) {
		pool, err := pgxpool.New(ctx, address)
		if err != nil {
			return nil, err
		}
		return postgres.New(ctx, pool)
	},
	"etcd": func(ctx context.Context, address string) (store.Store, error) {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{address}})
		if err != nil {
			return nil, err
		}
		return etcd.New(ctx, client, "/sallyport/")
	},
}

func main() {
	ctx := context.Background()
	keys, err := stores["sqlite"](ctx, filepath.Join(".", "keys.db"))
	check(err)
	org, err := keys.PutOrganization(ctx, policy.Organization{ID: "acme"})
	check(err)
	key, secret, err := apikey.New(org.ID)
	check(err)
	key.AccessList, err = accesslist.Parse("203.0.113.7")
	check(err)
	key, err = keys.PutKey(ctx, key)
	check(err)

	telemetry, err := policyotel.New()
	check(err)
	engine := policy.New(telemetry.Source(keys), policy.WithObserver(telemetry.Observe))
	guard, err := policyhttp.New(policyhttp.Config{Engine: engine})
	check(err)
	_, err = policygrpc.New(policygrpc.Config{Guard: guard})
	check(err)
	for _, client := range []string{"203.0.113.7", "192.0.2.1"} {
		d := engine.Decide(ctx, policy.Request{
			Key: key.ID, Secret: secret, Client: netip.MustParseAddr(client), Organization: org.ID,
			Endpoint: &policy.Endpoint{Name: "things.read"},
		})
		fmt.Println(d.Allowed(), d.Reason)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
