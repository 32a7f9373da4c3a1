package replay_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/accesslist/replay"
)

func TestForwardedClient(t *testing.T) {
	forwarded := replay.Client{Forwarded: 1}
	log := logOf(60, days,
		request{client: "10.0.0.5", extra: ` "192.0.2.66, 203.0.113.7"`}, // the first one is the caller's word
		request{client: "unix:", extra: ` 0.004 "203.0.113.8"`},
		request{client: "www.example.com:443 10.0.0.5", extra: ` "203.0.113.9:50001"`},
		request{client: "10.0.0.5", extra: ` "-"`, agent: "health"})
	list := parse(t, "203.0.113.7", "192.0.2.66")
	p := reported(t, log, list, replay.Options{Suggest: 3, Client: forwarded})
	require.Equal(t, uint64(180), p.Calls)
	require.Equal(t, uint64(60), p.NoClient)
	require.Equal(t, uint64(60), p.Served)
	require.Equal(t, []string{"203.0.113.8/32 60", "203.0.113.9/32 60"}, clients(p))
	require.Equal(t, 3, p.Suggestion.Clients)
	require.Equal(t, []string{"unused 192.0.2.66"}, findings(p))
	out := textOf(t, p)
	require.Contains(t, out, "Client       forwarded:1\n")
	require.Contains(t, out, "Left out     60 requests without a client in the line\n")

	t.Run("the second from the right", func(t *testing.T) {
		p := reported(t, log, list, replay.Options{Client: replay.Client{Forwarded: 2}})
		require.Equal(t, uint64(60), p.Served)
		require.Equal(t, uint64(180), p.NoClient)
	})
	t.Run("of a further proxy", func(t *testing.T) {
		log := logOf(120, days, request{client: "10.0.0.5", extra: ` "203.0.113.7, 10.0.0.4"`})
		requireNothingConcluded(t, reported(t, log, list, replay.Options{Suggest: 3, Client: forwarded}), replay.Proxy,
			"The forwarded addresses look like those of a further proxy: 120 of 120 calls come from private addresses. Want the client forwarded:2")
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
			p := reported(t, logOf(60, days, requests...), list, replay.Options{Suggest: 3, Client: forwarded})
			requireNothingConcluded(t, p, replay.BadLines, "lines could not be read. The first is line ")
			require.Contains(t, p.Logs[0].FirstBad[0], "addresses after the agent")
		})
	}
	t.Run("in no log without the field", func(t *testing.T) {
		for _, extra := range []string{"", " 0.004"} {
			p := reported(t, logOf(120, days, request{client: "10.0.0.5", extra: extra}), list, replay.Options{Suggest: 3, Client: forwarded})
			requireNothingConcluded(t, p, replay.BadLines, "120 of 120 lines could not be read.")
		}
	})
}

func TestSecondField(t *testing.T) {
	list := parse(t, "203.0.113.7", "198.51.100.9")
	vhosts := logOf(60, days, request{client: "example.com:443 203.0.113.7"}, request{client: "198.51.100.9:443 203.0.113.8"})
	p := reported(t, vhosts, list, replay.Options{Suggest: 3})
	require.Equal(t, uint64(60), p.Served)
	require.Equal(t, uint64(120), p.SecondField)
	require.Equal(t, 2, p.Suggestion.Clients)
	require.Equal(t, []string{"unused 198.51.100.9"}, findings(p), "the virtual host has served no call")
	require.Contains(t, textOf(t, p), "\n             the second field in 120 calls\n")
	p = reported(t, vhosts, list, replay.Options{Client: replay.Client{Field: "1"}})
	require.Equal(t, uint64(60), p.BadLines, "but the second line's first field is an address")

	two := logOf(120, days, request{client: "203.0.113.7 198.51.100.9"})
	requireNothingConcluded(t, reported(t, two, list, replay.Options{Suggest: 3}), replay.BadLines, "120 of 120 lines could not be read")
	require.Equal(t, []string{"unused 198.51.100.9"}, findings(reported(t, two, list, replay.Options{Client: replay.Client{Field: "1"}})))
	require.Equal(t, []string{"unused 203.0.113.7"}, findings(reported(t, two, list, replay.Options{Client: replay.Client{Field: "2"}})))
	p = reported(t, logOf(120, days, request{client: "203.0.113.7"}), list, replay.Options{Format: replay.Common, Client: replay.Client{Field: "2"}})
	require.Contains(t, p.Logs[0].FirstBad[0], "no address in the second field of ")
}

