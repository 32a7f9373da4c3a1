package digest_test

import (
	"cmp"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"io"
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
	"github.com/sallyport-go/sallyport/policy/policyhttp/digest"
)

// digestService is one key with Digest credentials and a guard in front of it.
type digestService struct {
	t       testing.TB
	key     apikey.Key // as the source has it
	secret  apikey.Secret
	digest  digest.Config
	config  policyhttp.Config
	mu      sync.Mutex
	looked  []apikey.ID // up, in the source
	decided func(policy.Decision)

	route   *policyhttp.Route
	handler http.Handler
}

var bothAlgorithms = []apikey.DigestAlgorithm{apikey.DigestMD5, apikey.DigestSHA256}

// newDigestService returns a service that is started with these changes.
func newDigestService(t testing.TB, changes ...func(*digestService)) *digestService {
	t.Helper()
	s := &digestService{t: t, digest: digest.Config{Algorithms: bothAlgorithms}}
	for _, change := range changes {
		change(s)
	}
	if s.key.ID == "" {
		var err error
		s.key, s.secret, err = s.issuer().New("acme")
		require.NoError(t, err)
	}
	s.start()
	return s
}

// start makes a guard that knows no nonce.
func (s *digestService) start() {
	s.t.Helper()
	s.config.Engine = policy.New(&digestSource{s, policy.Organization{ID: "acme"}},
		policy.WithObserver(func(_ context.Context, d policy.Decision) {
			if s.decided != nil {
				s.decided(d)
			}
		}))
	scheme, err := digest.New(s.digest)
	require.NoError(s.t, err)
	s.config.Schemes = []policyhttp.Scheme{scheme}
	guard, err := policyhttp.New(s.config)
	require.NoError(s.t, err)
	s.route = guard.Route(policy.Endpoint{}, func(*http.Request) (policy.Resource, error) {
		return policy.Resource{Organization: "acme"}, nil
	})
	s.handler = s.route.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }))
}

// issuer makes secrets with credentials for both algorithms.
func (s *digestService) issuer() *apikey.Issuer {
	s.t.Helper()
	issuer, err := apikey.NewIssuer(apikey.IssuerConfig{DigestAlgorithms: bothAlgorithms, DigestRealm: cmp.Or(s.config.Realm, policyhttp.DefaultRealm)})
	require.NoError(s.t, err)
	return issuer
}

