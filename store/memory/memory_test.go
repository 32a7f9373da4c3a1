package memory_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest"
)

func open(testing.TB) store.Store { return memory.New() }

// compact creates more keys than the feed remembers.
func compact(t testing.TB, s store.Store) {
	_, err := s.PutOrganization(context.Background(), policy.Organization{ID: "busy"})
	require.NoError(t, err)
	secrets := []apikey.StoredSecret{{Sum: [32]byte{1}}}
	for i := range 33_000 {
		_, err = s.PutKey(context.Background(), apikey.Key{ID: apikey.ID(fmt.Sprint("busy-", i)), Organization: "busy", Secrets: secrets}, store.AllowOpen)
		require.NoError(t, err)
	}
}

func TestStore(t *testing.T) { storetest.Run(t, open, storetest.Compact(compact)) }

func BenchmarkStore(b *testing.B) { storetest.Benchmark(b, open) }

// stored returns a store with a key that has n entries and may call from 192.0.2.7,
// among others, and a request that is allowed by it.
func stored(t testing.TB, n int) (*memory.Store, policy.Request) {
	ctx, s := context.Background(), memory.New()
	_, err := s.PutOrganization(ctx, policy.Organization{ID: "acme", Requirement: policy.ReportOnly})
	require.NoError(t, err)
	key, secret, err := apikey.New("acme", apikey.Grant{Role: "reader"}, apikey.Grant{Role: "writer", Project: "web"})
	require.NoError(t, err)
	var texts []string
	for i := range n {
		texts = append(texts, fmt.Sprintf("192.0.%d.7", i+2))
	}
	if n > 0 {
		key.AccessList, err = accesslist.Parse(texts...)
		require.NoError(t, err)
	}
	_, err = s.PutKey(ctx, key, store.AllowOpen)
	require.NoError(t, err)
	for i := range 1000 {
		_, err = s.PutKey(ctx, apikey.Key{ID: apikey.ID(fmt.Sprint("other-", i)), Organization: "acme", Secrets: key.Secrets}, store.AllowOpen)
		require.NoError(t, err)
	}
	return s, policy.Request{
		Key: key.ID, Secret: secret, Client: netip.MustParseAddr("192.0.2.7"), Organization: "acme", Project: "web",
		Endpoint: &policy.Endpoint{Name: "deploy", Roles: []string{"admin", "writer"}},
	}
}

// A look-up and a whole decision, the proof of the secret included, allocate nothing.
func TestNoAllocations(t *testing.T) {
	ctx := context.Background()
	for _, entries := range []int{0, 1, 20, 200} {
		s, request := stored(t, entries)
		engine := policy.New(s)
		require.True(t, engine.Decide(ctx, request).Allowed())
		denied := request
		denied.Client = netip.MustParseAddr("203.0.113.1")
		verified := request
		verified.Secret, verified.Verifier = apikey.Secret{}, policy.AlreadyVerified{}
		require.True(t, engine.Decide(ctx, verified).Allowed())
		unknown := request
		unknown.Key = "not-there"
		for name, f := range map[string]func(){
			"Lookup":              func() { _, _, _ = s.Lookup(ctx, request.Key) },
			"Lookup, missing":     func() { _, _, _ = s.Lookup(ctx, "not-there") },
			"LookupNow":           func() { _, _, _ = s.LookupNow(request.Key) },
			"Decide":              func() { engine.Decide(ctx, request) },
			"Decide, no proof":    func() { engine.Decide(ctx, verified) },
			"Decide, other place": func() { engine.Decide(ctx, denied) },
			"Decide, unknown key": func() { engine.Decide(ctx, unknown) },
			"Organization":        func() { _, _ = s.Organization(ctx, "acme") },
		} {
			assert.Zero(t, testing.AllocsPerRun(200, f), "%s with %d entries", name, entries)
		}
	}
}

// The engine asks a Store directly, without a goroutine and a deadline.
func TestStoreIsImmediate(t *testing.T) {
	s, request := stored(t, 1)
	var source policy.Source = s
	_, immediate := source.(policy.ImmediateSource)
	assert.True(t, immediate)
	require.NoError(t, s.Close())
	d := policy.New(s).Decide(t.Context(), request)
	assert.Equal(t, policy.Unavailable, d.Reason)
	assert.ErrorIs(t, d.Cause, store.ErrClosed)
}

// Every line of the order that a store can lead to takes effect with the write that
// causes it, since nothing is kept between decisions.
func TestDecisionsFollowWrites(t *testing.T) {
	ctx := t.Context()
	s, request := stored(t, 0)
	engine := policy.New(s)
	want := func(reason policy.Reason) {
		t.Helper()
		d := engine.Decide(ctx, request)
		assert.Equal(t, reason, d.Reason, "%v", d)
	}
	change := func(change func(*apikey.Key)) {
		t.Helper()
		key, err := s.Key(ctx, request.Key)
		require.NoError(t, err)
		change(&key)
		_, err = s.PutKey(ctx, key, store.AllowOpen)
		require.NoError(t, err)
	}
	demand := func(requirement policy.Requirement) {
		t.Helper()
		organization, err := s.Organization(ctx, "acme")
		require.NoError(t, err)
		organization.Requirement = requirement
		_, err = s.PutOrganization(ctx, organization)
		require.NoError(t, err)
	}
	want(policy.OpenList)
	demand(policy.Required)
	want(policy.OrganizationRequiresAccessList)
	change(func(k *apikey.Key) { k.AccessList, _ = accesslist.Parse("192.0.2.0/24") })
	want(policy.AddressListed)
	change(func(k *apikey.Key) { k.AccessList, _ = accesslist.Parse("203.0.113.1") })
	want(policy.AddressNotListed)
	change(func(k *apikey.Key) { k.AccessList = accesslist.List{} })
	want(policy.OrganizationRequiresAccessList)
	demand(policy.NotRequired)
	want(policy.OpenList)
	change(func(k *apikey.Key) { k.Disabled = true })
	want(policy.KeyDisabled)
	change(func(k *apikey.Key) { k.Disabled, k.Grants = false, nil })
	want(policy.ProjectNotGranted)
	require.NoError(t, s.DeleteKey(ctx, request.Key, 0))
	want(policy.UnknownKey)
	require.NoError(t, s.Close())
	want(policy.Unavailable)
}
