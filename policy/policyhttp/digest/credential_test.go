package digest_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/policy/policyhttp/digest"
)

// A failure of the program's own is not the caller's fault (line 3 of the rules), and
// does not tell whether the key exists.
func TestDigestCredentialsFail(t *testing.T) {
	hash := strings.Repeat("0", 32)
	for name, test := range map[string]struct {
		stored []digest.Credential
		err    error
		panic  any
		hangs  bool
		want   string
	}{
		"an error":             {err: errors.New("no connection"), want: "no connection"},
		"an error and more":    {stored: []digest.Credential{{}}, err: errors.New("no connection"), want: "no connection"},
		"a panic":              {panic: "boom", want: "boom"},
		"hangs":                {hangs: true, want: context.DeadlineExceeded.Error()},
		"no hash":              {stored: []digest.Credential{{SecretID: "9f86d081"}}, want: "hash of 0 bytes"},
		"the other algorithm":  {stored: []digest.Credential{{"9f86d081", hash + hash}}, want: "hash of 64 bytes"},
		"upper-case digits":    {stored: []digest.Credential{{"9f86d081", strings.Repeat("A", 32)}}, want: "0-9 and a-f"},
		"the second is broken": {stored: []digest.Credential{{"9f86d081", hash}, {"9f86d081", "x"}}, want: "hash of 1 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newDigestService(t, func(s *digestService) {
				s.digest.Credentials = credentialsFunc(func(ctx context.Context, _ apikey.ID, _ digest.Algorithm) ([]digest.Credential, error) {
					if test.hangs {
						<-ctx.Done()
						return nil, ctx.Err()
					}
					if test.panic != nil {
						panic(test.panic)
					}
					return test.stored, test.err
				})
			})
			client := s.client(digest.MD5)
			for _, user := range []string{client.user, "nobody"} {
				client.user = user
				r := client.request("/")
				d := s.route.Check(r)
				assert.Equal(t, policy.Unavailable, d.Reason)
				assert.ErrorContains(t, d.Cause, test.want)
				guard, err := policyhttp.New(s.config)
				require.NoError(t, err)
				if !test.hangs {
					d = guard.Route(policy.Endpoint{}, nil).Check(r)
					assert.Equal(t, policy.Unavailable, d.Reason, "also when the resource is missing")
					response := s.send(r)
					assert.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
					assert.Empty(t, response.Header.Values("WWW-Authenticate"))
				}
			}
		})
	}
}

