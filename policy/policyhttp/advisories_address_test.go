package policyhttp_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// Each test here is one way in which other programs were told a wrong address, or read a
// right one wrongly. Somebody has a stolen key that may call from 203.0.113.7 only, calls
// from 198.51.100.66, and tries it on a guard.

const (
	listed   = "203.0.113.7"
	attacker = "198.51.100.66"
)

// wantStopped sends a request with the stolen key past every topology and checks that the
// attacker is seen as seen, or refused, and never let in. Topologies that are given
// replace the usual ones.
func wantStopped(t *testing.T, remote string, header http.Header, seen string, addresses ...policyhttp.ClientAddress) {
	t.Helper()
	if len(addresses) == 0 {
		addresses = append(addresses, policyhttp.ClientAddress{})
		for _, a := range topologies() {
			addresses = append(addresses, a)
		}
	}
	for _, address := range addresses {
		_, route, secret := guardOf(t, address)
		r := asked(remote, header.Clone())
		r.Header.Set("Authorization", "Bearer "+secret.Reveal())
		d := route.Check(r)
		client, _, err := address.Resolve(remote, header)
		switch {
		case d.Allowed():
			t.Errorf("%v\npeer %q, %v: let in, as %v", address, remote, header, client)
		case seen == "" && (err == nil || d.Reason != reasonOf(err) || d.Cause == nil):
			t.Errorf("%v\npeer %q, %v: %v is taken for the client; want it refused", address, remote, header, client)
		case seen != "" && (client.String() != seen || d.Reason != policy.AddressNotListed || d.Answer().Parameters[0] != seen):
			t.Errorf("%v\npeer %q, %v: %v, %v; want %s, not listed", address, remote, header, client, err, seen)
		}
	}
}

// reasonOf is the reason for a request without an address: the operator's fault, or the
// caller's.
func reasonOf(err error) policy.Reason {
	if errors.Is(err, policy.ErrUnknownClient) {
		return policy.Unavailable
	}
	return policy.InvalidRequest
}

// claims are headers of a direct caller who claims to be listed.
func claims(names ...string) http.Header {
	header := http.Header{}
	for _, name := range names {
		header.Set(name, listed)
	}
	if header.Get("Forwarded") != "" {
		header.Set("Forwarded", "for="+listed)
	}
	return header
}

// Tyk took X-Real-IP, or the leftmost address of X-Forwarded-For, from anybody
// (TykTechnologies/tyk #624, #3654).
func TestTykXRealIPAndTheLeftmostAddress(t *testing.T) {
	wantStopped(t, attacker+":1", claims("X-Real-IP", "X-Forwarded-For"), attacker)
	wantStopped(t, trustedPeer, lines("X-Forwarded-For", listed+", "+attacker), attacker,
		policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), policyhttp.FromHops(policyhttp.XForwardedFor, 1, proxies...))
}

// MinIO took the address for its policies from a header open to anyone.
func TestMinIOAddressFromAHeader(t *testing.T) {
	wantStopped(t, attacker+":1", claims("X-Forwarded-For", "X-Real-IP", "Forwarded"), attacker)
}

// unkey took the address from a header that anyone can send.
func TestUnkeyAddressFromAHeader(t *testing.T) {
	wantStopped(t, attacker+":1", claims("True-Client-IP", "X-Forwarded-For"), attacker)
}

// gin believed X-Forwarded-For of every peer unless told otherwise: its trusted proxies
// were 0.0.0.0/0 and ::/0 by default.
func TestGinCVE202028483EverybodyIsATrustedProxy(t *testing.T) {
	wantStopped(t, attacker+":1", claims("X-Forwarded-For", "X-Real-IP"), attacker)
	for _, everybody := range [][]netip.Prefix{blocks("0.0.0.0/0"), blocks("::/0"), blocks("0.0.0.0/0", "::/0")} {
		for _, a := range []policyhttp.ClientAddress{
			policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, everybody...),
			policyhttp.FromHops(policyhttp.XForwardedFor, 1, everybody...),
			policyhttp.FromHeader("X-Real-IP", everybody...),
		} {
			_, err := policyhttp.New(policyhttp.Config{Engine: policy.New(nil), Address: a})
			require.ErrorContains(t, err, " address to set the header")
			wantRefused(t, a, attacker+":1", claims("X-Forwarded-For", "X-Real-IP"), "trusts every IPv")
		}
	}
}

