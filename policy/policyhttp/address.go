package policyhttp

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/policy"
)

// ClientAddress declares where a client's address is found: one topology, made by
// [FromTrustedProxies], [FromHops] or [FromHeader]. It is a small value to copy and share.
// The zero ClientAddress is the peer of the connection: no header is ever read.
//
// A declared header is read only if the peer of the connection is trusted. Any other peer
// is itself the client, whatever headers it sends: it can choose everything but its
// address. So a caller gains nothing by going around the proxies. But a proxy missing from
// the declaration is taken for every client behind it, and an access list covering it
// admits them all. [Guard.Doctor] shows it. A denial by address shows it, too: its kind is
// possible_proxy if an unread header of the known ones names another address than the client
// and the trusted proxies, or if the list has addresses left of the client. Callers can send
// these headers as well: declare a proxy of your own, and no stranger.
//
// # Refusals
//
// A trusted peer's header is believed or refused. There is no falling back to another
// header or to the peer, since a caller could choose the fallback by spoiling the header.
// The request is refused, with the reason and the peer for the operator, if the header
//
//   - is missing (a client can have one removed on the way by naming it in Connection),
//   - occurs twice,
//   - is spelled differently (X_Forwarded_For), since some servers take the two for one,
//   - contains an unparsable address, or an empty element,
//   - contains an IPv6 address that may be another one and a port (see below),
//   - names a trusted address as the client,
//   - names a client in 240.0.0.0/4. No client is there: Cloudflare's Pseudo IPv4 makes
//     such an address up from an IPv6 one. Turn it off, or set it to Add Header.
//
// The error wraps [policy.ErrUnknownClient], and the answer is 503: the proxy or the
// declaration is at fault, no honest caller can repair it, and the operator must hear of
// it. Only another spelling is the caller's own text, behind well-configured proxies as
// well, and is answered with 400. A caller can cause the 503 at will where a proxy passes
// its headers on; that proxy needs the repair. So that an alarm tells it from a failed
// source, such a decision is of the kind unknown_client.
//
// An empty element ("192.0.2.1, , 10.0.0.2") may stand for a peer that a proxy could not
// name. Left of it may be the caller's own text, so it is not skipped, although RFC 9110
// section 5.6.1 has empty elements ignored.
//
// Addresses to the left of the client in a list are not parsed. Undeclared headers are
// ignored: every client can add one, and proxies pass on unknown headers.
//
// Two lines of a list header are refused, although RFC 9110 section 5.3 has them read as
// one list. Some proxies append to the first line and pass the second on; then the second
// is the caller's, and would be read first. HAProxy's "option forwardfor" adds a line
// instead of appending to the caller's, so have it delete the caller's before:
// "http-request del-header x-forwarded-for".
//
// # Ports
//
// Some proxies write a port behind an IPv6 address without brackets. "2001:db8::1:4653" is
// the host 2001:db8::1 then, and by itself a host of a neighbouring network. Such a text is
// refused in X-Forwarded-For, and in a header of FromHeader unless the header is known to
// have no port. It is ambiguous if
//
//   - it has no brackets,
//   - its last group is a decimal number from 1 to 9999 without leading zeros,
//   - the text before the last colon is an IPv6 address by itself, so "::" is in it.
//
// No address in full, no "2001:db8::1" and no "2001:db8::5:a1" is refused. Some honest
// callers are, such as 2001:db8::5:1. A declaration ends the doubt:
// [ClientAddress.WithoutPort] for no ports, [ClientAddress.WithPort] for a port always.
// Forwarded has brackets around IPv6 and needs neither.
//
// # Connections
//
// A connection on a Unix socket has no peer address, whatever RemoteAddr says: the caller
// chooses the name of its own end. It is refused unless [ClientAddress.WithUnixSocket]
// declares the proxy behind it.
//
// The PROXY protocol needs no header: its listener gives connections the client's address
// as their RemoteAddr, the peer here. Have it take the protocol from the load balancer's
// addresses only.
//
// The peer is Request.RemoteAddr. Middleware before the guard must not rewrite it from a
// header. Most such middleware leaves an address without a port there, and the request is
// refused.
type ClientAddress struct {
	topology   topology
	list       ForwardingHeader // of FromTrustedProxies and FromHops
	name       string           // the header's, in canonical form
	origin     policy.ClientOrigin
	hops       int
	trusted    *TrustedBlocks
	port       portUse
	unixSocket bool
	err        error // a mistake in the declaration
	portErr    error // one that WithPort or WithoutPort repairs
}

