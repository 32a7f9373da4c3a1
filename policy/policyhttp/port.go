package policyhttp

import (
	"errors"
	"net/netip"
	"strings"
)

// parseSingle reads the value of FromHeader's header. The error continues a sentence after
// the value.
func parseSingle(value string, port portUse) (netip.Addr, error) {
	if port == portAlways {
		addr, ok := parseWithPort(value)
		if !ok || !usable(addr) {
			return netip.Addr{}, errNoAddressAndPort
		}
		return addr.Unmap(), nil
	}
	addr, err := netip.ParseAddr(value)
	switch {
	case err != nil || !usable(addr):
		return netip.Addr{}, errNoAddress
	case port == portUnknown && isAmbiguous(value, addr):
		return netip.Addr{}, errAmbiguous
	}
	return addr.Unmap(), nil
}

var (
	errNoAddress        = errors.New(": want one IP address without a zone and nothing else")
	errNoAddressAndPort = errors.New(`: want one IP address without a zone and a port, such as "192.0.2.1:46532", "2001:db8::1:46532" or "[2001:db8::1]:46532"`)
	errAmbiguous        = errors.New(", which may be an IPv6 address, or another one and a port: want WithPort or WithoutPort to declare which")
	errAmbiguousElement = errors.New(", which may be an IPv6 address, or another one and a port: want proxies that write brackets, or WithoutPort")
)

// parseWithPort reads an address and its port, which is behind the last colon.
func parseWithPort(text string) (netip.Addr, bool) {
	colon := strings.LastIndexByte(text, ':')
	if colon < 0 || !isPort(text[colon+1:]) || text[colon+1] == '0' {
		return netip.Addr{}, false
	}
	host := text[:colon]
	inside, inBrackets := strings.CutPrefix(host, "[")
	if inBrackets {
		if inside, inBrackets = strings.CutSuffix(inside, "]"); !inBrackets {
			return netip.Addr{}, false
		}
		host = inside
	}
	addr, err := netip.ParseAddr(host)
	return addr, err == nil && (addr.Is6() || !inBrackets)
}

// isAmbiguous reports whether an address may be another address and a port as well:
//
//   - it is IPv6 without brackets,
//   - its last group is a decimal number from 1 to 9999 without leading zeros,
//   - the text before it is an IPv6 address by itself.
//
// The third is only so if "::" is farther left: an address written in full has eight groups,
// and with a port nine, and "2001:db8::1" without its last group is no address.
func isAmbiguous(text string, addr netip.Addr) bool {
	if addr.Is4() || text[0] == '[' {
		return false
	}
	colon := strings.LastIndexByte(text, ':') // not the first sign of an IPv6 address
	group := text[colon+1:]
	return isPort(group) && group[0] != '0' && text[colon-1] != ':' && strings.Contains(text[:colon], "::")
}

// isPort reports whether the text is 1 to 5 digits and at most 65535.
func isPort(text string) bool {
	if text == "" || len(text) > 5 {
		return false
	}
	port := 0
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return false
		}
		port = port*10 + int(c-'0')
	}
	return port <= 65535
}

// isNodePort reports whether the text is a port of RFC 7239 section 6.2: a number, or a
// hidden one such as "_port".
func isNodePort(text string) bool {
	name, hidden := strings.CutPrefix(text, "_")
	return isPort(text) || hidden && name != "" && consistsOf(name, nodePorts)
}

func noPort(string) bool { return false }
