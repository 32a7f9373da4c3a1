package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/policy"
)

// suggested returns the part of a report in text form that is an access list.
func suggested(t *testing.T, out string) string {
	t.Helper()
	i := strings.Index(out, "# Suggested")
	require.GreaterOrEqual(t, i, 0, out)
	return out[i:]
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

// A suggested list, put in the place of the present one, serves every IPv4 client of
// the log, and every IPv6 client that the present one serves.
func TestSuggestionServesAll(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	for round := range 150 {
		log := randomLog(random, true)
		var present accesslist.List
		if random.IntN(3) > 0 {
			var err error
			present, err = accesslist.Parser{AllowIPv6: true}.ParseText([]byte(
				address4(random.Uint32()).String() + "\n2001:db8::/63\n2001:db8:0:2::1 expires=2030-01-01T00:00:00Z\n"))
			require.NoError(t, err)
		}
		budget := 1 + random.IntN(40)
		c := config{requirement: policy.Requirement(random.IntN(3)), suggest: budget, top: 20, client: firstField}
		before, _ := replayInto(t, c, present, maxKeys, strings.NewReader(log))
		var out strings.Builder
		require.NoError(t, before.writeText(&out, c))
		after := reported(t, log, "-client", "first", "-ipv6", listFile(t, suggested(t, out.String())))

		s := before.Suggestion
		ipv6 := 0
		for e := range s.Entries.All() {
			if e.Prefix().Addr().Is6() {
				ipv6++
			}
		}
		require.LessOrEqual(t, s.Entries.Len()-ipv6, budget)
		require.Equal(t, s.Entries.Len(), after.Entries, "both forms have the same list")
		require.Equal(t, s.LeftOut.IPv6Requests, after.Denied, "round %d:\n%s", round, out.String())
		for _, f := range after.Findings.Found {
			if f.Kind == "unused" {
				require.Contains(t, f.Entry, ":", "no IPv4 entry is suggested that nobody needs")
			}
		}

		var requests, clients int
		for e := range s.Entries.All() {
			var c, n int
			if e.Prefix().Addr().Is6() {
				continue
			}
			_, err := fmt.Sscanf(e.Comment, "clients: %d, requests: %d", &c, &n)
			require.NoError(t, err)
			clients, requests = clients+c, requests+n
		}
		require.Equal(t, s.Clients, clients)
		require.Equal(t, after.Served, uint64(requests)+servedIPv6(t, log, after))
	}
}

// servedIPv6 returns how many of the served requests came from IPv6.
func servedIPv6(t *testing.T, log string, p report) (n uint64) {
	t.Helper()
	for line := range strings.Lines(log) {
		client, _, _ := strings.Cut(line, " ")
		if addr := netip.MustParseAddr(client); addr.Is6() && !addr.Is4In6() {
			n++
		}
	}
	return n - p.Denied
}

// The same when clients had to be grouped: then the suggestion is made of blocks.
func TestSuggestionOfBlocksServesAll(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 4))
	for range 100 {
		log := randomLog(random, false)
		report, _ := replayInto(t, config{requirement: policy.Required, suggest: 10, client: firstField}, accesslist.List{}, 8, strings.NewReader(log))
		text, err := report.Suggestion.Entries.MarshalText()
		require.NoError(t, err)
		after := reported(t, log, "-client", "first", listFile(t, string(text)))
		require.Zero(t, after.Denied)

		var out bytes.Buffer
		require.NoError(t, report.writeText(&out, config{suggest: 10, top: 10}))
		if report.Suggestion.PrefixLength < 32 {
			require.Contains(t, out.String(), fmt.Sprintf("of /%d", report.Suggestion.PrefixLength))
			require.Contains(t, out.String(), fmt.Sprintf("(IPv4 clients are counted by blocks of /%d", report.Suggestion.PrefixLength))
		}
	}
}

// replayInto is run without files and with a bound of the tally's.
func replayInto(t testing.TB, c config, list accesslist.List, maxKeys int, log io.Reader) (*report, *replay) {
	t.Helper()
	r := newReplay(c, list, newProgress(io.Discard, time.Now), maxKeys)
	sources := []source{{name: "log", ReadCloser: io.NopCloser(log)}}
	r.run(sources)
	report, err := r.report()
	require.NoError(t, err)
	require.True(t, report.Complete)
	require.Zero(t, report.BadLines)
	return report, r
}

