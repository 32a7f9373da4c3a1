package policyhttp_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

func anybody(*http.Request) bool { return true }

// guardOf returns a guard with this address topology, a route of it, and the secret of a
// key for 203.0.113.7.
func guardOf(t *testing.T, address policyhttp.ClientAddress) (*policyhttp.Guard, *policyhttp.Route, apikey.Secret) {
	t.Helper()
	key, secret, err := apikey.New("acme")
	require.NoError(t, err)
	key.AccessList, err = accesslist.Parse("203.0.113.7")
	require.NoError(t, err)
	engine := policy.New(policy.SourceFunc(func(_ context.Context, id apikey.ID) (policy.Subject, bool, error) {
		return policy.NewSubject(&key, &policy.Organization{ID: "acme"}), id == key.ID, nil
	}), policy.WithTimeout(time.Minute))
	guard, err := policyhttp.New(policyhttp.Config{Engine: engine, Address: address})
	require.NoError(t, err)
	acme := names("acme", "")
	return guard, guard.Route(policy.Endpoint{Name: "backups.list"}, acme), secret
}

// asked is a request for the doctor.
func asked(remote string, header http.Header) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/doctor", nil)
	r.RemoteAddr, r.Header = remote, header
	return r
}

func shown(doctor http.Handler, r *http.Request) (*http.Response, string) {
	w := httptest.NewRecorder()
	doctor.ServeHTTP(w, r)
	return w.Result(), w.Body.String()
}

