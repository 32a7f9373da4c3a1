package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
)

// A clientField says which field of a line is the client: the value of -client.
type clientField uint8

const (
	// autoField is the first field, or the second if the first is a virtual host.
	autoField clientField = iota
	firstField
	secondField

	// forwardedField is the last address of a list after the agent, in quotes: the client
	// as the nearest proxy saw it.
	forwardedField
)

var clientFields = [...]string{"auto", "first", "second", "forwarded"}

func (f clientField) String() string { return clientFields[f] }

// MarshalText implements [encoding.TextMarshaler].
func (f clientField) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *clientField) UnmarshalText(text []byte) error {
	for i, name := range clientFields {
		if name == string(text) {
			*f = clientField(i)
			return nil
		}
	}
	return errors.New("want auto, first, second or forwarded")
}

// A clientAddress is the address in a field.
type clientAddress struct {
	netip.Addr
	port bool // a port stood behind it

	// end is set for IPv6 without brackets whose last group may be a port: 2001:db8::1:443.
	end bool
}

// maxAddr is longer than any address with its port. It keeps a megabyte of garbage from
// being parsed as one.
const maxAddr = 64

// client reads the client from the fields before ident and user, and returns the rest of
// the line. With -client forwarded it finds the proxy, if that has an address, and
// readForwarded puts the client in its place.
func (p *lineParser) client(line []byte, r *record) (rest []byte, err error) {
	first, rest, _ := bytes.Cut(line, space)
	if p.field != firstField && len(first) > 0 && len(rest) > 0 && rest[0] != '-' { // ident is nearly always "-"
		second, after, _ := bytes.Cut(rest, space)
		addr, ok := p.clients.parse(second)
		switch {
		case ok && p.field == autoField && !isVirtualHost(first):
			return nil, fmt.Errorf("%s and %s before ident and user: want a virtual host and the client there, or -client first or second", excerpt(first), excerpt(second))
		case ok:
			r.client, r.second = addr, true
			return after, nil
		}
	}
	addr, ok := p.clients.parse(first)
	switch {
	case p.field == secondField:
		return nil, fmt.Errorf("no address in the second field of %s: want the client there, or a log without -client second", excerpt(line))
	case !ok && p.field != forwardedField:
		return nil, fmt.Errorf("the client %s is not an address: want IPv4 or IPv6 in the first field (for host names: HostnameLookups Off in Apache)", excerpt(first))
	}
	r.client = addr
	return rest, nil
}

var space = []byte(" ")

// isVirtualHost reports whether b is a name, with or without a port, or an address with a
// port. An address without a port is none: it may be the client, and what follows a proxy.
func isVirtualHost(b []byte) bool {
	name := b
	if i := bytes.LastIndexByte(b, ':'); i >= 0 && isPort(b[i+1:]) {
		name = b[:i]
		if _, ok := parseIPv4(name); ok {
			return true
		}
		if len(name) > 2 && name[0] == '[' {
			_, err := netip.ParseAddr(string(name[1 : len(name)-1]))
			return err == nil && name[len(name)-1] == ']'
		}
	}
	letters := 0
	for _, c := range name {
		switch {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_': // nginx's name for any host
			letters++
		case !isDigit(c) && c != '.' && c != '-':
			return false
		}
	}
	return letters > 0
}

// readForwarded reads the forwarded addresses from the fields after the agent: the field in
// quotes with nothing but addresses. Others than -client forwarded take a list with ports
// for something else, since servers write their upstreams so.
//
// -client forwarded wants one such field, and in the same place in each line: the caller may
// have written another one, such as the host.
func (p *lineParser) readForwarded(extra []byte, r *record) error {
	absent := false // the field is there, and empty
	lists, place := 0, 0
	for n := 1; len(extra) > 1 && extra[0] == ' '; {
		field := extra[1:]
		if field[0] != '"' {
			extra = field[max(0, bytes.IndexByte(field, ' ')):]
			continue
		}
		rest, ok := skipQuoted(field)
		if !ok {
			break
		}
		text := field[1 : len(field)-len(rest)-1]
		absent = absent || string(text) == "-" && (p.place == 0 || p.place == n)
		if p.readList(text, r) {
			lists, place = lists+1, n
		}
		extra = rest
		n++
	}
	if p.field != forwardedField {
		return nil
	}
	switch {
	case lists > 1:
		return errors.New("several fields of addresses after the agent: want the header X-Forwarded-For there, and no other field of addresses")
	case lists == 1 && p.place != 0 && p.place != place:
		return errors.New("addresses after the agent in another field than in the lines before: want the header X-Forwarded-For there, and no other field of addresses")
	case lists == 1:
		p.place = place
		r.client, r.passedOn = clientAddress{Addr: r.forwarded}, true
		return nil
	case absent:
		return errUnforwarded
	}
	return errors.New(`no forwarded address after the agent: want the header X-Forwarded-For there, in quotes, and "-" if there is none`)
}

// errUnforwarded is returned for a line that has "-" for the forwarded addresses: a request
// that came past the proxy, or from it.
var errUnforwarded = errors.New("no forwarded address")

// readList reads a comma-separated list of addresses. It is false, and leaves the record as
// it is, if the text is something else.
func (p *lineParser) readList(text []byte, r *record) bool {
	last, passedOn := netip.Addr{}, false
	for more := len(text) > 0; more; {
		var item []byte
		item, text, more = bytes.Cut(text, []byte(","))
		addr, ok := p.forwarded.parse(bytes.Trim(item, " "))
		if !ok || addr.port && p.field != forwardedField {
			return false
		}
		last = addr.Addr
		passedOn = passedOn || last.Unmap() == r.client.Unmap()
	}
	if !last.IsValid() {
		return false
	}
	r.forwarded, r.passedOn = last, passedOn || r.passedOn
	return true
}

// An addressCache parses addresses and keeps the last one that is not plain IPv4.
type addressCache struct {
	text []byte
	addr clientAddress
}

// parse reads an address: IPv4 or IPv6, with a port or without. A port behind IPv6 needs
// brackets, in which IPv6 may also stand without one.
//
// It parses IPv4, the common case, by itself: netip.ParseAddr takes a string, and that
// would allocate for each line.
func (c *addressCache) parse(b []byte) (clientAddress, bool) {
	if addr, ok := parseIPv4(b); ok {
		return clientAddress{Addr: addr}, true
	}
	colon := bytes.LastIndexByte(b, ':')
	if colon < 0 || len(b) > maxAddr {
		return clientAddress{}, false
	}
	if string(b) == string(c.text) {
		return c.addr, true
	}
	if addr, ok := parseIPv4(b[:colon]); ok {
		return clientAddress{Addr: addr, port: true}, isPort(b[colon+1:])
	}
	addr, ok := parseIPv6(string(b), colon)
	if ok {
		c.text, c.addr = append(c.text[:0], b...), addr
	}
	return addr, ok
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

func isPort(b []byte) bool {
	if len(b) == 0 || len(b) > 5 {
		return false
	}
	for _, c := range b {
		if !isDigit(c) {
			return false
		}
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