func TestOverBroadSuggestionIsTold(t *testing.T) {
	r := replayed(logLine("10.0.0.1")+logLine("192.0.2.1"), "-suggest", "1", listFile(t, "192.0.2.1"))
	require.Equal(t, 0, r.status)
	require.Contains(t, r.out, "# WARNING: 0.0.0.0/0 is over-broad, a block wider than /8.\n")
	require.Contains(t, r.out, "# It covers 4,294,967,296 IPv4 addresses. Seen: 2 addresses.\n")
}

// A suggestion without entries would admit everyone, so there is none.
func TestNothingToSuggest(t *testing.T) {
	for _, client := range []string{"2001:db8::1", "0.0.0.0"} {
		list := listFile(t, "192.0.2.1")
		r := replayed(logLine(client), "-suggest", "3", list)
		require.Equal(t, 1, r.status)
		require.Contains(t, r.out, "\nNo suggestion: ")
		require.Nil(t, parseReport(t, replayed(logLine(client), "-suggest", "3", "-json", list).out).Suggestion)
	}
}

// The most that a suggestion can be asked for takes seconds, not minutes.
func TestLargestSuggestion(t *testing.T) {
	keys := maxKeys
	if testing.Short() || raceEnabled {
		keys /= 16
	}
	random := rand.New(rand.NewPCG(5, 5))
	r := newReplay(config{suggest: maxSuggest}, accesslist.List{}, newProgress(io.Discard, time.Now), maxKeys)
	for range keys {
		r.seen.add(address4(random.Uint32() &^ 1))
	}
	var p report
	require.NoError(t, r.suggest(&p))
	require.Equal(t, maxSuggest, p.Suggestion.Entries.Len())
}

// A generator is a log of any length, made while it is read. A sixteenth of
// its clients is IPv6.
type generator struct {
	lines  int
	spread uint32 // how many addresses there are
	random *rand.PCG
	line   []byte
	rest   []byte
}

func newGenerator(lines int, spread uint32) *generator {
	return &generator{lines: lines, spread: spread, random: rand.NewPCG(6, 6)}
}

func (g *generator) Read(b []byte) (n int, err error) {
	for n < len(b) {
		if len(g.rest) == 0 {
			if g.lines == 0 {
				return n, io.EOF
			}
			g.lines--
			x := g.random.Uint64()
			client := address4(uint32(x) % g.spread * 40503)
			if x>>60 == 0 {
				client = address6(0x2001_0db8_0000_0000|x%uint64(g.spread)<<8, 1)
			}
			g.line = client.AppendTo(g.line[:0])
			g.line = append(g.line, " - - [05/Jan/2026:12:"...)
			for _, part := range []uint64{x >> 32 % 60, x >> 40 % 60} {
				g.line = append(g.line, byte('0'+part/10), byte('0'+part%10), ':')
			}
			g.line[len(g.line)-1] = ' '
			g.line = append(g.line, "+0000] \"GET /api/v1/backups/"...)
			g.line = strconv.AppendUint(g.line, x%1000, 10)
			g.line = append(g.line, " HTTP/1.1\" 200 512 \"-\" \"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\"\n"...)
			g.rest = g.line
		}
		c := copy(b[n:], g.rest)
		n, g.rest = n+c, g.rest[c:]
	}
	return n, nil
}

// memoryReader notes the most memory that was in use while it was read.
type memoryReader struct {
	io.Reader
	reads int
	most  uint64
}

func (m *memoryReader) Read(b []byte) (int, error) {
	if m.reads++; m.reads%16 == 0 {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		m.most = max(m.most, stats.HeapAlloc)
	}
	return m.Reader.Read(b)
}

