package digest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sallyport-go/sallyport/policy"
)

// header is a parsed Authorization header with Digest credentials (RFC 7616 section 3.4).
// The texts are as they were sent, since they are hashed.
type header struct {
	username, realm, nonce, uri, response string
	qop, nc, cnonce                       string
	algorithm                             string // "": not given, MD5
	extendedName, userhash                string // username* and userhash

	count uint32 // nc as a number; at least 1
}

// parameters are the known parameters. Others are ignored, as the RFC says.
var parameters = [...]struct {
	name     string
	required bool
	text     func(*header) *string
}{
	{"username", true, func(h *header) *string { return &h.username }},
	{"realm", true, func(h *header) *string { return &h.realm }},
	{"nonce", true, func(h *header) *string { return &h.nonce }},
	{"uri", true, func(h *header) *string { return &h.uri }},
	{"response", true, func(h *header) *string { return &h.response }},
	{"qop", true, func(h *header) *string { return &h.qop }},
	{"nc", true, func(h *header) *string { return &h.nc }},
	{"cnonce", true, func(h *header) *string { return &h.cnonce }},
	{"algorithm", false, func(h *header) *string { return &h.algorithm }},
	{"username*", false, func(h *header) *string { return &h.extendedName }},
	{"userhash", false, func(h *header) *string { return &h.userhash }},
}

// parseHeader parses the text after the word Digest. The guard has checked its length and
// refused control characters. Errors contain nothing of the text, not even the name of an
// unknown parameter: in "Digest sp_..." it is the secret.
func parseHeader(text string) (header, error) {
	var h header
	var given [len(parameters)]bool
	for n := 1; ; n++ {
		text = strings.TrimLeft(text, " \t,") // empty elements are ignored (RFC 9110 section 5.6.1.2)
		if text == "" {
			break
		}
		name, value, rest, err := cutParameter(text)
		if err != nil {
			return header{}, malformed("parameter %d %w", n, err)
		}
		text = rest
		i := parameter(name)
		if i < 0 {
			continue
		}
		if given[i] {
			return header{}, malformed("%s occurs twice: want once", parameters[i].name)
		}
		// Clients do not agree whether a text is hashed with its escapes or without, and no
		// right value of these parameters needs any.
		if strings.IndexByte(value, '\\') >= 0 {
			return header{}, malformed("a backslash in %s: want none", parameters[i].name)
		}
		given[i], *parameters[i].text(&h) = true, value
	}
	if err := h.check(); err != nil {
		return header{}, err
	}
	return h, nil
}

// parameter returns the index of a parameter, -1 if it is unknown.
func parameter(name string) int {
	for i := range parameters {
		if len(name) == len(parameters[i].name) && strings.EqualFold(name, parameters[i].name) {
			return i
		}
	}
	return -1
}

// check returns an error naming a missing parameter or an unsupported value.
func (h *header) check() error {
	for i := range parameters {
		if known := &parameters[i]; known.required && *known.text(h) == "" {
			return malformed("%s is missing or empty: want username, realm, nonce, uri, response, qop, nc and cnonce", known.name)
		}
	}
	if h.extendedName != "" {
		return malformed("username* is present: want username alone, since the IDs of keys are ASCII")
	}
	if h.userhash != "" && !strings.EqualFold(h.userhash, "false") {
		return malformed("the user name is said to be hashed: want the name itself, since the challenge does not offer userhash")
	}
	if h.qop != "auth" {
		return malformed("qop is not auth: want auth, as the challenge offers")
	}
	count, err := strconv.ParseUint(h.nc, 16, 32)
	if err != nil || len(h.nc) != 8 || count == 0 {
		return malformed("nc is not a count: want 8 hexadecimal digits, 00000001 for the first request with a nonce")
	}
	h.count = uint32(count)
	return nil
}

// cutParameter cuts the first parameter off a list: token "=" ( token /
// quoted-string ), with blanks allowed around the = (RFC 9110 section 11.2). Both forms
// are accepted for every parameter because clients differ: Python requests quotes algorithm
// and qop, where RFC 7616 wants no quotes. The value of a quoted-string is without its
// quotes and with its escapes.
func cutParameter(text string) (name, value, rest string, err error) {
	const want = ": want name=value pairs with commas between them"
	name, rest = cutToken(text)
	rest, found := strings.CutPrefix(trimBlanks(rest), "=")
	if name == "" || !found {
		return "", "", "", errors.New("is not a name and a =" + want)
	}
	rest = trimBlanks(rest)
	if quoted, found := strings.CutPrefix(rest, `"`); found {
		if value, rest, found = cutQuoted(quoted); !found {
			return "", "", "", errors.New("has no quote at its end" + want)
		}
	} else if value, rest = cutToken(rest); value == "" {
		return "", "", "", errors.New("has no value" + want)
	}
	rest = trimBlanks(rest)
	if rest != "" && rest[0] != ',' {
		return "", "", "", errors.New("goes on after its value" + want)
	}
	return name, value, rest, nil
}

// cutToken cuts off the longest token (RFC 9110 section 5.6.2), perhaps an empty one.
func cutToken(text string) (token, rest string) {
	for i := range len(text) {
		if !isTokenByte[text[i]] {
			return text[:i], text[i:]
		}
	}
	return text, ""
}

// isTokenByte is true for the bytes of tokens.
var isTokenByte = func() (is [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
		is[c] = true
	}
	return is
}()

// cutQuoted cuts off the rest of a quoted-string (RFC 9110 section 5.6.4), from behind its
// first quote.
func cutQuoted(text string) (value, rest string, found bool) {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			return text[:i], text[i+1:], true
		case '\\':
			i++ // an escaped quote does not end the text
		}
	}
	return "", "", false
}

func trimBlanks(text string) string { return strings.TrimLeft(text, " \t") }

// malformed must never be given anything of the credentials (rule K2).
func malformed(format string, arguments ...any) error {
	return fmt.Errorf("digest: %w: "+format, append([]any{policy.ErrMalformedCredentials}, arguments...)...)
}
