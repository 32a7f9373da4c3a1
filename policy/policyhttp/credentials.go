package policyhttp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"unicode/utf8"
	"unsafe"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// A Scheme is one way of showing credentials in the Authorization header (RFC 9110
// section 11): what [Bearer], [Basic] and [Digest] return.
type Scheme struct {
	name      string
	read      func(g *Guard, r *http.Request, rest string) (credentials, error)
	challenge func(g *Guard, stale bool) []string
	err       error
}

// credentials are what one request showed.
type credentials struct {
	key     apikey.ID
	proof   apikey.Secret
	prover  policy.Prover
	scratch *scratch // what the key and the proof lie in, if it is to be wiped
}

// What is wrong with credentials, for the operator. Errors that wrap these have nothing
// of what was shown in them (rule K2).
var (
	errNoCredentials = errors.New("policyhttp: no credentials")                // 401
	errMalformed     = errors.New("policyhttp: malformed credentials")         // 400
	errNotProven     = errors.New("policyhttp: the credentials prove nothing") // 401, as for a wrong secret
)

// How many bytes are looked at. Beyond that credentials are malformed.
const (
	maxAuthorization = 8192                          // of the header's value; those of Digest are the longest
	maxSecret        = 120                           // of a secret's text; the longest that an issuer makes has 112
	maxUserPassword  = maxKey + 1 + maxSecret        // of a user, a colon and a password
	maxEncoded       = (maxUserPassword + 2) / 3 * 4 // of those in base64
)

// credentials reads the Authorization header. There is one, or the request is refused:
// of two, a proxy may have looked at the other.
func (g *Guard) credentials(r *http.Request) (credentials, error) {
	values := r.Header["Authorization"]
	switch {
	case len(values) == 0:
		return credentials{}, fmt.Errorf("%w: the request has no Authorization header", errNoCredentials)
	case len(values) > 1:
		return credentials{}, fmt.Errorf("%w: %d Authorization headers; right would be one", errMalformed, len(values))
	case len(values[0]) > maxAuthorization:
		return credentials{}, fmt.Errorf("%w: an Authorization header of %d bytes; right would be at most %d", errMalformed, len(values[0]), maxAuthorization)
	case hasControl(values[0]):
		return credentials{}, fmt.Errorf("%w: a control character in the Authorization header", errMalformed)
	}
	name, rest, _ := strings.Cut(values[0], " ")
	if !isSchemeName(name) {
		return credentials{}, fmt.Errorf("%w: the Authorization header does not begin with the name of a scheme", errMalformed)
	}
	for i := range g.schemes {
		if scheme := &g.schemes[i]; strings.EqualFold(scheme.name, name) { // both are ASCII
			return scheme.read(g, r, strings.TrimLeft(rest, " "))
		}
	}
	// The name is not told: it is the secret, if a client sent that and nothing else.
	return credentials{}, fmt.Errorf("%w: the Authorization header is of a scheme that is not among Config.Schemes", errNoCredentials)
}

// Bearer accepts the text of a secret: Authorization: Bearer sp_... (RFC 6750 section
// 2.1, in the header only).
func Bearer() Scheme {
	return Scheme{name: "Bearer", read: readBearer, challenge: func(g *Guard, _ bool) []string {
		return []string{`Bearer realm="` + g.realm + `"`}
	}}
}

func readBearer(g *Guard, _ *http.Request, rest string) (credentials, error) {
	if len(rest) > maxSecret {
		return credentials{}, fmt.Errorf("%w: a Bearer token of %d bytes; right would be at most %d", errMalformed, len(rest), maxSecret)
	}
	if !isToken68(rest) {
		return credentials{}, fmt.Errorf("%w: what follows Bearer is not one token; right would be the text of a secret", errMalformed)
	}
	id, secret, err := g.issuer.Parse(rest)
	if err != nil {
		return credentials{}, fmt.Errorf("%w: %w", errNotProven, err)
	}
	return credentials{key: id, proof: secret}, nil
}

