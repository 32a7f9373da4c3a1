package policyhttp_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// In these tests proxies are in 10.0.0.0/8 and 2001:db8:a::/48, clients elsewhere.
var proxies = blocks("10.0.0.0/8", "2001:db8:a::/48")

const (
	trustedPeer = "10.0.0.1:40000"
	strangePeer = "198.51.100.66:40000"
)

func blocks(texts ...string) (prefixes []netip.Prefix) {
	for _, text := range texts {
		prefixes = append(prefixes, netip.MustParsePrefix(text))
	}
	return prefixes
}

// lines is a header with one line for each value.
func lines(name string, values ...string) http.Header { return http.Header{name: values} }

// forged has what a caller may write who wants to be 192.0.2.1.
func forged() http.Header {
	h := http.Header{"X_forwarded_for": {"192.0.2.1"}, "x-forwarded-for": {"192.0.2.1"}}
	for _, name := range []string{
		"X-Forwarded-For", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip",
		"Fastly-Client-Ip", "X-Forwarded", "Forwarded-For", "X-Original-Forwarded-For", "X-Envoy-External-Address", "Client-Ip",
	} {
		h.Set(name, "192.0.2.1")
	}
	h.Set("Forwarded", "for=192.0.2.1")
	return h
}

func wantClient(t *testing.T, a policyhttp.ClientAddress, remote string, header http.Header, client string, from policy.ClientOrigin) {
	t.Helper()
	got, origin, err := a.Resolve(remote, header)
	if err != nil || got.String() != client || origin != from {
		t.Errorf("%v\npeer %q, %v:\ngot  %v from %v, %v\nwant %v from %v", a, remote, header, got, origin, err, client, from)
	}
}

// wantRefused checks for no address and for the words in the reason.
func wantRefused(t *testing.T, a policyhttp.ClientAddress, remote string, header http.Header, words string) {
	t.Helper()
	got, origin, err := a.Resolve(remote, header)
	if err == nil || got != (netip.Addr{}) || origin != policy.OriginUnknown || !strings.HasPrefix(err.Error(), "policyhttp: ") || !strings.Contains(err.Error(), words) {
		t.Errorf("%v\npeer %q, %v:\ngot %v from %v, %v\nwant refused: %s", a, remote, header, got, origin, err, words)
	}
}

// topologies are one of each kind that reads a header.
func topologies() map[string]policyhttp.ClientAddress {
	return map[string]policyhttp.ClientAddress{
		"trusted proxies, X-Forwarded-For": policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...),
		"trusted proxies, Forwarded":       policyhttp.FromTrustedProxies(policyhttp.Forwarded, proxies...),
		"hops, X-Forwarded-For":            policyhttp.FromHops(policyhttp.XForwardedFor, 2, proxies...),
		"hops, Forwarded":                  policyhttp.FromHops(policyhttp.Forwarded, 2, proxies...),
		"header":                           policyhttp.FromHeader("X-Real-IP", proxies...),
	}
}

func TestThePeerIsTheDefault(t *testing.T) {
	var zero policyhttp.ClientAddress
	for _, a := range []policyhttp.ClientAddress{zero, policyhttp.ClientAddress{}} {
		require.NoError(t, a.Err())
		for _, header := range []http.Header{nil, {}, forged()} {
			wantClient(t, a, "203.0.113.7:5000", header, "203.0.113.7", policy.OriginPeer)
			wantClient(t, a, trustedPeer, header, "10.0.0.1", policy.OriginPeer)
			wantClient(t, a, "[2001:db8::7]:5000", header, "2001:db8::7", policy.OriginPeer)
			wantClient(t, a, "[::ffff:203.0.113.7]:5000", header, "203.0.113.7", policy.OriginPeer)
			wantClient(t, a, "[::1]:5000", header, "::1", policy.OriginPeer)
		}
	}
}

