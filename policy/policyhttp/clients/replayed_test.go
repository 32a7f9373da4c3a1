package clients_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/accesslist/published"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
	"github.com/sallyport-go/sallyport/store/memory"
)

// A replayedRequest is a request in a form that an edge's document describes, as it arrives at the
// service.
type replayedRequest struct {
	name  string
	peer  string // "": the edge
	lines []string
	want  string // the client, or refused400, fault503
}

// Addresses of documentation. The forger sends the first in every header he can.
const (
	forged  = "192.0.2.7"
	caller  = "198.51.100.10"
	caller6 = "2001:db8:c::10"
)

// replays are the edges of edges.md that the tests do not run.
var replays = []struct {
	heading string
	peer    string // of the edge
	replays []replayedRequest
}{{
	heading: "Traefik", // pkg/middlewares/forwardedheaders/forwarded_header.go
	peer:    "127.0.0.1",
	replays: []replayedRequest{
		{name: "both headers set anew", lines: []string{"X-Forwarded-For: " + caller, "X-Real-Ip: " + caller}, want: caller},
		{name: "IPv6", lines: []string{"X-Forwarded-For: " + caller6, "X-Real-Ip: " + caller6}, want: caller6},
		{name: "IPv4 on a listener of both", lines: []string{"X-Real-Ip: ::ffff:" + caller}, want: caller},
		{name: "headers of other edges passed on", lines: []string{"X-Real-Ip: " + caller, "CF-Connecting-IP: " + forged, "Forwarded: for=" + forged}, want: caller},
		{name: "before 3.1.3, Connection: X-Real-Ip", lines: []string{"X-Forwarded-For: " + caller}, want: fault503},
		{name: "insecure, two of the caller's", lines: []string{"X-Real-Ip: " + forged, "X-Real-Ip: " + forged}, want: fault503},
		{name: "another spelling passed on", lines: []string{"X-Real-Ip: " + caller, "X_Real_Ip: " + forged}, want: refused400},
	},
}, {
	heading: "Envoy", // HTTP header manipulation
	peer:    "127.0.0.1",
	replays: []replayedRequest{
		{name: "use_remote_address", lines: []string{"x-forwarded-for: " + caller, "x-envoy-external-address: " + caller}, want: caller},
		{name: "appended to the caller's, without a space", lines: []string{"x-forwarded-for: " + forged + "," + caller}, want: caller},
		{name: "appended to the caller's address of the proxy", lines: []string{"x-forwarded-for: 127.0.0.1," + caller}, want: caller},
		{name: "IPv6", lines: []string{"x-forwarded-for: " + forged + "," + caller6}, want: caller6},
		{name: "an internal caller", lines: []string{"x-forwarded-for: 10.0.0.9", "x-envoy-internal: true"}, want: "10.0.0.9"},
		{name: "without the header", want: fault503},
		{name: "an underscore allowed", lines: []string{"x-forwarded-for: " + caller, "x_forwarded_for: " + forged}, want: refused400},
	},
}, {
	heading: "AWS Application Load Balancer", // HTTP headers and Application Load Balancers
	peer:    "10.0.2.17",
	replays: []replayedRequest{
		{name: "append, no header of the caller", lines: []string{"X-Forwarded-For: " + caller}, want: caller},
		{name: "append, to the caller's", lines: []string{"X-Forwarded-For: " + forged + ", " + caller}, want: caller},
		{name: "append, to the address of a balancer", lines: []string{"X-Forwarded-For: " + forged + ", 10.0.1.9, " + caller}, want: caller},
		{name: "IPv6", lines: []string{"X-Forwarded-For: " + forged + ", " + caller6}, want: caller6},
		{name: "from inside the network", lines: []string{"X-Forwarded-For: 10.0.1.200"}, want: fault503},
		{name: "client port preservation", lines: []string{"X-Forwarded-For: " + forged + ":1, " + caller + ":8080"}, want: caller},
		{name: "client port preservation, IPv6", lines: []string{"X-Forwarded-For: [" + caller6 + "]:8080"}, want: caller6},
		{name: "remove", want: fault503},
		{name: "preserve, two lines", lines: []string{"X-Forwarded-For: " + forged, "X-Forwarded-For: " + forged}, want: fault503},
		{name: "an underscore without drop_invalid_header_fields", lines: []string{"X-Forwarded-For: " + caller, "X_Forwarded_For: " + forged}, want: refused400},
	},
}, {
	heading: "Amazon CloudFront", // Add CloudFront request headers
	peer:    "203.0.113.5",
	replays: []replayedRequest{
		{name: "IPv4", lines: []string{"CloudFront-Viewer-Address: " + caller + ":46532", "X-Forwarded-For: " + forged + ", " + caller}, want: caller},
		{name: "IPv6", lines: []string{"CloudFront-Viewer-Address: " + caller6 + ":46532"}, want: caller6},
		{name: "IPv6 in full", lines: []string{"CloudFront-Viewer-Address: 2001:db8:c:0:0:0:0:10:443"}, want: caller6},
		{name: "the policy has no such header", lines: []string{"X-Forwarded-For: " + forged + ", " + caller}, want: fault503},
		{name: "a function of the owner's without the port", lines: []string{"CloudFront-Viewer-Address: " + caller}, want: fault503},
		{name: "another spelling", lines: []string{"CloudFront-Viewer-Address: " + caller + ":1", "CloudFront_Viewer_Address: " + forged + ":1"}, want: refused400},
	},
}, {
	heading: "Cloudflare", // Cloudflare HTTP headers; Pseudo IPv4
	peer:    "2001:db8:cf::5",
	replays: []replayedRequest{
		{name: "IPv4", lines: []string{"CF-Connecting-IP: " + caller, "X-Forwarded-For: " + forged + "," + caller}, want: caller},
		{name: "IPv4, from an edge of IPv4", peer: "203.0.113.70", lines: []string{"CF-Connecting-IP: " + caller}, want: caller},
		{name: "IPv6", lines: []string{"CF-Connecting-IP: " + caller6, "True-Client-IP: " + forged}, want: caller6},
		{name: "Pseudo IPv4, Overwrite Headers", lines: []string{"CF-Connecting-IP: 247.131.152.146", "CF-Connecting-IPv6: " + caller6}, want: fault503},
		{name: "Pseudo IPv4, Add Header", lines: []string{"CF-Connecting-IP: " + caller6, "Cf-Pseudo-IPv4: 247.131.152.146"}, want: caller6},
		{name: "a Worker of another zone", lines: []string{"CF-Connecting-IP: 2a06:98c0:3600::103"}, want: "2a06:98c0:3600::103"},
		{name: "Remove visitor IP headers", lines: []string{"X-Forwarded-For: " + forged}, want: fault503},
	},
}, {
	heading: "Azure Front Door", // Protocol support for HTTP headers in Azure Front Door
	peer:    "203.0.113.130",
	replays: []replayedRequest{
		{name: "the socket's address", lines: []string{"X-Azure-SocketIP: " + caller, "X-Azure-ClientIP: " + forged, "X-Forwarded-For: " + forged + ", " + caller}, want: caller},
		{name: "IPv6", lines: []string{"X-Azure-SocketIP: " + caller6}, want: caller6},
		{name: "without the header", lines: []string{"X-Azure-ClientIP: " + forged}, want: fault503},
		{name: "another spelling passed on", lines: []string{"X-Azure-SocketIP: " + caller, "X_Azure_SocketIP: " + forged}, want: refused400},
	},
}, {
	heading: "Google Cloud load balancing", // External Application Load Balancer overview, X-Forwarded-For header
	peer:    "35.191.12.3",
	replays: []replayedRequest{
		{name: "no header of the caller", lines: []string{"X-Forwarded-For: " + caller + ",203.0.113.200"}, want: caller},
		{name: "the caller's before it", lines: []string{"X-Forwarded-For: " + forged + "," + caller + ",203.0.113.200"}, want: caller},
		{name: "the caller's with the balancer's address", lines: []string{"X-Forwarded-For: " + forged + ",203.0.113.200," + caller + ",203.0.113.200"}, want: caller},
		{name: "IPv6", peer: "130.211.1.9", lines: []string{"X-Forwarded-For: " + caller6 + ",2001:db8:1b::1"}, want: caller6},
		{name: "a health check", lines: []string{"User-Agent: GoogleHC/1.0"}, want: fault503},
		{name: "one address only", lines: []string{"X-Forwarded-For: " + caller}, want: fault503},
	},
}, {
	heading: "Heroku", // HTTP Routing; what its router does with two lines is in no document
	peer:    "10.11.154.7",
	replays: []replayedRequest{
		{name: "no header of the caller", lines: []string{"X-Forwarded-For: " + caller, "X-Forwarded-Port: 443"}, want: caller},
		{name: "the caller's before it", lines: []string{"X-Forwarded-For: " + forged + ", " + caller}, want: caller},
		{name: "without a space", lines: []string{"X-Forwarded-For: " + forged + "," + caller}, want: caller},
		{name: "two lines, appended to the first", lines: []string{"X-Forwarded-For: " + forged + "," + caller, "X-Forwarded-For: " + forged}, want: fault503},
	},
}, {
	heading: "Fly.io", // Request headers
	peer:    "172.19.4.1",
	replays: []replayedRequest{
		{name: "IPv4", lines: []string{"Fly-Client-IP: " + caller, "X-Forwarded-For: " + forged + ", " + caller + ", 203.0.113.220"}, want: caller},
		{name: "IPv6", lines: []string{"Fly-Client-IP: " + caller6}, want: caller6},
		{name: "around Fly Proxy, in the private network", peer: "fdaa:0:1::3", lines: []string{"Fly-Client-IP: " + forged}, want: "fdaa:0:1::3"},
		{name: "the header is missing", lines: []string{"X-Forwarded-For: " + forged}, want: fault503},
	},
}}

