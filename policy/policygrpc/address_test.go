package policygrpc_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// On the loopback network everybody has an address of their own.
const (
	callerAt = "127.0.0.2"
	proxyAt  = "127.0.0.3"
	listedAt = "203.0.113.7" // what a forger would like to be
)

// dialFrom connects from an address of the loopback network.
func dialFrom(from string) func(ctx context.Context, network, target string) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return func(ctx context.Context, _, target string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp4", target)
	}
}

// connectFrom replaces the service's connection by one from that address to target.
func (s *service) connectFrom(from, target string) {
	s.t.Helper()
	dial := dialFrom(from)
	conn, err := grpc.NewClient("passthrough:///"+target, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, target string) (net.Conn, error) { return dial(ctx, "tcp4", target) }))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { require.NoError(s.t, conn.Close()) })
	s.conn = conn
}

// serveHTTP2 serves HTTP/2 without TLS until the test ends.
func serveHTTP2(t testing.TB, listener net.Listener, handler http.Handler) {
	t.Helper()
	server := &http.Server{Handler: handler, Protocols: new(http.Protocols), ReadHeaderTimeout: time.Minute}
	server.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-done, http.ErrServerClosed)
	})
}

// startProxy is a proxy as those in front of services are: it appends the address of its
// caller to X-Forwarded-For. It returns its address.
func startProxy(t testing.TB, target string) string {
	t.Helper()
	transport := &http.Transport{DialContext: dialFrom(proxyAt), Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	proxy := &httputil.ReverseProxy{
		// Not flushed by force: then a status alone would come without an end of the stream.
		Transport: transport, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: target})
			r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
			r.SetXForwarded()
		},
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	serveHTTP2(t, listener, proxy)
	return listener.Addr().String()
}

// A header that the caller made up has no effect, whether it is sent around the trusted
// proxy or through it.
func TestForgedForwarding(t *testing.T) {
	for name, list := range map[string]struct {
		addresses string
		allowed   bool
	}{
		"the caller is listed":         {callerAt, true},
		"the forged address is listed": {listedAt, false},
		"the proxy is listed":          {proxyAt, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			s.address = policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, netip.MustParsePrefix(proxyAt+"/32"))
			var err error
			s.key.AccessList, err = accesslist.Parse(list.addresses)
			require.NoError(t, err)
			s.start()
			target := s.conn.Target()
			proxy := startProxy(t, target)
			for way, to := range map[string]string{"around": target, "through": proxy} {
				s.connectFrom(callerAt, to)
				origin := policy.OriginPeer
				if way == "through" {
					origin = policy.OriginXForwardedFor
				}
				for _, forged := range [][]string{
					nil,
					{"x-forwarded-for", listedAt},
					{"x-forwarded-for", listedAt + ", " + proxyAt},
					{"x-forwarded-for", "not an address"},
					{"x-real-ip", listedAt, "forwarded", "for=" + listedAt},
				} {
					for kind, err := range s.both(append(forged, s.authorized()...)...) {
						if list.allowed {
							assert.NoError(t, err, "%s, %s, %s", way, kind, forged)
							assert.Contains(t, s.last().String(), `client_from="`+origin.String()+`"`)
							continue
						}
						info := requireDenied(t, err, codes.PermissionDenied, "IP_ADDRESS_NOT_ON_ACCESS_LIST")
						assert.Equal(t, callerAt, info.Metadata["clientAddress"], "%s, %s, %s", way, kind, forged)
					}
				}
			}
			if !list.allowed {
				s.requireNotServed()
			}
		})
	}
}

