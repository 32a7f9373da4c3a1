package policy_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// countingVerifier notes the keys that it was called with.
type countingVerifier struct {
	keys []apikey.Key
	err  error
}

func (p *countingVerifier) Verify(key apikey.Key, now time.Time) (int, error) {
	if !now.Equal(noon) {
		return -1, errors.New("another time")
	}
	p.keys = append(p.keys, key)
	return -1, p.err
}

// Rule K3: an unknown key costs the same verification as a wrong proof.
func TestK3UnknownKeyIsVerifiedToo(t *testing.T) {
	for _, refused := range []error{nil, errors.New("refused")} {
		f := newFixture(t)
		verifier := &countingVerifier{err: refused}
		f.verifyBy(verifier)
		requireDenied(t, f.decide(&memory{}), policy.UnknownKey)
		require.Len(t, verifier.keys, 1)
		require.Equal(t, apikey.Key{}, verifier.keys[0], "for an unknown key the zero Key")

		known := f.decide(f.source())
		require.Equal(t, refused == nil, known.Allowed())
		require.Len(t, verifier.keys, 2)
		want := f.key
		want.Grants = nil
		require.Equal(t, want, verifier.keys[1])
	}
}

// Rule K3: what a Verifier is given costs as much for a key with many grants and entries as
// for one that does not exist, or strangers would read the size of a key from the time.
func TestK3VerifyingCostsTheSameForEveryKey(t *testing.T) {
	f := newFixture(t)
	refuse := verifierFunc(func(apikey.Key, time.Time) error { return apikey.ErrWrongSecret })
	f.verifyBy(refuse)
	cost := func(source policy.Source) (bytes uint64) {
		engine := policy.New(source, policy.WithClock(atNoon))
		least := uint64(math.MaxUint64)
		for range 10 { // others allocate too: the least of some
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range 100 {
				engine.Decide(context.Background(), f.request)
			}
			runtime.ReadMemStats(&after)
			least = min(least, after.TotalAlloc-before.TotalAlloc)
		}
		return least
	}
	unknown, small := cost(&memory{}), cost(f.source())
	other, _ := newSecret(t, "key-1")
	f.key.Secrets = append(f.key.Secrets, other)
	for i := range 10_000 {
		f.key.Grants = append(f.key.Grants, apikey.Grant{Role: "reader", Project: fmt.Sprint(i)})
	}
	large := cost(f.source())
	require.Equal(t, unknown, small)
	require.Equal(t, unknown, large)
}

// A Verifier gets a copy: it cannot change the record.
func TestVerifierCannotChangeTheRecord(t *testing.T) {
	f := newFixture(t)
	source := f.source()
	f.verifyBy(verifierFunc(func(key apikey.Key, _ time.Time) error {
		key.Secrets[0] = apikey.StoredSecret{}
		_ = append(key.Secrets[:0], apikey.StoredSecret{ServerKey: "other"})
		return nil
	}))
	require.True(t, f.decide(source).Allowed())
	require.Equal(t, f.key, source.subject.Key())
}

// Line 1: of two proofs, neither is looked at.
func TestLine1ASecretBesideAVerifierIsInvalid(t *testing.T) {
	f := newFixture(t)
	verifier := new(countingVerifier)
	f.request.Verifier = verifier
	source := f.source()
	d := f.decide(source)
	requireDenied(t, d, policy.InvalidRequest)
	require.ErrorContains(t, d.Cause, "a Secret and a Verifier: want one of the two")
	require.Empty(t, verifier.keys)
	require.Zero(t, source.asked)
}

// A verifier is shown a key of its own: what it does to it changes nothing.
func TestVerifierCannotChangeTheKey(t *testing.T) {
	f := newFixture(t)
	f.request.Project, f.request.Endpoint.Roles = "alpha", []string{"owner"}
	f.verifyBy(verifierFunc(func(key apikey.Key, _ time.Time) error {
		for i := range key.Grants {
			key.Grants[i].Role = "owner"
		}
		key.Secrets[0] = apikey.StoredSecret{}
		return nil
	}))
	source := f.source()
	requireDenied(t, f.decide(source), policy.RoleMissing)
	requireDenied(t, f.decide(source), policy.RoleMissing)

	// So it is with what a Decision gives away.
	d := f.decide(source)
	d.Subject().Key().Grants[1].Role = "owner"
	requireDenied(t, f.decide(source), policy.RoleMissing)
	require.Equal(t, f.key, d.Subject().Key())
	require.Equal(t, f.organization, d.Subject().Organization())
}

