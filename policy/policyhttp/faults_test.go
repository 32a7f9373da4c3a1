package policyhttp_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// A request without an address is the operator's to repair: honest callers cannot, and
// alarms look at 503. One with another spelling of the header is its caller's.
func TestARequestWithoutAnAddress(t *testing.T) {
	list := policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...)
	header := policyhttp.FromHeader("X-Real-IP", proxies...)
	cloudflare := policyhttp.FromHeader("CF-Connecting-IP", proxies...)
	for name, test := range map[string]struct {
		address policyhttp.ClientAddress
		remote  string
		header  http.Header
		says    string
		caller  bool
	}{
		"no header":            {list, trustedPeer, nil, "the request of a trusted peer has no X-Forwarded-For header: want a proxy that always sets it, whatever the caller's Connection header says (peer 10.0.0.1)", false},
		"on a Unix socket":     {list.WithUnixSocket(), "@", nil, "has no X-Forwarded-For header: want a proxy that always sets it, whatever the caller's Connection header says (peer on a Unix socket)", false},
		"two headers":          {header, trustedPeer, lines("X-Real-Ip", "192.0.2.1", "203.0.113.7"), "want one, so a proxy that deletes the caller's before it adds its own (HAProxy: http-request del-header x-real-ip) (peer 10.0.0.1)", false},
		"unreadable":           {header, trustedPeer, lines("X-Real-Ip", "unknown"), "want one IP address without a zone and nothing else (peer 10.0.0.1)", false},
		"unreadable element":   {list, "[2001:db8:a::1]:1", lines("X-Forwarded-For", "unknown"), `or "[2001:db8::1]:4711" (peer 2001:db8:a::1)`, false},
		"ambiguous":            {header, trustedPeer, lines("X-Real-Ip", "2001:db8::1:80"), "want WithPort or WithoutPort to declare which (peer 10.0.0.1)", false},
		"a trusted client":     {header, trustedPeer, lines("X-Real-Ip", "10.0.0.9"), "so an edge that overwrites the header (peer 10.0.0.1)", false},
		"all trusted":          {list, trustedPeer, lines("X-Forwarded-For", "10.0.0.9"), "no trusted block that clients call from (peer 10.0.0.1)", false},
		"too few hops":         {policyhttp.FromHops(policyhttp.XForwardedFor, 3, proxies...), trustedPeer, lines("X-Forwarded-For", "203.0.113.7"), "has fewer than 3 addresses: want that many hops, or a smaller number declared (peer 10.0.0.1)", false},
		"Pseudo IPv4":          {cloudflare, trustedPeer, lines("Cf-Connecting-Ip", "240.16.0.1"), "policyhttp: Cf-Connecting-Ip is 240.16.0.1, and no client has an address in 240.0.0.0/4; Cloudflare's Pseudo IPv4 makes it up from an IPv6 address: want Pseudo IPv4 off, or set to Add Header (peer 10.0.0.1)", false},
		"Pseudo IPv4, mapped":  {cloudflare, trustedPeer, lines("Cf-Connecting-Ip", "::ffff:255.0.0.1"), "Cf-Connecting-Ip is 255.0.0.1, and no client has an address in 240.0.0.0/4", false},
		"Pseudo IPv4 in lists": {list, trustedPeer, lines("X-Forwarded-For", "240.0.0.1, 10.0.0.2"), "X-Forwarded-For, number 2 from the right, is 240.0.0.1, and no client has an address in 240.0.0.0/4", false},
		"rewritten RemoteAddr": {header, "203.0.113.7", nil, "middleware that rewrites it must not come before the guard", false},
		"undeclared socket":    {header, "/run/proxy.sock", nil, "want a topology that declares it WithUnixSocket", false},

		"another spelling": {header, trustedPeer, http.Header{"X_Real_Ip": {"203.0.113.7"}, "X-Real-Ip": {"203.0.113.7"}},
			`policyhttp: the request has a header "X_Real_Ip", which some servers take for X-Real-Ip: want proxies that drop it (peer 10.0.0.1)`, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			s.config.Address = test.address
			s.start()
			r := withBearer(s.secret.Reveal())
			r.RemoteAddr = test.remote
			for name, values := range test.header {
				r.Header[name] = values
			}
			d := s.route.Check(r)
			require.ErrorContains(t, d.Cause, test.says)
			if test.caller {
				requireDenied(t, s.serve(r), 400, "INVALID_REQUEST")
				require.Equal(t, policy.InvalidRequest, d.Reason)
				require.NotErrorIs(t, d.Cause, policy.ErrUnknownClient)
				require.Zero(t, d.Kind())
			} else {
				requireDenied(t, s.serve(r), 503, "ACCESS_CONTROL_UNAVAILABLE")
				require.Equal(t, policy.Unavailable, d.Reason)
				require.ErrorIs(t, d.Cause, policy.ErrUnknownClient)
				require.Equal(t, policy.UnknownClient, d.Kind())
			}
			require.Empty(t, s.asked, "nothing is looked up")
			_, _, err := test.address.Resolve(test.remote, test.header)
			require.EqualError(t, err, d.Cause.Error())
		})
	}
}