// Basic accepts the ID of a key as the user, and the text of its secret as the password
// (RFC 7617, in UTF-8). The secret has the ID in it too, and the two must be the same. A
// browser that sees its challenge asks its user for a password; a service for browsers
// leaves it out of Config.Schemes.
func Basic() Scheme {
	return Scheme{name: "Basic", read: readBasic, challenge: func(g *Guard, _ bool) []string {
		return []string{`Basic realm="` + g.realm + `", charset="UTF-8"`}
	}}
}

func readBasic(g *Guard, _ *http.Request, rest string) (credentials, error) {
	if len(rest) > maxEncoded {
		return credentials{}, fmt.Errorf("%w: Basic credentials of %d bytes; right would be at most %d", errMalformed, len(rest), maxEncoded)
	}
	s := scratches.Get().(*scratch)
	decoded, err := s.decode(rest)
	if err != nil {
		s.release()
		return credentials{}, err
	}
	user, password, _ := strings.Cut(decoded, ":")
	shown := credentials{key: apikey.ID(user), scratch: s}
	id, secret, err := g.issuer.Parse(password)
	switch {
	case err != nil:
		return shown, fmt.Errorf("%w: the password: %w", errNotProven, err)
	case string(id) != user:
		return shown, fmt.Errorf("%w: the user is not the ID of the key that the password is a secret of", errNotProven)
	}
	shown.proof = secret
	return shown, nil
}

// A scratch is what the base64 of Basic is decoded into. It lasts until the decision is
// made and is wiped then: memory of its own for every request would be an allocation,
// and would keep the secret until it is collected.
type scratch struct {
	bytes [maxEncoded / 4 * 3]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// strictBase64 has one encoding for each text: it refuses set bits behind the end.
var strictBase64 = base64.StdEncoding.Strict()

// decode returns the user, a colon and the password, in the memory of s.
func (s *scratch) decode(encoded string) (string, error) {
	n, err := strictBase64.Decode(s.bytes[:], unsafe.Slice(unsafe.StringData(encoded), len(encoded)))
	if err != nil || n == 0 {
		return "", fmt.Errorf("%w: what follows Basic is not base64; right would be that of a user, a colon and a password", errMalformed)
	}
	// Nothing writes to it as long as the string is used; see Route.check.
	decoded := unsafe.String(&s.bytes[0], n)
	switch {
	case !utf8.ValidString(decoded):
		return "", fmt.Errorf("%w: the base64 of Basic is not of UTF-8", errMalformed)
	case hasControl(decoded):
		return "", fmt.Errorf("%w: a control character in the user or the password of Basic", errMalformed)
	case !strings.Contains(decoded, ":"):
		return "", fmt.Errorf("%w: no colon in what Basic encodes; right would be a user, a colon and a password", errMalformed)
	}
	return decoded, nil
}

// release wipes the memory and leaves it to other requests. A nil scratch has none.
func (s *scratch) release() {
	if s != nil {
		clear(s.bytes[:])
		scratches.Put(s)
	}
}

// hasControl reports whether text has one of the 33 control characters of ASCII.
func hasControl(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] == 0x7f {
			return true
		}
	}
	return false
}

// isSchemeName is auth-scheme, a token (RFC 9110 section 5.6.2).
func isSchemeName(text string) bool { return text != "" && consistsOf(text, "!#$%&'*+-.^_`|~") }

// isToken68 is RFC 9110 section 11.2.
func isToken68(text string) bool {
	text = strings.TrimRight(text, "=")
	return text != "" && consistsOf(text, "-._~+/")
}

// consistsOf reports whether text has only letters and digits of ASCII, and the others.
func consistsOf(text, others string) bool {
	for i := range len(text) {
		c := text[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(others, c) >= 0) {
			return false
		}
	}
	return true
}
