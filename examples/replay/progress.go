package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

const (
	progressAfter = time.Second            // a shorter replay needs no progress
	progressEvery = 250 * time.Millisecond // often enough to look alive
	eraseLine     = "\r\x1b[K"
)

// A progress is a line on a terminal with the share of the logs read so far. Other messages
// to the same terminal go through it, so that they do not mix.
type progress struct {
	w        io.Writer
	terminal bool
	now      func() time.Time
	total    int64 // bytes in all logs; 0 if unknown

	start, last time.Time
	shown       bool
}

// newProgress shows nothing unless w is a terminal.
func newProgress(w io.Writer, now func() time.Time) *progress {
	p := &progress{w: w, now: now, start: now()}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// update shows the progress, at most once in progressEvery.
func (p *progress) update(lines uint64, bytes int64) {
	if !p.terminal {
		return
	}
	now := p.now()
	elapsed := now.Sub(p.start)
	if elapsed < progressAfter || now.Sub(p.last) < progressEvery {
		return
	}
	p.last = now
	share := ""
	if p.total > 0 { // a log may have grown since
		share = fmt.Sprintf(", %d%%", min(100, bytes*100/p.total))
	}
	p.show(fmt.Sprintf("%s lines, %s/s%s", thousands(lines), thousands(uint64(float64(lines)/elapsed.Seconds())), share))
}

// show replaces the text of the line.
func (p *progress) show(text string) {
	if p.terminal && p.now().Sub(p.start) >= progressAfter {
		fmt.Fprint(p.w, eraseLine, text)
		p.shown = true
	}
}

// erase takes the line away.
func (p *progress) erase() {
	if p.shown {
		fmt.Fprint(p.w, eraseLine)
		p.shown = false
	}
}

// printf writes a permanent message.
func (p *progress) printf(format string, args ...any) {
	p.erase()
	fmt.Fprintf(p.w, format, args...)
}
