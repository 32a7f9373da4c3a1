// Customstore is an adapter written from nothing: a store.Store over plain files in a
// directory, atomic and durable, with a change feed, usage and a journal. It is for writers of an
// adapter for their own database. Read it in this order:
//
//   - store.go: step 1, where the truth lives; opening and closing
//   - read.go: step 2, reading and pages
//   - write.go: step 3, writing
//   - record.go: step 4, the stored form of a record; files.go has what is special to files
//   - watch.go: step 5, the change feed
//   - usage.go, observation.go: step 6, usage
//   - journal.go: step 7, the journal of events
//   - store_test.go: how storetest checks it, and crashtest kills it
//
// A store without steps 5 to 7 is complete, but no replica can follow it, the usage of its
// keys is unknown, and nobody knows who changed what.
//
//	go run ./examples/customstore [DIR]
//
// opens the store in DIR, or in a temporary directory, adds a key, closes the store, opens
// it again, and decides a request by what it finds.
//
// It is no database. It holds all records in memory, sorts them for each page, writes a
// file for each change, and belongs to one process at a time.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

func main() {
	if err := run(context.Background(), os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, args []string) (err error) {
	var dir string
	if len(args) > 0 {
		dir = args[0]
	} else {
		if dir, err = os.MkdirTemp("", "customstore"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}

	id, secret, err := addKey(ctx, dir)
	if err != nil {
		return err
	}

	// As after a restart: everything below comes from the files.
	keys, err := OpenFileStore(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keys.Close()) }()
	decision := policy.New(keys).Decide(ctx, policy.Request{
		Key: id, Secret: secret, Client: netip.MustParseAddr("203.0.113.7"), Organization: "acme",
	})
	_, err = fmt.Fprint(out, decision.Explain())
	return err
}

// addKey puts an organization, unless it exists, and a new key.
func addKey(ctx context.Context, dir string) (id apikey.ID, secret apikey.Secret, err error) {
	keys, err := OpenFileStore(dir)
	if err != nil {
		return "", apikey.Secret{}, err
	}
	defer func() { err = errors.Join(err, keys.Close()) }()
	_, err = keys.PutOrganization(ctx, policy.Organization{ID: "acme", Requirement: policy.Required})
	if err != nil && !errors.Is(err, store.ErrExists) {
		return "", apikey.Secret{}, err
	}
	key, secret, err := apikey.New("acme", apikey.Grant{Role: "backup.admin"})
	if err != nil {
		return "", apikey.Secret{}, err
	}
	if key.AccessList, err = accesslist.Parse("203.0.113.7", "198.51.100.0/24"); err != nil {
		return "", apikey.Secret{}, err
	}
	_, err = keys.PutKey(ctx, key)
	return key.ID, secret, err
}
