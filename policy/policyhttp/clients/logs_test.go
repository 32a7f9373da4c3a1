package clients_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist/replay"
)

// A logged is a request whose line in an access log is read back.
type logged struct {
	from   string
	line   string // of the request
	status int
	lines  []string // of the header
}

// agent is the one with everything that servers escape, and with the ends of lines of their
// formats in it.
const agent = `say "hi" \ \x22 {"status":200} [1] ', ü` + "\t\xff" + `" 200 0 "-" "curl`

// logCalls are sent in this order.
var logCalls = []logged{
	{listed, "GET /things HTTP/1.1", 200, []string{"User-Agent: curl/8.5.0"}},
	{attacker, "GET /things HTTP/1.1", 403, []string{"User-Agent: " + agent}},
	{attacker6, "POST /p HTTP/1.1", 201, []string{"User-Agent: Go-http-client/1.1", "Content-Length: 0"}},
	{attacker6, "GET /a%22b%5C%20c?q=%22&r={} HTTP/1.1", 404, []string{"User-Agent: " + agent}},
	{listed, `GET /q?x="y"&z=\" HTTP/1.1`, 200, []string{"User-Agent: a"}},
	{listed, "HEAD / HTTP/1.0", 200, []string{"User-Agent:"}},
	{attacker, "GET /things HTTP/1.1", 401, []string{"X-Forwarded-For: 192.0.2.7", "X-Real-IP: 192.0.2.7", "User-Agent: b", "Referer: " + agent}},
	{attacker, "GET /things HTTP/1.1", 500, nil},
}

// A logger is a server and a format that it writes.
type logger struct {
	name    string
	readsAs string // "": no line is read

	// start starts the server before the service at back. It writes its log into the file.
	start func(t *testing.T, back, file string) (front, front6 string)

	// unescape returns what was sent of a text in the log; nil: texts are not compared.
	unescape func(t *testing.T, text []byte) string
	agents   bool   // the log has them
	noAgent  string // is logged where there is none
}

// inQuotes undoes the escapes of nginx.
func inQuotes(t *testing.T, text []byte) string {
	unquoted, err := strconv.Unquote(`"` + string(text) + `"`)
	require.NoError(t, err, "%s", text)
	return unquoted
}

