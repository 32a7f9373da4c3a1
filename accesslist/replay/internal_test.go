package replay

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestClock(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"2026-01-02T15:04:05Z", "2026-01-02T15:04:05Z"},
		{"2026-01-02 15:04:05", "2026-01-02T15:04:05Z"},
		{"2026-01-02T15:04:05,25+0100", "2026-01-02T14:04:05.25Z"},
		{"2026-01-02T15:04:05.123456789-01:30", "2026-01-02T16:34:05.123456789Z"},
		{"02/Jan/2026:15:04:05 +0100", "2026-01-02T14:04:05Z"},
		{"02/Jan/2026:15:04:05.5", "2026-01-02T15:04:05.5Z"},
		{"29/Feb/2024:00:00:00 +0000", "2024-02-29T00:00:00Z"},
		{"1767366245", "2026-01-02T15:04:05Z"},
		{"1767366245.25", "2026-01-02T15:04:05.25Z"},
		{"1767366245.1234567891234", "2026-01-02T15:04:05.123456789Z"},
		{"1767366245123", "2026-01-02T15:04:05.123Z"},
		{"1767366245123.75", "2026-01-02T15:04:05.123Z"},
		{"1767366245123456", "2026-01-02T15:04:05.123456Z"},
		{"1767366245123456789", "2026-01-02T15:04:05.123456789Z"},
		{"0", "1970-01-01T00:00:00Z"},

		{"", ""}, {"x", ""}, {".", ""}, {"1.", ""}, {"1.x", ""}, {"-1", ""}, {"1767366245123.x", ""}, {"9999999999999999999", ""}, {"12345678901234567890", ""},
		{"2026-01-02", ""}, {"2026-01-02x15:04:05", ""}, {"2026-01-02T15:04:0", ""}, {"2026-02-30T15:04:05Z", ""}, {"2026-01-02T15:04:60Z", ""},
		{"2026-01-02T15:04:05.Z", ""}, {"2026-01-02T15:04:05.1234567891Z", ""}, {"2026-01-02T15:04:05+1", ""}, {"2026-01-02T15:04:05+24:00", ""}, {"2026-01-02T15:04:05z", ""},
		{"1969-12-31T00:00:00Z", ""}, {"0000-00-00T00:00:00Z", ""}, {"2026-1-02T15:04:05Z", ""}, {"202x-01-02T15:04:05Z", ""},
		{"02/Jan/2026:15:04", ""}, {"02/Foo/2026:15:04:05 +0000", ""}, {"31/Feb/2026:15:04:05 +0000", ""}, {"02/Jan/2026:25:04:05 +0000", ""},
		{"02/Jan/2026:15:04:05.", ""}, {"02/Jan/2026:15:04:05x", ""}, {"02/Jan/2026:15:04:05 x", ""}, {"02/Jan/2026 15:04:05 +0000", ""},
	} {
		var c clock
		for range 2 { // the second time from what it keeps
			got, ok := c.any([]byte(tt.text))
			require.Equal(t, tt.want != "", ok, tt.text)
			if ok {
				require.Equal(t, tt.want, got.Format(time.RFC3339Nano))
			}
		}
	}
}

// rfc3339 is what logs have of RFC 3339; time.Parse takes more.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$`)

func FuzzClock(f *testing.F) {
	for _, text := range []string{"2026-01-02T15:04:05.123Z", "2026-01-02 15:04:05+0100", "02/Jan/2026:15:04:05 -0700", "1767366245.25"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var c clock
		if got, ok := c.iso([]byte(text)); ok {
			slow := strings.Replace(strings.Replace(text, " ", "T", 1), ",", ".", 1)
			switch n := len(slow); {
			case !strings.ContainsAny(slow[len("2006-01-02"):], "Z+-"):
				slow += "Z"
			case slow[n-1] != 'Z' && slow[n-3] != ':':
				slow = slow[:n-2] + ":" + slow[n-2:]
			}
			want, err := time.Parse(time.RFC3339Nano, slow)
			require.NoError(t, err)
			require.Equal(t, want.UTC(), got)
		} else if rfc3339.MatchString(text) && text >= "1970" {
			_, err := time.Parse(time.RFC3339Nano, text)
			require.Error(t, err)
		}
		if got, ok := c.common([]byte(text)); ok && len(text) == len(timeLayout) {
			if want, err := time.Parse(timeLayout, text); err == nil {
				require.Equal(t, want.UTC(), got)
			}
		}
	})
}

