package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// A Value is one JSON value without white space around it. [Parse] makes it and checks its
// syntax and encoding.
type Value []byte

// Parse returns the one JSON value in data. Errors are bad syntax, anything after the
// value, and text in another encoding than UTF-8.
func Parse(data []byte) (Value, error) {
	if !utf8.Valid(data) { // encoding/json would replace characters
		return nil, errors.New("not valid UTF-8: want JSON in UTF-8")
	}
	if !json.Valid(data) {
		return nil, fmt.Errorf("%w: want one JSON value", json.Unmarshal(data, new(json.RawMessage)))
	}
	rest := skipSpace(data)
	return Value(rest[:valueEnd(rest)]), nil
}

// IsNull reports whether the value is null.
func (v Value) IsNull() bool { return v[0] == 'n' }

// kind returns the type of the value, for an error.
func (v Value) kind() string {
	switch v[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return string(v)
	case 'n':
		return "null"
	}
	return fmt.Sprintf("the number %s", v[:min(len(v), 40)])
}

func (v Value) wants(what string) error { return fmt.Errorf("%s: want %s", v.kind(), what) }

// Items returns the values of an array.
func (v Value) Items() ([]Value, error) {
	if v[0] != '[' {
		return nil, v.wants("an array")
	}
	var items []Value
	for rest := skipSpace(v[1:]); rest[0] != ']'; {
		end := valueEnd(rest)
		items = append(items, Value(rest[:end]))
		rest = skipComma(rest[end:])
	}
	return items, nil
}
