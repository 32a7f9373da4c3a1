package policyhttp

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/sallyport-go/sallyport/accesslist"
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
// admits them all: [Guard.Doctor] shows it.
//
// A trusted peer's header is believed or refused. There is no falling back to another
// header or to the peer, since a caller could choose the fallback by spoiling the header.
// The request is refused, with the reason for the operator, if the header
//
//   - is missing (a client can have one removed on the way by naming it in Connection),
//   - occurs twice,
//   - is spelled differently (X_Forwarded_For), since some servers take the two for one,
//   - contains an unparsable address,
//   - names a trusted address as the client.
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
	trusted    accesslist.List
	unixSocket bool
	err        error
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
// whatever the caller sent.
func FromHeader(name string, peers ...netip.Prefix) ClientAddress {
	a := ClientAddress{topology: fromHeader, name: http.CanonicalHeaderKey(name), origin: policy.OriginHeader}
	a.trust(peers)
	switch {
	case name == "" || strings.ContainsFunc(name, func(c rune) bool { return !alphanumeric(c) && c != '-' }):
		a.err = fmt.Errorf("policyhttp: %s is not a header to take an address from: want a name of letters, digits and hyphens, such as CF-Connecting-IP", cut(name))
	case a.name == XForwardedFor.String() || a.name == Forwarded.String():
		a.err = fmt.Errorf("policyhttp: %s is a list, and FromHeader reads a single address: want FromTrustedProxies or FromHops", a.name)
	case slices.Contains([]string{"Authorization", "Proxy-Authorization", "Cookie"}, a.name):
		// An unparsable address is quoted for the operator, and this is a secret.
		a.err = fmt.Errorf("policyhttp: %s does not hold an address: want a header that the edge sets, such as CF-Connecting-IP", a.name)
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

// trust compiles the prefixes. A doubled block is no mistake: such lists are often put
// together from several.
func (a *ClientAddress) trust(prefixes []netip.Prefix) {
	var entries []accesslist.Entry
	var errs []error
	for i, prefix := range prefixes {
		entry, err := accesslist.Parser{AllowIPv6: true}.NewEntry(prefix)
		switch {
		case err != nil:
			errs = append(errs, err)
		case prefix.Bits() == 0:
			errs = append(errs, fmt.Errorf("%q trusts every address to set the header: want the blocks that the proxies connect from", prefix))
		case !slices.Contains(prefixes[:i], prefix):
			entries = append(entries, entry)
		}
	}
	// Whole and distinct entries give no error, and without entries the list covers nobody:
	// see check.
	a.trusted, _ = accesslist.List{}.With(entries...)
	if len(errs) > 0 {
		a.err = fmt.Errorf("policyhttp: trusted addresses: %w", errors.Join(errs...))
	}
}

var (
	errUnixPeer      = errors.New("policyhttp: a Unix socket has no peer to take the address of: want WithUnixSocket on FromTrustedProxies, FromHops or FromHeader")
	errNobodyTrusted = errors.New("policyhttp: no peer is trusted to set the header, so it would never be read: want the blocks that the proxies connect from, or WithUnixSocket")
	errNoPeer        = errors.New("policyhttp: the connection is on a Unix socket, which has no peer address: want a topology that declares it WithUnixSocket")
)

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
	if a.err == nil && a.topology != fromPeer && !a.unixSocket && a.trusted.IsEmpty() {
		return errNobodyTrusted
	}
	return a.err
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
	var trusted []string
	for entry := range a.trusted.All() {
		trusted = append(trusted, entry.String())
	}
	if a.unixSocket {
		trusted = append(trusted, "connections on a Unix socket")
	}
	return where + "; trusted: " + strings.Join(trusted, ", ")
}
