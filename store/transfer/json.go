package transfer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// fields are the names that an object may have, and how their values are read.
type fields map[string]func(raw []byte) error

func into(to any) func([]byte) error {
	return func(raw []byte) error { return json.Unmarshal(raw, to) }
}

// object reads a JSON object of which the syntax is known to be right. It does what
// encoding/json leaves undone: that folds the case of names, takes the last of two
// values, and reads null as nothing.
func object(raw []byte, read fields) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if first, _ := decoder.Token(); first != json.Delim('{') {
		return errors.New("want a JSON object")
	}
	seen := map[string]bool{}
	for decoder.More() {
		token, _ := decoder.Token()
		name := fmt.Sprint(token)
		var value json.RawMessage
		_ = decoder.Decode(&value)
		switch {
		case read[name] == nil:
			return fmt.Errorf("the name %.80q; want one of %q", name, slices.Sorted(maps.Keys(read)))
		case seen[name]:
			return fmt.Errorf("the name %q twice; want it once", name)
		case string(value) == "null":
			return fmt.Errorf("%q is null; want a value, or to leave it out", name)
		}
		seen[name] = true
		if err := read[name](value); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
	}
	return nil
}

// list reads a JSON array of which the syntax is known to be right.
func list(raw []byte, read func(raw []byte) error) error {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return err
	}
	for n, item := range items {
		if err := read(item); err != nil {
			return fmt.Errorf("number %d: %w", n+1, err)
		}
	}
	return nil
}
