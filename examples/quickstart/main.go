// Quickstart decides seven requests and prints why: go run ./examples/quickstart
package main

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"text/tabwriter"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
)

func main() {
	run(os.Stdout)
}

func run(w io.Writer) {
	ctx, keys := context.Background(), memory.New()
	must(keys.PutOrganization(ctx, policy.Organization{ID: "acme", Requirement: policy.Required}))
	must(keys.PutOrganization(ctx, policy.Organization{ID: "beta", Requirement: policy.NotRequired}))
	newKey := func(organization string, list accesslist.List, options ...store.PutOption) policy.Request {
		key, secret, err := apikey.New(organization) // the secret is shown once: here its owner keeps it
		must(key, err)
		key.AccessList = list
		must(keys.PutKey(ctx, key, options...))
		return policy.Request{Key: key.ID, Secret: secret, Organization: organization}
	}
	listed := newKey("acme", must(accesslist.Parse("203.0.113.7", "198.51.100.0/24")))
	empty, open := newKey("acme", accesslist.List{}, store.AllowOpen), newKey("beta", accesslist.List{}, store.AllowOpen)

	engine, table := policy.New(keys), tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "REQUEST\tFROM\tALLOWED\tREASON")
	decide := func(what, client string, request policy.Request, endpoint *policy.Endpoint) {
		request.Client, request.Endpoint = netip.MustParseAddr(client), endpoint
		d := engine.Decide(ctx, request)
		fmt.Fprintf(table, "%s\t%s\t%t\t%v\n", what, client, d.Allowed(), d.Reason)
	}
	read, restore := &policy.Endpoint{Name: "read"}, &policy.Endpoint{Name: "restore", RequiresAccessList: true}
	decide("a listed address", "203.0.113.7", listed, restore)
	decide("an address in a listed block", "198.51.100.20", listed, restore)
	decide("any other address", "192.0.2.1", listed, read)
	decide("no list, the organization requires one", "203.0.113.7", empty, read)
	decide("no list, none required", "192.0.2.1", open, read)
	decide("no list, the endpoint requires one", "192.0.2.1", open, restore)
	decide("a wrong secret", "203.0.113.7", policy.Request{Key: listed.Key, Secret: open.Secret, Organization: "acme"}, read)
	must(table, table.Flush())
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
