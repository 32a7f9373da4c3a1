package policyhttp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// digestHeader is what an Authorization header with Digest credentials says (RFC 7616
// section 3.4). The texts are as they were sent, since they are hashed.
type digestHeader struct {
	username, realm, nonce, uri, response string
	qop, nc, cnonce                       string
	algorithm                             string // "": not given, which means MD5
	extendedName, userhash                string // username* and userhash

	count uint32 // nc as a number; at least 1
}

// digestParameters are the parameters that mean something here. Others are ignored, as
// the RFC says.
var digestParameters = [...]struct {
	name     string
	required bool
	text     func(*digestHeader) *string
}{
	{"username", true, func(h *digestHeader) *string { return &h.username }},
	{"realm", true, func(h *digestHeader) *string { return &h.realm }},
	{"nonce", true, func(h *digestHeader) *string { return &h.nonce }},
	{"uri", true, func(h *digestHeader) *string { return &h.uri }},
	{"response", true, func(h *digestHeader) *string { return &h.response }},
	{"qop", true, func(h *digestHeader) *string { return &h.qop }},
	{"nc", true, func(h *digestHeader) *string { return &h.nc }},
	{"cnonce", true, func(h *digestHeader) *string { return &h.cnonce }},
	{"algorithm", false, func(h *digestHeader) *string { return &h.algorithm }},
	{"username*", false, func(h *digestHeader) *string { return &h.extendedName }},
	{"userhash", false, func(h *digestHeader) *string { return &h.userhash }},
}

// parseDigestHeader reads what follows the word Digest, of which the guard has checked
// the length and that there are no control characters. The errors have nothing of the
// text in them, not even the name of an unknown parameter: that is the secret, if
// somebody wrote Digest where Bearer belongs.
func parseDigestHeader(text string) (digestHeader, error) {
	var h digestHeader
	var given [len(digestParameters)]bool
	for n := 1; ; n++ {
		text = strings.TrimLeft(text, " \t,") // empty elements are ignored (RFC 9110 section 5.6.1.2)
		if text == "" {
			break
		}
		name, value, rest, err := cutDigestParameter(text)
		if err != nil {
			return digestHeader{}, malformedDigest("parameter %d %w", n, err)
		}
		text = rest
		i := digestParameter(name)
		if i < 0 {
			continue
		}
		if given[i] {
			return digestHeader{}, malformedDigest("%s is there twice; right would be once", digestParameters[i].name)
		}
		// Clients do not agree whether a text is hashed with its escapes or without, and
		// nothing that belongs in these parameters needs any.
		if strings.IndexByte(value, '\\') >= 0 {
			return digestHeader{}, malformedDigest("a backslash in %s; right would be none", digestParameters[i].name)
		}
		given[i], *digestParameters[i].text(&h) = true, value
	}
	if err := h.check(); err != nil {
		return digestHeader{}, err
	}
	return h, nil
}

// digestParameter returns the index of a parameter, -1 if it is unknown.
func digestParameter(name string) int {
	for i := range digestParameters {
		if len(name) == len(digestParameters[i].name) && strings.EqualFold(name, digestParameters[i].name) {
			return i
		}
	}
	return -1
}

// check looks for what is missing, and at the parameters of which few values are right.
func (h *digestHeader) check() error {
	for i := range digestParameters {
		if known := &digestParameters[i]; known.required && *known.text(h) == "" {
			return malformedDigest("%s is missing or empty; right would be username, realm, nonce, uri, response, qop, nc and cnonce", known.name)
		}
	}
	if h.extendedName != "" {
		return malformedDigest("username* is there; right would be username alone, since the IDs of keys are ASCII")
	}
	if h.userhash != "" && !strings.EqualFold(h.userhash, "false") {
		return malformedDigest("the user name is said to be hashed; right would be the name itself, since the challenge does not offer userhash")
	}
	if h.qop != "auth" {
		return malformedDigest("qop is not auth, which is what the challenge offers")
	}
	count, err := strconv.ParseUint(h.nc, 16, 32)
	if err != nil || len(h.nc) != 8 || count == 0 {
		return malformedDigest("nc is not a count; right would be 8 hexadecimal digits, 00000001 for the first request with a nonce")
	}
	h.count = uint32(count)
	return nil
}

// cutDigestParameter cuts the first parameter off a list: token "=" ( token /
// quoted-string ), with blanks allowed around the = (RFC 9110 section 11.2). Both forms
// are taken for every parameter because clients differ: Python requests puts algorithm
// and qop in quotes, where RFC 7616 wants none. The value of a quoted-string comes
// without its quotes and with its escapes.
func cutDigestParameter(text string) (name, value, rest string, err error) {
	const want = "; right would be name=value pairs with commas between them"
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

// cutToken cuts off the longest token (RFC 9110 section 5.6.2), which may be empty.
func cutToken(text string) (token, rest string) {
	for i := range len(text) {
		if !isTokenByte[text[i]] {
			return text[:i], text[i:]
		}
	}
	return text, ""
}

// isTokenByte has the bytes that tokens are made of.
var isTokenByte = func() (is [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
		is[c] = true
	}
	return is
}()

// cutQuoted cuts off a quoted-string (RFC 9110 section 5.6.4) of which the first quote is
// gone already.
func cutQuoted(text string) (value, rest string, found bool) {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			return text[:i], text[i+1:], true
		case '\\':
			i++ // what follows does not end the text
		}
	}
	return "", "", false
}

func trimBlanks(text string) string { return strings.TrimLeft(text, " \t") }

func malformedDigest(format string, arguments ...any) error {
	return fmt.Errorf("%w: Digest: "+format, append([]any{errMalformed}, arguments...)...)
}
