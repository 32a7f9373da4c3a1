package policyhttp_test

import (
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// slowResolve is a second reading of what FromTrustedProxies says of a header that a
// trusted peer sent, with everything split, copied and matched by pattern. It returns the
// client and what is right of it, and the zero Addr for what is refused.
func slowResolve(header policyhttp.ForwardingHeader, value string, trusted []netip.Prefix) (client netip.Addr, after string) {
	elements := strings.Split(value, ",")
	for last := len(elements); last > 0; {
		first, addr := last, netip.Addr{}
		// The last element is the shortest end of the list that has its form. Commas in
		// quotes are put back by trying longer ones.
		for first > 0 && !addr.IsValid() {
			first--
			addr = slowElement(header, strings.Join(elements[first:last], ","))
			if header == policyhttp.XForwardedFor {
				break
			}
		}
		if !addr.IsValid() {
			return netip.Addr{}, ""
		}
		if !slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(addr) }) {
			if slowReserved.Contains(addr) {
				return netip.Addr{}, ""
			}
			return addr, strings.Join(elements[first:], ",")
		}
		last = first
	}
	return netip.Addr{}, ""
}

const (
	slowToken  = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
	slowQuoted = "\"((?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t \\x21-\\x7e\\x80-\\xff])*)\""
	slowLoose  = "[!#$%&'*+.^_`|~0-9A-Za-z:\\[\\]-]+"
	slowPair   = slowToken + "=(?:" + slowLoose + "|" + slowQuoted + ")"
)

var (
	slowForwarded = regexp.MustCompile("^[ \\t]*(?:" + slowPair + ")?(?:;(?:" + slowPair + ")?)*[ \\t]*$")
	slowFor       = regexp.MustCompile("(?i)(?:^|;)for=(?:(" + slowLoose + ")|" + slowQuoted + ")")
	slowPairs     = regexp.MustCompile(slowPair)
	slowEscape    = regexp.MustCompile(`(?s)\\(.)`)
	slowPort      = regexp.MustCompile(`^[0-9]{1,5}$`)
	slowNodePort  = regexp.MustCompile(`^(?:[0-9]{1,5}|_[0-9A-Za-z._-]+)$`)
	slowWithPort  = regexp.MustCompile(`^(?:\[([^\[\]]*:[^\[\]]*)\]|([^\[\]]*)):([1-9][0-9]{0,4})$`)
	slowReserved  = netip.MustParsePrefix("240.0.0.0/4")
)

// slowAmbiguous reports whether the text can be cut into an IPv6 address and a port.
func slowAmbiguous(text string) bool {
	colon := strings.LastIndex(text, ":")
	if colon < 0 || !regexp.MustCompile(`^[1-9][0-9]*$`).MatchString(text[colon+1:]) {
		return false
	}
	before, err := netip.ParseAddr(text[:colon])
	return err == nil && before.Is6()
}

// slowPortAddr reads an address and a port.
func slowPortAddr(text string) netip.Addr {
	found := slowWithPort.FindStringSubmatch(text)
	if found == nil {
		return netip.Addr{}
	}
	if port, err := strconv.Atoi(found[3]); err != nil || port > 65535 {
		return netip.Addr{}
	}
	return slowAddr(found[1] + found[2])
}

func slowElement(header policyhttp.ForwardingHeader, element string) netip.Addr {
	element = strings.Trim(element, " \t")
	if header == policyhttp.XForwardedFor {
		if strings.Count(element, ":") > 1 && !strings.Contains(element, "[") {
			if slowAmbiguous(element) {
				return netip.Addr{}
			}
			return slowAddr(element)
		}
		return slowNode(element, slowPort)
	}
	// Regular expressions read UTF-8, and RFC 9110 bytes: make each byte a character.
	element = latin1(element)
	if !slowForwarded.MatchString(element) {
		return netip.Addr{}
	}
	var nodes []string
	for _, pair := range slowPairs.FindAllString(element, -1) {
		if found := slowFor.FindStringSubmatch(pair); found != nil {
			nodes = append(nodes, found[1]+slowEscape.ReplaceAllString(found[2], "$1"))
		}
	}
	if len(nodes) != 1 {
		return netip.Addr{}
	}
	return slowNode(nodes[0], slowNodePort)
}

