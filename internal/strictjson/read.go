package strictjson

import (
	"encoding"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Text returns a reader of a string. Half of a surrogate pair is an error: it is no
// character, and encoding/json replaces it with another.
func Text[T ~string](to *T) func(Value) error {
	return func(v Value) error {
		if v[0] != '"' {
			return v.wants("a string")
		}
		text, ok := unquote(v)
		if !ok {
			return errors.New("half of a surrogate pair in a string: want both halves")
		}
		*to = T(text)
		return nil
	}
}

// maxUnmarshal is the length of the longest text given to another type, in bytes: an address
// or a word. The error of that type may quote all of it.
const maxUnmarshal = 256

// Unmarshal returns a reader of a string, of at most 256 bytes, by a method of another type.
func Unmarshal(to encoding.TextUnmarshaler) func(Value) error {
	return func(v Value) error {
		var text string
		if err := Text(&text)(v); err != nil {
			return err
		}
		if len(text) > maxUnmarshal {
			return fmt.Errorf("%.80q… has %d bytes: want at most %d", text, len(text), maxUnmarshal)
		}
		return to.UnmarshalText([]byte(text))
	}
}

// Time returns a reader of an RFC 3339 time, converted to UTC. The zero time is an error:
// in a record it means the absence of a bound.
func Time(to *time.Time) func(Value) error {
	return func(v Value) error {
		var text string
		if err := Text(&text)(v); err != nil {
			return err
		}
		t, ok := parseTime(text)
		if !ok {
			return fmt.Errorf("%.80q: want a time such as 2026-01-02T15:04:05Z, or leave it out", text)
		}
		*to = t
		return nil
	}
}

func parseTime(text string) (t time.Time, ok bool) {
	err := t.UnmarshalText([]byte(text))
	return t.UTC(), err == nil && !t.IsZero()
}

// Bool returns a reader of true or false.
func Bool(to *bool) func(Value) error {
	return func(v Value) error {
		if v[0] != 't' && v[0] != 'f' {
			return v.wants("true or false")
		}
		*to = v[0] == 't'
		return nil
	}
}

// Uint returns a reader of a number without sign, fraction and exponent.
func Uint(to *uint64) func(Value) error {
	return func(v Value) error {
		n, err := strconv.ParseUint(string(v), 10, 64)
		if err != nil {
			return v.wants("a whole number from 0 to 18446744073709551615")
		}
		*to = n
		return nil
	}
}

// Int returns a reader of a number without fraction and exponent.
func Int(to *int64) func(Value) error {
	return func(v Value) error {
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil {
			return v.wants("a whole number from -9223372036854775808 to 9223372036854775807")
		}
		*to = n
		return nil
	}
}

// Slice returns a reader of an array. It calls read for each value and replaces the slice.
// An error has the number of the value, counted from one.
func Slice[T any](to *[]T, read func(Value) (T, error)) func(Value) error {
	return func(v Value) error {
		items, err := v.Items()
		if err != nil {
			return err
		}
		var values []T
		for i, item := range items {
			value, err := read(item)
			if err != nil {
				return fmt.Errorf("number %d: %w", i+1, err)
			}
			values = append(values, value)
		}
		*to = values
		return nil
	}
}
