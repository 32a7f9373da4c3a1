package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"

	"github.com/sallyport-go/sallyport/examples/middleware/backups"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store/memory"
)

// A service is the whole program without its listener.
type service struct {
	handler     http.Handler
	keys        *memory.Store
	credentials []credential // for printing once
	token       string       // of the operator
}

// newService makes the keys, and puts the guard in front of the API only.
func newService(ctx context.Context, audit *slog.Logger, counters *policyhttp.Counters) (*service, error) {
	s := &service{keys: memory.New(), token: rand.Text()}
	var err error
	if s.credentials, err = addKeys(ctx, s.keys); err != nil {
		return nil, err
	}
	engine := policy.New(s.keys,
		policy.WithObserver(policyhttp.Log(audit, policyhttp.LogOptions{})), // a busy service sets AllowEvery
		policy.WithObserver(counters.Observe),
	)
	// Without an Address the client is the peer of the connection. Behind a proxy that
	// would be the proxy, for every client; see policyhttp.ClientAddress.
	guard, err := policyhttp.New(policyhttp.Config{Engine: engine, Realm: "backups"})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", backups.New(projects()...).Handler(guard.Protect))
	mux.Handle("/admin/", newAdmin(s.keys, s.token, guard, audit))
	s.handler = mux
	return s, nil
}
