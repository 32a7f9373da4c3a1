package replay_test

import (
	"errors"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist/replay"
)

// lines are as servers write them, and as accidents leave them. problem is part of
// the error, empty for a good line. The fuzz target begins with them too.
var lines = []struct {
	name, line, client, time, problem string
}{
	{
		name:   "Apache, common",
		line:   `127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326`,
		client: "127.0.0.1", time: "2000-10-10T13:55:36-07:00",
	}, {
		name:   "Apache, combined",
		line:   `127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"`,
		client: "127.0.0.1", time: "2000-10-10T13:55:36-07:00",
	}, {
		name:   "nginx, combined",
		line:   `203.0.113.7 - - [07/Feb/2026:23:59:59 +0000] "POST /api/v1/backups HTTP/2.0" 201 0 "-" "curl/8.5.0"`,
		client: "203.0.113.7", time: "2026-02-07T23:59:59Z",
	}, {
		name:   "nginx as RHEL sets it up, with a field after the agent",
		line:   `203.0.113.7 - - [07/Feb/2026:23:59:59 +0530] "GET / HTTP/1.1" 200 612 "-" "curl/8.5.0" "198.51.100.1, 10.0.0.1"`,
		client: "203.0.113.7", time: "2026-02-07T23:59:59+05:30",
	}, {
		name:   "Apache, escaped quotation marks and backslashes",
		line:   `198.51.100.1 - - [29/Feb/2024:00:00:00 +0000] "GET /?q=\"a\\\" HTTP/1.1" 404 196 "\\" "say \"hi\" \\\\"`,
		client: "198.51.100.1", time: "2024-02-29T00:00:00Z",
	}, {
		name:   "nginx, quotation marks as \\x22",
		line:   `198.51.100.1 - - [29/Feb/2024:00:00:00 +0000] "GET /?q=\x22a\x5C\x22 HTTP/1.1" 404 196 "-" "\x22] \x22"`,
		client: "198.51.100.1", time: "2024-02-29T00:00:00Z",
	}, {
		name:   "TLS sent to a plain port",
		line:   `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03" 400 157 "-" "-"`,
		client: "192.0.2.9", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "nothing was sent",
		line:   `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "" 400 0 "-" "-"`,
		client: "192.0.2.9", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "no request, status or size",
		line:   `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "-" - -`,
		client: "192.0.2.9", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "a user with a space and a time of his own",
		line:   `192.0.2.9 - x [01/Jan/1999:10:00:00 +0000] y [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 401 0`,
		client: "192.0.2.9", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "a user that Apache escaped",
		line:   `192.0.2.9 - x [01/Jan/1999:10:00:00 +0000] \"GET [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 401 0`,
		client: "192.0.2.9", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "Apache, an empty user",
		line:   `192.0.2.9 - "" [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 401 381`,
		client: "192.0.2.9", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "IPv6",
		line:   `2001:db8::7 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`,
		client: "2001:db8::7", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "IPv4 seen through an IPv6 socket",
		line:   `::ffff:203.0.113.7 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`,
		client: "::ffff:203.0.113.7", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "an address with a zone, which policy refuses",
		line:   `fe80::1%eth0 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`,
		client: "fe80::1%eth0", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "a virtual host with a port first",
		line:   `www.example.com:443 192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`,
		client: "192.0.2.9", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "a virtual host first",
		line:   `www.example.com 2001:db8::7 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`,
		client: "2001:db8::7", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "nginx's virtual host of any name",
		line:   `_ 192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`,
		client: "192.0.2.9", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "nginx, a virtual host of a request without one",
		line:   `:18080 192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GARBAGE\x01\x02" 400 157 "-" "-"`,
		client: "192.0.2.9", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "a virtual host that is an address with a port",
		line:   `192.0.2.1:443 192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`,
		client: "192.0.2.9", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "a virtual host that is IPv6 with a port",
		line:   `[2001:db8::1]:443 192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`,
		client: "192.0.2.9", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "a virtual host, and a client with a port",
		line:   `www.example.com:443 192.0.2.9:50001 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`,
		client: "192.0.2.9", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "a port",
		line:   `192.0.2.9:80 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`,
		client: "192.0.2.9", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "IPv6 with a port",
		line:   `[2001:db8::1]:443 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`,
		client: "2001:db8::1", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "IPv6 in brackets",
		line:   `[2001:db8::1] - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`,
		client: "2001:db8::1", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "IPv6 that may end in a port",
		line:   `2001:db8::1:443 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`,
		client: "2001:db8::1:443", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "an ident",
		line:   `192.0.2.9 1a2b.example - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`,
		client: "192.0.2.9", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "a forwarded list",
		line:   `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "curl" 0.005 "198.51.100.1, 2001:db8::9"`,
		client: "192.0.2.9", time: "2026-01-01T10:00:00Z",
	}, {
		name:   "no forwarded list",
		line:   `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "curl" "-" "10.0.0.1:8080" x"y" "" "`,
		client: "192.0.2.9", time: "2026-01-01T10:00:00Z",
	},

	{name: "empty", problem: "an empty line"},
	{name: "a host name", line: `www.example.com - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the client "www.example.com" is not an address`},
	{name: "a socket", line: `unix: - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the client "unix:" is not an address`},
	{name: "two addresses", line: `192.0.2.1 192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `"192.0.2.1" and "192.0.2.9" before ident and user: want a virtual host and the client there, or the client field:1 or field:2`},
	{name: "two addresses of IPv6", line: `2001:db8::1 2001:db8::2 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `"2001:db8::1" and "2001:db8::2" before`},
	{name: "no virtual host", line: `- 192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `"-" and "192.0.2.9" before`},
	{name: "a list of addresses first", line: `198.51.100.1, 192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `"198.51.100.1," and "192.0.2.9" before`},
	{name: "a number and an address", line: `192.0.2.256 192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `"192.0.2.256" and "192.0.2.9" before`},
	{name: "IPv6 in brackets and an address", line: `[2001:db8::1] 192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `"[2001:db8::1]" and "192.0.2.9" before`},
	{name: "no port", line: `192.0.2.9: - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the client "192.0.2.9:" is not an address`},
	{name: "no such port", line: `192.0.2.9:65536 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the client "192.0.2.9:65536" is not an address`},
	{name: "a port of letters", line: `192.0.2.9:http - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the client "192.0.2.9:http" is not an address`},
	{name: "IPv6 with a port, without brackets", line: `2001:db8:0:0:0:0:0:1:443 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the client "2001:db8:0:0:0:0:0:1:443" is not an address`},
	{name: "IPv4 in brackets", line: `[192.0.2.9]:443 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the client "[192.0.2.9]:443" is not an address`},
	{name: "half a bracket", line: `[2001:db8::1 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the client "[2001:db8::1" is not an address`},
	{name: "brackets around nothing", line: `[]:443 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the client "[]:443" is not an address`},
	{name: "a leading zero", line: `192.0.2.09 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the client "192.0.2.09" is not an address`},
	{name: "too large an octet", line: `192.0.2.256 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the client "192.0.2.256" is not an address`},
	{name: "three octets", line: `192.0.2 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the client "192.0.2" is not an address`},
	{name: "five octets", line: `192.0.2.1.1 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the client "192.0.2.1.1" is not an address`},
	{name: "an octet missing", line: `192.0..1 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the client "192.0..1" is not an address`},
	{name: "negative", line: `-1.0.2.1 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the client "-1.0.2.1" is not an address`},
	{name: "a space first", line: ` 192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the client "" is not an address`},
	{name: "zeros after a crash", line: strings.Repeat("\x00", 4096), problem: `the client "\x00\x00`},
	{name: "an error log", line: `2026/01/01 10:00:00 [error] 7#7: *1 open() failed`, problem: `the client "2026/01/01" is not an address`},
	{name: "JSON", line: `{"remote_addr":"192.0.2.9","time_local":"01/Jan/2026:10:00:00 +0000"}`, problem: `is not an address`},
	{name: "only the client", line: `192.0.2.9`, problem: `"" after the client`},
	{name: "cut off in the time", line: `192.0.2.9 - - [01/Jan/2026:10:0`, problem: `after the client: want ident, user`},
	{name: "no quotation mark after the time", line: `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] GET / HTTP/1.1 200 1`, problem: `after the client: want ident, user`},
	{name: "no ident", line: `192.0.2.9 - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `"- " between the client and the time`},
	{name: "no user", line: `192.0.2.9 -  [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `"-  " between the client and the time`},
	{name: "no such day", line: `192.0.2.9 - - [29/Feb/2025:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the time "29/Feb/2025:10:00:00 +0000"`},
	{name: "day zero", line: `192.0.2.9 - - [00/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the time "00/Jan/2026`},
	{name: "no such month", line: `192.0.2.9 - - [01/jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the time "01/jan/2026`},
	{name: "between two months", line: `192.0.2.9 - - [01/anF/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the time "01/anF/2026`},
	{name: "no such hour", line: `192.0.2.9 - - [01/Jan/2026:24:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the time "01/Jan/2026:24`},
	{name: "no such second", line: `192.0.2.9 - - [01/Jan/2026:10:00:60 +0000] "GET / HTTP/1.1" 200 1`, problem: `the time "01/Jan/2026:10:00:60`},
	{name: "no sign", line: `192.0.2.9 - - [01/Jan/2026:10:00:00 00000] "GET / HTTP/1.1" 200 1`, problem: `the time "01/Jan/2026:10:00:00 00000"`},
	{name: "no such zone", line: `192.0.2.9 - - [01/Jan/2026:10:00:00 +2400] "GET / HTTP/1.1" 200 1`, problem: `the time "01/Jan/2026:10:00:00 +2400"`},
	{name: "before there were servers", line: `192.0.2.9 - - [01/Jan/0001:00:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `from 1970 on`},
	{name: "letters in the time", line: `192.0.2.9 - - [0x/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the time "0x/Jan`},
	{name: "other separators", line: `192.0.2.9 - - [01-Jan-2026 10:00:00 +0000] "GET / HTTP/1.1" 200 1`, problem: `the time "01-Jan-2026`},
	{name: "zeros for the time", line: `192.0.2.9 - - [` + strings.Repeat("\x00", 26) + `] "GET / HTTP/1.1" 200 1`, problem: `the time "\x00\x00`},
	{name: "zeros for the day", line: `192.0.2.9 - - [` + strings.Repeat("\x00", 12) + "10:00:00" + strings.Repeat("\x00", 6) + `] "GET / HTTP/1.1" 200 1`, problem: `the time "\x00\x00`},
	{name: "cut off in the request", line: `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HT`, problem: `the request "\"GET / HT" does not end`},
	{name: "the last quotation mark is escaped", line: `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1\" 200 1`, problem: `does not end`},
	{name: "an unescaped quotation mark", line: `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET /" HTTP/1.1" 200 1`, problem: `" HTTP/1.1\" 200 1" after the request`},
	{name: "no status", line: `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1"`, problem: `"" after the request`},
	{name: "a status of two digits", line: `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 20 1`, problem: `" 20 1" after the request`},
	{name: "a negative status", line: `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" -200 1`, problem: `"200 1" after the status`},
	{name: "no size", line: `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200`, problem: `"" after the status`},
	{name: "a negative size", line: `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 -5`, problem: `" -5" after the status`},
	{name: "a size beyond all", line: `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 10000000000000000000`, problem: `after the status`},
	{name: "a size in hexadecimal", line: `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 0x10`, problem: `after the status`},
	{name: "no agent", line: `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1 "-"`, problem: `"" where the agent would be`},
	{name: "cut off in the agent", line: `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "cur`, problem: `the agent "\"cur" does not end`},
	{name: "a referer without quotation marks", line: `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1 - -`, problem: `" - -" where the referer would be`},
	{name: "a space at the end", line: `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1 `, problem: `" " where the referer would be`},
	{name: "two lines run together", line: `192.0.2.9 - - [01/Jan/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "curl"192.0.2.9 - - `, problem: `"192.0.2.9 - - " after the agent`},
}

// readAs reads the last line of a log in a format that is given.
func readAs(r *replay.Reader, log string) (got *replay.Record, err error) {
	r.Reset(strings.NewReader(log + "\n"))
	for range strings.Count(log, "\n") + 1 {
		got, err = r.Read()
	}
	return got, err
}

func TestCommonLines(t *testing.T) {
	r := replay.NewReader(nil)
	r.Format = replay.Common
	for _, tt := range lines {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readAs(r, tt.line)
			if tt.problem != "" {
				require.ErrorContains(t, err, tt.problem)
				require.ErrorContains(t, err, "line 1: ")
				var bad *replay.LineError
				require.ErrorAs(t, err, &bad)
				require.Equal(t, uint64(1), bad.Line)
				require.Equal(t, bad.Err, errors.Unwrap(err))
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.client, got.Client.String())
			want, err := time.Parse(time.RFC3339, tt.time)
			require.NoError(t, err)
			require.Equal(t, want.UTC(), got.Time)
		})
	}
}

// An error is short and of one line, wherever a long line goes wrong.
func TestErrorsAreShort(t *testing.T) {
	r := replay.NewReader(nil)
	garbage := strings.Repeat("\xff\r\"", 1000)
	short := func(log string) {
		if _, err := readAs(r, log); err != nil {
			require.Less(t, len(err.Error()), 500)
			require.NotContains(t, err.Error(), "\n")
			require.NotContains(t, err.Error(), "\xff")
		}
	}
	for _, tt := range lines {
		r.Format = replay.Common
		for i := range len(tt.line) + 1 {
			short(tt.line[:i] + garbage)
		}
	}
	for _, s := range samples {
		r.Format = replay.Auto
		for i := 0; i < len(s.line); i += 7 {
			short(s.head + s.line + "\n" + s.line[:i] + garbage)
		}
	}
}

var (
	slowHead = regexp.MustCompile(`(?s)^([^ ]*) (.*? )\[(.{19}[^\]]{0,16})\] (".*)$`)
	slowMid  = regexp.MustCompile(`(?s)^[^ ]+ .+ $`)
	slowTime = regexp.MustCompile(`^\d\d/(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)/\d{4}:\d\d:\d\d:\d\d [+-]([01]\d|2[0-3])[0-5]\d$`)
	slowISO  = regexp.MustCompile(`^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([.,]\d{1,9})?(Z|[+-]([01]\d|2[0-3]):?[0-5]\d)$`)
	slowPort = regexp.MustCompile(`:\d{1,5}$`)
	slowHost = regexp.MustCompile(`^[A-Za-z0-9_.-]*[A-Za-z_][A-Za-z0-9_.-]*$`)
	slowTail = regexp.MustCompile(`(?s)^"([^"\\]|\\.)*" (\d{3}|-) (\d{1,19}|-)( "([^"\\]|\\.)*" "([^"\\]|\\.)*"( .*)?)?$`)
)

// slowAddress reads an address, with a port or without.
func slowAddress(text string) (addr netip.Addr, port, ok bool) {
	if len(text) > 64 {
		return netip.Addr{}, false, false
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr, false, true
	}
	if inner, found := strings.CutPrefix(text, "["); found && strings.HasSuffix(inner, "]") {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return addr, false, err == nil && addr.Is6()
	}
	both, err := netip.ParseAddrPort(text)
	return both.Addr(), true, err == nil && slowPort.MatchString(text)
}

func isSlowHost(text string) bool {
	if port := slowPort.FindString(text); port != "" {
		if _, err := strconv.ParseUint(port[1:], 10, 16); err != nil {
			return false
		}
		if text = strings.TrimSuffix(text, port); text == "" {
			return true
		}
	}
	return slowHost.MatchString(text)
}

// slowParse reads a line of the Common and the Combined Log Format by other means.
func slowParse(line []byte) (addr netip.Addr, when time.Time, status int, ok bool) {
	first, rest, _ := strings.Cut(string(line), " ")
	second, _, _ := strings.Cut(rest, " ")
	if _, _, is := slowAddress(second); is && first != "" {
		if _, port, is := slowAddress(first); is && !port || !is && !isSlowHost(first) {
			return addr, when, 0, false
		}
		line = []byte(rest)
	}
	var runes []rune // regexp knows no bytes: let each be a rune
	for _, b := range line {
		runes = append(runes, rune(b))
	}
	head := slowHead.FindStringSubmatch(string(runes))
	if head == nil || !slowMid.MatchString(head[2]) || !slowTime.MatchString(head[3]) && !slowISO.MatchString(head[3]) {
		return addr, when, 0, false
	}
	tail := slowTail.FindStringSubmatch(head[4])
	if tail == nil {
		return addr, when, 0, false
	}
	client, _, _ := strings.Cut(string(line), " ")
	addr, _, ok = slowAddress(client)
	layout, year, text := "02/Jan/2006:15:04:05 -0700", head[3][7:11], head[3]
	if slowISO.MatchString(text) {
		layout, year = "2006-01-02T15:04:05Z07:00", text[:4]
		text = strings.Replace(strings.Replace(text, " ", "T", 1), ",", ".", 1)
		if n := len(text); text[n-1] != 'Z' && text[n-3] != ':' {
			text = text[:n-2] + ":" + text[n-2:]
		}
	}
	when, err := time.Parse(layout, text)
	status, _ = strconv.Atoi(tail[2]) // "-" is 0
	return addr, when.UTC(), status, ok && err == nil && year >= "1970"
}

// otherFile reports whether a line may begin another kind of file, or be in the JSON of a log
// collector.
func otherFile(first byte) bool {
	return strings.IndexByte("\x1f\xfd\x28\x04P7\xff\xfeB\xef{", first) >= 0
}

func FuzzCommon(f *testing.F) {
	for _, tt := range lines {
		f.Add([]byte(tt.line))
	}
	for _, s := range samples {
		f.Add([]byte(s.line))
	}
	r := replay.NewReader(nil)
	r.Format = replay.Common
	f.Fuzz(func(t *testing.T, line []byte) {
		if strings.ContainsAny(string(line), "\r\n") || len(line) == 0 || otherFile(line[0]) {
			return // several lines, another file, or the JSON of a log collector
		}
		addr, when, status, ok := slowParse(line)
		got, err := readAs(r, string(line))
		if !ok {
			// It may be a good line after the prefix of a collector.
			if err == nil {
				require.Contains(t, r.Log().ReadsAs, ", after ", "%q", line)
			}
			return
		}
		require.NoError(t, err)
		require.Equal(t, addr, got.Client)
		require.Equal(t, when, got.Time)
		require.Equal(t, status, got.Status)
		require.False(t, errors.Is(err, nil) && got.Time.IsZero())
	})
}
