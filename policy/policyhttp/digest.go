package policyhttp

import (
	"context"
	"crypto/fips140"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// A DigestAlgorithm is the hash of Digest credentials, by the name that RFC 7616 has for
// it.
type DigestAlgorithm string

// The algorithms. Those with -sess and SHA-512-256 are not supported, and hardly any
// client does.
const (
	DigestMD5    DigestAlgorithm = "MD5"
	DigestSHA256 DigestAlgorithm = "SHA-256"
)

// What DigestConfig's zero values stand for.
const (
	DefaultNonceLifetime = 5 * time.Minute
	DefaultMaxNonces     = 65536
)

// minNonceKey is the length of the HMAC's hash; RFC 2104 section 3 discourages less.
const minNonceKey = sha256.Size

// DigestConfig is how [Digest] works. [New] finds all that is wrong with it.
type DigestConfig struct {
	// Credentials has what responses are checked with. Required. Whoever can read where it
	// is stored can sign in with the keys that are in it; see [DigestCredential].
	Credentials DigestCredentials

	// Algorithms are those that are offered, a challenge for each in this order. Required,
	// since no order serves everybody. RFC 7616 section 3.7 wants the preferred first, but
	// many clients look at the first challenge only, or at the last, and give up if they
	// do not know its algorithm:
	//
	//	                                       MD5  SHA-256  SHA-256, MD5  MD5, SHA-256
	//	curl 7.88, Go icholy/digest, Go
	//	mongodb-forks/digest, Python requests  ok   ok       ok            ok
	//	Python urllib, npm digest-fetch and
	//	urllib                                 ok   fails    fails         ok
	//	wget 1.21                              ok   fails    ok            fails
	//
	// So MD5 alone serves them all, and MD5, SHA-256 all but wget. That two texts with the
	// same MD5 can be made does not help anybody to answer a challenge, or to find a secret
	// of 160 random bits. In FIPS 140-only mode MD5 is refused.
	//
	// A key needs a credential for each algorithm: the client chooses.
	Algorithms []DigestAlgorithm

	// NonceLifetime is how long a nonce is accepted; DefaultNonceLifetime if it is zero. A
	// client that comes with an older one is given another, and tries again by itself.
	NonceLifetime time.Duration

	// MaxNonces bounds how many nonces are remembered with their counts, each in some 200
	// bytes; DefaultMaxNonces if it is zero. A nonce is remembered from its first right
	// response until it expires. When there are more, those that were used first are
	// forgotten and refused from then on, as if they had expired: that costs their clients
	// another round trip and lets no replay through.
	MaxNonces int

	// NonceKey is what nonces are signed with: at least 32 bytes from crypto/rand, the same
	// in all instances of the service. nil is a key that is made now and nobody else has.
	// Without ShareNonces its one use is that the operator's log tells a nonce of another
	// instance from one that is nobody's.
	NonceKey []byte

	// ShareNonces accepts the nonces that other instances with the same NonceKey have made.
	//
	// Without it, an instance answers to the nonce of another with a new one of its own
	// (stale=true). That is right for a single instance and where the load balancer keeps a
	// client at one, for instance by its address. Where the balancer does not, clients are
	// sent from nonce to nonce and give up.
	//
	// With it, they are not; but which counts were used is known to each instance for
	// itself. Whoever captures a request can send it once more to each of the other
	// instances, from an address that the key's list covers, until the nonce expires.
	// Requests that are encrypted on their way are not captured; shorten NonceLifetime
	// otherwise.
	ShareNonces bool

	// Clock tells the age of nonces; time.Now if it is nil.
	Clock func() time.Time
}

// Digest accepts HTTP Digest credentials (RFC 7616), for programs that were written for a
// service that wants them: the ID of a key as the user name and the text of its secret
// as the password, qop auth, the algorithms of the configuration. Bearer and Basic over
// TLS are the better choice for everybody else.
//
// Digest has a price. To check a response the service must keep the hash of user name,
// realm and secret, and a client needs no more than that to make one. Who reads the
// stored [DigestCredential] of a key can sign in with it, while the stored SHA-256 of a
// secret proves nothing (rule K1). So a key has to be opted in: one without a
// DigestCredential is answered as a wrong secret is.
//
// A response is accepted once, and only if its nonce is one of ours and fresh. Clients
// count the requests with a nonce in nc. A count is taken when its response was found
// right, by one request only; it has to rise, except that the last 63 below the highest
// may come late, since requests on several connections overtake each other. What is right
// except for its nonce or its count is answered by a challenge with stale=true, so that
// the client tries again with the new nonce and asks nobody. It follows that
// [Route.Check] denies a request that it has allowed before. Each call of Digest makes a
// Scheme with nonces of its own: guards that serve the same clients have the same Scheme.
//
// The parameter uri has to be the target of the request as it arrived, query included and
// nothing unescaped; one of the two may have scheme and host in addition, as those of
// clients of a forward proxy do. So a proxy in front may not rewrite the path, and
// clients that leave a part of it out (Python requests does with ";" and what follows it)
// are refused. As the header repeats the target, one of more than some 7500 bytes makes
// it too long. userhash, auth-int, the -sess algorithms and Authentication-Info are not supported.
func Digest(config DigestConfig) Scheme {
	if err := errors.Join(config.mistakes()...); err != nil {
		return Scheme{name: "Digest", err: err}
	}
	d := &digest{credentials: config.Credentials, algorithms: slices.Clone(config.Algorithms)}
	lifetime, most, clock := config.NonceLifetime, config.MaxNonces, config.Clock
	if lifetime == 0 {
		lifetime = DefaultNonceLifetime
	}
	if most == 0 {
		most = DefaultMaxNonces
	}
	if clock == nil {
		clock = time.Now
	}
	d.nonces = newNonces(config.NonceKey, config.ShareNonces, lifetime, most, clock)
	return Scheme{name: "Digest", read: d.read, challenge: d.challenge}
}

func (c *DigestConfig) mistakes() (mistakes []error) {
	add := func(format string, args ...any) {
		mistakes = append(mistakes, fmt.Errorf("policyhttp: DigestConfig."+format, args...))
	}
	if c.Credentials == nil {
		add("Credentials is nil; right would be where the credentials of keys are stored")
	}
	if len(c.Algorithms) == 0 {
		add("Algorithms is empty; right would be DigestMD5, DigestSHA256 or both")
	}
	for i, algorithm := range c.Algorithms {
		if err := algorithm.check(); err != nil {
			add("Algorithms[%d]: %w", i, err)
		} else if slices.Contains(c.Algorithms[:i], algorithm) {
			add("Algorithms[%d] is %s for the second time; right would be once", i, algorithm)
		}
	}
	if c.NonceLifetime < 0 {
		add("NonceLifetime is %v; right would be some minutes, or zero for %v", c.NonceLifetime, DefaultNonceLifetime)
	}
	if c.MaxNonces < 0 {
		add("MaxNonces is %d; right would be as many as are used in a NonceLifetime, or zero for %d", c.MaxNonces, DefaultMaxNonces)
	}
	if c.NonceKey != nil && len(c.NonceKey) < minNonceKey {
		add("NonceKey has %d bytes; right would be at least %d random ones, or nil for a key that is made now", len(c.NonceKey), minNonceKey)
	}
	if c.ShareNonces && c.NonceKey == nil {
		add("ShareNonces is set without a NonceKey; right would be the same key in all instances")
	}
	return mistakes
}

// maxRealm is how long a realm may be, in bytes.
const maxRealm = 128

// checkRealm returns why a realm cannot stand between quotes. Clients do not agree
// whether an escape is hashed as it is, and in which encoding other than ASCII.
func checkRealm(realm string) error {
	unfit := func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }
	if realm == "" || len(realm) > maxRealm || strings.ContainsFunc(realm, unfit) {
		return fmt.Errorf("the realm is %.140q; right would be 1 to %d characters of ASCII without control characters, \" and \\", realm, maxRealm)
	}
	return nil
}

