package replay_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist/replay"
)

func TestClientText(t *testing.T) {
	for _, tt := range []struct {
		text string
		want replay.Client
		back string // empty: the same
	}{
		{"auto", replay.Client{}, ""},
		{"peer", replay.Client{Peer: true}, ""},
		{"forwarded", replay.Client{Forwarded: 1}, "forwarded:1"},
		{"forwarded:3", replay.Client{Forwarded: 3}, ""},
		{"field:request.headers.Cf-Connecting-Ip", replay.Client{Field: "request.headers.Cf-Connecting-Ip"}, ""},
		{"field:a:b", replay.Client{Field: "a:b"}, ""},
	} {
		var got replay.Client
		require.NoError(t, got.UnmarshalText([]byte(tt.text)))
		require.Equal(t, tt.want, got)
		back, err := got.MarshalText()
		require.NoError(t, err)
		require.Equal(t, orElse(tt.back, tt.text), string(back))
	}
	for text, problem := range map[string]string{
		"":               `replay: client "": want auto, peer, forwarded:N or field:NAME`,
		"first":          `replay: client "first": want auto, `,
		"peer:1":         `want auto, peer, forwarded:N or field:NAME`,
		"auto:":          `want auto, peer, forwarded:N or field:NAME`,
		"field:":         `want auto, peer, forwarded:N or field:NAME`,
		"forwarded:0":    `replay: client "forwarded:0": want forwarded:N with N from 1 on, counted from the right`,
		"forwarded:left": `want forwarded:N`,
	} {
		got := replay.Client{Peer: true}
		require.ErrorContains(t, got.UnmarshalText([]byte(text)), problem)
		require.Equal(t, replay.Client{Peer: true}, got)
	}
	_, err := replay.Client{Peer: true, Forwarded: 1}.MarshalText()
	require.Error(t, err)
}

func TestFormatText(t *testing.T) {
	for f := replay.Auto; f <= replay.Envoy; f++ {
		text, err := f.MarshalText()
		require.NoError(t, err)
		require.Equal(t, f.String(), string(text))
		var got replay.Format
		require.NoError(t, got.UnmarshalText(text))
		require.Equal(t, f, got)
	}
	require.Equal(t, "format 99", replay.Format(99).String())
	_, err := replay.Format(99).MarshalText()
	require.Error(t, err)
	var got replay.Format
	require.EqualError(t, got.UnmarshalText([]byte("clf")),
		`replay: format "clf": want one of auto, guard, common, json, alb, elb, nlb, cloudfront, w3c, haproxy, envoy`)
}

func TestClientChoice(t *testing.T) {
	const (
		caddy = `{"ts":1,"status":200,"request":{"remote_ip":"10.0.0.5","client_ip":"203.0.113.7","headers":{"X-Forwarded-For":["192.0.2.66, 203.0.113.7","198.51.100.2"],"Cf-Connecting-Ip":["2001:db8::7"]},"tls":{"proto":"h2"}}}`
		iis   = "#Fields: date time c-ip sc-status X-Forwarded-For cs(CF-Connecting-IP)\n2026-01-02 15:04:05 10.0.0.5 200 192.0.2.66,+203.0.113.7 2001:db8::7"
		front = "#Fields: date time c-ip sc-status x-forwarded-for\n2026-01-02\t15:04:05\t198.51.100.1\t200\t192.0.2.66,%20203.0.113.7"
		istio = `[2020-11-25T21:26:18.409Z] "GET / HTTP/1.1" 418 - via_upstream - "-" 0 135 3 1 "203.0.113.7,10.0.0.1" "curl" "id" "a" "127.0.0.1:80" c 127.0.0.1:41854 10.44.1.27:80 [2001:db8::7]:37652 d default`
		envoy = `[2016-04-15T20:17:00.310Z] "GET / HTTP/2" 204 - 154 0 226 100 "203.0.113.7" "curl" "id" "a" "-"`
		flat  = `{"ts":1,"remote_addr":"10.0.0.5","a.b":{"c":"203.0.113.9"},"a":{"b":{"d":"203.0.113.8"}},"e":["203.0.113.6"]}`
		guard = `{"time":"2026-01-02T15:04:05Z","level":"INFO","msg":"access decision","allowed":true,"client":"203.0.113.7"}`
		vhost = `example.com 203.0.113.7 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "curl" "192.0.2.66, 203.0.113.8"`
	)
	for _, tt := range []struct{ log, client, want, problem string }{
		{caddy, "auto", "203.0.113.7", ""},
		{caddy, "peer", "10.0.0.5", ""},
		{caddy, "forwarded", "198.51.100.2", ""},
		{caddy, "forwarded:2", "203.0.113.7", ""},
		{caddy, "forwarded:3", "192.0.2.66", ""},
		{caddy, "field:request.headers.Cf-Connecting-Ip", "2001:db8::7", ""},
		{caddy, "field:request.tls.proto", "", `the client "h2" is not an address: want IPv4 or IPv6 in the field "request.tls.proto"`},
		{caddy, "field:request.tls.none", "", `no field "request.tls.none": want a line with it, or another client`},
		{iis, "auto", "10.0.0.5", ""},
		{iis, "forwarded", "203.0.113.7", ""},
		{iis, "field:CS(cf-connecting-ip)", "2001:db8::7", ""},
		{iis, "field:none", "", `no field "none"`},
		{front, "forwarded", "203.0.113.7", ""},
		{front, "peer", "198.51.100.1", ""},
		{istio, "auto", "2001:db8::7", ""},
		{istio, "forwarded:2", "203.0.113.7", ""},
		{envoy, "auto", "203.0.113.7", ""},
		{envoy, "peer", "", "no peer in the line: want another client than peer"},
		{envoy, "field:x", "", `no field "x"`},
		{flat, "field:a.b.c", "203.0.113.9", ""},
		{flat, "field:a.b.d", "203.0.113.8", ""},
		{flat, "field:e", "203.0.113.6", ""},
		{strings.Replace(flat, `"e":`, `"e":"203.0.113.6","e":`, 1), "field:e", "", `the field "e" twice: want it once`},
		{guard, "peer", "", "no peer in the line"},
		{vhost, "peer", "203.0.113.7", ""},
		{vhost, "field:2", "203.0.113.7", ""},
		{vhost, "forwarded", "203.0.113.8", ""},
		{vhost, "field:x", "", `no field "x"`},
		{`{"ts":1,"remote_addr":"10.0.0.5","xff":"unknown"}`, "forwarded", "", `the forwarded address "unknown": want IPv4 or IPv6`},
	} {
		t.Run(tt.client+" of "+tt.log[:20], func(t *testing.T) {
			r := replay.NewReader(strings.NewReader(tt.log))
			require.NoError(t, r.Client.UnmarshalText([]byte(tt.client)))
			got, err := r.Read()
			if tt.problem != "" {
				require.ErrorContains(t, err, tt.problem)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, got.Client.String())
		})
	}
}

// A long list costs no more than the places that may hold the client.
func TestLongList(t *testing.T) {
	line := `{"ts":1,"remote_addr":"10.0.0.5","xff":"` + strings.Repeat("192.0.2.1, ", 1000) + `192.0.2.2"}`
	_, got := readOne(t, line)
	require.Equal(t, "10.0.0.5", got.Client.String())
}
