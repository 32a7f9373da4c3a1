package replay_test

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist/replay"
)

// With more blocks of IPv6 than may be counted, they are counted by wider ones.
func TestManyIPv6Clients(t *testing.T) {
	var log strings.Builder
	for i := range uint64(20) {
		log.WriteString(logLine(address6(0x2001_0db8_0000_0000|i<<4, 1)))
	}
	p := reported(t, log.String(), parse(t, "192.0.2.1"), replay.Options{MaxAddresses: 4})
	require.Equal(t, []string{"2001:db8::/48 20"}, clients(p))
	require.Contains(t, textOf(t, p), "(IPv6 is counted by /48: there were too many addresses)")
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

// More lines and more clients than may be counted one by one take no more memory.
func TestMemoryIsBounded(t *testing.T) {
	const lines, limit = 200_000, 1 << 14
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	log := &memoryReader{Reader: newGenerator(lines, 1<<20)}
	p, err := replay.Read(log, parse(t, "64.0.0.0/2"), replay.Options{Suggest: 5, MaxAddresses: limit})
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	require.Equal(t, uint64(lines), p.Calls)
	require.Greater(t, p.Served, p.Calls/10)
	require.Less(t, p.IPv4PrefixLength, 32)
	require.LessOrEqual(t, len(p.RefusedClients), limit)
	out := textOf(t, p)
	require.Contains(t, out, fmt.Sprintf("(IPv4 is counted by /%d: there were too many addresses)", p.IPv4PrefixLength))
	const most = 32 << 20
	require.Less(t, log.most, before.HeapAlloc+most)
	// What is left is the text of IPv6 addresses, which are a sixteenth.
	perLine := (float64(after.TotalAlloc-before.TotalAlloc) - most) / lines
	require.Less(t, perLine, 16.0)
	t.Logf("%d lines: at most %d KiB in use, %.1f bytes allocated a line", lines, (log.most-before.HeapAlloc)>>10, perLine)
}