func TestDoctorShowsWhatTheGuardSees(t *testing.T) {
	header := forged()
	delete(header, "X_forwarded_for")
	delete(header, "x-forwarded-for")
	header.Set("X-Forwarded-For", "192.0.2.1, 198.51.100.1, 203.0.113.7:4711, 10.0.0.2")
	header.Set("Forwarded", `for=192.0.2.1, nonsense;secret=1, for="[2001:db8::7]:80", for=10.0.0.2;secret=2`)
	header.Set("Authorization", "bearer x")
	const (
		edge   = "overwritten by the edge"
		ifSo   = "overwritten if configured"
		caller = "the caller's word"
		nobody = caller + " (no edge by its documentation); proxies pass unknown headers on: want "
		others = "" +
			"             X-Real-IP: " + ifSo + " (nginx, Traefik and others); nginx sends $remote_addr only where proxy_set_header says so\n" +
			"             CF-Connecting-IP: " + edge + " (Cloudflare); in 240.0.0.0/4, and refused, with Pseudo IPv4 set to Overwrite Headers; 2a06:98c0:3600::103 for every Worker of another zone\n" +
			"             True-Client-IP: " + ifSo + " (Akamai, Cloudflare); Cloudflare passes the caller's on unless the Managed Transform that adds it is on\n" +
			"             Fastly-Client-IP: " + caller + " (Fastly); the caller's is kept if it sent one: want a header of your own that VCL sets to client.ip where fastly.ff.visits_this_service is 0\n" +
			"             X-Envoy-External-Address: " + ifSo + " (Envoy); neither set nor overwritten for callers from Envoy's internal addresses\n" +
			"             X-Cluster-Client-IP: " + ifSo + " (Rackspace, Riverbed and Zeus balancers); send one yourself, and see by the doctor whether it arrives\n" +
			"             X-Original-Forwarded-For: " + caller + " (ingress-nginx); the X-Forwarded-For that the caller sent: want X-Forwarded-For by FromTrustedProxies or FromHops\n" +
			"             X-Client-IP: " + nobody + "the header that your edge documents to overwrite\n" +
			"             Client-IP: " + nobody + "the header that your edge documents to overwrite\n" +
			"             X-Forwarded: " + nobody + "Forwarded or X-Forwarded-For by FromTrustedProxies or FromHops\n" +
			"             Forwarded-For: " + nobody + "Forwarded or X-Forwarded-For by FromTrustedProxies or FromHops\n"
		xForwardedFor = "X-Forwarded-For: a list, appended to (most proxies); a port behind the address from Azure Application Gateway, and from an AWS ALB with client port preservation\n"
		forwarded     = "Forwarded: a list, appended to (proxies with RFC 7239); IPv6 in brackets and quotes\n"
	)
	const trusted = "; trusted: 10.0.0.0/8, 2001:db8:a::/48\n"

	for _, test := range []struct {
		address policyhttp.ClientAddress
		remote  string
		header  http.Header
		want    string
	}{
		{policyhttp.ClientAddress{}, "203.0.113.7:5000", http.Header{}, "" +
			"topology     the peer of the connection; no header is read\n" +
			"peer         203.0.113.7\n" +
			"client       203.0.113.7, from peer\n" +
			"credentials  policyhttp: no credentials: the request has no Authorization header\n"},
		{policyhttp.ClientAddress{}, "203.0.113.7", http.Header{"Authorization": {"a", "b"}}, "" +
			"topology     the peer of the connection; no header is read\n" +
			"peer         \"203.0.113.7\", which is not an address and a port\n" +
			"client       none: policyhttp: the peer of the connection is \"203.0.113.7\": want an address without a zone and a port, as net/http sets RemoteAddr; middleware that rewrites it must not come before the guard\n" +
			"credentials  policyhttp: malformed credentials: 2 Authorization headers: want one\n"},
		{policyhttp.ClientAddress{}, "@", http.Header{"Authorization": {"Basic"}}, "" +
			"topology     the peer of the connection; no header is read\n" +
			"peer         a connection on a Unix socket, which is not declared\n" +
			"client       none: policyhttp: the connection is on a Unix socket, which has no peer address: want a topology that declares it WithUnixSocket\n" +
			"credentials  Authorization with the scheme Basic\n"},
		{policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), trustedPeer, header, "" +
			"topology     the first address from the right of X-Forwarded-For that is not trusted" + trusted +
			"peer         10.0.0.1, which is trusted\n" +
			"X-Forwarded-For:\n" +
			"             \"10.0.0.2\": a trusted proxy\n" +
			"             \"203.0.113.7:4711\": the client\n" +
			"             \"198.51.100.1\": left of the client: not looked at\n" +
			"             \"192.0.2.1\": left of the client: not looked at\n" +
			"not read     " + forwarded + others +
			"client       203.0.113.7, from x_forwarded_for\n" +
			"credentials  Authorization with the scheme Bearer\n"},
		{policyhttp.FromTrustedProxies(policyhttp.Forwarded, proxies...), trustedPeer, header, "" +
			"topology     the first address from the right of Forwarded that is not trusted" + trusted +
			"peer         10.0.0.1, which is trusted\n" +
			"Forwarded:\n" +
			"             \"10.0.0.2\": a trusted proxy\n" +
			"             \"[2001:db8::7]:80\": the client\n" +
			"             \"\": left of the client: not looked at\n" +
			"             \"192.0.2.1\": left of the client: not looked at\n" +
			"not read     " + xForwardedFor + others +
			"client       2001:db8::7, from forwarded\n" +
			"credentials  Authorization with the scheme Bearer\n"},
		{policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), strangePeer, lines("X-Forwarded-For", "203.0.113.7"), "" +
			"topology     the first address from the right of X-Forwarded-For that is not trusted" + trusted +
			"peer         198.51.100.66, which is not trusted and so is itself the client; if it is a proxy of yours, declare its address\n" +
			"not read     " + xForwardedFor +
			"client       198.51.100.66, from peer\n" +
			"credentials  policyhttp: no credentials: the request has no Authorization header\n"},
		{policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), trustedPeer, lines("X-Forwarded-For", "203.0.113.7, unknown, 10.0.0.2"), "" +
			"topology     the first address from the right of X-Forwarded-For that is not trusted" + trusted +
			"peer         10.0.0.1, which is trusted\n" +
			"X-Forwarded-For:\n" +
			"             \"10.0.0.2\": a trusted proxy\n" +
			"             \"unknown\": cannot be read\n" +
			"client       none: policyhttp: X-Forwarded-For, number 2 from the right, is \"unknown\": want an IP address without a zone, such as \"192.0.2.1\", \"192.0.2.1:4711\" or \"[2001:db8::1]:4711\" (peer 10.0.0.1)\n" +
			"credentials  policyhttp: no credentials: the request has no Authorization header\n"},
		{policyhttp.FromHops(policyhttp.XForwardedFor, 2, proxies...), trustedPeer, lines("X-Forwarded-For", "10.0.0.3, 198.51.100.1"), "" +
			"topology     address 2 from the right of X-Forwarded-For" + trusted +
			"peer         10.0.0.1, which is trusted\n" +
			"X-Forwarded-For:\n" +
			"             \"198.51.100.1\": a proxy, by the number of hops\n" +
			"             \"10.0.0.3\": a trusted address, which cannot be the client\n" +
			"client       none: policyhttp: X-Forwarded-For, number 2 from the right, is 10.0.0.3, which is a trusted address: want the client's, so perhaps more hops (peer 10.0.0.1)\n" +
			"credentials  policyhttp: no credentials: the request has no Authorization header\n"},
		{policyhttp.FromHeader("X-Real-IP").WithUnixSocket(), "@", http.Header{"X-Real-Ip": {"203.0.113.7"}, "Authorization": {"Negotiate x"}}, "" +
			"topology     the address in X-Real-Ip; trusted: connections on a Unix socket\n" +
			"peer         a connection on a Unix socket, which is trusted\n" +
			"X-Real-Ip:\n" +
			"             \"203.0.113.7\": the client\n" +
			"client       203.0.113.7, from header\n" +
			"credentials  policyhttp: no credentials: the Authorization header has an unaccepted scheme: want one of Config.Schemes\n"},
		{policyhttp.FromHeader("X-Real-IP", proxies...), trustedPeer, lines("X-Real-Ip", "203.0.113.7, 10.0.0.2"), "" +
			"topology     the address in X-Real-Ip" + trusted +
			"peer         10.0.0.1, which is trusted\n" +
			"X-Real-Ip:\n" +
			"             \"203.0.113.7, 10.0.0.2\": cannot be read\n" +
			"client       none: policyhttp: X-Real-Ip is \"203.0.113.7, 10.0.0.2\": want one IP address without a zone and nothing else (peer 10.0.0.1)\n" +
			"credentials  policyhttp: no credentials: the request has no Authorization header\n"},
		{policyhttp.FromHeader("X-Real-IP", proxies...), trustedPeer, lines("X-Real-Ip", "10.0.0.2"), "" +
			"topology     the address in X-Real-Ip" + trusted +
			"peer         10.0.0.1, which is trusted\n" +
			"X-Real-Ip:\n" +
			"             \"10.0.0.2\": a trusted address, which cannot be the client\n" +
			"client       none: policyhttp: X-Real-Ip is 10.0.0.2, which is a trusted address: want the client's, so an edge that overwrites the header (peer 10.0.0.1)\n" +
			"credentials  policyhttp: no credentials: the request has no Authorization header\n"},
	} {
		guard, _, _ := guardOf(t, test.address)
		response, body := shown(guard.Doctor(anybody, nil), asked(test.remote, test.header))
		require.Equal(t, test.want, body)
		require.Equal(t, 200, response.StatusCode)
		require.Equal(t, "no-store", response.Header.Get("Cache-Control"))
		require.Equal(t, "text/plain; charset=utf-8", response.Header.Get("Content-Type"))
		require.Equal(t, "nosniff", response.Header.Get("X-Content-Type-Options"))
	}
}

