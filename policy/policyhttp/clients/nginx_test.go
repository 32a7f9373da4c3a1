package clients_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// nginxServer is one server of a configuration: it passes on to back what comes to
// listen.
func nginxServer(listen, back, settings string) string {
	return fmt.Sprintf("server {\n listen %s;\n %s\n location / { proxy_pass %s; }\n}\n", listen, settings, back)
}

// startNginx starts one process, whose configuration and files are in a directory of the
// test.
func startNginx(t *testing.T, wanted int, servers func(addresses []string) string) []string {
	t.Helper()
	path := program(t, "nginx")
	directory := t.TempDir()
	return start(t, wanted, func(addresses []string) *exec.Cmd {
		// One process without a master has no other user and leaves no child behind.
		config := "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr warn;\nevents {}\nhttp {\n access_log off;\n"
		for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			config += " " + kind + "_temp_path " + kind + ";\n"
		}
		config += servers(addresses) + "}\n"
		file := filepath.Join(directory, "nginx.conf")
		require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
		return command(t.Context(), t, path, "-p", directory, "-c", file, "-e", "stderr")
	})
}

// nginxStops is what nginx answers itself.
var nginxStops = map[string]string{
	"a blank before the colon":  notReached,
	"a folded line":             notReached,
	"two Authorization headers": notReached,
	"a PROXY line":              notReached,
}

func TestNginx(t *testing.T) {
	needsLoopbackBlock(t)
	const appends = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
	forwardedFor := policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, only(fromNginx)...)
	topologies := []*topology{{
		name:    "nginx, $proxy_add_x_forwarded_for",
		setting: appends,
		address: forwardedFor,
		origin:  policy.OriginXForwardedFor,
	}, {
		name:    "the same, by 1 hop",
		setting: appends,
		address: policyhttp.FromHops(policyhttp.XForwardedFor, 1, only(fromNginx)...),
		origin:  policy.OriginXForwardedFor,
	}, {
		name:    "the same, to a Unix socket",
		setting: appends,
		address: forwardedFor.WithUnixSocket(),
		origin:  policy.OriginXForwardedFor,
		socket:  filepath.Join(t.TempDir(), "s"),
	}, {
		name:    "nginx, X-Real-IP $remote_addr",
		setting: "proxy_set_header X-Real-IP $remote_addr;",
		address: policyhttp.FromHeader("X-Real-IP", only(fromNginx)...),
		origin:  policy.OriginHeader,
	}, {
		name:    "nginx, Forwarded for=$remote_addr",
		setting: "proxy_set_header Forwarded for=$remote_addr;",
		address: policyhttp.FromTrustedProxies(policyhttp.Forwarded, only(fromNginx)...),
		origin:  policy.OriginForwarded,
	}}
	if hasIPv6(t) {
		topologies = append(topologies, &topology{
			name:    "nginx, listening for IPv6 and IPv4: ::ffff:" + attacker,
			setting: appends,
			address: forwardedFor,
			origin:  policy.OriginXForwardedFor,
			mapped:  true,
		})
	}
	serve(t, topologies)
	fronts := startNginx(t, len(topologies), func(addresses []string) (config string) {
		for i, top := range topologies {
			listen, back, bind := addresses[i], top.service.url, "proxy_bind "+fromNginx+"; "
			if top.mapped {
				listen = mapped(listen) + " ipv6only=off"
			}
			if top.socket != "" {
				back, bind = "http://unix:"+top.socket, ""
			}
			config += nginxServer(listen, back, bind+top.setting)
		}
		return config
	})
	for i, top := range topologies {
		top.front, top.others = fronts[i], maps.Clone(nginxStops)
		t.Run(top.name, func(t *testing.T) { wantTruth(t, top) })
	}
}