// Scanners and callers with a wrong secret had no success.
func TestSuggestionNeedsSuccess(t *testing.T) {
	log := logOf(30, days,
		request{client: "192.0.2.1"}, request{client: "192.0.2.2", status: "304"}, request{client: "192.0.2.3", status: "101"},
		request{client: "192.0.2.1", status: "500"},
		request{client: "203.0.113.1", status: "401"}, request{client: "203.0.113.2", status: "403"},
		request{client: "203.0.113.3", status: "404"}, request{client: "203.0.113.4", status: "-"},
		request{client: "2001:db8::1", status: "401"}, request{client: "0.0.0.0", status: "400"}, request{client: "0.0.0.0"}, request{client: "2001:db8::1"},
		request{client: "192.0.2.1", status: "410"}, request{client: "192.0.2.1", status: "422"}, request{client: "192.0.2.1", status: "502"})
	p := reported(t, log, parse(t, "198.51.100.1"), replay.Options{Suggest: 10})
	require.Equal(t, uint64(90), p.AlreadyRefused)
	require.Equal(t, []string{"192.0.2.1", "192.0.2.2/31"}, entries(p.Suggestion.List))
	require.Equal(t, []replay.StatusCalls{{Status: 0, Calls: 30}, {Status: 400, Calls: 30}, {Status: 404, Calls: 30},
		{Status: 410, Calls: 30}, {Status: 422, Calls: 30}, {Status: 500, Calls: 30}, {Status: 502, Calls: 30}}, p.Suggestion.Failed)
	require.Equal(t, uint64(30), p.Suggestion.ImpossibleClient)
	require.Equal(t, uint64(30), p.Suggestion.IPv6Unserved)
	out := flat(textOf(t, p))
	require.Contains(t, out, `Left out: 210 calls without success: 30 with "-", 30 with 400, 30 with # 404, 30 with 410, 30 with 422, 30 with 500, others.`)
	require.Contains(t, out, `Left out: 30 calls from 1 block of IPv6 without a present entry: # suggestions are for IPv4.`)
	require.Contains(t, out, `Left out: 30 calls from addresses of no client, such as 0.0.0.0.`)

	p = reported(t, logOf(200, days, request{client: "203.0.113.1", status: "500"}), parse(t, "192.0.2.1"), replay.Options{Suggest: 3})
	require.Nil(t, p.Suggestion)
	require.Contains(t, flat(textOf(t, p)), "No suggestion: No call from an address that may be suggested was answered with success.")
}

// With the opt-in IPv6 is suggested, by /64.
func TestSuggestIPv6(t *testing.T) {
	log := logOf(10, days, request{client: "2001:db8::1"}, request{client: "2001:db8::ffff:2"}, request{client: "2001:db8:0:1::1"}, request{client: "192.0.2.1"})
	present := parse(t, "2001:db8:ffff::/48")
	p := reported(t, log, present, replay.Options{Suggest: 2, IPv6: true})
	require.Equal(t, []string{"192.0.2.1", "2001:db8::/63"}, entries(p.Suggestion.List))
	require.Equal(t, 2, p.Suggestion.IPv6Clients)
	e, ok := p.Suggestion.List.Find(netip.MustParsePrefix("2001:db8::/63"))
	require.True(t, ok)
	require.Equal(t, "blocks of /64: 2, calls: 30", e.Comment)

	p = reported(t, log, present, replay.Options{Suggest: 2})
	require.Equal(t, []string{"192.0.2.1", "2001:db8:ffff::/48"}, entries(p.Suggestion.List))

	p = reported(t, logOf(10, days, request{client: "::1"}, request{client: "2001:db8::1"}), present, replay.Options{Suggest: 2, IPv6: true, Client: replay.Client{Peer: true}})
	if p.Suggestion == nil {
		require.Contains(t, p.Because(replay.SuggestedList), "The clients cannot be listed: ")
	}
}