// A caller who hangs up is not waited for, and is no failure. The look-up goes on: a cancelled
// query closes the connection in common database drivers.
func TestDigestCallerHangsUp(t *testing.T) {
	ended, asked, finish := make(chan error, 1), make(chan struct{}), make(chan struct{})
	s := newDigestService(t, func(s *digestService) {
		s.digest.Credentials = credentialsFunc(func(ctx context.Context, _ apikey.ID, _ digest.Algorithm) ([]digest.Credential, error) {
			close(asked)
			<-policy.CallerContext(ctx).Done()
			<-finish
			ended <- ctx.Err()
			return nil, nil
		})
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	d := s.route.Check(s.client(digest.MD5).request("/").WithContext(ctx))
	assert.Equal(t, policy.Unavailable, d.Reason)
	assert.Equal(t, policy.CallerGone, d.Kind())
	assert.ErrorIs(t, d.Cause, context.Canceled)
	close(finish)
	assert.NoError(t, <-ended)
}

type credentialsFunc func(ctx context.Context, key apikey.ID, algorithm digest.Algorithm) ([]digest.Credential, error)

func (f credentialsFunc) Credentials(ctx context.Context, key apikey.ID, algorithm digest.Algorithm) ([]digest.Credential, error) {
	return f(ctx, key, algorithm)
}

// The credential of a secret lives as long as the secret, and in an overlap both do
// (rule K4).
func TestDigestCredentialGoesWithItsSecret(t *testing.T) {
	s := newDigestService(t)
	now := time.Now()
	issuer, err := apikey.NewIssuer(apikey.IssuerConfig{Clock: func() time.Time { return now }})
	require.NoError(t, err)
	old := s.client(digest.SHA256)
	require.Equal(t, http.StatusOK, s.send(old.request("/")).StatusCode)

	key, secret, err := issuer.Rotate(s.key, time.Hour)
	require.NoError(t, err)
	s.key, s.secret = key, secret
	young := s.client(digest.SHA256)
	assert.False(t, stale(t, s.send(young.request("/"))), "nothing was made of the new secret yet")
	s.optIn(key, secret)
	assert.Equal(t, http.StatusOK, s.send(young.request("/")).StatusCode)
	assert.Equal(t, http.StatusOK, s.send(old.request("/")).StatusCode)

	s.key.Secrets[0].Expires = time.Now().Add(-time.Nanosecond)
	assert.False(t, stale(t, s.send(old.request("/"))), "the overlap is over")
	assert.Equal(t, http.StatusOK, s.send(young.request("/")).StatusCode)

	s.key.Secrets = s.key.Secrets[1:]
	assert.False(t, stale(t, s.send(old.request("/"))), "it was rotated away")
	assert.Equal(t, http.StatusOK, s.send(young.request("/")).StatusCode)

	s.credentials.Remove(s.key.ID)
	assert.False(t, stale(t, s.send(young.request("/"))), "the key has opted out")
}

// Leftovers of earlier rotations change nothing, however many there are.
func TestDigestManyCredentials(t *testing.T) {
	s := newDigestService(t)
	stored, err := s.credentials.Credentials(context.Background(), s.key.ID, digest.MD5)
	require.NoError(t, err)
	for range 5 {
		stored = append([]digest.Credential{{SecretID: "00000000", Hash: strings.Repeat("0", 32)}}, stored...)
	}
	stored = append(stored, stored...)
	s.digest.Credentials = credentialsFunc(func(context.Context, apikey.ID, digest.Algorithm) ([]digest.Credential, error) {
		return stored, nil
	})
	s.start()
	assert.Equal(t, http.StatusOK, s.send(s.client(digest.MD5).request("/")).StatusCode)
}

// The dummy hash is nobody's.
func TestDigestDummyIsNoCredential(t *testing.T) {
	s := newDigestService(t)
	client := s.client(digest.MD5)
	hash := func(text string) string { return fmt.Sprintf("%x", md5.Sum([]byte(text))) }
	response := hash(strings.Repeat("0", 32) + ":" + client.parameter("nonce") + ":00000001:0a4f113b:auth:" + hash("GET:/"))
	authorization := regexp.MustCompile(`response="\w+"`).ReplaceAllString(client.authorization("GET", "/"), `response="`+response+`"`)
	assert.False(t, stale(t, s.send(authorized("/", authorization))))
	s.credentials.Remove(s.key.ID)
	assert.False(t, stale(t, s.send(authorized("/", authorization))))
}

func TestNewDigestCredential(t *testing.T) {
	key, secret, err := apikey.New("acme")
	require.NoError(t, err)
	for _, realm := range []string{"", "api"} {
		credential, err := digest.NewCredential(key, secret, realm, digest.MD5)
		require.NoError(t, err)
		hash := md5.Sum([]byte(string(key.ID) + ":api:" + secret.Reveal()))
		assert.Equal(t, digest.Credential{SecretID: key.Secrets[0].ID(), Hash: fmt.Sprintf("%x", hash)}, credential)
	}

	// Of the two secrets of a rotation, each has the credential of its own.
	rotated, young, err := apikey.Rotate(key, time.Hour)
	require.NoError(t, err)
	for i, s := range []apikey.Secret{secret, young} {
		credential, err := digest.NewCredential(rotated, s, "api", digest.SHA256)
		require.NoError(t, err)
		assert.Equal(t, rotated.Secrets[i].ID(), credential.SecretID)
		assert.Len(t, credential.Hash, 64)
	}

	invalid := key
	invalid.ID = "a:b"
	for name, call := range map[string]func() (digest.Credential, error){
		"algorithm": func() (digest.Credential, error) {
			return digest.NewCredential(key, secret, "api", "MD5-sess")
		},
		"realm": func() (digest.Credential, error) {
			return digest.NewCredential(key, secret, `"`, digest.MD5)
		},
		"key ID": func() (digest.Credential, error) {
			return digest.NewCredential(invalid, secret, "api", digest.MD5)
		},
		"another secret": func() (digest.Credential, error) {
			return digest.NewCredential(key, young, "api", digest.MD5)
		},
		"no secret": func() (digest.Credential, error) {
			return digest.NewCredential(key, apikey.Secret{}, "api", digest.MD5)
		},
	} {
		credential, err := call()
		assert.Error(t, err, name)
		assert.Zero(t, credential, name)
		assert.NotContains(t, fmt.Sprint(err), secret.Reveal(), name)
	}
}

// Rule K2: what is as good as the secret is printed as seldom.
func TestDigestCredentialIsRedacted(t *testing.T) {
	c := digest.Credential{SecretID: "9f86d081", Hash: strings.Repeat("ab", 16)}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "c", c, "in", map[string]any{"a": []digest.Credential{c}})
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "c", &c, "in", struct{ C digest.Credential }{c})
	data, err := json.Marshal(map[string]any{"a": c, "b": &c, "c": []digest.Credential{c}})
	require.NoError(t, err)
	text := log.String() + string(data) + fmt.Sprintf("%v %+v %#v %s %q %x %d %v", c, c, c, c, c, c, &c, []digest.Credential{c})
	text += c.String() + c.GoString()
	assert.NotContains(t, text, "abab")
	assert.NotContains(t, text, fmt.Sprintf("%x", "abab"))
	assert.Contains(t, text, "9f86d081:[redacted]")
}

