package policy_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// A decision is made at one moment: its clock is read once, however much depends on the time.
func TestDecideReadsTheClockOnce(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	stored, secret := newSecret(t, "key-1")
	stored.Expires = now.Add(time.Second)
	list, err := accesslist.List{}.With(expired(t, "203.0.113.7", now.Add(time.Second)))
	require.NoError(t, err)
	key := apikey.Key{ID: "key-1", Organization: "acme", AccessList: list, TrialList: list, Secrets: []apikey.StoredSecret{stored},
		NotBefore: now, Expires: now.Add(time.Second)}
	source := &memory{found: true, subject: policy.NewSubject(&key, &policy.Organization{
		ID: "acme", Requirement: policy.Required, SuspendedUntil: now.Add(time.Second),
	})}
	reads := 0
	engine := policy.New(source, policy.WithClock(func() time.Time {
		reads++
		return now.Add(time.Duration(reads-1) * time.Hour)
	}))
	decision := engine.Decide(t.Context(), policy.Request{
		Key: "key-1", Secret: secret, Client: netip.MustParseAddr("203.0.113.7"), Organization: "acme",
	})
	require.Equal(t, policy.AddressListed.String(), decision.Reason.String())
	require.Equal(t, 1, reads)
}
