package main

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// A request is a line of a made log.
type request struct {
	client any    // all before ident and user
	status string // empty: 200
	agent  string // empty: curl
	extra  string // after the agent, with a space before it
}

// logOf returns a log of the requests, n times over, with equal steps from the first line
// to the last.
func logOf(n int, span time.Duration, requests ...request) string {
	var log strings.Builder
	start := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	lines := n * len(requests)
	for i := range lines {
		r := requests[i%len(requests)]
		when := start.Add(span * time.Duration(i) / time.Duration(max(1, lines-1)))
		fmt.Fprintf(&log, "%v - - [%s] \"GET / HTTP/1.1\" %s 1 \"-\" \"%s\"%s\n", r.client, when.Format(timeLayout),
			orElse(r.status, "200"), orElse(r.agent, "curl"), r.extra)
	}
	return log.String()
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// requireNothingConcluded checks that a report says its doubts before its figures, suggests
// nothing, and calls no entry unused.
func requireNothingConcluded(t *testing.T, r result, caution string) {
	t.Helper()
	require.Contains(t, flat(r.out), caution)
	said, served := strings.Index(r.out, "CAUTION"), strings.Index(r.out, "\nServed ")
	require.True(t, 0 < said && said < served, r.out)
	require.NotContains(t, r.out, "# Suggested")
	require.NotContains(t, r.out, "has served no call")
	require.Contains(t, r.out, "Not said     which entries are unused: see CAUTION.\n")
	require.Contains(t, r.out, "Not said     which list to suggest: see CAUTION.\n")
	require.Contains(t, r.out, "\nNo suggestion: see CAUTION above.\n")
}

// The customers of a balancer are none of its addresses: a list of those locks them out.
func TestProxyInTheFirstField(t *testing.T) {
	forwarded := func(client any, lists ...string) (requests []request) {
		for _, list := range lists {
			requests = append(requests, request{client: client, extra: ` "` + list + `"`})
		}
		return requests
	}
	var agents []request
	for i := range manyAgents {
		agents = append(agents, request{client: fmt.Sprintf("198.51.100.%d", i%fewClients), agent: fmt.Sprintf("backup/%d", i)})
	}
	for _, tt := range []struct {
		name, why string
		requests  []request
	}{
		{"one private address", "120 of 120 requests come from private addresses", []request{{client: "10.0.0.5"}}},
		{"two of them, and some callers past them", "240 of 360 requests come from private addresses",
			[]request{{client: "10.0.0.5"}, {client: "10.0.0.6"}, {client: "203.0.113.7"}}},
		{"the same host", "120 of 120 requests come from private addresses", []request{{client: "127.0.0.1"}}},
		{"the same host, by IPv6", "120 of 120 requests come from private addresses", []request{{client: "::1"}}},
		{"a carrier's shared address", "120 of 120 requests come from private addresses", []request{{client: "100.64.0.9"}}},
		{"mapped, with ports", "120 of 120 requests come from private addresses", []request{{client: "[::ffff:172.16.0.9]:40000"}}},
		{"private, with forwarded lists", "240 of 240 requests come from private addresses", forwarded("10.0.0.5", "203.0.113.7", "203.0.113.8")},
		{"public, with forwarded lists", "240 of 240 requests have another address in a forwarded list after the agent",
			forwarded("198.51.100.9", "203.0.113.7", "203.0.113.8, 192.0.2.5")},
		{"public, without lists", "4 addresses sent the requests of 12 and more different agents", agents},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := logOf(120, 48*time.Hour, tt.requests...)
			list := listFile(t, "203.0.113.7", "192.0.2.1")
			r := replayed(log, "-suggest", "3", list)
			require.Equal(t, 1, r.status)
			requireNothingConcluded(t, r, "CAUTION The clients look like a proxy: "+tt.why+". ")

			r = replayed(log, "-suggest", "3", "-client", "first", "-ipv6", list)
			require.NotContains(t, r.out, "CAUTION")
			require.Contains(t, r.out, "192.0.2.1 has served no call since\n")
		})
	}
}

