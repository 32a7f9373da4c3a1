package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/memory"
)

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("the line is down") }

const logLine = `203.0.113.9 - - [06/May/2031:01:00:00 +0000] "GET / HTTP/1.1" 200 12 "-" "curl/8"` + "\n"

// A long log shows on a terminal how many calls were read, and nothing elsewhere.
func TestReplayShowsItsProgress(t *testing.T) {
	log := strings.Repeat(logLine, 2*progressStep)
	for _, width := range []int{0, 100} {
		s := newScript(t)
		s.width = width
		var stderr bytes.Buffer
		require.Equal(t, yes, s.do(strings.NewReader(log), io.Discard, &stderr, "replay", "-", "--list", "testdata/list.txt"))
		if width == 0 {
			require.Empty(t, stderr.String())
			continue
		}
		require.Equal(t, "\r10000 calls\r20000 calls\r\x1b[K", stderr.String())
	}
}

// An interrupted replay ends, and its report says what is missing.
func TestInterruptedReplay(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout bytes.Buffer
	require.Equal(t, unknown, run(ctx, []string{"replay", "-", "--list", "testdata/list.txt"}, strings.NewReader(logLine), &stdout, io.Discard, newScript(t).environment()))
	require.Contains(t, stdout.String(), "interrupted")
}

// Several logs, one of them compressed, are one report.
func TestReplayOfSeveralLogs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.log.gz")
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := io.WriteString(w, logLine)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, os.WriteFile(path, packed.Bytes(), 0o600))
	var stdout bytes.Buffer
	require.Equal(t, yes, newScript(t).do(strings.NewReader(logLine), &stdout, io.Discard, "replay", path, "-", "--list", "testdata/list.txt"))
	require.Contains(t, stdout.String(), "2 of 2 calls")
}

// A store that fails is no list, and a log that cannot be read to its end is in doubt.
func TestFailingReplay(t *testing.T) {
	s := newScript(t)
	var stdout, stderr bytes.Buffer
	from := io.MultiReader(strings.NewReader(logLine), failingReader{})
	require.Equal(t, unknown, s.do(from, &stdout, &stderr, "replay", "-", "--list", "testdata/list.txt"))
	require.Contains(t, stdout.String(), "the line is down")

	stdout.Reset()
	s.store = unread{s.store.(*memory.Store)}
	require.Equal(t, unknown, s.do(strings.NewReader(""), &stdout, &stderr, "replay", "testdata/access.log", "--key", "report"))
	require.Contains(t, stderr.String(), "the disk is on fire")
	require.Empty(t, stdout.String())
}