func addressOf(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

func addressOf6(high, low uint64) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], high)
	binary.BigEndian.PutUint64(b[8:], low)
	return netip.AddrFrom16(b)
}

// Whatever is added, no more blocks are held than allowed, and what a block counts is exactly
// the calls from it, with the first and the last time.
func TestTallyFoldsExactly(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	start := time.Unix(1767366245, 0).UTC()
	for round := range 300 {
		limit := 2 + random.IntN(60)
		tally := newTally(limit)
		spread4, spread6 := uint32(1)<<random.IntN(32), uint64(1)<<random.IntN(64)
		share6 := random.IntN(11)
		exact := make(map[netip.Addr][]time.Time)
		n := random.IntN(400)
		for range n {
			client := addressOf(0xc0000000 + random.Uint32N(spread4))
			if random.IntN(10) < share6 {
				client = addressOf6(0x2001_0db8_0000_0000+random.Uint64N(spread6), random.Uint64N(spread6))
			}
			at := start.Add(time.Duration(random.IntN(1000)) * time.Second)
			tally.add(client, at)
			exact[client] = append(exact[client], at)
			require.LessOrEqual(t, tally.distinct(), limit)
		}
		var sum uint64
		for _, c := range tally.addresses() {
			var want []time.Time
			for client, at := range exact {
				if c.Prefix.Contains(client) {
					want = append(want, at...)
				}
			}
			require.Equal(t, uint64(len(want)), c.Calls, "round %d: %v", round, c.Prefix)
			require.Equal(t, c.Prefix, c.Prefix.Masked())
			for _, at := range want {
				require.False(t, at.Before(c.First) || at.After(c.Last))
			}
			require.Contains(t, want, c.First)
			require.Contains(t, want, c.Last)
			sum += c.Calls
		}
		require.Equal(t, uint64(n), sum)
		require.Equal(t, sum, tally.v4.calls()+tally.v6.calls())
		if len(exact) <= limit {
			require.Equal(t, 32, tally.v4.length(), "nothing is grouped without need")
			require.Equal(t, 64, tally.v6.length())
		}
	}
}

// The worst that can come: every address of both families, one after the other.
func TestTallyOfEverything(t *testing.T) {
	tally := newTally(2)
	at := time.Unix(0, 0).UTC()
	for i := range uint32(1000) {
		tally.add(addressOf(i<<22), at)
		tally.add(addressOf6(uint64(i)<<54, 0), at)
	}
	require.Equal(t, []Address{
		{netip.MustParsePrefix("0.0.0.0/0"), 1000, at, at},
		{netip.MustParsePrefix("::/0"), 1000, at, at},
	}, tally.addresses())
}

// formats.md lists every format and every field of JSON logs.
func TestFormatsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("formats.md")
	require.NoError(t, err)
	for _, f := range formatTable[Guard:] {
		require.Contains(t, string(page), "| `"+f.text+"` |")
	}
	for _, f := range knownFields {
		require.Contains(t, string(page), "`"+f.path+"`")
	}
	for _, name := range wrapperNames[inJSON:] {
		require.Contains(t, string(page), "| "+name+" |")
	}
}

// No path is known twice, and the paths of a role stand together, the better first.
func TestKnownFields(t *testing.T) {
	seen := make(map[string]bool)
	last := noRole
	done := make(map[role]bool)
	for _, f := range knownFields {
		require.False(t, seen[f.path], f.path)
		seen[f.path] = true
		if f.role != last {
			require.False(t, done[f.role], f.path)
			done[last], last = true, f.role
		}
	}
}
