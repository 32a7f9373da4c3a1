package policyhttp_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// digestService is one key with Digest credentials and a guard in front of it.
type digestService struct {
	t           testing.TB
	key         apikey.Key // as the store has it
	secret      apikey.Secret
	credentials *policyhttp.MemoryDigestCredentials
	digest      policyhttp.DigestConfig
	config      policyhttp.Config
	decided     func(policy.Decision)

	route   *policyhttp.Route
	handler http.Handler
}

var bothAlgorithms = []policyhttp.DigestAlgorithm{policyhttp.DigestMD5, policyhttp.DigestSHA256}

// newDigestService returns a service that is started with these changes.
func newDigestService(t testing.TB, changes ...func(*digestService)) *digestService {
	t.Helper()
	key, secret, err := apikey.New("acme")
	require.NoError(t, err)
	s := &digestService{t: t, key: key, secret: secret, credentials: new(policyhttp.MemoryDigestCredentials)}
	s.digest = policyhttp.DigestConfig{Credentials: s.credentials, Algorithms: bothAlgorithms}
	for _, change := range changes {
		change(s)
	}
	s.optIn(s.key, s.secret)
	s.start()
	return s
}

// start makes a guard that knows no nonce.
func (s *digestService) start() {
	s.t.Helper()
	s.config.Engine = policy.New(&digestSource{s, policy.Organization{ID: "acme"}},
		policy.WithObserver(func(_ context.Context, _ policy.Request, d policy.Decision) {
			if s.decided != nil {
				s.decided(d)
			}
		}))
	s.config.Schemes = []policyhttp.Scheme{policyhttp.Digest(s.digest)}
	guard, err := policyhttp.New(s.config)
	require.NoError(s.t, err)
	s.route = guard.Route(policy.Endpoint{}, func(*http.Request) (string, string, error) { return "acme", "", nil })
	s.handler = s.route.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }))
}

// optIn stores what a secret is checked with.
func (s *digestService) optIn(key apikey.Key, secret apikey.Secret) {
	s.t.Helper()
	for _, algorithm := range bothAlgorithms {
		credential, err := policyhttp.NewDigestCredential(key, secret, s.config.Realm, algorithm)
		require.NoError(s.t, err)
		require.NoError(s.t, s.credentials.Add(key.ID, algorithm, credential))
	}
}

func (s *digestService) send(r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Result()
}

// challenges returns those of a request without credentials.
func (s *digestService) challenges() []string {
	response := s.send(httptest.NewRequest("GET", "/", nil))
	require.Equal(s.t, http.StatusUnauthorized, response.StatusCode)
	return response.Header.Values("WWW-Authenticate")
}

// challenge returns the one for the algorithm.
func (s *digestService) challenge(algorithm policyhttp.DigestAlgorithm) string {
	for _, challenge := range s.challenges() {
		if strings.Contains(challenge, "algorithm="+string(algorithm)+",") {
			return challenge
		}
	}
	s.t.Fatalf("no challenge for %s", algorithm)
	return ""
}

// digestClient is a client by the letter of RFC 7616 and by no code of the package.
type digestClient struct {
	user, password string
	challenge      string
	count          uint32
}

func (s *digestService) client(algorithm policyhttp.DigestAlgorithm) *digestClient {
	return &digestClient{user: string(s.key.ID), password: s.secret.Reveal(), challenge: s.challenge(algorithm)}
}

var challengeParameter = regexp.MustCompile(`(\w+)=(?:"([^"]*)"|([^,]*))`)

// parameter returns one of the challenge's.
func (c *digestClient) parameter(name string) string {
	for _, match := range challengeParameter.FindAllStringSubmatch(c.challenge, -1) {
		if match[1] == name {
			return match[2] + match[3]
		}
	}
	return ""
}

// authorization answers the challenge with the next count.
func (c *digestClient) authorization(method, uri string) string {
	c.count++
	return c.authorizationWith(method, uri, c.count)
}

