package transfer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// A reader reads a file and checks it on the way. Only at its end is the file known to be
// whole and unaltered.
type reader struct {
	in     *bufio.Reader
	sum    hash.Hash
	lines  int // lines read
	order  order
	counts Counts
	ended  bool
}

func newReader(r io.Reader) *reader {
	return &reader{in: bufio.NewReaderSize(r, 1<<16), sum: sha256.New()}
}

// A record is an organization, or a key with or without usage.
type record struct {
	organization *policy.Organization
	key          *apikey.Key
	usage        *keyUsage
}

func (r record) name() string {
	if r.key != nil {
		return nameOf(r.key.Organization, r.key.ID)
	}
	return nameOf(r.organization.ID, "")
}

// chunk returns the next records in order, or none after a proper end.
func (r *reader) chunk() ([]record, error) {
	if r.ended {
		return nil, nil
	}
	if r.lines == 0 {
		if err := r.header(); err != nil {
			return nil, err
		}
	}
	first := r.lines + 1
	var texts [][]byte
	var last []byte
	for size := 0; last == nil && !full(len(texts), size); {
		text, err := r.line()
		if err != nil {
			return nil, err
		}
		if bytes.HasPrefix(text, lastPrefix) {
			last = text
			break
		}
		texts = append(texts, text)
		size += len(text)
	}
	// Decoding is most of the work.
	lines := make([]line, len(texts))
	err := parallel(len(texts), func(i int) (err error) {
		if lines[i], err = decode(texts[i]); err != nil {
			err = damaged(first+i, err)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var records []record
	for i, l := range lines {
		if err := r.check(l); err != nil {
			return nil, damaged(first+i, err)
		}
		r.sum.Write(texts[i]) // never fails
		r.counts.add(l.Key != nil, l.Usage != nil)
		records = append(records, record{l.Organization, l.Key, l.Usage})
	}
	if last != nil {
		return records, r.end(last)
	}
	return records, nil
}

// line reads a line with its line feed, and no more of the file than that or MaxLine.
func (r *reader) line() (text []byte, err error) {
	r.lines++
	for err = bufio.ErrBufferFull; err == bufio.ErrBufferFull; {
		var part []byte
		part, err = r.in.ReadSlice('\n')
		if text = append(text, part...); len(text) > MaxLine {
			return nil, damaged(r.lines, errLongLine)
		}
	}
	if err == io.EOF {
		err = r.cutShort()
	}
	return text, err
}

var errLongLine = fmt.Errorf("it has more than %d bytes: want at most that, which no key's line exceeds", MaxLine)

func (r *reader) cutShort() error {
	return damaged(r.lines, errors.New("the file was cut short: want its last line"))
}

func (r *reader) header() error {
	r.lines++
	text, err := r.in.ReadSlice('\n') // bounded: another file may have no lines
	switch {
	case err == io.EOF:
		return r.cutShort()
	case err != nil && err != bufio.ErrBufferFull:
		return err
	case !bytes.Equal(text, firstLine):
		var other struct {
			Header struct{ Format int } `json:"sallyport"`
		}
		if json.Unmarshal(text, &other) == nil && other.Header.Format > format {
			return damaged(r.lines, fmt.Errorf("format %d: want format %d, or a later version of this package", other.Header.Format, format))
		}
		return damaged(r.lines, fmt.Errorf("it begins with %.40q: want %s", text, bytes.TrimSpace(firstLine)))
	}
	r.sum.Write(text)
	return nil
}

// check returns why a line cannot be the next one.
func (r *reader) check(l line) error {
	organization, key := l.Organization, l.Key
	switch {
	case organization != nil && l == (line{Organization: organization}):
		return r.order.add(organization.ID, "")
	case key == nil || l != (line{Key: key, Usage: l.Usage}):
		return errors.New("want an organization, or a key with its usage or without, or the end")
	case l.Usage != nil:
		if err := l.Usage.of(*key); err != nil {
			return fmt.Errorf("the usage of %s: %w", nameOf(key.Organization, key.ID), err)
		}
	}
	return r.order.add(key.Organization, key.ID)
}

// end checks the last line, and that nothing follows it.
func (r *reader) end(text []byte) error {
	if want := lastLine(r.counts, r.sum); !bytes.Equal(text, want) {
		return damaged(r.lines, fmt.Errorf("the last line is %.200q; for what comes before it want %s", bytes.TrimSpace(text), bytes.TrimSpace(want)))
	}
	if _, err := r.in.ReadByte(); err == nil {
		return damaged(r.lines+1, errors.New("bytes after the last line: want the end of the file"))
	} else if err != io.EOF {
		return err
	}
	r.ended = true
	return nil
}

// total is the hash of all lines except the last.
func (r *reader) total() [sha256.Size]byte { return [sha256.Size]byte(r.sum.Sum(nil)) }

func damaged(number int, err error) error {
	return fmt.Errorf("line %d: %w: %w", number, ErrDamaged, err)
}
