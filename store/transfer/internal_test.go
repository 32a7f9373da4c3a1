package transfer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// tell is a feed of one organization, told many times, and a mark.
func tell(times int) func(yield func(store.Change, error) bool) {
	return func(yield func(store.Change, error) bool) {
		id := strings.Repeat("x", 256)
		for range times {
			if !yield(store.Change{Revision: 1, Organization: id, OrganizationRecord: &policy.Organization{ID: id}}, nil) {
				return
			}
		}
		yield(store.Change{Revision: 1}, nil)
	}
}

// A temporary file that cannot be written or read, as on a disk that is full or broken, is
// an error.
func TestASpoolThatFails(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, times := range []int{1, 1000} { // in the buffer, and more than fits
		s, err := newSpool()
		require.NoError(t, err)
		require.NoError(t, s.file.Close())
		require.ErrorIs(t, s.fill(tell(times)), fs.ErrClosed)
		require.ErrorIs(t, s.remove(), fs.ErrClosed)
	}

	s, err := newSpool()
	require.NoError(t, err)
	if runtime.GOOS == "linux" {
		require.NoFileExists(t, s.file.Name(), "a process that is killed must not leave it")
	}
	require.NoError(t, s.fill(tell(2)))
	require.NoError(t, s.file.Truncate(s.size-1))
	var errs []error
	for _, err := range s.items {
		errs = append(errs, err)
	}
	require.Len(t, errs, 2)
	require.NoError(t, errs[0])
	require.Error(t, errs[1], "less was read than was written")
	require.NoError(t, s.remove())
	require.ErrorIs(t, s.remove(), fs.ErrClosed)
}

// A line that came back from the temporary file as none is an error.
func TestALineThatIsNone(t *testing.T) {
	e := &exporter{out: bufio.NewWriter(&bytes.Buffer{}), sum: sha256.New(), recorder: usedAlways{}}
	require.Error(t, e.addUsage(context.Background(), &item{organization: "acme", key: "a", text: []byte(`{"key":{`)}))
}

type usedAlways struct{ store.UsageRecorder }

func (usedAlways) Usage(context.Context, apikey.ID) (store.KeyUsage, error) {
	return store.KeyUsage{Secrets: map[string]accesslist.Usage{"5ec2e700": {Count: 1}}}, nil
}

// A store that fails is not asked for all the rest.
func TestParallelEndsWithTheFirstError(t *testing.T) {
	const all = 10000
	var calls atomic.Int64
	err := parallel(all, func(i int) error {
		calls.Add(1)
		time.Sleep(time.Millisecond)
		if i >= 3 {
			return fmt.Errorf("call %d", i)
		}
		return nil
	})
	require.EqualError(t, err, "call 3")
	require.Less(t, calls.Load(), int64(all))
}