func TestAPeerThatIsNoAddressAndPort(t *testing.T) {
	all := topologies()
	all["peer"] = policyhttp.ClientAddress{}
	for _, a := range all {
		for _, remote := range []string{
			"203.0.113.7", "2001:db8::7", "[2001:db8::7]", // middleware that rewrites RemoteAddr leaves this
			"2001:db8::7:5000", "[203.0.113.7]:5000", "203.0.113.7:", ":5000", "203.0.113.7:65536", "203.0.113.7:-1", "203.0.113.7:http",
			"[fe80::1%eth0]:5000", "[::ffff:203.0.113.7%eth0]:5000", "0.0.0.0:5000", "[::]:5000", "[::ffff:0.0.0.0]:5000",
			"203.0.113.07:5000", "client.example:5000", " 203.0.113.7:5000", "203.0.113.7:5000, 203.0.113.8:5000", "pipe", "bufconn", "\x00",
		} {
			wantRefused(t, a, remote, forged(), "want an address without a zone and a port")
		}
	}
}

// Whatever an untrusted peer sends, it is the client itself.
func TestAnUntrustedPeerIsTheClient(t *testing.T) {
	for name, a := range topologies() {
		t.Run(name, func(t *testing.T) {
			for _, header := range []http.Header{
				nil, {}, forged(), lines("X-Forwarded-For", "192.0.2.1", "192.0.2.2"), lines("Forwarded", `for="`), lines("X_forwarded_for", "192.0.2.1"),
			} {
				wantClient(t, a, strangePeer, header, "198.51.100.66", policy.OriginPeer)
				wantClient(t, a, "[::ffff:198.51.100.66]:1", header, "198.51.100.66", policy.OriginPeer)
				wantClient(t, a, "[2001:db8:b::1]:1", header, "2001:db8:b::1", policy.OriginPeer)
			}
		})
	}
}

func TestFromTrustedProxies(t *testing.T) {
	a := policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...)
	for _, test := range []struct{ value, client string }{
		{"203.0.113.7", "203.0.113.7"},
		{"203.0.113.7, 10.0.0.2", "203.0.113.7"},
		{"203.0.113.7,10.0.0.2,10.9.9.9", "203.0.113.7"},
		{"203.0.113.7 ,\t10.0.0.2 , 2001:db8:a::5", "203.0.113.7"},
		{"192.0.2.1, 203.0.113.7", "203.0.113.7"},
		{"192.0.2.1, 203.0.113.7, 10.0.0.2", "203.0.113.7"},
		{"10.0.0.3, 203.0.113.7, 10.0.0.2", "203.0.113.7"},
		{"2001:db8::7", "2001:db8::7"},
		{"2001:DB8:0:0::7", "2001:db8::7"},
		{"192.0.2.1, 2001:db8::7, 2001:db8:a::1", "2001:db8::7"},

		// With a port, or in brackets.
		{"203.0.113.7:4711", "203.0.113.7"},
		{"203.0.113.7:0, 10.0.0.2:65535", "203.0.113.7"},
		{"203.0.113.7:9", "203.0.113.7"},
		{"[2001:db8::7]:4711, [2001:db8:a::1]:1", "2001:db8::7"},
		{"[2001:db8::7]", "2001:db8::7"},

		// IPv4-mapped IPv6 is IPv4, of a proxy as of a client.
		{"::ffff:203.0.113.7, ::ffff:10.0.0.2", "203.0.113.7"},
		{"[::ffff:cb00:7107]:80, [::ffff:10.0.0.2]:80", "203.0.113.7"},

		// Addresses to the left of the client are not parsed.
		{"unknown, 203.0.113.7", "203.0.113.7"},
		{", 203.0.113.7", "203.0.113.7"},
		{`"; DROP TABLE, , 203.0.113.7, 10.0.0.2`, "203.0.113.7"},
		{strings.Repeat("192.0.2.1,", 100_000) + "203.0.113.7", "203.0.113.7"},
	} {
		wantClient(t, a, trustedPeer, lines("X-Forwarded-For", test.value), test.client, policy.OriginXForwardedFor)
		wantClient(t, a, "[::ffff:10.0.0.1]:40000", lines("X-Forwarded-For", test.value), test.client, policy.OriginXForwardedFor)
		wantClient(t, a, "[2001:db8:a::1]:40000", lines("X-Forwarded-For", test.value), test.client, policy.OriginXForwardedFor)
	}
}