// The metadata of a trusted peer are believed or refused.
func TestForwardingOfATrustedPeer(t *testing.T) {
	s := newService(t)
	s.address = policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, loopback())
	var err error
	s.key.AccessList, err = accesslist.Parse(listedAt)
	require.NoError(t, err)
	s.start()
	const fault = "ACCESS_CONTROL_UNAVAILABLE" // the proxy's, for the operator
	for name, test := range map[string]struct {
		pairs []string
		says  string // "" for allowed
	}{
		"its own":            {[]string{"x-forwarded-for", listedAt}, ""},
		"upper case":         {[]string{"X-Forwarded-For", listedAt}, ""},
		"none":               {nil, fault},
		"two":                {[]string{"x-forwarded-for", listedAt, "x-forwarded-for", listedAt}, fault},
		"another spelling":   {[]string{"x-forwarded-for", listedAt, "x_forwarded_for", "192.0.2.1"}, "INVALID_REQUEST"},
		"and with dots":      {[]string{"x-forwarded-for", listedAt, "x.forwarded.for", "192.0.2.1"}, "INVALID_REQUEST"},
		"no address":         {[]string{"x-forwarded-for", "unknown"}, fault},
		"nothing but itself": {[]string{"x-forwarded-for", "127.0.0.1"}, fault},
	} {
		for kind, err := range s.both(append(test.pairs, s.authorized()...)...) {
			if test.says == "" {
				assert.NoError(t, err, "%s, %s", name, kind)
				continue
			}
			code := codes.InvalidArgument
			if test.says == fault {
				code = codes.Unavailable
			}
			requireDenied(t, err, code, test.says)
			assert.ErrorContains(t, s.guard.Check(incoming("127.0.0.1:4711", append(test.pairs, s.authorized()...)...), restore, nil).Cause, "policyhttp: ", name)
		}
	}
}

// incoming is the context of a call from a peer on TCP.
func incoming(remote string, pairs ...string) context.Context {
	ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs(pairs...))
	return peer.NewContext(ctx, &peer.Peer{Addr: addr{"tcp", remote}})
}

// A peer without an address is refused, and is never taken for a trusted Unix socket.
func TestPeerWithoutAnAddress(t *testing.T) {
	s := newService(t)
	s.address = policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, loopback()).WithUnixSocket()
	var err error
	s.key.AccessList, err = accesslist.Parse(listedAt)
	require.NoError(t, err)
	guard := s.newGuard()
	ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs(append(s.authorized(), "x-forwarded-for", listedAt)...))
	for name, peerOf := range map[string]*peer.Peer{
		"no peer":     nil,
		"no address":  {},
		"an empty":    {Addr: addr{"", ""}},
		"bufconn":     {Addr: addr{"bufconn", "bufconn"}},
		"no port":     {Addr: addr{"tcp", "127.0.0.1"}},
		"with a zone": {Addr: addr{"tcp", "[fe80::1%eth0]:4711"}},
		"a host name": {Addr: addr{"tcp", "localhost:4711"}},
	} {
		d := guard.Check(peerContext(ctx, peerOf), restore, nil)
		assert.Equal(t, policy.Unavailable, d.Reason, "%s: %s", name, d)
		assert.ErrorIs(t, d.Cause, policy.ErrUnknownClient, name)
		assert.ErrorContains(t, d.Cause, "the peer of the connection is", name)
	}
	for name, peerOf := range map[string]*peer.Peer{
		"trusted on TCP":             {Addr: addr{"tcp", "127.0.0.1:4711"}},
		"a Unix socket":              {Addr: addr{"unix", ""}},
		"a Unix socket, named":       {Addr: addr{"unix", "192.0.2.1:80"}},
		"a Unix socket of the local": {Addr: addr{"tcp", "192.0.2.1:80"}, LocalAddr: addr{"unix", "/run/api"}},
		"of packets":                 {Addr: addr{"unixpacket", "@"}},
	} {
		d := guard.Check(peerContext(ctx, peerOf), restore, nil)
		assert.Equal(t, policy.AddressListed, d.Reason, "%s: %s", name, d)
	}
}

func peerContext(ctx context.Context, p *peer.Peer) context.Context {
	if p == nil {
		return ctx
	}
	return peer.NewContext(ctx, p)
}