// TestReplays is about the edges that cannot be run here: requests in the forms of their
// documents, and a call around each.
func TestReplays(t *testing.T) {
	key, secret, err := apikey.New("acme")
	require.NoError(t, err)
	key.AccessList, err = accesslist.Parse(forged)
	require.NoError(t, err)
	keys := memory.New()
	_, err = keys.PutOrganization(t.Context(), policy.Organization{ID: "acme"})
	require.NoError(t, err)
	_, err = keys.PutKey(t.Context(), key)
	require.NoError(t, err)

	tried := map[string]bool{}
	for _, e := range edges {
		tried[e.heading] = true
	}
	for _, e := range replays {
		tried[e.heading] = true
		config := declared[e.heading]
		config.Engine = policy.New(keys)
		guard, err := policyhttp.New(config)
		require.NoError(t, err)
		route := guard.Route(policy.Endpoint{Name: "things"}, func(*http.Request) (policy.Resource, error) {
			return policy.Resource{Organization: "acme"}, nil
		})
		around := replayedRequest{name: "around the edge", peer: caller, want: caller}
		for _, r := range e.replays {
			around.lines = append(around.lines, r.lines...)
		}
		for _, r := range append(e.replays, around) {
			t.Run(e.heading+"/"+r.name, func(t *testing.T) {
				peer := e.peer
				if r.peer != "" {
					peer = r.peer
				}
				request := httptest.NewRequest(http.MethodGet, "/things", nil)
				request.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(peer), 4711).String()
				request.Header.Set("Authorization", "Bearer "+secret.Reveal())
				for _, line := range r.lines {
					name, value, _ := strings.Cut(line, ": ")
					request.Header.Add(name, value)
				}
				d := route.Check(request)
				require.False(t, d.Allowed(), "the forger's address is the only one that is listed")
				got := d.Client().String()
				switch {
				case d.Kind() == policy.UnknownClient:
					got = fault503
				case d.Reason == policy.InvalidRequest:
					got = refused400
				default:
					require.Equal(t, policy.AddressNotListed, d.Reason)
				}
				require.Equal(t, r.want, got, "%v", d.Cause)
			})
		}
	}
	for heading := range declared {
		require.True(t, tried[heading], "%s is neither run nor replayed", heading)
	}
}

