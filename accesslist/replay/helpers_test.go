package replay_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/accesslist/replay"
)

// days is a span that is long enough for conclusions.
const days = 48 * time.Hour

// A request is a line of a made log in the Combined Log Format.
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
	lines := n * len(requests)
	for i := range lines {
		r := requests[i%len(requests)]
		fmt.Fprintf(&log, "%v - - [%s] \"GET / HTTP/1.1\" %s 1 \"-\" \"%s\"%s\n", r.client, timeOf(i, lines, span).Format("02/Jan/2006:15:04:05 -0700"),
			orElse(r.status, "200"), orElse(r.agent, "curl"), r.extra)
	}
	return log.String()
}

// timeOf is the time of line i of some.
func timeOf(i, lines int, span time.Duration) time.Time {
	return time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC).Add(span * time.Duration(i) / time.Duration(max(1, lines-1)))
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func logLine(client any) string { return logOf(1, 0, request{client: client}) }

func parse(t testing.TB, entries ...string) accesslist.List {
	t.Helper()
	if len(entries) == 0 {
		return accesslist.List{}
	}
	list, err := accesslist.Parser{AllowIPv6: true}.Parse(entries...)
	require.NoError(t, err)
	return list
}

func reported(t testing.TB, log string, list accesslist.List, options replay.Options) replay.Report {
	t.Helper()
	report, err := replay.Read(strings.NewReader(log), list, options)
	require.NoError(t, err)
	require.Equal(t, report.Lines, report.Calls+report.AlreadyRefused+report.LeftOut+report.NoClient+report.Other+report.BadLines)
	require.Equal(t, report.Calls, report.Served+report.Refused)
	var refused uint64
	for _, c := range report.RefusedClients {
		refused += c.Calls
	}
	require.Equal(t, report.Refused, refused)
	return report
}

// textOf returns the report for people, whose lines it checks.
func textOf(t testing.TB, report replay.Report) string {
	t.Helper()
	var out strings.Builder
	require.NoError(t, report.WriteText(&out, 20))
	for line := range strings.Lines(out.String()) {
		require.Equal(t, strings.TrimRight(line, " \n")+"\n", line, "no blank at the end")
	}
	return out.String()
}

// flat is a text without line breaks and indentation.
func flat(text string) string { return strings.Join(strings.Fields(text), " ") }

// clients formats refused clients.
func clients(report replay.Report) (texts []string) {
	for _, c := range report.RefusedClients {
		texts = append(texts, fmt.Sprintf("%s %d", c.Prefix, c.Calls))
	}
	return texts
}

func entries(list accesslist.List) (texts []string) {
	for e := range list.All() {
		texts = append(texts, e.String())
	}
	return texts
}

func findings(report replay.Report) (texts []string) {
	for _, f := range report.Findings {
		texts = append(texts, fmt.Sprintf("%s %s", f.Kind, f.Entry))
	}
	return texts
}

// requireNothingConcluded checks that a report says its doubts before its figures, suggests
// nothing, and calls no entry unused.
func requireNothingConcluded(t testing.TB, report replay.Report, kind replay.DoubtKind, caution string) {
	t.Helper()
	require.True(t, report.Doubtful())
	require.Equal(t, kind, report.Doubts[0].Kind)
	require.Contains(t, report.Doubts[0].Text, caution)
	require.Nil(t, report.Suggestion)
	require.NotContains(t, strings.Join(findings(report), " "), "unused")
	out := textOf(t, report)
	said, served := strings.Index(out, "CAUTION"), strings.Index(out, "\nServed ")
	require.True(t, 0 < said && said < served, out)
	require.NotContains(t, out, "# Suggested")
	require.NotContains(t, out, "has served no call")
	require.Contains(t, out, "Not said     which entries are unused: see CAUTION.\n")
	require.Contains(t, out, "Not said     which list to suggest: see CAUTION.\n")
	require.Contains(t, out, "\nNo suggestion: see CAUTION above.\n")
}

func compress(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func address4(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

func address6(high, low uint64) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], high)
	binary.BigEndian.PutUint64(b[8:], low)
	return netip.AddrFrom16(b)
}

// A generator is a log of any length, made while it is read. A sixteenth of its clients is
// IPv6.
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