func latin1(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		b.WriteRune(rune(c))
	}
	return b.String()
}

func slowNode(node string, form *regexp.Regexp) netip.Addr {
	host := node
	if !strings.HasSuffix(node, "]") && strings.Contains(node, ":") {
		var port string
		var err error
		if host, port, err = net.SplitHostPort(node); err != nil {
			return netip.Addr{}
		}
		if number, err := strconv.Atoi(port); !form.MatchString(port) || err == nil && number > 65535 {
			return netip.Addr{}
		}
		if strings.HasPrefix(node, "[") != strings.Contains(host, ":") {
			return netip.Addr{}
		}
		return slowAddr(host)
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); !ok || !strings.Contains(inner, ":") {
			return netip.Addr{}
		}
		return slowAddr(inner)
	}
	if strings.Contains(host, ":") {
		return netip.Addr{}
	}
	return slowAddr(host)
}

func slowAddr(text string) netip.Addr {
	addr, err := netip.ParseAddr(text)
	if err != nil || strings.Contains(text, "%") || addr.Unmap() == netip.IPv4Unspecified() || addr == netip.IPv6Unspecified() {
		return netip.Addr{}
	}
	return addr.Unmap()
}

var seedValues = []string{
	"203.0.113.7", "192.0.2.1, 203.0.113.7, 10.0.0.2", "10.0.0.3,10.0.0.2", "", ",", "unknown, 10.0.0.2", "::ffff:203.0.113.7", "::ffff:10.0.0.2, 2001:db8:a::1",
	"[2001:db8::7]:4711", "203.0.113.7:80, 10.0.0.2:80", "fe80::1%eth0", "010.0.0.1", "::ffff:203.0.113.7%eth0", "0.0.0.0", "[203.0.113.7]:80", "203.0.113.7\x00",
	`for=203.0.113.7`, `for=192.0.2.1, for="203.0.113.7:80";proto=https, for="[2001:db8:a::1]"`, `for="[::ffff:10.0.0.2]", for=10.0.0.3`, `for=unknown, for=10.0.0.2`,
	`for=192.0.2.1;host=", for=203.0.113.7;by="10.0.0.9"`, `for=203.0.113.7;host="a,for=192.0.2.1\"\\", for=10.0.0.2`, `for=1;FOR=2`, `;for="\2\0\3.0.113.7";`, `for=2001:db8::7`, "for=203.0.113.7;h=\"\xff\x00\"",
	"2001:db8::1:4653", "198.51.100.10:46532", "2001:db8::8a2e:370:7334:46532", "[2001:db8::1]:46532", "1:2:3:4:5:6:7:8:9", "240.16.0.1", `for="192.0.2.43:_port"`,
	`for=203.0.113.7;for=", for="`, `for="203.0.113.7\", for=10.0.0.2`, `a="b"c="d";for=203.0.113.7`, "for=\"\\\u00e4\";for=203.0.113.7",
}

func FuzzXForwardedFor(f *testing.F) { fuzzList(f, policyhttp.XForwardedFor) }

func FuzzForwarded(f *testing.F) { fuzzList(f, policyhttp.Forwarded) }

