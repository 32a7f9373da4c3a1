package policyhttp

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

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
// error it is the zero Addr and from is OriginUnknown. The error names the problem and the
// repair. It quotes the header: it is for the operator.
func (a ClientAddress) Resolve(remote string, header http.Header) (client netip.Addr, from policy.ClientOrigin, err error) {
	return a.resolve(remote, header, nil)
}

// A judgement is the verdict on one address of a header.
type judgement struct{ text, verdict string }

// resolve is Resolve, and adds its judgements to a non-nil seen.
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
			"as net/http sets RemoteAddr; middleware that rewrites it must not come before the guard", cut(remote))
	}
	return parsed.Addr().Unmap(), false, nil
}

// usable reports whether a connection can come from the address and a list can cover it.
// Ask before Unmap: it drops a zone.
func usable(addr netip.Addr) bool {
	return addr.IsValid() && addr.Zone() == "" && !addr.Unmap().IsUnspecified()
}

// trusts reports whether the peer's header is read.
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

// walk reads a list from right to left up to the client, and no further: the rest may be
// the client's own text and must have no effect.
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

// judgeRest adds the addresses to the left of the client. The walk does not look at them,
// but after forgetting a proxy an operator finds the real client there.
func (a *ClientAddress) judgeRest(seen *[]judgement, rest string, more bool) {
	const most = 10
	for n := 0; seen != nil && more && n < most; n++ {
		var element string
		element, rest, more = a.list.cutLast(rest)
		text, _, _ := a.list.address(element)
		judge(seen, text, "left of the client: not looked at")
	}
}

// cut quotes a text from the caller, and cuts a long one.
func cut(text string) string {
	const most = 100
	if len(text) > most {
		text = text[:most] + "…"
	}
	return fmt.Sprintf("%q", text)
}
