package store_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
	"github.com/sallyport-go/sallyport/store/memory"
)

// Rule A11: a served call is counted on the most specific entry that covered it. A denied one
// is counted by its reason alone, and only after the proof.
func TestA11UsageOf(t *testing.T) {
	now := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	ctx, s := t.Context(), memory.New()
	_, err := s.PutOrganization(ctx, policy.Organization{ID: "acme"})
	require.NoError(t, err)
	key, secret, err := apikey.New("acme")
	require.NoError(t, err)
	expired, err := accesslist.ParseEntry("10.1.2.3")
	require.NoError(t, err)
	expired.Expires = now
	list, err := accesslist.Parse("10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "0.0.0.0/0")
	require.NoError(t, err)
	key.AccessList, err = list.With(expired)
	require.NoError(t, err)
	_, err = s.PutKey(ctx, key, store.AllowOpen)
	require.NoError(t, err)
	open, openSecret, err := apikey.New("acme")
	require.NoError(t, err)
	_, err = s.PutKey(ctx, open, store.AllowOpen)
	require.NoError(t, err)

	engine := policy.New(s, policy.WithClock(func() time.Time { return now }))
	request := func(id apikey.ID, secret apikey.Secret, client string) policy.Request {
		return policy.Request{Key: id, Secret: secret, Client: netip.MustParseAddr(client), Organization: "acme"}
	}
	for client, entry := range map[string]string{
		"10.1.2.3": "10.1.2.0/24", "10.1.9.9": "10.1.0.0/16", "10.9.9.9": "10.0.0.0/8", "192.0.2.1": "0.0.0.0/0", "::ffff:10.1.2.3": "10.1.2.0/24",
	} {
		r := request(key.ID, secret, client)
		got, ok := store.UsageOf(engine.Decide(ctx, r))
		assert.True(t, ok)
		assert.Equal(t, store.UsageRecord{
			Key: key.ID, Entry: netip.MustParsePrefix(entry), Secret: key.Secrets[0].ID(),
			Usage: accesslist.Usage{Count: 1, Last: now, LastAddress: netip.MustParseAddr(client).Unmap()},
		}, got, client)
	}
	r := request(open.ID, openSecret, "2001:db8::1")
	got, ok := store.UsageOf(engine.Decide(ctx, r))
	assert.True(t, ok)
	assert.Equal(t, store.UsageRecord{
		Key: open.ID, Secret: open.Secrets[0].ID(), Usage: accesslist.Usage{Count: 1, Last: now, LastAddress: netip.MustParseAddr("2001:db8::1")},
	}, got, "an open list has no entry")
	r.Secret, r.Verifier = apikey.Secret{}, policy.AlreadyVerified{}
	got, ok = store.UsageOf(engine.Decide(ctx, r))
	assert.True(t, ok)
	assert.Empty(t, got.Secret, "it was another kind of proof")

	proven := 0
	for name, r := range map[string]policy.Request{
		"not listed":     request(key.ID, secret, "2001:db8::1"),
		"wrong secret":   request(key.ID, openSecret, "10.1.2.3"),
		"unknown key":    request("gone", secret, "10.1.2.3"),
		"no request":     {},
		"another's":      {Key: key.ID, Secret: secret, Client: netip.MustParseAddr("10.1.2.3"), Organization: "other"},
		"console":        {Key: key.ID, Secret: secret, Client: netip.MustParseAddr("10.1.2.3"), Organization: "acme", Console: true},
		"needs an entry": {Key: open.ID, Secret: openSecret, Client: netip.MustParseAddr("10.1.2.3"), Organization: "acme", Endpoint: &policy.Endpoint{RequiresAccessList: true}},
	} {
		d := engine.Decide(ctx, r)
		require.False(t, d.Allowed(), name)
		got, ok := store.UsageOf(d)
		if !d.Reason.AfterProof() {
			assert.False(t, ok, name)
			assert.Zero(t, got, name)
			continue
		}
		proven++
		assert.True(t, ok, name)
		assert.Equal(t, store.UsageRecord{Key: r.Key, Denied: d.Reason, Usage: accesslist.Usage{Count: 1, Last: now, LastAddress: r.Client}}, got, name)
	}
	assert.Equal(t, 3, proven, "not listed, another's, and needs an entry")
	got, ok = store.UsageOf(policy.Decision{})
	assert.False(t, ok, "a decision that was never made")
	assert.Zero(t, got)
}

// What UsageOf says is what a recorder takes, and what the list's findings take.
func TestUsageReachesFindings(t *testing.T) {
	ctx, s := t.Context(), memory.New()
	_, err := s.PutOrganization(ctx, policy.Organization{ID: "acme"})
	require.NoError(t, err)
	key, secret, err := apikey.New("acme")
	require.NoError(t, err)
	key.AccessList, err = accesslist.Parse("192.0.2.1", "192.0.2.2")
	require.NoError(t, err)
	_, err = s.PutKey(ctx, key, store.AllowOpen)
	require.NoError(t, err)

	var batch []store.UsageRecord
	engine := policy.New(s, policy.WithObserver(func(_ context.Context, decision policy.Decision) {
		if record, ok := store.UsageOf(decision); ok {
			batch = append(batch, record)
		}
	}))
	for _, client := range []string{"192.0.2.1", "192.0.2.1", "192.0.2.9"} {
		engine.Decide(ctx, policy.Request{Key: key.ID, Secret: secret, Client: netip.MustParseAddr(client), Organization: "acme"})
	}
	require.Len(t, batch, 3)
	require.NoError(t, s.RecordUsage(ctx, adapter.UsageBatch(batch...)))
	all, err := s.Usage(ctx, key.ID)
	require.NoError(t, err)
	usage := all[key.ID]
	assert.EqualValues(t, 2, usage.Entries[netip.MustParsePrefix("192.0.2.1/32")].Count)
	assert.EqualValues(t, 2, usage.Secrets[key.Secrets[0].ID()].Count)
	assert.EqualValues(t, 1, usage.Denials[policy.AddressNotListed].Count)
	findings := key.AccessList.Findings(time.Now(), accesslist.Evidence{Usage: usage.Entries, Since: time.Now().AddDate(-1, 0, 0)})
	require.Len(t, findings, 1)
	assert.Equal(t, accesslist.Unused, findings[0].Kind)
	assert.Equal(t, "192.0.2.2", findings[0].Entry.String())
}

func TestMark(t *testing.T) {
	mark := store.Change{History: "main", Revision: 7}
	assert.True(t, mark.IsMark())
	assert.Equal(t, store.Position{History: "main", Revision: 7}, mark.Position())
	assert.False(t, store.Change{Revision: 7, Organization: "acme"}.IsMark())
}