// The walked part of the list must be readable: all invalid forms.
func TestFromTrustedProxiesRefuses(t *testing.T) {
	a := policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...)
	for _, element := range []string{
		"", " ", "unknown", "_hidden", "client.example", "203.0.113", "203.0.113.7.7", "203.0.113.256", "203.0.113.07", "0x7f.1", "3405803783", "203.0.113.7/32",
		"203.0.113.7:", "203.0.113.7:65536", "203.0.113.7:123456", "203.0.113.7:-1", "203.0.113.7:+1", "203.0.113.7:_p", "203.0.113.7:4711:1",
		"[203.0.113.7]", "[203.0.113.7]:80", "[2001:db8::7", "2001:db8::7]", "[2001:db8::7]4711", "[2001:db8::7]:", "[2001:db8::7]:port", "[]", "[", ":", "::ffff:203.0.113.07",
		"fe80::1%eth0", "[fe80::1%eth0]:80", "::ffff:203.0.113.7%eth0", "0.0.0.0", "::", "::ffff:0.0.0.0", "[::]:80", "0.0.0.0:80",
		`"203.0.113.7"`, "for=203.0.113.7", "203.0.113.7 192.0.2.1", "203.0.113.7;192.0.2.1", "203.0.113.7\u00a0", "203.0.113.7\x00", "\u0662\u0660\u0663.0.113.7", "２０３.0.113.7",
	} {
		for _, value := range []string{element, element + ", 10.0.0.2", "203.0.113.7, " + element, "203.0.113.7, " + element + " ,10.0.0.2"} {
			wantRefused(t, a, trustedPeer, lines("X-Forwarded-For", value), "want an IP address without a zone")
		}
	}
	wantRefused(t, a, trustedPeer, lines("X-Forwarded-For", "203.0.113.7, 10.0.0.3x, 10.0.0.2"),
		`policyhttp: X-Forwarded-For, number 2 from the right, is "10.0.0.3x": want an IP address without a zone, such as "192.0.2.1", "192.0.2.1:4711" or "[2001:db8::1]:4711"`)
	// Quotes mean nothing here, so a comma between them is one.
	wantRefused(t, a, trustedPeer, lines("X-Forwarded-For", `"192.0.2.1, 203.0.113.7, 10.0.0.2"`), `number 1 from the right, is "10.0.0.2\"": want`)
	for _, value := range []string{"10.0.0.2", "10.0.0.3, 10.0.0.2", "::ffff:10.0.0.2", "[2001:db8:a::1]:80"} {
		wantRefused(t, a, trustedPeer, lines("X-Forwarded-For", value),
			"policyhttp: all addresses of X-Forwarded-For are trusted: want the client's left of the proxies', and no trusted block that clients call from")
	}
}

func TestFromHops(t *testing.T) {
	for _, test := range []struct {
		hops          int
		value, client string
	}{
		{1, "203.0.113.7", "203.0.113.7"},
		{1, "192.0.2.1, 203.0.113.7", "203.0.113.7"},
		{1, "unknown,,203.0.113.7:1", "203.0.113.7"},
		{2, "203.0.113.7, 10.0.0.2", "203.0.113.7"},
		{2, "203.0.113.7, 198.51.100.1", "203.0.113.7"}, // of a proxy only the number is known
		{2, "192.0.2.1, ::ffff:203.0.113.7, 198.51.100.1", "203.0.113.7"},
		{3, "192.0.2.1, [2001:db8::7]:80, 198.51.100.1, 198.51.100.2", "2001:db8::7"},
	} {
		a := policyhttp.FromHops(policyhttp.XForwardedFor, test.hops, proxies...)
		wantClient(t, a, trustedPeer, lines("X-Forwarded-For", test.value), test.client, policy.OriginXForwardedFor)
	}
	for _, test := range []struct {
		hops         int
		value, words string
	}{
		{2, "203.0.113.7", "policyhttp: X-Forwarded-For has fewer than 2 addresses: want that many hops, or a smaller number declared"},
		{9, "203.0.113.7, 203.0.113.8", "has fewer than 9 addresses"},
		{1, "", `number 1 from the right, is "": want an IP address`},
		{2, "203.0.113.7, unknown", `number 1 from the right, is "unknown": want an IP address`},
		{2, "203.0.113.07, 10.0.0.2", `number 2 from the right, is "203.0.113.07": want an IP address`},
		{1, "203.0.113.7, 10.0.0.2", "policyhttp: X-Forwarded-For, number 1 from the right, is 10.0.0.2, which is a trusted address: want the client's, so perhaps more hops"},
		{2, "192.0.2.1, ::ffff:10.0.0.3, 10.0.0.2", "number 2 from the right, is 10.0.0.3, which is a trusted address"},
	} {
		a := policyhttp.FromHops(policyhttp.XForwardedFor, test.hops, proxies...)
		wantRefused(t, a, trustedPeer, lines("X-Forwarded-For", test.value), test.words)
	}
}

