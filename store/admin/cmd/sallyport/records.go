package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// Records are what commands read and change: those of a store, or of a running service. Every
// command is written once, on top of them.
type records interface {
	Who(ctx context.Context) (who, error)
	Organizations(ctx context.Context) iter.Seq2[admin.OrganizationView, error]
	Organization(ctx context.Context, id string) (admin.OrganizationView, error)
	OrganizationOf(ctx context.Context, id apikey.ID) (string, error)
	Key(ctx context.Context, organization string, id apikey.ID) (admin.KeyView, error)
	Keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[admin.KeyView], error)
	Usage(ctx context.Context, organization string, id apikey.ID) (admin.KeyUsage, error)
	ReviewList(ctx context.Context, organization string, id apikey.ID, internet bool) (admin.ListReview, error)
	May(ctx context.Context, organization string, id apikey.ID, endpoints []policy.Endpoint, client netip.Addr) (admin.Permissions, error)
	Decide(ctx context.Context, request policy.Request, at time.Time) (decided, error)
	DecideAll(ctx context.Context, requests []policy.Request, at time.Time) ([]decided, error)
	Investigate(ctx context.Context, organization string, call admin.Call) (admin.Investigation, error)
	Tighten(ctx context.Context, organization string, id apikey.ID, options admin.TightenOptions) (admin.Tightening, error)
	Preview(ctx context.Context, organization string, changes ...change) (admin.Preview, error)
	Apply(ctx context.Context, organization string, options admin.ApplyOptions, changes ...change) (made, error)
	Events(ctx context.Context, request store.EventRequest) (store.EventPage, error)
	Follow(ctx context.Context, request store.EventRequest) iter.Seq2[store.EventPage, error]
}

// A made is the result of changes, with their secrets.
type made struct {
	admin.Result
	late    bool // stored, and not yet in force everywhere
	secrets []newSecret
}

// A newSecret is a secret to be shown once. A server's is a text: only an issuer makes an
// apikey.Secret of it.
type newSecret struct {
	key  apikey.ID
	id   string
	text string
}

// storeOnlyError is the error of a command that no server has, with the reason.
func storeOnlyError(why string) error {
	return fmt.Errorf("with --server this command is not available: use --store. %s", why)
}

// records opens the store, with these options of its Admin, or reaches the server.
func (s *session) records(ctx context.Context, options ...admin.Option) (records, error) {
	if err := s.resolve(); err != nil {
		return nil, err
	}
	if s.isRemote() {
		return s.reach()
	}
	a, err := s.admin(ctx, options...)
	if err != nil {
		return nil, err
	}
	return &local{Admin: a, session: s}, nil
}

// since returns the records with how far back usage counts. That of a server is its own unless
// the flag is given.
func (s *session) since(c *cobra.Command, window length) (records, error) {
	r, err := s.records(c.Context(), admin.WithWindow(time.Duration(window.duration)))
	if remote, ok := r.(*server); ok && c.Flags().Changed("since") {
		remote.window = time.Duration(window.duration)
	}
	return r, err
}

// Why a server does not take a flag.
const (
	rolesAreTheServices     = "The roles and the conditions of an endpoint are the service's own: want --endpoint NAME"
	secretsAreTheServices   = "The service makes and verifies secrets itself"
	endpointsAreTheServices = "The service says what a key may do at its own endpoints"
)

// storeOnly returns an error if one of these flags is given and there is a server, which
// decides such things itself.
func (s *session) storeOnly(c *cobra.Command, why string, flags ...string) error {
	if err := s.resolve(); err != nil || !s.isRemote() {
		return err
	}
	for _, flag := range flags {
		if c.Flags().Changed(flag) {
			return fmt.Errorf("with --server the flag --%s is not available: use --store. %s", flag, why)
		}
	}
	return nil
}

// A local is the records of the opened store.
type local struct {
	*admin.Admin
	session *session
}

func (l *local) Who(context.Context) (who, error) {
	actor := l.session.actor()
	return who{Actor: actorView{Kind: actor.Kind(), ID: actor.ID()}}, nil
}

func (l *local) Organizations(ctx context.Context) iter.Seq2[admin.OrganizationView, error] {
	return func(yield func(admin.OrganizationView, error) bool) {
		for o, err := range store.AllOrganizations(ctx, l.session.store) {
			if !yield(l.View(o), err) {
				return
			}
		}
	}
}

func (l *local) OrganizationOf(ctx context.Context, id apikey.ID) (string, error) {
	key, err := l.session.store.Key(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return "", noKeyError{id, l.session.shown}
	}
	return key.Organization, err
}

func (l *local) Decide(ctx context.Context, request policy.Request, at time.Time) (decided, error) {
	return decidedOf(l.engine(at).Decide(ctx, request)), nil
}

func (l *local) DecideAll(ctx context.Context, requests []policy.Request, at time.Time) (all []decided, err error) {
	for _, d := range l.engine(at).DecideAll(ctx, requests) {
		all = append(all, decidedOf(d))
	}
	return all, nil
}

// engine decides at an instant, now if that is zero.
func (l *local) engine(at time.Time) *policy.Engine {
	clock := l.session.env.now
	if !at.IsZero() {
		clock = func() time.Time { return at }
	}
	return policy.New(l.session.store, policy.WithClock(clock), policy.WithTimeout(deciding))
}

func (l *local) Investigate(ctx context.Context, organization string, call admin.Call) (admin.Investigation, error) {
	return l.Admin.Investigate(ctx, l.session.actor(), organization, call)
}

func (l *local) Tighten(ctx context.Context, organization string, id apikey.ID, options admin.TightenOptions) (admin.Tightening, error) {
	return l.Admin.Tighten(ctx, l.session.actor(), organization, id, options)
}

func (l *local) Preview(ctx context.Context, organization string, changes ...change) (admin.Preview, error) {
	return l.Admin.Preview(ctx, l.session.actor(), organization, changesOf(changes)...)
}

func (l *local) Apply(ctx context.Context, organization string, options admin.ApplyOptions, changes ...change) (made, error) {
	result, err := l.Admin.Apply(ctx, l.session.actor(), organization, options, changesOf(changes)...)
	m := made{Result: result}
	for _, secret := range result.Secrets {
		m.secrets = append(m.secrets, newSecret{secret.Key, secret.ID, secret.Secret.Reveal()})
	}
	return m, err
}

func (l *local) Events(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
	journal, ok := store.As[store.Journal](l.session.store)
	if !ok {
		return store.EventPage{}, errors.New("the store keeps no events")
	}
	return journal.Events(ctx, request)
}

func (l *local) Follow(ctx context.Context, request store.EventRequest) iter.Seq2[store.EventPage, error] {
	return store.FollowEvents(ctx, l.session.store, request)
}
