package policyhttp_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// CloudFront writes the address and the port of the viewer, IPv6 without brackets.
func TestAddressWithPort(t *testing.T) {
	for _, name := range []string{"CloudFront-Viewer-Address", "X-Caddy-Remote"} {
		a, header := policyhttp.FromHeader(name, proxies...).WithPort(), http.CanonicalHeaderKey(name)
		require.NoError(t, a.Err())
		for value, client := range map[string]string{
			"198.51.100.10:46532":              "198.51.100.10",
			"198.51.100.10:1":                  "198.51.100.10",
			"198.51.100.10:65535":              "198.51.100.10",
			"2001:db8::8a2e:370:7334:46532":    "2001:db8::8a2e:370:7334",
			"2001:db8::8a2e:370:7334:443":      "2001:db8::8a2e:370:7334",
			"2001:db8::1:46532":                "2001:db8::1",
			"2001:db8::1:4653":                 "2001:db8::1", // not 2001:db8::1:4653
			"1:2:3:4:5:6:7:8:9":                "1:2:3:4:5:6:7:8",
			"[2001:db8::1]:46532":              "2001:db8::1",
			"::ffff:198.51.100.10:46532":       "198.51.100.10",
			"[::ffff:198.51.100.10]:46532":     "198.51.100.10",
			"2001:DB8::1:80":                   "2001:db8::1",
			"2001:db8:0000:0:0:0:0:0001:65535": "2001:db8::1",
		} {
			wantClient(t, a, trustedPeer, lines(header, value), client, policy.OriginHeader)
		}
		for _, value := range []string{
			"", ":", ":80", "198.51.100.10", "198.51.100.10:", "198.51.100.10:0", "198.51.100.10:080", "198.51.100.10:65536", "198.51.100.10:-1", "198.51.100.10:http",
			"198.51.100.10:_port", "2001:db8::1", "2001:db8::", "2001:db8::a", "[2001:db8::1]", "[2001:db8::1]80", "[2001:db8::1:80", "2001:db8::1]:80", "[198.51.100.10]:80",
			"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:99999", "fe80::1%eth0:80", "0.0.0.0:80", ":::80", "198.51.100.10:80, 192.0.2.1:80", " 198.51.100.10:80", "198.51.100.10:80 ",
		} {
			wantRefused(t, a, trustedPeer, lines(header, value), fmt.Sprintf("policyhttp: %s is %q: want one IP address without a zone and a port, such as", header, value))
		}
		wantRefused(t, a, trustedPeer, lines(header, "10.0.0.2:80"), "which is a trusted address")
		require.Contains(t, a.String(), "the address in "+header+", with a port; trusted: ")
	}
}

func TestMistakesAboutPorts(t *testing.T) {
	cloudFront := policyhttp.FromHeader("CloudFront-Viewer-Address", proxies...)
	const needsPort = "policyhttp: CloudFront-Viewer-Address has a port behind the address (Amazon CloudFront, Add CloudFront request headers): want WithPort"
	for _, test := range []struct {
		a    policyhttp.ClientAddress
		says string
	}{
		{cloudFront, needsPort},
		{cloudFront.WithoutPort(), needsPort},
		{cloudFront.WithPort().WithoutPort(), needsPort},
		{policyhttp.FromHeader("CF-Connecting-IP", proxies...).WithPort(), "policyhttp: CF-Connecting-IP never has a port (Cloudflare HTTP headers): want no WithPort"},
		{policyhttp.ClientAddress{}.WithPort(), "policyhttp: the peer always has a port: want WithPort and WithoutPort on FromHeader"},
		{policyhttp.ClientAddress{}.WithoutPort(), "policyhttp: the peer always has a port: want WithPort and WithoutPort on FromHeader"},
		{policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...).WithPort(), "policyhttp: each proxy of X-Forwarded-For decides about a port: want WithPort on FromHeader only"},
		{policyhttp.FromHops(policyhttp.Forwarded, 1, proxies...).WithPort(), "policyhttp: each proxy of Forwarded decides about a port: want WithPort on FromHeader only"},
		{policyhttp.FromHops(policyhttp.Forwarded, 1, proxies...).WithoutPort(), "policyhttp: the brackets of Forwarded tell a port from an address: want WithoutPort on X-Forwarded-For or FromHeader only"},
	} {
		_, err := policyhttp.New(policyhttp.Config{Engine: policy.New(nil), Address: test.a})
		require.EqualError(t, err, test.says+" (Config.Address)")
		wantRefused(t, test.a, trustedPeer, lines("X-Forwarded-For", "203.0.113.7"), test.says)
	}
	for _, a := range []policyhttp.ClientAddress{
		cloudFront.WithPort(), cloudFront.WithoutPort().WithPort(), policyhttp.FromHeader("CF-Connecting-IP", proxies...).WithoutPort(),
		policyhttp.FromHeader("X-Real-IP", proxies...).WithPort(), policyhttp.FromHeader("X-Real-IP", proxies...).WithoutPort(),
		policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...).WithoutPort(),
	} {
		require.NoError(t, a.Err())
	}
	// A mistake of the constructor is not repaired by a port.
	require.ErrorContains(t, policyhttp.FromHeader("", proxies...).WithPort().Err(), "is not a header")
}