// The header of a key is named and not shown, and that of another scheme neither.
func TestDoctorNamesTheScheme(t *testing.T) {
	guard, err := policyhttp.New(policyhttp.Config{Engine: policy.New(nil), Schemes: []policyhttp.Scheme{policyhttp.Bearer(), policyhttp.KeyHeader("X-API-Key")}})
	require.NoError(t, err)
	for want, header := range map[string]http.Header{
		"X-Api-Key":                            {"X-Api-Key": {"hidden"}},
		"Authorization with the scheme Bearer": {"Authorization": {"bearer hidden"}},
		"policyhttp: no credentials: the request has no Authorization or X-Api-Key header":                               {},
		"policyhttp: malformed credentials: 2 X-Api-Key headers: want one":                                               {"X-Api-Key": {"hidden", "hidden"}},
		"policyhttp: malformed credentials: credentials in the headers Authorization and X-Api-Key: want one of the two": {"X-Api-Key": {"hidden"}, "Authorization": {"bearer hidden"}},
	} {
		_, body := shown(guard.Doctor(anybody, nil), asked("203.0.113.7:5000", header))
		require.Contains(t, body, "credentials  "+want+"\n")
		require.NotContains(t, body, "hidden")
	}
}

// Of a list of any length a few elements are shown, and each is cut.
func TestDoctorIsShort(t *testing.T) {
	guard, route, _ := guardOf(t, policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...))
	long := strings.Repeat("x", 100_000)
	_, body := shown(guard.Doctor(anybody, route), asked(trustedPeer, lines("X-Forwarded-For", strings.Repeat(long+",", 100)+"203.0.113.7")))
	require.Equal(t, 10, strings.Count(body, "not looked at"))
	require.Less(t, len(body), 5000)
}

