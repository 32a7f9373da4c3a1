package policy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// issuerUnder returns an issuer with server keys of these IDs, "" for Unkeyed.
func issuerUnder(t testing.TB, ids ...string) *apikey.Issuer {
	t.Helper()
	var config apikey.IssuerConfig
	for _, id := range ids {
		key, err := apikey.Unkeyed(), error(nil)
		if id != "" {
			key, err = apikey.NewServerKey(id, []byte("32 random bytes of the service, "+id))
		}
		require.NoError(t, err)
		config.ServerKeys = append(config.ServerKeys, key)
	}
	issuer, err := apikey.NewIssuer(config)
	require.NoError(t, err)
	return issuer
}

// show has the caller of a fixture show its secret to a service with another issuer.
func (f *fixture) show(t testing.TB, issuer *apikey.Issuer) {
	t.Helper()
	var err error
	_, f.request.Secret, err = issuer.Parse(f.secret.Reveal())
	require.NoError(t, err)
}

// An allowed call under an old server key gives the key with the secret under the new one.
// After it was put, there is nothing more to do, and the old server key can go.
func TestRehashed(t *testing.T) {
	for name, from := range map[string]*apikey.Issuer{"a server key": issuerUnder(t, "old"), "none": nil} {
		f := newFixture(t)
		f.key.Secrets = nil
		issued, secret, err := from.Issue(f.key)
		require.NoError(t, err)
		issued, _, err = from.Issue(issued) // another one, which nobody shows
		require.NoError(t, err)
		f.key, f.secret = issued, secret
		f.key.Revision = 7
		moving, after := issuerUnder(t, "new", "old"), issuerUnder(t, "new")
		if from == nil {
			moving = issuerUnder(t, "new", "")
		}

		f.show(t, moving)
		before := f.key.Clone()
		d := f.decide(f.source())
		require.Equal(t, policy.AddressListed, d.Reason, name)
		rehashed, ok := d.Rehashed()
		require.True(t, ok, name)
		require.True(t, before.Equal(d.Subject().Key()), "the record of the source stays as it is")
		require.Equal(t, "new", rehashed.Secrets[0].ServerKey)
		require.Equal(t, d.SecretID(), rehashed.Secrets[0].ID(), "usage of the secret goes on")
		require.Equal(t, before.Secrets[1], rehashed.Secrets[1])
		require.EqualValues(t, 7, rehashed.Revision, "a Put after another change is a conflict")
		require.NoError(t, rehashed.Validate())
		rehashed.Secrets[0] = before.Secrets[0]
		require.True(t, before.Equal(rehashed), "and nothing else changes")

		f.key, _ = d.Rehashed()
		for _, issuer := range []*apikey.Issuer{moving, after} {
			f.show(t, issuer)
			d = f.decide(f.source())
			require.Equal(t, policy.AddressListed, d.Reason, "%s: %v", name, d)
			require.Equal(t, before.Secrets[0].ID(), d.SecretID())
			_, ok = d.Rehashed()
			require.False(t, ok, name)
		}
	}
}

// Whoever is denied, or proved something else, causes no write.
func TestNotRehashed(t *testing.T) {
	for name, change := range map[string]func(*fixture){
		"denied by the address":  func(f *fixture) { f.key.AccessList = list(t, "192.0.2.1") },
		"denied by the switch":   func(f *fixture) { f.key.Disabled = true },
		"denied by the resource": func(f *fixture) { f.request.Organization = "globex" },
		"wrong secret":           func(f *fixture) { _, f.request.Secret = newSecret(t, "key-1") },
		"another proof":          func(f *fixture) { f.verifyBy(policy.AlreadyVerified{}) },
		"no proof":               func(f *fixture) { f.request.Secret = apikey.Secret{} },
		"invalid request":        func(f *fixture) { f.request.Key = "" },
	} {
		f := newFixture(t)
		f.show(t, issuerUnder(t, "new", ""))
		_, ok := f.evaluate().Rehashed()
		require.True(t, ok, "without the change")
		change(f)
		_, ok = f.evaluate().Rehashed()
		require.False(t, ok, name)
	}
	_, ok := policy.Decision{Reason: policy.OpenList}.Rehashed()
	require.False(t, ok, "a Decision put together by hand")
}

// A secret under a server key that was dropped is a wrong one to the caller; the operator
// is told which server key is missing.
func TestDroppedServerKey(t *testing.T) {
	f := newFixture(t)
	f.key.Secrets = nil
	old := issuerUnder(t, "2025-11")
	var err error
	f.key, f.secret, err = old.Issue(f.key)
	require.NoError(t, err)
	f.key, _, err = old.Issue(f.key)
	require.NoError(t, err)
	f.show(t, issuerUnder(t, "2026-05"))
	d := f.evaluate()
	requireDenied(t, d, policy.WrongSecret)
	require.ErrorIs(t, d.Cause, apikey.ErrUnknownServerKey)
	for _, operator := range []string{d.String(), d.Explain()} {
		require.Contains(t, operator, `hashed under [\"2025-11\"]`)
	}
	require.NotContains(t, d.Err().Error(), "2025-11")
	require.Equal(t, policy.Decision{Reason: policy.WrongSecret}.Answer(), d.Answer())
	require.Equal(t, policy.Decision{Reason: policy.UnknownKey}.Answer(), d.Answer())

	require.NotPanics(t, func() { _ = policy.Decision{Reason: policy.WrongSecret, Cause: apikey.ErrUnknownServerKey}.String() })
}