func (c *digestClient) authorizationWith(method, uri string, count uint32) string {
	hash := func(parts ...string) string {
		text := strings.Join(parts, ":")
		if c.parameter("algorithm") == "SHA-256" {
			return fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
		}
		return fmt.Sprintf("%x", md5.Sum([]byte(text)))
	}
	realm, nonce, nc, cnonce := c.parameter("realm"), c.parameter("nonce"), fmt.Sprintf("%08x", count), "0a4f113b"
	response := hash(hash(c.user, realm, c.password), nonce, nc, cnonce, "auth", hash(method, uri))
	return fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", algorithm=%s, response="%s", qop=auth, nc=%s, cnonce="%s"`,
		c.user, realm, nonce, uri, c.parameter("algorithm"), response, nc, cnonce)
}

// request is a request to the target that answers the challenge.
func (c *digestClient) request(target string) *http.Request {
	return authorized(target, c.authorization("GET", target))
}

func authorized(target, authorization string) *http.Request {
	r := httptest.NewRequest("GET", target, nil)
	r.Header.Set("Authorization", authorization)
	return r
}

// stale reports whether all challenges of an answer say so.
func stale(t *testing.T, response *http.Response) bool {
	t.Helper()
	assert.Equal(t, http.StatusUnauthorized, response.StatusCode)
	challenges := response.Header.Values("WWW-Authenticate")
	assert.NotEmpty(t, challenges)
	count := strings.Count(strings.Join(challenges, "\n"), ", stale=true")
	if count > 0 {
		assert.Len(t, challenges, count)
	}
	return count > 0
}

func TestDigest(t *testing.T) {
	for _, algorithm := range bothAlgorithms {
		t.Run(string(algorithm), func(t *testing.T) {
			s := newDigestService(t)
			client := s.client(algorithm)
			for range 3 {
				assert.Equal(t, http.StatusOK, s.send(client.request("/v1/things?pretty=true&name=a%2Fb")).StatusCode)
			}

			wrong := *client
			wrong.password += "x"
			response := s.send(wrong.request("/"))
			assert.False(t, stale(t, response), "the client would try again and again")
			assert.Equal(t, http.StatusOK, s.send(client.request("/")).StatusCode, "nobody else's failure uses up a count")
		})
	}
}

// The challenges are in the order that the configuration has, each with a nonce of its
// own.
func TestDigestChallenges(t *testing.T) {
	one := `Digest realm="api", qop="auth", algorithm=%s, nonce="[\w-]{43}"`
	for _, test := range []struct {
		algorithms []policyhttp.DigestAlgorithm
		want       []string
	}{
		{[]policyhttp.DigestAlgorithm{policyhttp.DigestMD5}, []string{"MD5"}},
		{[]policyhttp.DigestAlgorithm{policyhttp.DigestSHA256}, []string{"SHA-256"}},
		{[]policyhttp.DigestAlgorithm{policyhttp.DigestMD5, policyhttp.DigestSHA256}, []string{"MD5", "SHA-256"}},
		{[]policyhttp.DigestAlgorithm{policyhttp.DigestSHA256, policyhttp.DigestMD5}, []string{"SHA-256", "MD5"}},
	} {
		s := newDigestService(t, func(s *digestService) { s.digest.Algorithms = test.algorithms })
		challenges := s.challenges()
		require.Len(t, challenges, len(test.want))
		nonces := make(map[string]bool)
		for i, algorithm := range test.want {
			assert.Regexp(t, "^"+fmt.Sprintf(one, algorithm)+"$", challenges[i])
			nonces[(&digestClient{challenge: challenges[i]}).parameter("nonce")] = true
		}
		assert.Len(t, nonces, len(test.want))
	}
}

// stale=true is for a response that was right, so that a client with the wrong secret
// does not go on for ever.
func TestDigestStale(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	s := newDigestService(t, func(s *digestService) {
		s.digest.NonceLifetime = time.Minute
		s.digest.Clock = func() time.Time { return now }
	})
	var decision policy.Decision
	s.decided = func(d policy.Decision) { decision = d }

	client := s.client(policyhttp.DigestSHA256)
	require.Equal(t, http.StatusOK, s.send(client.request("/")).StatusCode)
	now = now.Add(time.Minute)
	wrong := *client
	wrong.password += "x"
	assert.False(t, stale(t, s.send(wrong.request("/"))))

	response := s.send(client.request("/"))
	assert.True(t, stale(t, response))
	assert.Equal(t, policy.WrongSecret, decision.Reason)
	assert.ErrorContains(t, decision.Err, "expired")
	assert.NotErrorIs(t, decision.Err, policyhttp.ErrReplayed)

	client.challenge, client.count = response.Header.Values("WWW-Authenticate")[1], 0
	assert.Equal(t, http.StatusOK, s.send(client.request("/")).StatusCode)

	// A nonce that is none, one of another algorithm, one of a service that was restarted.
	client.challenge = `Digest realm="api", algorithm=MD5, nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"`
	assert.True(t, stale(t, s.send(client.request("/"))))
	client.challenge = strings.Replace(s.challenge(policyhttp.DigestMD5), "MD5", "SHA-256", 1)
	assert.True(t, stale(t, s.send(client.request("/"))))
	client = s.client(policyhttp.DigestMD5)
	s.start()
	assert.True(t, stale(t, s.send(client.request("/"))))
}

