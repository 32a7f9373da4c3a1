package replay_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist/replay"
)

// readOne reads the only request of a log.
func readOne(t *testing.T, log string) (*replay.Reader, *replay.Record) {
	t.Helper()
	r := replay.NewReader(strings.NewReader(log))
	got, err := r.Read()
	require.NoError(t, err)
	return r, got
}

func TestSamples(t *testing.T) {
	for _, s := range samples {
		t.Run(s.reads+"/"+s.name, func(t *testing.T) {
			r, got := readOne(t, s.head+s.line)
			require.Equal(t, s.reads, r.Log().ReadsAs)
			require.Equal(t, s.client, got.Client.String())
			require.Equal(t, s.time, got.Time.Format(time.RFC3339Nano))
			require.Equal(t, time.UTC, got.Time.Location())
			require.Equal(t, s.status, got.Status)
			require.Equal(t, s.method, string(got.Method))
			require.Equal(t, s.path, string(got.Path))
			require.Equal(t, s.user, string(got.User))
			require.Equal(t, s.agent, string(got.Agent))
			require.Equal(t, s.key, string(got.Key))
			require.Equal(t, s.entry, string(got.Entry))
			require.Equal(t, s.reason, string(got.Reason))
			require.Equal(t, s.refused, got.Refused())
			require.Equal(t, !s.unanswered && s.status < 400 && !s.refused, got.Succeeded())
			_, err := r.Read()
			require.Equal(t, io.EOF, err)
			_, err = r.Read()
			require.Equal(t, io.EOF, err)
		})
	}
}

// A line that lost its end is not read in any format, or is read the same: the fields at the
// end of some formats are optional.
func TestCutSamples(t *testing.T) {
	r := replay.NewReader(nil)
	for _, s := range samples {
		t.Run(s.reads+"/"+s.name, func(t *testing.T) {
			r.Reset(strings.NewReader(s.head + s.line))
			whole, err := r.Read()
			require.NoError(t, err)
			want := *whole
			for i := range s.line {
				r.Reset(strings.NewReader(s.head + s.line + "\n" + s.line[:i] + "\n" + s.line))
				requests := 0
				for {
					got, err := r.Read()
					if err == io.EOF {
						break
					}
					if err == nil {
						requests++
						require.Equal(t, want.Client, got.Client, s.line[:i])
						require.Equal(t, want.Time, got.Time, s.line[:i])
						require.Equal(t, want.Status, got.Status, s.line[:i])
					}
				}
				require.GreaterOrEqual(t, requests, 2)
			}
		})
	}
}