// Rule K4: the operator learns which of two secrets was shown.
func TestK4SecretID(t *testing.T) {
	f := newFixture(t)
	rotated, second, err := apikey.Rotate(f.key, time.Hour)
	require.NoError(t, err)
	rotated.Secrets[0].Expires = noon.Add(1)
	f.key = rotated
	require.Equal(t, rotated.Secrets[0].ID(), f.evaluate().SecretID())
	f.request.Secret = second
	require.Equal(t, rotated.Secrets[1].ID(), f.evaluate().SecretID())
	require.Contains(t, f.evaluate().String(), ` secret="`+rotated.Secrets[1].ID()+`"`)
	f.request.Client = netip.MustParseAddr("192.0.2.1")
	require.Equal(t, rotated.Secrets[1].ID(), f.evaluate().SecretID(), "a denied call tells it too")
	f.verifyBy(policy.AlreadyVerified{})
	require.Empty(t, f.evaluate().SecretID())
}

// Rule D2: to the caller an unknown key and a wrong secret are the same (key
// enumeration: CVE-2023-32691, CVE-2025-54499, CVE-2022-24912).
func TestD2UnknownKeyAndWrongSecretLookTheSame(t *testing.T) {
	f := newFixture(t)
	_, f.request.Secret = newSecret(t, "key-1")
	wrong, unknown := f.decide(f.source()), f.decide(&memory{})
	requireDenied(t, wrong, policy.WrongSecret)
	requireDenied(t, unknown, policy.UnknownKey)
	require.Equal(t, wrong.Answer(), unknown.Answer())
	require.Equal(t, policy.Answer{Status: 401, Code: "INVALID_API_KEY", Message: "The API key is not valid."}, unknown.Answer())
	f.request.Key = "cannot be an ID"
	require.Equal(t, wrong.Answer(), f.decide(&memory{}).Answer())
}

// Rule D2: lines 6 to 14 are answered only after the secret was verified. Whatever is wrong
// with the key besides, an unproven caller learns the same.
func TestD2NothingIsToldBeforeTheProof(t *testing.T) {
	for name, change := range map[string]func(*fixture){
		"line 6": func(f *fixture) { f.key.Disabled = true },
		"line 7": func(f *fixture) { f.key.NotBefore = noon.Add(1) },
		"line 8": func(f *fixture) { f.key.Expires = noon },
		"line 9": func(f *fixture) { f.key.AccessList = list(t, "192.0.2.1") },
		"line 10": func(f *fixture) {
			f.key.AccessList, f.organization.Requirement = openFixture(t).key.AccessList, policy.Required
		},
		"line 12": func(f *fixture) { f.request.Organization = "globex" },
		"line 13": func(f *fixture) { f.request.Project = "beta" },
		"line 14": func(f *fixture) { f.request.Endpoint.Roles = []string{"owner"} },
	} {
		f := newFixture(t)
		change(f)
		verified := f.decide(f.source())
		require.Greater(t, verified.Reason, policy.WrongSecret, name)
		f.request.Secret = apikey.Secret{}
		requireDenied(t, f.decide(f.source()), policy.WrongSecret)
	}
}