// A peer in 240.0.0.0/4 is in a private network.
func TestAPeerInTheReservedBlock(t *testing.T) {
	wantClient(t, policyhttp.ClientAddress{}, "240.0.0.9:1", nil, "240.0.0.9", policy.OriginPeer)
	a := policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, blocks("240.0.0.0/8")...)
	wantClient(t, a, "240.0.0.9:1", lines("X-Forwarded-For", "203.0.113.7, 240.0.0.1"), "203.0.113.7", policy.OriginXForwardedFor)
	wantClient(t, a, "241.0.0.9:1", nil, "241.0.0.9", policy.OriginPeer)
}

// Names of resources are logged: a header with credentials gives none, and nor does any
// other way to their text.
func TestResourcesAreNotNamedByCredentials(t *testing.T) {
	for _, test := range []struct {
		organization, project, says string
	}{
		{"Authorization", "", "policyhttp: Headers reads the names of a resource from Authorization, and names are logged: want a header that the gateway overwrites, such as X-Organization"},
		{"x-organization", "cookie", "policyhttp: Headers reads the names of a resource from Cookie, and names are logged: want"},
		{"Proxy-Authorization", "x-project", "policyhttp: Headers reads the names of a resource from Proxy-Authorization, and names are logged: want"},
		{"x-api-key", "", "policyhttp: a name of the resource is the text of the header X-Api-Key, which is for credentials, and names are logged: want a name from the resource's own record"},
		{"x-organization", "x-api-key", "policyhttp: a name of the resource is the text of the header X-Api-Key, which is for credentials"},
	} {
		s := withKeyHeader(t)
		s.resource = policyhttp.Headers(test.organization, test.project)
		s.start()
		r := keyHeaderRequest(s.secret.Reveal())
		r.Header.Set("X-Organization", "acme")
		r.Header.Set("X-Project", "alpha")
		r.Header.Set("Cookie", "session=1")
		d := s.route.Check(r)
		requireDenied(t, s.serve(r), 503, "ACCESS_CONTROL_UNAVAILABLE")
		require.ErrorContains(t, d.Cause, test.says)
		requireNoSecret(t, s.secret, d.String(), d.Explain())
		require.Zero(t, d.Resource())
	}
	s := newService(t)
	s.resource = func(r *http.Request) (policy.Resource, error) {
		return policy.Resource{Organization: r.Header.Get("Authorization")}, nil
	}
	s.start()
	for _, r := range s.both() {
		d := s.route.Check(r)
		require.Equal(t, policy.Unavailable, d.Reason)
		require.ErrorContains(t, d.Cause, "is the text of the header Authorization")
		requireNoSecret(t, s.secret, d.String())

		guard, err := policyhttp.New(s.config)
		require.NoError(t, err)
		other := guard.Check(context.Background(), policyhttp.Call{Remote: r.RemoteAddr, Header: r.Header,
			Resolver: policy.ResolverFunc(func(context.Context) (policy.Resource, error) { return s.resource(r) })})
		require.ErrorContains(t, other.Cause, "is the text of the header Authorization")
	}
}
