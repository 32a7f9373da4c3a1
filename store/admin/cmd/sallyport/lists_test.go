package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store/memory"
)

// A meddled store is changed by somebody else after a number of reads of a key.
type meddled struct {
	*memory.Store
	reads  *int
	meddle func()
}

func (m meddled) Key(ctx context.Context, id apikey.ID) (apikey.Key, error) {
	key, err := m.Store.Key(ctx, id)
	if *m.reads--; *m.reads == 0 {
		m.meddle()
	}
	return key, err
}

// Whenever somebody adds an entry while a list is refreshed, the entry stays.
func TestRefreshKeepsWhatWasAddedMeanwhile(t *testing.T) {
	seen := map[int]bool{}
	for reads := 1; ; reads++ {
		s := newScript(t)
		kept := s.store.(*memory.Store)
		left, added := reads, false
		s.store = meddled{kept, &left, func() {
			other := newScript(t)
			other.store, added = kept, true
			require.Equal(t, yes, other.do(strings.NewReader(""), io.Discard, io.Discard, "list", "add", "report", "198.51.100.200", "--yes"))
		}}
		status := s.do(strings.NewReader(""), io.Discard, io.Discard, "lists", "refresh", "report", "-f", "testdata/aws.json", "--source", "AWS", "--service", "S3", "--yes")
		key, err := kept.Key(t.Context(), "report")
		require.NoError(t, err)
		list, err := key.AccessList.MarshalText()
		require.NoError(t, err)
		if !added {
			require.Equal(t, yes, status)
			break
		}
		require.Contains(t, string(list), "198.51.100.200", reads)
		require.Contains(t, []int{yes, changed}, status, reads)
		require.Equal(t, status == yes, strings.Contains(string(list), "192.0.2.64/28"), reads)
		seen[status] = true
	}
	require.Equal(t, map[int]bool{yes: true, changed: true}, seen)
}

// A list that cannot be read to its end, or compared with the stored one, changes nothing.
func TestFailingRefresh(t *testing.T) {
	s := newScript(t)
	var stdout, stderr bytes.Buffer
	from := io.MultiReader(strings.NewReader("192.0.2.1\n"), failingReader{})
	require.Equal(t, unknown, s.do(from, &stdout, &stderr, "lists", "refresh", "report", "-f", "-", "--source", "AWS", "--yes"))
	require.Contains(t, stderr.String(), "was not read to its end: the line is down")

	stderr.Reset()
	s.store = unread{s.store.(*memory.Store)}
	require.Equal(t, unknown, s.do(strings.NewReader(""), &stdout, &stderr, "lists", "refresh", "report", "-f", "testdata/aws.json", "--source", "AWS", "--yes"))
	require.Contains(t, stderr.String(), "the disk is on fire")
	require.Empty(t, stdout.String())
}
