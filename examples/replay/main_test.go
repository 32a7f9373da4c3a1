package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files in testdata")

// A result is what a run of the program gave.
type result struct {
	status      int
	out, errors string
}

func replayed(stdin string, args ...string) result {
	var out, errs strings.Builder
	status := run(args, strings.NewReader(stdin), &out, &errs)
	return result{status, out.String(), errs.String()}
}

// reported runs the program with -json and reads its report.
func reported(t *testing.T, stdin string, args ...string) report {
	t.Helper()
	r := replayed(stdin, append([]string{"-json"}, args...)...)
	require.Equal(t, 0, r.status, r.errors)
	return parseReport(t, r.out)
}

func parseReport(t *testing.T, text string) (p report) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&p))
	require.ErrorIs(t, d.Decode(new(any)), io.EOF, "one object and no more")
	return p
}

// flat is a text without line breaks and indentation.
func flat(text string) string { return strings.Join(strings.Fields(text), " ") }

// file makes a file and returns its name.
func file(t *testing.T, name string, content []byte) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(name, content, 0o600))
	return name
}

func listFile(t *testing.T, entries ...string) string {
	return file(t, "list.txt", []byte(strings.Join(entries, "\n")+"\n"))
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

// logLine is a line of the log of 5 January 2026, at noon.
func logLine(client any) string {
	return fmt.Sprintf("%v - - [05/Jan/2026:12:00:00 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"curl\"\n", client)
}

func TestGolden(t *testing.T) {
	logs := []string{"testdata/office.txt", "testdata/monday.log", "testdata/tuesday.log"}
	week := []string{"testdata/office.txt", "testdata/week.log"}
	for _, tt := range []struct {
		golden string
		status int
		args   []string
	}{
		{"report.txt", 0, append([]string{"-suggest", "3"}, week...)},
		{"report.json", 0, append([]string{"-suggest", "3", "-json"}, week...)},
		{"doubt.txt", 2, append([]string{"-suggest", "3"}, logs...)},
		{"doubt.json", 2, append([]string{"-suggest", "3", "-json"}, logs...)},
		{"at.txt", 0, append([]string{"-at", "2025-06-01T00:00:00+02:00", "-top", "1"}, week...)},
		{"open.txt", 2, append([]string{"-requirement", "report_only", "-endpoint-requires"}, "testdata/open.txt", logs[1])},
	} {
		t.Run(tt.golden, func(t *testing.T) {
			r := replayed("", tt.args...)
			require.Equal(t, tt.status, r.status, r.errors)
			golden := filepath.Join("testdata", tt.golden+".golden")
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(r.out), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			if diff := cmp.Diff(string(want), r.out); diff != "" {
				t.Errorf("%s (-update writes it anew) -want +got:\n%s", golden, diff)
			}
		})
	}
}

func TestBadLinesAreTold(t *testing.T) {
	r := replayed("", "testdata/office.txt", "testdata/monday.log", "testdata/tuesday.log")
	require.Equal(t, 2, r.status)
	want := []string{
		`replay: testdata/monday.log:6: an empty line: want one request a line`,
		`replay: testdata/tuesday.log:2: the client "build.example.com" is not an address: ` +
			`want IPv4 or IPv6 in the first field (for host names: HostnameLookups Off in Apache)`,
		`replay: testdata/tuesday.log:4: the request "\"GET / HT" does not end: want a quotation mark after it`,
	}
	require.Equal(t, strings.Join(want, "\n")+"\n", r.errors)
}

func TestManyBadLines(t *testing.T) {
	list := listFile(t, "192.0.2.1")
	r := replayed(strings.Repeat("garbage\n", 1234)+logLine("192.0.2.1"), "-json", list)
	require.Equal(t, 2, r.status)
	told := strings.Split(strings.TrimSpace(r.errors), "\n")
	require.Len(t, told, maxTold+1)
	require.Contains(t, told[maxTold-1], "standard input:20: ")
	require.Equal(t, "replay: 1,214 further bad lines were counted and not shown", told[maxTold])
	p := parseReport(t, r.out)
	require.Equal(t, uint64(1235), p.Lines)
	require.Equal(t, uint64(1234), p.BadLines)
	require.Equal(t, uint64(1), p.Requests)
}

// The same lines give the same report however they are stored and cut into files.
func TestWaysToGiveALog(t *testing.T) {
	var text string
	for i := range 1000 {
		text += logLine(fmt.Sprintf("192.0.%d.%d", i%5, i%50))
	}
	half := len(logLine("192.0.2.1")) // not where a line ends, most likely
	half = strings.LastIndex(text[:len(text)/2+half], "\n") + 1
	plain := file(t, "access.log", []byte(text))
	first, second := file(t, "1", []byte(text[:half])), file(t, "2.log", compress(text[half:]))
	list := listFile(t, "192.0.2.0/24")

	want := reported(t, text, list)
	require.Equal(t, uint64(200), want.Served)
	require.Equal(t, uint64(800), want.Denied)
	for name, got := range map[string]report{
		"a file":                     reported(t, "", list, plain),
		"standard input by name":     reported(t, text, list, "-"),
		"standard input, compressed": reported(t, string(compress(text)), list),
		"gzip, whatever the name":    reported(t, "", list, file(t, "access.log", compress(text))),
		"no gzip, whatever the name": reported(t, "", list, file(t, "access.log.gz", []byte(text))),
		"two gzip files in one":      reported(t, "", list, file(t, "access.log.gz", append(compress(text[:half]), compress(text[half:])...))),
		"gzip cut inside a line":     reported(t, "", list, file(t, "access.log.gz", append(compress(text[:half+7]), compress(text[half+7:])...))),
		"several":                    reported(t, "", list, first, second),
		"a file and standard input":  reported(t, text[half:], list, first, "-"),
		"CRLF":                       reported(t, strings.ReplaceAll(text, "\n", "\r\n"), list),
		"no end of the last line":    reported(t, strings.TrimSuffix(text, "\n"), list),
	} {
		got.Logs = want.Logs
		require.Equal(t, want, got, name)
	}
}

func TestNoRequests(t *testing.T) {
	for name, stdin := range map[string]string{"empty": "", "empty gzip": string(compress(""))} {
		r := replayed(stdin, "-suggest", "3", listFile(t, "192.0.2.1"))
		require.Equal(t, 1, r.status, name)
		require.Empty(t, r.errors, name)
		require.Contains(t, r.out, "0 requests in 0 lines", name)
		require.NotContains(t, r.out, "has served no call", name) // nobody counted
		require.Contains(t, r.out, "No suggestion", name)
		require.NotContains(t, r.out, "empty\n", name) // which would open the key to everyone
	}
}

func TestLongLines(t *testing.T) {
	good := logLine("192.0.2.1")
	fill := func(length int) string { // a good line of that length, without its end
		line := strings.TrimSuffix(good, "\"curl\"\n")
		return line + `"` + strings.Repeat("x", length-len(line)-2) + `"`
	}
	list := listFile(t, "192.0.2.1")
	for _, tt := range []struct {
		name, log     string
		requests, bad uint64
	}{
		{"the longest", good + fill(maxLine) + "\n" + good, 3, 0},
		{"too long", good + fill(maxLine+1) + "\n" + good, 2, 1},
		{"far too long", good + fill(5*maxLine) + "\n" + good, 2, 1},
		{"the longest, at the end", good + fill(maxLine), 2, 0},
		{"too long, at the end", good + fill(maxLine+1), 1, 1},
		{"far too long, at the end", good + fill(5*maxLine), 1, 1},
		{"two too long", good + fill(2*maxLine) + "\n" + fill(2*maxLine) + "\n" + good, 2, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := replayed(tt.log, "-json", list)
			require.Equal(t, tt.bad > 0, r.status == 2)
			p := parseReport(t, r.out)
			require.Equal(t, tt.requests, p.Requests)
			require.Equal(t, tt.bad, p.BadLines)
			require.Equal(t, tt.bad, uint64(strings.Count(r.errors, "longer than 1048576 bytes")))
			if tt.bad > 0 {
				require.Contains(t, r.errors, "replay: standard input:2: longer than")
			}
		})
	}
}