// More lines and more clients than a tally may hold take no more memory.
func TestMemoryIsBounded(t *testing.T) {
	lines := 2_000_000
	if testing.Short() || raceEnabled {
		lines = 200_000
	}
	list, err := accesslist.Parse("64.0.0.0/2")
	require.NoError(t, err)
	const limit = 1 << 14
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	log := &memoryReader{Reader: newGenerator(lines, 1<<20)}
	report, _ := replayInto(t, config{suggest: 5}, list, limit, log)
	runtime.ReadMemStats(&after)

	require.Equal(t, uint64(lines), report.Requests)
	require.Greater(t, report.Served, report.Requests/10)
	require.Less(t, report.DeniedClients.IPv4PrefixLength, 32)
	const most = 24 << 20
	require.Less(t, log.most, before.HeapAlloc+most)
	// What is left is the text of IPv6 addresses, which are a sixteenth.
	perLine := (float64(after.TotalAlloc-before.TotalAlloc) - most) / float64(lines)
	require.Less(t, perLine, 16.0)
	t.Logf("%d lines: at most %d KiB in use, %.1f bytes allocated a line", lines, (log.most-before.HeapAlloc)>>10, perLine)
}

// A decision of a line of IPv4 allocates nothing.
func TestDecideAllocatesNothing(t *testing.T) {
	list, err := accesslist.Parse("192.0.2.0/24")
	require.NoError(t, err)
	r := newReplay(config{suggest: 5}, list, newProgress(io.Discard, time.Now), maxKeys)
	var log logReport
	served, denied := []byte(strings.TrimSpace(logLine("192.0.2.1"))), []byte(strings.TrimSpace(logLine("198.51.100.1")))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if r.decide(&log, served) != nil || r.decide(&log, denied) != nil {
			t.Fatal("bad line")
		}
	}))
}

func TestRealList(t *testing.T) {
	const name = "../../../shared/data/github.txt"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Skipf("no real list: %v", err)
	}
	list, err := accesslist.Parser{}.ParseText(text)
	require.NoError(t, err)
	// The first and the last address of each entry, and those beside them.
	var log strings.Builder
	var want uint64
	for e := range list.All() {
		first := e.Prefix().Addr()
		last := first
		for range 3 { // of a /30; larger blocks have more, smaller ones fewer
			if next := last.Next(); e.Prefix().Contains(next) {
				last = next
			}
		}
		for _, client := range []netip.Addr{first.Prev(), first, last, last.Next()} {
			log.WriteString(logLine(client))
			for _, other := range covering(list, client) {
				if other.Prefix().Contains(client) {
					want++
					break
				}
			}
		}
	}
	p := reported(t, log.String(), "-suggest", "200", name)
	require.Equal(t, list.Len(), p.Entries)
	require.Equal(t, want, p.Served)
	require.NotZero(t, p.Denied)
	for _, f := range p.Findings.Found {
		require.NotEqual(t, "expired", f.Kind)
	}
	suggestion, err := p.Suggestion.Entries.MarshalText()
	require.NoError(t, err)
	require.Zero(t, reported(t, log.String(), listFile(t, string(suggestion))).Denied)
}

// covering returns the entries of a list that may cover an address, found by
// its exact blocks and not by a look-up of the list's.
func covering(list accesslist.List, client netip.Addr) (entries []accesslist.Entry) {
	for bits := range 33 {
		prefix, err := client.Prefix(bits)
		if err != nil {
			panic(err)
		}
		if e, ok := list.Find(prefix); ok {
			entries = append(entries, e)
		}
	}
	return entries
}

func BenchmarkReplay(b *testing.B) {
	short, err := accesslist.Parse("64.0.0.0/2", "203.0.113.7")
	require.NoError(b, err)
	const lines = 200_000
	for _, tt := range []struct {
		name   string
		spread uint32
	}{{"1,000 clients", 1000}, {"a million clients", 1 << 20}} {
		text, err := io.ReadAll(newGenerator(lines, tt.spread))
		require.NoError(b, err)
		packed := compress(string(text))
		for _, form := range []struct {
			name string
			log  []byte
		}{{"text", text}, {"gzip", packed}} {
			b.Run(tt.name+"/"+form.name, func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				for b.Loop() {
					replayInto(b, config{requirement: policy.Required}, short, maxKeys, bytes.NewReader(form.log))
				}
				b.ReportMetric(lines*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
			})
		}
	}
}
