package policyhttp_test

import (
	"fmt"
	"net/http"
	"net/netip"

	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// Behind proxies of one's own: each appends the address that connected to it, so what the
// caller wrote is left of what they did.
func ExampleFromTrustedProxies() {
	address := policyhttp.FromTrustedProxies(policyhttp.XForwardedFor,
		netip.MustParsePrefix("10.20.0.0/24"), // the load balancers
		netip.MustParsePrefix("10.20.1.5/32"), // nginx
	)
	header := http.Header{}
	header.Set("X-Forwarded-For", "192.0.2.1, 203.0.113.7, 10.20.0.9")
	fmt.Println(address.Resolve("10.20.1.5:41234", header))
	fmt.Println(address.Resolve("198.51.100.66:50000", header)) // around the proxies
	// Output:
	// 203.0.113.7 x_forwarded_for <nil>
	// 198.51.100.66 peer <nil>
}

// The same with the header of RFC 7239, on a Unix socket that the proxy connects to.
func ExampleFromTrustedProxies_forwarded() {
	address := policyhttp.FromTrustedProxies(policyhttp.Forwarded).WithUnixSocket()
	header := http.Header{}
	header.Set("Forwarded", `for=192.0.2.1, for="[2001:db8::7]:4711";proto=https`)
	fmt.Println(address.Resolve("@", header))
	header.Set("Forwarded", "for=192.0.2.1, for=unknown;proto=https")
	_, _, err := address.Resolve("@", header)
	fmt.Println(err)
	// Output:
	// 2001:db8::7 forwarded <nil>
	// policyhttp: Forwarded, number 1 from the right, is "unknown": want an IP address without a zone, such as "192.0.2.1", "192.0.2.1:4711" or "[2001:db8::1]:4711" (peer on a Unix socket)
}

// Behind an edge that overwrites one header, whatever the caller sent in it.
func ExampleFromHeader() {
	address := policyhttp.FromHeader("CF-Connecting-IP", netip.MustParsePrefix("173.245.48.0/20")) // and the edge's other blocks
	header := http.Header{}
	header.Set("CF-Connecting-IP", "203.0.113.7")
	header.Set("X-Forwarded-For", "192.0.2.1") // was not declared, and is not read
	fmt.Println(address.Resolve("173.245.48.1:41234", header))
	header.Add("CF-Connecting-IP", "192.0.2.1")
	_, _, err := address.Resolve("173.245.48.1:41234", header)
	fmt.Println(err)
	// Output:
	// 203.0.113.7 header <nil>
	// policyhttp: the request has 2 Cf-Connecting-Ip headers: want one, so a proxy that deletes the caller's before it adds its own (HAProxy: http-request del-header cf-connecting-ip) (peer 173.245.48.1)
}

// Behind a known number of proxies whose addresses change, all inside one network.
func ExampleFromHops() {
	address := policyhttp.FromHops(policyhttp.XForwardedFor, 2, netip.MustParsePrefix("10.0.0.0/8"))
	header := http.Header{}
	header.Set("X-Forwarded-For", "192.0.2.1, 203.0.113.7, 198.51.100.80")
	fmt.Println(address.Resolve("10.1.2.3:41234", header))
	// Output:
	// 203.0.113.7 x_forwarded_for <nil>
}

// Behind CloudFront, with CloudFront-Viewer-Address in the origin request policy.
func ExampleClientAddress_WithPort() {
	address := policyhttp.FromHeader("CloudFront-Viewer-Address", netip.MustParsePrefix("130.176.0.0/18")).WithPort() // and the edge's other blocks
	header := http.Header{}
	header.Set("CloudFront-Viewer-Address", "2001:db8::8a2e:370:7334:46532")
	fmt.Println(address.Resolve("130.176.1.1:41234", header))
	// Output:
	// 2001:db8::8a2e:370:7334 header <nil>
}

// The blocks of an edge, read again every day.
func ExampleTrustedBlocks() {
	published := []netip.Prefix{netip.MustParsePrefix("173.245.48.0/20"), netip.MustParsePrefix("2400:cb00::/32")}
	trusted, err := policyhttp.NewTrustedBlocks(published...)
	if err != nil {
		panic(err)
	}
	address := policyhttp.FromHeader("CF-Connecting-IP").WithTrusted(trusted)
	fmt.Println(address)

	fmt.Println(trusted.Set()) // an empty download
	fmt.Println(trusted.Set(append(published, netip.MustParsePrefix("103.21.244.0/22"))...))
	fmt.Println(address)
	// Output:
	// the address in Cf-Connecting-Ip; trusted: 173.245.48.0/20, 2400:cb00::/32
	// policyhttp: trusted addresses: there are no blocks: want the blocks that the proxies connect from
	// <nil>
	// the address in Cf-Connecting-Ip; trusted: 103.21.244.0/22, 173.245.48.0/20, 2400:cb00::/32
}
