package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"os"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/transfer"
	"github.com/sallyport-go/sallyport/store/trials/upgrade/orders"
)

// decide decides by the store, or by the copy.
func (w *worker) decide(ctx context.Context, o orders.Order, a *orders.Answer) error {
	id, secret, err := w.issuer.Parse(o.Secret)
	if err != nil {
		return err
	}
	client, err := netip.ParseAddr(o.Client)
	if err != nil {
		return err
	}
	engine := w.direct
	if o.Replica {
		engine = w.copied
	}
	if o.Key != "" {
		id = apikey.ID(o.Key)
	}
	d := engine.Decide(ctx, policy.Request{Key: id, Secret: secret, Client: client, Organization: o.Organization, Endpoint: &policy.Endpoint{Name: "things.list"}})
	a.Allowed, a.Reason = d.Allowed(), d.Reason.String()
	if subject := d.Subject(); d.Reason != policy.UnknownKey && d.Reason != policy.Unavailable {
		a.KeyRevision, a.OrganizationRevision = subject.Key().Revision, subject.Organization().Revision
	}
	if d.Cause != nil {
		a.Cause = d.Cause.Error()
	}
	return nil
}

// http has the guard judge a request with an Authorization header.
func (w *worker) http(ctx context.Context, o orders.Order, a *orders.Answer) error {
	request := httptest.NewRequestWithContext(ctx, "GET", "/organizations/"+o.Organization+"/things", nil)
	request.RemoteAddr = o.Client + ":1234"
	if o.Authorization != "" {
		request.Header.Set("Authorization", o.Authorization)
	}
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, request)
	a.Status, a.Challenges = recorder.Code, recorder.Header().Values("WWW-Authenticate")
	return nil
}

// flush writes the usage of all decisions so far.
func (w *worker) flush(ctx context.Context, _ orders.Order, _ *orders.Answer) error {
	return w.recorder.Flush(ctx)
}

// usage answers with the number of served calls of a key, by all its secrets.
func (w *worker) usage(ctx context.Context, o orders.Order, a *orders.Answer) error {
	recorder, _ := store.As[store.UsageRecorder](w.store)
	all, err := recorder.Usage(ctx, apikey.ID(o.Key))
	if err != nil {
		return err
	}
	used, ok := all[apikey.ID(o.Key)]
	if !ok {
		return fmt.Errorf("key %q: %w", o.Key, store.ErrNotFound)
	}
	for _, secret := range used.Secrets {
		a.Count += secret.Count
	}
	return nil
}

func (w *worker) export(ctx context.Context, o orders.Order, a *orders.Answer) error {
	file, err := os.Create(o.Path)
	if err != nil {
		return err
	}
	counts, err := transfer.Export(ctx, w.store, file)
	if a.Count = uint64(counts.Organizations + counts.Keys); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}

func (w *worker) importFile(ctx context.Context, o orders.Order, a *orders.Answer) error {
	file, err := os.Open(o.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	result, err := transfer.Import(ctx, w.store, file)
	a.Count = uint64(result.Written.Organizations + result.Written.Keys)
	return err
}

func (w *worker) verify(ctx context.Context, o orders.Order, a *orders.Answer) error {
	file, err := os.Open(o.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	counts, err := transfer.Verify(ctx, w.store, file)
	a.Count = uint64(counts.Organizations + counts.Keys)
	return err
}
