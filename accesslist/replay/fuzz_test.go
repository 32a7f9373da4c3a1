package replay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist/replay"
)

// slowLines are formats as regular expressions, whose groups are the time, the client with
// its port and the status.
var slowLines = func() map[replay.Format]*regexp.Regexp {
	const (
		number = `(?:[-+]\d*(?:\.\d*)?|\d+(?:\.\d*)?|\.\d*)`
		quote  = `"[^"]*"`
		token  = `[^ ]+`
		status = `(?P<status>\d{3}|-|-1|0)`
		piece  = `[-+]?\d+`
		braces = `(?:\{(?:[^}]|\}+[^} ])*\}+ )?`
		times  = `(?P<time>[^ ]+)`
		client = `(?P<client>[^ ]+)`
		common = times + ` T ` + client + ` T N N N ` + status + ` T N N Q Q`
	)
	words := strings.NewReplacer(" T", " "+token, " N", " "+number, " Q", " "+quote, " P3", " "+piece+"/"+piece+"/"+piece,
		" P5", " "+strings.Repeat(piece+"/", 4)+piece, " P2", " "+piece+"/"+piece, " U", ` [^ "]+`)
	compile := func(pattern string) *regexp.Regexp {
		return regexp.MustCompile(`(?s)^(?:` + words.Replace(pattern) + `)$`)
	}
	return map[replay.Format]*regexp.Regexp{
		replay.ALB: compile(`(?:http|https|h2|grpcs|ws|wss) ` + common + ` T T T Q Q Q N T Q Q Q(?: (?:` + quote + `|[^ "][^ ]*))*`),
		replay.ELB: compile(common + ` T T`),
		replay.NLB: compile(`tls N ` + times + ` T T ` + client + ` T N N N N T T T T T T T(?: T)*`),
		replay.HAProxy: compile(client + ` \[` + `(?P<time>[^ ]*)` + `\] T T P5 ` + status + ` N T T T P5 P2 ` + braces + braces + quote + `(?: T)*` +
			`|(?P<client>[^ ]+) \[(?P<time>[^ ]*)\] T T P3 N T P5 P2`),
		replay.Envoy: compile(`\[(?P<time>[^ ]*)\] Q ` + status + ` T \d+(?:\.\d*)? N N N "(?P<list>[^"]*)" Q Q Q Q` +
			`|\[(?P<time>[^ ]*)\] Q ` + status + ` T [^0-9 ][^ ]* T Q N N N N Q Q Q Q Q U U U (?P<client>[^ "]+) U U`),
	}
}()

// slowWithPort reads an address with a port, IPv6 with brackets or without.
func slowWithPort(text string) (netip.Addr, bool) {
	colon := strings.LastIndexByte(text, ':')
	if colon < 1 || !slowPort.MatchString(text) {
		return netip.Addr{}, false
	}
	if port, err := strconv.ParseUint(text[colon+1:], 10, 16); err != nil || port > 65535 {
		return netip.Addr{}, false
	}
	inner := text[:colon]
	if strings.HasPrefix(inner, "[") {
		addr, port, ok := slowAddress(text)
		return addr, ok && port
	}
	addr, port, ok := slowAddress(inner)
	return addr, ok && !port
}

// slowTimes are the layouts of times in these formats; the package's own are tested with its
// clock.
var slowTimes = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "02/Jan/2006:15:04:05.999999999", "02/Jan/2006:15:04:05 -0700"}

// FuzzText reads lines of formats with fields between spaces, and by regular expressions.
func FuzzText(f *testing.F) {
	formats := []replay.Format{replay.ALB, replay.ELB, replay.NLB, replay.HAProxy, replay.Envoy}
	for _, s := range samples {
		for i := range formats {
			f.Add(byte(i), []byte(s.line))
		}
	}
	for _, tt := range badLines {
		f.Add(byte(max(0, slices.Index(formats, tt.format))), []byte(tt.line))
	}
	r := replay.NewReader(nil)
	f.Fuzz(func(t *testing.T, which byte, line []byte) {
		r.Format = formats[int(which)%len(formats)]
		if bytes.ContainsAny(line, "\r\n") || len(line) == 0 || otherFile(line[0]) || line[0] == '<' || len(line) > 2000 {
			return // several lines, another file, or the prefix of a collector
		}
		got, err := readAs(r, string(line))
		if err == nil && strings.Contains(r.Log().ReadsAs, ", after ") {
			return
		}
		var runes []rune // regexp knows no bytes: let each be a rune
		for _, b := range line {
			runes = append(runes, rune(b))
		}
		expression := slowLines[r.Format]
		groups := expression.FindStringSubmatch(string(runes))
		if groups == nil {
			require.Error(t, err, "%q", line)
			return
		}
		found := make(map[string]string)
		for i, name := range expression.SubexpNames() {
			if groups[i] != "" {
				found[name] = groups[i]
			}
		}
		addr, ok := slowWithPort(found["client"])
		if found["client"] == "" {
			list := strings.Split(found["list"], ",")
			addr, _, ok = slowAddress(strings.TrimPrefix(strings.Trim(list[len(list)-1], ` "+`), "%20"))
		}
		if !ok {
			require.Error(t, err, "%q", line)
			return
		}
		if err != nil {
			require.ErrorContains(t, err, "the time ", "%q", line)
			return
		}
		require.Equal(t, addr, got.Client, "%q", line)
		status, _ := strconv.Atoi(found["status"])
		require.Equal(t, max(status, 0), got.Status, "%q", line)
		for _, layout := range slowTimes {
			if want, err := time.Parse(layout, found["time"]); err == nil {
				require.Equal(t, want.UTC(), got.Time)
			}
		}
	})
}