// Rule K2, for a program that prints what a scheme has read: neither the response nor the
// stored hash is shown.
func TestDigestVerifierIsRedacted(t *testing.T) {
	s := newDigestService(t)
	r := s.client(digest.MD5).request("/")
	_, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	shown, err := s.config.Schemes[0].Read(t.Context(), policyhttp.Presented{Text: text, Realm: policyhttp.DefaultRealm, Request: r})
	require.NoError(t, err)
	stored, err := s.credentials.Credentials(t.Context(), s.key.ID, digest.MD5)
	require.NoError(t, err)
	_, response, _ := strings.Cut(text, `response="`)
	printed := fmt.Sprintf("%v %+v %#v %s %v", shown.Verifier, shown.Verifier, shown.Verifier, shown.Verifier, shown)
	assert.NotContains(t, printed, stored[0].Hash)
	assert.NotContains(t, printed, response[:32])
	assert.Contains(t, printed, "digest:[redacted]")
}

func TestMemoryDigestCredentials(t *testing.T) {
	ctx := context.Background()
	var m digest.MemoryCredentials
	m.Remove("nobody")
	get := func(key apikey.ID, algorithm digest.Algorithm) (ids []string) {
		stored, err := m.Credentials(ctx, key, algorithm)
		require.NoError(t, err)
		for i, c := range stored {
			ids = append(ids, c.SecretID+c.Hash[:1])
			stored[i] = digest.Credential{} // is the caller's own
		}
		return ids
	}
	add := func(secret, digit string) {
		require.NoError(t, m.Add("key", digest.MD5, digest.Credential{SecretID: secret, Hash: strings.Repeat(digit, 32)}))
	}
	assert.Empty(t, get("key", digest.MD5))
	add("a", "9")
	add("a", "1")
	assert.Equal(t, []string{"a1"}, get("key", digest.MD5))
	add("b", "2")
	assert.Equal(t, []string{"a1", "b2"}, get("key", digest.MD5))
	add("c", "3")
	assert.Equal(t, []string{"b2", "c3"}, get("key", digest.MD5))
	add("b", "4")
	assert.Equal(t, []string{"c3", "b4"}, get("key", digest.MD5))
	assert.Empty(t, get("key", digest.SHA256))
	assert.Empty(t, get("KEY", digest.MD5))

	assert.ErrorContains(t, m.Add("key", "MD5-sess", digest.Credential{Hash: strings.Repeat("1", 32)}), "MD5-sess")
	assert.ErrorContains(t, m.Add("key", digest.SHA256, digest.Credential{Hash: strings.Repeat("1", 32)}), "64 digits")
	m.Remove("key")
	assert.Empty(t, get("key", digest.MD5))

	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			add(fmt.Sprint(i), "5")
			get("key", digest.MD5)
		})
	}
	wait.Wait()
	assert.Len(t, get("key", digest.MD5), 2)
}
