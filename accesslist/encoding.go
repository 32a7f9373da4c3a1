package accesslist

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// emptyText is the text form of a list without entries. It is a word because a
// file that was cut off to nothing must not read as one.
const emptyText = "empty"

// maxErrors bounds how many bad lines one error tells of.
const maxErrors = 20

// entryJSON is the JSON form of an entry.
type entryJSON struct {
	Address string    `json:"address"`
	Comment string    `json:"comment,omitempty"`
	Added   time.Time `json:"added,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
}

// MarshalJSON gives {"address":"203.0.113.7","comment":…,"added":…,"expires":…},
// without the fields that are zero; times are RFC 3339 with nanoseconds. The zero
// Entry is an error.
func (e Entry) MarshalJSON() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	return json.Marshal(entryJSON{e.String(), e.Comment, e.Added, e.Expires})
}

// UnmarshalJSON reads what MarshalJSON writes, of IPv4 entries. A field that it
// does not know is an error, since it may be a misspelt expiry. On an error the
// receiver is unchanged.
func (e *Entry) UnmarshalJSON(data []byte) error {
	read, err := Parser{}.parseEntryJSON(data)
	if err != nil {
		return err
	}
	*e = read
	return nil
}

func (p Parser) parseEntryJSON(data []byte) (Entry, error) {
	var j entryJSON
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&j); err != nil {
		return Entry{}, fmt.Errorf(`accesslist: an entry in JSON: %w: want {"address":"203.0.113.7"} and optionally "comment", "added", "expires"`, err)
	}
	e, err := p.ParseEntry(j.Address)
	if err != nil {
		return Entry{}, err
	}
	e.Comment, e.Added, e.Expires = j.Comment, j.Added, j.Expires
	return e, e.check()
}

// MarshalJSON gives an array of entries in the order of [List.All]; [] for a list
// without entries, never null.
func (l List) MarshalJSON() ([]byte, error) {
	out := []byte{'['}
	for e := range l.All() {
		entry, err := e.MarshalJSON()
		if err != nil {
			return nil, err
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, entry...)
	}
	return append(out, ']'), nil
}

// UnmarshalJSON reads what MarshalJSON writes, of IPv4 entries; for others see
// [Parser.ParseJSON]. On an error the receiver is unchanged.
func (l *List) UnmarshalJSON(data []byte) error {
	read, err := Parser{}.ParseJSON(data)
	if err != nil {
		return err
	}
	*l = read
	return nil
}

// ParseJSON reads the JSON form of a list. [] is a list without entries; null is
// an error, because a list that is missing is not one that is empty (rule A3), and
// so is the same entry twice ([ErrDuplicate]).
func (p Parser) ParseJSON(data []byte) (List, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return List{}, fmt.Errorf("accesslist: a list in JSON: %w: want an array of entries", err)
	}
	if raw == nil {
		return List{}, errors.New("accesslist: a list in JSON is null: want an array of entries, [] for a list without any")
	}
	entries := make([]Entry, 0, len(raw))
	for i, element := range raw {
		e, err := p.parseEntryJSON(element)
		if err != nil {
			return List{}, fmt.Errorf("entry %d of %d: %w", i+1, len(raw), err)
		}
		entries = append(entries, e)
	}
	return New(entries...)
}

// MarshalText gives one entry a line, in the order of [List.All]:
//
//	198.51.100.0/24 added=2026-01-02T15:04:05Z expires=2027-01-01T00:00:00Z # the office
//
// where added, expires and the comment are left out when they are zero. A list
// without entries is the line "empty".
func (l List) MarshalText() ([]byte, error) {
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
				fmt.Fprintf(&b, " %s=%s", t.name, t.time.Format(time.RFC3339Nano))
			}
		}
		if e.Comment != "" {
			b.WriteString(" # " + e.Comment)
		}
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}

// UnmarshalText reads what MarshalText writes, of IPv4 entries; for others see
// [Parser.ParseText]. On an error the receiver is unchanged.
func (l *List) UnmarshalText(text []byte) error {
	read, err := Parser{}.ParseText(text)
	if err != nil {
		return err
	}
	*l = read
	return nil
}

// ParseText reads the text form of a list: what MarshalText writes, and what
// people write in a file. Space before and after an entry is allowed, empty lines
// and lines that begin with # are passed over, and after an entry # begins its
// comment. Every bad line is told with its number. A text without any entry is
// [ErrNoEntries] unless its one line is "empty".
func (p Parser) ParseText(text []byte) (List, error) {
	var (
		entries  []Entry
		errs     []error
		sayEmpty bool
		number   int
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
		return List{}, errors.Join(errs...)
	case sayEmpty && len(entries) > 0:
		return List{}, fmt.Errorf("accesslist: the text says %q and has %d entries: want one or the other", emptyText, len(entries))
	case !sayEmpty && len(entries) == 0:
		return List{}, ErrNoEntries
	}
	return New(entries...)
}

// parseLine reads "ENTRY [added=TIME] [expires=TIME]".
func (p Parser) parseLine(text, comment string) (Entry, error) {
	fields := strings.Fields(text)
	e, err := p.ParseEntry(fields[0])
	if err != nil {
		return Entry{}, err
	}
	e.Comment = comment
	for _, field := range fields[1:] {
		name, value, _ := strings.Cut(field, "=")
		var to *time.Time
		switch name {
		case "added":
			to = &e.Added
		case "expires":
			to = &e.Expires
		}
		if to == nil || !to.IsZero() {
			return Entry{}, fmt.Errorf("accesslist: %q after %s: want added=TIME or expires=TIME, each at most once, or a comment after #", field, e)
		}
		if *to, err = time.Parse(time.RFC3339Nano, value); err != nil {
			return Entry{}, fmt.Errorf("accesslist: %q after %s: want a time such as 2026-01-02T15:04:05Z: %w", field, e, err)
		}
	}
	return e, e.check()
}
