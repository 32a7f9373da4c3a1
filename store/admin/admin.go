package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

// An Admin manages the organizations and keys of a store. Make one with [New]. It is safe for
// concurrent use, and keeps nothing between calls.
type Admin struct {
	store   store.Store
	journal store.Journal // nil: none
	sink    func(context.Context, []store.Event) error
	require bool
	issuer  *apikey.Issuer
	clock   func() time.Time
	rules   rules
	observe func(context.Context, Notice)
}

// An Option configures an [Admin].
type Option func(*Admin)

// WithManagers names the managing roles: a usable key with one of them, at the organization,
// is a manager. Without any, LastManager is never found.
func WithManagers(roles ...string) Option {
	return func(a *Admin) { a.rules.managing = slices.Clone(roles) }
}

// WithPeopleManaging says that people manage the organizations as well as keys: LastManager
// is reported then and refuses nothing (rule M12).
func WithPeopleManaging() Option { return func(a *Admin) { a.rules.people = true } }

// WithWindow sets how far back usage counts: 30 days unless set.
func WithWindow(window time.Duration) Option { return func(a *Admin) { a.rules.window = window } }

// WithNotice sets how soon a lockout by the clock refuses a change: within 1 hour unless set
// (rule M7).
func WithNotice(notice time.Duration) Option { return func(a *Admin) { a.rules.notice = notice } }

// WithIssuer sets the issuer of new secrets: the default one unless set. Its clock should be
// that of WithClock.
func WithIssuer(issuer *apikey.Issuer) Option { return func(a *Admin) { a.issuer = issuer } }

// WithClock sets the clock: time.Now unless set.
func WithClock(clock func() time.Time) Option { return func(a *Admin) { a.clock = clock } }

// WithEvents sets the function for events if the store is no [store.Journal]. It is called
// after the write, so a crash between the two loses the events. Its error is in
// [Result.EventErr]. The event of a deletion has the revision of the deleted record.
func WithEvents(sink func(ctx context.Context, events []store.Event) error) Option {
	return func(a *Admin) { a.sink = sink }
}

// RequireJournal makes New fail for a store that is no [store.Journal]: events could get
// lost, and two changes at the same moment, each harmless, could lock everybody out.
func RequireJournal() Option { return func(a *Admin) { a.require = true } }

// WithObserver sets the observer of previews and refused changes, which are not stored (rule
// M27), and of failures that stop no call. It must be fast, and safe for concurrent use.
func WithObserver(observe func(ctx context.Context, notice Notice)) Option {
	return func(a *Admin) { a.observe = observe }
}

// New returns an Admin of a store. A [store.Journal], also one in a wrapper (see [store.As]),
// keeps the events of changes. Otherwise they go to the function of WithEvents. Errors are a
// window or a notice below zero, and what is missing:
//   - a store;
//   - a Journal, with RequireJournal;
//   - a Journal or WithEvents, without it.
func New(s store.Store, options ...Option) (*Admin, error) {
	a := &Admin{store: s, clock: time.Now, observe: ignore, rules: rules{window: defaultWindow, notice: defaultNotice}}
	for _, option := range options {
		option(a)
	}
	if s == nil {
		return nil, errors.New("store/admin: the store is nil: want one")
	}
	a.journal, _ = store.As[store.Journal](s)
	switch {
	case a.journal == nil && a.require:
		return nil, errors.New("store/admin: the store keeps no events: want a store.Journal, as RequireJournal says")
	case a.journal == nil && a.sink == nil:
		return nil, errors.New("store/admin: the store keeps no events: want a store.Journal, or WithEvents")
	case a.rules.window <= 0 || a.rules.notice < 0:
		return nil, fmt.Errorf("store/admin: the window is %v and the notice %v: want a window above 0, and a notice of 0 or more", a.rules.window, a.rules.notice)
	}
	return a, nil
}

func ignore(context.Context, Notice) {}

// Organization returns an organization.
func (a *Admin) Organization(ctx context.Context, organization string) (OrganizationView, error) {
	found, err := a.store.Organization(ctx, organization)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return OrganizationView{}, noOrganization(organization)
	case err != nil:
		return OrganizationView{}, unread(err)
	}
	return viewOrganization(found, a.clock()), nil
}

// Key returns a key of the organization. A key of another organization is NotFound.
func (a *Admin) Key(ctx context.Context, organization string, id apikey.ID) (KeyView, error) {
	found, err := a.store.Key(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && found.Organization != organization:
		return KeyView{}, noKey(id)
	case err != nil:
		return KeyView{}, unread(err)
	}
	return viewKey(found, a.clock()), nil
}

// Keys returns a page of the organization's keys, in the order of their IDs. Those with a
// label or an external ID are found by the request's Filter.
func (a *Admin) Keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[KeyView], error) {
	page, err := a.store.Keys(ctx, organization, request)
	if err != nil {
		return store.Page[KeyView]{}, unread(err)
	}
	if len(page.Items) == 0 {
		if _, err := a.Organization(ctx, organization); err != nil {
			return store.Page[KeyView]{}, err
		}
	}
	views, now := make([]KeyView, 0, len(page.Items)), a.clock()
	for _, key := range page.Items {
		views = append(views, viewKey(key, now))
	}
	return store.Page[KeyView]{Items: views, Next: page.Next}, nil
}

// A Replica is a copy of the store for decisions, such as a replica.Replica.
type Replica interface {
	// Sync waits until the copy has every write acknowledged before the call.
	Sync(ctx context.Context) error
}

// WaitFor waits until every change made before the call is in force on these replicas. An
// error is Unavailable: the changes are stored, but not known to be in force.
func WaitFor(ctx context.Context, replicas ...Replica) error {
	for _, replica := range replicas {
		if err := replica.Sync(ctx); err != nil {
			return wrap(Unavailable, err, "The change is stored. It is not known yet whether it is in force everywhere.")
		}
	}
	return nil
}
