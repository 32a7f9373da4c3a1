package clients_test

import (
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// atEdges are the forgeries sent through the edges of edges.md, besides those sent through
// every proxy.
var atEdges = []forgery{
	{name: "X-Forwarded-For, the trusted proxy", lines: []string{"X-Forwarded-For: 127.0.0.1"}},
	{name: "X-Forwarded-For, private", lines: []string{"X-Forwarded-For: 10.0.0.7, 192.168.0.7"}},
	{name: "X-Forwarded-For, IPv6", lines: []string{"X-Forwarded-For: 2001:db8::7, [2001:db8::7]:443"}},
	{name: "X-Forwarded-For, IPv4-mapped", lines: []string{"X-Forwarded-For: ::ffff:" + listed}},
	{name: "X-Forwarded-For, commas around", lines: []string{"X-Forwarded-For: ," + listed + ",,"}},
	{name: "X-Forwarded-For and X_Forwarded_For", lines: []string{"X-Forwarded-For: " + listed, "X_Forwarded_For: " + listed}},
	{name: "x_real-ip", lines: []string{"x_real-ip: " + listed}},
	{name: "X-Real-IP, the trusted proxy", lines: []string{"X-Real-IP: 127.0.0.1"}},
	{name: "X-Real-IP, IPv4-mapped", lines: []string{"X-Real-IP: ::ffff:" + listed}},
	{name: "Forwarded twice", lines: []string{`Forwarded: for="[2001:db8::7]"`, "Forwarded: for=" + listed + ", for=127.0.0.1"}},
	{name: "CF-Connecting-IP", lines: []string{"CF-Connecting-IP: " + listed}},
	{name: "True-Client-IP", lines: []string{"True-Client-IP: " + listed}},
	{name: "the headers of other edges", lines: []string{
		"X-Azure-SocketIP: " + listed, "Fly-Client-IP: " + listed, "CloudFront-Viewer-Address: " + listed + ":443", "X-Envoy-External-Address: " + listed,
	}},
	{name: "Connection: close, and X-Real-IP by its name", lines: []string{"Connection: close", "Connection: X-Real-IP, x-forwarded-for", "X-Real-IP: " + listed}},
	{name: "Connection: Authorization", lines: []string{"Connection: close, Authorization"}},
	{name: "HTTP/1.0", start: "GET /things HTTP/1.0", lines: []string{"X-Forwarded-For: " + listed, "X-Real-IP: " + listed}},
	{name: "HTTP/1.0, kept alive", start: "GET /things HTTP/1.0", lines: []string{"Connection: keep-alive, X-Forwarded-For, X-Real-IP"}},
	{name: "trailers", start: "POST /things HTTP/1.1", lines: []string{"Transfer-Encoding: chunked", "Trailer: X-Forwarded-For, X-Real-IP"},
		body: "1\r\na\r\n0\r\nX-Forwarded-For: " + listed + "\r\nX-Real-IP: " + listed + "\r\n\r\n"},
	{name: "an absolute target", start: "GET http://api.example/things HTTP/1.1", lines: []string{"X-Forwarded-For: " + listed}},
	{name: "an absolute target of another host", start: "GET http://" + listed + "/things HTTP/1.1"},
	{name: "Early-Data", lines: []string{"Early-Data: 1", "X-Forwarded-For: " + listed}},
	{name: "many lines", lines: strings.Split(strings.Repeat("X-Forwarded-For: "+listed+"\n", 20)+"X-Real-IP: "+listed, "\n")},
}

// cloudfront, cloudflare and frontDoor stand for the published blocks.
var (
	cloudfront = trusting("203.0.113.0/26")
	cloudflare = trusting("203.0.113.64/26", "2001:db8:cf::/48")
	frontDoor  = trusting("203.0.113.128/26")
)

func trusting(blocks ...string) *policyhttp.TrustedBlocks {
	var parsed []netip.Prefix
	for _, b := range blocks {
		parsed = append(parsed, netip.MustParsePrefix(b))
	}
	trusted, err := policyhttp.NewTrustedBlocks(parsed...)
	if err != nil {
		panic(err)
	}
	return trusted
}

// An edge is a program of edges.md.
type edge struct {
	heading string
	origin  policy.ClientOrigin
	others  map[string]string // as of topology

	// start starts the edge with the configuration of edges.md, before the service at back.
	// It returns the address of IPv4, and that of IPv6 if it is not "".
	start func(t *testing.T, e *edge, back string) (front, front6 string)
}

var edges = []edge{{
	heading: "nginx",
	origin:  policy.OriginHeader,
	others:  nginxStops,
	start:   nginxOfGuide,
}, {
	heading: "HAProxy",
	origin:  policy.OriginXForwardedFor,
	others: with(haproxyStops("X_Forwarded_For", "X-Forwarded-For and X_Forwarded_For"), map[string]string{
		"an absolute target of another host": notReached,
		"Early-Data":                         early425,
	}),
	start: haproxyOfGuide,
}, {
	heading: "Caddy",
	origin:  policy.OriginXForwardedFor,
	others:  goStops,
	start:   caddyOfGuide,
}, {
	heading: "Traefik",
	origin:  policy.OriginHeader,
	others:  goStops,
	start:   traefikOfGuide,
}}

func with(stops, more map[string]string) map[string]string {
	maps.Copy(stops, more)
	return stops
}

// TestEdges has callers call through the edges of edges.md, with the declarations that it
// gives, and around them.
func TestEdges(t *testing.T) {
	needsLoopbackBlock(t)
	for _, e := range edges {
		t.Run(e.heading, func(t *testing.T) {
			top := &topology{name: "edges.md: " + e.heading, address: declared[e.heading].Address, origin: e.origin, others: e.others, more: atEdges}
			serve(t, []*topology{top})
			top.front, top.front6 = e.start(t, &e, top.back())
			top.service.sightings() // of an edge that was called to see whether it is ready
			wantTruth(t, top)
		})
	}
}

// sameOfIPv6 returns an address of IPv6 with the port of another, "" if there is no IPv6.
func sameOfIPv6(t *testing.T, address string) string {
	t.Helper()
	if !hasIPv6(t) {
		return ""
	}
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	return "[::1]:" + port
}

func nginxOfGuide(t *testing.T, e *edge, back string) (front, front6 string) {
	front = startNginx(t, 1, func(addresses []string) string {
		listen6 := ""
		if front6 = sameOfIPv6(t, addresses[0]); front6 != "" {
			listen6 = "listen " + front6 + ";"
		}
		return configuration(t, e.heading, "listen 80;", "listen "+addresses[0]+";", "listen [::]:80;", listen6, "127.0.0.1:8080", back)[0]
	})[0]
	return front, front6
}

func haproxyOfGuide(t *testing.T, e *edge, back string) (front, front6 string) {
	front = startHAProxy(t, 1, func(addresses []string) string {
		listen6 := ""
		if front6 = sameOfIPv6(t, addresses[0]); front6 != "" {
			listen6 = "bind " + front6 + " v6only"
		}
		return configuration(t, e.heading, "bind 0.0.0.0:80", "bind "+addresses[0], "bind [::]:80 v6only", listen6, "127.0.0.1:8080", back)[0]
	})[0]
	return front, front6
}

// goStops is what Caddy and Traefik, or net/http in them, answer themselves, and what the guard
// refuses.
var goStops = map[string]string{
	"a blank before the colon":  notReached,
	"a PROXY line":              notReached,
	"two Authorization headers": refused400,
	"Connection: Authorization": attacker + withoutKey,
	"Early-Data":                early425,
}

// caddyProgram builds Caddy of the version in caddy/go.mod, into the build cache.
var caddyProgram = sync.OnceValues(func() (string, error) {
	c := exec.Command("go", "tool", "-n", "caddy")
	c.Dir, c.Stderr = "caddy", os.Stderr
	path, err := c.Output()
	return strings.TrimSpace(string(path)), err
})

func caddyOfGuide(t *testing.T, e *edge, back string) (front, front6 string) {
	return startCaddy(t, func(site string) string {
		return configuration(t, e.heading, "api.example.com {", site, "127.0.0.1:8080", back)[0]
	})
}

// startCaddy starts Caddy with the sites that are configured for what begins one: an
// address and a brace.
func startCaddy(t *testing.T, sites func(begin string) string) (front, front6 string) {
	t.Helper()
	path, err := caddyProgram()
	require.NoError(t, err)
	directory := t.TempDir()
	front = start(t, 1, func(addresses []string) *exec.Cmd {
		_, port, err := net.SplitHostPort(addresses[0])
		require.NoError(t, err)
		begin := "http://:" + port + " {\n\tbind 127.0.0.1"
		if front6 = sameOfIPv6(t, addresses[0]); front6 != "" {
			begin += " ::1"
		}
		file := filepath.Join(directory, "Caddyfile")
		config := "{\n\tadmin off\n\tpersist_config off\n\tauto_https disable_redirects\n}\n" + sites(begin)
		require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
		return command(t.Context(), t, path, "run", "--config", file, "--adapter", "caddyfile")
	})[0]
	if front6 != "" {
		require.NoError(t, answers([]string{front6}, nil))
	}
	return front, front6
}
