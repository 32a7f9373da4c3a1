package accesslist

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/sallyport-go/sallyport/internal/plain"
)

// emptyText is the text form of a list without entries. It is a word, because a file
// cut off to nothing must not be read as one.
const emptyText = "empty"

// MarshalText gives one entry a line, in the order of [List.All]:
//
//	198.51.100.0/24 added=2026-01-02T15:04:05Z expires=2027-01-01T00:00:00Z # the office
//
// where added, expires and the comment are left out when they are zero, and times
// are in UTC. A list without entries is the line "empty".
func (l List) MarshalText() ([]byte, error) {
	if !l.IsValid() {
		return nil, errInvalid
	}
	if l.IsEmpty() {
		return []byte(emptyText + "\n"), nil
	}
	var b bytes.Buffer
	for e := range l.All() {
		b.WriteString(e.String())
		for _, t := range []struct {
			name string
			time time.Time
		}{{"added", e.Added}, {"expires", e.Expires}} {
			if !t.time.IsZero() {
				fmt.Fprintf(&b, " %s=%s", t.name, formatTime(t.time))
			}
		}
		if e.Comment != "" {
			b.WriteString(" # " + e.Comment)
		}
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}

// UnmarshalText reads the output of MarshalText, IPv6 entries included; for what people
// write use [Parser.ParseText]. On an error the receiver is unchanged.
func (l *List) UnmarshalText(text []byte) error {
	read, err := stored.ParseText(text)
	if err != nil {
		return err
	}
	*l = read
	return nil
}

// ParseText reads the text form of a list, from MarshalText or from a file that people
// write. Space around an entry, empty lines and lines beginning with # are ignored; after
// an entry # begins its comment. A line has at most [MaxLine] bytes. The error joins the
// first 20 bad lines with their numbers and counts the rest. A text without entries is
// [ErrNoEntries] unless its one line is "empty".
func (p Parser) ParseText(text []byte) (List, error) {
	var (
		entries  []Entry
		errs     plain.Errors
		sayEmpty bool
		number   int
		lineOf   = map[netip.Prefix]int{}
	)
	if isUTF16(text) {
		return invalid, errors.New("accesslist: the text is UTF-16, or has zero bytes in it: want UTF-8")
	}
	for line := range strings.Lines(string(text)) {
		number++
		refuse := func(err error) {
			errs.Add(fmt.Errorf("line %d: %w", number, err))
		}
		line = strings.TrimRight(line, "\r\n")
		if marked, ok := strings.CutPrefix(line, "\ufeff"); ok && number == 1 {
			refuse(errors.New("accesslist: the text begins with a byte order mark (U+FEFF): save it as UTF-8 without one"))
			line = marked
		}
		if len(line) > MaxLine {
			refuse(fmt.Errorf("accesslist: %s has %d bytes: want at most %d", plain.Quote(line), len(line), MaxLine))
			continue
		}
		fields, comment, _ := strings.Cut(line, "#")
		fields = strings.TrimSpace(fields)
		switch {
		case fields == "":
			continue
		case fields == emptyText:
			sayEmpty = true
			continue
		}
		e, err := p.parseLine(fields, strings.TrimPrefix(comment, " "), errs.Full())
		if err != nil {
			refuse(err)
			continue
		}
		if first, twice := lineOf[e.prefix]; twice {
			refuse(fmt.Errorf("accesslist: %s: %w: it is on line %d already", e, ErrDuplicate, first))
			continue
		}
		lineOf[e.prefix] = number
		entries = append(entries, e)
	}
	if err := errs.Err("accesslist"); err != nil {
		return invalid, err
	}
	switch {
	case sayEmpty && len(entries) > 0:
		return invalid, fmt.Errorf("accesslist: the text says %q and has %d entries: want one or the other", emptyText, len(entries))
	case !sayEmpty && len(entries) == 0:
		return invalid, ErrNoEntries
	}
	return List{}.With(entries...)
}

// isUTF16 reports whether a text has a byte order mark of UTF-16, or a zero byte, which a
// list in UTF-8 never has.
func isUTF16(text []byte) bool {
	return bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) || bytes.IndexByte(text, 0) >= 0
}

// parseLine reads "ENTRY [added=TIME] [expires=TIME]".
func (p Parser) parseLine(text, comment string, unworded bool) (Entry, error) {
	fields := strings.Fields(text)
	e, err := p.parseEntry(fields[0], true)
	times, words := "", fields[:1]
	for _, field := range fields[1:] {
		name, value, _ := strings.Cut(field, "=")
		if name != "added" && name != "expires" {
			if strings.EqualFold(name, "added") || strings.EqualFold(name, "expires") {
				return Entry{}, fmt.Errorf("accesslist: %s: want %s=TIME", plain.Quote(field), strings.ToLower(name))
			}
			words = append(words, field)
			continue
		}
		if strings.Contains(times, " "+name+"=") {
			return Entry{}, fmt.Errorf("accesslist: %s a second time: want added=TIME and expires=TIME each at most once", plain.Quote(field))
		}
		if err := e.setTime(name, value); err != nil {
			return Entry{}, err
		}
		times += " " + field
	}
	switch {
	case len(words) == 1 && err == nil:
		e.Comment = comment
		return e, e.check()
	case len(words) == 1 && err != errUnworded: // it is refused for the addresses it covers
		return Entry{}, err
	case unworded:
		return Entry{}, errUnworded
	}
	if plain.Problem(comment, MaxComment) != "" {
		comment = ""
	}
	return Entry{}, diagnosis{parser: p, line: true, times: times, comment: comment}.refuse(strings.Join(words, " "))
}

// setTime reads a time into the field named. The zero time is refused, because as
// an expiry it would mean that there is none.
func (e *Entry) setTime(name, value string) error {
	to := &e.Added
	if name == "expires" {
		to = &e.Expires
	}
	var t time.Time
	if err := t.UnmarshalText([]byte(value)); err != nil || t.IsZero() {
		return fmt.Errorf("accesslist: %q of %s is %s: want a time such as 2026-01-02T15:04:05Z, or leave it out", name, e, plain.Quote(value))
	}
	*to = t.UTC()
	return e.checkYear(name, t)
}

// formatTime writes in UTC, because an offset with seconds or a year that is 10000
// in its own zone would not be read back.
func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