// optOut leaves the key its secrets, without credentials.
func (s *digestService) optOut() {
	s.key = s.key.Clone()
	for i := range s.key.Secrets {
		s.key.Secrets[i].Digest = apikey.DigestCredentials{}
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
func (s *digestService) challenge(algorithm apikey.DigestAlgorithm) string {
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

func (s *digestService) client(algorithm apikey.DigestAlgorithm) *digestClient {
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
		algorithms []apikey.DigestAlgorithm
		want       []string
	}{
		{[]apikey.DigestAlgorithm{apikey.DigestMD5}, []string{"MD5"}},
		{[]apikey.DigestAlgorithm{apikey.DigestSHA256}, []string{"SHA-256"}},
		{[]apikey.DigestAlgorithm{apikey.DigestMD5, apikey.DigestSHA256}, []string{"MD5", "SHA-256"}},
		{[]apikey.DigestAlgorithm{apikey.DigestSHA256, apikey.DigestMD5}, []string{"SHA-256", "MD5"}},
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

// stale=true is for right responses only: with it a client with the wrong secret would go
// on for ever.
func TestDigestStale(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	s := newDigestService(t, func(s *digestService) {
		s.digest.NonceLifetime = time.Minute
		s.digest.Clock = func() time.Time { return now }
	})
	var decision policy.Decision
	s.decided = func(d policy.Decision) { decision = d }

	client := s.client(apikey.DigestSHA256)
	require.Equal(t, http.StatusOK, s.send(client.request("/")).StatusCode)
	now = now.Add(time.Minute)
	wrong := *client
	wrong.password += "x"
	assert.False(t, stale(t, s.send(wrong.request("/"))))
	assert.Zero(t, decision.Kind())

	response := s.send(client.request("/"))
	assert.True(t, stale(t, response))
	assert.Equal(t, policy.WrongSecret, decision.Reason)
	assert.Equal(t, policy.StaleNonce, decision.Kind(), "an honest client, told from a wrong secret")
	assert.ErrorContains(t, decision.Cause, "expired")
	assert.NotErrorIs(t, decision.Cause, policy.ErrReplayed)

	client.challenge, client.count = response.Header.Values("WWW-Authenticate")[1], 0
	assert.Equal(t, http.StatusOK, s.send(client.request("/")).StatusCode)

	// An invalid nonce, one of another algorithm, one from before a restart.
	client.challenge = `Digest realm="api", algorithm=MD5, nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"`
	assert.True(t, stale(t, s.send(client.request("/"))))
	client.challenge = strings.Replace(s.challenge(apikey.DigestMD5), "MD5", "SHA-256", 1)
	assert.True(t, stale(t, s.send(client.request("/"))))
	client = s.client(apikey.DigestMD5)
	s.start()
	assert.True(t, stale(t, s.send(client.request("/"))))
}

// Responses right in themselves, but for another service, or for an earlier state.
func TestDigestNotVerified(t *testing.T) {
	s := newDigestService(t, func(s *digestService) { s.digest.Algorithms = bothAlgorithms[1:] })
	right := s.client(apikey.DigestSHA256)
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
	assert.Subset(t, s.looked, []apikey.ID{"a" + s.key.ID, s.key.ID})
	for _, key := range s.looked {
		assert.NoError(t, key.Validate(), "a database may not take what is no ID")
	}
}

// A call of another transport has no method and no target that a response could be for.
func TestDigestNeedsHTTP(t *testing.T) {
	s := newDigestService(t)
	guard, err := policyhttp.New(s.config)
	require.NoError(t, err)
	d := guard.Check(context.Background(), policyhttp.Call{
		Remote: "192.0.2.1:1", Header: http.Header{"Authorization": {s.client(apikey.DigestMD5).authorization("GET", "/")}},
		Resolver: policy.ResolverFunc(func(context.Context) (policy.Resource, error) { return policy.Resource{Organization: "acme"}, nil }),
	})
	assert.Equal(t, "API_KEY_REQUIRED", d.Answer().Code)
	assert.ErrorContains(t, d.Cause, "digest: no credentials: the call is not HTTP")
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
		client := s.client(apikey.DigestMD5)
		response := s.send(authorized(test.target, client.authorization("GET", test.uri)))
		assert.Equal(t, test.want, response.StatusCode, "%s with the uri %s", test.target, test.uri)
	}

	client := s.client(apikey.DigestMD5)
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
	right := s.client(apikey.DigestMD5)
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
		assert.NotContains(t, fmt.Sprint(decision, decision.Cause), s.secret.Reveal(), name)
	}
}

func TestDigestConcurrently(t *testing.T) {
	const copies, requests = 8, 40
	s := newDigestService(t)
	client := s.client(apikey.DigestSHA256)
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
	client := s.client(apikey.DigestSHA256)
	r := client.request("/")
	s.key.Disabled = true
	assert.Equal(t, policy.KeyDisabled, s.route.Check(r).Reason)
	s.key.Disabled = false
	d := s.route.Check(r)
	assert.ErrorIs(t, d.Cause, policy.ErrReplayed)
	assert.Equal(t, policy.Replayed, d.Kind())
	assert.True(t, s.route.Check(client.request("/")).Allowed())
}

func TestNewRefusesDigestConfig(t *testing.T) {
	right := digest.Config{Algorithms: bothAlgorithms}
	for want, change := range map[string]func(*digest.Config){
		"Algorithms is empty": func(c *digest.Config) { c.Algorithms = nil },
		`Algorithms[1]: apikey: the Digest algorithm "MD5-sess"`: func(c *digest.Config) { c.Algorithms = []apikey.DigestAlgorithm{"MD5", "MD5-sess"} },
		`Algorithms[0]: apikey: the Digest algorithm ""`:         func(c *digest.Config) { c.Algorithms = []apikey.DigestAlgorithm{""} },
		"Algorithms[1] is MD5 for the second time":               func(c *digest.Config) { c.Algorithms = []apikey.DigestAlgorithm{"MD5", "MD5"} },
		"NonceLifetime is -1s":                                   func(c *digest.Config) { c.NonceLifetime = -time.Second },
		"MaxNonces is -1":                                        func(c *digest.Config) { c.MaxNonces = -1 },
		"NonceKey has 31 bytes":                                  func(c *digest.Config) { c.NonceKey = make([]byte, 31) },
		"NonceKey has 0 bytes":                                   func(c *digest.Config) { c.NonceKey = []byte{} },
		"ShareNonces is set without a NonceKey":                  func(c *digest.Config) { c.ShareNonces = true },
		"MaxNonces is -2: want as many as are used":              func(c *digest.Config) { c.MaxNonces = -2 },
	} {
		config := right
		change(&config)
		scheme, err := digest.New(config)
		assert.Nil(t, scheme)
		assert.ErrorContains(t, err, "digest: Config."+want)
	}
	_, err := digest.New(digest.Config{MaxNonces: -1})
	assert.ErrorContains(t, err, "Algorithms is empty")
	assert.ErrorContains(t, err, "MaxNonces is -1")

	scheme, err := digest.New(right)
	require.NoError(t, err)
	for _, realm := range []string{`a"b`, `a\b`, "a\tb", "ä", strings.Repeat("a", 129)} {
		_, err := policyhttp.New(policyhttp.Config{Engine: policy.New(nil), Schemes: []policyhttp.Scheme{scheme}, Realm: realm})
		assert.ErrorContains(t, err, "realm", realm)
	}
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
	config := digest.Config{Algorithms: bothAlgorithms}
	_, err := digest.New(config)
	require.ErrorContains(t, err, "FIPS")
	config.Algorithms = bothAlgorithms[1:]
	_, err = digest.New(config)
	require.NoError(t, err)
}

// BenchmarkDigest is from the request to the decision: the header is read, the key is looked
// up, the response is checked and its count taken.
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
					b.Fatal(d.Cause)
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
	s.mu.Lock()
	s.looked = append(s.looked, id)
	s.mu.Unlock()
	return policy.NewSubject(&s.key, &s.organization), id == s.key.ID, nil
}

func (s *digestSource) Lookup(_ context.Context, id apikey.ID) (policy.Subject, bool, error) {
	return s.LookupNow(id)
}