// What is right in itself and of another service, or a service as it was.
func TestDigestNotProven(t *testing.T) {
	var asked []apikey.ID
	s := newDigestService(t, func(s *digestService) {
		s.digest.Algorithms = bothAlgorithms[1:]
		s.digest.Credentials = credentialsFunc(func(ctx context.Context, key apikey.ID, algorithm policyhttp.DigestAlgorithm) ([]policyhttp.DigestCredential, error) {
			asked = append(asked, key)
			return s.credentials.DigestCredentials(ctx, key, algorithm)
		})
	})
	right := s.client(policyhttp.DigestSHA256)
	for name, change := range map[string]func(authorization string) string{
		"another realm":        func(a string) string { return strings.Replace(a, `realm="api"`, `realm="API"`, 1) },
		"MD5 was not offered":  func(a string) string { return strings.Replace(a, "SHA-256", "MD5", 1) },
		"none is MD5":          func(a string) string { return strings.Replace(a, "algorithm=SHA-256, ", "", 1) },
		"an unknown algorithm": func(a string) string { return strings.Replace(a, "SHA-256", "SHA-512-256", 1) },
		"-sess":                func(a string) string { return strings.Replace(a, "SHA-256", "SHA-256-sess", 1) },
		"a user that is no ID": func(a string) string { return strings.Replace(a, `username="`, `username="a'b `, 1) },
		"a user that is longer": func(a string) string {
			return strings.Replace(a, `username="`, `username="`+strings.Repeat("a", 40), 1)
		},
		"another user": func(a string) string { return strings.Replace(a, `username="`, `username="a`, 1) },
	} {
		response := s.send(authorized("/", change(right.authorization("GET", "/"))))
		assert.False(t, stale(t, response), name)
	}
	assert.Equal(t, http.StatusOK, s.send(right.request("/")).StatusCode)
	assert.Equal(t, []apikey.ID{"a" + s.key.ID, s.key.ID}, asked[len(asked)-2:])
	for _, key := range asked {
		assert.NoError(t, key.Validate(), "a database may not take what is no ID")
	}
}

// RFC 7616 section 3.4.6: what was signed is what is served, to the byte.
func TestDigestTarget(t *testing.T) {
	s := newDigestService(t)
	for _, test := range []struct {
		target, uri string
		want        int
	}{
		{"/a%2Fb?x=1", "/a%2Fb?x=1", http.StatusOK},
		{"/a%2Fb?x=1", "/a/b?x=1", http.StatusBadRequest},
		{"/a%2Fb?x=1", "/a%2fb?x=1", http.StatusBadRequest},
		{"/a%2Fb?x=1", "/a%2Fb", http.StatusBadRequest}, // Internet Explorer 6 did that
		{"/a%2Fb", "/a%2Fb?", http.StatusBadRequest},
		{"/a", "/a#fragment", http.StatusBadRequest},
		{"/a", "/b", http.StatusBadRequest},
		{"/a", "/A", http.StatusBadRequest},
		{"/a/../b", "/b", http.StatusBadRequest},
		{"/a", "/a/", http.StatusBadRequest},
		{"/%C3%BC", "/%C3%BC", http.StatusOK},

		// Of clients of a forward proxy. httptest has the host example.com.
		{"http://example.com/a?x=1", "http://example.com/a?x=1", http.StatusOK},
		{"http://example.com/a?x=1", "/a?x=1", http.StatusOK},
		{"/a?x=1", "http://example.com/a?x=1", http.StatusOK},
		{"/a?x=1", "HTTPS://EXAMPLE.COM/a?x=1", http.StatusOK},
		{"/", "http://example.com", http.StatusOK},
		{"/?x=1", "http://example.com?x=1", http.StatusOK},
		{"/a?x=1", "http://example.com/a?x=2", http.StatusBadRequest},
		{"/a?x=1", "http://example.org/a?x=1", http.StatusBadRequest},
		{"/a?x=1", "http://example.com:80/a?x=1", http.StatusBadRequest},
		{"/a?x=1", "http://user@example.com/a?x=1", http.StatusBadRequest},
		{"/a?x=1", "ftp://example.com/a?x=1", http.StatusBadRequest},
		{"/a?x=1", "//example.com/a?x=1", http.StatusBadRequest},
		{"http://example.com/a", "http:///a", http.StatusOK}, // names no other host
	} {
		client := s.client(policyhttp.DigestMD5)
		response := s.send(authorized(test.target, client.authorization("GET", test.uri)))
		assert.Equal(t, test.want, response.StatusCode, "%s with the uri %s", test.target, test.uri)
	}

	client := s.client(policyhttp.DigestMD5)
	r := client.request("/")
	r.RequestURI = ""
	assert.Equal(t, http.StatusBadRequest, s.send(r).StatusCode, "a request that no server has read has no target")
	r = client.request("/")
	r.Method = "DELETE"
	assert.False(t, stale(t, s.send(r)), "nor is it another method")
}

