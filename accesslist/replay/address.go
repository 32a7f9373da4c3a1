package replay

import (
	"bytes"
	"net/netip"
)

// maxAddr is longer than any address with its port. It keeps a megabyte of garbage from
// being parsed as one.
const maxAddr = 64

// An addressCache parses addresses and keeps the last ones that are not plain IPv4: the
// parser of net/netip takes a string, and that would allocate for each line.
type addressCache struct {
	kept [64]keptAddress
}

type keptAddress struct {
	text []byte
	addr clientAddress
}

// place returns where an address is kept.
func (c *addressCache) place(b []byte) *keptAddress {
	var hash uint32
	for _, x := range b {
		hash = hash*31 + uint32(x)
	}
	return &c.kept[hash%uint32(len(c.kept))]
}

// parse reads an address: IPv4 or IPv6, with a port or without. A port behind IPv6 needs
// brackets, in which IPv6 may also stand without one.
func (c *addressCache) parse(b []byte) (clientAddress, bool) {
	if addr, ok := parseIPv4(b); ok {
		return clientAddress{Addr: addr}, true
	}
	colon := bytes.LastIndexByte(b, ':')
	if colon < 0 || len(b) > maxAddr {
		return clientAddress{}, false
	}
	if addr, ok := parseIPv4(b[:colon]); ok {
		return clientAddress{Addr: addr, port: true}, isPort(b[colon+1:])
	}
	kept := c.place(b)
	if string(b) == string(kept.text) {
		return kept.addr, true
	}
	if !mayBeIPv6(b) {
		return clientAddress{}, false
	}
	addr, ok := parseIPv6(string(b), colon)
	if ok {
		kept.text, kept.addr = append(kept.text[:0], b...), addr
	}
	return addr, ok
}

// parseWithPort reads an address that ends in a port, IPv6 with brackets or without.
func (c *addressCache) parseWithPort(b []byte) (netip.Addr, bool) {
	colon := bytes.LastIndexByte(b, ':')
	if colon < 1 || !isPort(b[colon+1:]) {
		return netip.Addr{}, false
	}
	if b[0] == '[' {
		addr, ok := c.parse(b)
		return addr.Addr, ok && addr.port
	}
	addr, ok := c.parse(b[:colon])
	return addr.Addr, ok && !addr.port
}

// parseIPv6 reads IPv6 with its last colon.
func parseIPv6(s string, colon int) (clientAddress, bool) {
	if s[0] != '[' {
		addr, err := netip.ParseAddr(s)
		end := err == nil && isPort([]byte(s[colon+1:])) && s[colon-1] != ':'
		if end {
			_, err := netip.ParseAddr(s[:colon])
			end = err == nil
		}
		return clientAddress{Addr: addr, end: end}, err == nil
	}
	port := s[len(s)-1] != ']'
	inner := s[1 : len(s)-1]
	if port {
		if s[colon-1] != ']' || !isPort([]byte(s[colon+1:])) {
			return clientAddress{}, false
		}
		inner = s[1 : colon-1]
	}
	addr, err := netip.ParseAddr(inner)
	return clientAddress{Addr: addr, port: port}, err == nil && addr.Is6()
}

// mayBeIPv6 tells most other texts apart without an allocation.
func mayBeIPv6(b []byte) bool {
	for _, c := range b {
		switch {
		case c == '%': // a zone follows
			return true
		case !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') && c != ':' && c != '.' && c != '[' && c != ']':
			return false
		}
	}
	return true
}

func isPort(b []byte) bool {
	if len(b) == 0 || len(b) > 5 || !isNumber(b) {
		return false
	}
	return number(b) <= 65535
}

// parseIPv4 accepts the same IPv4 texts as netip.ParseAddr.
func parseIPv4(b []byte) (netip.Addr, bool) {
	var octets [4]byte
	octet, value, digits := 0, 0, 0
	for _, c := range b {
		switch {
		case isDigit(c):
			if digits > 0 && value == 0 {
				return netip.Addr{}, false // a leading zero
			}
			value = value*10 + int(c-'0')
			digits++
			if value > 255 {
				return netip.Addr{}, false
			}
		case c == '.' && digits > 0 && octet < 3:
			octets[octet] = byte(value)
			octet, value, digits = octet+1, 0, 0
		default:
			return netip.Addr{}, false
		}
	}
	octets[3] = byte(value)
	return netip.AddrFrom4(octets), octet == 3 && digits > 0
}

// number returns the value of a few digits.
func number(digits []byte) (n int) {
	for _, c := range digits {
		n = n*10 + int(c-'0')
	}
	return n
}

// isNumber reports whether b has digits only; it is true for no byte at all.
func isNumber(b []byte) bool {
	for _, c := range b {
		if !isDigit(c) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
