package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/policy/policyhttp/digest"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
	"github.com/sallyport-go/sallyport/store/etcd"
	"github.com/sallyport-go/sallyport/store/postgres"
	"github.com/sallyport-go/sallyport/store/replica"
	"github.com/sallyport-go/sallyport/store/sqlite"
	"github.com/sallyport-go/sallyport/store/transfer"
	"github.com/sallyport-go/sallyport/store/trials/upgrade/orders"
	"github.com/sallyport-go/sallyport/store/usage"
)

// The realm of Digest, and the prefix of the store in etcd.
const realm, prefix = "upgrade", "/sallyport/"

// A worker is a service with a store: it decides, administers and counts.
type worker struct {
	address string
	store   store.Store
	issuer  *apikey.Issuer
	admin   *admin.Admin

	recorder *usage.Recorder
	observed policy.Option
	direct   *policy.Engine
	handler  http.Handler // the guard of direct

	copy   *replica.Replica
	copied *policy.Engine

	follower atomic.Pointer[follower]
	memory   sync.Map // keys and organizations as they were last read
}

// open opens the store at the address, for all further orders. It does not migrate.
func (w *worker) open(ctx context.Context, o orders.Order, _ *orders.Answer) (err error) {
	if w.store, err = open(ctx, o.Address); err != nil {
		return err
	}
	w.address = o.Address
	return w.assemble()
}

// assemble makes what is on top of the store.
func (w *worker) assemble() error {
	// All workers of a trial have the same server key and the same key of nonces, as all
	// instances of a service.
	shared := []byte(strings.Repeat("only for trials ", 2))
	serverKey, err := apikey.NewServerKey("k1", shared)
	if err != nil {
		return err
	}
	algorithms := []apikey.DigestAlgorithm{apikey.DigestMD5, apikey.DigestSHA256}
	w.issuer, err = apikey.NewIssuer(apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{serverKey}, DigestAlgorithms: algorithms, DigestRealm: realm})
	if err != nil {
		return err
	}
	if w.admin, err = admin.New(w.store, admin.WithPeopleManaging(), admin.WithIssuer(w.issuer), admin.RequireJournal()); err != nil {
		return err
	}
	recorder, ok := store.As[store.UsageRecorder](w.store)
	if !ok {
		return errors.New("the store counts no usage")
	}
	// Flushed by order: the trials compare counts. They see the errors, too.
	w.recorder = usage.New(recorder, usage.WithInterval(usage.MaxInterval), usage.WithErrorHandler(quiet))
	w.observed = policy.WithObserver(w.recorder.Observe)
	w.direct = policy.New(w.store, w.observed, policy.WithTimeout(time.Minute)) // every unavailable decision is a finding
	scheme, err := digest.New(digest.Config{Algorithms: algorithms, NonceKey: shared, ShareNonces: true})
	if err != nil {
		return err
	}
	guard, err := policyhttp.New(policyhttp.Config{Engine: w.direct, Realm: realm, Schemes: []policyhttp.Scheme{scheme}})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /organizations/{org}/things", guard.Protect(policy.Endpoint{Name: "things.list"},
		policyhttp.PathOrganization("org"), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	w.handler = mux
	return nil
}

func open(ctx context.Context, address string) (store.Store, error) {
	switch kind, where, _ := strings.Cut(address, " "); kind {
	case "sqlite":
		return sqlite.Open(ctx, where)
	case "postgres":
		pool, err := pgxpool.New(ctx, where)
		if err != nil {
			return nil, err
		}
		return postgres.New(ctx, pool)
	case "etcd":
		client, err := clientv3.New(clientv3.Config{Endpoints: strings.Split(where, ","), DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
		if err != nil {
			return nil, err
		}
		return etcd.New(ctx, client, prefix)
	}
	return nil, fmt.Errorf("no store is at %q", address)
}

// migrate makes the tables at an address, or brings them to this version. Only PostgreSQL
// has a call for that; the other stores do it when they are opened.
func migrate(ctx context.Context, o orders.Order, _ *orders.Answer) error {
	kind, where, _ := strings.Cut(o.Address, " ")
	if kind != "postgres" {
		s, err := open(ctx, o.Address)
		if err != nil {
			return err
		}
		return s.Close()
	}
	pool, err := pgxpool.New(ctx, where)
	if err != nil {
		return err
	}
	defer pool.Close()
	return postgres.Migrate(ctx, pool)
}

// replicate begins to copy the store, and waits until the copy decides.
func (w *worker) replicate(ctx context.Context, _ orders.Order, _ *orders.Answer) (err error) {
	if w.copy, err = replica.New(w.store, replica.WithErrorHandler(quiet)); err != nil {
		return err
	}
	w.copied = policy.New(w.copy, w.observed)
	return w.copy.Ready(ctx)
}

func (w *worker) sync(ctx context.Context, _ orders.Order, _ *orders.Answer) error {
	return w.copy.Sync(ctx)
}

// quiet takes errors that the trials see elsewhere, as in decisions.
func quiet(error) {}

// kindOf returns the kind of an error.
func kindOf(err error) string {
	var refused *admin.Error
	if errors.As(err, &refused) && (refused.Class == admin.Conflict || refused.Class == admin.Changed) {
		return orders.Conflict
	}
	for kind, target := range map[string]error{
		orders.NotFound: store.ErrNotFound, orders.Exists: store.ErrExists, orders.Conflict: store.ErrConflict,
		orders.Invalid: store.ErrInvalid, orders.Newer: store.ErrNewer, orders.Compacted: store.ErrCompacted, orders.Stale: replica.ErrStale,
		orders.Differs: transfer.ErrDiffers, orders.Damaged: transfer.ErrDamaged,
	} {
		if errors.Is(err, target) {
			return kind
		}
	}
	if errors.As(err, &refused) && refused.Class == admin.NotFound {
		return orders.NotFound
	}
	return orders.Failed
}