var (
	// ambiguous may be an address, and another address with a port.
	ambiguous = []string{"2001:db8::1:4653", "2001:db8::1:443", "2001:db8::1:1", "fe80::1:1", "::5:1", "2001:db8::a:b:c:9999", "1::2:3:4:5:6:7", "::ffff:cb00:7107", "2001:DB8::A:80"}

	// unambiguous are only addresses: the last group is no port, or the text before it is no
	// address.
	unambiguous = []string{
		"2001:db8::1", "2001:db8::4653", "2001:db8::", "::1", "2001:db8::5:a1", "2001:db8::5:0", "2001:db8::5:0443",
		"1:2:3:4:5:6:7:8", "2001:db8:0:0:0:0:5:443", "1:2:3:4:5:6::8", "::ffff:203.0.113.7", "203.0.113.7",
	}
)

// The network 2001:db8::1:0/112 is a neighbour of the host 2001:db8::1: behind a proxy that
// writes ports without brackets, the host would be taken for one of the neighbour's.
func TestIPv6ThatMayHaveAPort(t *testing.T) {
	single := policyhttp.FromHeader("X-Real-IP", proxies...)
	known := policyhttp.FromHeader("CF-Connecting-IP", proxies...)
	lists := []policyhttp.ClientAddress{policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), policyhttp.FromHops(policyhttp.XForwardedFor, 1, proxies...)}
	for _, text := range ambiguous {
		client := netip.MustParseAddr(text).Unmap().String()
		wantRefused(t, single, trustedPeer, lines("X-Real-Ip", text),
			fmt.Sprintf("policyhttp: X-Real-Ip is %q, which may be an IPv6 address, or another one and a port: want WithPort or WithoutPort to declare which (peer 10.0.0.1)", text))
		wantClient(t, single.WithoutPort(), trustedPeer, lines("X-Real-Ip", text), client, policy.OriginHeader)
		wantClient(t, known, trustedPeer, lines("Cf-Connecting-Ip", text), client, policy.OriginHeader)
		for _, a := range lists {
			wantRefused(t, a, trustedPeer, lines("X-Forwarded-For", "192.0.2.1, "+text),
				fmt.Sprintf("X-Forwarded-For, number 1 from the right, is %q, which may be an IPv6 address, or another one and a port: want proxies that write brackets, or WithoutPort", text))
			wantClient(t, a.WithoutPort(), trustedPeer, lines("X-Forwarded-For", text), client, policy.OriginXForwardedFor)
			wantClient(t, a, trustedPeer, lines("X-Forwarded-For", "["+text+"]"), client, policy.OriginXForwardedFor)
		}
		wantClient(t, policyhttp.FromTrustedProxies(policyhttp.Forwarded, proxies...), trustedPeer, lines("Forwarded", `for="[`+text+`]"`), client, policy.OriginForwarded)
	}
	// A proxy's own element, too: it may be a stranger's in truth.
	wantRefused(t, lists[0], trustedPeer, lines("X-Forwarded-For", "192.0.2.1, 2001:db8:a::1:443"), "may be an IPv6 address, or another one and a port")
	for _, text := range unambiguous {
		client := netip.MustParseAddr(text).Unmap().String()
		wantClient(t, single, trustedPeer, lines("X-Real-Ip", text), client, policy.OriginHeader)
		for _, a := range lists {
			wantClient(t, a, trustedPeer, lines("X-Forwarded-For", text), client, policy.OriginXForwardedFor)
		}
	}
	// Without ports means without ports.
	for _, text := range []string{"203.0.113.7:80", "[2001:db8::7]:80", "[2001:db8::7]:0"} {
		wantRefused(t, lists[0].WithoutPort(), trustedPeer, lines("X-Forwarded-For", text), "want an IP address without a zone")
	}
}