// A log that breaks off is told, the rest is reported, and nobody takes it for all.
func TestIncomplete(t *testing.T) {
	var text string
	random := rand.New(rand.NewPCG(1, 1))
	for range 5000 {
		text += logLine(fmt.Sprintf("192.0.2.%d", random.IntN(256)))
	}
	packed := compress(text)
	damaged := bytes.Clone(packed)
	damaged[len(damaged)-6]++ // in the checksum
	list := listFile(t, "192.0.2.0/24")
	for _, tt := range []struct {
		name, problem string
		log           []byte
		all           bool // every line was read before it was noticed
	}{
		{"cut off", "unexpected EOF", packed[:len(packed)/2], false},
		{"cut off in the header", "it begins like a gzip file and is none: unexpected EOF", packed[:5], false},
		{"cut off in the checksum", "line 5001 and what follows cannot be read: unexpected EOF", packed[:len(packed)-3], true},
		{"damaged", "gzip: invalid checksum", damaged, true},
		{"garbage after it", "gzip: invalid header", append(bytes.Clone(packed), "garbage after"...), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := file(t, "access.log.gz", tt.log)
			r := replayed(logLine("192.0.2.1"), list, name, "-")
			require.Equal(t, 2, r.status)
			require.Contains(t, r.errors, "replay: "+name+": ")
			require.Contains(t, r.errors, tt.problem)
			require.Contains(t, r.out, "\nCAUTION      ")
			require.Contains(t, flat(r.out), name+" cannot be read to its end: ")

			p := parseReport(t, replayed(logLine("192.0.2.1"), "-json", list, name, "-").out)
			require.False(t, p.Complete)
			require.Zero(t, p.BadLines, "what is left of the last line is no line")
			require.Equal(t, tt.all, p.Requests == 5001)
			require.NotZero(t, p.Requests, "the other log is read all the same")
		})
	}
	t.Run("cut off anywhere", func(t *testing.T) {
		packed := string(compress(logLine("192.0.2.1")))
		for i := 2; i < len(packed); i++ {
			r := replayed(packed[:i], list)
			require.Equal(t, 2, r.status, "after %d bytes", i)
			require.Contains(t, r.errors, "unexpected EOF", "after %d bytes", i)
		}
	})
	t.Run("read error", func(t *testing.T) {
		broken := errors.New("input/output error")
		var out, errs strings.Builder
		stdin := io.MultiReader(strings.NewReader(logLine("192.0.2.1")+"192.0.2"), iotest.ErrReader(broken))
		require.Equal(t, 2, run([]string{list}, stdin, &out, &errs))
		require.Equal(t, "replay: standard input: line 2 and what follows cannot be read: input/output error\n", errs.String())
		require.Contains(t, flat(out.String()), "CAUTION standard input cannot be read to its end: line 2 and what follows cannot be read: input/output error.")
		require.Contains(t, out.String(), "Read         1 request in 1 line of standard input\n")
	})
}

