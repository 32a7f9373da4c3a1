package replay_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/accesslist/replay"
)

func TestCompressions(t *testing.T) {
	list := parse(t, "192.0.2.1", "192.0.2.2")
	for _, tt := range []struct{ begin, problem string }{
		{"\xfd7zXZ\x00\x00\x04", "it is compressed with xz: want it decompressed, as by xz -dc FILE, and piped"},
		{"\x28\xb5\x2f\xfd\x04", "it is compressed with zstd: want it decompressed, as by zstd -dc FILE, and piped"},
		{"\x04\x22\x4d\x18\x64", "it is compressed with lz4: "},
		{"\x1f\x9d\x90", "it is compressed with compress: "},
		{"PK\x03\x04\x14", "it is a ZIP archive: "},
		{"7z\xbc\xaf\x27\x1c", "it is a 7z archive: "},
		{"\xff\xfe1\x009\x002\x00", "it is UTF-16: want UTF-8, as by iconv "},
		{"\xfe\xff\x001\x009\x002", "it is UTF-16: "},
	} {
		r, err := replay.New(list, replay.Options{Suggest: 3})
		require.NoError(t, err)
		r.Read("access.log", strings.NewReader(tt.begin+strings.Repeat("x", 100)))
		r.Read("good.log", strings.NewReader(logOf(500, days, request{client: "192.0.2.1"})))
		p := r.Report()
		require.False(t, p.Complete())
		require.Equal(t, uint64(500), p.Calls)
		requireNothingConcluded(t, p, replay.Incomplete, "access.log cannot be read to its end: "+tt.problem)
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
		complete  bool
		calls     uint64
	}{
		{"bzip2", text(one), true, 1},
		{"two bzip2 files in one", text(one + two), true, 3},
		{"an empty bzip2 file", text("425a683917724538509000000000"), true, 0},
		{"bzip2 cut off in its checksum", text(two[:len(two)-20]), false, 2},
		{"no bzip2", "BZh9 is a host's name\n", true, 0},
		{"two byte order marks", "\xef\xbb\xbf\xef\xbb\xbf" + logLine("192.0.2.1"), true, 0},
	} {
		p := reported(t, tt.log, list, replay.Options{})
		require.Equal(t, tt.complete, p.Complete(), tt.name)
		require.Equal(t, tt.calls, p.Calls, tt.name)
	}
}

func TestLongLines(t *testing.T) {
	const maxLine = 1 << 20
	good := logLine("192.0.2.1")
	fill := func(length int) string { // a good line of that length, without its end
		line := strings.TrimSuffix(good, "\"curl\"\n")
		return line + `"` + strings.Repeat("x", length-len(line)-2) + `"`
	}
	for _, tt := range []struct {
		name, log  string
		calls, bad uint64
	}{
		{"the longest", good + fill(maxLine) + "\n" + good, 3, 0},
		{"too long", good + fill(maxLine+1) + "\n" + good, 2, 1},
		{"far too long", good + fill(5*maxLine) + "\n" + good, 2, 1},
		{"the longest, at the end", good + fill(maxLine), 2, 0},
		{"too long, at the end", good + fill(maxLine+1), 1, 1},
		{"two too long", good + fill(2*maxLine) + "\n" + fill(2*maxLine) + "\n" + good, 2, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := reported(t, tt.log, parse(t, "192.0.2.1"), replay.Options{})
			require.Equal(t, tt.calls, p.Calls)
			require.Equal(t, tt.bad, p.BadLines)
			if tt.bad > 0 {
				require.Equal(t, "line 2: longer than 1048576 bytes: want one request a line", p.Logs[0].FirstBad[0])
			}
		})
	}
}

// A log that breaks off is told, the rest is reported, and nobody takes it for all.
func TestIncomplete(t *testing.T) {
	packed := compress(logOf(5000, days, request{client: "192.0.2.1"}))
	damaged := bytes.Clone(packed)
	damaged[len(damaged)-6]++ // in the checksum
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
			p := reported(t, string(tt.log), accesslist.List{}, replay.Options{})
			require.False(t, p.Complete())
			require.Contains(t, p.Logs[0].Problem, tt.problem)
			require.Zero(t, p.BadLines, "what is left of the last line is no line")
			require.Equal(t, tt.all, p.Calls == 5000)
		})
	}
	broken := errors.New("input/output error")
	r := replay.NewReader(io.MultiReader(strings.NewReader(logLine("192.0.2.1")+"192.0.2"), iotest.ErrReader(broken)))
	_, err := r.Read()
	require.NoError(t, err)
	for range 2 {
		_, err = r.Read()
		require.ErrorIs(t, err, broken)
		require.EqualError(t, err, "replay: line 2 and what follows cannot be read: input/output error")
	}
	r.Reset(strings.NewReader(logLine("192.0.2.1")))
	_, err = r.Read()
	require.NoError(t, err)
	r.Reset(bytes.NewReader(packed[:5]))
	for range 2 {
		_, err = r.Read()
		require.EqualError(t, err, "replay: it begins like a gzip file and is none: unexpected EOF")
	}
}

