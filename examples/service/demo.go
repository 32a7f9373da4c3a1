package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/sqlite"
)

// demo runs the service with a temporary database. It is its own proxy, on the loopback,
// for two clients. The counts are read after the service has ended: it wrote them then.
func demo(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "service-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	database := filepath.Join(dir, "keys.db")
	key, secret, err := storeKey(ctx, database, "203.0.113.0/24")
	if err != nil {
		return err
	}

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	started, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		ended <- run(ctx, database, proxies, "127.0.0.1:0", "0", func(api, _ string) { started <- api })
	}()
	select {
	case err := <-ended:
		return err
	case address := <-started:
		err = showAnswers(ctx, out, address, secret)
	}
	stop()
	if err := errors.Join(err, <-ended); err != nil {
		return err
	}
	return showUsage(context.WithoutCancel(ctx), out, database, key.ID)
}

// storeKey makes an organization and a key, and returns the secret for its owner. A
// program of your own does this; the running service sees the key within milliseconds.
func storeKey(ctx context.Context, database string, addresses ...string) (_ apikey.Key, _ apikey.Secret, err error) {
	fail := func(err error) (apikey.Key, apikey.Secret, error) { return apikey.Key{}, apikey.Secret{}, err }
	list, err := accesslist.Parse(addresses...)
	if err != nil {
		return fail(err)
	}
	issuer, err := newIssuer()
	if err != nil {
		return fail(err)
	}
	key, secret, err := issuer.New("acme", apikey.Grant{Role: "reader"}, apikey.Grant{Role: "reader", AllProjects: true})
	if err != nil {
		return fail(err)
	}
	key.AccessList = list
	keys, err := sqlite.Open(ctx, database)
	if err != nil {
		return fail(err)
	}
	defer func() { err = errors.Join(err, keys.Close()) }()
	if _, err := keys.PutOrganization(ctx, policy.Organization{ID: "acme", Requirement: policy.Required}); err != nil {
		return fail(err)
	}
	if key, err = keys.PutKey(ctx, key); err != nil {
		return fail(err)
	}
	return key, secret, nil
}

// showAnswers calls the service for a client on the key's list and for another one.
func showAnswers(ctx context.Context, out io.Writer, address string, secret apikey.Secret) error {
	for _, client := range []string{"203.0.113.7", "192.0.2.1"} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/projects/atlas", nil)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+secret.Reveal())
		r.Header.Set("X-Forwarded-For", client) // by the proxy
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(answer.Body)
		if err := errors.Join(err, answer.Body.Close()); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%s gets %s\n%s\n\n", client, answer.Status, bytes.TrimSpace(body)); err != nil {
			return err
		}
	}
	return nil
}

// showUsage prints the served calls of each entry of a key's list.
func showUsage(ctx context.Context, out io.Writer, database string, id apikey.ID) (err error) {
	keys, err := sqlite.Open(ctx, database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keys.Close()) }()
	used, err := keys.Usage(ctx, id)
	if err != nil {
		return err
	}
	for prefix, usage := range used[id].Entries {
		if _, err := fmt.Fprintf(out, "entry %v admitted %d call, the last from %v\n", prefix, usage.Count, usage.LastAddress); err != nil {
			return err
		}
	}
	return nil
}