func fuzzList(f *testing.F, header policyhttp.ForwardingHeader) {
	for i, value := range seedValues {
		f.Add(value, seedValues[(i+7)%len(seedValues)], uint8(i%4))
	}
	f.Fuzz(func(t *testing.T, value, left string, hops uint8) {
		name := header.String()
		resolve := func(a policyhttp.ClientAddress, value string) (netip.Addr, error) {
			client, from, err := a.Resolve(trustedPeer, lines(name, value))
			switch {
			case err != nil && (client != netip.Addr{} || from != 0):
				t.Fatalf("%q is refused with %v and there is an address, %v from %v", value, err, client, from)
			case err == nil && (!client.IsValid() || client.Zone() != "" || client.Is4In6() || client.IsUnspecified() || from == 0):
				t.Fatalf("%q: %v from %v is no client", value, client, from)
			case err == nil && slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(client) }):
				t.Fatalf("%q: the client is %v, which is a trusted address", value, client)
			case err != nil && len(err.Error()) > 1000:
				t.Fatalf("%q: a message of %d bytes", value, len(err.Error()))
			}
			return client, err
		}

		byPrefix := policyhttp.FromTrustedProxies(header, proxies...)
		client, err := resolve(byPrefix, value)
		slow, after := slowResolve(header, value, proxies)
		if client != slow {
			t.Fatalf("%q: %v, %v; the slow way %v", value, client, err, slow)
		}
		if err == nil {
			// Nothing left of the client matters, and it is not from left of an address that is
			// not trusted: what is right of it and itself say the same alone.
			for _, other := range []string{after, left + "," + value, left + "," + after, `",` + value, `\,` + after} {
				if again, err := resolve(byPrefix, other); again != client {
					t.Fatalf("%q is %v, and %q is %v, %v", value, client, other, again, err)
				}
			}
		}

		// By hops: what is left of that many addresses does not matter either.
		byHops := policyhttp.FromHops(header, int(hops%5)+1, proxies...)
		if client, err := resolve(byHops, value); err == nil {
			if again, err := resolve(byHops, left+","+value); again != client {
				t.Fatalf("%d hops: %q is %v, and with %q before it %v, %v", hops%5+1, value, client, left, again, err)
			}
		}

		// Of an untrusted peer nothing is read, and two lines are none.
		if client, _, err := byPrefix.Resolve(strangePeer, lines(name, value)); client.String() != "198.51.100.66" || err != nil {
			t.Fatalf("%q: an untrusted peer is %v, %v", value, client, err)
		}
		if client, _, err := byPrefix.Resolve(trustedPeer, lines(name, left, value)); client.IsValid() || err == nil {
			t.Fatalf("%q and %q: %v, %v", left, value, client, err)
		}
	})
}

// FuzzAddressHeader is the same for a header with one address, and for the peer.
func FuzzAddressHeader(f *testing.F) {
	for i, value := range seedValues {
		f.Add("10.0.0.1:80", value)
		f.Add(seedValues[(i+3)%len(seedValues)], value)
		f.Add(value+":80", "203.0.113.7")
	}
	f.Fuzz(func(t *testing.T, remote, value string) {
		peer := netip.Addr{}
		if host, port, err := net.SplitHostPort(remote); err == nil && strings.Contains(host, ":") == strings.HasPrefix(remote, "[") {
			if _, err := strconv.ParseUint(port, 10, 16); err == nil {
				peer = slowAddr(host)
			}
		}
		want := peer
		if slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return peer.IsValid() && p.Contains(peer) }) {
			client := func(addr netip.Addr) netip.Addr {
				if slices.ContainsFunc(append(proxies, slowReserved), func(p netip.Prefix) bool { return addr.IsValid() && p.Contains(addr) }) {
					return netip.Addr{}
				}
				return addr
			}
			want = client(slowAddr(value))
			if slowAmbiguous(value) {
				want = netip.Addr{}
			}
			withPort := policyhttp.FromHeader("CloudFront-Viewer-Address", proxies...).WithPort()
			if got, _, err := withPort.Resolve(remote, lines("Cloudfront-Viewer-Address", value)); got != client(slowPortAddr(value)) {
				t.Fatalf("%q with a port: %v, %v; the slow way %v", value, got, err, client(slowPortAddr(value)))
			}
			withoutPort := policyhttp.FromHeader("X-Real-IP", proxies...).WithoutPort()
			if got, _, err := withoutPort.Resolve(remote, lines("X-Real-Ip", value)); got != client(slowAddr(value)) {
				t.Fatalf("%q without a port: %v, %v; the slow way %v", value, got, err, client(slowAddr(value)))
			}
		}
		a := policyhttp.FromHeader("X-Real-IP", proxies...)
		client, from, err := a.Resolve(remote, lines("X-Real-Ip", value))
		if client != want || (err == nil) != want.IsValid() || (from == 0) == want.IsValid() {
			t.Fatalf("peer %q, %q: %v from %v, %v; the slow way %v", remote, value, client, from, err, want)
		}
		if client, _, err := (policyhttp.ClientAddress{}).Resolve(remote, lines("X-Real-Ip", value)); client != peer || (err == nil) != peer.IsValid() {
			t.Fatalf("peer %q: %v, %v; the slow way %v", remote, client, err, peer)
		}
	})
}
