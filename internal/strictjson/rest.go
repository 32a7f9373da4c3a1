package strictjson

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// A Rest is what [Value.Open] keeps: the members of unknown names, without the braces, as
// json.Marshal writes a map of them. So equal members are equal texts. It is empty for none.
type Rest string

// restOf returns members, whose values are valid JSON, in the order of their names.
func restOf(members map[string]Value) Rest {
	if len(members) == 0 {
		return ""
	}
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(members)) {
		quoted, _ := json.Marshal(name) // a string never fails
		text.WriteByte(',')
		text.Write(quoted)
		text.WriteByte(':')
		var value bytes.Buffer
		_ = json.Compact(&value, members[name]) // valid JSON never fails
		json.HTMLEscape(&text, value.Bytes())
	}
	return Rest(text.Bytes()[1:])
}

// Append adds the members to an object written by json.Marshal.
func (r Rest) Append(object []byte) []byte {
	if r == "" {
		return object
	}
	object = object[:len(object)-1]
	if len(object) > 1 {
		object = append(object, ',')
	}
	return append(append(object, r...), '}')
}
