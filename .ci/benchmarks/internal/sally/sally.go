// Package sally is sallyport as a program would use it: keys in store/memory, and an Engine with
// default options.
package sally

import (
	"context"
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"sallyport.test/benchmarks/internal/work"
)

// An Engine is sallyport's.
type Engine struct {
	Store     *memory.Store
	engine    *policy.Engine
	endpoints []policy.Endpoint // by number
	requests  []policy.Request  // of DecideAll
}

// New puts a world into a store.
func New(w *work.World) (*Engine, error) {
	ctx, s := context.Background(), memory.New()
	for i := range w.Organizations() {
		o := w.Organization(i)
		_, err := s.PutOrganization(ctx, policy.Organization{ID: o.ID, Requirement: policy.Requirement(o.Requirement)})
		if err != nil {
			return nil, err
		}
	}
	for i := range w.Keys {
		key, err := Key(w.Key(i))
		if err == nil {
			_, err = s.PutKey(ctx, key, store.AllowOpen) // as the world has it
		}
		if err != nil {
			return nil, err
		}
	}
	e := &Engine{Store: s, engine: policy.New(s)}
	for _, endpoint := range work.Endpoints {
		e.endpoints = append(e.endpoints, policy.Endpoint{Name: endpoint.Name, RequiresAccessList: endpoint.RequiresList, Roles: endpoint.Roles})
	}
	return e, nil
}

// Key makes sallyport's record of a key.
func Key(k work.Key) (apikey.Key, error) {
	list, err := List(k.List)
	return apikey.Key{
		ID: apikey.ID(k.ID), Organization: k.Organization.ID, Disabled: k.Disabled, Expires: k.Expires,
		AccessList: list,
		Grants:     []apikey.Grant{{Role: k.Role}},
		Secrets:    []apikey.StoredSecret{{Sum: k.Sum, Created: created}},
		Created:    created,
	}, err
}

var created = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

// List compiles blocks.
func List(blocks []netip.Prefix) (accesslist.List, error) {
	entries := make([]accesslist.Entry, len(blocks))
	for i, block := range blocks {
		var err error
		if entries[i], err = (accesslist.Parser{}).NewEntry(block); err != nil {
			return accesslist.List{}, err
		}
	}
	return accesslist.List{}.With(entries...)
}

// Decide answers a request.
func (e *Engine) Decide(r *work.Request) bool {
	d := e.engine.Decide(context.Background(), e.request(r))
	return d.Allowed()
}

// DecideAll answers requests together, and returns the number of allowed ones.
func (e *Engine) DecideAll(rs []work.Request) (allowed int) {
	e.requests = e.requests[:0]
	for i := range rs {
		e.requests = append(e.requests, e.request(&rs[i]))
	}
	for _, d := range e.engine.DecideAll(context.Background(), e.requests) {
		if d.Allowed() {
			allowed++
		}
	}
	return allowed
}

func (e *Engine) request(r *work.Request) policy.Request {
	var secret apikey.Secret
	var verifier policy.Verifier
	if r.Proof != nil {
		secret = r.Proof.Secret
	} else {
		verifier = policy.AlreadyVerified{}
	}
	return policy.Request{
		Key: apikey.ID(r.Key), Secret: secret, Verifier: verifier, Client: r.Client, Organization: r.Organization,
		Endpoint: &e.endpoints[r.Endpoint.Number],
	}
}
