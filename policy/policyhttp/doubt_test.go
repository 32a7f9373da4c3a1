package policyhttp_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// defaultLog sends slog's default log to the returned buffer until the test ends.
func defaultLog(t *testing.T) *bytes.Buffer {
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	b := new(bytes.Buffer)
	slog.SetDefault(slog.New(slog.NewTextHandler(b, nil)))
	return b
}

// A customer behind the service's own proxy is told to list the proxy's address, which
// admits the world. The operator learns of it, and the customer nothing more than before.
func TestTheClientMayBeAProxy(t *testing.T) {
	const unread = "which Config.Address does not read from it: if that is a proxy of yours, want it declared there, and not on an access list"
	for name, test := range map[string]struct {
		address policyhttp.ClientAddress
		remote  string
		header  http.Header
		says    string // "" for no doubt
	}{
		"default topology": {policyhttp.ClientAddress{}, "10.0.0.1:1", lines("X-Forwarded-For", "192.0.2.7"),
			"policyhttp: the client may be a proxy: 10.0.0.1 came with X-Forwarded-For, " + unread},
		"two headers": {policyhttp.ClientAddress{}, "10.0.0.1:1", http.Header{"X-Real-Ip": {"192.0.2.7"}, "Forwarded": {"for=192.0.2.7"}},
			"policyhttp: the client may be a proxy: 10.0.0.1 came with Forwarded, X-Real-IP, " + unread},
		"an unreadable one": {policyhttp.ClientAddress{}, "10.0.0.1:1", lines("X-Real-Ip", "unknown"),
			"policyhttp: the client may be a proxy: 10.0.0.1 came with X-Real-IP, " + unread},
		"two of one": {policyhttp.ClientAddress{}, "10.0.0.1:1", lines("X-Real-Ip", "10.0.0.1", "10.0.0.1"),
			"policyhttp: the client may be a proxy: 10.0.0.1 came with X-Real-IP, " + unread},
		"undeclared proxy": {policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), "172.16.0.1:1", lines("X-Forwarded-For", "192.0.2.7"),
			"policyhttp: the client may be a proxy: 172.16.0.1 came with X-Forwarded-For, " + unread},
		"undeclared edge": {policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), trustedPeer, http.Header{"X-Forwarded-For": {"198.51.100.1"}, "Cf-Connecting-Ip": {"192.0.2.7"}},
			"policyhttp: the client may be a proxy: 198.51.100.1 came with CF-Connecting-IP, " + unread},
		"addresses left of the client": {policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), trustedPeer, lines("X-Forwarded-For", "192.0.2.7, 198.51.100.1"),
			"policyhttp: the client may be a proxy: X-Forwarded-For has addresses left of 198.51.100.1: if that is a proxy of yours, want it among the trusted ones (or one more hop), and not on an access list"},
		"addresses left, by hops": {policyhttp.FromHops(policyhttp.Forwarded, 1, proxies...), trustedPeer, lines("Forwarded", "for=192.0.2.7, for=198.51.100.1"),
			"policyhttp: the client may be a proxy: Forwarded has addresses left of 198.51.100.1: if that is a proxy of yours, want it among the trusted ones (or one more hop), and not on an access list"},

		"no header": {policyhttp.ClientAddress{}, "198.51.100.1:1", http.Header{"X-Forwarded-Host": {"api.example"}}, ""},
		"the same address": {policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), trustedPeer, http.Header{
			"X-Forwarded-For": {"198.51.100.1"}, "X-Real-Ip": {"198.51.100.1"}, "Cloudfront-Viewer-Address": {"198.51.100.1:80"}, "Forwarded": {`for="198.51.100.1:80"`},
		}, ""},
		// IPv6 as these edges write it: with a port and no brackets, or without a port.
		"the same IPv6 address": {policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), trustedPeer, http.Header{
			"X-Forwarded-For": {"[2001:db8::5:1]"}, "Cloudfront-Viewer-Address": {"2001:db8::5:1:46532"}, "Cf-Connecting-Ip": {"2001:db8::5:1"},
		}, ""},
		// Cloudflare with Pseudo IPv4 set to Add Header, and a proxy behind it that appends.
		"an edge's other headers": {policyhttp.FromHeader("CF-Connecting-IP", proxies...), trustedPeer, http.Header{
			"Cf-Connecting-Ip": {"2001:db8::1"}, "Cf-Pseudo-Ipv4": {"246.1.2.3"}, "X-Forwarded-For": {"2001:db8::1, 172.16.0.1"},
			"Forwarded": {`for="[2001:db8::1]", for=172.16.0.1`},
		}, ""},
		// An inner proxy writes the outer one, which is trusted, into a header that is not read.
		"a trusted address": {policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), trustedPeer, http.Header{
			"X-Forwarded-For": {"198.51.100.1, 10.0.0.2"}, "X-Real-Ip": {"10.0.0.2"},
		}, ""},
		"a trusted address, from an undeclared proxy": {policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), "172.16.0.1:1", http.Header{
			"X-Forwarded-For": {"198.51.100.1, 10.0.0.2"}, "X-Real-Ip": {"10.0.0.2"},
		}, "policyhttp: the client may be a proxy: 172.16.0.1 came with X-Forwarded-For, X-Real-IP, " + unread},
		"addresses left, in an unread header": {policyhttp.FromHeader("CF-Connecting-IP", proxies...), trustedPeer, http.Header{
			"Cf-Connecting-Ip": {"198.51.100.1"}, "X-Forwarded-For": {"192.0.2.7, 198.51.100.1, 172.16.0.1"},
		}, "policyhttp: the client may be a proxy: 198.51.100.1 came with X-Forwarded-For, " + unread},
		"a declared header": {policyhttp.FromHeader("X-Real-IP", proxies...), trustedPeer, lines("X-Real-Ip", "198.51.100.1"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			logged := defaultLog(t)
			s := newService(t)
			s.config.Address = test.address
			var counters policyhttp.Counters
			var lines bytes.Buffer
			s.observers = []policy.Option{policy.WithObserver(counters.Observe), policy.WithObserver(policyhttp.Log(slog.New(slog.NewJSONHandler(&lines, nil)), policyhttp.LogOptions{}))}
			s.start()
			r := withBearer(s.secret.Reveal())
			r.RemoteAddr = test.remote
			for name, values := range test.header {
				r.Header[name] = values
			}
			plain := withBearer(s.secret.Reveal()) // from the same client, without a sign
			client, _, err := test.address.Resolve(test.remote, r.Header)
			require.NoError(t, err)
			plain.RemoteAddr = client.String() + ":1"
			if test.says == "" || test.address.String() != (policyhttp.ClientAddress{}).String() && test.remote == trustedPeer {
				plain.RemoteAddr, plain.Header = r.RemoteAddr, r.Header
			}

			w := s.serve(r)
			requireDenied(t, w, 403, "IP_ADDRESS_NOT_ON_ACCESS_LIST")
			require.NotContains(t, w.Body.String(), "proxy")
			require.Equal(t, dump(s.serve(plain)), dump(w), "the caller is told nothing of it")

			d := s.route.Check(r)
			require.Equal(t, policy.AddressNotListed, d.Reason)
			if test.says == "" {
				require.NoError(t, d.Cause)
				require.Empty(t, logged.String())
				require.NotContains(t, lines.String(), "possible_proxy")
				require.NotContains(t, strings.ReplaceAll(d.Explain(), s.key.ID.String(), ""), "proxy", "a random ID aside")
				return
			}
			require.EqualError(t, d.Cause, test.says)
			require.ErrorIs(t, d.Cause, policy.ErrPossibleProxy)
			require.Equal(t, policy.PossibleProxy, d.Kind())
			require.Contains(t, d.Explain(), test.says)
			require.Contains(t, d.Explain(), "verified by secret")
			require.Positive(t, counters.CountKind(policy.PossibleProxy))
			require.Contains(t, lines.String(), `"kind":"possible_proxy"`)
			require.Contains(t, lines.String(), test.says)

			// The first warns, once for a guard.
			require.Equal(t, 1, strings.Count(logged.String(), "level=WARN"), logged.String())
			require.Contains(t, logged.String(), test.says)
			requireNoSecret(t, s.secret, logged.String(), lines.String())
		})
	}
}