// TestRefresh sets trusted blocks by a provider's list in its published form.
func TestRefresh(t *testing.T) {
	const ranges = `{"syncToken":"1","createDate":"2026-01-02-03-04-05",
		"prefixes":[{"ip_prefix":"203.0.113.0/26","region":"GLOBAL","service":"CLOUDFRONT_ORIGIN_FACING","network_border_group":"GLOBAL"},
			{"ip_prefix":"198.51.100.0/24","region":"us-east-1","service":"EC2","network_border_group":"us-east-1"}],
		"ipv6_prefixes":[{"ipv6_prefix":"2001:db8:aa::/48","region":"GLOBAL","service":"CLOUDFRONT_ORIGIN_FACING","network_border_group":"GLOBAL"}]}`
	trusted := trusting("192.0.2.0/24")
	options := published.Options{Services: []string{"CLOUDFRONT_ORIGIN_FACING"}, AllowIPv6: true}
	list, err := refresh(trusted, accesslist.List{}, strings.NewReader(ranges), options)
	require.NoError(t, err)
	address := policyhttp.FromHeader("CloudFront-Viewer-Address").WithPort().WithTrusted(trusted)
	require.Contains(t, address.String(), "trusted: 203.0.113.0/26, 2001:db8:aa::/48")
	for why, wrong := range map[string]string{
		"cannot be read":      "<html>",
		"lost half":           strings.ReplaceAll(ranges, "2001:db8:aa::/48", "2001:db8:bb::/48"),
		"trusts every caller": strings.ReplaceAll(ranges, "203.0.113.0/26", "0.0.0.0/0"),
	} {
		kept, err := refresh(trusted, list, strings.NewReader(wrong), options)
		require.Error(t, err, why)
		require.Equal(t, list, kept, why)
		require.Contains(t, address.String(), "trusted: 203.0.113.0/26, 2001:db8:aa::/48", why)
	}
	grown, err := refresh(trusted, list, strings.NewReader(strings.ReplaceAll(ranges, "203.0.113.0/26", "203.0.113.0/25")), options)
	require.NoError(t, err)
	require.Contains(t, address.String(), "trusted: 203.0.113.0/25, 2001:db8:aa::/48")
	require.Equal(t, 2, grown.Len())
}