// Clients that happen to have one of a proxy's marks.
func TestClientsInTheFirstField(t *testing.T) {
	var agents []request
	for i := range manyAgents - 1 {
		agents = append(agents, request{client: "198.51.100.9", agent: fmt.Sprintf("backup/%d", i)})
	}
	var many []request
	for i := range 3 * manyAgents {
		many = append(many, request{client: fmt.Sprintf("198.51.100.%d", i%(fewClients+1)), agent: fmt.Sprintf("backup/%d", i)})
	}
	for _, tt := range []struct {
		name     string
		requests []request
	}{
		{"one customer", []request{{client: "198.51.100.9"}}},
		{"one customer with several programs", agents},
		{"five customers with many programs", many},
		{"as many health checks from within", []request{{client: "10.0.0.5"}, {client: "203.0.113.7"}}},
		{"resolved by the server, which writes the list nevertheless", []request{
			{client: "203.0.113.7", extra: ` "203.0.113.7, 10.0.0.5"`}, {client: "203.0.113.8", extra: ` "203.0.113.8, 10.0.0.5"`}}},
		{"no list", []request{{client: "203.0.113.7", extra: ` "-"`}}},
		{"an address of the server", []request{{client: "203.0.113.7", extra: ` "10.0.0.1"`}}},
		{"upstreams", []request{{client: "203.0.113.7", extra: ` "10.0.0.1:80"`}, {client: "203.0.113.7", extra: ` "10.0.0.2:80"`}}},
		{"half of the lists", []request{{client: "203.0.113.7", extra: ` "192.0.2.1"`}, {client: "203.0.113.7", extra: ` "192.0.2.2"`},
			{client: "203.0.113.7"}, {client: "203.0.113.7"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := replayed(logOf(120, 48*time.Hour, tt.requests...), "-suggest", "3", listFile(t, "192.0.2.1"))
			require.Equal(t, 0, r.status)
			require.NotContains(t, r.out, "CAUTION")
			require.Contains(t, r.out, "# Suggested")
			require.Contains(t, r.out, "192.0.2.1 has served no call since\n")
		})
	}
}

func TestForwardedClient(t *testing.T) {
	log := logOf(60, 48*time.Hour,
		request{client: "10.0.0.5", extra: ` "192.0.2.66, 203.0.113.7"`}, // the first one is the caller's word
		request{client: "unix:", extra: ` 0.004 "203.0.113.8"`},
		request{client: "www.example.com:443 10.0.0.5", extra: ` "203.0.113.9:50001"`},
		request{client: "10.0.0.5", extra: ` "-"`, agent: "health"})
	list := listFile(t, "203.0.113.7", "192.0.2.66")
	p := reported(t, log, "-suggest", "3", "-client", "forwarded", list)
	require.Equal(t, uint64(180), p.Requests)
	require.Equal(t, uint64(60), p.Unforwarded)
	require.Equal(t, uint64(60), p.Served)
	require.Equal(t, []topClient{{"203.0.113.8", 60}, {"203.0.113.9", 60}}, p.DeniedClients.Top)
	require.Equal(t, 3, p.Suggestion.Clients)
	require.Equal(t, []finding{{"unused", "192.0.2.66", nil, "192.0.2.66 has served no call since 2026-01-05T12:00:00Z"}}, p.Findings.Found)
	out := replayed(log, "-client", "forwarded", list).out
	require.Contains(t, out, "Client       the last forwarded address\n")
	require.Contains(t, out, "Left out     60 lines without a forwarded address\n")

	t.Run("of a further proxy", func(t *testing.T) {
		log := logOf(120, 48*time.Hour, request{client: "10.0.0.5", extra: ` "203.0.113.7, 10.0.0.4"`})
		r := replayed(log, "-suggest", "3", "-client", "forwarded", list)
		require.Equal(t, 1, r.status)
		requireNothingConcluded(t, r, "CAUTION The forwarded addresses look like those of a further proxy: 120 of 120 requests come from private addresses. ")
	})
	// The caller writes the host, and past the proxy no forwarded list goes with it.
	for name, extras := range map[string][]string{
		"not of an upstream":               {` "203.0.113.7" "198.51.100.1:8080"`},
		"not of a host":                    {` "203.0.113.7" "api.example"`, ` "-" "192.0.2.66"`},
		"not of a host in the first line":  {` "-" "192.0.2.66"`, ` "203.0.113.7" "api.example"`},
		"not of a host beside a forwarded": {` "203.0.113.7" "192.0.2.66"`, ` "203.0.113.8" "api.example"`},
	} {
		t.Run(name, func(t *testing.T) {
			var requests []request
			for _, extra := range extras {
				requests = append(requests, request{client: "198.51.100.9", extra: extra})
			}
			r := replayed(logOf(60, 48*time.Hour, requests...), "-suggest", "3", "-client", "forwarded", list)
			require.Equal(t, 2, r.status)
			requireNothingConcluded(t, r, "lines could not be read. The first: ")
			require.Contains(t, r.errors, "addresses after the agent")
		})
	}
	t.Run("in no log without the field", func(t *testing.T) {
		r := replayed(logOf(120, 48*time.Hour, request{client: "10.0.0.5"}), "-suggest", "3", "-client", "forwarded", list)
		require.Equal(t, 2, r.status)
		requireNothingConcluded(t, r, "standard input: 120 of 120 lines could not be read. The first: no forwarded address after the agent: want the header X-Forwarded-For there, ")
	})
}

func TestSecondField(t *testing.T) {
	list := listFile(t, "203.0.113.7", "198.51.100.9")
	vhosts := logOf(60, 48*time.Hour, request{client: "example.com:443 203.0.113.7"}, request{client: "198.51.100.9:443 203.0.113.8"})
	p := reported(t, vhosts, "-suggest", "3", list)
	require.Equal(t, uint64(60), p.Served)
	require.Equal(t, uint64(120), p.SecondField)
	require.Equal(t, 2, p.Suggestion.Clients)
	require.Equal(t, "198.51.100.9", p.Findings.Found[0].Entry, "the virtual host has served no call")
	require.Contains(t, replayed(vhosts, list).out, "Client       the second field\n")
	require.Contains(t, replayed(vhosts+logLine("203.0.113.7"), list).out, "Client       the first field, in 120 requests the second\n")
	require.Equal(t, 2, replayed(vhosts, "-client", "first", list).status, "but the second line's first field is an address")

	two := logOf(120, 48*time.Hour, request{client: "203.0.113.7 198.51.100.9"})
	r := replayed(two, "-suggest", "3", list)
	require.Equal(t, 2, r.status)
	requireNothingConcluded(t, r, "want a virtual host and the client there, or -client first or second.")
	require.Equal(t, "198.51.100.9", reported(t, two, "-client", "first", list).Findings.Found[0].Entry)
	require.Equal(t, "203.0.113.7", reported(t, two, "-client", "second", list).Findings.Found[0].Entry)
	r = replayed(logOf(120, 48*time.Hour, request{client: "203.0.113.7"}), "-client", "second", list)
	require.Equal(t, 2, r.status)
	require.Contains(t, r.errors, "no address in the second field of ")
}

func TestOtherFormats(t *testing.T) {
	list := listFile(t, "192.0.2.1", "192.0.2.2")
	for _, tt := range []struct{ format, line string }{
		{"JSON", `{"remote_addr":"192.0.2.1","status":200}`},
		{"the W3C Extended Log Format, as of IIS and CloudFront", "#Software: Microsoft Internet Information Services 10.0"},
		{"an access log of an AWS load balancer", `h2 2026-01-05T12:00:00.000000Z app/lb/1 192.0.2.1:50001 10.0.0.1:80 0.0 0.0 0.0 200 200 1 1 "GET https://example.com/ HTTP/2.0"`},
		{"syslog", `Jan  5 12:00:00 web nginx: 192.0.2.1 - - [05/Jan/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 1`},
		{"syslog", `<134>Jan  5 12:00:00 web nginx: 192.0.2.1 - - [05/Jan/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 1`},
		{"syslog", `2026-01-05T12:00:00.000000+00:00 web nginx: 192.0.2.1 - - [05/Jan/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 1`},
		{"an error log", `2026/01/05 12:00:00 [error] 7#7: *1 open() failed, client: 192.0.2.1`},
		{"an error log", `[Mon Jan 05 12:00:00.000000 2026] [core:error] [pid 7] [client 192.0.2.1:50001] AH00126`},
		{"a header of comments", "# requests of 5 January"},
		{"CSV", "1767614400,192.0.2.1,GET,/,200,1"},
	} {
		t.Run(tt.format, func(t *testing.T) {
			r := replayed(strings.Repeat(tt.line+"\n", 500), "-suggest", "3", list)
			require.Equal(t, 2, r.status)
			requireNothingConcluded(t, r, "CAUTION standard input: 500 of 500 lines could not be read. The first looks like "+tt.format+": want the Common or the Combined Log Format.")
			require.Contains(t, r.out, "Read         0 requests in 500 lines of standard input\n")
		})
	}
	t.Run("one log of two", func(t *testing.T) {
		good := file(t, "good.log", []byte(logOf(500, 48*time.Hour, request{client: "192.0.2.1"})))
		other := file(t, "other.log", []byte("garbage\n"))
		r := replayed("", "-suggest", "3", list, good, other)
		require.Equal(t, 2, r.status)
		requireNothingConcluded(t, r, "CAUTION "+other+": 1 of 1 line could not be read. The first: the client \"garbage\" is not an address")
		require.Contains(t, flat(r.out), "Not read 1 bad line 1 of 1 line in "+other)
	})
}

func TestCompressions(t *testing.T) {
	list := listFile(t, "192.0.2.1", "192.0.2.2")
	for _, tt := range []struct{ begin, problem string }{
		{"\xfd7zXZ\x00\x00\x04", "it is compressed with xz: want it decompressed, as by xz -dc FILE | replay LIST -"},
		{"\x28\xb5\x2f\xfd\x04", "it is compressed with zstd: "},
		{"\x04\x22\x4d\x18\x64", "it is compressed with lz4: "},
		{"\x1f\x9d\x90", "it is compressed with compress: "},
		{"PK\x03\x04\x14", "it is a ZIP archive: "},
		{"7z\xbc\xaf\x27\x1c", "it is a 7z archive: "},
		{"\xff\xfe1\x009\x002\x00", "it is UTF-16: want UTF-8, as by iconv "},
		{"\xfe\xff\x001\x009\x002", "it is UTF-16: "},
	} {
		name := file(t, "access.log", []byte(tt.begin+strings.Repeat("x", 100)))
		r := replayed(logOf(500, 48*time.Hour, request{client: "192.0.2.1"}), "-suggest", "3", list, name, "-")
		require.Equal(t, 2, r.status, tt.problem)
		require.Contains(t, r.errors, "replay: "+name+": "+tt.problem)
		requireNothingConcluded(t, r, "CAUTION "+name+" cannot be read to its end: "+tt.problem)
		require.Contains(t, flat(r.out), "Not read 0 bad lines all of "+name)
	}

	const one = "425a683931415926535905418090000018df804010500bf33002d0440a280512002000545329a6d04c98999462110f229e90d1a0680399da403f00e07b8b5e905a20b8dbca98563b3cb403a3364c9b5dcaab640f111b9d08bc304627a5acef7f8bb9229c284802a0c04800"
	const two = "425a683931415926535986ffa23b000031df804010500bf33002d0440a280512002000602aa98d4d080d193d134d0a000680003143259351462f8a21d50fa92ae85d7bb9460859c3342ecd268c537a5146e864a9e157b6a85ebd577499269a6d5666c18345926c86cdd83f3872e5fc5dc914e142421bfe88ec"
	text := func(packed string) string {
		b, err := hex.DecodeString(packed)
		require.NoError(t, err)
		return string(b)
	}
	for _, tt := range []struct {
		name, log string
		status    int
		requests  uint64
	}{
		{"bzip2", text(one), 0, 1},
		{"two bzip2 files in one", text(one + two), 0, 3},
		{"an empty bzip2 file", text("425a683917724538509000000000"), 0, 0},
		{"bzip2 cut off in its checksum", text(two[:len(two)-20]), 2, 2},
		{"no bzip2", "BZh9 is a host's name\n", 2, 0},
		{"a byte order mark", "\xef\xbb\xbf" + logLine("192.0.2.1"), 0, 1},
		{"two of them", "\xef\xbb\xbf\xef\xbb\xbf" + logLine("192.0.2.1"), 2, 0},
	} {
		r := replayed(tt.log, "-json", list)
		require.Equal(t, tt.status, r.status, tt.name)
		require.Equal(t, tt.requests, parseReport(t, r.out).Requests, tt.name)
	}
}

// An entry is called unused after enough requests, enough time, and enough of the lines.
func TestUnused(t *testing.T) {
	list := listFile(t, "192.0.2.1", "192.0.2.2")
	log := func(n int, span time.Duration) string { return logOf(n, span, request{client: "192.0.2.1"}) }
	for _, tt := range []struct {
		name, log, because string
		status             int
	}{
		{"enough", log(100, 24*time.Hour), "", 0},
		{"too little time", log(100, 24*time.Hour-time.Second), "The logs cover 23h59m59s: want a day at least.", 0},
		{"too few requests", log(99, 24*time.Hour), "The logs have 99 requests: want 100 at least.", 0},
		{"1 % bad lines", log(198, 24*time.Hour) + "\n\n", "", 0},
		{"more than 1 %", log(197, 24*time.Hour) + "\n\n", "standard input: 2 of 199 lines could not be read. The first: an empty line: want one request a line.", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := replayed(tt.log, "-json", list)
			require.Equal(t, tt.status, r.status)
			p := parseReport(t, r.out)
			if tt.because == "" {
				require.Empty(t, p.Withheld)
				require.Equal(t, []finding{{"unused", "192.0.2.2", nil, "192.0.2.2 has served no call since 2026-01-05T12:00:00Z"}}, p.Findings.Found)
				return
			}
			require.Equal(t, []withheld{{"unused", tt.because}}, p.Withheld)
			require.Empty(t, p.Findings.Found)
			require.Contains(t, flat(replayed(tt.log, list).out), "Not said which entries are unused: ")
		})
	}
	t.Run("nothing to withhold", func(t *testing.T) {
		require.Empty(t, reported(t, log(10, time.Hour), listFile(t, "192.0.2.1")).Withheld)
	})
	t.Run("a suggestion of a short log", func(t *testing.T) {
		require.NotNil(t, reported(t, log(1, 0), "-suggest", "1", list).Suggestion)
	})
}

