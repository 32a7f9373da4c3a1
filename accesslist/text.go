package accesslist

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// emptyText is the text form of a list without entries. It is a word, because a file
// cut off to nothing must not be read as one.
const emptyText = "empty"

// maxErrors bounds how many bad lines one error reports.
const maxErrors = 20

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
// an entry # begins its comment. The error joins the bad lines with their numbers, up to
// 20. A text without entries is [ErrNoEntries] unless its one line is "empty".
func (p Parser) ParseText(text []byte) (List, error) {
	var (
		entries  []Entry
		errs     []error
		sayEmpty bool
		number   int
		lineOf   = map[netip.Prefix]int{}
	)
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimRight(line, "\r\n")
		fields, comment, _ := strings.Cut(line, "#")
		fields = strings.TrimSpace(fields)
		switch {
		case fields == "":
			continue
		case fields == emptyText:
			sayEmpty = true
			continue
		}
		e, err := p.parseLine(fields, strings.TrimPrefix(comment, " "))
		if first := lineOf[e.prefix]; err == nil && first != 0 {
			err = fmt.Errorf("accesslist: %s: %w: it is on line %d already", e, ErrDuplicate, first)
		}
		lineOf[e.prefix] = number
		if err != nil {
			if len(errs) == maxErrors {
				errs = append(errs, errors.New("accesslist: and more"))
				break
			}
			errs = append(errs, fmt.Errorf("line %d: %w", number, err))
			continue
		}
		entries = append(entries, e)
	}
	switch {
	case len(errs) > 0:
		return invalid, errors.Join(errs...)
	case sayEmpty && len(entries) > 0:
		return invalid, fmt.Errorf("accesslist: the text says %q and has %d entries: want one or the other", emptyText, len(entries))
	case !sayEmpty && len(entries) == 0:
		return invalid, ErrNoEntries
	}
	return List{}.With(entries...)
}

// parseLine reads "ENTRY [added=TIME] [expires=TIME]".
func (p Parser) parseLine(text, comment string) (Entry, error) {
	fields := strings.Fields(text)
	e, err := p.ParseEntry(fields[0])
	if err != nil {
		return Entry{}, err
	}
	e.Comment = comment
	seen := map[string]bool{}
	for _, field := range fields[1:] {
		name, value, _ := strings.Cut(field, "=")
		if name != "added" && name != "expires" || seen[name] {
			return Entry{}, fmt.Errorf("accesslist: %s after %s: want added=TIME or expires=TIME, each at most once, or a comment after #", quote(field), e)
		}
		seen[name] = true
		if err := e.setTime(name, value); err != nil {
			return Entry{}, err
		}
	}
	return e, e.check()
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
		return fmt.Errorf("accesslist: %q of %s is %s: want a time such as 2026-01-02T15:04:05Z, or leave it out", name, e, quote(value))
	}
	*to = t.UTC()
	return nil
}

// formatTime writes in UTC, because an offset with seconds or a year that is 10000
// in its own zone would not be read back.
func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