// FuzzW3C reads lines after a head, and by splitting them.
func FuzzW3C(f *testing.F) {
	for _, line := range []string{"2026-01-02 15:04:05 192.0.2.1 200", "2026-01-02\t15:04:05\t2001:db8::7\t-", "2026-01-02 15:04:05 - 200", "# x", "#Fields: date time c-ip sc-status", ""} {
		f.Add(line)
	}
	r := replay.NewReader(nil)
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\r\n") || strings.HasPrefix(line, "#Fields:") {
			return // several lines, or another head
		}
		for format, separator := range map[replay.Format]string{replay.W3C: " ", replay.CloudFront: "\t"} {
			r.Format = format
			good := strings.Join([]string{"2026-01-02", "15:04:05", "192.0.2.9", "200"}, separator)
			r.Reset(strings.NewReader("#Fields: date time c-ip sc-status\n" + good + "\n" + line + "\n"))
			_, err := r.Read()
			require.NoError(t, err)
			got, err := r.Read()
			if strings.HasPrefix(line, "#") {
				require.Equal(t, io.EOF, err)
				require.Equal(t, uint64(2), r.Log().Other)
				continue
			}
			parts := strings.Split(line, separator)
			if len(parts) != 4 {
				require.Error(t, err)
				continue
			}
			want, timeErr := time.Parse("2006-01-02 15:04:05", parts[0]+" "+parts[1])
			addr, _, ok := slowAddress(parts[2])
			status, statusErr := strconv.Atoi(parts[3])
			if !ok || timeErr != nil || want.Year() < 1970 || len(parts[1]) != len("15:04:05") {
				require.Error(t, err, "%q", line)
				continue
			}
			if err != nil {
				require.ErrorContains(t, err, "status")
				continue
			}
			require.Equal(t, want, got.Time)
			require.Equal(t, addr, got.Client)
			if statusErr == nil && len(parts[3]) == 3 {
				require.Equal(t, status, got.Status)
			}
		}
	})
}

// FuzzJSON reads objects by the names of their fields, and with encoding/json. What is no
// JSON may be read all the same, since nginx writes some.
func FuzzJSON(f *testing.F) {
	for _, s := range samples {
		if s.line[0] == '{' {
			f.Add([]byte(s.line))
		}
	}
	for _, tt := range badLines {
		if tt.format == replay.JSON {
			f.Add([]byte(tt.line))
		}
	}
	fields := documentedFields(f)
	r := replay.NewReader(nil)
	r.Format = replay.JSON
	f.Fuzz(func(t *testing.T, line []byte) {
		if bytes.ContainsAny(line, "\r\n\\") || !json.Valid(line) || len(line) == 0 || line[0] != '{' {
			return // no object without an escape
		}
		got, err := readAs(r, string(line))
		if err == nil && r.Log().ReadsAs != "" && strings.Contains(r.Log().ReadsAs, ", in JSON of") {
			return
		}
		values, times := make(map[string]string), make(map[string]int)
		flatten(t, line, "", values, times)
		last := "" // the path of the value that first returned
		first := func(of string) string {
			for _, path := range fields[of] {
				if value, ok := values[path]; ok {
					if last = path; value == "-" {
						return "" // the first field counts, if it says nothing, too
					}
					return value
				}
			}
			return ""
		}
		client := first("the client")
		if client == "" {
			client = first("the peer, and the client if there is none above")
		}
		from := last
		addr, _, ok := slowAddress(client)
		if err != nil {
			return // stricter than a second reading: the time, the status, a field twice
		}
		require.Equal(t, 1, times[from], "%s", line)
		require.True(t, ok, "%s", line)
		require.Equal(t, addr, got.Client, "%s", line)
		if status, err := strconv.Atoi(first("the status")); err == nil && status > 0 {
			require.Equal(t, status, got.Status, "%s", line)
		}
		if want, err := time.Parse(time.RFC3339Nano, first("the time")); err == nil {
			require.Equal(t, want.UTC(), got.Time, "%s", line)
		}
		if method := first("the method"); method != "" {
			require.Equal(t, method, string(got.Method), "%s", line)
		}
	})
}