// A list that is required and empty refuses everyone; one that is not refuses nobody but a
// client that no rule knows.
func TestEmptyList(t *testing.T) {
	log := logOf(1, 0, request{client: "192.0.2.1"}, request{client: "fe80::1%eth0"})
	p := reported(t, log, accesslist.List{}, replay.Options{Suggest: 1})
	require.Equal(t, []string{"fe80::/64 1"}, clients(p))
	require.Equal(t, uint64(1), p.Suggestion.ImpossibleClient)
	require.Contains(t, textOf(t, p), "0 entries; an empty list refuses nobody")
	require.Contains(t, flat(textOf(t, p)), "can replace the open # list.")
	p = reported(t, log, accesslist.List{}, replay.Options{ListRequired: true})
	require.Equal(t, uint64(2), p.Refused)
	require.Contains(t, textOf(t, p), "0 entries; an empty list refuses everyone")
}

// Expiries are judged at the time of each call, or as of one.
func TestExpiries(t *testing.T) {
	list, err := accesslist.Parser{}.ParseText([]byte("192.0.2.1 expires=2026-01-06T12:00:00Z\n192.0.2.2\n"))
	require.NoError(t, err)
	log := logOf(100, days, request{client: "192.0.2.1"})
	p := reported(t, log, list, replay.Options{})
	require.Equal(t, uint64(50), p.Served)
	require.Equal(t, "2026-01-06T12:14:32Z", p.RefusedClients[0].First.Format(time.RFC3339))
	require.Equal(t, p.Last, p.RefusedClients[0].Last)
	require.Len(t, p.Usage, 1)
	require.Equal(t, netip.MustParsePrefix("192.0.2.1/32"), p.Usage[0].Entry)
	require.Equal(t, uint64(50), p.Usage[0].Calls)
	require.Equal(t, netip.MustParseAddr("192.0.2.1"), p.Usage[0].LastAddress)
	require.Equal(t, p.Last, p.FindingsAt)

	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p = reported(t, log, list, replay.Options{At: at})
	require.Equal(t, uint64(100), p.Served)
	require.Equal(t, at, p.JudgedAt)
	require.Equal(t, at, p.FindingsAt)
	require.Contains(t, flat(textOf(t, p)), "each call as of 2026-01-01T00:00:00Z, and")
}

func TestInvalid(t *testing.T) {
	bad, err := accesslist.Parse("no address")
	require.Error(t, err)
	for _, tt := range []struct {
		list    accesslist.List
		options replay.Options
		problem string
	}{
		{bad, replay.Options{}, "replay: the list is invalid"},
		{accesslist.List{}, replay.Options{Suggest: -1}, "replay: a suggestion of -1 entries: want 1 to 1000, or 0 for none"},
		{accesslist.List{}, replay.Options{Suggest: 1001}, "replay: a suggestion of 1001 entries"},
		{accesslist.List{}, replay.Options{Suggest: 1, IPv6: true}, "replay: a suggestion of 1 entry for IPv4 and IPv6: want 2 or more"},
		{accesslist.List{}, replay.Options{MaxAddresses: 1}, "replay: at most 1 addresses: want 2 or more, or 0 for 262144"},
		{accesslist.List{}, replay.Options{Format: 99}, "replay: format 99 is unknown: want one of auto, guard, "},
		{accesslist.List{}, replay.Options{Client: replay.Client{Forwarded: -1}}, "replay: client forwarded:-1: want a place from 1 on"},
		{accesslist.List{}, replay.Options{Client: replay.Client{Peer: true, Field: "x"}}, "replay: several clients in "},
	} {
		_, err := replay.Read(strings.NewReader(""), tt.list, tt.options)
		require.ErrorContains(t, err, tt.problem)
	}
}

