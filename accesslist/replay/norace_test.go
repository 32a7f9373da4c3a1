//go:build !race

package replay_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist/replay"
)

// The lines of a log allocate nothing in any format. The race detector allocates itself.
func TestLinesAllocateNothing(t *testing.T) {
	list := parse(t, "203.0.113.0/24", "2001:db8::/32")
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			allocations := func(lines int) float64 {
				log := []byte(s.head + strings.Repeat(s.line+"\n", lines))
				r, err := replay.New(list, replay.Options{Suggest: 5})
				require.NoError(t, err)
				return testing.AllocsPerRun(3, func() { r.Read("", bytes.NewReader(log)) })
			}
			few := allocations(200)
			require.Less(t, allocations(1200)-few, 100.0, "of 1,000 lines; other goroutines allocate a little")
		})
	}
}