// Each denial by address asks for signs, and no other decision.
func TestDoubtsAreOfDenialsByAddress(t *testing.T) {
	defaultLog(t)
	for reason, change := range map[policy.Reason]func(*service){
		policy.AddressNotListed:               func(s *service) { s.key.AccessList, _ = accesslist.Parse("192.0.2.1") },
		policy.OrganizationRequiresAccessList: func(s *service) { s.key.AccessList, s.organization.Requirement = accesslist.List{}, policy.Required },
		policy.EndpointRequiresAccessList:     func(s *service) { s.key.AccessList, s.endpoint.RequiresAccessList = accesslist.List{}, true },
		policy.KeyDisabled:                    func(s *service) { s.key.Disabled = true },
		policy.WrongOrganization:              func(s *service) { s.resource = names("globex", "") },
		policy.RoleMissing:                    func(s *service) { s.endpoint.Roles = []string{"owner"} },
		policy.AddressListed:                  func(*service) {},
		policy.OpenList:                       func(s *service) { s.key.AccessList, s.organization.Requirement = accesslist.List{}, policy.ReportOnly },
	} {
		s := newService(t)
		change(s)
		s.start()
		r := withBearer(s.secret.Reveal())
		r.Header.Set("X-Real-IP", "192.0.2.7")
		d := s.route.Check(r)
		require.Equal(t, reason, d.Reason)
		byAddress := reason >= policy.AddressNotListed && reason <= policy.EndpointRequiresAccessList
		require.Equal(t, byAddress, d.Cause != nil, reason)
		require.Equal(t, byAddress, strings.Contains(d.Explain(), "may be a proxy"))

		// A call of another transport has the same.
		guard, err := policyhttp.New(s.config)
		require.NoError(t, err)
		other := guard.Check(context.Background(), policyhttp.Call{
			Remote: r.RemoteAddr, Header: r.Header, Endpoint: &s.endpoint,
			Resolver: policy.ResolverFunc(func(context.Context) (policy.Resource, error) { return s.resource(r) }),
		})
		require.Equal(t, reason, other.Reason)
		require.Equal(t, d.Kind(), other.Kind())
	}
}
