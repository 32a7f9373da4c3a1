package replay_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist/replay"
)

// Lines that must not be taken, with part of the error.
var badLines = []struct {
	format        replay.Format
	name          string
	line, problem string
}{
	{replay.ALB, "another type", `ftp 2018-07-02T22:23:00.186641Z x`, "want a line that begins with http, https, h2"},
	{replay.ALB, "no time", `http yesterday app/a/1 192.0.2.1:2817 - 0 0 0 200 200 34 366 "GET / HTTP/1.1" "curl"`, `the time "yesterday"`},
	{replay.ALB, "no port", `http 2018-07-02T22:23:00Z app/a/1 192.0.2.1 - 0 0 0 200 200 34 366 "GET / HTTP/1.1" "curl" - - - "-" "-" "-" 0 - "-" "-" "-"`, `the client "192.0.2.1": want an address and a port`},
	{replay.ALB, "a status of letters", `http 2018-07-02T22:23:00Z app/a/1 192.0.2.1:1 - 0 0 0 OK 200 34 366 "GET / HTTP/1.1" "curl" - - - "-" "-" "-" 0 - "-" "-" "-"`, "want client, target, three times"},
	{replay.ALB, "a size of letters", `http 2018-07-02T22:23:00Z app/a/1 192.0.2.1:1 - 0 0 0 200 200 x 366 "GET / HTTP/1.1" "curl" - - - "-" "-" "-" 0 - "-" "-" "-"`, "of another kind"},
	{replay.ALB, "a quotation mark in the agent", `http 2018-07-02T22:23:00Z app/a/1 192.0.2.1:1 - 0 0 0 200 200 1 366 "GET / HTTP/1.1" "cu"rl" - - - "-" "-" "-" 0 - "-" "-" "-"`, "of another kind"},
	{replay.ALB, "cut off", `http 2018-07-02T22:23:00Z app/a/1 192.0.2.1:1 - 0 0 0 200 200 1 366 "GET / HTTP/1.1" "curl" - - - "-" "-"`, "want the actions, the redirect"},
	{replay.ALB, "a space at the end", `http 2018-07-02T22:23:00Z app/a/1 192.0.2.1:1 - 0 0 0 200 200 1 366 "GET / HTTP/1.1" "curl" - - - "-" "-" "-" 0 - "-" "-" "-" "-" `, "want the actions, the redirect"},
	{replay.ELB, "more fields", `2015-05-13T23:39:43Z lb 192.0.2.1:2817 10.0.0.1:80 0.1 0.1 0.1 200 200 0 29 "GET / HTTP/1.1" "curl/7.38.0" - - -`, "want cipher and protocol at the end"},
	{replay.ELB, "an agent without quotes", `2015-05-13T23:39:43Z lb 192.0.2.1:2817 10.0.0.1:80 0.1 0.1 0.1 200 200 0 29 "GET / HTTP/1.1" curl - -`, "of another kind"},
	{replay.NLB, "another type", `http 2.0 x`, "want a line that begins with tls"},
	{replay.NLB, "no time", `tls 2.0 x net/a/1 g 192.0.2.1:51341 192.0.2.2:443 5 2 98 246 - - - - - - - -`, `the time "x"`},
	{replay.NLB, "cut off", `tls 2.0 2018-12-20T02:59:40 net/a/1 g 192.0.2.1:51341 192.0.2.2:443 5 2 98 246 - - -`, "want 18 fields at least"},
	{replay.NLB, "a client of another kind", `tls 2.0 2018-12-20T02:59:40 net/a/1 g [192.0.2.1]:51341 192.0.2.2:443 5 2 98 246 - - - - - - - -`, `the client "[192.0.2.1]:51341": want an address and a port`},
	{replay.NLB, "two ports", `tls 2.0 2018-12-20T02:59:40 net/a/1 g 192.0.2.1:5:51341 192.0.2.2:443 5 2 98 246 - - - - - - - -`, "want an address and a port"},

	{replay.W3C, "no head", "2026-01-02 15:04:05 192.0.2.1 200", "before any #Fields: want the head of the log"},
	{replay.W3C, "no c-ip", "#Fields: date time s-ip\n2026-01-02 15:04:05 192.0.2.1", "no date, time or c-ip among the fields"},
	{replay.W3C, "a field missing", "#Fields: date time c-ip sc-status\n2026-01-02 15:04:05 192.0.2.1", `want the 4 that #Fields names`},
	{replay.W3C, "a field too many", "#Fields: date time c-ip\n2026-01-02 15:04:05 192.0.2.1 200", `4 fields in `},
	{replay.W3C, "no such day", "#Fields: date time c-ip\n2026-02-30 15:04:05 192.0.2.1", `the time "2026-02-30" "15:04:05"`},
	{replay.W3C, "no status", "#Fields: date time c-ip sc-status\n2026-02-01 15:04:05 192.0.2.1 OK", `the status "OK": want three digits`},
	{replay.W3C, "no address", "#Fields: date time c-ip sc-status\n2026-02-01 15:04:05 - 200", `the client "-" is not an address`},
	{replay.CloudFront, "spaces", "2019-12-04 21:02:31 LAX1 392 192.0.2.100", "want the 33 that #Fields names"},

	{replay.HAProxy, "no time", `192.0.2.1:33317 06/Feb/2009:12:14:14.655 http-in static/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0`, "want the time in brackets"},
	{replay.HAProxy, "another time", `192.0.2.1:33317 [06/Foo/2009:12:14:14.655] http-in static/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0`, `the time "[06/Foo/`},
	{replay.HAProxy, "other times", `192.0.2.1:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/x/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 "GET / HTTP/1.1"`, "want five times"},
	{replay.HAProxy, "cut off", `192.0.2.1:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0`, "and the request"},
	{replay.HAProxy, "TCP cut off", `192.0.2.1:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 0/0/5007 212 -- 0/0/0/0/3`, "two groups of counts"},
	{replay.HAProxy, "captured headers do not end", `192.0.2.1:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {a "GET / HTTP/1.1"`, "want the request after captured headers"},
	{replay.HAProxy, "no request", `192.0.2.1:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {} {} GET`, "want the request in quotes at the end"},
	{replay.HAProxy, "no client", `unix:1 [06/Feb/2009:12:14:14.655] http-in static/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0`, `the client "unix:1": want an address and a port`},

	{replay.Envoy, "no time", `2016-04-15T20:17:00.310Z "GET / HTTP/2" 204`, "want a line that begins with the time in brackets"},
	{replay.Envoy, "another time", `[yesterday] "GET / HTTP/2" 204`, `the time "[yesterday]"`},
	{replay.Envoy, "cut off", `[2016-04-15T20:17:00.310Z] "GET / HTTP/2" 204 - 154 0 226 100 "192.0.2.1" "curl" "id" "a"`, "of another kind"},
	{replay.Envoy, "an agent with a quotation mark", `[2016-04-15T20:17:00.310Z] "GET / HTTP/2" 204 - 154 0 226 100 "192.0.2.1" "cu"rl" "id" "a" "-"`, "without a quotation mark in one"},
	{replay.Envoy, "a forged list", `[2016-04-15T20:17:00.310Z] "GET / HTTP/2" 204 - 154 0 226 100 "198.51.100.1" "x, 192.0.2.1" "curl" "id" "a" "-"`, "without a quotation mark in one"},
	{replay.Envoy, "a forged list in Istio", `[2020-11-25T21:26:18.409Z] "GET / HTTP/1.1" 418 - via_upstream - "-" 0 135 3 1 "-" "x" "curl" "id" "a" "127.0.0.1:80" b 127.0.0.1:41854 10.44.1.27:80 10.44.1.23:37652 c default`, "without a quotation mark in one"},
	{replay.Envoy, "a list of another kind", `[2016-04-15T20:17:00.310Z] "GET / HTTP/2" 204 - 154 0 226 100 "unknown" "curl" "id" "a" "-"`, `the client "unknown" is not an address`},

	{replay.JSON, "no object", `["192.0.2.1"]`, "want one object a line"},
	{replay.JSON, "cut off", `{"time":"2026-01-02T15:04:05Z","client_ip":"192.0.2.1"`, "want one object a line"},
	{replay.JSON, "two objects", `{"time":"2026-01-02T15:04:05Z","client_ip":"192.0.2.1"} {}`, "want one object a line"},
	{replay.JSON, "no name", `{time:"2026-01-02T15:04:05Z"}`, "want one object a line"},
	{replay.JSON, "a name that does not end", `{"time`, "want one object a line"},
	{replay.JSON, "no colon", `{"time" 1}`, "want one object a line"},
	{replay.JSON, "no value", `{"time":`, "want one object a line"},
	{replay.JSON, "another literal", `{"time":nil}`, "want one object a line"},
	{replay.JSON, "no literal", `{"time":,}`, "want one object a line"},
	{replay.JSON, "a nested object that is cut off", `{"request":{"client_ip":"192.0.2.1"`, "want one object a line"},
	{replay.JSON, "another nested object", `{"x":{"a"}}`, "want one object a line"},
	{replay.JSON, "a nested name without quotes", `{"x":{a:1}}`, "want one object a line"},
	{replay.JSON, "a nested name that does not end", `{"x":{"a`, "want one object a line"},
	{replay.JSON, "a nested value that does not end", `{"x":["a`, "want one object a line"},
	{replay.JSON, "a nested list without a comma", `{"x":[1 2]}`, "want one object a line"},
	{replay.JSON, "too deep", `{"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, "want one object a line"},
	{replay.JSON, "nothing", `{}`, "no client among the fields: want one such as client_ip or remote_addr"},
	{replay.JSON, "no client", `{"time":"2026-01-02T15:04:05Z","status":200}`, "no client among the fields"},
	{replay.JSON, "null for the client", `{"time":"2026-01-02T15:04:05Z","client_ip":null}`, "no client among the fields"},
	{replay.JSON, "no time", `{"client_ip":"192.0.2.1","status":200}`, "no time in "},
	{replay.JSON, "another time", `{"client_ip":"192.0.2.1","status":200,"time":"noon"}`, `the time "noon"`},
	{replay.JSON, "another status", `{"client_ip":"192.0.2.1","status":"OK","time":1}`, `the status "OK": want three digits`},
	{replay.JSON, "the client twice", `{"client_ip":"192.0.2.1","client_ip":"192.0.2.2","time":1}`, `the field "client_ip" twice: want it once`},
	{replay.JSON, "the client twice, nested", `{"request":{"client_ip":"192.0.2.1"},"request":{"client_ip":"192.0.2.1"},"time":1}`, `the field "request.client_ip" twice`},
	{replay.JSON, "no address", `{"client_ip":"www.example.com","time":1}`, `the client "www.example.com" is not an address`},
	{replay.JSON, "another field than before", `{"client_ip":"192.0.2.1","time":1}` + "\n" + `{"remote_addr":"192.0.2.1","time":1}`, "the client is in remote_addr, and was in client_ip in the lines before"},
	{replay.JSON, "no field as before", `{"client_ip":"192.0.2.1","time":1}` + "\n" + `{"time":1}`, "no client, which was in client_ip in the lines before"},

	{replay.Guard, "another format", "garbage", "want a line of log/slog"},
	{replay.Guard, "JSON of others", `{"client":"192.0.2.1"}`, `want a line with the message "access decision"`},
	{replay.Guard, "cut off", `{"time":"2026-01-02T15:04:05Z","msg":"access decision","allowed":true,"client":"192.0.2.1"`, "want one object a line"},
	{replay.Guard, "no verdict", `time=2026-01-02T15:04:05Z level=INFO msg="access decision" client=192.0.2.1 organization=a`, "no attribute allowed"},
	{replay.Guard, "another time", `time=noon level=INFO msg="access decision" allowed=true client=192.0.2.1 organization=a`, `the time "noon": want RFC 3339`},
	{replay.Guard, "another count", `time=2026-01-02T15:04:05Z level=INFO msg="access decision" allowed=true client=192.0.2.1 left_out=x`, `left_out "x": want a number`},
	{replay.Guard, "allowed without a client", `time=2026-01-02T15:04:05Z level=INFO msg="access decision" allowed=true organization=a`, "an allowed call without a client"},
	{replay.Guard, "the client at the end", `time=2026-01-02T15:04:05Z level=INFO msg="access decision" allowed=true client=192.0.2.1`, "the line may be cut off"},
	{replay.Guard, "no attributes", `time=2026-01-02T15:04:05Z level`, "want attributes as key=value"},
	{replay.Guard, "a value that does not end", `time=2026-01-02T15:04:05Z msg="access`, "want a value in quotes to its end"},
	{replay.Guard, "the client twice", `time=2026-01-02T15:04:05Z msg="access decision" client=192.0.2.1 client=192.0.2.2 x=y`, `the field "client" twice`},
	{replay.Guard, "no such time", `2026/13/02 15:04:05 INFO access decision allowed=true client=192.0.2.1 x=y`, "want a line of log/slog"},
	{replay.Guard, "no message", `2026/01/02 15:04:05 INFO`, "want a line of log/slog"},
}

func TestBadLines(t *testing.T) {
	r := replay.NewReader(nil)
	for _, tt := range badLines {
		t.Run(tt.format.String()+"/"+tt.name, func(t *testing.T) {
			r.Format = tt.format
			var err error
			r.Reset(strings.NewReader(tt.line + "\n"))
			for err == nil {
				_, err = r.Read()
			}
			require.ErrorContains(t, err, tt.problem)
			require.NotZero(t, r.Log().Bad)

			r.Format = replay.Auto
			r.Reset(strings.NewReader(tt.line + "\n"))
			for err = nil; err == nil; {
				_, err = r.Read()
			}
			require.LessOrEqual(t, r.Log().Requests, uint64(strings.Count(tt.line, "\n")), "nor taken for another format: %s", r.Log().ReadsAs)
		})
	}
}

// Lines that are no requests by their own words.
func TestOtherLines(t *testing.T) {
	r := replay.NewReader(nil)
	for _, line := range []string{
		`{"level":"info","ts":1646861401.5,"logger":"admin","msg":"admin endpoint started"}`,
		`{"time":"2026-01-02T15:04:05Z","level":"INFO","msg":"server started","address":":8080"}`,
		`time=2026-01-02T15:04:05Z level=INFO msg="server started" address=:8080`,
		`2026/01/02 15:04:05 INFO server started`,
		`#Remark: nothing`,
		`192.0.2.1:33317 [06/Feb/2009:12:14:14.655] http-in/1: SSL handshake failure`,
		`Jan  2 15:04:05 web app[7]: {"time":"2026-01-02T15:04:05Z","level":"INFO","msg":"server started"}`,
	} {
		for range 2 {
			r.Reset(strings.NewReader(line))
			_, err := r.Read()
			require.EqualError(t, err, "EOF", line)
			require.Equal(t, uint64(1), r.Log().Other, line)
		}
	}
	// They stand among requests of any JSON log.
	log := `{"msg":"started"}` + "\n" + `{"msg":"request","ts":1,"client_ip":"192.0.2.1","status":200}` + "\n" + `{"msg":"stopped"}`
	r.Reset(strings.NewReader(log))
	_, err := r.Read()
	require.NoError(t, err)
	_, err = r.Read()
	require.EqualError(t, err, "EOF")
	require.Equal(t, uint64(2), r.Log().Other)
}

// To the guard's log every message is another one. A request in JSON that cannot be read is
// a bad line all the same, and not another message without a word.
func TestAFaultyRequestIsNoOtherMessage(t *testing.T) {
	r := replay.NewReader(nil)
	for when, problem := range map[string]string{
		`"noon"`: `the time "noon"`,
		`"2026/01/02T15:04:05+00:00 (Coordinated Universal Time)"`: "the time ",
		`"2026/01-02 15:04:05"`: `the time "2026/01-02 15:04:05"`,
		`"2026/13/02 15:04:05"`: `the time "2026/13/02 15:04:05"`,
	} {
		r.Reset(strings.NewReader(`{"ts":` + when + `,"msg":"handled request","request":{"client_ip":"192.0.2.1"},"status":200}`))
		_, err := r.Read()
		require.ErrorContains(t, err, problem)
		require.Equal(t, uint64(1), r.Log().Bad)
	}
	r.Reset(strings.NewReader(`{"ts":1,"msg":"handled request","request":{"client_ip":"web"},"status":200}`))
	_, err := r.Read()
	require.ErrorContains(t, err, `the client "web" is not an address`)
}

// Requests whose line does not say the client.
func TestNoClient(t *testing.T) {
	for _, tt := range []struct {
		client replay.Client
		line   string
	}{
		{replay.Client{}, `[2016-04-15T20:17:00.310Z] "POST / HTTP/2" 204 - 154 0 226 100 "-" "nsq2http" "cc21d9b0" "locations" "tcp://10.0.2.1:80"`},
		{replay.Client{}, `{"time":"2026-01-02T15:04:05Z","level":"WARN","msg":"access decision","allowed":false,"reason":"invalid_request"}`},
		{replay.Client{Forwarded: 1}, `{"time":"2026-01-02T15:04:05Z","remote_addr":"192.0.2.1","http_x_forwarded_for":"-"}`},
		{replay.Client{Forwarded: 2}, `{"time":"2026-01-02T15:04:05Z","remote_addr":"192.0.2.1","http_x_forwarded_for":"192.0.2.1"}`},
	} {
		r := replay.NewReader(strings.NewReader(tt.line))
		r.Client = tt.client
		_, err := r.Read()
		require.EqualError(t, err, "EOF")
		require.Equal(t, uint64(1), r.Log().NoClient, tt.line)
	}
}
