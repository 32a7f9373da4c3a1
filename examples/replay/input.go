package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxLine is the longest accepted line, in bytes without its end. Servers write far shorter
// ones, whatever a client sends.
const maxLine = 1 << 20

// errTooLong is returned for a line longer than maxLine. The next one can be read.
var errTooLong = fmt.Errorf("longer than %d bytes: want one request a line", maxLine)

// A source is an opened log.
type source struct {
	name string
	io.ReadCloser
	size int64 // in bytes, before decompression; -1 if unknown
}

// openLogs opens all logs before the work begins, so that none fails to open later. Name
// "-", or no name, is standard input.
func openLogs(names []string, stdin io.Reader) (sources []source, err error) {
	defer func() {
		if err != nil {
			closeLogs(sources)
			sources = nil
		}
	}()
	if len(names) == 0 {
		names = []string{"-"}
	}
	stdinTaken := false
	for _, name := range names {
		if name == "-" {
			if stdinTaken {
				return sources, errors.New(`"-" stands for standard input, which can be read only once: want it once`)
			}
			stdinTaken = true
			s := source{"standard input", io.NopCloser(stdin), -1}
			if f, ok := stdin.(*os.File); ok {
				if s.size, err = regularSize(f); err != nil {
					return sources, err
				}
			}
			sources = append(sources, s)
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return sources, err
		}
		size, err := regularSize(f)
		sources = append(sources, source{name, f, size})
		if err != nil {
			return sources, err
		}
	}
	return sources, nil
}

func closeLogs(sources []source) {
	for _, s := range sources {
		s.Close() // only read from: nothing can be lost
	}
}

// regularSize returns -1 for a pipe or a terminal.
func regularSize(f *os.File) (int64, error) {
	info, err := f.Stat()
	switch {
	case err != nil:
		return -1, err
	case info.IsDir():
		return -1, fmt.Errorf("%s is a directory: want a log file", f.Name())
	case !info.Mode().IsRegular():
		return -1, nil
	}
	return info.Size(), nil
}

// A lineReader reads lines of one log after the other, in bounded memory.
type lineReader struct {
	raw   *bufio.Reader // as stored
	gzip  gzip.Reader
	lines *bufio.Reader // as text; its size bounds a line
}

func newLineReader() *lineReader {
	return &lineReader{
		raw:   bufio.NewReaderSize(nil, 64<<10),
		lines: bufio.NewReaderSize(nil, maxLine+1),
	}
}

// reset begins to read r.
func (l *lineReader) reset(r io.Reader) error {
	l.raw.Reset(r)
	text, err := l.decompressed()
	if err == nil {
		l.lines.Reset(text)
	}
	return err
}

// next returns the next line without its end, valid until the following call. Errors are
// io.EOF at the end, errTooLong for a skipped line, and any other if the log cannot be read
// further.
func (l *lineReader) next() ([]byte, error) {
	line, err := l.lines.ReadSlice('\n')
	if err == nil {
		line = line[:len(line)-1]
		return bytes.TrimSuffix(line, []byte("\r")), nil
	}
	tooLong := false
	for err == bufio.ErrBufferFull {
		tooLong = true
		_, err = l.lines.ReadSlice('\n')
	}
	switch {
	case err != nil && err != io.EOF:
		return nil, err // the line may lack its end
	case tooLong:
		return nil, errTooLong
	case len(line) == 0:
		return nil, io.EOF
	}
	return line, nil
}

// A countingReader counts the bytes read, for the progress.
type countingReader struct {
	io.Reader
	read int64
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.read += int64(n)
	return n, err
}