// randomLog returns a log whose clients come from a few neighbourhoods.
func randomLog(random *rand.Rand, ipv6 bool) string {
	var log strings.Builder
	var homes [4]uint32
	for i := range homes {
		homes[i] = random.Uint32()
	}
	spread := uint32(1) << random.IntN(20)
	for range 1 + random.IntN(300) {
		client := address4(homes[random.IntN(len(homes))] ^ random.Uint32N(spread))
		switch random.IntN(8) {
		case 0:
			client = netip.AddrFrom16(client.As16())
		case 1:
			if ipv6 {
				client = address6(0x2001_0db8_0000_0000+random.Uint64N(4), random.Uint64N(4))
			}
		}
		log.WriteString(logLine(client))
	}
	return log.String()
}

// A suggested list, put in the place of the present one, serves every client of the log that
// it is for, and every IPv6 client that the present one serves. The text ends with it.
func TestSuggestionServesAll(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	for range 150 {
		log := randomLog(random, true)
		var present accesslist.List
		if random.IntN(3) > 0 {
			present = parse(t, address4(random.Uint32()|1).String(), "2001:db8::/63", "2001:db8:0:2::1")
		}
		options := replay.Options{Suggest: 2 + random.IntN(40), IPv6: random.IntN(2) == 0, Client: replay.Client{Peer: true}, MaxAddresses: 8 << random.IntN(6)}
		before := reported(t, log, present, options)
		require.NotNil(t, before.Suggestion)
		s := before.Suggestion
		own := 0
		for e := range s.List.All() {
			if options.IPv6 || e.Prefix().Addr().Is4() {
				own++
			}
		}
		require.LessOrEqual(t, own, options.Suggest)

		out := textOf(t, before)
		text := out[strings.Index(out, "# Suggested"):]
		list, err := accesslist.Parser{AllowIPv6: true}.ParseText([]byte(text))
		require.NoError(t, err)
		require.True(t, list.Equal(s.List))
		after := reported(t, log, list, replay.Options{Client: options.Client})
		for _, c := range after.RefusedClients {
			require.False(t, options.IPv6)
			require.True(t, c.Prefix.Addr().Is6())
		}
		require.Equal(t, s.IPv6Unserved, after.Refused)
		if s.IPv4PrefixLength < 32 {
			require.Contains(t, out, fmt.Sprintf("of /%d", s.IPv4PrefixLength))
		}
	}
}

func TestOverBroadSuggestionIsTold(t *testing.T) {
	p := reported(t, logLine("10.0.0.1")+logLine("192.0.2.1")+logLine("192.0.2.1"), parse(t, "192.0.2.1"), replay.Options{Suggest: 1})
	out := textOf(t, p)
	require.Contains(t, flat(out), "# WARNING: 0.0.0.0/0 is over-broad, a block wider than /8, or /32 for # IPv6.")
	require.Contains(t, flat(out), "# It covers 4,294,967,296 IPv4 addresses. Seen: 2 addresses.")
}