// Scanners and callers with a wrong secret had no success.
func TestSuggestionNeedsSuccess(t *testing.T) {
	log := logOf(30, 48*time.Hour,
		request{client: "192.0.2.1"}, request{client: "192.0.2.2", status: "304"}, request{client: "192.0.2.3", status: "101"},
		request{client: "192.0.2.1", status: "500"},
		request{client: "203.0.113.1", status: "401"}, request{client: "203.0.113.2", status: "403"},
		request{client: "203.0.113.3", status: "404"}, request{client: "203.0.113.4", status: "-"},
		request{client: "2001:db8::1", status: "401"}, request{client: "0.0.0.0", status: "400"})
	p := reported(t, log, "-suggest", "10", listFile(t, "198.51.100.1"))
	var entries []string
	for e := range p.Suggestion.Entries.All() {
		entries = append(entries, e.String())
	}
	require.Equal(t, []string{"192.0.2.1", "192.0.2.2/31"}, entries)
	require.Equal(t, leftOut{
		ByStatus:         []statusCount{{0, 30}, {400, 30}, {401, 60}, {403, 30}, {404, 30}, {500, 30}},
		IPv6PrefixLength: 128,
	}, p.Suggestion.LeftOut)
	out := replayed(log, "-suggest", "10", listFile(t, "198.51.100.1")).out
	require.Contains(t, flat(out), `Left out of the suggestion: 210 requests without success: 30 with "-", 30 with 400, 60 with 401, 30 with 403, 30 with 404, 30 with 500. List`)

	r := replayed(logOf(200, 48*time.Hour, request{client: "203.0.113.1", status: "401"}), "-suggest", "3", listFile(t, "192.0.2.1"))
	require.Equal(t, 1, r.status)
	require.Contains(t, flat(r.out), "No suggestion: No request from an IPv4 address was answered with success.")
}

