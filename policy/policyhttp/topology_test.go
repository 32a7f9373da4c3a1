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

func TestMistakesInATopology(t *testing.T) {
	const nobody = "policyhttp: no peer is trusted to set the header, so it would never be read: want the blocks that the proxies connect from, or WithUnixSocket"
	everybody := func(text string) string {
		family := "IPv4"
		if strings.Contains(text, ":") {
			family = "IPv6"
		}
		return fmt.Sprintf("policyhttp: trusted addresses: %q trusts every %s address to set the header: want the blocks that the proxies connect from", text, family)
	}
	notAHeader := func(name string) string {
		return fmt.Sprintf("policyhttp: %q is not a header to take an address from: want a name of letters, digits and hyphens, such as CF-Connecting-IP", name)
	}
	for _, test := range []struct {
		a    policyhttp.ClientAddress
		says string
	}{
		{policyhttp.ClientAddress{}.WithUnixSocket(), "policyhttp: a Unix socket has no peer to take the address of: want WithUnixSocket on FromTrustedProxies, FromHops or FromHeader"},
		{policyhttp.FromTrustedProxies(policyhttp.XForwardedFor), nobody},
		{policyhttp.FromHops(policyhttp.Forwarded, 1), nobody},
		{policyhttp.FromHeader("X-Real-IP"), nobody},
		{policyhttp.FromTrustedProxies(0, proxies...), "policyhttp: forwarding header 0 is unknown: want XForwardedFor or Forwarded"},
		{policyhttp.FromHops(9, 1, proxies...), "policyhttp: forwarding header 9 is unknown: want XForwardedFor or Forwarded"},
		{policyhttp.FromHops(policyhttp.Forwarded, 0, proxies...), "policyhttp: 0 hops: want 1 or more, counted from the right end of the list"},
		{policyhttp.FromHops(policyhttp.Forwarded, -1).WithUnixSocket(), "policyhttp: -1 hops: want 1 or more, counted from the right end of the list"},
		{policyhttp.FromHeader("X-Real-IP", blocks("0.0.0.0/0")...), everybody("0.0.0.0/0")},
		{policyhttp.FromTrustedProxies(policyhttp.Forwarded, blocks("10.0.0.0/8", "::/0")...), everybody("::/0")},
		{policyhttp.FromHops(policyhttp.Forwarded, 1, blocks("10.0.0.0/8", "0.0.0.0/0")...), everybody("0.0.0.0/0")},
		{policyhttp.FromHeader("X-Real-IP", netip.Prefix{}), `policyhttp: trusted addresses: accesslist: "invalid Prefix" is not a valid prefix: want an address and a length within it`},
		{policyhttp.FromHeader("X-Real-IP", blocks("10.0.0.1/8", "192.0.2.1/24")...),
			`policyhttp: trusted addresses: accesslist: "10.0.0.1/8" has host bits set: use "10.0.0.0/8" for the block or "10.0.0.1" for the single address` + "\n" +
				`accesslist: "192.0.2.1/24" has host bits set: use "192.0.2.0/24" for the block or "192.0.2.1" for the single address`},
		{policyhttp.FromHeader("X-Real-IP", blocks("::ffff:10.0.0.0/104")...), `policyhttp: trusted addresses: accesslist: "::ffff:10.0.0.0/104" is IPv4-mapped IPv6: write it as IPv4, "10.0.0.0/8"`},
		{policyhttp.FromHeader("", proxies...), notAHeader("")},
		{policyhttp.FromHeader("X_Real_IP", proxies...), notAHeader("X_Real_IP")},
		{policyhttp.FromHeader("X-Real-IP:", proxies...), notAHeader("X-Real-IP:")},
		{policyhttp.FromHeader("X-Real-IP, X-Client-IP", proxies...), notAHeader("X-Real-IP, X-Client-IP")},
		{policyhttp.FromHeader("X-Äddress", proxies...), notAHeader("X-Äddress")},
		{policyhttp.FromHeader("x-forwarded-for", proxies...), "policyhttp: X-Forwarded-For is a list, and FromHeader reads a single address: want FromTrustedProxies or FromHops"},
		{policyhttp.FromHeader("forwarded", proxies...), "policyhttp: Forwarded is a list, and FromHeader reads a single address: want FromTrustedProxies or FromHops"},
		{policyhttp.FromHeader("authorization", proxies...), "policyhttp: Authorization does not hold an address: want a header that the edge sets, such as CF-Connecting-IP"},
		{policyhttp.FromHeader("Proxy-Authorization", proxies...), "policyhttp: Proxy-Authorization does not hold an address: want a header that the edge sets, such as CF-Connecting-IP"},
		{policyhttp.FromHeader("Cookie", proxies...), "policyhttp: Cookie does not hold an address: want a header that the edge sets, such as CF-Connecting-IP"},
	} {
		require.EqualError(t, test.a.Err(), test.says)
		require.Equal(t, "none: "+test.says, test.a.String())
		// A program that ignores the error gets no address, from any peer.
		for _, remote := range []string{trustedPeer, strangePeer, "@"} {
			wantRefused(t, test.a, remote, forged(), test.says)
		}
	}
	for name, a := range topologies() {
		require.NoError(t, a.Err(), name)
	}
	// A block given twice, and one inside another, are no mistakes.
	twice := policyhttp.FromHeader("X-Real-IP", blocks("10.0.0.0/8", "10.1.0.0/16", "10.0.0.0/8")...)
	require.NoError(t, twice.Err())
	wantClient(t, twice, trustedPeer, lines("X-Real-Ip", "203.0.113.7"), "203.0.113.7", policy.OriginHeader)
}

