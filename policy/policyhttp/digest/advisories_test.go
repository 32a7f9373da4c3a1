package digest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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

// Each test here is a defeat of another program's Digest authentication, tried in vain on
// this one.

// CVE-2018-1312: httpd's nonces were not random, and were the same on all servers of a
// cluster, so that a request to one could be sent again to each of the others.
func TestAdvisoryDigestReplayAcrossServers(t *testing.T) {
	for name, key := range map[string][]byte{"a key each": nil, "one key": bytes.Repeat([]byte{7}, 32)} {
		t.Run(name, func(t *testing.T) {
			one := newDigestService(t, func(s *digestService) { s.digest.NonceKey = key })
			other := newDigestService(t, func(s *digestService) {
				s.digest.NonceKey, s.key, s.secret = key, one.key, one.secret
			})
			seen := make(map[string]bool)
			for range 50 {
				seen[one.client(apikey.DigestMD5).parameter("nonce")] = true
				seen[other.client(apikey.DigestMD5).parameter("nonce")] = true
			}
			assert.Len(t, seen, 100, "no nonce is made twice, on whatever server")

			client := one.client(apikey.DigestMD5)
			captured := client.authorization("GET", "/")
			assert.True(t, stale(t, other.send(authorized("/", captured))), "before it was used")
			require.Equal(t, http.StatusOK, one.send(authorized("/", captured)).StatusCode)
			assert.True(t, stale(t, other.send(authorized("/", captured))), "and after")

			one.start()
			assert.True(t, stale(t, one.send(authorized("/", captured))), "and after the server was restarted")
		})
	}
}

// CVE-2026-3099: libsoup kept track neither of its nonces nor of nc: a captured header let
// everybody in.
func TestAdvisoryDigestReplay(t *testing.T) {
	s := newDigestService(t, func(s *digestService) { s.digest.MaxNonces = 3 })
	client := s.client(apikey.DigestSHA256)
	captured := client.authorization("GET", "/")
	require.Equal(t, http.StatusOK, s.send(authorized("/", captured)).StatusCode)
	d := s.route.Check(authorized("/", captured))
	assert.Equal(t, policy.WrongSecret, d.Reason)
	assert.ErrorIs(t, d.Cause, policy.ErrReplayed)

	// With another count the response is another.
	assert.False(t, stale(t, s.send(authorized("/", strings.Replace(captured, "nc=00000001", "nc=00000002", 1)))))
	assert.False(t, stale(t, s.send(authorized("/", strings.Replace(captured, `cnonce="`, `cnonce="0`, 1)))))
	assert.False(t, stale(t, s.send(authorized("/", strings.Replace(captured, client.parameter("nonce"), s.client(apikey.DigestSHA256).parameter("nonce"), 1)))))

	// Nor does it help to wait until the server has other things to remember.
	for range 10 {
		require.Equal(t, http.StatusOK, s.send(s.client(apikey.DigestSHA256).request("/")).StatusCode)
		assert.True(t, stale(t, s.send(authorized("/", captured))))
	}
}

// CVE-2026-3099, too: what was captured of one request is none for another target, method
// or body of parameters.
func TestAdvisoryDigestHeaderOfAnotherRequest(t *testing.T) {
	s := newDigestService(t)
	captured := s.client(apikey.DigestMD5).authorization("GET", "/things?id=1")
	for _, target := range []string{"/things?id=2", "/things", "/things?id=1&admin=1", "/things?id=1#x", "/other"} {
		assert.Equal(t, http.StatusBadRequest, s.send(authorized(target, captured)).StatusCode, target)
		swapped := strings.Replace(captured, "/things?id=1", target, 1)
		assert.NotEqual(t, http.StatusOK, s.send(authorized(target, swapped)).StatusCode, target)
	}
	r := authorized("/things?id=1", captured)
	r.Method = "DELETE"
	assert.False(t, stale(t, s.send(r)))
	assert.Equal(t, http.StatusOK, s.send(authorized("/things?id=1", captured)).StatusCode, "none of them has used it up")
}