func TestDigestMalformed(t *testing.T) {
	s := newDigestService(t)
	var decision policy.Decision
	s.decided = func(d policy.Decision) { decision = d }
	right := s.client(policyhttp.DigestMD5)
	for name, change := range map[string]func(authorization string) string{
		"nothing":              func(string) string { return "Digest" },
		"blanks":               func(string) string { return "Digest  " },
		"a secret":             func(string) string { return "Digest " + s.secret.Reveal() },
		"too long":             func(a string) string { return a + strings.Repeat(" ", 100_000) },
		"a control character":  func(a string) string { return strings.Replace(a, "0a4f113b", "0a4f\x00113b", 1) },
		"a short response":     func(a string) string { return strings.Replace(a, `response="`, `response="", x="`, 1) },
		"a longer response":    func(a string) string { return strings.Replace(a, `response="`, `response="0`, 1) },
		"no digits":            func(a string) string { return strings.Replace(a, `response="`, `response="x`, 1) },
		"a response in quotes": func(a string) string { return strings.Replace(a, `response="`, `response='`, 1) },
		"no cnonce":            func(a string) string { return strings.Replace(a, "cnonce=", "cnonces=", 1) },
		"the cnonce twice":     func(a string) string { return a + `, cnonce="0a4f113b"` },
	} {
		response := s.send(authorized("/", change(right.authorization("GET", "/"))))
		assert.Equal(t, http.StatusBadRequest, response.StatusCode, name)
		assert.Empty(t, response.Header.Values("WWW-Authenticate"), name)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		assert.NotContains(t, string(body), s.secret.Reveal(), name)
		assert.NotContains(t, fmt.Sprint(decision, decision.Err), s.secret.Reveal(), name)
	}
}

