// Package digest is HTTP Digest (RFC 7616) as a [policyhttp.Scheme]: the ID of a key is the
// user name, the text of its secret the password, with qop auth. It is for clients written
// for a service with Digest. Do not use it for anybody else: Bearer and Basic over TLS are
// the better choice.
//
// # The credentials
//
// A response is verified with the [apikey.DigestCredentials] in the key's record, which the
// engine has looked up anyway: there is no other table and no other look-up. So the bounds of
// the engine on time and number of look-ups hold, and the credentials follow the key through
// every store, replica and export. An apikey.Issuer makes them with the secret:
// apikey.IssuerConfig has the algorithms of [Config], and as DigestRealm the realm of
// [policyhttp.Config]. They are rotated, expire and are deleted with their secret, and in an
// overlap (rule K4) both secrets have theirs. Only those of a live secret count, and only for
// the realm and an offered algorithm.
//
// # The price
//
// To check a response the service must keep the hash of user name, realm and secret, and a
// client needs no more to make one. A reader of a key's record can sign in with it, while the
// stored hash of a secret proves nothing (rule K1). No server key protects the credentials: a
// writer of the record can make valid ones, and they go on after the server key of their
// secret was dropped: rotate the secret to end them. So store, export and back up the keys of
// such an issuer as carefully as passwords. Keys of an issuer without Digest do not pay this
// price; a Digest response for one of them is answered like a wrong secret.
//
// # Not protected
//
// The method, the target and the nonce of a request are signed, and nothing else. Without TLS
// somebody on the way can send a signed request with another body and other headers, read
// everything, and change the answer. Digest keeps the secret from being read, and no more:
// serve it over TLS.
//
// # Nonces
//
// A response is accepted once, and only with a fresh nonce of ours. Clients count the
// requests with a nonce in nc. A right response takes its count, and no other request can
// use it. Counts have to rise, except for the last 63 below the highest, since requests on
// several connections overtake each other. If only the nonce or the count of a response is
// wrong, the challenge has stale=true: the client then tries again with the new nonce and
// asks nobody. So [policyhttp.Route.Check] denies a request it has allowed before. The
// decision is wrong_secret with a [policy.Kind]: replayed for a used count, stale_nonce
// otherwise. That on a wrong response has no kind.
//
// A clock that was ahead and is set back by more than a second is like a restart: the nonces
// made meanwhile are refused as stale, and new ones live as long as any.
//
// # The target
//
// The parameter uri has to be the target of the request as it arrived, query included and
// nothing unescaped. One of the two may have scheme and host in addition, for clients of a
// forward proxy. So a proxy in front must not rewrite the path. Clients leaving a part of
// it out are refused: Python requests drops ";" and the rest. The header repeats the
// target, so a target of more than some 7500 bytes makes it too long.
//
// userhash, auth-int, the -sess algorithms and Authentication-Info are not supported.
package digest