// Rule D3: the caller sees the address that we saw, an IPv4-mapped one as IPv4.
func TestD3Parameters(t *testing.T) {
	for client, shown := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "::ffff:c000:201": "192.0.2.1", "2001:db8::1": "2001:db8::1",
	} {
		f := newFixture(t)
		f.request.Client = netip.MustParseAddr(client)
		line9 := f.evaluate().Answer()
		f = openFixture(t)
		f.request.Client = netip.MustParseAddr(client)
		f.organization.Requirement = policy.Required
		line10 := f.evaluate().Answer()
		f.organization.Requirement, f.request.Endpoint.RequiresAccessList = policy.NotRequired, true
		line11 := f.evaluate().Answer()
		require.Equal(t, policy.Answer{403, "IP_ADDRESS_NOT_ON_ACCESS_LIST",
			"IP address " + shown + " is not on the access list of the API key.", []string{shown}}, line9)
		require.Equal(t, policy.Answer{403, "ORG_REQUIRES_ACCESS_LIST",
			"The organization requires an access list, and the API key has none. The request came from IP address " + shown + ".", []string{shown}}, line10)
		require.Equal(t, policy.Answer{403, "RESOURCE_REQUIRES_ACCESS_LIST",
			"This resource requires an access list, and the API key has none. The request came from IP address " + shown + ".", []string{shown}}, line11)
	}
}

// Rule D1: the caller's side has nothing of the record in it, only the address of the call.
func TestD1AnswerTellsNothingOfTheRecord(t *testing.T) {
	for reason := policy.Reason(0); reason <= policy.OpenList+1; reason++ {
		d := policy.Decision{Reason: reason, Cause: errors.New("dial tcp 10.0.0.5:5432")}
		answer := d.Answer()
		require.NotContains(t, answer.Message, "10.0.0.5")
		require.NotContains(t, answer.Message, "%")
		require.Equal(t, reason == 15 || reason == 16, answer.Status == 200)
		require.Equal(t, reason >= 9 && reason <= 11, answer.Parameters != nil)
	}
	require.Equal(t, policy.Decision{}.Answer(), policy.Decision{Reason: policy.Unavailable}.Answer())
	require.Equal(t, policy.Decision{}.Answer(), policy.Decision{Reason: 200}.Answer())
}

// Rule K2: no decision tells the text of a secret.
func TestK2NoSecretIsTold(t *testing.T) {
	f := newFixture(t)
	_, other := newSecret(t, "key-1")
	for _, proof := range []apikey.Secret{f.secret, other} {
		f.request.Secret = proof
		decisions := []policy.Decision{f.evaluate(), f.decide(f.source()), f.decide(&memory{}), f.decide(&memory{err: errors.New("down")}), f.decide(nil)}
		f.request.Console = true
		decisions = append(decisions, f.evaluate())
		f.request.Console = false
		for _, d := range decisions {
			requireNoSecret(t, d, proof)
			requireReadable(t, d)
		}
	}
	panics := policy.SourceFunc(func(context.Context, apikey.ID) (policy.Subject, bool, error) { panic(f.request) })
	d := f.decide(panics)
	requireNoSecret(t, d, f.request.Secret)
	require.True(t, strings.Contains(d.String(), "[redacted]"), "the panic's value was told: %s", d)
}

// A Verifier says which secret its proof was made with. One that does not exist is no proof.
func TestVerifierNamesTheSecret(t *testing.T) {
	for index, want := range map[int]string{-2: "", -1: "", 0: "0", 1: "1", 2: ""} {
		f := newFixture(t)
		other, _ := newSecret(t, "key-1")
		f.key.Secrets = append(f.key.Secrets, other)
		f.key.Secrets[0].ServerKey = "earlier"
		f.verifyBy(secretVerifier(index))
		d := f.decide(f.source())
		switch {
		case index < -1 || index > 1:
			requireDenied(t, d, policy.WrongSecret)
			require.ErrorContains(t, d.Cause, fmt.Sprintf("the Verifier returned secret %d of 2", index))
		default:
			require.True(t, d.Allowed(), "%v", d)
			_, rehashed := d.Rehashed()
			require.False(t, rehashed, "its text was not shown")
		}
		if want != "" {
			want = f.key.Secrets[index].ID()
			require.Contains(t, d.Explain(), "verified by secret "+want)
		}
		require.Equal(t, want, d.SecretID(), index)
		requireDenied(t, f.decide(&memory{}), policy.UnknownKey)
	}
}

// secretVerifier takes every call for a proof of the secret with this index.
type secretVerifier int

func (v secretVerifier) Verify(apikey.Key, time.Time) (int, error) { return int(v), nil }