func TestFromHeader(t *testing.T) {
	for _, name := range []string{"CF-Connecting-IP", "cf-connecting-ip", "Cf-Connecting-Ip"} {
		a := policyhttp.FromHeader(name, proxies...)
		require.NoError(t, a.Err())
		for value, client := range map[string]string{
			"203.0.113.7": "203.0.113.7", "2001:db8::7": "2001:db8::7", "2001:DB8:0::7": "2001:db8::7", "::ffff:203.0.113.7": "203.0.113.7",
		} {
			header := forged()
			header.Set(name, value)
			wantClient(t, a, trustedPeer, header, client, policy.OriginHeader)
		}
		for _, value := range []string{
			"", " ", "203.0.113.7 ", " 203.0.113.7", "203.0.113.7:80", "[2001:db8::7]", "[2001:db8::7]:80", "192.0.2.1, 203.0.113.7", "203.0.113.7,",
			"203.0.113.07", "203.0.113.7/32", "fe80::1%eth0", "::ffff:203.0.113.7%eth0", "0.0.0.0", "::", "unknown", "for=203.0.113.7", "client.example",
		} {
			wantRefused(t, a, trustedPeer, lines("Cf-Connecting-Ip", value),
				fmt.Sprintf("policyhttp: Cf-Connecting-Ip is %q: want one IP address without a zone and nothing else", value))
		}
		for _, value := range []string{"10.0.0.2", "::ffff:10.0.0.2", "2001:db8:a::1"} {
			wantRefused(t, a, trustedPeer, lines("Cf-Connecting-Ip", value), "which is a trusted address: want the client's, so an edge that overwrites the header")
		}
	}
}

// A trusted peer's header is there exactly once, under one name.
func TestAnAmbiguousHeaderIsRefused(t *testing.T) {
	for name, a := range topologies() {
		t.Run(name, func(t *testing.T) {
			header, value := "X-Forwarded-For", "203.0.113.7, 10.0.0.2"
			switch {
			case strings.HasSuffix(name, "Forwarded"):
				header, value = "Forwarded", "for=203.0.113.7, for=10.0.0.2"
			case name == "header":
				header, value = "X-Real-Ip", "203.0.113.7"
			}
			// Undeclared headers are ignored, since every client can send them.
			sent := forged()
			delete(sent, "X_forwarded_for")
			delete(sent, "x-forwarded-for")
			sent[header] = []string{value}
			got, _, err := a.Resolve(trustedPeer, sent)
			require.NoError(t, err)
			require.Equal(t, "203.0.113.7", got.String())

			missing := fmt.Sprintf("policyhttp: the request of a trusted peer has no %s header: want a proxy that always sets it, whatever the caller's Connection header says", header)
			delete(sent, header)
			for _, none := range []http.Header{nil, {}, sent, lines(header)} {
				wantRefused(t, a, trustedPeer, none, missing)
			}

			twice := fmt.Sprintf("policyhttp: the request has 2 %s headers: want one, so a proxy that deletes the caller's before it adds its own (HAProxy: http-request del-header %s)",
				header, strings.ToLower(header))
			wantRefused(t, a, trustedPeer, lines(header, value, value), twice)
			wantRefused(t, a, trustedPeer, lines(header, "192.0.2.1", value), twice)
			wantRefused(t, a, trustedPeer, lines(header, value, ""), twice)

			aliases := []string{strings.ToLower(header), strings.ToUpper(header)}
			if strings.Contains(header, "-") {
				aliases = append(aliases, strings.ReplaceAll(header, "-", "_"), strings.Replace(header, "-", "_", 1), strings.ReplaceAll(strings.ToLower(header), "-", "_"),
					http.CanonicalHeaderKey(strings.ReplaceAll(header, "-", "_")), strings.ReplaceAll(header, "-", "."), strings.ReplaceAll(header, "-", " "))
			}
			for _, alias := range aliases {
				words := fmt.Sprintf("policyhttp: the request has a header %q, which some servers take for %s: want proxies that drop it", alias, header)
				wantRefused(t, a, trustedPeer, http.Header{alias: {"192.0.2.1"}}, words)
				wantRefused(t, a, trustedPeer, http.Header{alias: {"192.0.2.1"}, header: {value}}, words)
				wantRefused(t, a, trustedPeer, http.Header{alias: nil, header: {value}}, words)
			}
			for _, other := range []string{"X-Forwarded-Fox", "X1Forwarded-For", "X-Forwarded-For-", "XForwardedFor", "Forwardee", "X-Real-Iq", "X9Real-Ip"} {
				got, _, err := a.Resolve(trustedPeer, http.Header{other: {"192.0.2.1"}, header: {value}})
				require.NoError(t, err, other)
				require.Equal(t, "203.0.113.7", got.String())
			}
		})
	}
}

