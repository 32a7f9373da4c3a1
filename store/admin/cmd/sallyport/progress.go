package main

import (
	"bytes"
	"fmt"
	"io"
)

// A progress passes lines on, and shows on a terminal how many.
type progress struct {
	w     io.Writer // of the lines; nil if they are read
	r     io.Reader
	on    *printer
	unit  string // of the number
	lines int
	shown int
}

// progressStep is the number of lines after which the terminal shows another number.
const progressStep = 10_000

func (p *progress) Write(data []byte) (int, error) {
	n, err := p.w.Write(data)
	p.count(data[:n])
	return n, err
}

func (p *progress) Read(data []byte) (int, error) {
	n, err := p.r.Read(data)
	p.count(data[:n])
	return n, err
}

// A rereading is the progress of a file that is read several times: the number begins anew.
type rereading struct {
	progress
	file io.ReadSeeker
}

func (r *rereading) Seek(offset int64, whence int) (int64, error) {
	r.lines, r.shown = 0, 0
	return r.file.Seek(offset, whence)
}

func (p *progress) count(data []byte) { p.add(bytes.Count(data, []byte{'\n'})) }

func (p *progress) add(lines int) {
	p.lines += lines
	if !p.on.term || p.lines < p.shown+progressStep {
		return
	}
	p.shown = p.lines
	_, _ = fmt.Fprintf(p.on.w, "\r%d %s", p.lines, p.unit) // a return of the carriage would be escaped
	_ = p.on.flush()                                       // its error is kept, and the last flush returns it
}

// end takes the number off the terminal.
func (p *progress) end() {
	if p.shown > 0 {
		_, _ = p.on.w.WriteString("\r\x1b[K")
	}
}
