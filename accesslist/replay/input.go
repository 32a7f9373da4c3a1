package replay

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// maxLine is the longest accepted line, in bytes without its end. Servers write far shorter
// ones, whatever a client sends.
const maxLine = 1 << 20

// errTooLong is returned for a line longer than maxLine. The next one can be read.
var errTooLong = fmt.Errorf("longer than %d bytes: want one request a line", maxLine)

// refusedFiles are the beginnings of files that are no text, with what to do.
var refusedFiles = []struct{ magic, problem string }{
	{"\xfd7zXZ\x00", "it is compressed with xz: want it decompressed, as by xz -dc FILE, and piped"},
	{"\x28\xb5\x2f\xfd", "it is compressed with zstd: want it decompressed, as by zstd -dc FILE, and piped"},
	{"\x04\x22\x4d\x18", "it is compressed with lz4: want it decompressed, as by lz4 -dc FILE, and piped"},
	{"\x1f\x9d", "it is compressed with compress: want it decompressed, as by zcat FILE, and piped"},
	{"PK\x03\x04", "it is a ZIP archive: want its files, as by unzip -p FILE, piped"},
	{"7z\xbc\xaf\x27\x1c", "it is a 7z archive: want its files, as by 7z x -so FILE, piped"},
	{"\xff\xfe", "it is UTF-16: want UTF-8, as by iconv -f UTF-16 -t UTF-8 FILE, piped"},
	{"\xfe\xff", "it is UTF-16: want UTF-8, as by iconv -f UTF-16 -t UTF-8 FILE, piped"},
}

const (
	gzipMagic  = "\x1f\x8b"
	bzip2Magic = "BZh"
	utf8Mark   = "\xef\xbb\xbf"
)

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

// decompressed returns the text of a log. Files compressed with gzip (RFC 1952) and bzip2 are
// recognized by their beginning, whatever their name.
func (l *lineReader) decompressed() (io.Reader, error) {
	// An error of Peek returns with the first line.
	begin, _ := l.raw.Peek(10)
	switch {
	case bytes.HasPrefix(begin, []byte(gzipMagic)):
		if err := l.gzip.Reset(l.raw); err != nil {
			return nil, fmt.Errorf("it begins like a gzip file and is none: %w", err)
		}
		return &l.gzip, nil
	case bytes.HasPrefix(begin, []byte(bzip2Magic)) && isBzip2(begin):
		return bzip2.NewReader(l.raw), nil
	case bytes.HasPrefix(begin, []byte(utf8Mark)):
		l.raw.Discard(len(utf8Mark)) // cannot fail: it was peeked at
	}
	for _, refused := range refusedFiles {
		if bytes.HasPrefix(begin, []byte(refused.magic)) {
			return nil, errors.New(refused.problem)
		}
	}
	return l.raw, nil
}

// isBzip2 reports whether a block, or the end of an empty file, follows the header.
func isBzip2(begin []byte) bool {
	return len(begin) == 10 && '1' <= begin[3] && begin[3] <= '9' &&
		(string(begin[4:]) == "\x31\x41\x59\x26\x53\x59" || string(begin[4:]) == "\x17\x72\x45\x38\x50\x90")
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

// sample returns the first lines of a log without reading them. The last one may lack its
// end.
func (l *lineReader) sample() []byte {
	const most = 64 << 10
	begin, _ := l.lines.Peek(most) // an error returns with its line
	return begin
}
