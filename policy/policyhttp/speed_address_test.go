package policyhttp_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

func TestResolveAllocatesNothing(t *testing.T) {
	browser := func(name, value string) http.Header {
		h := forged()
		delete(h, "X_forwarded_for")
		delete(h, "x-forwarded-for")
		for i := range 20 {
			h.Set(fmt.Sprintf("X-Other-%d", i), "value")
		}
		h.Set(name, value)
		return h
	}
	for name, test := range map[string]struct {
		a      policyhttp.ClientAddress
		remote string
		header http.Header
	}{
		"peer":                {policyhttp.ClientAddress{}, strangePeer, forged()},
		"untrusted peer":      {policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), strangePeer, forged()},
		"X-Forwarded-For":     {policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), trustedPeer, browser("X-Forwarded-For", "192.0.2.1, 203.0.113.7, 10.0.0.2")},
		"with ports":          {policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), trustedPeer, browser("X-Forwarded-For", "[2001:db8::7]:4711, 10.0.0.2:80")},
		"IPv6":                {policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), "[2001:db8:a::1]:1", browser("X-Forwarded-For", "2001:db8::7, ::ffff:10.0.0.1")},
		"Forwarded":           {policyhttp.FromTrustedProxies(policyhttp.Forwarded, proxies...), trustedPeer, browser("Forwarded", `for=192.0.2.1, for="[2001:db8::7]:4711";proto=https;host="a,b", for=10.0.0.2`)},
		"hops":                {policyhttp.FromHops(policyhttp.XForwardedFor, 2, proxies...), trustedPeer, browser("X-Forwarded-For", "203.0.113.7, 198.51.100.1")},
		"header":              {policyhttp.FromHeader("CF-Connecting-IP", proxies...), trustedPeer, browser("CF-Connecting-IP", "2001:db8::7")},
		"header with a port":  {policyhttp.FromHeader("CloudFront-Viewer-Address", proxies...).WithPort(), trustedPeer, browser("CloudFront-Viewer-Address", "2001:db8::7:46532")},
		"changeable blocks":   {policyhttp.FromHeader("X-Real-IP").WithTrusted(newTrusted(t, "10.0.0.0/8")), trustedPeer, browser("X-Real-IP", "2001:db8::7")},
		"header, Unix socket": {policyhttp.FromHeader("CF-Connecting-IP").WithUnixSocket(), "@", browser("CF-Connecting-IP", "203.0.113.7")},
	} {
		_, _, err := test.a.Resolve(test.remote, test.header)
		require.NoError(t, err, name)
		require.Zero(t, testing.AllocsPerRun(100, func() { _, _, _ = test.a.Resolve(test.remote, test.header) }), name)
	}
}

func BenchmarkResolve(b *testing.B) {
	header := http.Header{
		"Accept": {"*/*"}, "Accept-Encoding": {"gzip"}, "Authorization": {"Bearer x"}, "Content-Type": {"application/json"}, "User-Agent": {"curl/8"},
		"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"api.example.com"}, "X-Request-Id": {"1"},
		"X-Forwarded-For": {"192.0.2.1, 203.0.113.7, 10.0.0.2"}, "Forwarded": {`for=192.0.2.1, for=203.0.113.7;proto=https, for="10.0.0.2"`}, "X-Real-Ip": {"203.0.113.7"},
	}
	all := topologies()
	all["peer"] = policyhttp.ClientAddress{}
	for name, a := range all {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _, _ = a.Resolve(trustedPeer, header)
			}
		})
	}
}
