package policyhttp

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/sallyport-go/sallyport/internal/plain"
)

// A ForwardingHeader is a list header. Each proxy appends the address of its own peer to
// it. The zero ForwardingHeader is invalid.
type ForwardingHeader uint8

// The forwarding headers.
const (
	// XForwardedFor is X-Forwarded-For: addresses between commas, with white space around
	// them or not. IPv6 may stand in brackets, and a port may follow IPv4 or the brackets.
	// An empty element is refused where it is reached.
	XForwardedFor ForwardingHeader = iota + 1

	// Forwarded is the header of RFC 7239. Its "for" parameters are read. Values other than
	// IP addresses, such as "unknown" and hidden names like "_proxy", name nobody and are
	// refused where they are reached, as is an empty element. A hidden port as in
	// "192.0.2.43:_port" is accepted: it hides nothing of the address.
	Forwarded
)

// String returns the name of the header in canonical form, and "forwarding header 9" for
// an invalid value.
func (h ForwardingHeader) String() string {
	switch h {
	case XForwardedFor:
		return "X-Forwarded-For"
	case Forwarded:
		return "Forwarded"
	}
	return fmt.Sprintf("forwarding header %d", uint8(h))
}

// cutLast cuts the last element off a list. rest is the text to the left of its comma, and
// more reports whether there was a comma.
//
// It goes from the right for Forwarded too, where a comma inside a quoted string does not
// count, because trusted proxies wrote the right end. From the left, a caller's quote
// without an end would swallow the elements appended by the proxies. It finds the beginning
// of a well-formed element; the fault of any other is found by address.
func (h ForwardingHeader) cutLast(list string) (element, rest string, more bool) {
	comma := strings.LastIndexByte(list, ',')
	if h == Forwarded {
		comma = lastCommaOutsideQuotes(list)
	}
	if comma < 0 {
		return list, "", false
	}
	return list[comma+1:], list[:comma], true
}

func lastCommaOutsideQuotes(list string) int {
	quoted := false
	for i := len(list) - 1; i >= 0; i-- {
		switch {
		case list[i] == '"' && !(quoted && endsInEscape(list[:i])):
			quoted = !quoted
		case list[i] == ',' && !quoted:
			return i
		}
	}
	return -1
}

// endsInEscape reports whether the text ends in an unescaped backslash.
func endsInEscape(text string) bool {
	return (len(text)-len(strings.TrimRight(text, `\`)))%2 == 1
}

// address reads an element. text is the address as it was written, for the operator. Of
// Forwarded it is the "for" parameter only: another one may be a secret between proxies.
func (h ForwardingHeader) address(element string, port portUse) (text string, addr netip.Addr, err error) {
	text = strings.Trim(element, " \t")
	allowed := isPort
	if h == Forwarded {
		if text, err = forParameter(text); err != nil {
			return "", netip.Addr{}, err
		}
		allowed = isNodePort
	}
	if port == portNever {
		allowed = noPort
	}
	var ok bool
	if h == XForwardedFor && strings.Count(text, ":") > 1 && text[0] != '[' {
		addr, err = netip.ParseAddr(text)
		ok = err == nil
	} else {
		addr, ok = parseNode(text, allowed)
	}
	if !ok || !usable(addr) {
		return text, netip.Addr{}, fmt.Errorf(`is %s: want an IP address without a zone, such as "192.0.2.1", "192.0.2.1:4711" or "[2001:db8::1]:4711"`, plain.Quote(text))
	}
	if port == portUnknown && isAmbiguous(text, addr) {
		return text, netip.Addr{}, fmt.Errorf("is %s%w", plain.Quote(text), errAmbiguousElement)
	}
	return text, addr.Unmap(), nil
}

// parseNode reads an IPv4 address, or IPv6 in brackets, with a port or without: the nodes
// of RFC 7239 section 6 with an address.
func parseNode(node string, isPort func(string) bool) (netip.Addr, bool) {
	host, port, hasPort := node, "", false
	inBrackets := strings.HasPrefix(node, "[")
	if inBrackets {
		var closed bool
		if host, port, closed = strings.Cut(node[1:], "]"); !closed {
			return netip.Addr{}, false
		}
		if port != "" {
			if port[0] != ':' {
				return netip.Addr{}, false
			}
			port, hasPort = port[1:], true
		}
	} else {
		host, port, hasPort = strings.Cut(node, ":")
	}
	if hasPort && !isPort(port) {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(host)
	return addr, err == nil && addr.Is6() == inBrackets
}

// Nothing of an unreadable element is quoted: any part of it may be another parameter than
// "for".
var (
	errPairs    = errors.New(`is not a list of parameters: want name=value, separated by ";" without white space (RFC 7239 section 4)`)
	errQuotes   = errors.New(`has a quoted value without an end or with a control character: want a quoted-string (RFC 9110 section 5.6.4)`)
	errForTwice = errors.New(`has the parameter "for" twice: want it once (RFC 7239 section 4)`)
	errNoFor    = errors.New(`has no parameter "for": want a proxy that adds its peer's address`)
)

// forParameter returns the value of the "for" parameter of an element, without quotes and
// escapes.
func forParameter(element string) (string, error) {
	node, found := "", false
	for rest := element; rest != ""; {
		if rest[0] == ';' { // RFC 7239 section 4 allows a pair to be left out
			rest = rest[1:]
			continue
		}
		name, value, _ := strings.Cut(rest, "=")
		if name == "" || strings.ContainsFunc(name, func(c rune) bool { return !isToken(c) }) {
			return "", errPairs
		}
		value, after, err := cutValue(value)
		if err != nil {
			return "", err
		}
		if after != "" && after[0] != ';' {
			return "", errPairs
		}
		rest = after
		if !strings.EqualFold(name, "for") {
			continue
		}
		if found {
			return "", errForTwice
		}
		node, found = unescape(value), true
	}
	if !found {
		return "", errNoFor
	}
	return node, nil
}

// cutValue cuts the value of a parameter off the front of a text: a token, or a quoted text
// with its escapes. A token may have the three signs of an address with a port. RFC 7239
// section 6 wants these in quotes, but they have no other meaning here.
func cutValue(text string) (value, rest string, err error) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexFunc(text, func(c rune) bool { return !isToken(c) && c != ':' && c != '[' && c != ']' })
		if end < 0 {
			end = len(text)
		}
		if end == 0 {
			return "", "", errPairs
		}
		return text[:end], text[end:], nil
	}
	for i := 1; i < len(text); i++ {
		if text[i] == '"' {
			return text[1:i], text[i+1:], nil
		}
		if text[i] == '\\' {
			i++
		}
		if i == len(text) || text[i] < ' ' && text[i] != '\t' || text[i] == 0x7f {
			break
		}
	}
	return "", "", errQuotes
}

// unescape undoes the escapes of what was between quotes (RFC 9110 section 5.6.4).
func unescape(text string) string {
	if strings.IndexByte(text, '\\') < 0 {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' {
			i++ // cutValue made sure of a following character
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// isToken reports whether c may be in a token (RFC 9110 section 5.6.2).
func isToken(c rune) bool { return c < 0x80 && classes[c]&tokens != 0 }
