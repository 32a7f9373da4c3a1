package clients_test

import (
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// speakingPROXY is a listener as policyhttp wants it: HAProxy has to name the client, and
// nobody else may connect.
func speakingPROXY(plain net.Listener) net.Listener {
	return &proxyproto.Listener{
		Listener:          plain,
		ReadHeaderTimeout: patience,
		ConnPolicy:        proxyproto.TrustProxyHeaderFrom(net.ParseIP(fromHAProxy)),
		ValidateHeader: func(h *proxyproto.Header) error {
			if tcp, _, ok := h.TCPAddrs(); !ok || tcp == nil || h.Command.IsLocal() {
				return errors.New("it names no client: the balancer would be taken for one")
			}
			return nil
		},
	}
}

// TestProxyProtocol is what the package says of the PROXY protocol: a listener before the
// server, and the zero ClientAddress.
func TestProxyProtocol(t *testing.T) {
	needsLoopbackBlock(t)
	topologies := []*topology{{
		name:     "HAProxy, send-proxy",
		setting:  "send-proxy",
		origin:   policy.OriginPeer,
		listener: speakingPROXY,
	}, {
		name:     "HAProxy, send-proxy-v2",
		setting:  "send-proxy-v2",
		origin:   policy.OriginPeer,
		listener: speakingPROXY,
	}, {
		name:    "HAProxy, send-proxy; nginx, real_ip_header proxy_protocol",
		setting: "send-proxy",
		address: policyhttp.FromHeader("X-Real-IP", only(fromNginx)...),
		origin:  policy.OriginHeader,
	}}
	serve(t, topologies)
	last := len(topologies) - 1
	inner := startNginx(t, 1, func(addresses []string) string {
		return nginxServer(addresses[0]+" proxy_protocol", topologies[last].service.url, "set_real_ip_from "+fromHAProxy+
			"; real_ip_header proxy_protocol; proxy_bind "+fromNginx+"; proxy_set_header X-Real-IP $remote_addr;")
	})
	fronts := startHAProxy(t, len(topologies), func(addresses []string) (config string) {
		for i, top := range topologies {
			back := top.back()
			if i == last {
				back = inner[0]
			}
			config += haproxyPart(i, addresses[i], back+" "+top.setting, "")
		}
		return config
	})
	for i, top := range topologies {
		top.front, top.others = fronts[i], haproxyStops()
		if i == last {
			top.others["two Authorization headers"] = notReached // by nginx
		}
		t.Run(top.name, func(t *testing.T) { wantTruth(t, top) })
	}
}

// TestProxyProtocolListener is about who may say what to such a listener.
func TestProxyProtocolListener(t *testing.T) {
	needsLoopbackBlock(t)
	top := &topology{listener: speakingPROXY}
	serve(t, []*topology{top})
	s := top.service
	local := &proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}
	localBytes, err := local.Format()
	require.NoError(t, err)
	const line = "PROXY TCP4 " + listed + " 127.0.0.1 4711 80\r\n"
	for _, c := range []struct {
		name, from, first string
		reached           bool
	}{
		{"the balancer names a client", fromHAProxy, line, true},
		{"the balancer names nobody", fromHAProxy, "", false},
		{"the balancer does not know", fromHAProxy, "PROXY UNKNOWN\r\n", false},
		{"the balancer's own, LOCAL", fromHAProxy, string(localBytes), false},
		{"the balancer says it twice", fromHAProxy, "PROXY TCP4 " + attacker + " 127.0.0.1 4711 80\r\n" + line, false},
		{"somebody else names a client", attacker, line, false},
		{"somebody else names nobody", attacker, "", false},
		{"the listed caller names himself", listed, line, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			status := ask(t, c.from, top.back(), s.member.secret, forgery{first: c.first})
			if !c.reached {
				require.Equal(t, notReached, saw(t, s, status))
				return
			}
			require.Equal(t, http.StatusOK, status)
			require.Equal(t, listed, s.sightings()[0].client.String())
		})
	}
}

// TestCurlHAProxyProtocol has curl speak the PROXY protocol, as if it were a balancer. The
// client that it names is itself, so there is no forging with it: it is here for what it
// writes.
func TestCurlHAProxyProtocol(t *testing.T) {
	needsLoopbackBlock(t)
	path := program(t, "curl")
	behind := &topology{listener: speakingPROXY}
	plain := &topology{}
	second := &topology{address: policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, only(fromHAProxy)...)}
	serve(t, []*topology{behind, plain, second})
	// HAProxy expects the protocol of one address only.
	accepts := startHAProxy(t, 1, func(addresses []string) string {
		return haproxyPart(0, addresses[0], second.back(), "tcp-request connection expect-proxy layer4 if { src "+fromHAProxy+" "+listed+" }; http-request set-header X-Forwarded-For %[src]")
	})[0]
	status := func(t *testing.T, s *service, from, to string) string {
		body := filepath.Join(t.TempDir(), "body")
		return strings.TrimSpace(run(t, "", "/bin/sh", "-c", `"$@" || true`, "sh", path, "--disable", "--silent", "--max-time", "60", "--haproxy-protocol",
			"--interface", from, "--header", "Authorization: Bearer "+s.member.secret, "--output", body, "--write-out", "%{http_code}", "http://"+to+"/things"))
	}
	for _, c := range []struct {
		name     string
		top      *topology
		from, to string
		status   string
		client   string // "": not reached
	}{
		{"the balancer, to the listener", behind, fromHAProxy, behind.back(), "403", fromHAProxy},
		{"somebody else, to the listener", behind, attacker, behind.back(), "000", ""},
		{"anybody, to a service without one", plain, listed, plain.back(), "400", ""},
		{"who is expected, to HAProxy", second, listed, accepts, "200", listed},
		{"somebody else, to HAProxy", second, attacker, accepts, "400", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.status, status(t, c.top.service, c.from, c.to))
			seen := c.top.service.sightings()
			if c.client == "" {
				require.Empty(t, seen)
				return
			}
			require.Len(t, seen, 1)
			require.Equal(t, c.client, seen[0].client.String())
		})
	}
}
