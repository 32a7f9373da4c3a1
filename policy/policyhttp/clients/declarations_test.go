package clients_test

import (
	"crypto/subtle"
	"io"
	"net/http"
	"net/netip"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/accesslist/published"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// declared are the Go blocks of edges.md to the letter, by their headings, with a variable
// instead of the field there. TestGuide compares the two, and the other tests use these.
var declared = map[string]policyhttp.Config{
	"nginx": {
		Address: policyhttp.FromHeader("X-Real-IP", netip.MustParsePrefix("127.0.0.1/32")),
	},
	"HAProxy": {
		Address: policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, netip.MustParsePrefix("127.0.0.1/32")),
	},
	"Caddy": {
		Address: policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, netip.MustParsePrefix("127.0.0.1/32")),
	},
	"Traefik": {
		Address: policyhttp.FromHeader("X-Real-IP", netip.MustParsePrefix("127.0.0.1/32")),
	},
	"Envoy": {
		Address: policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, netip.MustParsePrefix("127.0.0.1/32")),
	},
	"AWS Application Load Balancer": {
		// The subnets of the load balancer.
		Address: policyhttp.FromHops(policyhttp.XForwardedFor, 1,
			netip.MustParsePrefix("10.0.1.0/24"), netip.MustParsePrefix("10.0.2.0/24")),
	},
	"Amazon CloudFront": {
		// cloudfront has the blocks of the service CLOUDFRONT_ORIGIN_FACING in ip-ranges.json.
		Address: policyhttp.FromHeader("CloudFront-Viewer-Address").WithPort().WithTrusted(cloudfront),
	},
	"Cloudflare": {
		// cloudflare has the blocks of cloudflare.com/ips-v4 and cloudflare.com/ips-v6.
		Address: policyhttp.FromHeader("CF-Connecting-IP").WithTrusted(cloudflare),
	},
	"Azure Front Door": {
		// frontDoor has the blocks of the service tag AzureFrontDoor.Backend.
		Address: policyhttp.FromHeader("X-Azure-SocketIP").WithTrusted(frontDoor),
	},
	"Google Cloud load balancing": {
		// Google's front ends. A regional or internal load balancer has its proxy-only subnet instead.
		Address: policyhttp.FromHops(policyhttp.XForwardedFor, 2,
			netip.MustParsePrefix("35.191.0.0/16"), netip.MustParsePrefix("130.211.0.0/22")),
	},
	"Heroku": {
		// The routers connect from the private network.
		Address: policyhttp.FromHops(policyhttp.XForwardedFor, 1, netip.MustParsePrefix("10.0.0.0/8")),
	},
	"Fly.io": {
		// Fly Proxy connects from the machine's own private network.
		Address: policyhttp.FromHeader("Fly-Client-IP", netip.MustParsePrefix("172.16.0.0/12")),
	},
}

// refresh makes a provider's published list the trusted blocks, and returns it for the next time.
// A list that lost half since the time before is an error, and changes nothing.
func refresh(trusted *policyhttp.TrustedBlocks, before accesslist.List, document io.Reader, options published.Options) (accesslist.List, error) {
	edition, err := published.Read(document, options)
	if err != nil {
		return before, err
	}
	now, err := edition.Compare(before, nil).List()
	if err != nil {
		return before, err
	}
	var blocks []netip.Prefix
	for entry := range now.All() {
		blocks = append(blocks, entry.Prefix())
	}
	if err := trusted.Set(blocks...); err != nil {
		return before, err
	}
	return now, nil
}

// fromOurEdge refuses requests without the header and value that only our edge sends.
func fromOurEdge(header, value string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := r.Header.Values(header)
		if len(got) != 1 || subtle.ConstantTimeCompare([]byte(got[0]), []byte(value)) != 1 {
			http.Error(w, "not through our edge", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// mountDoctor shows operators a request as the guard sees it.
func mountDoctor(mux *http.ServeMux, guard *policyhttp.Guard, isOperator func(*http.Request) bool) {
	mux.Handle("GET /doctor", guard.Doctor(isOperator, nil)) // or a Route instead of nil, for its decision
}