// check returns nil if the algorithm can be used.
func (a DigestAlgorithm) check() error { return a.checkIn(fips140.Enforced()) }

// checkIn is check with or without the FIPS 140-only mode, in which crypto/md5 panics.
func (a DigestAlgorithm) checkIn(fips bool) error {
	switch {
	case a != DigestMD5 && a != DigestSHA256:
		return fmt.Errorf("the algorithm is %.40q; right would be %q or %q", string(a), DigestMD5, DigestSHA256)
	case a == DigestMD5 && fips:
		return errors.New("MD5 is not allowed in FIPS 140-only mode; right would be SHA-256")
	}
	return nil
}

// digits is how many hexadecimal digits a hash has.
func (a DigestAlgorithm) digits() int {
	if a == DigestMD5 {
		return 2 * md5.Size
	}
	return 2 * sha256.Size
}

// appendHash appends the hash of text in hexadecimal.
func (a DigestAlgorithm) appendHash(to, text []byte) []byte {
	if a == DigestMD5 {
		sum := md5.Sum(text)
		return hex.AppendEncode(to, sum[:])
	}
	sum := sha256.Sum256(text)
	return hex.AppendEncode(to, sum[:])
}

// hashOf is H(A1) of RFC 7616 section 3.4.2, which stands for the password from then on.
func (a DigestAlgorithm) hashOf(user, realm, password string) string {
	return string(a.appendHash(nil, []byte(user+":"+realm+":"+password)))
}

// digest is the scheme that Digest returns.
type digest struct {
	credentials DigestCredentials
	algorithms  []DigestAlgorithm
	nonces      *nonces
}