// chi's RealIP took the first address of X-Forwarded-For.
func TestChiGHSA3fxj6jh8hvhxTheFirstAddress(t *testing.T) {
	for _, value := range []string{listed + ", " + attacker, listed + "," + attacker + ",10.0.0.2", listed + ", 10.0.0.9, " + attacker} {
		wantStopped(t, trustedPeer, lines("X-Forwarded-For", value), attacker, policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...))
	}
	wantStopped(t, attacker+":1", lines("X-Forwarded-For", listed+", "+attacker), attacker)
}

// chi's RealIP took True-Client-IP, X-Real-IP and X-Forwarded-For, without asking
// whether a trusted proxy had sent them.
func TestChiGHSArjr7jgghpgcpNobodyAsksWhoSentIt(t *testing.T) {
	for _, name := range []string{"True-Client-IP", "X-Real-IP", "X-Forwarded-For"} {
		wantStopped(t, attacker+":1", claims(name), attacker)
	}
	// A trusted proxy passes on what it does not know; nor does that count.
	passedOn := claims("True-Client-IP", "X-Real-IP", "Forwarded")
	passedOn.Set("X-Forwarded-For", attacker)
	wantStopped(t, trustedPeer, passedOn, attacker, policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...))
}

// chi's RealIP wrote the first address of X-Forwarded-For into RemoteAddr, where all that
// came later took it for the peer. It leaves an address without a port there.
func TestChiGHSA9g5q2w5xhmxfRemoteAddrIsRewritten(t *testing.T) {
	wantStopped(t, attacker+":1", lines("X-Forwarded-For", listed+", 192.0.2.1"), attacker)
	for _, rewritten := range []string{listed, "2001:db8::7", ""} {
		wantStopped(t, rewritten, claims("X-Forwarded-For"), "")
	}
}

// In a batch of APISIX the caller could rewrite X-Real-IP. A header that the caller and
// the proxy have both set is refused, and the service's own host is trusted no more than
// others.
func TestAPISIXCVE202224112XRealIPIsRewritten(t *testing.T) {
	a := policyhttp.FromHeader("X-Real-IP", proxies...)
	wantStopped(t, trustedPeer, http.Header{"X-Real-Ip": {attacker, listed}}, "", a)
	wantStopped(t, trustedPeer, http.Header{"X-Real-Ip": {listed, attacker}}, "", a)
	wantStopped(t, trustedPeer, http.Header{"X-Real-Ip": {attacker}, "x-real-ip": {listed}}, "", a)
	wantStopped(t, "127.0.0.1:1", claims("X-Real-IP"), "127.0.0.1")
	wantStopped(t, "[::1]:1", claims("X-Real-IP"), "::1")
}

// Fleet took the address from a header that anyone can send.
func TestFleetCVE202624000AddressFromAHeader(t *testing.T) {
	wantStopped(t, attacker+":1", claims("True-Client-IP", "X-Real-IP", "X-Forwarded-For"), attacker)
}

// 1Panel took the address from a header that anyone can send.
func Test1PanelGHSA7cqvqcq2r765AddressFromAHeader(t *testing.T) {
	wantStopped(t, attacker+":1", claims("X-Forwarded-For", "X-Real-IP"), attacker)
	wantStopped(t, attacker+":1", lines("X-Forwarded-For", "127.0.0.1"), attacker)
}