// No address with a port behind it is read as another address, and nothing is refused that
// cannot be one.
func TestIPv6WithAPortIsNeverAnotherAddress(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	single := policyhttp.FromHeader("X-Real-IP", proxies...)
	list := policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...)
	refused, served := 0, 0
	for range 20_000 {
		var groups [16]byte
		for i := range 8 {
			switch random.IntN(4) {
			case 0, 1: // "::" is frequent
			case 2:
				groups[2*i+1] = byte(random.IntN(256))
			case 3:
				groups[2*i], groups[2*i+1] = byte(random.IntN(256)), byte(random.IntN(256))
			}
		}
		addr := netip.AddrFrom16(groups)
		if addr.IsUnspecified() || addr.Is4In6() {
			continue
		}
		text := fmt.Sprintf("%s:%d", addr, 1+random.IntN(65535))
		for header, a := range map[string]policyhttp.ClientAddress{"X-Real-Ip": single, "X-Forwarded-For": list} {
			client, _, err := a.Resolve(trustedPeer, lines(header, text))
			require.Error(t, err, "%s is read as %v", text, client)
		}
		// The address alone.
		client, _, err := single.Resolve(trustedPeer, lines("X-Real-Ip", addr.String()))
		before, last, _ := cutLastColon(addr.String())
		_, prefixErr := netip.ParseAddr(before)
		if strings.Trim(last, "0123456789") == "" && last != "" && last != "0" && prefixErr == nil {
			refused++
			require.Error(t, err, addr)
		} else {
			served++
			require.NoError(t, err, addr)
			require.Equal(t, addr, client)
		}
	}
	require.Greater(t, refused, 100)
	require.Greater(t, served, 10*refused/20)
}

func cutLastColon(text string) (before, after string, found bool) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+1:], true
}

// An empty element may stand for a peer that a proxy could not name. Left of it may be the
// caller's own text, so it is refused and not skipped.
func TestEmptyElementsAreRefused(t *testing.T) {
	for _, value := range []string{"192.0.2.1,", "192.0.2.1, ", "192.0.2.1,,10.0.0.2", "192.0.2.1, , 10.0.0.2", "192.0.2.1,\t,10.0.0.2", ","} {
		for _, a := range []policyhttp.ClientAddress{policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), policyhttp.FromHops(policyhttp.XForwardedFor, 2, proxies...)} {
			wantRefused(t, a, trustedPeer, lines("X-Forwarded-For", value), `is "": want an IP address`)
		}
	}
	for _, value := range []string{"for=192.0.2.1,", "for=192.0.2.1, ,for=10.0.0.2", "for=192.0.2.1,,for=10.0.0.2"} {
		wantRefused(t, policyhttp.FromTrustedProxies(policyhttp.Forwarded, proxies...), trustedPeer, lines("Forwarded", value), `has no parameter "for"`)
	}
}
