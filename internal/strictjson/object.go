package strictjson

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Field is one member that an object may have.
type Field struct {
	Name     string
	Required bool              // a missing member is an error
	Read     func(Value) error // called with the member's value, never null
}

// Object reads an object with these fields in any order. The error names the member. It is
// returned for:
//   - an unknown name, also a known one in another case;
//   - a member twice, or null;
//   - a missing member, if it is required;
//   - an error of Read.
func (v Value) Object(fields ...Field) error { return v.object(nil, fields) }

// Open reads an object that a later version may have given more members: those of unknown
// names are kept, and everything else is as of Object. Use it only for members that nothing
// depends on: no decision may be made without a part of what it needs (rule A3).
func (v Value) Open(rest *Rest, fields ...Field) error {
	members := map[string]Value{}
	err := v.object(members, fields)
	if err == nil {
		*rest = restOf(members)
	}
	return err
}

// object reads an object. Members of unknown names are put into others, or are an error if it
// is nil.
func (v Value) object(others map[string]Value, fields []Field) error {
	if v[0] != '{' {
		return v.wants("an object with " + names(fields))
	}
	seen := make([]bool, len(fields))
	err := v.members("one of "+names(fields), func(name string, value Value) error {
		i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name })
		if i < 0 {
			return other(others, name, value, fields)
		}
		if seen[i] {
			return twice(name)
		}
		seen[i] = true
		if value.IsNull() {
			return fmt.Errorf("%q is null: want %s", name, wantValue(fields[i]))
		}
		if err := fields[i].Read(value); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, f := range fields {
		if f.Required && !seen[i] {
			return fmt.Errorf("%q is missing: want %s", f.Name, wantValue(f))
		}
	}
	return nil
}

// other keeps a member of an unknown name in others, unless that is nil.
func other(others map[string]Value, name string, value Value, fields []Field) error {
	inOtherCase := slices.ContainsFunc(fields, func(f Field) bool { return strings.EqualFold(f.Name, name) })
	if others == nil || inOtherCase {
		return unknown(name, fields)
	}
	if _, seen := others[name]; seen {
		return twice(name)
	}
	others[name] = value
	return nil
}

// Map returns a reader of an object whose names are data: it calls read for each member and
// replaces the map. A name that occurs twice is an error.
func Map[K comparable, T any](to *map[K]T, read func(name string, v Value) (K, T, error)) func(Value) error {
	return func(v Value) error {
		if v[0] != '{' {
			return v.wants("an object")
		}
		values := map[K]T{}
		err := v.members("a name", func(name string, value Value) error {
			key, member, err := read(name, value)
			if err != nil {
				return fmt.Errorf("%.80q: %w", name, err)
			}
			if _, seen := values[key]; seen {
				return twice(name)
			}
			values[key] = member
			return nil
		})
		if err == nil {
			*to = values
		}
		return err
	}
}

// members calls each for every member of an object, in order.
func (v Value) members(want string, each func(name string, value Value) error) error {
	for rest := skipSpace(v[1:]); rest[0] != '}'; {
		end := valueEnd(rest)
		name, ok := unquote(rest[:end])
		if !ok {
			return errors.New("half of a surrogate pair in a name: want " + want)
		}
		rest = skipSpace(skipSpace(rest[end:])[1:]) // the colon
		end = valueEnd(rest)
		if err := each(name, Value(rest[:end])); err != nil {
			return err
		}
		rest = skipComma(rest[end:])
	}
	return nil
}

func twice(name string) error { return fmt.Errorf("%.80q occurs twice: want it once", name) }

func wantValue(f Field) string {
	if f.Required {
		return "a value"
	}
	return "a value, or leave it out"
}

func unknown(name string, fields []Field) error {
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) {
			return fmt.Errorf("unknown name %q: want %q", name, f.Name)
		}
	}
	if len(fields) == 0 {
		return fmt.Errorf("unknown name %.80q: want an object with %s", name, names(fields))
	}
	return fmt.Errorf("unknown name %.80q, perhaps of a later version: want one of %s", name, names(fields))
}

func names(fields []Field) string {
	if len(fields) == 0 {
		return "no names"
	}
	quoted := make([]string, len(fields))
	for i, f := range fields {
		quoted[i] = strconv.Quote(f.Name)
	}
	return strings.Join(quoted, ", ")
}
