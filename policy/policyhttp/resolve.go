package policyhttp

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/policy"
)

// Resolve returns the client's address and where it was found. It is for servers without
// an http.Request; a [Guard] calls it by itself.
//
// remote is the peer, as in Request.RemoteAddr: an address and a port, or for a Unix socket
// "", "@" or a path beginning with a slash. The keys of header are canonical, as of
// http.CanonicalHeaderKey; any other is taken for another spelling and refused.
//
// The address is valid, IPv4 if it was IPv4-mapped IPv6 (rule A5), and has no zone. With an
// error it is the zero Addr and from is OriginUnknown. The error names the problem, the
// repair and the peer. It quotes the header: it is for the operator. It wraps
// [policy.ErrUnknownClient], unless the caller is at fault; see [ClientAddress].
func (a ClientAddress) Resolve(remote string, header http.Header) (client netip.Addr, from policy.ClientOrigin, err error) {
	r := a.reading(nil)
	return r.resolve(remote, header)
}

// A judgement is the verdict on one address of a header.
type judgement struct{ text, verdict string }

// A reading is the reading of one request: a topology with the trusted blocks of one
// moment.
type reading struct {
	*ClientAddress
	trusted trustedSet
	seen    *[]judgement // nil, or where judgements are added
}

func (a *ClientAddress) reading(seen *[]judgement) reading {
	return reading{a, trustedSet{a.trusted.load()}, seen}
}

// resolve is Resolve.
func (r *reading) resolve(remote string, header http.Header) (netip.Addr, policy.ClientOrigin, error) {
	if err := r.check(); err != nil {
		return netip.Addr{}, policy.OriginUnknown, &clientError{err, ""}
	}
	peer, unix, err := parsePeer(remote)
	switch {
	case err != nil:
		return netip.Addr{}, policy.OriginUnknown, &clientError{err, ""}
	case !r.trusts(peer, unix):
		if unix {
			return netip.Addr{}, policy.OriginUnknown, &clientError{errNoPeer, ""}
		}
		return peer, policy.OriginPeer, nil
	}
	if err := r.alias(header); err != nil {
		return netip.Addr{}, policy.OriginUnknown, fmt.Errorf("%w (peer %s)", err, peerName(peer, unix))
	}
	value, err := r.value(header)
	if err != nil {
		return netip.Addr{}, policy.OriginUnknown, &clientError{err, peerName(peer, unix)}
	}
	client, err := r.find(value)
	if err != nil {
		return netip.Addr{}, policy.OriginUnknown, &clientError{err, peerName(peer, unix)}
	}
	return client, r.origin, nil
}

// A clientError is a fault of a proxy or of the declaration: an honest caller cannot repair
// it, and the operator must hear of it.
type clientError struct {
	err  error
	peer string // "" if err names it
}

func (e *clientError) Error() string {
	if e.peer == "" {
		return e.err.Error()
	}
	return e.err.Error() + " (peer " + e.peer + ")"
}

func (e *clientError) Unwrap() []error { return []error{e.err, policy.ErrUnknownClient} }

func peerName(peer netip.Addr, unix bool) string {
	if unix {
		return "on a Unix socket"
	}
	return peer.String()
}

// remoteOf returns the peer for Resolve. On a Unix socket RemoteAddr is the name of the
// caller's own end, and a caller may name its file "203.0.113.7:80".
func remoteOf(r *http.Request) string {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && strings.HasPrefix(local.Network(), "unix") {
		return "@"
	}
	return r.RemoteAddr
}

// parsePeer parses the remote of Resolve.
func parsePeer(remote string) (peer netip.Addr, unix bool, err error) {
	if remote == "" || remote[0] == '@' || remote[0] == '/' {
		return netip.Addr{}, true, nil
	}
	parsed, err := netip.ParseAddrPort(remote)
	if err != nil || !usable(parsed.Addr()) {
		return netip.Addr{}, false, fmt.Errorf("policyhttp: the peer of the connection is %s: want an address without a zone and a port, "+
			"as net/http sets RemoteAddr; middleware that rewrites it must not come before the guard", plain.Quote(remote))
	}
	return parsed.Addr().Unmap(), false, nil
}

// usable reports whether a connection can come from the address and a list can cover it.
// Ask before Unmap: it drops a zone.
func usable(addr netip.Addr) bool {
	return addr.IsValid() && addr.Zone() == "" && !addr.Unmap().IsUnspecified()
}

// trusts reports whether the peer's header is read.
func (r *reading) trusts(peer netip.Addr, unix bool) bool {
	if unix {
		return r.unixSocket
	}
	return r.trusted.covers(peer)
}

// alias returns an error for another spelling of the declared header. It is the caller's
// own text: no proxy writes one.
func (a *ClientAddress) alias(header http.Header) error {
	for name := range header {
		if len(name) == len(a.name) && name != a.name && sameName(name, a.name) {
			return fmt.Errorf("policyhttp: the request has a header %s, which some servers take for %s: want proxies that drop it", plain.Quote(name), a.name)
		}
	}
	return nil
}