func TestDoctorExplainsADecision(t *testing.T) {
	guard, route, secret := guardOf(t, policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...))
	doctor := guard.Doctor(anybody, route)

	header := lines("X-Forwarded-For", "203.0.113.7")
	header.Set("Authorization", "Bearer "+secret.Reveal())
	_, body := shown(doctor, asked(trustedPeer, header))
	require.Contains(t, body, "client       203.0.113.7, from x_forwarded_for\ncredentials  Authorization with the scheme Bearer\n\nallow address_listed\n")
	require.NotContains(t, body, "answer  ")

	header.Set("X-Forwarded-For", "203.0.113.8")
	_, body = shown(doctor, asked(trustedPeer, header))
	require.Contains(t, body, "answer       403 IP_ADDRESS_NOT_ON_ACCESS_LIST\n\ndeny address_not_listed\n")
	require.Contains(t, body, "203.0.113.8 is covered by none; the list has 1 entry")

	header.Set("X-Forwarded-For", "unknown")
	_, body = shown(doctor, asked(trustedPeer, header))
	require.Contains(t, body, "\nerror        policyhttp: X-Forwarded-For, number 1 from the right, is \"unknown\": want")
	require.Contains(t, body, "answer       503 ")
	require.Contains(t, body, "\ndeny unavailable\n")
}

// To everybody else there is nothing, by any way to find out.
func TestDoctorIsForOperatorsOnly(t *testing.T) {
	before := slog.Default()
	defer slog.SetDefault(before)
	var logged strings.Builder
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))

	guard, route, secret := guardOf(t, policyhttp.ClientAddress{})
	calls := 0
	var none *policyhttp.Guard
	for name, doctor := range map[string]http.Handler{
		"nil":        guard.Doctor(nil, route),
		"false":      guard.Doctor(func(*http.Request) bool { calls++; return false }, route),
		"panics":     guard.Doctor(func(*http.Request) bool { panic("the session store is gone") }, route),
		"nil guard":  none.Doctor(anybody, route),
		"no session": guard.Doctor(func(r *http.Request) bool { c, err := r.Cookie("session"); return err == nil && c.Value == "operator" }, route),
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions} {
			r := asked("203.0.113.7:5000", http.Header{"Authorization": {"Bearer " + secret.Reveal()}})
			r.Method = method
			response, body := shown(doctor, r)
			want, wantBody := shown(http.NotFoundHandler(), r)
			require.Equal(t, want.Status, response.Status, name)
			require.Equal(t, wantBody, body, name)
			require.Equal(t, want.Header, response.Header, name)
		}
	}
	require.Equal(t, 4, calls)
	require.Contains(t, logged.String(), "isOperator of the doctor panicked, and nothing was shown")
	require.Contains(t, logged.String(), "the session store is gone")
}