// A failure of the program's own is not the caller's fault (line 3 of the rules), and
// does not tell whether the key exists.
func TestDigestCredentialsFail(t *testing.T) {
	hash := strings.Repeat("0", 32)
	for name, test := range map[string]struct {
		stored []policyhttp.DigestCredential
		err    error
		panic  any
		hangs  bool
		want   string
	}{
		"an error":             {err: errors.New("no connection"), want: "no connection"},
		"an error and more":    {stored: []policyhttp.DigestCredential{{}}, err: errors.New("no connection"), want: "no connection"},
		"a panic":              {panic: "boom", want: "boom"},
		"hangs":                {hangs: true, want: context.DeadlineExceeded.Error()},
		"no hash":              {stored: []policyhttp.DigestCredential{{SecretID: "9f86d081"}}, want: "hash of 0 bytes"},
		"the other algorithm":  {stored: []policyhttp.DigestCredential{{"9f86d081", hash + hash}}, want: "hash of 64 bytes"},
		"upper-case digits":    {stored: []policyhttp.DigestCredential{{"9f86d081", strings.Repeat("A", 32)}}, want: "0-9 and a-f"},
		"the second is broken": {stored: []policyhttp.DigestCredential{{"9f86d081", hash}, {"9f86d081", "x"}}, want: "hash of 1 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newDigestService(t, func(s *digestService) {
				s.digest.Credentials = credentialsFunc(func(ctx context.Context, _ apikey.ID, _ policyhttp.DigestAlgorithm) ([]policyhttp.DigestCredential, error) {
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
			client := s.client(policyhttp.DigestMD5)
			for _, user := range []string{client.user, "nobody"} {
				client.user = user
				r := client.request("/")
				d := s.route.Check(r)
				assert.Equal(t, policy.Unavailable, d.Reason)
				assert.ErrorContains(t, d.Err, test.want)
				if !test.hangs {
					response := s.send(r)
					assert.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
					assert.Empty(t, response.Header.Values("WWW-Authenticate"))
				}
			}
		})
	}
}

type credentialsFunc func(ctx context.Context, key apikey.ID, algorithm policyhttp.DigestAlgorithm) ([]policyhttp.DigestCredential, error)

func (f credentialsFunc) DigestCredentials(ctx context.Context, key apikey.ID, algorithm policyhttp.DigestAlgorithm) ([]policyhttp.DigestCredential, error) {
	return f(ctx, key, algorithm)
}

// The credential of a secret lives as long as the secret, and in an overlap both do
// (rule K4).
func TestDigestCredentialGoesWithItsSecret(t *testing.T) {
	s := newDigestService(t)
	now := time.Now()
	issuer, err := apikey.NewIssuer(apikey.IssuerConfig{Clock: func() time.Time { return now }})
	require.NoError(t, err)
	old := s.client(policyhttp.DigestSHA256)
	require.Equal(t, http.StatusOK, s.send(old.request("/")).StatusCode)

	key, secret, err := issuer.Rotate(s.key, time.Hour)
	require.NoError(t, err)
	s.key, s.secret = key, secret
	young := s.client(policyhttp.DigestSHA256)
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
	stored, err := s.credentials.DigestCredentials(context.Background(), s.key.ID, policyhttp.DigestMD5)
	require.NoError(t, err)
	for range 5 {
		stored = append([]policyhttp.DigestCredential{{SecretID: "00000000", Hash: strings.Repeat("0", 32)}}, stored...)
	}
	stored = append(stored, stored...)
	s.digest.Credentials = credentialsFunc(func(context.Context, apikey.ID, policyhttp.DigestAlgorithm) ([]policyhttp.DigestCredential, error) {
		return stored, nil
	})
	s.start()
	assert.Equal(t, http.StatusOK, s.send(s.client(policyhttp.DigestMD5).request("/")).StatusCode)
}

// The hash that stands in where there is none is that of nobody.
func TestDigestDummyIsNoCredential(t *testing.T) {
	s := newDigestService(t)
	client := s.client(policyhttp.DigestMD5)
	hash := func(text string) string { return fmt.Sprintf("%x", md5.Sum([]byte(text))) }
	response := hash(strings.Repeat("0", 32) + ":" + client.parameter("nonce") + ":00000001:0a4f113b:auth:" + hash("GET:/"))
	authorization := regexp.MustCompile(`response="\w+"`).ReplaceAllString(client.authorization("GET", "/"), `response="`+response+`"`)
	assert.False(t, stale(t, s.send(authorized("/", authorization))))
	s.credentials.Remove(s.key.ID)
	assert.False(t, stale(t, s.send(authorized("/", authorization))))
}

func TestDigestConcurrently(t *testing.T) {
	const copies, requests = 8, 40
	s := newDigestService(t)
	client := s.client(policyhttp.DigestSHA256)
	var authorizations []string
	for range requests {
		authorizations = append(authorizations, client.authorization("GET", "/"))
	}
	var served [requests]atomic.Int32
	var wait sync.WaitGroup
	for range copies {
		wait.Go(func() {
			for i, authorization := range authorizations {
				if s.send(authorized("/", authorization)).StatusCode == http.StatusOK {
					served[i].Add(1)
				}
			}
		})
	}
	wait.Wait()
	for i := range served {
		assert.EqualValues(t, 1, served[i].Load(), "request %d", i)
	}
}

// A denial for another reason than the proof has taken the count, too: it was proven.
func TestDigestDeniedAfterTheProof(t *testing.T) {
	s := newDigestService(t)
	client := s.client(policyhttp.DigestSHA256)
	r := client.request("/")
	s.key.Disabled = true
	assert.Equal(t, policy.KeyDisabled, s.route.Check(r).Reason)
	s.key.Disabled = false
	assert.ErrorIs(t, s.route.Check(r).Err, policyhttp.ErrReplayed)
	assert.True(t, s.route.Check(client.request("/")).Allowed())
}

func TestNewRefusesDigestConfig(t *testing.T) {
	right := policyhttp.DigestConfig{Credentials: new(policyhttp.MemoryDigestCredentials), Algorithms: bothAlgorithms}
	for want, change := range map[string]func(*policyhttp.DigestConfig){
		"Credentials is nil":                                  func(c *policyhttp.DigestConfig) { c.Credentials = nil },
		"Algorithms is empty":                                 func(c *policyhttp.DigestConfig) { c.Algorithms = nil },
		`Algorithms[1]: the algorithm is "MD5-sess"`:          func(c *policyhttp.DigestConfig) { c.Algorithms = []policyhttp.DigestAlgorithm{"MD5", "MD5-sess"} },
		`Algorithms[0]: the algorithm is ""`:                  func(c *policyhttp.DigestConfig) { c.Algorithms = []policyhttp.DigestAlgorithm{""} },
		"Algorithms[1] is MD5 for the second time":            func(c *policyhttp.DigestConfig) { c.Algorithms = []policyhttp.DigestAlgorithm{"MD5", "MD5"} },
		"NonceLifetime is -1s":                                func(c *policyhttp.DigestConfig) { c.NonceLifetime = -time.Second },
		"MaxNonces is -1":                                     func(c *policyhttp.DigestConfig) { c.MaxNonces = -1 },
		"NonceKey has 31 bytes":                               func(c *policyhttp.DigestConfig) { c.NonceKey = make([]byte, 31) },
		"NonceKey has 0 bytes":                                func(c *policyhttp.DigestConfig) { c.NonceKey = []byte{} },
		"ShareNonces is set without a NonceKey":               func(c *policyhttp.DigestConfig) { c.ShareNonces = true },
		"MaxNonces is -2; right would be as many as are used": func(c *policyhttp.DigestConfig) { c.MaxNonces = -2 },
	} {
		config := right
		change(&config)
		_, err := policyhttp.New(policyhttp.Config{Engine: policy.New(nil), Schemes: []policyhttp.Scheme{policyhttp.Digest(config)}})
		assert.ErrorContains(t, err, "DigestConfig."+want)
	}
	_, err := policyhttp.New(policyhttp.Config{Engine: policy.New(nil), Schemes: []policyhttp.Scheme{policyhttp.Digest(policyhttp.DigestConfig{MaxNonces: -1})}})
	assert.ErrorContains(t, err, "Credentials is nil")
	assert.ErrorContains(t, err, "Algorithms is empty")
	assert.ErrorContains(t, err, "MaxNonces is -1")

	for _, realm := range []string{`a"b`, `a\b`, "a\tb", "ä", strings.Repeat("a", 129)} {
		_, err := policyhttp.New(policyhttp.Config{Engine: policy.New(nil), Schemes: []policyhttp.Scheme{policyhttp.Digest(right)}, Realm: realm})
		assert.ErrorContains(t, err, "realm", realm)
	}
}

func TestNewDigestCredential(t *testing.T) {
	key, secret, err := apikey.New("acme")
	require.NoError(t, err)
	for _, realm := range []string{"", "api"} {
		credential, err := policyhttp.NewDigestCredential(key, secret, realm, policyhttp.DigestMD5)
		require.NoError(t, err)
		hash := md5.Sum([]byte(string(key.ID) + ":api:" + secret.Reveal()))
		assert.Equal(t, policyhttp.DigestCredential{SecretID: key.Secrets[0].ID(), Hash: fmt.Sprintf("%x", hash)}, credential)
	}

	// Of the two secrets of a rotation, each has the credential of its own.
	rotated, young, err := apikey.Rotate(key, time.Hour)
	require.NoError(t, err)
	for i, s := range []apikey.Secret{secret, young} {
		credential, err := policyhttp.NewDigestCredential(rotated, s, "api", policyhttp.DigestSHA256)
		require.NoError(t, err)
		assert.Equal(t, rotated.Secrets[i].ID(), credential.SecretID)
		assert.Len(t, credential.Hash, 64)
	}

	invalid := key
	invalid.ID = "a:b"
	for name, call := range map[string]func() (policyhttp.DigestCredential, error){
		"algorithm": func() (policyhttp.DigestCredential, error) {
			return policyhttp.NewDigestCredential(key, secret, "api", "MD5-sess")
		},
		"realm": func() (policyhttp.DigestCredential, error) {
			return policyhttp.NewDigestCredential(key, secret, `"`, policyhttp.DigestMD5)
		},
		"key ID": func() (policyhttp.DigestCredential, error) {
			return policyhttp.NewDigestCredential(invalid, secret, "api", policyhttp.DigestMD5)
		},
		"another secret": func() (policyhttp.DigestCredential, error) {
			return policyhttp.NewDigestCredential(key, young, "api", policyhttp.DigestMD5)
		},
		"no secret": func() (policyhttp.DigestCredential, error) {
			return policyhttp.NewDigestCredential(key, apikey.Secret{}, "api", policyhttp.DigestMD5)
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
	c := policyhttp.DigestCredential{SecretID: "9f86d081", Hash: strings.Repeat("ab", 16)}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "c", c, "in", map[string]any{"a": []policyhttp.DigestCredential{c}})
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "c", &c, "in", struct{ C policyhttp.DigestCredential }{c})
	data, err := json.Marshal(map[string]any{"a": c, "b": &c, "c": []policyhttp.DigestCredential{c}})
	require.NoError(t, err)
	text := log.String() + string(data) + fmt.Sprintf("%v %+v %#v %s %q %x %d %v", c, c, c, c, c, c, &c, []policyhttp.DigestCredential{c})
	text += c.String() + c.GoString()
	assert.NotContains(t, text, "abab")
	assert.NotContains(t, text, fmt.Sprintf("%x", "abab"))
	assert.Contains(t, text, "9f86d081:[redacted]")
}

func TestMemoryDigestCredentials(t *testing.T) {
	ctx := context.Background()
	var m policyhttp.MemoryDigestCredentials
	m.Remove("nobody")
	get := func(key apikey.ID, algorithm policyhttp.DigestAlgorithm) (ids []string) {
		stored, err := m.DigestCredentials(ctx, key, algorithm)
		require.NoError(t, err)
		for i, c := range stored {
			ids = append(ids, c.SecretID+c.Hash[:1])
			stored[i] = policyhttp.DigestCredential{} // is the caller's own
		}
		return ids
	}
	add := func(secret, digit string) {
		require.NoError(t, m.Add("key", policyhttp.DigestMD5, policyhttp.DigestCredential{SecretID: secret, Hash: strings.Repeat(digit, 32)}))
	}
	assert.Empty(t, get("key", policyhttp.DigestMD5))
	add("a", "9")
	add("a", "1")
	assert.Equal(t, []string{"a1"}, get("key", policyhttp.DigestMD5))
	add("b", "2")
	assert.Equal(t, []string{"a1", "b2"}, get("key", policyhttp.DigestMD5))
	add("c", "3")
	assert.Equal(t, []string{"b2", "c3"}, get("key", policyhttp.DigestMD5))
	add("b", "4")
	assert.Equal(t, []string{"c3", "b4"}, get("key", policyhttp.DigestMD5))
	assert.Empty(t, get("key", policyhttp.DigestSHA256))
	assert.Empty(t, get("KEY", policyhttp.DigestMD5))

	assert.ErrorContains(t, m.Add("key", "MD5-sess", policyhttp.DigestCredential{Hash: strings.Repeat("1", 32)}), "MD5-sess")
	assert.ErrorContains(t, m.Add("key", policyhttp.DigestSHA256, policyhttp.DigestCredential{Hash: strings.Repeat("1", 32)}), "64 digits")
	m.Remove("key")
	assert.Empty(t, get("key", policyhttp.DigestMD5))

	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			add(fmt.Sprint(i), "5")
			get("key", policyhttp.DigestMD5)
		})
	}
	wait.Wait()
	assert.Len(t, get("key", policyhttp.DigestMD5), 2)
}

