package replay

import (
	"bytes"
	"errors"
	"fmt"
)

// A scanner parses the lines of one log. It keeps what the lines of a log have in common,
// so that most lines cost no allocation.
type scanner struct {
	client Client
	clock  clock

	clients, hops addressCache

	place       int        // of the forwarded list among the quoted fields after the agent; 0: unknown
	columns     w3cColumns // of the last #Fields
	withoutHead w3cColumns // of a file of CloudFront without #Fields
	outerClock  clock      // of a log collector
	json, outer jsonState  // outer is of a log collector
	inner       []byte     // an unescaped line
}

// reset forgets what was kept of a log.
func (s *scanner) reset() {
	s.place, s.columns = 0, w3cColumns{}
	s.json.reset()
}

// errOther is returned for a line that by its own words is no request: a comment, or another
// message of a service that logs its requests among others.
var errOther = errors.New("not a request")

// fields walks over the fields of a line.
type fields struct {
	rest []byte // nil after the last field
	bad  bool   // a field was missing, or of another kind
}

// next returns the next field and skips the space after it.
func (f *fields) next() []byte {
	field, rest, found := bytes.Cut(f.rest, space)
	f.bad = f.bad || len(field) == 0 || found && len(rest) == 0
	if f.rest = nil; len(rest) > 0 {
		f.rest = rest
	}
	return field
}

// number skips a number, which may have a sign and a fraction, or "-".
func (f *fields) number() {
	field := f.next()
	if len(field) > 0 && (field[0] == '-' || field[0] == '+') {
		field = field[1:]
	}
	if whole, part, found := bytes.Cut(field, []byte(".")); found {
		f.bad = f.bad || !isNumber(whole) || !isNumber(part)
		return
	}
	f.bad = f.bad || !isNumber(field)
}

// status reads the status of an answer, or "-".
func (f *fields) status() int {
	field := f.next()
	if len(field) == 3 && isNumber(field) {
		return number(field)
	}
	f.bad = f.bad || string(field) != "-" && string(field) != "-1" && string(field) != "0" && string(field) != "000"
	return 0
}

// quoted returns a text in quotes, without them, and skips the space after it. No quotation
// mark can be escaped in it.
func (f *fields) quoted() []byte {
	if len(f.rest) < 2 || f.rest[0] != '"' {
		f.bad = true
		return nil
	}
	text, rest, found := bytes.Cut(f.rest[1:], []byte{'"'})
	if !found || len(rest) > 0 && rest[0] != ' ' {
		f.bad = true
		return nil
	}
	if f.rest = nil; len(rest) > 1 {
		f.rest = rest[1:]
	}
	f.bad = f.bad || len(rest) == 1 // a space at the end
	return text
}

// skipQuoted returns the rest after a quoted text at the beginning of b. A backslash
// escapes the next byte: Apache writes \" and \\. nginx writes \x22 and \x5C, without any
// quotation mark to skip.
func skipQuoted(b []byte) (rest []byte, ok bool) {
	for i := 1; ; {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return nil, false
		}
		i += n
		backslashes := 0
		for b[i-1-backslashes] == '\\' { // stops at the first quotation mark
			backslashes++
		}
		i++
		if backslashes%2 == 0 {
			return b[i:], true
		}
	}
}

// request sets method and path from a request line: GET /path HTTP/1.1. In their place there
// may be "-", and what was sent instead of HTTP.
func (r *Record) request(line []byte) {
	method, rest, _ := bytes.Cut(line, space)
	if i := bytes.LastIndexByte(rest, ' '); i >= 0 {
		rest = rest[:i]
	}
	if len(rest) > 0 && string(method) != "-" {
		r.Method, r.Path = method, rest
	}
}

var space = []byte(" ")

// excerpt is the most bytes of a line that a message quotes.
const excerpt = 60

// quoted quotes the beginning of a text, so that a message is one short line of ASCII
// whatever the text.
func quoted(b []byte) string {
	if len(b) > excerpt {
		return fmt.Sprintf("%+q…", b[:excerpt])
	}
	return fmt.Sprintf("%+q", b)
}
