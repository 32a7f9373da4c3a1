package accesslist

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/internal/strictjson"
)

// stored reads the output of the Marshal methods. Rule A5 was applied to the input.
var stored = Parser{AllowIPv6: true}

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

// UnmarshalJSON reads the output of MarshalJSON, IPv6 entries included; for input use
// [Parser.ParseJSON]. Errors are, because each could be a lost expiry:
//   - an unknown name, also in another case, and a name twice;
//   - null, and the zero time;
//   - text in another encoding than UTF-8.
//
// On an error the receiver is unchanged.
func (e *Entry) UnmarshalJSON(data []byte) error {
	v, err := strictjson.Parse(data)
	if err != nil {
		return fmt.Errorf("accesslist: an entry in JSON: %w", err)
	}
	read, err := stored.readEntry(v)
	if err != nil {
		return err
	}
	*e = read
	return nil
}

func (p Parser) readEntry(v strictjson.Value) (Entry, error) {
	var address, comment string
	var added, expires *string // nil: left out
	given := func(to **string) func(strictjson.Value) error {
		return func(v strictjson.Value) error {
			*to = new(string)
			return strictjson.Text(*to)(v)
		}
	}
	err := v.Object(
		strictjson.Field{Name: "address", Required: true, Read: strictjson.Text(&address)},
		strictjson.Field{Name: "comment", Read: strictjson.Text(&comment)},
		strictjson.Field{Name: "added", Read: given(&added)},
		strictjson.Field{Name: "expires", Read: given(&expires)},
	)
	if err != nil {
		return Entry{}, fmt.Errorf("accesslist: an entry in JSON: %w", err)
	}
	e, err := p.ParseEntry(address)
	if err != nil {
		return Entry{}, err
	}
	e.Comment = comment
	for _, t := range []struct {
		name string
		text *string
	}{{"added", added}, {"expires", expires}} {
		if t.text == nil {
			continue
		}
		if err := e.setTime(t.name, *t.text); err != nil {
			return Entry{}, err
		}
	}
	return e, e.check()
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

// UnmarshalJSON reads the output of MarshalJSON, IPv6 entries included; for input use
// [Parser.ParseJSON]. On an error the receiver is unchanged.
func (l *List) UnmarshalJSON(data []byte) error {
	read, err := stored.ParseJSON(data)
	if err != nil {
		return err
	}
	*l = read
	return nil
}

// ParseJSON reads the JSON form of a list, as strictly as [Entry.UnmarshalJSON] reads an
// entry. [] is a list without entries. null is an error, because a missing list is not an
// empty one (rule A3), and so is the same entry twice ([ErrDuplicate]). The error joins the
// first 20 bad entries with their numbers and counts the rest.
//
// A list may have any number of entries, since it may be of trusted proxies: bound the size
// of what strangers send, for instance by http.MaxBytesReader. A key's list is bounded by
// apikey.MaxEntries.
func (p Parser) ParseJSON(data []byte) (List, error) {
	if entries, ok := p.parseCanonical(data); ok {
		return List{}.With(entries...)
	}
	return p.parseAnyJSON(data)
}

// parseAnyJSON reads a list however it is written.
func (p Parser) parseAnyJSON(data []byte) (List, error) {
	v, err := strictjson.Parse(data)
	if err == nil && v.IsNull() {
		err = errors.New("null: want an array of entries, [] for a list without any")
	}
	if err != nil {
		return invalid, fmt.Errorf("accesslist: a list in JSON: %w", err)
	}
	items, err := v.Items()
	if err != nil {
		return invalid, fmt.Errorf(`accesslist: a list in JSON: %w of entries, such as [{"address":"203.0.113.7"}]`, err)
	}
	entries := make([]Entry, 0, len(items))
	var errs plain.Errors
	for i, item := range items {
		e, err := p.readEntry(item)
		if err != nil {
			errs.Add(fmt.Errorf("entry %d of %d: %w", i+1, len(items), err))
		}
		entries = append(entries, e)
	}
	if err := errs.Err("accesslist"); err != nil {
		return invalid, err
	}
	return List{}.With(entries...)
}