type topology uint8

const (
	fromPeer topology = iota
	fromTrustedProxies
	fromHops
	fromHeader
)

// FromTrustedProxies reads the list of a header from right to left, and takes the first
// address outside of the trusted prefixes. It is the choice for proxies with known
// addresses.
//
// If all are covered the call is refused, since a proxy is not a client. So name the
// proxies' own addresses, and not a whole network with clients in it.
func FromTrustedProxies(header ForwardingHeader, trusted ...netip.Prefix) ClientAddress {
	return fromList(fromTrustedProxies, header, 1, trusted)
}

// FromHops reads the list of a header and takes the hops-th address from the right. Each
// proxy appends the address of its own peer: 1 is the one appended by the peer, 2 the one
// appended by the proxy before the peer. It is the choice for a known number of proxies
// between unknown addresses.
//
// The number must be exact for every way into the service. If it is too small, the client
// is one of the proxies; if it is too large, the client is whatever the caller wrote.
func FromHops(header ForwardingHeader, hops int, peers ...netip.Prefix) ClientAddress {
	return fromList(fromHops, header, hops, peers)
}

// FromHeader takes the one address in a header, such as CF-Connecting-IP or X-Real-IP. It
// is the choice for an edge that overwrites the header with the address of its own peer,
// whatever the caller sent. The page [headers.md] lists the headers of common edges. [New]
// refuses those that are the caller's word, with the right one in the error.
//
// [headers.md]: https://github.com/sallyport-go/sallyport/blob/main/policy/policyhttp/headers.md
func FromHeader(name string, peers ...netip.Prefix) ClientAddress {
	a := ClientAddress{topology: fromHeader, name: http.CanonicalHeaderKey(name), origin: policy.OriginHeader}
	a.trust(peers)
	known := addressHeaderOf(a.name)
	switch {
	case name == "" || strings.ContainsFunc(name, func(c rune) bool { return !alphanumeric(c) && c != '-' }):
		a.err = fmt.Errorf("policyhttp: %s is not a header to take an address from: want a name of letters, digits and hyphens, such as CF-Connecting-IP", plain.Quote(name))
	case holdsSecret(a.name):
		// An unparsable address is quoted for the operator, and this is a secret.
		a.err = fmt.Errorf("policyhttp: %s does not hold an address: want a header that the edge sets, such as CF-Connecting-IP", a.name)
	case known.refusal() != nil:
		a.err = known.refusal()
	case known != nil && known.port == portAlways:
		a.portErr = errNeedsPort(known)
	case known != nil:
		a.port = known.port
	}
	return a
}

func fromList(topology topology, header ForwardingHeader, hops int, trusted []netip.Prefix) ClientAddress {
	a := ClientAddress{topology: topology, list: header, name: header.String(), hops: hops, origin: policy.OriginXForwardedFor}
	a.trust(trusted)
	switch {
	case header == Forwarded:
		a.origin = policy.OriginForwarded
	case header != XForwardedFor:
		a.err = fmt.Errorf("policyhttp: %v is unknown: want XForwardedFor or Forwarded", header)
	}
	if hops < 1 {
		a.err = fmt.Errorf("policyhttp: %d hops: want 1 or more, counted from the right end of the list", hops)
	}
	return a
}

// trust sets the fixed blocks of a constructor.
func (a *ClientAddress) trust(blocks []netip.Prefix) {
	list, err := compileTrusted(blocks)
	a.trusted, a.err = new(TrustedBlocks), err
	if !list.IsEmpty() {
		a.trusted.list.Store(&list)
	}
}

var (
	errUnixPeer      = errors.New("policyhttp: a Unix socket has no peer to take the address of: want WithUnixSocket on FromTrustedProxies, FromHops or FromHeader")
	errNobodyTrusted = errors.New("policyhttp: no peer is trusted to set the header, so it would never be read: want the blocks that the proxies connect from, or WithUnixSocket")
	errNoPeer        = errors.New("policyhttp: the connection is on a Unix socket, which has no peer address: want a topology that declares it WithUnixSocket")
)