import (
	"context"
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
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// The defaults of [Config].
const (
	DefaultNonceLifetime = 5 * time.Minute
	DefaultMaxNonces     = 65536
)

// minNonceKey is the length of the HMAC's hash; RFC 2104 section 3 discourages less.
const minNonceKey = sha256.Size

// Config configures [New].
type Config struct {
	// Algorithms are the offered ones, with a challenge for each in this order. Required,
	// since no order serves everybody. RFC 7616 section 3.7 wants the preferred one first, but
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
	// So MD5 alone serves them all, and MD5, SHA-256 all but wget. Collisions of MD5 do not
	// help to answer a challenge, or to find a secret of 160 random bits. In FIPS 140-only
	// mode MD5 is refused.
	//
	// A key needs a hash for each algorithm, since the client chooses: give the issuer the same
	// ones, in any order, as apikey.IssuerConfig.DigestAlgorithms.
	Algorithms []apikey.DigestAlgorithm

	// NonceLifetime is how long a nonce is accepted; DefaultNonceLifetime if it is zero. The
	// answer to an older one has a new one, and the client tries again by itself.
	NonceLifetime time.Duration

	// MaxNonces is the number of nonces remembered with their counts, each in some 200
	// bytes; DefaultMaxNonces if it is zero. A nonce is remembered from its first right
	// response until it expires. If there are more, the ones used first are forgotten and
	// refused from then on, as if they had expired. Their clients make another round trip;
	// no replay gets through. One key has at most a sixteenth of them, and beyond that
	// forgets its own.
	MaxNonces int

	// NonceKey signs nonces: at least 32 bytes from crypto/rand, the same in all instances
	// of the service. nil means a new key of this instance only. Without ShareNonces its
	// one use is in the operator's log, to tell another instance's nonce from an invented
	// one.
	NonceKey []byte

	// ShareNonces accepts the nonces of other instances with the same NonceKey.
	//
	// Without it, an instance answers another's nonce with a new one of its own
	// (stale=true). This is right for a single instance, and behind a load balancer with a
	// fixed instance for each client, for example by its address. Behind other balancers
	// clients are sent from nonce to nonce and give up.
	//
	// With it, they are not, but each instance knows only its own used counts, and none from
	// before a restart. A captured request can be sent to each of them once more, from an address
	// on the key's list, until the nonce expires. TLS keeps requests from being captured; shorten
	// NonceLifetime without it.
	//
	// The clocks of the instances may differ by less than a NonceLifetime: by as much, a nonce
	// of one lives longer or shorter with the others.
	ShareNonces bool

	// Clock tells the age of nonces; time.Now if it is nil.
	Clock func() time.Time
}

// New returns the scheme, with nonces of its own: guards with the same clients share one
// scheme. The error joins everything wrong with the configuration.
func New(config Config) (policyhttp.Scheme, error) {
	if err := errors.Join(config.mistakes()...); err != nil {
		return nil, err
	}
	d := &digest{algorithms: slices.Clone(config.Algorithms)}
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
	return d, nil
}

func (c *Config) mistakes() (mistakes []error) {
	add := func(format string, args ...any) {
		mistakes = append(mistakes, fmt.Errorf("digest: Config."+format, args...))
	}
	if len(c.Algorithms) == 0 {
		add("Algorithms is empty: want apikey.DigestMD5, apikey.DigestSHA256 or both")
	}
	for i, algorithm := range c.Algorithms {
		if err := algorithm.Validate(); err != nil {
			add("Algorithms[%d]: %w", i, err)
		} else if slices.Contains(c.Algorithms[:i], algorithm) {
			add("Algorithms[%d] is %s for the second time: want once", i, algorithm)
		}
	}
	if c.NonceLifetime < 0 {
		add("NonceLifetime is %v: want some minutes, or zero for %v", c.NonceLifetime, DefaultNonceLifetime)
	}
	if c.MaxNonces < 0 {
		add("MaxNonces is %d: want as many as are used in a NonceLifetime, or zero for %d", c.MaxNonces, DefaultMaxNonces)
	}
	if c.NonceKey != nil && len(c.NonceKey) < minNonceKey {
		add("NonceKey has %d bytes: want at least %d random ones, or nil for a key that is made now", len(c.NonceKey), minNonceKey)
	}
	if c.ShareNonces && c.NonceKey == nil {
		add("ShareNonces is set without a NonceKey: want the same key in all instances")
	}
	return mistakes
}

// digitsOf is how many hexadecimal digits a hash has.
func digitsOf(algorithm apikey.DigestAlgorithm) int {
	if algorithm == apikey.DigestMD5 {
		return 2 * md5.Size
	}
	return 2 * sha256.Size
}

// appendHash appends the hash of text in hexadecimal.
func appendHash(to, text []byte, algorithm apikey.DigestAlgorithm) []byte {
	if algorithm == apikey.DigestMD5 {
		sum := md5.Sum(text)
		return hex.AppendEncode(to, sum[:])
	}
	sum := sha256.Sum256(text)
	return hex.AppendEncode(to, sum[:])
}

// digest is the scheme.
type digest struct {
	algorithms []apikey.DigestAlgorithm
	nonces     *nonces
}

func (d *digest) Header() string { return "Authorization" }

func (d *digest) Name() string { return "Digest" }

func (d *digest) Form() string {
	return "Authorization: Digest, as clients of HTTP Digest compute it for the user name YOUR_KEY_ID"
}

// Challenges returns a challenge for each algorithm, with stale=true if the response was
// right and only its nonce cannot be used.
func (d *digest) Challenges(realm string, cause error) []string {
	challenges := make([]string, 0, len(d.algorithms))
	for _, algorithm := range d.algorithms {
		challenge := `Digest realm="` + realm + `", qop="auth", algorithm=` + string(algorithm) + `, nonce="` + d.nonces.issue(algorithm, realm) + `"`
		if errors.Is(cause, policy.ErrStaleNonce) || errors.Is(cause, policy.ErrReplayed) {
			challenge += ", stale=true"
		}
		challenges = append(challenges, challenge)
	}
	return challenges
}

// Read parses the credentials of a request. It looks nothing up: the engine hands the key's
// record to the verifier, whether or not the key exists.
func (d *digest) Read(_ context.Context, presented policyhttp.Presented) (policyhttp.Credentials, error) {
	r := presented.Request
	if r == nil {
		return policyhttp.Credentials{}, fmt.Errorf("digest: %w: the call is not HTTP", policy.ErrNoCredentials)
	}
	h, err := parseHeader(presented.Text)
	if err != nil {
		return policyhttp.Credentials{}, err
	}
	shown := policyhttp.Credentials{Key: apikey.ID(h.username)}
	algorithm, offered := d.algorithm(h.algorithm)
	switch {
	case shown.Key.Validate() != nil:
		return policyhttp.Credentials{}, invalid("the user name is not the ID of a key")
	case !offered:
		return shown, invalid("the algorithm is not among Config.Algorithms")
	case !isHash(h.response, algorithm):
		return policyhttp.Credentials{}, malformed("response is not a hash: want %d digits of 0-9 and a-f", digitsOf(algorithm))
	case !sameTarget(h.uri, r):
		return policyhttp.Credentials{}, malformed("uri is not the target of the request as it arrived here: want the same path and query, unchanged by proxies")
	case h.realm != presented.Realm:
		return shown, invalid("another realm: want %q", presented.Realm)
	}
	shown.Verifier = &response{nonces: d.nonces, header: h, method: r.Method, algorithm: algorithm}
	return shown, nil
}

// invalid must never be given anything of the credentials (rule K2).
func invalid(format string, arguments ...any) error {
	return fmt.Errorf("digest: %w: "+format, append([]any{policy.ErrInvalidCredentials}, arguments...)...)
}

// algorithm returns the algorithm named by a client. None is MD5 (RFC 7616 section 3.4).
func (d *digest) algorithm(name string) (_ apikey.DigestAlgorithm, offered bool) {
	if name == "" {
		name = string(apikey.DigestMD5)
	}
	for _, algorithm := range d.algorithms {
		if strings.EqualFold(name, string(algorithm)) {
			return algorithm, true
		}
	}
	return "", false
}

// isHash reports whether text is a hash as RFC 7616 writes it: in lower-case digits.
func isHash(text string, algorithm apikey.DigestAlgorithm) bool {
	return len(text) == digitsOf(algorithm) && strings.Trim(text, "0123456789abcdef") == ""
}

// sameTarget reports whether uri is the target of the request (RFC 7616 section 3.4.6). A
// client behind a forward proxy names scheme and host in one of the two or in both; all
// others send the same bytes twice. Nothing is unescaped or cleaned.
func sameTarget(uri string, r *http.Request) bool {
	if uri == r.RequestURI {
		return true
	}
	host, path := cutAuthority(uri)
	_, requested := cutAuthority(r.RequestURI)
	return path == requested && (host == "" || strings.EqualFold(host, r.Host))
}

// cutAuthority returns the authority of an absolute URI and the rest. Anything else it
// returns as it is.
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
