package admin_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A mixed store returns other records than the ones asked for.
type mixed struct {
	store.Store
	key          apikey.ID
	organization string
}

func (m *mixed) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	if m.key != "" {
		id = m.key
	}
	return m.Store.Key(ctx, id)
}

func (m *mixed) Organization(ctx context.Context, id string) (policy.Organization, error) {
	if m.organization != "" {
		id = m.organization
	}
	return m.Store.Organization(ctx, id)
}

func (m *mixed) Keys(ctx context.Context, organization string, page store.PageRequest) (store.Page[apikey.Key], error) {
	if m.organization != "" {
		organization = m.organization
	}
	return m.Store.Keys(ctx, organization, page)
}

// Another record than the one asked for is never judged, shown or written (rule M25).
func TestM25OtherRecords(t *testing.T) {
	f := newFaulty()
	m := &mixed{Store: f}
	w := worldOf(t, m, f.Store, admin.WithEvents(func(context.Context, []store.Event) error { return nil }))
	w.key("a", "203.0.113.7", "owner")
	w.key("b", "203.0.113.8", "owner")
	w.organization("other", policy.NotRequired)
	w.keyOf("other", "c", "203.0.113.8", "owner")
	actor := w.by("a", "203.0.113.7")
	const words = "store/admin: unavailable: The records could not be read. Nothing was changed. Try again later. " +
		"(store/admin: the store returned another record than the one asked for: want a store that passes storetest)"
	for name, gives := range map[string]mixed{"key": {key: "b"}, "a foreign key": {key: "c"}, "organization": {organization: "other"}} {
		t.Run(name, func(t *testing.T) {
			m.key, m.organization = gives.key, gives.organization
			change := admin.DisableKey("a")
			require.EqualError(t, w.refuse(admin.Unavailable, ann, accept(admin.Opens), change), words)
			require.EqualError(t, w.refuse(admin.Unavailable, actor, accept(admin.Opens), change), words)
			_, err := w.admin.Preview(w.ctx, ann, "acme", change)
			require.EqualError(t, err, words)
			if m.key != "" {
				_, err = w.admin.Key(w.ctx, "acme", "a")
				require.EqualError(t, err, words)
				_, err = w.admin.Key(w.ctx, "other", "a")
				require.EqualError(t, err, words)
				return
			}
			w.refuse(admin.Unavailable, ann, plain, admin.SetRequirement(policy.Required))
			_, err = w.admin.Organization(w.ctx, "acme")
			require.EqualError(t, err, words)
			_, err = w.admin.Keys(w.ctx, "acme", store.PageRequest{})
			require.EqualError(t, err, words)
		})
	}
}

// A store that finds its own request invalid is a failure, and only a page is the caller's.
func TestM25InvalidReads(t *testing.T) {
	f := newFaulty()
	w := worldOf(t, f, f.Store)
	w.key("boss", "198.51.100.1", "owner")
	for call, change := range map[string]admin.Change{
		"Organization": admin.Describe("boss", "x"), "Key": admin.Describe("boss", "x"), "Keys": admin.SetRequirement(policy.Required),
	} {
		f.before = func(called string) error {
			if called == call {
				return store.ErrInvalid
			}
			return nil
		}
		require.Equal(t, "The records could not be read. Nothing was changed. Try again later.", w.refuse(admin.Unavailable, ann, plain, change).Message)
	}
	f.before = func(string) error { return store.ErrInvalid }
	_, err := w.admin.Keys(w.ctx, "acme", store.PageRequest{})
	require.ErrorContains(t, err, "invalid: The page or the filter is unknown. Begin with the first page.")

	// A change that is wrong in itself is so while the store is down (rule M2).
	for _, call := range []string{"Organization", "Key"} {
		f.before = func(string) error { return nil }
		actor := w.by("boss", "198.51.100.1")
		f.fail(call, false)
		for _, actor := range []admin.Actor{ann, actor} {
			w.refuse(admin.Invalid, actor, plain, admin.Describe("boss", "a\nb"))
			w.refuse(admin.Invalid, actor, plain)
		}
	}
}

// One call comes back to the organization a bounded number of times.
func TestTurnsAreBounded(t *testing.T) {
	w := newWorld(t)
	w.key("boss", "198.51.100.1", "owner")
	var changes []admin.Change
	for range 10 {
		changes = append(changes, admin.SetName("x"), admin.SetName("y"), admin.Describe("boss", "x"))
	}
	w.preview(ann, changes...)
	require.Equal(t, "The organization is changed 11 times in turns with its keys: 10 are possible. Put its changes next to each other.",
		w.refuse(admin.Invalid, ann, plain, append(changes, admin.SetName("z"))...).Message)
}

// What is missing or nil is an error, and no panic later.
func TestNewRefuses(t *testing.T) {
	m := newFaulty()
	managers := admin.WithManagers("owner")
	for want, options := range map[string][]admin.Option{
		"an option is nil": {managers, nil},
		"no managing role is named, so nothing would protect the last manager: want WithManagers, or WithPeopleManaging": {},
		"store/admin: WithManagers: apikey: the managing role":                                                           {admin.WithManagers("owner", "")},
		"the clock or the observer is nil":                                                                               {managers, admin.WithClock(nil)},
		"the observer is nil":                                                                                            {managers, admin.WithObserver(nil)},
		"want a window above 0, and a notice of 0 or more":                                                               {managers, admin.WithNotice(-time.Second)},
	} {
		_, err := admin.New(m, options...)
		require.ErrorContains(t, err, want)
	}
	for _, option := range []admin.Option{managers, admin.WithPeopleManaging()} {
		_, err := admin.New(m, option)
		require.NoError(t, err)
	}
	requireClass(t, admin.Unavailable, admin.WaitFor(t.Context(), nil))
}
