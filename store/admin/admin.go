package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
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
// is a manager (rule M12). Without any, LastManager is never found; New asks for
// WithPeopleManaging then.
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

// WithObserver sets the observer of previews, refused changes and failures that stop no call.
// None of them is stored (rule M27). It must be fast, and safe for concurrent use.
func WithObserver(observe func(ctx context.Context, notice Notice)) Option {
	return func(a *Admin) { a.observe = observe }
}

// New returns an Admin of a store. A [store.Journal], also one in a wrapper (see [store.As]),
// keeps the events of changes. Otherwise they go to the function of WithEvents. Errors are
//   - no store;
//   - no Journal, with RequireJournal;
//   - neither a Journal nor WithEvents;
//   - neither WithManagers nor WithPeopleManaging, or an invalid name of a role;
//   - a window of zero, or one or a notice below zero;
//   - a nil option, clock or observer.
func New(s store.Store, options ...Option) (*Admin, error) {
	a := &Admin{store: s, clock: time.Now, observe: ignore, rules: rules{window: defaultWindow, notice: defaultNotice}}
	for _, option := range options {
		if option == nil {
			return nil, errors.New("store/admin: an option is nil: leave it out")
		}
		option(a)
	}
	for _, role := range a.rules.managing {
		if err := apikey.ValidateName("managing role", role); err != nil {
			return nil, fmt.Errorf("store/admin: WithManagers: %w", err)
		}
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
	case a.clock == nil || a.observe == nil:
		return nil, errors.New("store/admin: the clock or the observer is nil: leave the option out, or give a function")
	case a.rules.window <= 0 || a.rules.notice < 0:
		return nil, fmt.Errorf("store/admin: the window is %v and the notice %v: want a window above 0, and a notice of 0 or more", a.rules.window, a.rules.notice)
	case len(a.rules.managing) == 0 && !a.rules.people:
		return nil, errors.New("store/admin: no managing role is named, so nothing would protect the last manager: want WithManagers, or WithPeopleManaging")
	}
	return a, nil
}

// Window returns how far back usage counts; see [WithWindow].
func (a *Admin) Window() time.Duration { return a.rules.window }

// Within returns an Admin that differs in how far back usage counts: see [WithWindow]. A window
// of zero or below leaves it as it is.
func (a *Admin) Within(window time.Duration) *Admin {
	other := *a
	if window > 0 {
		other.rules.window = window
	}
	return &other
}

func ignore(context.Context, Notice) {}

// Organization returns an organization.
func (a *Admin) Organization(ctx context.Context, organization string) (OrganizationView, error) {
	found, err := a.organization(ctx, organization)
	if errors.Is(err, store.ErrNotFound) {
		return OrganizationView{}, noOrganization(organization)
	}
	if err != nil {
		return OrganizationView{}, unread(err)
	}
	return a.View(found), nil
}

// View returns an organization as [Admin.Organization] does, from a record of the store: one of a
// page is not read again.
func (a *Admin) View(organization policy.Organization) OrganizationView {
	return viewOrganization(organization, a.clock())
}

// Key returns a key of the organization. A key of another organization is NotFound.
func (a *Admin) Key(ctx context.Context, organization string, id apikey.ID) (KeyView, error) {
	found, err := a.keyOf(ctx, organization, id)
	if err != nil {
		return KeyView{}, err
	}
	return viewKey(found, a.clock()), nil
}

// keyOf reads a key of the organization, with errors for the caller.
func (a *Admin) keyOf(ctx context.Context, organization string, id apikey.ID) (apikey.Key, error) {
	found, err := a.key(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && found.Organization != organization:
		return apikey.Key{}, noKey(id)
	case err != nil:
		return apikey.Key{}, unread(err)
	}
	return found, nil
}

// organization reads an organization. Another record than the one asked for is an error.
func (a *Admin) organization(ctx context.Context, id string) (policy.Organization, error) {
	found, err := a.store.Organization(ctx, id)
	if err == nil && found.ID != id {
		err = errOther
	}
	return found, err
}

// key reads a key. Another record than the one asked for is an error.
func (a *Admin) key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	found, err := a.store.Key(ctx, id)
	if err == nil && found.ID != id {
		err = errOther
	}
	return found, err
}

// keys reads a page of keys. One of another organization is an error.
func (a *Admin) keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[apikey.Key], error) {
	page, err := a.store.Keys(ctx, organization, request)
	if err == nil && slices.ContainsFunc(page.Items, func(k apikey.Key) bool { return k.Organization != organization }) {
		err = errOther
	}
	return page, err
}

var errOther = errors.New("store/admin: the store returned another record than the one asked for: want a store that passes storetest")

// Keys returns a page of the organization's keys, in the order of their IDs. Those with a
// label or an external ID are found by the request's Filter.
func (a *Admin) Keys(ctx context.Context, organization string, request store.PageRequest) (store.Page[KeyView], error) {
	page, err := a.keys(ctx, organization, request)
	switch {
	case errors.Is(err, store.ErrInvalid): // besides the request nothing is given
		return store.Page[KeyView]{}, wrap(Invalid, err, "The page or the filter is unknown. Begin with the first page.")
	case err != nil:
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

var errNoReplica = errors.New("store/admin: a replica is nil: want every replica that decides")

// WaitFor waits until every change made before the call is in force on these replicas. An
// error is Unavailable: the changes are stored, but not known to be in force. A nil replica
// is one.
func WaitFor(ctx context.Context, replicas ...Replica) error {
	for _, replica := range replicas {
		err := errNoReplica
		if replica != nil {
			err = replica.Sync(ctx)
		}
		if err != nil {
			return wrap(Unavailable, err, "The change is stored. It is not known yet whether it is in force everywhere.")
		}
	}
	return nil
}