func (d *digest) challenge(g *Guard, stale bool) []string {
	challenges := make([]string, 0, len(d.algorithms))
	for _, algorithm := range d.algorithms {
		challenge := `Digest realm="` + g.realm + `", qop="auth", algorithm=` + string(algorithm) + `, nonce="` + d.nonces.issue(algorithm, g.realm) + `"`
		if stale {
			challenge += ", stale=true"
		}
		challenges = append(challenges, challenge)
	}
	return challenges
}

// read reads the credentials of a request, and looks up what to check them with: for
// every key ID, whether or not there is such a key.
func (d *digest) read(g *Guard, r *http.Request, rest string) (credentials, error) {
	h, err := parseDigestHeader(rest)
	if err != nil {
		return credentials{}, err
	}
	shown := credentials{key: apikey.ID(h.username)}
	algorithm, offered := d.algorithm(h.algorithm)
	switch {
	case !offered:
		return shown, fmt.Errorf("%w: Digest with an algorithm that is not among DigestConfig.Algorithms", errNotProven)
	case !algorithm.isHash(h.response):
		return credentials{}, malformedDigest("response is not a hash; right would be %d digits of 0-9 and a-f", algorithm.digits())
	case !sameTarget(h.uri, r):
		return credentials{}, malformedDigest("uri is not the target of the request as it arrived here; right would be the same path and query, which no proxy may change")
	case h.realm != g.realm:
		return shown, fmt.Errorf("%w: Digest with another realm; right would be %q", errNotProven, g.realm)
	case shown.key.Validate() != nil:
		return shown, fmt.Errorf("%w: the user name of Digest is not the ID of a key", errNotProven)
	}
	stored, err := d.lookup(r.Context(), shown.key, algorithm)
	if err != nil {
		return credentials{}, err
	}
	shown.prover = &digestProof{nonces: d.nonces, header: h, method: r.Method, algorithm: algorithm, stored: stored}
	return shown, nil
}

// algorithm returns the algorithm that a client names. None is MD5 (RFC 7616 section 3.4).
func (d *digest) algorithm(name string) (_ DigestAlgorithm, offered bool) {
	if name == "" {
		name = string(DigestMD5)
	}
	for _, algorithm := range d.algorithms {
		if strings.EqualFold(name, string(algorithm)) {
			return algorithm, true
		}
	}
	return "", false
}

// isHash reports whether text is a hash as RFC 7616 writes it: in lower-case digits.
func (a DigestAlgorithm) isHash(text string) bool {
	return len(text) == a.digits() && strings.Trim(text, "0123456789abcdef") == ""
}

// sameTarget reports whether uri is what was requested (RFC 7616 section 3.4.6). A
// client that goes through a forward proxy names scheme and host in one of the two or in
// both; all others send the same bytes twice. Nothing is unescaped or cleaned.
func sameTarget(uri string, r *http.Request) bool {
	if uri == r.RequestURI {
		return true
	}
	host, path := cutAuthority(uri)
	_, requested := cutAuthority(r.RequestURI)
	return path == requested && (host == "" || strings.EqualFold(host, r.Host))
}

// cutAuthority returns the authority of an absolute URI and what follows it. Anything
// else it returns as it is.
func cutAuthority(target string) (authority, path string) {
	scheme, rest, found := strings.Cut(target, "://")
	if !found || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return "", target
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		return rest, "/"
	}
	authority, path = rest[:end], rest[end:]
	if path[0] == '?' {
		path = "/" + path
	}
	return authority, path
}

// lookup asks the embedding program for a key's credentials. Its errors, its panics and
// what cannot be a credential wrap errCredentialsUnavailable.
func (d *digest) lookup(ctx context.Context, key apikey.ID, algorithm DigestAlgorithm) (stored []DigestCredential, err error) {
	returned := false
	defer func() {
		if !returned {
			stored, err = nil, fmt.Errorf("%w: panic: %v", errCredentialsUnavailable, recover())
		}
	}()
	if _, inMemory := d.credentials.(*MemoryDigestCredentials); !inMemory {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, policy.DefaultTimeout)
		defer cancel()
	}
	stored, err = d.credentials.DigestCredentials(ctx, key, algorithm)
	if err != nil {
		err = fmt.Errorf("%w: %w", errCredentialsUnavailable, err)
	}
	for i := 0; i < len(stored) && err == nil; i++ {
		if problem := stored[i].check(algorithm); problem != nil {
			err = fmt.Errorf("%w: %w", errCredentialsUnavailable, problem)
		}
	}
	returned = true
	return stored, err
}

// errCredentialsUnavailable is a failure of the service and not of the caller (line 3 of
// the rules).
var errCredentialsUnavailable = errors.New("policyhttp: the DigestCredentials failed")