// CVE-2023-32691, CVE-2025-54499, CVE-2022-24912: the answer showed whether a key exists.
// Here an unknown key, one that may not use Digest, a wrong response and an old nonce with
// a wrong response have the same answer but for the nonces, and the same look-ups are made
// for all.
func TestAdvisoryDigestKeyEnumeration(t *testing.T) {
	s := newDigestService(t)
	nonce := regexp.MustCompile(`nonce="[^"]*"`)
	describe := func(response *http.Response) string {
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return fmt.Sprintln(response.StatusCode, nonce.ReplaceAllString(fmt.Sprint(response.Header), "nonce"), string(body))
	}
	wrong := s.client(apikey.DigestSHA256)
	wrong.password += "x"
	want := describe(s.send(wrong.request("/")))
	require.Contains(t, want, "401")

	unknown := *wrong
	unknown.user = string(apikey.NewID())
	assert.Equal(t, want, describe(s.send(unknown.request("/"))), "an unknown key")
	unknown.challenge = strings.Replace(unknown.challenge, `nonce="`, `nonce="x`, 1)
	assert.Equal(t, want, describe(s.send(unknown.request("/"))), "an unknown key, to a nonce that is none")
	wrong.challenge = unknown.challenge
	assert.Equal(t, want, describe(s.send(wrong.request("/"))), "to a nonce that is none")
	s.optOut()
	assert.Equal(t, want, describe(s.send(wrong.request("/"))), "a key that may not use Digest")
	right := s.client(apikey.DigestSHA256)
	assert.Equal(t, want, describe(s.send(right.request("/"))), "the same with the right secret")

	known, other := string(s.key.ID), unknown.user
	assert.Equal(t, []apikey.ID{apikey.ID(known), apikey.ID(other), apikey.ID(other), apikey.ID(known), apikey.ID(known), apikey.ID(known)}, s.looked)
}

// CVE-2026-46554 and its like: what was revoked lived on, in a cache or with a session. A
// nonce is no session: nothing of a key is remembered with it.
func TestAdvisoryDigestRevokedKeyLivesOn(t *testing.T) {
	for name, revoke := range map[string]func(s *digestService){
		"switched off": func(s *digestService) { s.key.Disabled = true },
		"deleted":      func(s *digestService) { s.key.ID = "another" },
		"expired":      func(s *digestService) { s.key.Expires = time.Now() },
		"rotated away": func(s *digestService) {
			var err error
			s.key, _, err = s.issuer().Rotate(s.key, 0)
			require.NoError(t, err)
		},
		"opted out": (*digestService).optOut,
	} {
		s := newDigestService(t)
		client := s.client(apikey.DigestSHA256)
		require.Equal(t, http.StatusOK, s.send(client.request("/")).StatusCode)
		revoke(s)
		assert.Equal(t, http.StatusUnauthorized, s.send(client.request("/")).StatusCode, name)
	}
}

// CVE-2026-55170: a database that compares without regard to case found the record of
// another ID. The user name is hashed as it was sent, and the record has to have it too.
func TestAdvisoryDigestCaseInsensitiveIDs(t *testing.T) {
	s := newDigestService(t)
	organization := policy.Organization{ID: "acme"}
	s.config.Engine = policy.New(policy.SourceFunc(func(_ context.Context, id apikey.ID) (policy.Subject, bool, error) {
		return policy.NewSubject(&s.key, &organization), strings.EqualFold(string(id), string(s.key.ID)), nil
	}), policy.WithTimeout(time.Minute))
	guard, err := policyhttp.New(s.config)
	require.NoError(t, err)
	s.handler = guard.Protect(policy.Endpoint{}, func(*http.Request) (policy.Resource, error) {
		return policy.Resource{Organization: "acme"}, nil
	}, http.NotFoundHandler())
	client := s.client(apikey.DigestSHA256)
	require.Equal(t, http.StatusNotFound, s.send(client.request("/")).StatusCode)
	client.user = strings.ToUpper(client.user)
	assert.Equal(t, http.StatusServiceUnavailable, s.send(client.request("/")).StatusCode, "the source contradicts itself")

	// Signed with the one name and sent under the other.
	client.user = strings.ToLower(client.user)
	swapped := strings.Replace(client.authorization("GET", "/"), client.user, strings.ToUpper(client.user), 1)
	assert.Equal(t, http.StatusServiceUnavailable, s.send(authorized("/", swapped)).StatusCode)
}

// A parser takes the first of two parameters and the proxy in front the last, or the other
// way around: callers choose who they are.
func TestAdvisoryDigestDoubledParameters(t *testing.T) {
	s := newDigestService(t)
	client := s.client(apikey.DigestMD5)
	for _, more := range []string{`username="admin"`, `uri="/admin"`, `nc=00000002`, `USERNAME="admin"`, `username*=UTF-8''admin`} {
		authorization := client.authorization("GET", "/")
		assert.Equal(t, http.StatusBadRequest, s.send(authorized("/", authorization+", "+more)).StatusCode, more)
		assert.Equal(t, http.StatusBadRequest, s.send(authorized("/", strings.Replace(authorization, "Digest ", "Digest "+more+", ", 1))).StatusCode, more)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header["Authorization"] = []string{client.authorization("GET", "/"), client.authorization("GET", "/")}
	assert.Equal(t, http.StatusBadRequest, s.send(r).StatusCode)
}
