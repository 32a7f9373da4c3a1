package memory_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/own"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/replica"
)

// wrapped is a store for which package policy does not vouch: it has every method of
// memory.Store, and its own LookupNow.
type wrapped struct {
	*memory.Store
	answer func(policy.Subject, bool, error) (policy.Subject, bool, error) // nil: the store's
}

func (w wrapped) LookupNow(id apikey.ID) (policy.Subject, bool, error) {
	subject, found, err := w.Store.LookupNow(id)
	if w.answer != nil {
		return w.answer(subject, found, err)
	}
	return subject, found, err
}

// Engines believe this module's stores and check what everyone else answers. A store around
// memory.Store is somebody else's.
func TestWrappedStoreIsChecked(t *testing.T) {
	ctx, s := context.Background(), memory.New()
	var keys [2]apikey.Key
	for i, organization := range []string{"acme", "globex"} {
		_, err := s.PutOrganization(ctx, policy.Organization{ID: organization})
		require.NoError(t, err)
		key, _, err := apikey.New(organization)
		require.NoError(t, err)
		keys[i], err = s.PutKey(ctx, key, store.AllowOpen)
		require.NoError(t, err)
	}
	require.NotNil(t, own.Of(s))
	copied, err := replica.New(s)
	require.NoError(t, err)
	defer copied.Close()
	require.NotNil(t, own.Of(copied))
	require.Nil(t, own.Of(struct{ *replica.Replica }{copied}))

	request := policy.Request{Key: keys[0].ID, Verifier: policy.AlreadyVerified{}, Client: netip.MustParseAddr("203.0.113.7"), Organization: "acme"}
	other, _, err := s.LookupNow(keys[1].ID)
	require.NoError(t, err)
	for says, answer := range map[string]func(policy.Subject, bool, error) (policy.Subject, bool, error){
		"want the same bytes":          func(policy.Subject, bool, error) (policy.Subject, bool, error) { return other, true, nil },
		"a Subject without one":        func(policy.Subject, bool, error) (policy.Subject, bool, error) { return policy.Subject{}, true, nil },
		"panic while deciding: broken": func(policy.Subject, bool, error) (policy.Subject, bool, error) { panic("broken") },
	} {
		w := wrapped{s, answer}
		require.Nil(t, own.Of(w))
		for _, source := range []policy.Source{w, &w} {
			d := policy.New(source).Decide(ctx, request)
			require.Equal(t, policy.Unavailable, d.Reason)
			require.ErrorContains(t, d.Cause, says)
		}
	}
	require.Equal(t, policy.OpenList, policy.New(wrapped{Store: s}).Decide(ctx, request).Reason)
	require.Equal(t, policy.OpenList, policy.New(s).Decide(ctx, request).Reason)
}

// On the same random worlds the store itself, the store behind a type of somebody else, and
// both together with DecideAll give the same decisions, field by field.
func TestOwnAndCheckedWayAgree(t *testing.T) {
	ctx := context.Background()
	now := time.Date(2026, time.June, 1, 12, 0, 0, 0, time.UTC)
	clock := policy.WithClock(func() time.Time { return now })
	reasons := map[policy.Reason]int{}
	for seed := range uint64(60) {
		random := rand.New(rand.NewPCG(seed, 1))
		s := memory.New()
		requests := randomWorld(t, s, random, now)
		direct, checked := policy.New(s, clock), policy.New(wrapped{Store: s}, clock)
		together, apart := maps.Collect(direct.DecideAll(ctx, requests)), maps.Collect(checked.DecideAll(ctx, requests))
		for i, request := range requests {
			want := checked.Decide(ctx, request)
			require.Equal(t, want, direct.Decide(ctx, request))
			require.Equal(t, want, together[i])
			require.Equal(t, want, apart[i])
			reasons[want.Reason]++
		}
		require.NoError(t, s.Close())
		closed := maps.Collect(direct.DecideAll(ctx, requests))
		require.Len(t, closed, len(requests))
		for i, d := range closed {
			require.Equal(t, checked.Decide(ctx, requests[i]), d)
		}
	}
	for reason := policy.InvalidRequest; reason <= policy.OpenList; reason++ {
		if reason != policy.Unavailable {
			require.NotZero(t, reasons[reason], "%s never answered", reason)
		}
	}
}