// net/http/httputil.ReverseProxy let a caller have headers dropped that the proxy had set,
// by Connection. There is no falling back from a header that is missing: not to
// the proxy's own address, nor to another header, which the caller may have sent.
func TestGoCVE202133197TheHeaderIsDropped(t *testing.T) {
	dropped := claims("X-Real-IP", "Forwarded", "True-Client-IP")
	dropped.Set("Connection", "close, X-Forwarded-For")
	wantStopped(t, trustedPeer, dropped, "",
		policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), policyhttp.FromHops(policyhttp.XForwardedFor, 1, proxies...))
	// The first of two proxies dropped it, and the second added the first.
	wantStopped(t, trustedPeer, lines("X-Forwarded-For", "10.0.0.2"), "",
		policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), policyhttp.FromHops(policyhttp.XForwardedFor, 2, proxies...))
}

// Apache's mod_proxy left X-Forwarded-For out if the caller named it in Connection, and
// programs behind it took the caller for the proxy.
func TestApacheCVE202231813TheProxyIsTakenForTheCaller(t *testing.T) {
	for name, a := range topologies() {
		_, err := policyhttp.New(policyhttp.Config{Engine: policy.New(nil), Address: a})
		require.NoError(t, err, name)
		wantStopped(t, trustedPeer, http.Header{"Connection": {"X-Forwarded-For, X-Real-Ip, Forwarded"}}, "", a)
	}
	// Even if the proxy itself may call.
	for _, header := range []http.Header{{}, lines("X-Forwarded-For", "10.0.0.2"), lines("X-Forwarded-For", "")} {
		client, _, err := policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...).Resolve(trustedPeer, header)
		require.Error(t, err)
		require.False(t, client.IsValid())
	}
}

// Traefik let callers remove headers that it had added, by naming them in Connection. Then
// one of the caller's must not stand in their place.
func TestTraefikCVE202445410AHeaderIsRemoved(t *testing.T) {
	for _, inItsPlace := range []string{"X_Real_IP", "X_Real-IP", "X-Real_Ip", "x-real-ip", "X-Forwarded-For", "True-Client-IP"} {
		header := http.Header{"Connection": {"X-Real-IP"}, inItsPlace: {listed}}
		wantStopped(t, trustedPeer, header, "", policyhttp.FromHeader("X-Real-IP", proxies...))
	}
}

// Traefik passed on names such as X_Forwarded_For as the caller sent them, and servers
// behind it took them for those with hyphens.
func TestTraefikGHSA5m6wwvh757vmAliases(t *testing.T) {
	for _, alias := range []string{"X_Forwarded_For", "X_forwarded_for", "x_forwarded_for", "X-Forwarded_For", "X_FORWARDED-FOR", http.CanonicalHeaderKey("X_Forwarded_For")} {
		for _, a := range []policyhttp.ClientAddress{policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), policyhttp.FromHops(policyhttp.XForwardedFor, 1, proxies...)} {
			wantStopped(t, trustedPeer, http.Header{alias: {listed}}, "", a)
			wantStopped(t, trustedPeer, http.Header{alias: {listed}, "X-Forwarded-For": {attacker}}, "", a)
			wantStopped(t, attacker+":1", http.Header{alias: {listed}}, attacker, a)
		}
	}
}

// Kong compared the load balancer's address with the list (Kong/kong #9983, #8350, #5416);
// once that was put on the list, everybody was let in. With declared proxies, none of them
// is ever the client.
func TestKongTheLoadBalancerIsTakenForTheClient(t *testing.T) {
	for name, a := range topologies() {
		header, value := "X-Forwarded-For", "%s, 10.0.0.2"
		switch name {
		case "header":
			header, value = "X-Real-Ip", "%s"
		case "trusted proxies, Forwarded", "hops, Forwarded":
			header, value = "Forwarded", "for=%s, for=10.0.0.2"
		}
		wantStopped(t, trustedPeer, lines(header, fmt.Sprintf(value, attacker)), attacker, a)
		for _, balancer := range []string{"10.0.0.2", "10.255.255.255"} {
			wantStopped(t, trustedPeer, lines(header, fmt.Sprintf(value, balancer)), "", a)
		}
		// And one that was not declared is seen by the doctor.
		guard, _, _ := guardOf(t, a)
		_, body := shown(guard.Doctor(anybody, nil), asked("172.16.0.1:1", lines(header, fmt.Sprintf(value, attacker))))
		require.Contains(t, body, "peer         172.16.0.1, which is not trusted and so is itself the client; if it is a proxy of yours, declare its address\nnot read     "+http.CanonicalHeaderKey(header)[:6])
	}
}