// afterHash undoes those of HAProxy.
func afterHash(t *testing.T, text []byte) string {
	return inQuotes(t, bytes.ReplaceAll(bytes.ReplaceAll(text, []byte(`\`), []byte(`\\`)), []byte("#"), []byte(`\x`)))
}

// inJSON undoes those of JSON. Invalid UTF-8 is U+FFFD there.
func inJSON(t *testing.T, text []byte) string {
	var unquoted string
	require.NoError(t, json.Unmarshal([]byte(`"`+string(text)+`"`), &unquoted), "%s", text)
	return unquoted
}

func nginxLog(format, access string) func(*testing.T, string, string) (string, string) {
	return func(t *testing.T, back, file string) (front, front6 string) {
		front = startNginx(t, 1, func(addresses []string) string {
			settings := "access_log " + file + " " + access + ";"
			if front6 = sameOfIPv6(t, addresses[0]); front6 != "" {
				settings += " listen " + front6 + ";"
			}
			return format + nginxServer(addresses[0], back, settings)
		})[0]
		return front, front6
	}
}

func haproxyLog(option string) func(*testing.T, string, string) (string, string) {
	return func(t *testing.T, back, file string) (front, front6 string) {
		path := program(t, "haproxy")
		front = start(t, 1, func(addresses []string) *exec.Cmd {
			bind := addresses[0]
			if front6 = sameOfIPv6(t, addresses[0]); front6 != "" {
				bind += "," + front6
			}
			config := "global\n nbthread 1\n log stdout format raw local0\ndefaults\n mode http\n timeout connect 30s\n timeout client 30s\n timeout server 30s\n" +
				" log global\n option dontlognull\n option " + option + "\n" + haproxyPart(0, bind, strings.TrimPrefix(back, "http://"), "option accept-invalid-http-request")
			require.NoError(t, os.WriteFile(file+".cfg", []byte(config), 0o600))
			return command(t.Context(), t, "/bin/sh", "-c", `exec "$1" -db -f "$2.cfg" >"$2"`, "sh", path, file)
		})[0]
		return front, front6
	}
}

func caddyLog(format string) func(*testing.T, string, string) (string, string) {
	return func(t *testing.T, back, file string) (front, front6 string) {
		return startCaddy(t, func(begin string) string {
			return begin + "\n\tlog {\n\t\toutput file " + file + "\n" + format + "\n\t}\n\treverse_proxy " + strings.TrimPrefix(back, "http://") + "\n}\n"
		})
	}
}

const (
	commonLog = "Common or Combined Log Format"
	caddyJSON = "JSON as of Caddy, client in request.client_ip"
)

var loggers = []logger{
	{name: "nginx, combined", readsAs: commonLog, start: nginxLog("", "combined"), unescape: inQuotes, agents: true, noAgent: "-"},
	{
		name: "nginx, escape=json", readsAs: "JSON, client in remote_addr", unescape: inJSON, agents: true,
		start: nginxLog(`log_format json escape=json '{"time_iso8601":"$time_iso8601","remote_addr":"$remote_addr","request":"$request","status":$status,"http_user_agent":"$http_user_agent"}';`, "json"),
	},
	{name: "HAProxy, option httplog", readsAs: "HAProxy", start: haproxyLog("httplog"), unescape: afterHash},
	{name: "HAProxy, option httplog clf", readsAs: commonLog, start: haproxyLog("httplog clf"), unescape: afterHash},
	{name: "Caddy", readsAs: caddyJSON, start: caddyLog(""), unescape: inJSON, agents: true},
	{name: "Caddy, format console", start: caddyLog("format console")},
}

func init() {
	for _, format := range []string{"unix_milli_float", "unix_nano", "iso8601", "rfc3339", "rfc3339_nano", "wall", "wall_milli", "wall_nano", "common_log"} {
		loggers = append(loggers, logger{
			name: "Caddy, time_format " + format, readsAs: caddyJSON, unescape: inJSON, agents: true,
			start: caddyLog("format json {\ntime_format " + format + "\n}"),
		})
	}
}

// TestLogs has servers write their access logs, and package replay read them back.
func TestLogs(t *testing.T) {
	needsLoopbackBlock(t)
	for _, l := range loggers {
		t.Run(l.name, func(t *testing.T) {
			calls := logCalls
			var next int // of the calls
			back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(calls[next].status) }))
			defer back.Close()
			file := filepath.Join(t.TempDir(), "access.log")
			front, front6 := l.start(t, back.URL, file)
			began := time.Now()
			var sent []logged
			var text []byte
			for next = range calls {
				c := calls[next]
				to := front
				if c.from == attacker6 {
					if to = front6; to == "" {
						continue
					}
				}
				require.Equal(t, c.status, requestOnce(t, to, c), "%s", c.line)
				sent = append(sent, c)
				// A server may write the line after the answer.
				require.Eventually(t, func() bool {
					text, _ = os.ReadFile(file)
					return bytes.Count(text, []byte("\n")) >= len(sent)
				}, patience, time.Millisecond)
			}
			t.Logf("%s", text)

			reader := replay.NewReader(bytes.NewReader(text))
			if l.readsAs == "" {
				for range sent {
					_, err := reader.Read()
					require.ErrorContains(t, err, "no known format")
				}
				return
			}
			for _, c := range sent {
				got, err := reader.Read()
				require.NoError(t, err)
				method, rest, _ := strings.Cut(c.line, " ")
				target, _, _ := strings.Cut(rest, " HTTP/")
				require.Equal(t, c.from, got.Client.Unmap().String())
				require.Equal(t, c.status, got.Status)
				require.Equal(t, method, string(got.Method))
				require.WithinDuration(t, began, got.Time, 24*time.Hour)
				if l.unescape != nil {
					require.Equal(t, target, l.unescape(t, got.Path))
				}
				if l.agents {
					require.Equal(t, strings.ToValidUTF8(agentOf(c, l.noAgent), "\ufffd"), strings.ToValidUTF8(l.unescape(t, got.Agent), "\ufffd"))
				}
			}
			_, err := reader.Read()
			require.True(t, errors.Is(err, io.EOF), "%v", err)
			log := reader.Log()
			require.Equal(t, l.readsAs, log.ReadsAs)
			require.EqualValues(t, len(sent), log.Requests)
			require.Zero(t, log.Bad+log.NoClient+log.Other)
		})
	}
}

// agentOf returns what was sent as the agent, or without if nothing was.
func agentOf(c logged, without string) string {
	for _, line := range c.lines {
		if value, found := strings.CutPrefix(line, "User-Agent:"); found {
			return strings.TrimSpace(value)
		}
	}
	return without
}

// requestOnce sends one request as bytes, and returns the status of the answer.
func requestOnce(t *testing.T, to string, c logged) int {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.from)}, Timeout: patience}
	connection, err := dialer.Dial("tcp", to)
	require.NoError(t, err)
	defer connection.Close()
	require.NoError(t, connection.SetDeadline(time.Now().Add(patience)))
	lines := append([]string{c.line, "Host: api.example", "Connection: close"}, c.lines...)
	_, err = fmt.Fprintf(connection, "%s\r\n\r\n", strings.Join(lines, "\r\n"))
	require.NoError(t, err)
	method, _, _ := strings.Cut(c.line, " ")
	response, err := http.ReadResponse(bufio.NewReader(connection), &http.Request{Method: method})
	require.NoError(t, err)
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	require.NoError(t, err)
	return response.StatusCode
}
