package policyhttp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// Bounds on credentials, in bytes. Longer ones are malformed.
const (
	maxCredentials  = 8192                          // a header's value; those of Digest are the longest
	maxSecret       = 120                           // a secret's text; an issuer's longest has 112
	maxUserPassword = apikey.MaxID + 1 + maxSecret  // a user, a colon and a password
	maxEncoded      = (maxUserPassword + 2) / 3 * 4 // those in base64
)

// malformed must never be given anything of the credentials (rule K2).
func malformed(format string, arguments ...any) error {
	return fmt.Errorf("policyhttp: %w: "+format, append([]any{policy.ErrMalformedCredentials}, arguments...)...)
}

// credentials reads the credentials of a request. A request with several is refused: a
// proxy may have looked at the others.
func (g *Guard) credentials(ctx context.Context, header http.Header, r *http.Request) (Credentials, error) {
	scheme, text, err := g.presented(header)
	if err != nil {
		return Credentials{}, withForm(err, g.form)
	}
	shown, err := scheme.Read(ctx, Presented{Text: text, Realm: g.realm, Issuer: g.issuer, Request: r})
	if err != nil && !isKind(err) {
		err = fmt.Errorf("policyhttp: the scheme failed: %w: %w", policy.ErrUnavailable, err)
	}
	return shown, withForm(err, scheme.Form())
}

// withForm adds the form of right credentials, for the caller, to an error of malformed or
// missing ones.
func withForm(err error, form string) error {
	if errors.Is(err, policy.ErrMalformedCredentials) || errors.Is(err, policy.ErrNoCredentials) {
		return &policy.CredentialsError{Err: err, Form: form}
	}
	return err
}

// formsOf joins the forms of the schemes.
func formsOf(schemes []Scheme) string {
	var forms []string
	for _, scheme := range schemes {
		forms = append(forms, scheme.Form())
	}
	return strings.Join(forms, ", or ")
}

// isKind reports whether an error of a scheme is one of the kinds in package policy.
func isKind(err error) bool {
	return errors.Is(err, policy.ErrMalformedCredentials) || errors.Is(err, policy.ErrInvalidCredentials) ||
		errors.Is(err, policy.ErrNoCredentials) || errors.Is(err, policy.ErrUnavailable)
}

// presented returns the one scheme with credentials in the request, and their text.
func (g *Guard) presented(header http.Header) (scheme *accepted, text string, err error) {
	authorizations := header[authorization]
	if len(authorizations) > 0 {
		if scheme, text, err = g.authorizationScheme(authorizations); err != nil {
			return nil, "", err
		}
	}
	for i := range g.schemes {
		s := &g.schemes[i]
		if s.header == authorization {
			continue
		}
		values := header[s.header]
		if len(values) == 0 {
			continue
		}
		if scheme != nil {
			return nil, "", malformed("credentials in the headers %s and %s: want one of the two", scheme.header, s.header)
		}
		if text, err = oneValue(values, s.header); err != nil {
			return nil, "", err
		}
		scheme = s
	}
	switch {
	case scheme != nil:
		return scheme, text, nil
	case len(authorizations) > 0:
		// Its name is not in the error: it is the secret if a client sent nothing else.
		err = fmt.Errorf("policyhttp: %w: the Authorization header has an unaccepted scheme: want one of Config.Schemes", policy.ErrNoCredentials)
	default:
		err = fmt.Errorf("policyhttp: %w: the request has no %s header", policy.ErrNoCredentials, strings.Join(g.headers, " or "))
	}
	return nil, "", err
}

const authorization = "Authorization"

// authorizationScheme returns the scheme of the Authorization header and the text behind
// its name. The scheme is nil if the header is of another one.
func (g *Guard) authorizationScheme(values []string) (scheme *accepted, text string, err error) {
	if !slices.Contains(g.headers, authorization) {
		return nil, "", nil
	}
	value, err := oneValue(values, authorization)
	if err != nil {
		return nil, "", err
	}
	name, rest, _ := strings.Cut(value, " ")
	if !isSchemeName(name) {
		return nil, "", malformed("the Authorization header does not begin with the name of a scheme: want one, such as Bearer")
	}
	for i := range g.schemes {
		s := &g.schemes[i]
		if s.header == authorization && strings.EqualFold(s.name, name) { // both are ASCII
			return s, strings.TrimLeft(rest, " "), nil
		}
	}
	return nil, "", nil
}

// oneValue returns the one value of a header present in the request.
func oneValue(values []string, name string) (string, error) {
	switch {
	case len(values) > 1:
		return "", malformed("%d %s headers: want one", len(values), name)
	case len(values[0]) > maxCredentials:
		return "", malformed("the %s header has %d bytes: want at most %d", name, len(values[0]), maxCredentials)
	case hasControl(values[0]):
		return "", malformed("a control character in the %s header: want none", name)
	}
	return values[0], nil
}

// hasControl reports whether text has one of the 33 control characters of ASCII. It looks at
// eight bytes at a time: every request has its credentials read.
func hasControl(text string) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080 // a bit of each byte
	for ; len(text) >= 8; text = text[8:] {
		bytes := binary.LittleEndian.Uint64([]byte(text))
		below := (bytes - ' '*ones) &^ bytes // the high bit of a byte below the space
		bytes ^= 0x7f * ones                 // DEL becomes zero
		if (below|(bytes-ones)&^bytes)&highs != 0 {
			return true
		}
	}
	for i := range len(text) {
		if classes[text[i]]&control != 0 {
			return true
		}
	}
	return false
}

// isSchemeName reports whether text is a token (RFC 9110 section 5.6.2), as auth-scheme
// and the names of headers are.
func isSchemeName(text string) bool { return text != "" && consistsOf(text, tokens) }

// isToken68 is RFC 9110 section 11.2.
func isToken68(text string) bool {
	text = strings.TrimRight(text, "=")
	return text != "" && consistsOf(text, token68s)
}

// consistsOf reports whether all characters of text are of the class.
func consistsOf(text string, class uint8) bool {
	for i := range len(text) {
		if classes[text[i]]&class == 0 {
			return false
		}
	}
	return true
}

// Classes of characters.
const (
	control   = 1 << iota // of ASCII
	tokens                // of a token: RFC 9110 section 5.6.2
	token68s              // of a token68, except the = at its end: RFC 9110 section 11.2
	nodePorts             // of a hidden port: RFC 7239 section 6.3
)

// classes has the classes of each byte.
var classes = func() (classes [256]uint8) {
	for c := range classes {
		if c < ' ' || c == 0x7f {
			classes[c] = control
		}
		if alphanumeric(rune(c)) {
			classes[c] = tokens | token68s | nodePorts
		}
	}
	for class, others := range map[uint8]string{tokens: "!#$%&'*+-.^_`|~", token68s: "-._~+/", nodePorts: "._-"} {
		for _, c := range []byte(others) {
			classes[c] |= class
		}
	}
	return classes
}()