// CVE-2021-29923: Go's net.ParseIP took 0203.0.113.7 for 203.0.113.7, others for
// 131.0.113.7.
func TestGoCVE202129923LeadingZeros(t *testing.T) {
	for _, text := range []string{"0203.0.113.7", "203.00.113.7", "203.0.0113.7", "203.0.113.07", "203.0.113.007", "::ffff:203.0.113.07", "0313.0.0161.07"} {
		wantStopped(t, trustedPeer, lines("X-Forwarded-For", text), "", policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...))
		wantStopped(t, trustedPeer, lines("X-Forwarded-For", text+":80"), "", policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...))
		wantStopped(t, trustedPeer, lines("Forwarded", `for="`+text+`"`), "", policyhttp.FromTrustedProxies(policyhttp.Forwarded, proxies...))
		wantStopped(t, trustedPeer, lines("X-Real-Ip", text), "", policyhttp.FromHeader("X-Real-IP", proxies...))
		wantStopped(t, text+":80", http.Header{}, "")
	}
	// Nor is a proxy trusted by one.
	wantStopped(t, "10.0.0.01:80", claims("X-Forwarded-For", "X-Real-IP"), "")
	wantStopped(t, trustedPeer, lines("X-Forwarded-For", listed+", 10.0.0.02"), "", policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...))
}

// CVE-2024-24790: net/netip did not count an IPv4-mapped IPv6 address among those that the
// IPv4 address is among. Here a mapped proxy is trusted, a mapped client is listed, and
// neither form gets around the other.
func TestGoCVE202424790MappedAddresses(t *testing.T) {
	a := policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...)
	for _, remote := range []string{"10.0.0.1:1", "[::ffff:10.0.0.1]:1", "[::ffff:a00:1]:1"} {
		for _, value := range []string{listed, "::ffff:" + listed, "[::ffff:cb00:7107]:80", listed + ", ::ffff:10.0.0.2", listed + ", [::FFFF:0A00:0002]:1"} {
			_, route, secret := guardOf(t, a)
			header := lines("X-Forwarded-For", value)
			header.Set("Authorization", "Bearer "+secret.Reveal())
			d := route.Check(asked(remote, header))
			require.Equal(t, policy.AddressListed, d.Reason, "%s, %s: %v", remote, value, d)
		}
		wantStopped(t, remote, lines("X-Forwarded-For", listed+", ::ffff:"+attacker), attacker, a)
		wantStopped(t, remote, lines("X-Forwarded-For", "::ffff:10.0.0.9"), "", a)
	}
	// A zone is refused before unmapping, which would drop it.
	wantStopped(t, "[::ffff:"+listed+"%eth0]:1", http.Header{}, "")
	wantStopped(t, trustedPeer, lines("X-Forwarded-For", "::ffff:"+listed+"%eth0"), "", a)
	wantStopped(t, trustedPeer, lines("X-Real-Ip", "::ffff:"+listed+"%eth0"), "", policyhttp.FromHeader("X-Real-IP", proxies...))
	wantStopped(t, "[::ffff:10.0.0.1%eth0]:1", lines("X-Forwarded-For", listed), "", a)
}

// GHSA-f99h-w337-mv56: a mask over 32 panicked.
func TestGHSAf99hw337mv56MaskOver32(t *testing.T) {
	for _, bits := range []int{-1, 33, 64, 129, 1 << 40} {
		a := policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), bits))
		require.ErrorContains(t, a.Err(), "is not a valid prefix")
		wantRefused(t, a, trustedPeer, lines("X-Forwarded-For", listed), "is not a valid prefix")
	}
	for _, text := range []string{listed + "/33", listed + "/4294967297", "2001:db8::7/129"} {
		wantStopped(t, trustedPeer, lines("X-Forwarded-For", text), "", policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...))
	}
}

