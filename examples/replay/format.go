package main

import (
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
)

// refusedFiles are the beginnings of files that are no text, with what to do.
var refusedFiles = []struct{ magic, problem string }{
	{"\xfd7zXZ\x00", "it is compressed with xz: want it decompressed, as by xz -dc FILE | replay LIST -"},
	{"\x28\xb5\x2f\xfd", "it is compressed with zstd: want it decompressed, as by zstd -dc FILE | replay LIST -"},
	{"\x04\x22\x4d\x18", "it is compressed with lz4: want it decompressed, as by lz4 -dc FILE | replay LIST -"},
	{"\x1f\x9d", "it is compressed with compress: want it decompressed, as by zcat FILE | replay LIST -"},
	{"PK\x03\x04", "it is a ZIP archive: want its files, as by unzip -p FILE | replay LIST -"},
	{"7z\xbc\xaf\x27\x1c", "it is a 7z archive: want its files, as by 7z x -so FILE | replay LIST -"},
	{"\xff\xfe", "it is UTF-16: want UTF-8, as by iconv -f UTF-16 -t UTF-8 FILE | replay LIST -"},
	{"\xfe\xff", "it is UTF-16: want UTF-8, as by iconv -f UTF-16 -t UTF-8 FILE | replay LIST -"},
}

const (
	gzipMagic  = "\x1f\x8b"
	bzip2Magic = "BZh"
	utf8Mark   = "\xef\xbb\xbf"
)

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

// formats are the formats that a bad line may have, by a text in its first bytes.
var formats = []struct {
	name   string
	begins func(line []byte) bool
}{
	{"JSON", prefixed("{")},
	{"the W3C Extended Log Format, as of IIS and CloudFront", prefixed("#Version:", "#Software:", "#Fields:")},
	{"an access log of an AWS load balancer", prefixed("http 20", "https 20", "h2 20", "grpcs 20", "ws 20", "wss 20")},
	{"syslog", func(b []byte) bool { return isSyslog(b) }},
	{"an error log", prefixed("[")},
	{"an error log", func(b []byte) bool { return len(b) > 10 && b[4] == '/' && b[7] == '/' && b[10] == ' ' }},
	{"a header of comments", prefixed("#")},
	{"CSV", func(b []byte) bool { return bytes.Count(b, []byte(",")) > 4 && !bytes.ContainsAny(b, "[") }},
}

func prefixed(prefixes ...string) func([]byte) bool {
	return func(line []byte) bool {
		for _, p := range prefixes {
			if bytes.HasPrefix(line, []byte(p)) {
				return true
			}
		}
		return false
	}
}

// isSyslog reports whether a line begins like one of RFC 3164, as "Jan  5 12:00:00", or of
// RFC 5424, or with the priority of either.
func isSyslog(b []byte) bool {
	if prefixed("<")(b) {
		i := bytes.IndexByte(b, '>')
		return i > 1 && i < 5
	}
	return len(b) > 15 && bytes.Contains([]byte(months), b[:3]) && b[3] == ' ' && b[9] == ':' && b[12] == ':' ||
		len(b) > 19 && b[4] == '-' && b[7] == '-' && b[10] == 'T' && b[13] == ':'
}

// formatOf names the format of a bad line, or returns "".
func formatOf(line []byte) string {
	for _, f := range formats {
		if f.begins(line) {
			return f.name
		}
	}
	return ""
}
