package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/sqlite"
)

// demo runs the service with a temporary database. It is its own proxy, on the loopback,
// for the customer's programs and for Ann. The counts are read after the service has ended:
// it wrote them then.
func demo(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "service-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	database := filepath.Join(dir, "keys.db")
	secret, err := setUp(ctx, database, "acme", "owner", "198.51.100.0/24")
	if err != nil {
		return err
	}

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	started, ended := make(chan [2]string, 1), make(chan error, 1)
	go func() {
		ended <- run(ctx, database, []netip.Prefix{loopback}, "127.0.0.1:0", "0", func(api, operators string) { started <- [2]string{api, operators} })
	}()
	select {
	case err := <-ended:
		return err
	case at := <-started:
		owner := caller{name: "the owner's key", base: at[0], secret: secret.Reveal(), client: "198.51.100.7"}
		ann := caller{name: "Ann", base: at[1], person: "ann@acme.example", client: "198.51.100.20"}
		err = showAdministration(ctx, out, owner, ann)
	}
	stop()
	if err := errors.Join(err, <-ended); err != nil {
		return err
	}
	return showUsage(context.WithoutCancel(ctx), out, database, "report")
}

// showAdministration creates a key, uses it, and switches it off.
func showAdministration(ctx context.Context, out io.Writer, owner, ann caller) error {
	const disable = `"changes": [{"kind": "disable_key", "key": "report"}]`
	made, err := owner.change(ctx, out, `{"apply": true, "changes": [{"kind": "create_key", "key": "report",
		"grants": [{"role": "reader", "allProjects": true}], "entries": [{"address": "203.0.113.0/24"}]}]}`)
	if err != nil {
		return err
	}
	report := caller{name: "the new key", base: owner.base, client: "203.0.113.7"}
	for _, shown := range made.Secrets {
		report.secret = shown.Secret
	}
	elsewhere := report
	elsewhere.client = "192.0.2.1"
	var preview changed
	for _, step := range []func() error{
		func() error { return report.get(ctx, out, "/projects/atlas") },
		func() error { return elsewhere.get(ctx, out, "/projects/atlas") },
		func() (err error) {
			_, err = owner.change(ctx, out, `{"apply": true, "changes": [{"kind": "replace_entries", "key": "owner", "entries": [{"address": "203.0.113.0/24"}]}]}`)
			return err
		},
		func() (err error) {
			preview, err = ann.change(ctx, out, `{`+disable+`}`)
			return err
		},
		func() (err error) {
			_, err = ann.change(ctx, out, `{"apply": true, "token": "`+preview.Token+`", "reason": "found in a public log", `+disable+`}`)
			return err
		},
		func() error { return report.get(ctx, out, "/projects/atlas") },
		func() error { return ann.events(ctx, out) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// A caller calls the service as a proxy hands its requests on.
type caller struct {
	name, base, client string
	secret             string // of a key, or none
	person             string // who has signed in, or nobody
}

func (c caller) do(ctx context.Context, method, path, body string) (status string, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+c.base+path, strings.NewReader(body))
	if err != nil {
		return "", nil, err
	}
	r.Header.Set("X-Forwarded-For", c.client)
	if c.person != "" {
		r.Header.Set(signedIn, c.person)
	}
	if c.secret != "" {
		r.Header.Set("Authorization", "Bearer "+c.secret)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", nil, err
	}
	answer, err = io.ReadAll(response.Body)
	return response.Status, bytes.TrimSpace(answer), errors.Join(err, response.Body.Close())
}

// get prints an answer.
func (c caller) get(ctx context.Context, out io.Writer, path string) error {
	status, answer, err := c.do(ctx, http.MethodGet, path, "")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s from %s gets %s\n%s\n\n", c.name, c.client, status, answer)
	return err
}

// changed has the parts that the demo shows of a preview, of an outcome, or of an error.
type changed struct {
	Token   string            `json:"token"`
	Keys    []admin.KeyEffect `json:"keys"`
	Secrets []newSecret       `json:"secretsShownOnce"`
	InForce bool              `json:"inForce"`
	Message string            `json:"message"`
}

// change sends an order for acme, and prints the answer.
func (c caller) change(ctx context.Context, out io.Writer, order string) (changed, error) {
	var answered changed
	status, answer, err := c.do(ctx, http.MethodPost, "/organizations/acme/changes", order)
	if err == nil {
		err = json.Unmarshal(answer, &answered)
	}
	if err != nil {
		return answered, err
	}
	told := answered.Message
	switch {
	case answered.InForce:
		told = fmt.Sprintf("in force; secrets to show once: %d", len(answered.Secrets))
	case len(answered.Keys) > 0:
		effect := answered.Keys[0]
		told = fmt.Sprintf("preview: key %s, %s: now %s, then %s", effect.Key, effect.Class, effect.Before, effect.After)
	}
	_, err = fmt.Fprintf(out, "%s asks for a change and gets %s\n%s\n\n", c.name, status, told)
	return answered, err
}

// events prints who changed acme, the newest first.
func (c caller) events(ctx context.Context, out io.Writer) error {
	_, answer, err := c.do(ctx, http.MethodGet, "/organizations/acme/events", "")
	var page struct {
		Events []store.Event `json:"events"`
	}
	if err == nil {
		err = json.Unmarshal(answer, &page)
	}
	for _, event := range page.Events {
		if _, failed := fmt.Fprintf(out, "%s, by %s %s, %q\n", event.Type, event.Actor.Kind, event.Actor.ID, event.Reason); failed != nil {
			return failed
		}
	}
	return err
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
		if _, err := fmt.Fprintf(out, "\nentry %v admitted %d call, the last from %v\n", prefix, usage.Count, usage.LastAddress); err != nil {
			return err
		}
	}
	return nil
}
