package clients_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// Of two proxies in a row, callers call the outer one. Some go around it, and call the
// inner one.
func TestHAProxyThenNginx(t *testing.T) {
	needsLoopbackBlock(t)
	const appends = "proxy_bind " + fromNginx + "; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
	both := only(fromNginx, fromHAProxy)
	topologies := []*topology{{
		// nginx makes one header of the two that come.
		name:    "HAProxy, option forwardfor; nginx, $proxy_add_x_forwarded_for",
		setting: "option forwardfor",
		address: policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, both...),
		origin:  policy.OriginXForwardedFor,
	}, {
		name:    "HAProxy, then nginx, by 2 hops",
		setting: "option forwardfor",
		address: policyhttp.FromHops(policyhttp.XForwardedFor, 2, only(fromNginx)...),
		origin:  policy.OriginXForwardedFor,
	}}
	serve(t, topologies)
	inner := startNginx(t, len(topologies), func(addresses []string) (config string) {
		for i, top := range topologies {
			config += nginxServer(addresses[i], top.service.url, appends)
		}
		return config
	})
	outer := startHAProxy(t, len(topologies), func(addresses []string) (config string) {
		for i, top := range topologies {
			config += haproxyPart(i, addresses[i], inner[i], top.setting)
		}
		return config
	})
	for i, top := range topologies {
		top.front, top.others = outer[i], haproxyStops()
		top.others["two Authorization headers"] = notReached // by nginx
		t.Run(top.name, func(t *testing.T) { wantTruth(t, top) })
	}

	// Around the outer proxy only. Where hops are counted there must be no such way, as
	// FromHops says: of two, the caller would write the second himself.
	top := *topologies[0]
	top.name, top.front, top.others = "around HAProxy; nginx, $proxy_add_x_forwarded_for", inner[0], nginxStops
	t.Run(top.name, func(t *testing.T) { wantTruth(t, &top) })
}

func TestNginxThenHAProxy(t *testing.T) {
	needsLoopbackBlock(t)
	both := only(fromNginx, fromHAProxy)
	const (
		overwrites = "proxy_bind " + fromNginx + "; proxy_set_header X-Forwarded-For $remote_addr;"
		appends    = `http-request set-header X-Forwarded-For "%[req.fhdr(x-forwarded-for)], %[src]"`
	)
	topologies := []*topology{{
		name:    "nginx, X-Forwarded-For $remote_addr; HAProxy, appending %[src]",
		setting: appends,
		address: policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, both...),
		origin:  policy.OriginXForwardedFor,
	}, {
		name:    "nginx, then HAProxy, by 2 hops",
		setting: appends,
		address: policyhttp.FromHops(policyhttp.XForwardedFor, 2, only(fromHAProxy)...),
		origin:  policy.OriginXForwardedFor,
	}}
	serve(t, topologies)
	inner := startHAProxy(t, len(topologies), func(addresses []string) (config string) {
		for i, top := range topologies {
			config += haproxyPart(i, addresses[i], top.back(), top.setting)
		}
		return config
	})
	outer := startNginx(t, len(topologies), func(addresses []string) (config string) {
		for i := range topologies {
			config += nginxServer(addresses[i], "http://"+inner[i], overwrites)
		}
		return config
	})
	for i, top := range topologies {
		top.front, top.others = outer[i], nginxStops
		t.Run(top.name, func(t *testing.T) { wantTruth(t, top) })
	}

	top := *topologies[0]
	top.name, top.front, top.others = "around nginx; HAProxy, appending %[src]", inner[0], haproxyStops("X_Forwarded_For")
	t.Run(top.name, func(t *testing.T) { wantTruth(t, &top) })
}

// TestDigestThroughProxies has the response be for the target as the client sent it. A
// proxy that rewrites the path makes it one for something else.
func TestDigestThroughProxies(t *testing.T) {
	s := newService(t, options{schemes: []string{"Digest"}, algorithms: bothMD5First})
	fronts := startNginx(t, 2, func(addresses []string) string {
		return nginxServer(addresses[0], s.url, "") + nginxServer(addresses[1], s.url+"/", "")
	})
	do := goClient(icholyDigest)(t)
	for _, c := range []struct{ name, front, target, want string }{
		{"proxy_pass without a path", fronts[0], awkward, "200"},
		{"proxy_pass with a path, and nothing to rewrite", fronts[1], "/things?n=%2F", "200"},
		{"proxy_pass with a path", fronts[1], awkward, "400"},
	} {
		t.Run(c.name, func(t *testing.T) {
			replies := do(t, []job{{
				URL: "http://" + c.front, Scheme: "Digest", User: s.member.user, Secret: s.member.secret,
				Calls: []call{{Method: "POST", Target: c.target, Body: "a body"}},
			}})[0]
			require.Equal(t, c.want, outcome(s, replies), "%+v", replies)
			if c.want == "200" {
				require.Equal(t, "POST "+c.target+" a body", replies[0].Body)
			}
		})
	}
}

// TestClientsThroughProxies has every client sign in through each proxy, with all of its
// credentials.
func TestClientsThroughProxies(t *testing.T) {
	type way struct {
		name  string
		front string
		s     *service
	}
	serviceOf := func(t *testing.T, proxy string) *service {
		return newService(t, options{
			config:  policyhttp.Config{Address: policyhttp.FromTrustedProxies(policyhttp.XForwardedFor, only(proxy)...)},
			schemes: []string{"Digest", "Bearer", "Basic"}, algorithms: bothMD5First,
		})
	}
	needsLoopbackBlock(t)
	behindNginx, behindHAProxy := serviceOf(t, fromNginx), serviceOf(t, fromHAProxy)
	ways := []way{
		{"through nginx", startNginx(t, 1, func(addresses []string) string {
			return nginxServer(addresses[0], behindNginx.url, "proxy_bind "+fromNginx+"; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;")
		})[0], behindNginx},
		{"through HAProxy", startHAProxy(t, 1, func(addresses []string) string {
			return haproxyPart(0, addresses[0], strings.TrimPrefix(behindHAProxy.url, "http://"), "http-request set-header X-Forwarded-For %[src]")
		})[0], behindHAProxy},
	}
	for _, c := range allClients {
		t.Run(c.name, func(t *testing.T) {
			do := c.prepare(t)
			for _, w := range ways {
				var jobs []job
				for _, scheme := range c.schemes {
					jobs = append(jobs, job{URL: "http://" + w.front, Scheme: scheme, User: w.s.member.user, Secret: w.s.member.secret, Calls: []call{
						{Method: "GET", Target: "/things"}, {Method: "POST", Target: awkward, Body: "a body"},
					}})
				}
				for i, replies := range do(t, jobs) {
					got := outcome(w.s, replies)
					signingIn.set(c.name+", "+jobs[i].Scheme, w.name, got)
					require.Equal(t, "200 200", got, "%s, %s: %+v", w.name, jobs[i].Scheme, replies)
					require.Equal(t, "POST "+awkward+" a body", replies[1].Body)
				}
				for _, saw := range w.s.sightings() {
					require.Equal(t, "127.0.0.1 "+policy.OriginXForwardedFor.String(), fmt.Sprint(saw.client, " ", saw.from))
				}
			}
		})
	}
}