// randomWorld fills a store with a few organizations and keys, changes and deletes some, and
// returns requests for them.
func randomWorld(t *testing.T, s *memory.Store, random *rand.Rand, now time.Time) (requests []policy.Request) {
	ctx := context.Background()
	pick := func(texts ...string) string { return texts[random.IntN(len(texts))] }
	instant := func() time.Time {
		if random.IntN(3) > 0 {
			return time.Time{}
		}
		return now.Add(time.Duration(random.IntN(5)-2) * time.Second)
	}
	var organizations []policy.Organization
	for i := range 3 {
		o, err := s.PutOrganization(ctx, policy.Organization{ID: fmt.Sprint("org-", i)})
		require.NoError(t, err)
		organizations = append(organizations, o)
	}
	secrets := map[apikey.ID]apikey.Secret{}
	ids := []apikey.ID{"absent", "not an ID", ""}
	for range 30 {
		key, secret, err := apikey.New(organizations[random.IntN(3)].ID)
		require.NoError(t, err)
		for range random.IntN(3) {
			key.Grants = append(key.Grants, apikey.Grant{Role: pick("reader", "writer"), Project: pick("", "alpha", "beta")})
		}
		if len(key.Grants) == 2 && key.Grants[0] == key.Grants[1] {
			key.Grants = key.Grants[:1]
		}
		var entries []accesslist.Entry
		for _, text := range []string{"203.0.113.7", "198.51.100.0/24", "10.0.0.0/8"}[:random.IntN(4)] {
			entry, err := accesslist.ParseEntry(text)
			require.NoError(t, err)
			entry.Expires = instant()
			entries = append(entries, entry)
		}
		key.AccessList, err = accesslist.List{}.With(entries...)
		require.NoError(t, err)
		key.Disabled, key.Expires = random.IntN(10) == 0, instant()
		if key.NotBefore = instant(); !key.Expires.IsZero() && !key.NotBefore.Before(key.Expires) {
			key.NotBefore = time.Time{}
		}
		key, err = s.PutKey(ctx, key, store.AllowOpen)
		require.NoError(t, err)
		secrets[key.ID], ids = secret, append(ids, key.ID)
		if random.IntN(10) == 0 {
			require.NoError(t, s.DeleteKey(ctx, key.ID, key.Revision))
		}
	}
	for _, o := range organizations {
		o.Requirement, o.Disabled = policy.Requirement(random.IntN(3)), random.IntN(8) == 0
		_, err := s.PutOrganization(ctx, o)
		require.NoError(t, err)
	}
	for range 200 {
		r := policy.Request{
			Key: ids[random.IntN(len(ids))], Organization: fmt.Sprint("org-", random.IntN(3)), Project: pick("", "", "alpha"),
			Client:  netip.MustParseAddr(pick("203.0.113.7", "198.51.100.9", "::ffff:10.1.2.3", "192.0.2.1", "2001:db8::1")),
			Console: random.IntN(30) == 0,
		}
		subject, _, err := s.LookupNow(r.Key)
		require.NoError(t, err)
		if key := subject.Key(); key.Organization != "" && random.IntN(4) > 0 {
			r.Organization = key.Organization
		}
		if random.IntN(2) == 0 {
			r.Endpoint = &policy.Endpoint{RequiresAccessList: random.IntN(2) == 0, Roles: []string{pick("reader", "owner")}}
		}
		switch random.IntN(4) {
		case 0:
			r.Verifier = policy.AlreadyVerified{}
		case 1:
			r.Secret = secrets[ids[random.IntN(len(ids))]]
		default:
			r.Secret = secrets[r.Key]
		}
		if random.IntN(20) == 0 {
			r.Err = policy.ErrInvalidCredentials
		}
		requests = append(requests, r)
	}
	return requests
}