// In a log with ports 2001:db8::1:443 may be 2001:db8::1.
func TestPorts(t *testing.T) {
	list := listFile(t, "192.0.2.1", "192.0.2.2")
	ports := logOf(120, 48*time.Hour, request{client: "192.0.2.1:50001"}, request{client: "[2001:db8::1]:443"}, request{client: "2001:db8:1:2:3:4:5:6"})
	p := reported(t, ports, list)
	require.Equal(t, uint64(120), p.Served)
	require.Equal(t, []topClient{{"2001:db8::1", 120}, {"2001:db8:1:2:3:4:5:6", 120}}, p.DeniedClients.Top)

	r := replayed(ports+logLine("2001:db8::1:443"), "-json", list)
	require.Equal(t, 0, r.status)
	require.Equal(t, uint64(1), parseReport(t, r.out).BadLines)
	require.Contains(t, r.errors, "the client 2001:db8::1:443 may end in a port, as others do: want IPv6 with a port in brackets")

	r = replayed(logLine("2001:db8::1:443")+ports, "-suggest", "3", list)
	require.Equal(t, 1, r.status)
	requireNothingConcluded(t, r, "CAUTION standard input: 240 addresses with a port, 1 IPv6 address without brackets that may be one with a port: want IPv6 in brackets.")

	first, second := file(t, "1.log", []byte(logLine("2001:db8::1:443"))), file(t, "2.log", []byte(ports))
	require.Equal(t, 0, replayed("", list, first, second).status, "each log has its own format")
}

// A report fits a narrow terminal. Only names of files and entries are longer.
func TestNarrow(t *testing.T) {
	t.Chdir("testdata")
	for _, args := range [][]string{
		{"-suggest", "3", "office.txt", "week.log"},
		{"-suggest", "3", "office.txt", "monday.log", "tuesday.log", "-"},
		{"-suggest", "3", "-client", "forwarded", "office.txt", "-", "week.log"},
	} {
		r := replayed(logOf(200, time.Hour, request{client: "10.0.0.5"}, request{client: "10.0.0.5", extra: ` "-"`}), args...)
		require.Greater(t, strings.Count(r.out, "\n"), 20)
		for line := range strings.Lines(r.out) {
			require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), width, r.out)
			require.Equal(t, strings.TrimRight(line, " \n")+"\n", line, "no blank at the end")
		}
	}
}
