package policyhttp

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// guardWith is a guard with one scheme, which reads what the function returns, in front
// of a source that has the one key, whatever it is asked for.
func guardWith(t *testing.T, key *apikey.Key, read func() (credentials, error)) *Route {
	source := policy.SourceFunc(func(context.Context, apikey.ID) (policy.Subject, bool, error) {
		return policy.NewSubject(key, &policy.Organization{ID: "acme"}), true, nil
	})
	guard, err := New(Config{Engine: policy.New(source), Schemes: []Scheme{{
		name:      "Test",
		read:      func(*Guard, *http.Request, string) (credentials, error) { return read() },
		challenge: func(*Guard, bool) []string { return nil },
	}}})
	require.NoError(t, err)
	return guard.Route(policy.Endpoint{}, func(*http.Request) (string, string, error) { return "acme", "", nil })
}

func testRequest() *http.Request {
	return &http.Request{RemoteAddr: "203.0.113.7:1", Header: http.Header{"Authorization": {"Test"}}}
}

// A scheme that goes wrong denies, in every way in which it can.
func TestSchemeGoesWrong(t *testing.T) {
	key, secret, err := apikey.New("acme")
	require.NoError(t, err)
	for name, test := range map[string]struct {
		read   func() (credentials, error)
		reason policy.Reason
		err    string
	}{
		"nothing":                 {func() (credentials, error) { return credentials{}, nil }, policy.InvalidRequest, ""},
		"no proof":                {func() (credentials, error) { return credentials{key: key.ID}, nil }, policy.WrongSecret, ""},
		"an error of its own":     {func() (credentials, error) { return credentials{key: key.ID, proof: secret}, errors.New("odd") }, policy.InvalidRequest, "odd"},
		"malformed and credible":  {func() (credentials, error) { return credentials{key: key.ID, proof: secret}, errMalformed }, policy.InvalidRequest, "malformed"},
		"not proven and credible": {func() (credentials, error) { return credentials{key: key.ID, proof: secret}, errNotProven }, policy.WrongSecret, "prove nothing"},
		"not available":           {func() (credentials, error) { return credentials{key: key.ID, proof: secret}, errCredentialsUnavailable }, policy.Unavailable, "failed"},
		"panic":                   {func() (credentials, error) { panic("read") }, policy.Unavailable, "panic while reading the request: read"},
	} {
		d := guardWith(t, &key, test.read).Check(testRequest())
		require.Equal(t, test.reason.String(), d.Reason.String(), name)
		require.False(t, d.Allowed())
		if test.err != "" {
			require.ErrorContains(t, d.Err, test.err, name)
		}
	}
	d := guardWith(t, &key, func() (credentials, error) { return credentials{key: key.ID, proof: secret}, nil }).Check(testRequest())
	require.True(t, d.Allowed(), "the test's own guard can allow: %v", d)
}

// What could not be read is not allowed, even by a source that knows the decoy.
func TestDecoyAllowsNothing(t *testing.T) {
	key := apikey.Key{ID: "key-1", Organization: "acme"}
	route := guardWith(t, &key, func() (credentials, error) { return credentials{key: "key-1"}, errNotProven })
	stored, decoy, err := route.guard.issuer.New("acme")
	require.NoError(t, err)
	route.guard.decoy, key.Secrets = decoy, stored.Secrets

	engineSays := policy.Evaluate(policy.NewSubject(&key, &policy.Organization{ID: "acme"}), policy.Request{
		Key: "key-1", Proof: decoy, Client: netip.MustParseAddr("203.0.113.7"), Organization: "acme",
	}, time.Now())
	require.True(t, engineSays.Allowed())
	d := route.Check(testRequest())
	require.Equal(t, policy.WrongSecret, d.Reason)
	require.ErrorIs(t, d.Err, errNotProven)
}

// An ID that does not fit is kept whole: cut off, it would be another key's.
func TestLongIDIsKeptWhole(t *testing.T) {
	var c call
	for n := range 100 {
		id := apikey.ID(strings.Repeat("k", n))
		require.Equal(t, id, c.keep(id))
	}
}

// What a secret was decoded into is wiped, whatever became of it.
func TestScratchIsWiped(t *testing.T) {
	for text, wellFormed := range map[string]bool{"user:password": true, "password without a colon": false, "not\x00allowed:x": false} {
		s := new(scratch)
		_, err := s.decode(base64.StdEncoding.EncodeToString([]byte(text)))
		require.Equal(t, wellFormed, err == nil)
		require.NotEqual(t, scratch{}, *s)
		s.release()
		require.Equal(t, scratch{}, *s)
	}
}
