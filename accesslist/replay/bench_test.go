package replay_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/accesslist/replay"
)

// BenchmarkFormats replays each sample as a log of 10,000 equal lines.
func BenchmarkFormats(b *testing.B) {
	list, err := accesslist.Parser{AllowIPv6: true}.Parse("192.0.2.0/24", "10.0.0.0/8", "2001:db8::/32")
	require.NoError(b, err)
	const lines = 10_000
	for _, s := range samples {
		log := []byte(s.head + strings.Repeat(s.line+"\n", lines))
		b.Run(s.name, func(b *testing.B) {
			r, err := replay.New(list, replay.Options{Suggest: 5})
			require.NoError(b, err)
			b.SetBytes(int64(len(log)))
			b.ReportAllocs()
			for b.Loop() {
				if read := r.Read("log", bytes.NewReader(log)); read.Requests != lines {
					b.Fatalf("%+v", read)
				}
			}
			b.ReportMetric(lines*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mlines/s")
		})
	}
}