// Every letter has two cases, and every sign may stand for a hyphen.
func TestAliasesOfEveryLetter(t *testing.T) {
	const name = "A-Bcdefghijklmnopqrstuvwxy-Z0123456789"
	a := policyhttp.FromHeader(name, proxies...)
	require.NoError(t, a.Err())
	for i := range len(name) {
		swapped := name[i] ^ 0x20 // the other case, of a letter
		if name[i] == '-' {
			swapped = '~'
		}
		if '0' <= name[i] && name[i] <= '9' {
			swapped = name[i] ^ 1
		}
		other := name[:i] + string(swapped) + name[i+1:]
		header := http.Header{name: {"203.0.113.7"}, other: {"192.0.2.1"}}
		if '0' <= name[i] && name[i] <= '9' {
			wantClient(t, a, trustedPeer, header, "203.0.113.7", policy.OriginHeader)
		} else {
			wantRefused(t, a, trustedPeer, header, "which some servers take for "+name)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	for _, remote := range []string{"", "@", "@proxy", "/run/proxy.sock"} {
		wantRefused(t, policyhttp.ClientAddress{}, remote, forged(), "policyhttp: the connection is on a Unix socket, which has no peer address: want a topology that declares it WithUnixSocket")
		for name, a := range topologies() {
			wantRefused(t, a, remote, forged(), "the connection is on a Unix socket")
			require.NoError(t, a.WithUnixSocket().Err(), name)
			wantRefused(t, a.WithUnixSocket(), remote, nil, "has no ") // trusted, so its header is wanted
		}
		// Nobody but the socket need be trusted. Then the last address is the client.
		for _, a := range []policyhttp.ClientAddress{
			policyhttp.FromTrustedProxies(policyhttp.XForwardedFor).WithUnixSocket(),
			policyhttp.FromHops(policyhttp.XForwardedFor, 1).WithUnixSocket(),
		} {
			require.NoError(t, a.Err())
			wantClient(t, a, remote, lines("X-Forwarded-For", "192.0.2.1, 10.0.0.7"), "10.0.0.7", policy.OriginXForwardedFor)
			wantClient(t, a, trustedPeer, forged(), "10.0.0.1", policy.OriginPeer)
		}
		a := policyhttp.FromHeader("X-Real-IP", proxies...).WithUnixSocket()
		wantClient(t, a, remote, lines("X-Real-Ip", "203.0.113.7"), "203.0.113.7", policy.OriginHeader)
		wantClient(t, a, trustedPeer, lines("X-Real-Ip", "203.0.113.7"), "203.0.113.7", policy.OriginHeader)
		wantClient(t, a, strangePeer, lines("X-Real-Ip", "203.0.113.7"), "198.51.100.66", policy.OriginPeer)
		wantRefused(t, a, remote, lines("X-Real-Ip", "10.0.0.7"), "trusted address")
	}
}