// A zero Guard and a zero Route are no reason to show anything that is not so.
func TestDoctorOfNothing(t *testing.T) {
	_, body := shown(new(policyhttp.Guard).Doctor(anybody, new(policyhttp.Route)), asked("203.0.113.7:5000", http.Header{}))
	require.Contains(t, body, "client       203.0.113.7, from peer\n")
	require.Contains(t, body, "deny unavailable\n")
}

func TestDoctorTellsNoSecret(t *testing.T) {
	const hidden = "c2VjcmV0OnNlY3JldA"
	for name, address := range topologies() {
		guard, route, secret := guardOf(t, address.WithUnixSocket())
		for _, secret := range []string{hidden, secret.Reveal()} {
			for _, authorization := range []string{
				secret, "Bearer " + secret, "bearer  " + secret, "Basic " + secret, "Basic:" + secret, secret + " x", "Token " + secret, "Bearer\t" + secret,
				"Digest username=\"" + secret + "\", response=\"" + secret + "\"", secret + ", Bearer x",
			} {
				header := http.Header{
					"Authorization": {authorization}, "Proxy-Authorization": {secret}, "Cookie": {"session=" + secret}, "X-Api-Key": {secret},
					"Forwarded":       {fmt.Sprintf("secret=%[1]s, for=203.0.113.7;secret=%[1]s, for=10.0.0.2;secret=\"%[1]s\"", secret)},
					"X-Forwarded-For": {"192.0.2.1, 203.0.113.7"}, "X-Real-Ip": {"203.0.113.7"},
				}
				for _, remote := range []string{trustedPeer, strangePeer, "@", "nonsense"} {
					_, body := shown(guard.Doctor(anybody, route), asked(remote, header))
					require.Contains(t, body, "client  ")
					require.NotContains(t, body, secret, "%s, %s", name, authorization)
				}
			}
		}
	}
}

// A caller may call its own end of a Unix socket what it likes, an address for instance.
func TestUnixSocketCallersCannotNameThemselves(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("this needs a Unix socket whose file has a colon in its name")
	}
	t.Chdir(t.TempDir())
	for _, test := range []struct {
		address    policyhttp.ClientAddress
		peer, want string
	}{
		{policyhttp.ClientAddress{}, "which is not declared", "client       none: policyhttp: the connection is on a Unix socket"},
		{policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...), "which is not declared", "client       none: policyhttp: the connection is on a Unix socket"},
		{policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, proxies...).WithUnixSocket(), "which is trusted", "client       203.0.113.9, from x_forwarded_for\n"},
	} {
		guard, route, _ := guardOf(t, test.address)
		listener, err := net.Listen("unix", "service.sock")
		require.NoError(t, err)
		seen := make(chan string, 1)
		doctor := guard.Doctor(anybody, route)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen <- r.RemoteAddr; doctor.ServeHTTP(w, r) })}
		go func() { _ = server.Serve(listener) }()

		for _, name := range []string{"203.0.113.7:80", "10.0.0.1:80", ""} {
			client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
				var local *net.UnixAddr
				if name != "" {
					local = &net.UnixAddr{Name: name, Net: "unix"}
				}
				return net.DialUnix("unix", local, &net.UnixAddr{Name: "service.sock", Net: "unix"})
			}}}
			r, err := http.NewRequest(http.MethodGet, "http://service/", nil)
			require.NoError(t, err)
			r.Header.Set("X-Forwarded-For", "192.0.2.1, 203.0.113.9")
			response, err := client.Do(r)
			require.NoError(t, err)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			if remote := <-seen; name != "" {
				require.Equal(t, name, remote)
			}
			require.Contains(t, string(body), test.peer)
			require.Contains(t, string(body), test.want)
			client.CloseIdleConnections()
			_ = os.Remove(name)
		}
		require.NoError(t, server.Close())
	}
}
