package accesslist

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// emptyText is the text form of a list without entries. It is a word because a
// file that was cut off to nothing must not read as one.
const emptyText = "empty"

// maxErrors bounds how many bad lines one error tells of.
const maxErrors = 20

// entryJSON is the JSON form of an entry, for writing.
type entryJSON struct {
	Address string    `json:"address"`
	Comment string    `json:"comment,omitempty"`
	Added   time.Time `json:"added,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
}

func (e Entry) json() entryJSON {
	return entryJSON{e.String(), e.Comment, e.Added.UTC(), e.Expires.UTC()} // UTC: see formatTime
}

// MarshalJSON gives {"address":"203.0.113.7","comment":…,"added":…,"expires":…},
// without the fields that are zero; times are RFC 3339 with nanoseconds, in UTC.
// The zero Entry is an error.
func (e Entry) MarshalJSON() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	return json.Marshal(e.json())
}

// UnmarshalJSON reads what MarshalJSON writes, of IPv4 entries. A field that it
// does not know, one that is there twice or null, and the zero time are errors,
// since each could be an expiry that got lost. On an error the receiver is
// unchanged.
func (e *Entry) UnmarshalJSON(data []byte) error {
	read, err := Parser{}.parseEntryJSON(data)
	if err != nil {
		return err
	}
	*e = read
	return nil
}

func (p Parser) parseEntryJSON(data []byte) (Entry, error) {
	fields, err := readFields(data)
	if err != nil {
		return Entry{}, fmt.Errorf(`accesslist: an entry in JSON: %w: want {"address":"203.0.113.7"} and optionally "comment", "added", "expires"`, err)
	}
	e, err := p.ParseEntry(fields["address"])
	if err != nil {
		return Entry{}, err
	}
	e.Comment = fields["comment"]
	for _, name := range []string{"added", "expires"} {
		if value, ok := fields[name]; ok {
			if err := e.setTime(name, value); err != nil {
				return Entry{}, err
			}
		}
	}
	return e, e.check()
}

// readFields reads the JSON object of an entry, in which every value is a
// string. It goes token by token because encoding/json takes the last of several
// fields of one name, in any case, and null for nothing.
func readFields(data []byte) (map[string]string, error) {
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data)) // its tokens have no errors now
	if open, _ := decoder.Token(); open != json.Delim('{') {
		return nil, errors.New("not an object")
	}
	fields := make(map[string]string)
	for decoder.More() {
		token, _ := decoder.Token()
		name := token.(string)
		switch name {
		case "address", "comment", "added", "expires":
		default:
			return nil, fmt.Errorf("unknown field %s", quote(name))
		}
		if _, ok := fields[name]; ok {
			return nil, fmt.Errorf("the field %q twice", name)
		}
		var value *string
		if err := decoder.Decode(&value); err != nil || value == nil {
			return nil, fmt.Errorf("the field %q is not a string", name)
		}
		fields[name] = *value
	}
	if _, ok := fields["address"]; !ok {
		return nil, errors.New(`no field "address"`)
	}
	return fields, nil
}

// MarshalJSON gives an array of entries in the order of [List.All]; [] for a list
// without entries, never null. An invalid list is an error.
func (l List) MarshalJSON() ([]byte, error) {
	if !l.IsValid() {
		return nil, errInvalid
	}
	entries := make([]entryJSON, 0, l.Len())
	for e := range l.All() {
		entries = append(entries, e.json())
	}
	return json.Marshal(entries)
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
	if entries, ok := p.parseCanonical(data); ok {
		return List{}.With(entries...)
	}
	return p.parseAnyJSON(data)
}

// parseAnyJSON reads a list however it is written.
func (p Parser) parseAnyJSON(data []byte) (List, error) {
	var raw []json.RawMessage
	err := json.Unmarshal(data, &raw)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return invalid, fmt.Errorf(`accesslist: a list in JSON has the type %s: want an array of entries, such as [{"address":"203.0.113.7"}]`, wrong.Value)
	}
	if err != nil {
		return invalid, fmt.Errorf("accesslist: a list in JSON: %w: want an array of entries", err)
	}
	if raw == nil {
		return invalid, errors.New("accesslist: a list in JSON is null: want an array of entries, [] for a list without any")
	}
	entries := make([]Entry, 0, len(raw))
	for i, element := range raw {
		e, err := p.parseEntryJSON(element)
		if err != nil {
			return invalid, fmt.Errorf("entry %d of %d: %w", i+1, len(raw), err)
		}
		entries = append(entries, e)
	}
	return List{}.With(entries...)
}

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
	if err := to.UnmarshalText([]byte(value)); err != nil || to.IsZero() {
		return fmt.Errorf("accesslist: %q of %s is %s: want a time such as 2026-01-02T15:04:05Z, or leave it out", name, e, quote(value))
	}
	return nil
}

// formatTime writes in UTC, because an offset with seconds or a year that is 10000
// in its own zone would not be read back.
func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