// What stops the program does so before anything is decided.
func TestRefused(t *testing.T) {
	list, dir := listFile(t, "192.0.2.1"), t.TempDir()
	for _, tt := range []struct {
		name    string
		args    []string
		problem string
	}{
		{"nothing", nil, "no LIST"},
		{"unknown flag", []string{"-x", list}, "flag provided but not defined: -x"},
		{"unknown requirement", []string{"-requirement", "reqired", list}, `"reqired"`},
		{"no time", []string{"-at", "yesterday", list}, `invalid value "yesterday" for flag -at: want a time such as 2026-01-02T15:04:05Z`},
		{"the zero time", []string{"-at", "0001-01-01T00:00:00Z", list}, "want a time such as"},
		{"negative top", []string{"-top", "-1", list}, "-top -1: want 0 or more"},
		{"no entries suggested", []string{"-suggest", "0", list}, "-suggest 0: want 1 to 1000 entries"},
		{"too many suggested", []string{"-suggest", "1001", list}, "-suggest 1001: want 1 to 1000 entries"},
		{"flags last", []string{list, "-json"}, "-json after LIST: want the flags first"},
		{"standard input twice", []string{list, "-", "-"}, "only once"},
		{"no such list", []string{filepath.Join(dir, "none.txt")}, "none.txt"},
		{"no such log", []string{list, "-", filepath.Join(dir, "none.log")}, "none.log"},
		{"a directory as list", []string{dir}, dir},
		{"a directory as log", []string{list, dir}, "is a directory: want a log file"},
		{"no entries", []string{file(t, "list.txt", []byte("# nobody\n"))}, `list.txt has no entries: want at least one, or the word "empty"`},
		{"an empty file", []string{file(t, "list.txt", nil)}, `list.txt has no entries: want at least one, or the word "empty"`},
		{"bad entries", []string{listFile(t, "192.0.2.1", "192.0.2.1/24", "example.com")}, "line 3: "},
		{"IPv6 without -ipv6", []string{listFile(t, "2001:db8::/32")}, "2001:db8::/32"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := replayed(logLine("192.0.2.1"), tt.args...)
			require.Equal(t, 2, r.status)
			require.Empty(t, r.out)
			require.True(t, strings.HasPrefix(r.errors, "replay: "), r.errors)
			require.Contains(t, r.errors, tt.problem)
		})
	}
}