// value returns the one value of the declared header.
func (a *ClientAddress) value(header http.Header) (string, error) {
	switch values := header[a.name]; len(values) {
	case 1:
		return values[0], nil
	case 0:
		return "", fmt.Errorf("policyhttp: the request of a trusted peer has no %s header: want a proxy that always sets it, whatever the caller's Connection header says", a.name)
	default:
		return "", fmt.Errorf("policyhttp: the request has %d %s headers: want one, so a proxy that deletes the caller's before it adds its own "+
			"(HAProxy: http-request del-header %s)", len(values), a.name, strings.ToLower(a.name))
	}
}

// sameName reports whether two names of equal length are the same to a server like CGI: it
// ignores case and takes one sign for another.
func sameName(a, b string) bool {
	for i := range len(a) {
		c, d := lower(a[i]), lower(b[i])
		if c != d && (alphanumeric(rune(c)) || alphanumeric(rune(d))) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func alphanumeric(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// find returns the client in the header's value.
func (r *reading) find(value string) (netip.Addr, error) {
	if r.topology != fromHeader {
		return r.walk(value)
	}
	client, err := parseSingle(value, r.port)
	switch {
	case err != nil:
		r.judge(value, "cannot be read")
		return netip.Addr{}, fmt.Errorf("policyhttp: %s is %s%w", r.name, plain.Quote(value), err)
	case r.trusted.covers(client):
		r.judge(value, "a trusted address, which cannot be the client")
		return netip.Addr{}, fmt.Errorf("policyhttp: %s is %s, which is a trusted address: want the client's, so an edge that overwrites the header", r.name, client)
	case isReserved(client):
		r.judge(value, "an address that no client has")
		return netip.Addr{}, fmt.Errorf("policyhttp: %s is %s%w", r.name, client, errReserved)
	}
	r.judge(value, "the client")
	return client, nil
}

// isReserved reports whether the address is in 240.0.0.0/4. A peer may be there, in a
// private network.
func isReserved(addr netip.Addr) bool { return addr.Is4() && addr.As4()[0] >= 240 }

var errReserved = errors.New(", and no client has an address in 240.0.0.0/4; Cloudflare's Pseudo IPv4 makes it up from an IPv6 address: want Pseudo IPv4 off, or set to Add Header")

// walk reads a list from right to left up to the client, and no further: the rest may be
// the client's own text and must have no effect.
func (r *reading) walk(list string) (netip.Addr, error) {
	rest, more := list, true
	for n := 1; more; n++ {
		var element string
		element, rest, more = r.list.cutLast(rest)
		text, addr, err := r.list.address(element, r.port)
		if err != nil {
			r.judge(text, "cannot be read")
			return netip.Addr{}, fmt.Errorf("policyhttp: %s, number %d from the right, %w", r.name, n, err)
		}
		trusted := r.trusted.covers(addr)
		switch {
		case r.topology == fromHops && n < r.hops:
			r.judge(text, "a proxy, by the number of hops")
		case r.topology == fromHops && trusted:
			r.judge(text, "a trusted address, which cannot be the client")
			return netip.Addr{}, fmt.Errorf("policyhttp: %s, number %d from the right, is %s, which is a trusted address: want the client's, so perhaps more hops", r.name, n, addr)
		case trusted:
			r.judge(text, "a trusted proxy")
		case isReserved(addr):
			r.judge(text, "an address that no client has")
			return netip.Addr{}, fmt.Errorf("policyhttp: %s, number %d from the right, is %s%w", r.name, n, addr, errReserved)
		default:
			r.judge(text, "the client")
			r.judgeRest(rest, more)
			return addr, nil
		}
	}
	if r.topology == fromHops {
		return netip.Addr{}, fmt.Errorf("policyhttp: %s has fewer than %d addresses: want that many hops, or a smaller number declared", r.name, r.hops)
	}
	return netip.Addr{}, fmt.Errorf("policyhttp: all addresses of %s are trusted: want the client's left of the proxies', and no trusted block that clients call from", r.name)
}

func (r *reading) judge(text, verdict string) {
	if r.seen != nil {
		*r.seen = append(*r.seen, judgement{text, verdict})
	}
}

// leftOfClient is the verdict on an address that is not read.
const leftOfClient = "left of the client: not looked at"

// judgeRest adds the addresses to the left of the client. The walk does not look at them,
// but after forgetting a proxy an operator finds the real client there.
func (r *reading) judgeRest(rest string, more bool) {
	const most = 10
	for n := 0; r.seen != nil && more && n < most; n++ {
		var element string
		element, rest, more = r.list.cutLast(rest)
		text, _, _ := r.list.address(element, r.port)
		r.judge(text, leftOfClient)
	}
}