// Without a known format every line is bad, and one in a hundred is looked at after the
// first thousand.
func TestUnknownFormat(t *testing.T) {
	log := strings.Repeat("garbage\n", 1150) + strings.Repeat(logLine("192.0.2.1"), 100)
	r := replay.NewReader(strings.NewReader(log))
	_, err := r.Read()
	require.EqualError(t, err, `replay: line 1: "garbage": no known format: want one of auto, guard, common, json, alb, elb, nlb, cloudfront, w3c, haproxy, envoy`)
	for err == nil || errors.As(err, new(*replay.LineError)) {
		_, err = r.Read()
	}
	require.Equal(t, io.EOF, err)
	require.Equal(t, uint64(50), r.Log().Requests, "from line 1,201 on")
	require.Equal(t, uint64(1200), r.Log().Bad)
	require.Len(t, r.Log().FirstBad, 5)
	require.Equal(t, "Common or Combined Log Format", r.Log().ReadsAs)
}

// The format of most of the first lines is the log's.
func TestRecognizedByMost(t *testing.T) {
	r := replay.NewReader(strings.NewReader(formatLines[3].line(timeOf(0, 1, 0), "192.0.2.1", "200") + "\n" + strings.Repeat(logLine("192.0.2.1"), 3)))
	_, err := r.Read()
	require.ErrorContains(t, err, "line 1: the client \"https\" is not an address")
	require.Equal(t, "Common or Combined Log Format", r.Log().ReadsAs)
	require.Equal(t, uint64(1), r.Log().Changed)
	require.Equal(t, "AWS ALB", r.Log().ChangedTo)
}

func TestInvalidReader(t *testing.T) {
	r := replay.NewReader(strings.NewReader(logLine("192.0.2.1")))
	r.Format = 99
	for range 2 {
		_, err := r.Read()
		require.ErrorContains(t, err, "replay: format 99 is unknown")
	}
}

// A wrapper must be around all lines, and whole.
func TestWrappers(t *testing.T) {
	for _, tt := range []struct{ good, line, problem string }{
		{"2016-10-06T00:17:09Z stdout F " + combinedLine, "2016-10-06T00:17:09Z stdout P " + combinedLine, "a part of a line: want lines that the container runtime did not divide"},
		{"2016-10-06T00:17:09Z stdout F " + combinedLine, "2016-10-06T00:17:09Z stdin F " + combinedLine, "want the line after the prefix of a container runtime, as those before"},
		{"2016-10-06T00:17:09Z " + combinedLine, "2016-10-06T00:17:09 " + combinedLine, "want the line after a time, as those before"},
		{"2016-10-06T00:17:09Z " + combinedLine, "2016-10-06T00:77:09Z " + combinedLine, "want the line after a time"},
		{"2016-10-06T00:17:09Z " + combinedLine, "", "want the line after a time"},
		{"web-1  | " + combinedLine, combinedLine, "want the line after the prefix of Docker Compose"},
		{"[pod/a/b] " + combinedLine, "[pod/a/b]" + combinedLine, "is not an address"},
		{"[pod/a/b] " + combinedLine, combinedLine, "want the line after the prefix of kubectl"},
		{"Jan  2 15:04:05 web a: " + combinedLine, "Jan  2 15:04:65 web a: " + combinedLine, "want the line after syslog"},
		{"Jan  2 15:04:05 web a: " + combinedLine, "Jan  x 15:04:05 web a: " + combinedLine, "want the line after syslog"},
		{"Jan  2 15:04:05 web a: " + combinedLine, "Foo  2 15:04:05 web a: " + combinedLine, "want the line after syslog"},
		{"<1>Jan  2 15:04:05 web a: " + combinedLine, "<12345>Jan  2 15:04:05 web a: " + combinedLine, "want the line after syslog"},
		{"<1>Jan  2 15:04:05 web a: " + combinedLine, "<>>>Jan  2 15:04:05 web a: " + combinedLine, "want the line after syslog"},
		{"<1>1 2026-02-07T23:59:59Z a b c d - " + combinedLine, "<1>1 2026-02-07T23:59:59Z a b c d [x " + combinedLine, "want the line after syslog"},
		{"<1>1 2026-02-07T23:59:59Z a b c d - " + combinedLine, `<1>1 2026-02-07T23:59:59Z a b c d [x y="z"]` + combinedLine, "want the line after syslog"},
		{`{"log":"` + strings.ReplaceAll(combinedLine, `"`, `\"`) + `"}`, combinedLine, "want one object a line"},
		{`{"log":"` + strings.ReplaceAll(combinedLine, `"`, `\"`) + `"}`, `{"log":1}`, "want a line in the field log, MESSAGE, message or textPayload"},
		{`{"log":"` + strings.ReplaceAll(combinedLine, `"`, `\"`) + `"}`, `{"log":"\x"}`, "want the escapes of JSON"},
		{`{"log":"` + strings.ReplaceAll(combinedLine, `"`, `\"`) + `"}`, `{"log":"\u12"}`, "want the escapes of JSON"},
		{`{"log":"` + strings.ReplaceAll(combinedLine, `"`, `\"`) + `"}`, `{"log":"\u12x4"}`, "want the escapes of JSON"},
		{`{"log":"` + strings.ReplaceAll(combinedLine, `"`, `\"`) + `"}`, `{"log":"\b\f\t\/\r\n\u00e9\u00E9 \\"}`, `the client "\b\f\t/\r\n\u00e9\u00e9" is not an address`},
	} {
		r := replay.NewReader(strings.NewReader(tt.good + "\n" + tt.line + "\n" + tt.good + "\n"))
		_, err := r.Read()
		require.NoError(t, err, tt.good)
		_, err = r.Read()
		require.ErrorContains(t, err, tt.problem, tt.line)
		_, err = r.Read()
		require.NoError(t, err)
	}
}
