package digest_test

import (
	"crypto/md5"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// The credentials of a secret live as long as the secret, and in an overlap both do (rule
// K4). The decision says with which of them a response was made.
func TestDigestCredentialsGoWithTheirSecret(t *testing.T) {
	s := newDigestService(t)
	verified := ""
	s.decided = func(d policy.Decision) { verified = d.SecretID() }
	serves := func(client *digestClient, secret apikey.StoredSecret, why string) {
		t.Helper()
		require.Equal(t, http.StatusOK, s.send(client.request("/")).StatusCode, why)
		require.Equal(t, secret.ID(), verified, why)
	}
	refuses := func(client *digestClient, why string) {
		t.Helper()
		require.False(t, stale(t, s.send(client.request("/"))), why)
		require.Empty(t, verified, why)
	}
	first := s.key.Secrets[0]
	old := s.client(apikey.DigestSHA256)
	serves(old, first, "the only secret")

	key, secret, err := s.issuer().Rotate(s.key, time.Hour)
	require.NoError(t, err)
	s.key, s.secret = key, secret
	second := key.Secrets[1]
	young := s.client(apikey.DigestMD5)
	serves(young, second, "the overlap")
	serves(old, first, "the overlap")

	s.key = key.Clone()
	s.key.Secrets[0].Expires = time.Now().Add(-time.Nanosecond)
	refuses(old, "the overlap is over")
	serves(young, second, "the overlap is over")

	s.key = key.Clone()
	s.key.Secrets = s.key.Secrets[1:]
	refuses(old, "it was rotated away")
	serves(young, second, "it was rotated away")

	s.key = key.Clone()
	s.key.Secrets[0].Digest = apikey.DigestCredentials{}
	refuses(old, "only this secret has none")
	serves(young, second, "the other one has")

	s.optOut()
	refuses(young, "the key has opted out")
}

// A key may have secrets from before the issuer made credentials, or for another realm.
func TestDigestSecretsOfOtherIssuers(t *testing.T) {
	s := newDigestService(t)
	other, err := apikey.NewIssuer(apikey.IssuerConfig{DigestAlgorithms: bothAlgorithms, DigestRealm: "API"})
	require.NoError(t, err)
	only, err := apikey.NewIssuer(apikey.IssuerConfig{DigestAlgorithms: bothAlgorithms[:1], DigestRealm: "api"})
	require.NoError(t, err)
	for name, test := range map[string]struct {
		issuer  *apikey.Issuer
		allowed []apikey.DigestAlgorithm
	}{
		"without Digest": {nil, nil}, "of another realm": {other, nil}, "of one algorithm": {only, bothAlgorithms[:1]}, "of both": {s.issuer(), bothAlgorithms},
	} {
		s.key, s.secret, err = test.issuer.New("acme")
		require.NoError(t, err)
		var allowed []apikey.DigestAlgorithm
		for _, algorithm := range bothAlgorithms {
			if s.send(s.client(algorithm).request("/")).StatusCode == http.StatusOK {
				allowed = append(allowed, algorithm)
			}
		}
		assert.Equal(t, test.allowed, allowed, name)
	}
}

// The dummy hash is nobody's.
func TestDigestDummyIsNoCredential(t *testing.T) {
	s := newDigestService(t)
	client := s.client(apikey.DigestMD5)
	hash := func(text string) string { return fmt.Sprintf("%x", md5.Sum([]byte(text))) }
	response := hash(strings.Repeat("0", 32) + ":" + client.parameter("nonce") + ":00000001:0a4f113b:auth:" + hash("GET:/"))
	authorization := regexp.MustCompile(`response="\w+"`).ReplaceAllString(client.authorization("GET", "/"), `response="`+response+`"`)
	assert.False(t, stale(t, s.send(authorized("/", authorization))))
	s.optOut()
	assert.False(t, stale(t, s.send(authorized("/", authorization))))
	s.key.Secrets = nil
	assert.False(t, stale(t, s.send(authorized("/", authorization))))
}

// Rule K2, for a program that prints what a scheme has read: the response is not shown.
func TestDigestVerifierIsRedacted(t *testing.T) {
	s := newDigestService(t)
	r := s.client(apikey.DigestMD5).request("/")
	_, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	shown, err := s.config.Schemes[0].Read(t.Context(), policyhttp.Presented{Text: text, Realm: policyhttp.DefaultRealm, Request: r})
	require.NoError(t, err)
	_, response, _ := strings.Cut(text, `response="`)
	printed := fmt.Sprintf("%v %+v %#v %s %v", shown.Verifier, shown.Verifier, shown.Verifier, shown.Verifier, shown)
	assert.NotContains(t, printed, response[:32])
	assert.Contains(t, printed, "digest:[redacted]")
}

// No server key is needed for the credentials: they outlive that of their secret, and a rotation
// ends them.
func TestDigestOutlivesAServerKey(t *testing.T) {
	issuer := func(serverKey string) *apikey.Issuer {
		key, err := apikey.NewServerKey(serverKey, []byte(strings.Repeat(serverKey, 32)))
		require.NoError(t, err)
		issuer, err := apikey.NewIssuer(apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{key}, DigestAlgorithms: bothAlgorithms, DigestRealm: policyhttp.DefaultRealm})
		require.NoError(t, err)
		return issuer
	}
	s := newDigestService(t, func(s *digestService) {
		var err error
		s.key, s.secret, err = issuer("a").New("acme")
		require.NoError(t, err)
		s.config.Issuer = issuer("b")
	})
	_, secret, err := s.config.Issuer.Parse(s.secret.Reveal())
	require.NoError(t, err)
	_, err = secret.Verify(s.key.Secrets, time.Now())
	require.ErrorIs(t, err, apikey.ErrUnknownServerKey)
	client := s.client(apikey.DigestSHA256)
	require.Equal(t, http.StatusOK, s.send(client.request("/")).StatusCode)
	s.key, _, err = s.config.Issuer.Rotate(s.key, 0)
	require.NoError(t, err)
	require.Equal(t, http.StatusUnauthorized, s.send(client.request("/")).StatusCode)
}