// TestFromOurEdge is about whose request it is.
func TestFromOurEdge(t *testing.T) {
	const id = "55ce4ed1-4b06-4bf1-b40e-4638452104da"
	handler := fromOurEdge("X-Azure-FDID", id, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for _, c := range []struct {
		values []string
		want   int
	}{
		{[]string{id}, http.StatusNoContent},
		{nil, http.StatusForbidden},
		{[]string{""}, http.StatusForbidden},
		{[]string{"a0a40000-4b06-4bf1-b40e-4638452104da"}, http.StatusForbidden},
		{[]string{id + ","}, http.StatusForbidden},
		{[]string{id, id}, http.StatusForbidden},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["X-Azure-Fdid"] = c.values
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		require.Equal(t, c.want, w.Code, "%q", c.values)
	}
}

// TestMountDoctor asks the doctor through an edge, and as a stranger.
func TestMountDoctor(t *testing.T) {
	config := declared["nginx"]
	config.Engine = policy.New(memory.New())
	guard, err := policyhttp.New(config)
	require.NoError(t, err)
	ask := func(isOperator func(*http.Request) bool, client string) (int, string) {
		mux := http.NewServeMux()
		mountDoctor(mux, guard, isOperator)
		r := httptest.NewRequest(http.MethodGet, "/doctor", nil)
		r.RemoteAddr = "127.0.0.1:5000"
		r.Header.Set("X-Real-IP", client)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	operator := func(*http.Request) bool { return true }

	status, page := ask(operator, "203.0.113.7")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, page, "\nclient       203.0.113.7, from header\n")
	status, page = ask(operator, "127.0.0.1")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, page, "\nclient       none: ", "a call to loopback on the edge's own machine")
	for name, isOperator := range map[string]func(*http.Request) bool{"nil": nil, "a stranger": func(*http.Request) bool { return false }} {
		status, page = ask(isOperator, "203.0.113.7")
		require.Equal(t, http.StatusNotFound, status, name)
		require.NotContains(t, page, "203.0.113.7", name)
	}
}
