package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestProgress(t *testing.T) {
	var out strings.Builder
	now := time.Unix(0, 0)
	p := newProgress(&out, func() time.Time { return now })
	p.terminal, p.total = true, 1000
	step := func(d time.Duration, lines uint64, bytes int64) string {
		out.Reset()
		now = now.Add(d)
		p.update(lines, bytes)
		return out.String()
	}

	require.Empty(t, step(999*time.Millisecond, 4096, 100), "nothing in the first second")
	require.Equal(t, "\r\x1b[K2,000,000 lines, 2,000,000/s, 20%", step(time.Millisecond, 2_000_000, 200))
	require.Empty(t, step(249*time.Millisecond, 2_500_000, 250), "a few times a second")
	require.Equal(t, "\r\x1b[K3,000,000 lines, 2,400,000/s, 30%", step(time.Millisecond, 3_000_000, 300))

	out.Reset()
	p.printf("a message\n")
	require.Equal(t, "\r\x1b[Ka message\n", out.String(), "which does not run into it")
	p.total = 0
	require.Equal(t, "\r\x1b[K4,000,000 lines, 1,600,000/s", step(1250*time.Millisecond, 4_000_000, 400))
	p.total = 300
	require.Contains(t, step(time.Second, 4_000_000, 400), " 100%", "of a log that has grown")

	out.Reset()
	p.erase()
	p.erase()
	require.Equal(t, "\r\x1b[K", out.String())
}

func TestNoProgressWithoutTerminal(t *testing.T) {
	var out strings.Builder
	now := time.Unix(0, 0)
	p := newProgress(&out, func() time.Time { return now })
	now = now.Add(time.Hour)
	p.update(1, 1)
	p.show("something")
	p.erase()
	require.Empty(t, out.String())
	p.printf("a message\n")
	require.Equal(t, "a message\n", out.String())

	f, err := os.Create(filepath.Join(t.TempDir(), "errors"))
	require.NoError(t, err)
	defer f.Close()
	require.False(t, newProgress(f, time.Now).terminal)
}