func TestHelp(t *testing.T) {
	r := replayed("", "-h")
	require.Equal(t, result{0, usage, ""}, r)
}

// The package's documentation and -h tell of the same flags.
func TestFlagsAreDocumented(t *testing.T) {
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	doc, _, _ := strings.Cut(string(source), "\npackage main")
	for _, name := range []string{"-requirement WORD", "-endpoint-requires", "-ipv6", "-client FIELD", "-at TIME", "-top N", "-suggest N", "-json"} {
		require.Contains(t, doc, "//\t"+name)
		require.Contains(t, usage, "\n  "+name)
	}
}

func TestReportCannotBeWritten(t *testing.T) {
	for _, args := range [][]string{{"testdata/office.txt", "-"}, {"-json", "testdata/office.txt", "-"}} {
		var errs strings.Builder
		require.Equal(t, 2, run(args, strings.NewReader(""), fullDisk{}, &errs))
		require.Equal(t, "replay: the report could not be written: no space left on device\n", errs.String())
	}
	require.Equal(t, 2, run([]string{"-h"}, nil, fullDisk{}, io.Discard))
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// Lines 9 to 11, 15 and 16 of the order are all that a replay can come to, and line 1
// for an address with a zone.
func TestReasons(t *testing.T) {
	full, empty := listFile(t, "192.0.2.1"), listFile(t, "empty")
	for _, tt := range []struct {
		name, client string
		args         []string
		reason       string
		wouldDeny    bool
	}{
		{"listed", "192.0.2.1", []string{full}, "address_listed", false},
		{"listed, seen through IPv6", "::ffff:192.0.2.1", []string{full}, "address_listed", false},
		{"not listed", "192.0.2.2", []string{full}, "address_not_listed", false},
		{"IPv6", "2001:db8::1", []string{full}, "address_not_listed", false},
		{"IPv6, listed", "2001:db8::1", []string{"-ipv6", listFile(t, "2001:db8::/32")}, "address_listed", false},
		{"a zone", "fe80::1%eth0", []string{"-client", "first", full}, "invalid_request", false},
		{"requirement", "192.0.2.1", []string{empty}, "organization_requires_access_list", false},
		{"none", "192.0.2.1", []string{"-requirement", "not_required", empty}, "open_list", false},
		{"endpoint", "192.0.2.1", []string{"-requirement", "not_required", "-endpoint-requires", empty}, "endpoint_requires_access_list", false},
		{"report only", "192.0.2.1", []string{"-requirement", "report_only", empty}, "open_list", true},
		{"report only, endpoint", "192.0.2.1", []string{"-requirement", "report_only", "-endpoint-requires", empty}, "endpoint_requires_access_list", true},
		{"before its expiry", "192.0.2.1", []string{listFile(t, "192.0.2.1 expires=2026-01-05T12:00:01Z")}, "address_listed", false},
		{"at its expiry", "192.0.2.1", []string{listFile(t, "192.0.2.1 expires=2026-01-05T12:00:00Z")}, "address_not_listed", false},
		{"before it at another time", "192.0.2.1", []string{"-at", "2026-01-05T11:59:59Z", listFile(t, "192.0.2.1 expires=2026-01-05T12:00:00Z")}, "address_listed", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := reported(t, logLine(tt.client), tt.args...)
			require.Equal(t, uint64(1), p.Served+p.Denied)
			got := append(p.ServedByReason, p.DeniedByReason...)
			require.Len(t, got, 1)
			require.Equal(t, tt.reason, got[0].Reason.String())
			require.Equal(t, got[0].Reason.Allows(), p.Served == 1)
			require.Equal(t, tt.wouldDeny, len(p.WouldDeny) == 1)
		})
	}
}
