package clients_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// haproxyPart is one proxy of a configuration: it passes on to back, from the address of
// HAProxy, what comes to bind.
func haproxyPart(number int, bind, back, settings string) string {
	return fmt.Sprintf("listen part%d\n bind %s\n %s\n server back %s source %s\n\n", number, bind, strings.ReplaceAll(settings, "; ", "\n "), back, fromHAProxy)
}

// startHAProxy starts one process, whose configuration is in a directory of the test.
func startHAProxy(t *testing.T, wanted int, parts func(addresses []string) string) []string {
	t.Helper()
	path := program(t, "haproxy")
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	return start(t, wanted, func(addresses []string) *exec.Cmd {
		config := "global\n nbthread 1\n maxconn 100\ndefaults\n mode http\n timeout connect 30s\n timeout client 30s\n timeout server 30s\n\n" +
			parts(addresses)
		require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
		return command(t.Context(), t, path, "-db", "-f", file)
	})
}

// haproxyVersion is what follows "HAProxy version", or "HA-Proxy version".
func haproxyVersion(t *testing.T) string {
	return strings.Fields(run(t, "", program(t, "haproxy"), "-v"))[2]
}

// hasOptionForwarded tells whether it is HAProxy 2.8 or later.
func hasOptionForwarded(t *testing.T) bool {
	t.Helper()
	var major, minor int
	version := haproxyVersion(t)
	_, err := fmt.Sscanf(version, "%d.%d", &major, &minor)
	require.NoError(t, err, version)
	has := major > 2 || major == 2 && minor >= 8
	if !has {
		t.Logf("no \"option forwarded\" in HAProxy %d.%d: it came with 2.8", major, minor)
	}
	return has
}

// haproxyStops is what HAProxy answers itself, and what the guard refuses: these forgeries
// and two Authorization headers, which HAProxy passes on.
func haproxyStops(refused ...string) map[string]string {
	stops := map[string]string{"a blank before the colon": notReached, "a PROXY line": notReached, "two Authorization headers": refused400}
	for _, name := range refused {
		stops[name] = fault503 // a second line of the header, beside HAProxy's
		if strings.Contains(name, "_") {
			stops[name] = refused400 // another spelling: callers send it through any proxy
		}
	}
	return stops
}

func TestHAProxy(t *testing.T) {
	needsLoopbackBlock(t)
	forwardedFor := policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, only(fromHAProxy)...)
	forwarded := policyhttp.FromTrustedProxies(policyhttp.Forwarded, only(fromHAProxy)...)
	topologies := []*topology{{
		name:    "HAProxy, option forwardfor",
		setting: "option forwardfor",
		address: forwardedFor,
		origin:  policy.OriginXForwardedFor,
	}, {
		name:    "the same, after http-request del-header",
		setting: "http-request del-header x-forwarded-for; option forwardfor",
		address: forwardedFor,
		origin:  policy.OriginXForwardedFor,
	}, {
		name:    "HAProxy, set-header X-Forwarded-For %[src]",
		setting: "http-request set-header X-Forwarded-For %[src]",
		address: forwardedFor,
		origin:  policy.OriginXForwardedFor,
	}, {
		name:    "HAProxy, set-header X-Real-IP %[src]",
		setting: "http-request set-header X-Real-IP %[src]",
		address: policyhttp.FromHeader("X-Real-IP", only(fromHAProxy)...),
		origin:  policy.OriginHeader,
	}, {
		name:    "HAProxy, set-header Forwarded for=%[src]",
		setting: "http-request set-header Forwarded for=%[src]",
		address: forwarded,
		origin:  policy.OriginForwarded,
	}}
	// It passes on everything but what it sets itself; and where it only adds, there are two.
	stops := map[string][]string{
		"HAProxy, option forwardfor":                 append(slices.Clone(withForwardedFor), "X_Forwarded_For"),
		"the same, after http-request del-header":    {"X_Forwarded_For"},
		"HAProxy, set-header X-Forwarded-For %[src]": {"X_Forwarded_For"},
		"HAProxy, set-header X-Real-IP %[src]":       {"X_Real_IP"},
	}
	if hasOptionForwarded(t) {
		topologies = append(topologies, &topology{
			name:    "HAProxy, option forwarded, after http-request del-header",
			setting: "http-request del-header forwarded; option forwarded",
			address: forwarded,
			origin:  policy.OriginForwarded,
		})
	}
	if hasIPv6(t) {
		const name = "HAProxy, listening for IPv6 and IPv4: ::ffff:" + attacker
		topologies = append(topologies, &topology{
			name:    name,
			setting: "http-request set-header X-Forwarded-For %[src]",
			address: forwardedFor,
			origin:  policy.OriginXForwardedFor,
			mapped:  true,
		})
		stops[name] = []string{"X_Forwarded_For"}
	}
	serve(t, topologies)
	fronts := startHAProxy(t, len(topologies), func(addresses []string) (config string) {
		for i, top := range topologies {
			bind := addresses[i]
			if top.mapped {
				bind = mapped(bind)
			}
			config += haproxyPart(i, bind, top.back(), top.setting)
		}
		return config
	})
	for i, top := range topologies {
		top.front, top.others = fronts[i], haproxyStops(stops[top.name]...)
		t.Run(top.name, func(t *testing.T) { wantTruth(t, top) })
	}
}