// OPA took a block for a client's address, and Cedar a whole subnet.
func TestOPAAndCedarABlockIsNoClient(t *testing.T) {
	for _, text := range []string{listed + "/32", "203.0.113.0/24", "0.0.0.0/0", "::/0", "2001:db8::7/128", "0.0.0.0", "::"} {
		wantStopped(t, trustedPeer, lines("X-Forwarded-For", text), "", policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...))
		wantStopped(t, trustedPeer, lines("Forwarded", `for="`+text+`"`), "", policyhttp.FromTrustedProxies(policyhttp.Forwarded, proxies...))
		wantStopped(t, trustedPeer, lines("X-Real-Ip", text), "", policyhttp.FromHeader("X-Real-IP", proxies...))
		wantStopped(t, text+":1", http.Header{}, "")
	}
}

// casbin panicked on a malformed address.
func TestCasbinMalformedAddresses(t *testing.T) {
	for _, text := range []string{"", " ", ".", ":", "::::", "...", "[", "]", "[]", "[]:", "\x00", "\xff", "256.1.1.1", "1.2.3", "localhost", ",,,,", `"`, `\`, "for=", "for=\"\\"} {
		wantStopped(t, trustedPeer, lines("X-Forwarded-For", text), "", policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), policyhttp.FromHops(policyhttp.XForwardedFor, 2, proxies...))
		wantStopped(t, trustedPeer, lines("Forwarded", text), "", policyhttp.FromTrustedProxies(policyhttp.Forwarded, proxies...), policyhttp.FromHops(policyhttp.Forwarded, 2, proxies...))
		wantStopped(t, trustedPeer, lines("X-Real-Ip", text), "", policyhttp.FromHeader("X-Real-IP", proxies...))
		wantStopped(t, text+":", http.Header{}, "")
	}
}

// A bad entry dropped silently left a list empty, and an empty list meant everybody. Of
// the trusted addresses, one bad one spoils all, and none means nobody.
func TestTrustedAddressesThatMeanTheirOpposite(t *testing.T) {
	for _, prefixes := range [][]netip.Prefix{nil, {}, {{}}, {netip.MustParsePrefix("10.0.0.0/8"), {}}, blocks("10.0.0.0/8", "192.0.2.1/24"), blocks("::ffff:10.0.0.0/104")} {
		for _, a := range []policyhttp.ClientAddress{
			policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, prefixes...),
			policyhttp.FromHops(policyhttp.XForwardedFor, 1, prefixes...),
			policyhttp.FromHeader("X-Real-IP", prefixes...),
		} {
			require.Error(t, a.Err())
			for _, remote := range []string{trustedPeer, attacker + ":1", "@"} {
				wantRefused(t, a, remote, claims("X-Forwarded-For", "X-Real-IP"), "policyhttp: ")
			}
		}
	}
}

// Tyk's nil.Equal(nil) was true: an unreadable address equalled an unreadable entry. Here
// there is no address beside an error, and none is no client of any list, the open one
// included.
func TestTykNothingEqualsNothing(t *testing.T) {
	var nobody netip.Addr
	for _, header := range []http.Header{{}, lines("X-Forwarded-For", ""), lines("X-Forwarded-For", "unknown")} {
		client, _, err := policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...).Resolve(trustedPeer, header)
		require.Error(t, err)
		require.Equal(t, nobody, client)
	}
	d := policy.Evaluate(policy.Subject{}, policy.Request{Key: "k", Verifier: policy.AlreadyVerified{}, Client: nobody, Organization: "acme"}, accesslist.Entry{}.Added)
	require.Equal(t, policy.InvalidRequest, d.Reason)
}