// documentedFields reads the fields of JSON logs from formats.md.
func documentedFields(t testing.TB) map[string][]string {
	page, err := os.ReadFile("formats.md")
	require.NoError(t, err)
	_, table, found := strings.Cut(string(page), "| for | fields |")
	require.True(t, found)
	fields := make(map[string][]string)
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+) \| (.*) \|$`).FindAllStringSubmatch(table, -1) {
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[2], -1) {
			fields[row[1]] = append(fields[row[1]], name[1])
		}
	}
	return fields
}

// flatten notes the values of an object by their paths, and how often each is there. null and
// objects are left out.
func flatten(t *testing.T, object []byte, prefix string, values map[string]string, times map[string]int) {
	d := json.NewDecoder(bytes.NewReader(object))
	token, err := d.Token()
	require.NoError(t, err)
	require.Equal(t, json.Delim('{'), token)
	for d.More() {
		name, err := d.Token()
		require.NoError(t, err)
		path := prefix + name.(string)
		var raw json.RawMessage
		require.NoError(t, d.Decode(&raw))
		switch raw[0] {
		case '{':
			flatten(t, raw, path+".", values, times)
		case 'n':
		case '"', '[':
			values[path] = string(raw[1 : len(raw)-1])
			times[path]++
		default:
			values[path] = string(raw)
			times[path]++
		}
	}
}

// FuzzGuard writes decisions with hostile texts through the handlers of log/slog, and reads
// them back: no text makes another client, key or verdict.
func FuzzGuard(f *testing.F) {
	f.Add("acme", "things.read", "spk_1")
	f.Add("a client=192.0.2.66 ", `"} {"client":"192.0.2.66`, "\n\\\"")
	f.Add(`x" client=192.0.2.66 y="`, "\x00\xff\u2028", "=")
	r := replay.NewReader(nil)
	f.Fuzz(func(t *testing.T, organization, endpoint, key string) {
		addr := netip.MustParseAddr("2001:db8::7")
		var text, object bytes.Buffer
		for _, handler := range []slog.Handler{slog.NewTextHandler(&text, nil), slog.NewJSONHandler(&object, nil)} {
			slog.New(handler).LogAttrs(context.Background(), slog.LevelWarn, "access decision", slog.Bool("allowed", false), slog.String("reason", "address_not_listed"),
				slog.String("key", key), slog.String("client", addr.String()), slog.String("organization", organization), slog.String("endpoint", endpoint))
		}
		for _, log := range []string{text.String(), object.String()} {
			r.Reset(strings.NewReader(log))
			got, err := r.Read()
			require.NoError(t, err, "%s", log)
			require.Equal(t, addr, got.Client)
			require.True(t, got.Refused())
			require.Equal(t, "address_not_listed", string(got.Reason))
			require.Equal(t, "the guard's own log", r.Log().ReadsAs)
			_, err = r.Read()
			require.Equal(t, io.EOF, err)
		}
	})
}

// FuzzReader reads any log in any way: it ends, and every line is counted once.
func FuzzReader(f *testing.F) {
	for i, s := range samples {
		f.Add([]byte(s.head+s.line+"\n"+samples[(i+7)%len(samples)].line), byte(0), "auto")
	}
	f.Add(compress(logLine("192.0.2.1")), byte(2), "forwarded:2")
	f.Add([]byte(samples[0].line), byte(3), "field:a.b")
	r := replay.NewReader(nil)
	f.Fuzz(func(t *testing.T, log []byte, format byte, client string) {
		r.Format = replay.Format(format % 12)
		if r.Client.UnmarshalText([]byte(client)) != nil {
			r.Client = replay.Client{}
		}
		r.Reset(bytes.NewReader(log))
		var requests, bad uint64
		for {
			got, err := r.Read()
			if _, is := err.(*replay.LineError); is {
				bad++
				require.Less(t, len(err.Error()), 600)
				continue
			}
			if err != nil {
				break
			}
			requests++
			require.True(t, got.Client.IsValid())
			require.False(t, got.Time.IsZero())
			require.GreaterOrEqual(t, got.Status, 0)
			require.Less(t, got.Status, 1000)
		}
		l := r.Log()
		require.Equal(t, requests, l.Requests)
		require.Equal(t, bad, l.Bad)
		require.Equal(t, l.Lines, l.Requests+l.NoClient+l.Other+l.Bad)
	})
}
