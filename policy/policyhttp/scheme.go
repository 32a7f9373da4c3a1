package policyhttp

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/policy"
)

// A Scheme is one way of presenting credentials: [Bearer], [Basic], [KeyHeader], HTTP
// Digest of package digest, or one of the embedding program's own, for keys of another
// format. It must be safe for concurrent use.
type Scheme interface {
	// Header returns the name of the credentials' header: Authorization for most schemes.
	// It and Name always return the same.
	Header() string

	// Name returns the name before the credentials in the Authorization header (RFC 9110
	// section 11.1), such as "Bearer". It is compared without regard to case. It is "" for
	// a scheme with a header of its own: the whole value are the credentials.
	Name() string

	// Form returns what a right header looks like, such as "Authorization: Bearer
	// YOUR_API_KEY": 1 to 200 printable characters of ASCII. Callers with malformed
	// credentials read it.
	Form() string

	// Read parses the credentials of one request. It verifies nothing: it returns the key
	// and the secret or Verifier, and the engine verifies them. The request waits for it.
	//
	// Its error wraps
	//
	//   - [policy.ErrMalformedCredentials] for a text in another format (400),
	//   - [policy.ErrInvalidCredentials] for a text that cannot be any key's (401), with the
	//     Key if it names one,
	//   - [policy.ErrNoCredentials] for a text of another scheme (401).
	//
	// Every other error, and a panic, make the decision unavailable (503). An error must not
	// contain anything of the text (rule K2).
	Read(ctx context.Context, presented Presented) (Credentials, error)

	// Challenges returns the values of WWW-Authenticate for a 401 (RFC 9110 section
	// 11.6.1), in order; none is allowed. realm is Config.Realm. cause is the decision's
	// Cause: after a denial by the scheme's own Read or Verifier it wraps the error. After
	// a panic the 401 goes without them.
	Challenges(realm string, cause error) []string
}

// An accepted is one of a guard's schemes, with its Header and Name.
type accepted struct {
	Scheme
	header, name string
}

// Presented has the credentials of one request, for a [Scheme].
type Presented struct {
	// Text are the credentials: the text after the scheme's name in the Authorization
	// header, or the whole value of the scheme's own header. It has at most 8192 bytes and
	// no control characters.
	Text string

	// Realm is Config.Realm.
	Realm string

	// Issuer is Config.Issuer. nil is the default issuer.
	Issuer *apikey.Issuer

	// Request is the request, to be read only, without its body. It is nil for calls of
	// another transport, such as gRPC: a scheme in need of it then returns
	// [policy.ErrNoCredentials].
	Request *http.Request
}

// Credentials are the result of [Scheme].Read; see [policy.Request] for the three fields.
// Either Secret or Verifier is set.
type Credentials struct {
	Key      apikey.ID
	Secret   apikey.Secret
	Verifier policy.Verifier

	scratch *scratch // memory of Key and Secret that is wiped after the decision
}

// Bearer accepts the text of a secret: Authorization: Bearer sp_... (RFC 6750 section
// 2.1, in the header only).
func Bearer() Scheme { return bearer{} }

type bearer struct{}

func (bearer) Header() string { return authorization }

func (bearer) Name() string { return "Bearer" }

func (bearer) Form() string { return "Authorization: Bearer YOUR_API_KEY" }

func (bearer) Challenges(realm string, _ error) []string {
	return []string{`Bearer realm="` + realm + `"`}
}

func (bearer) Read(_ context.Context, presented Presented) (Credentials, error) {
	return readSecret(presented, "the Bearer token")
}

// readSecret reads credentials made of the text of a secret and nothing else. what is their
// name in errors.
func readSecret(presented Presented, what string) (Credentials, error) {
	if len(presented.Text) > maxSecret {
		return Credentials{}, malformed("%s has %d bytes: want at most %d", what, len(presented.Text), maxSecret)
	}
	id, secret, err := presented.Issuer.Parse(presented.Text)
	switch {
	case err == nil: // the text of a secret is a token
		return Credentials{Key: id, Secret: secret}, nil
	case !isToken68(presented.Text):
		return Credentials{}, malformed("%s is not a token: want the text of a secret and nothing else", what)
	}
	return Credentials{}, fmt.Errorf("policyhttp: %s: %w: %w", what, policy.ErrInvalidCredentials, err)
}

// KeyHeader accepts the text of a secret as the one value of a header of its own, such as
// X-API-Key, for clients that cannot send Authorization. Proxies and logs keep
// Authorization secret, and do not know this header: prefer [Bearer].
//
// The challenge in a 401 is ApiKey, with the name of the header as a parameter; it is not a
// registered scheme.
func KeyHeader(name string) Scheme { return keyHeader{http.CanonicalHeaderKey(name)} }

type keyHeader struct{ name string }

func (h keyHeader) Header() string { return h.name }

func (h keyHeader) Name() string { return "" }

func (h keyHeader) Form() string { return h.name + ": YOUR_API_KEY" }

func (h keyHeader) Challenges(realm string, _ error) []string {
	return []string{`ApiKey realm="` + realm + `", header="` + h.name + `"`}
}

func (h keyHeader) Read(_ context.Context, presented Presented) (Credentials, error) {
	return readSecret(presented, "the "+h.name+" header")
}

// notCredentials are no headers for credentials: they mean something else, or a proxy
// removes them.
var notCredentials = []string{
	"Connection", "Content-Length", "Cookie", "Early-Data", "Expect", "Forwarded", "Host", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade", "X-Forwarded-For",
}

// checkScheme returns why a scheme cannot be used.
func checkScheme(s Scheme) error {
	header, name := s.Header(), s.Name()
	switch {
	case header == authorization:
		if !isSchemeName(name) {
			return fmt.Errorf("has the name %s: want a token, such as Bearer", plain.Quote(name))
		}
	case name != "":
		return fmt.Errorf("has the header %s and the name %s: want a name in the Authorization header only", plain.Quote(header), plain.Quote(name))
	case !isSchemeName(header) || header != http.CanonicalHeaderKey(header):
		return fmt.Errorf("has the header %s: want a header's name in canonical form, such as X-Api-Key", plain.Quote(header))
	}
	if form := s.Form(); form == "" || len(form) > 200 || strings.ContainsFunc(form, func(c rune) bool { return c < ' ' || c > '~' }) {
		return fmt.Errorf("has the form %s: want what a right header looks like, in 1 to 200 printable characters of ASCII", plain.Quote(form))
	}
	for _, other := range notCredentials {
		if strings.EqualFold(header, other) || addressHeaderOf(header) != nil {
			return fmt.Errorf("has the header %s: want one that has no other meaning and that no proxy removes, such as X-Api-Key", header)
		}
	}
	return nil
}
