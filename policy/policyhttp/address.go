package policyhttp

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/policy"
)

// ClientAddress says where the address of a client is to be found: one declared
// topology, made by [FromPeer], [FromTrustedProxies], [FromHops] or [FromHeader]. It is
// a small value to copy and share. The zero ClientAddress is FromPeer: the peer of the
// connection, and no header is ever read.
//
// Where a header is declared, it is read only if the peer of the connection is trusted.
// Any other peer is itself the client, whatever headers it sends, because its address is
// the one thing about it that it cannot choose. So who goes around the proxies gains
// nothing, but a proxy that was forgotten in the declaration is taken for every client
// behind it, and an access list that covers it admits them all: [Guard.Doctor] shows it.
//
// What a trusted peer sends is believed or refused; there is no falling back to another
// header or to the peer, since whoever could spoil the header would choose the fallback.
// Refused, with the reason for the operator, are a header that is missing (a client can
// have one removed on the way by naming it in Connection), one that is there twice,
// another spelling of its name (X_Forwarded_For, which some servers take for the same),
// an address in it that cannot be read, and a client that would be one of the trusted
// addresses. What is left of the client in a list is not read at all. Headers that were
// not declared are ignored: every client can add one, and proxies pass on what they do
// not know.
//
// Two lines of a list header are refused although RFC 9110 section 5.3 has them read as
// one list: of a proxy that appends to the first line and passes the second on, the second
// is the caller's, and would be read first. HAProxy's "option forwardfor" adds a line
// instead of appending to the caller's, so have it delete that before: "http-request
// del-header x-forwarded-for".
//
// A connection on a Unix socket has no peer address, whatever RemoteAddr says: the caller
// chooses the name of its own end. It is refused unless [ClientAddress.WithUnixSocket]
// declares that it comes from the proxy.
//
// With the PROXY protocol no header is needed: a listener that speaks it gives its
// connections the client's address as their RemoteAddr, which is the peer here. Have it
// take the protocol from the load balancer's addresses only.
//
// The peer is taken from Request.RemoteAddr. Nothing before the guard may rewrite that
// from a header, as some middleware does; an address without a port, which most such
// middleware leaves there, is refused.
type ClientAddress struct {
	topology   topology
	list       ForwardingHeader // of FromTrustedProxies and FromHops
	name       string           // of the header that is read, in canonical form
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

// FromPeer is the peer of the connection and nothing else. It is the zero ClientAddress.
func FromPeer() ClientAddress { return ClientAddress{} }

// FromTrustedProxies reads the list that proxies append to, from right to left, and stops
// at the first address that none of the trusted prefixes covers: that is the client. It is
// the choice for proxies whose addresses are known.
//
// If all are covered the call is refused, since a proxy is not a client. So name the
// proxies' own addresses and not a whole network that clients call from as well.
func FromTrustedProxies(header ForwardingHeader, trusted ...netip.Prefix) ClientAddress {
	return fromList(fromTrustedProxies, header, 1, trusted)
}

// FromHops reads the list that proxies append to and takes the address that is the
// hops-th from the right: 1 is what the peer appended, which is the address that
// connected to it; 2 is what the proxy before the peer appended. It is the choice where
// the addresses of the proxies in between are not known, and their number is.
//
// The number must be exact for every way into the service. If it is too small, the client
// is one of the proxies; if it is too large, the client is whatever the caller wrote.
func FromHops(header ForwardingHeader, hops int, peers ...netip.Prefix) ClientAddress {
	return fromList(fromHops, header, hops, peers)
}

// FromHeader takes the one address that is the whole value of a header, such as
// CF-Connecting-IP or X-Real-IP. It is the choice where the edge overwrites that header
// with the address that connected to it, whatever the caller sent.
func FromHeader(name string, peers ...netip.Prefix) ClientAddress {
	a := ClientAddress{topology: fromHeader, name: http.CanonicalHeaderKey(name), origin: policy.OriginHeader}
	a.trust(peers)
	switch {
	case name == "" || strings.ContainsFunc(name, func(c rune) bool { return !alphanumeric(c) && c != '-' }):
		a.err = fmt.Errorf("policyhttp: %s is not a header to take an address from: want a name of letters, digits and hyphens, such as CF-Connecting-IP", cut(name))
	case a.name == XForwardedFor.String() || a.name == Forwarded.String():
		a.err = fmt.Errorf("policyhttp: %s is a list, and FromHeader reads a single address: want FromTrustedProxies or FromHops", a.name)
	case slices.Contains([]string{"Authorization", "Proxy-Authorization", "Cookie"}, a.name):
		// What cannot be read is quoted for the operator, and this is a secret.
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
		a.err = fmt.Errorf("policyhttp: there is no %v: want XForwardedFor or Forwarded", header)
	}
	if hops < 1 {
		a.err = fmt.Errorf("policyhttp: %d hops: want 1 or more, counted from the right end of the list", hops)
	}
	return a
}

// trust compiles the prefixes. A block that is there twice is no mistake: such lists are
// often put together from several.
func (a *ClientAddress) trust(prefixes []netip.Prefix) {
	var entries []accesslist.Entry
	var errs []error
	for i, prefix := range prefixes {
		entry, err := accesslist.Parser{AllowIPv6: true}.Entry(prefix)
		switch {
		case err != nil:
			errs = append(errs, err)
		case prefix.Bits() == 0:
			errs = append(errs, fmt.Errorf("%q trusts everybody to say who they are: want the blocks that the proxies connect from", prefix))
		case !slices.Contains(prefixes[:i], prefix):
			entries = append(entries, entry)
		}
	}
	// Of entries that are whole and distinct there is no error; and beside one, the list
	// covers nobody.
	a.trusted, _ = accesslist.New(entries...)
	if len(errs) > 0 {
		a.err = fmt.Errorf("policyhttp: trusted addresses: %w", errors.Join(errs...))
	}
}

var (
	errUnixPeer      = errors.New("policyhttp: a Unix socket has no peer to take the address of: want WithUnixSocket on FromTrustedProxies, FromHops or FromHeader")
	errNobodyTrusted = errors.New("policyhttp: nobody is trusted to set the header, so it would never be read: want the blocks that the proxies connect from, or WithUnixSocket")
	errNoPeer        = errors.New("policyhttp: the connection is on a Unix socket, which has no peer address: want a topology that declares it WithUnixSocket")
)

// WithUnixSocket returns the topology with connections on a Unix socket trusted like a
// peer of a trusted address. Only for a socket that nobody but the proxy may connect to:
// give its file the permissions for that.
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

// String says the topology in words, for a log or an operator.
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

// Resolve returns the address of the client and where it was found. It is for those who
// have no http.Request, such as a gRPC server; a [Guard] calls it by itself.
//
// remote is the peer as net/http has it in Request.RemoteAddr: an address and a port, or
// for a Unix socket "", "@" or a path that begins with a slash. The keys of header are
// canonical, as http.CanonicalHeaderKey makes them; one that is not is taken for another
// spelling and refused.
//
// The address is valid, IPv4 if it was IPv4-mapped IPv6 (rule A5), and has no zone. With
// an error it is the zero Addr, from is OriginUnknown, and the error says what was wrong
// and what would be right. It quotes what the peer sent: it is for the operator.
func (a ClientAddress) Resolve(remote string, header http.Header) (client netip.Addr, from policy.ClientOrigin, err error) {
	return a.resolve(remote, header, nil)
}

// A judgement is what became of one address of a header.
type judgement struct{ text, verdict string }

// resolve is Resolve, which adds its judgements to seen unless that is nil.
func (a *ClientAddress) resolve(remote string, header http.Header, seen *[]judgement) (netip.Addr, policy.ClientOrigin, error) {
	if err := a.check(); err != nil {
		return netip.Addr{}, policy.OriginUnknown, err
	}
	peer, unix, err := parsePeer(remote)
	switch {
	case err != nil:
		return netip.Addr{}, policy.OriginUnknown, err
	case !a.trusts(peer, unix):
		if unix {
			return netip.Addr{}, policy.OriginUnknown, errNoPeer
		}
		return peer, policy.OriginPeer, nil
	}
	value, err := a.value(header)
	if err != nil {
		return netip.Addr{}, policy.OriginUnknown, err
	}
	client, err := a.find(value, seen)
	if err != nil {
		return netip.Addr{}, policy.OriginUnknown, err
	}
	return client, a.origin, nil
}

// remoteOf returns the peer as Resolve wants it. On a Unix socket RemoteAddr is the name
// that the caller gave its own end, and a file may be called "203.0.113.7:80".
func remoteOf(r *http.Request) string {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && strings.HasPrefix(local.Network(), "unix") {
		return "@"
	}
	return r.RemoteAddr
}

// parsePeer reads what Resolve calls remote.
func parsePeer(remote string) (peer netip.Addr, unix bool, err error) {
	if remote == "" || remote[0] == '@' || remote[0] == '/' {
		return netip.Addr{}, true, nil
	}
	parsed, err := netip.ParseAddrPort(remote)
	if err != nil || !usable(parsed.Addr()) {
		return netip.Addr{}, false, fmt.Errorf("policyhttp: the peer of the connection is %s: want an address without a zone and a port, "+
			"as net/http sets RemoteAddr; middleware that rewrites it must not come before the guard", cut(remote))
	}
	return parsed.Addr().Unmap(), false, nil
}

// usable reports whether a connection can come from the address and a list can cover it.
// It must be asked before Unmap, which drops a zone.
func usable(addr netip.Addr) bool {
	return addr.IsValid() && addr.Zone() == "" && !addr.Unmap().IsUnspecified()
}

// trusts reports whether the peer may say who the client is.
func (a *ClientAddress) trusts(peer netip.Addr, unix bool) bool {
	if unix {
		return a.unixSocket
	}
	return a.covers(peer)
}

// covers reports whether the address is a trusted one. No entry of the list expires, so
// it does not matter when.
func (a *ClientAddress) covers(addr netip.Addr) bool { return a.trusted.Contains(addr, time.Time{}) }

// value returns the one value of the declared header.
func (a *ClientAddress) value(header http.Header) (string, error) {
	for name := range header {
		if len(name) == len(a.name) && name != a.name && sameName(name, a.name) {
			return "", fmt.Errorf("policyhttp: the request has a header %s, which some servers take for %s: want proxies that drop it", cut(name), a.name)
		}
	}
	switch values := header[a.name]; len(values) {
	case 1:
		return values[0], nil
	case 0:
		return "", fmt.Errorf("policyhttp: the request of a trusted peer has no %s header: want a proxy that always sets it, and no caller who can have it removed", a.name)
	default:
		return "", fmt.Errorf("policyhttp: the request has %d %s headers: want one, so a proxy that deletes the caller's before it adds its own "+
			"(HAProxy: http-request del-header %s)", len(values), a.name, strings.ToLower(a.name))
	}
}

// sameName reports whether two names of equal length are one to a server that, like CGI,
// tells neither case nor one sign from another.
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

// find returns the client that the value of the header names.
func (a *ClientAddress) find(value string, seen *[]judgement) (netip.Addr, error) {
	if a.topology != fromHeader {
		return a.walk(value, seen)
	}
	client, err := netip.ParseAddr(value)
	switch {
	case err != nil || !usable(client):
		judge(seen, value, "cannot be read")
		return netip.Addr{}, fmt.Errorf("policyhttp: %s is %s: want one IP address without a zone and nothing else", a.name, cut(value))
	case a.covers(client):
		judge(seen, value, "a trusted address, which cannot be the client")
		return netip.Addr{}, fmt.Errorf("policyhttp: %s is %s, which is a trusted address: want the client's, so an edge that overwrites the header", a.name, client)
	}
	judge(seen, value, "the client")
	return client.Unmap(), nil
}

// walk goes over a list from right to left up to the client. It does not read on, so that
// nothing that the client wrote, who may have sent the list's beginning, has any effect.
func (a *ClientAddress) walk(list string, seen *[]judgement) (netip.Addr, error) {
	rest, more := list, true
	for n := 1; more; n++ {
		var element string
		element, rest, more = a.list.cutLast(rest)
		text, addr, err := a.list.address(element)
		if err != nil {
			judge(seen, text, "cannot be read")
			return netip.Addr{}, fmt.Errorf("policyhttp: %s, number %d from the right, %w", a.name, n, err)
		}
		trusted := a.covers(addr)
		switch {
		case a.topology == fromHops && n < a.hops:
			judge(seen, text, "a proxy, by the number of hops")
		case a.topology == fromHops && trusted:
			judge(seen, text, "a trusted address, which cannot be the client")
			return netip.Addr{}, fmt.Errorf("policyhttp: %s, number %d from the right, is %s, which is a trusted address: want the client's, so perhaps more hops", a.name, n, addr)
		case trusted:
			judge(seen, text, "a trusted proxy")
		default:
			judge(seen, text, "the client")
			a.judgeRest(seen, rest, more)
			return addr, nil
		}
	}
	if a.topology == fromHops {
		return netip.Addr{}, fmt.Errorf("policyhttp: %s has fewer than %d addresses: want that many hops, or a smaller number declared", a.name, a.hops)
	}
	return netip.Addr{}, fmt.Errorf("policyhttp: all addresses of %s are trusted: want the client's left of the proxies', and no trusted block that clients call from", a.name)
}

func judge(seen *[]judgement, text, verdict string) {
	if seen != nil {
		*seen = append(*seen, judgement{text, verdict})
	}
}

// judgeRest adds what is left of the client, which the walk does not look at, because an
// operator who forgot a proxy finds the real client there.
func (a *ClientAddress) judgeRest(seen *[]judgement, rest string, more bool) {
	const most = 10
	for n := 0; seen != nil && more && n < most; n++ {
		var element string
		element, rest, more = a.list.cutLast(rest)
		text, _, _ := a.list.address(element)
		judge(seen, text, "left of the client: not looked at")
	}
}

// cut quotes a text of the caller's, and cuts a long one.
func cut(text string) string {
	const most = 100
	if len(text) > most {
		text = text[:most] + "…"
	}
	return fmt.Sprintf("%q", text)
}