// The same lines give the same report however they are stored and cut into logs.
func TestWaysToGiveALog(t *testing.T) {
	var text string
	for i := range 1000 {
		text += logLine(fmt.Sprintf("192.0.%d.%d", i%5, i%50))
	}
	half := strings.LastIndex(text[:len(text)/2], "\n") + 1
	list := parse(t, "192.0.2.0/24")
	want := reported(t, text, list, replay.Options{})
	require.Equal(t, uint64(200), want.Served)
	for name, logs := range map[string][]string{
		"gzip":                    {string(compress(text))},
		"two gzip files in one":   {string(compress(text[:half])) + string(compress(text[half:]))},
		"gzip cut inside a line":  {string(compress(text[:half+7])) + string(compress(text[half+7:]))},
		"several":                 {text[:half], string(compress(text[half:]))},
		"CRLF":                    {strings.ReplaceAll(text, "\n", "\r\n")},
		"no end of the last line": {strings.TrimSuffix(text, "\n")},
		"a byte order mark":       {"\xef\xbb\xbf" + text},
	} {
		r, err := replay.New(list, replay.Options{})
		require.NoError(t, err)
		for _, log := range logs {
			r.Read("log", strings.NewReader(log))
		}
		got := r.Report()
		got.Logs = want.Logs
		require.Equal(t, want, got, name)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// The text names a few logs and bad lines, and counts the others.
func TestText(t *testing.T) {
	r, err := replay.New(parse(t, "192.0.2.1", "192.0.2.128/25", "192.0.2.129", "192.0.2.130", "192.0.2.131"), replay.Options{})
	require.NoError(t, err)
	for i := range 6 {
		r.Read(fmt.Sprintf("%d.log", i), strings.NewReader(strings.Repeat("garbage\n", 7)+logLine("192.0.2.1")+logLine("203.0.113.1")+logLine("203.0.113.2")))
	}
	r.Read("empty.log", strings.NewReader(""))
	p := r.Report()
	require.True(t, p.Complete())
	var out strings.Builder
	require.NoError(t, p.WriteText(&out, 1))
	require.Contains(t, out.String(), "             0.log reads as: Common or Combined Log Format\n")
	require.Contains(t, out.String(), "             and 3 logs more\n")
	require.Contains(t, out.String(), "             and 2 more\n")
	require.Contains(t, out.String(), "\nRefused clients: 2, and those with most calls\n             6  203.0.113.1              2026-01-05T12:00:00Z to 2026-01-05T12:00:00Z\n\n")
	require.Contains(t, out.String(), "             3  shadowed\n    - 192.0.2.129 is shadowed by 192.0.2.128/25 and could go\n    - and 2 more\n")
	require.NotContains(t, out.String(), "5.log reads")
	require.EqualError(t, p.WriteText(fullDisk{}, 1), "no space left on device")

	p = reported(t, "", parse(t, "192.0.2.1"), replay.Options{Suggest: 1})
	require.Contains(t, textOf(t, p), "Read         0 calls in 0 lines\n             The log reads as: no known format\n")
	require.Contains(t, textOf(t, p), "Served       0 calls\n")
	require.NotContains(t, textOf(t, p), "has served no call", "nobody counted")
	require.Nil(t, p.Suggestion, "an empty list would admit everyone")
	require.Empty(t, p.Because("no such conclusion"))

	damaged := parse(t, "192.0.2.1")
	p = reported(t, logLine("192.0.2.1"), damaged, replay.Options{Suggest: 1})
	p.Suggestion.List, _ = accesslist.Parse("no address")
	require.Error(t, p.WriteText(io.Discard, 1), "an invalid list has no text")
}

// The JSON of a report has what its text has.
func TestReportAsJSON(t *testing.T) {
	p := reported(t, logOf(100, days, request{client: "192.0.2.1"}, request{client: "203.0.113.1"}), parse(t, "192.0.2.0/24", "192.0.2.1"), replay.Options{Suggest: 3})
	text, err := json.Marshal(p)
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(text, &got))
	require.Equal(t, []any{map[string]any{"prefix": "203.0.113.1/32", "calls": 100.0, "first": "2026-01-05T12:14:28Z", "last": "2026-01-07T12:00:00Z"}}, got["refusedClients"])
	require.Equal(t, []any{map[string]any{"kind": "shadowed", "entry": "192.0.2.1", "by": []any{"192.0.2.0/24"}, "text": "192.0.2.1 is shadowed by 192.0.2.0/24 and could go"},
		map[string]any{"kind": "unused", "entry": "192.0.2.0/24", "text": "192.0.2.0/24 has served no call since 2026-01-05T12:00:00Z"}}, sorted(got["findings"]))
	require.Equal(t, []any{map[string]any{"entry": "192.0.2.1/32", "calls": 100.0, "last": "2026-01-07T11:45:31Z", "lastAddress": "192.0.2.1"}}, got["usage"])
	require.Equal(t, "auto", got["client"])
	require.Equal(t, []any{}, got["doubts"])
	require.Equal(t, []any{}, got["withheld"])
	require.NotContains(t, got, "judgedAt")
	require.Len(t, got["suggestion"].(map[string]any)["entries"], 2)
}

// sorted returns findings by kind.
func sorted(list any) []any {
	all := list.([]any)
	slices.SortFunc(all, func(a, b any) int {
		return strings.Compare(a.(map[string]any)["kind"].(string), b.(map[string]any)["kind"].(string))
	})
	return all
}
