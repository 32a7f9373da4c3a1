package apikey

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// field is one name of an object and how its value is read.
type field struct {
	name     string
	required bool
	read     func(raw []byte) error
	seen     bool
}

func into(to any) func([]byte) error {
	return func(raw []byte) error { return json.Unmarshal(raw, to) }
}

func intoSlice[T any](to *[]T, read func([]byte) (T, error)) func([]byte) error {
	return func(raw []byte) error {
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			return err
		}
		for n, item := range items {
			value, err := read(item)
			if err != nil {
				return fmt.Errorf("number %d: %w", n+1, err)
			}
			*to = append(*to, value)
		}
		return nil
	}
}

// intoTime refuses a zero time that is written out, since to a Key it would mean "no bound".
func intoTime(to *time.Time) func([]byte) error {
	return func(raw []byte) error {
		var t time.Time
		if err := json.Unmarshal(raw, &t); err != nil {
			return err
		}
		if t.IsZero() {
			return errors.New("the zero time; right would be to leave it out for no bound")
		}
		*to = t.UTC()
		return nil
	}
}

// readObject does what encoding/json leaves undone: that folds the case of names, takes the last of two values, and reads
// null as nothing. The data is known to be valid JSON.
func readObject(what string, data []byte, fields []field) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	if first, _ := decoder.Token(); first != json.Delim('{') {
		return fmt.Errorf("%s: not a JSON object", what)
	}
	for decoder.More() {
		name, _ := decoder.Token()
		var value json.RawMessage
		_ = decoder.Decode(&value)
		if err := readField(fields, fmt.Sprint(name), value); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	for _, f := range fields {
		if f.required && !f.seen {
			return fmt.Errorf("%s: %q is missing", what, f.name)
		}
	}
	return nil
}

func readField(fields []field, name string, value []byte) error {
	i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
	if i < 0 {
		return unknownName(fields, name)
	}
	f := &fields[i]
	if f.seen {
		return fmt.Errorf("%q is there twice; right would be once", name)
	}
	if string(value) == "null" {
		return fmt.Errorf("%q is null; right would be a value, or to leave out what is not required", name)
	}
	f.seen = true
	if err := f.read(value); err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	return nil
}

func unknownName(fields []field, name string) error {
	for _, f := range fields {
		if strings.EqualFold(f.name, name) {
			return fmt.Errorf("unknown name %q; right would be %q", name, f.name)
		}
	}
	return fmt.Errorf("unknown name %.*q; was it written by a later version?", maxQuoted, name)
}