// A topology is fixed when it is made.
func TestATopologySharesNothing(t *testing.T) {
	mine := blocks("10.0.0.0/8")
	a := policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, mine...)
	_ = a.WithUnixSocket()
	mine[0] = netip.MustParsePrefix("203.0.113.0/24")
	wantClient(t, a, trustedPeer, lines("X-Forwarded-For", "192.0.2.1, 203.0.113.7"), "203.0.113.7", policy.OriginXForwardedFor)
	wantRefused(t, a, "@", nil, "Unix socket")
}

func TestTopologiesInWords(t *testing.T) {
	for want, a := range map[string]policyhttp.ClientAddress{
		"the peer of the connection; no header is read":                                                            {},
		"the first address from the right of X-Forwarded-For that is not trusted; trusted: 10.0.0.0/8, 192.0.2.1":  policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, blocks("192.0.2.1/32", "10.0.0.0/8")...),
		"the first address from the right of Forwarded that is not trusted; trusted: connections on a Unix socket": policyhttp.FromTrustedProxies(policyhttp.Forwarded).WithUnixSocket(),
		"address 2 from the right of X-Forwarded-For; trusted: 10.0.0.0/8, 2001:db8:a::/48":                        policyhttp.FromHops(policyhttp.XForwardedFor, 2, proxies...),
		"the address in Cf-Connecting-Ip; trusted: 10.0.0.0/8, 2001:db8:a::/48, connections on a Unix socket":      policyhttp.FromHeader("CF-Connecting-IP", proxies...).WithUnixSocket(),
	} {
		require.Equal(t, want, a.String())
	}
}

// Quoted texts of the caller are short and without control characters.
func TestRefusalsQuoteLittle(t *testing.T) {
	for _, test := range []struct {
		a      policyhttp.ClientAddress
		remote string
		header http.Header
	}{
		{policyhttp.ClientAddress{}, "\x1b[31m\n" + strings.Repeat("x", 1e6), nil},
		{policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), trustedPeer, lines("X-Forwarded-For", "\x1b[31m\n"+strings.Repeat("x", 1e6))},
		{policyhttp.FromTrustedProxies(policyhttp.Forwarded, proxies...), trustedPeer, lines("Forwarded", `for="`+"\x1b[31m\n"+strings.Repeat("x", 1e6)+`"`)},
		{policyhttp.FromTrustedProxies(policyhttp.Forwarded, proxies...), trustedPeer, lines("Forwarded", `for="`+strings.Repeat("\u00e4", 1e6)+`"`)},
		{policyhttp.FromHeader("X-Real-IP", proxies...), trustedPeer, lines("X-Real-Ip", "\x1b[31m\n"+strings.Repeat("x", 1e6))},
		{policyhttp.FromHeader("\x1b[31m\n"+strings.Repeat("x", 1e6), proxies...), trustedPeer, nil},
	} {
		_, _, err := test.a.Resolve(test.remote, test.header)
		require.Error(t, err)
		require.Less(t, len(err.Error()), 500)
		require.NotContains(t, err.Error(), "\x1b")
		require.NotContains(t, err.Error(), "\n")
	}
}