// WithTrusted returns the topology with blocks that can be changed while the guard is in
// use, in place of the blocks of the constructor: give that none.
func (a ClientAddress) WithTrusted(blocks *TrustedBlocks) ClientAddress {
	switch {
	case a.err != nil:
	case a.topology == fromPeer:
		a.err = errTrustedPeer
	case !a.trusted.load().IsEmpty():
		a.err = errTrustedTwice
	case blocks == nil:
		a.err = errNilTrusted
	default:
		a.trusted = blocks
	}
	return a
}

var (
	errTrustedPeer  = errors.New("policyhttp: the peer is the client, so nobody is trusted: want WithTrusted on FromTrustedProxies, FromHops or FromHeader")
	errTrustedTwice = errors.New("policyhttp: the trusted blocks are given twice: want WithTrusted on a topology without blocks of its own")
)

// WithPort declares that the header of [FromHeader] always has a port behind the address.
// The text behind the last colon is the port, 1 to 65535, and is required; the text before
// it is the address, of IPv6 with brackets or without. [New] refuses a header known to
// have a port, such as CloudFront-Viewer-Address, without this declaration.
func (a ClientAddress) WithPort() ClientAddress { return a.withPort(portAlways) }

// WithoutPort declares that no address in the header of [FromHeader], or in
// X-Forwarded-For, has a port. An address with one is refused, and every IPv6 text is the
// address that it says. See [ClientAddress] for the texts that are refused without it.
func (a ClientAddress) WithoutPort() ClientAddress { return a.withPort(portNever) }

func (a ClientAddress) withPort(port portUse) ClientAddress {
	a.port, a.portErr = port, nil
	known := addressHeaderOf(a.name)
	switch {
	case a.topology == fromPeer:
		a.portErr = errors.New("policyhttp: the peer always has a port: want WithPort and WithoutPort on FromHeader")
	case a.list != 0 && port == portAlways:
		a.portErr = fmt.Errorf("policyhttp: each proxy of %s decides about a port: want WithPort on FromHeader only", a.name)
	case a.list == Forwarded:
		a.portErr = errors.New("policyhttp: the brackets of Forwarded tell a port from an address: want WithoutPort on X-Forwarded-For or FromHeader only")
	case a.list != 0 || known == nil || known.port == portUnknown || known.port == port:
	case known.port == portAlways:
		a.portErr = errNeedsPort(known)
	default:
		a.portErr = fmt.Errorf("policyhttp: %s never has a port (%s): want no WithPort", known.name, known.source)
	}
	return a
}

func errNeedsPort(known *addressHeader) error {
	return fmt.Errorf("policyhttp: %s has a port behind the address (%s): want WithPort", known.name, known.source)
}

// WithUnixSocket returns the topology with connections on a Unix socket trusted like a peer
// of a trusted address. Only the proxy may be able to connect to the socket: restrict the
// permissions of its file.
func (a ClientAddress) WithUnixSocket() ClientAddress {
	a.unixSocket = true
	if a.topology == fromPeer && a.err == nil {
		a.err = errUnixPeer
	}
	return a
}

// Err returns why the topology cannot be used, or nil. [New] returns it.
func (a ClientAddress) Err() error { return a.check() }

func (a *ClientAddress) check() error {
	switch {
	case a.err != nil:
		return a.err
	case a.portErr != nil:
		return a.portErr
	case a.topology != fromPeer && !a.unixSocket && a.trusted.load().IsEmpty():
		return errNobodyTrusted
	}
	return nil
}

// String describes the topology, for a log or an operator.
func (a ClientAddress) String() string {
	if err := a.check(); err != nil {
		return "none: " + err.Error()
	}
	var where string
	switch a.topology {
	case fromPeer:
		return "the peer of the connection; no header is read"
	case fromTrustedProxies:
		where = "the first address from the right of " + a.name + " that is not trusted"
	case fromHops:
		where = fmt.Sprintf("address %d from the right of %s", a.hops, a.name)
	case fromHeader:
		where = "the address in " + a.name
	}
	if a.port == portAlways {
		where += ", with a port"
	}
	trusted := trustedSet{a.trusted.load()}
	text := trusted.describe()
	switch {
	case a.unixSocket && text == "":
		text = "connections on a Unix socket"
	case a.unixSocket:
		text += ", connections on a Unix socket"
	}
	return where + "; trusted: " + text
}

// holdsSecret reports whether a header holds credentials, and so is never to be quoted or
// logged.
func holdsSecret(canonical string) bool {
	return canonical == authorization || canonical == "Proxy-Authorization" || canonical == "Cookie"
}