// In FIPS 140-only mode crypto/md5 panics. That is an error of the configuration.
func TestDigestInFIPSMode(t *testing.T) {
	if os.Getenv("GODEBUG") != "fips140=only" {
		command := exec.Command(os.Args[0], "-test.run=^TestDigestInFIPSMode$", "-test.v")
		command.Env = append(os.Environ(), "GODEBUG=fips140=only")
		output, err := command.CombinedOutput()
		require.NoError(t, err, "%s", output)
		require.Contains(t, string(output), "--- PASS: TestDigestInFIPSMode")
		return
	}
	config := policyhttp.DigestConfig{Credentials: new(policyhttp.MemoryDigestCredentials), Algorithms: bothAlgorithms}
	_, err := policyhttp.New(policyhttp.Config{Engine: policy.New(nil), Schemes: []policyhttp.Scheme{policyhttp.Digest(config)}})
	require.ErrorContains(t, err, "FIPS")
	config.Algorithms = bothAlgorithms[1:]
	_, err = policyhttp.New(policyhttp.Config{Engine: policy.New(nil), Schemes: []policyhttp.Scheme{policyhttp.Digest(config)}})
	require.NoError(t, err)
}

// A service whose clients were written for Digest. A key is opted in when its secret is
// at hand, which is once.
func ExampleDigest() {
	key, secret, err := apikey.New("acme")
	if err != nil {
		panic(err)
	}
	var table policyhttp.MemoryDigestCredentials // or a table of the service's database
	algorithms := []policyhttp.DigestAlgorithm{policyhttp.DigestMD5, policyhttp.DigestSHA256}
	for _, algorithm := range algorithms {
		credential, err := policyhttp.NewDigestCredential(key, secret, "things", algorithm)
		if err != nil {
			panic(err)
		}
		if err := table.Add(key.ID, algorithm, credential); err != nil {
			panic(err)
		}
	}

	organization := policy.Organization{ID: "acme"}
	keys := policy.SourceFunc(func(_ context.Context, id apikey.ID) (policy.Subject, bool, error) {
		return policy.NewSubject(&key, &organization), id == key.ID, nil
	})
	guard, err := policyhttp.New(policyhttp.Config{
		Engine: policy.New(keys),
		Realm:  "things",
		Schemes: []policyhttp.Scheme{
			policyhttp.Digest(policyhttp.DigestConfig{Credentials: &table, Algorithms: algorithms}),
			policyhttp.Bearer(),
		},
	})
	if err != nil {
		panic(err)
	}
	handler := guard.Protect(policy.Endpoint{Name: "things.list"}, policyhttp.PathValues("org", ""), http.NotFoundHandler())
	mux := http.NewServeMux()
	mux.Handle("GET /organizations/{org}/things", handler)

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/organizations/acme/things", nil))
	fmt.Println(w.Code)
	for _, challenge := range w.Header().Values("WWW-Authenticate") {
		beforeNonce, _, _ := strings.Cut(challenge, ", nonce=")
		fmt.Println(beforeNonce)
	}
	// Output:
	// 401
	// Digest realm="things", qop="auth", algorithm=MD5
	// Digest realm="things", qop="auth", algorithm=SHA-256
	// Bearer realm="things"
}