// A caller on a Unix socket chooses the name of its own end. It is not its address.
func TestUnixSocket(t *testing.T) {
	for name, test := range map[string]struct {
		address policyhttp.ClientAddress
		serve   func(*service, net.Listener, string)
		allowed bool
	}{
		"undeclared":              {policyhttp.ClientAddress{}, (*service).serveUnix, false},
		"undeclared, by net/http": {policyhttp.ClientAddress{}, (*service).serveUnixHTTP, false},
		"declared":                {policyhttp.FromTrustedProxies(policyhttp.XForwardedFor).WithUnixSocket(), (*service).serveUnix, true},
		"declared, by net/http":   {policyhttp.FromTrustedProxies(policyhttp.XForwardedFor).WithUnixSocket(), (*service).serveUnixHTTP, true},
	} {
		t.Run(name, func(t *testing.T) {
			// In the folder, since the name of a client's socket is as long as the path.
			folder, err := os.MkdirTemp("", "")
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
			t.Chdir(folder)
			s := newService(t)
			s.address = test.address
			s.key.AccessList, err = accesslist.Parse(listedAt)
			require.NoError(t, err)
			listener, err := net.Listen("unix", "api")
			require.NoError(t, err)
			test.serve(s, listener, filepath.Join(folder, "api"))

			_, err = s.call(restore, append(s.authorized(), "x-forwarded-for", listedAt)...)
			if test.allowed {
				require.NoError(t, err)
				return
			}
			requireDenied(t, err, codes.Unavailable, "ACCESS_CONTROL_UNAVAILABLE")
			require.NotContains(t, s.last().String(), listedAt)
			s.requireNotServed()
		})
	}
}

// serveUnix serves a socket by grpc itself.
func (s *service) serveUnix(listener net.Listener, path string) {
	s.startOn(listener, "127.0.0.1:0")
	s.connectUnix(path)
}

// serveUnixHTTP serves it by net/http, in front of grpc's handler.
func (s *service) serveUnixHTTP(listener net.Listener, path string) {
	s.start()
	serveHTTP2(s.t, listener, s.server)
	s.connectUnix(path)
}

// connectUnix connects with a name that reads like an address on the list.
func (s *service) connectUnix(path string) {
	s.t.Helper()
	conn, err := grpc.NewClient("passthrough:///unix", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			dialer := net.Dialer{LocalAddr: &net.UnixAddr{Name: listedAt + ":80", Net: "unix"}}
			return dialer.DialContext(ctx, "unix", path)
		}))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { require.NoError(s.t, conn.Close()) })
	s.conn = conn
}

// The server as an http.Handler of net/http, over TCP.
func TestUnderNetHTTP(t *testing.T) {
	s := newService(t).start()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	serveHTTP2(t, listener, s.server)
	s.connectFrom("127.0.0.1", listener.Addr().String())
	for kind, err := range s.both(s.authorized()...) {
		require.NoError(t, err, kind)
	}
	s.connectFrom(callerAt, listener.Addr().String())
	for _, err := range s.both(append(s.authorized(), "x-forwarded-for", "127.0.0.1")...) {
		info := requireDenied(t, err, codes.PermissionDenied, "IP_ADDRESS_NOT_ON_ACCESS_LIST")
		require.Equal(t, callerAt, info.Metadata["clientAddress"])
	}
}

// An IPv4-mapped peer is the IPv4 address that it maps (rule A5), as on a listener for both.
func TestMappedPeer(t *testing.T) {
	s := newService(t)
	guard := s.newGuard()
	require.Equal(t, policy.AddressListed, guard.Check(incoming("[::ffff:127.0.0.1]:4711", s.authorized()...), restore, nil).Reason)
	d := guard.Check(incoming("[2001:db8::1]:4711", s.authorized()...), restore, nil)
	require.Equal(t, policy.AddressNotListed, d.Reason)
	require.Contains(t, guard.Status(d).Message(), "2001:db8::1")
}