// BenchmarkDigest is from the request to the decision: the header is read, both look-ups
// are made, the response is checked and its count taken.
func BenchmarkDigest(b *testing.B) {
	for _, algorithm := range bothAlgorithms {
		b.Run(string(algorithm), func(b *testing.B) {
			s := newDigestService(b)
			client := s.client(algorithm)
			r := client.request("/v1/things?pretty=true")
			authorizations := make([][]string, min(b.N, 4096))
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				i %= len(authorizations)
				if i == 0 {
					b.StopTimer()
					for j := range authorizations {
						authorizations[j] = []string{client.authorization("GET", r.RequestURI)}
					}
					b.StartTimer()
				}
				r.Header["Authorization"] = authorizations[i]
				if d := s.route.Check(r); !d.Allowed() {
					b.Fatal(d.Err)
				}
			}
		})
	}
}

// digestSource is the key of a service in memory.
type digestSource struct {
	*digestService
	organization policy.Organization
}

func (s *digestSource) LookupNow(id apikey.ID) (policy.Subject, bool, error) {
	return policy.NewSubject(&s.key, &s.organization), id == s.key.ID, nil
}

func (s *digestSource) Lookup(_ context.Context, id apikey.ID) (policy.Subject, bool, error) {
	return s.LookupNow(id)
}
