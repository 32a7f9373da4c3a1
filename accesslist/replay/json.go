package replay

import (
	"bytes"
	"errors"
	"fmt"
)

// A jsonState is what the lines of a JSON log have in common, and the fields of the present
// line.
type jsonState struct {
	client int // the field that the client is read from, an index of knownFields; -1 before the first line

	path  []byte         // of the present value
	found [roles]jsonHit // the best field of each role
	named []byte         // the value of Client.Field
	field string         // Client.Field

	// ahead are the fields of the line before, in its order: most lines repeat it, and
	// that saves a look-up.
	ahead []aheadField
	next  int
}

type aheadField struct {
	path  []byte
	entry *pathEntry // nil: unknown
}

type jsonHit struct {
	index int // in knownFields; -1: not found
	value jsonValue
}

// A jsonValue is the raw text of a value: of a string without the quotation marks, of an
// array without the brackets.
type jsonValue struct {
	text []byte
	kind byte // of its first byte: '"', '[', '{', or a digit or letter for others
}

func (j *jsonState) reset() { j.client = -1 }

// maxDepth bounds the nesting of a value.
const maxDepth = 32

var errJSON = errors.New("not a JSON object as a whole: want one object a line")

// scan reads the known fields of a line.
func (j *jsonState) scan(line []byte, field string) error {
	line = bytes.TrimRight(line, " \t\r")
	j.path, j.named, j.field, j.next = j.path[:0], nil, field, 0
	for i := range j.found {
		j.found[i] = jsonHit{index: -1}
	}
	if len(line) == 0 || line[0] != '{' {
		return errJSON
	}
	end, err := j.object(line, 0, 0)
	if err != nil {
		return err
	}
	if end != len(line) {
		return errJSON
	}
	return nil
}

// object reads an object at b[i], and returns the place after it.
func (j *jsonState) object(b []byte, i, depth int) (int, error) {
	prefix := len(j.path)
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1, nil
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return 0, errJSON
		}
		end := skipString(b, i)
		if end < 0 {
			return 0, errJSON
		}
		name := b[i+1 : end-1]
		i = skipSpace(b, end)
		if i >= len(b) || b[i] != ':' {
			return 0, errJSON
		}
		i = skipSpace(b, i+1)
		if i >= len(b) {
			return 0, errJSON
		}
		j.path = append(j.path[:prefix], name...)
		entry := j.lookUp()
		mine := j.field != "" && isAt(j.field, j.path)
		begin := i
		if b[i] == '{' && (entry != nil && entry.object || mine && len(j.field) > len(j.path)) && depth < maxDepth {
			j.path = append(j.path, '.')
			var err error
			if i, err = j.object(b, i, depth+1); err != nil {
				return 0, err
			}
		} else {
			if i = skipValue(b, i, depth+1); i < 0 {
				return 0, errJSON
			}
			if entry != nil && entry.index >= 0 {
				if err := j.note(entry, valueOf(b[begin:i])); err != nil {
					return 0, err
				}
			}
			if mine && len(j.field) == len(j.path) {
				if j.named != nil {
					return 0, fmt.Errorf("the field %s twice: want it once", quoted(j.path))
				}
				j.named = valueOf(b[begin:i]).text
			}
		}
		i = skipSpace(b, i)
		switch {
		case i < len(b) && b[i] == ',':
			i = skipSpace(b, i+1)
		case i < len(b) && b[i] == '}':
			j.path = j.path[:prefix]
			return i + 1, nil
		default:
			return 0, errJSON
		}
	}
}

// isAt reports whether a path is a field or one of the objects around it.
func isAt(field string, path []byte) bool {
	return len(path) <= len(field) && field[:len(path)] == string(path) && (len(field) == len(path) || field[len(path)] == '.')
}

// lookUp returns what is known of the present path.
func (j *jsonState) lookUp() *pathEntry {
	if j.next < len(j.ahead) && string(j.ahead[j.next].path) == string(j.path) {
		j.next++
		return j.ahead[j.next-1].entry
	}
	entry := fieldsByPath[string(j.path)]
	const most = 256
	if j.next < most && len(j.path) < most {
		if j.next == len(j.ahead) {
			j.ahead = append(j.ahead, aheadField{})
		}
		a := &j.ahead[j.next]
		a.path, a.entry = append(a.path[:0], j.path...), entry
		j.next++
	}
	return entry
}

// note keeps the value of a field, if it has the better name for its role.
func (j *jsonState) note(entry *pathEntry, v jsonValue) error {
	hit := &j.found[entry.role]
	switch {
	case v.kind == 'n' || v.kind == '{': // null, and an object in the place of a text
		return nil
	case hit.index == entry.index:
		return fmt.Errorf("the field %s twice: want it once", quoted(j.path))
	case hit.index < 0 || entry.index < hit.index:
		*hit = jsonHit{entry.index, v}
	}
	return nil
}

// text returns the value of a role, or nil. "-" and "" stand for nothing.
func (j *jsonState) text(r role) []byte {
	hit := &j.found[r]
	if hit.index < 0 || len(hit.value.text) == 0 || string(hit.value.text) == "-" {
		return nil
	}
	return hit.value.text
}

func valueOf(b []byte) jsonValue {
	switch b[0] {
	case '"':
		return jsonValue{b[1 : len(b)-1], '"'}
	case '[':
		return jsonValue{b[1 : len(b)-1], '['}
	}
	return jsonValue{b, b[0]}
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	return i
}

// skipString returns the place after a string at b[i], or -1. A backslash escapes any byte:
// nginx writes \x22, which is no JSON, unless escape=json is set.
func skipString(b []byte, i int) int {
	begin := i
	for i++; ; i++ {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return -1
		}
		i += n
		backslashes := 0
		for i-1-backslashes > begin && b[i-1-backslashes] == '\\' {
			backslashes++
		}
		if backslashes%2 == 0 {
			return i + 1
		}
	}
}

// skipValue returns the place after a value at b[i], or -1.
func skipValue(b []byte, i, depth int) int {
	if i >= len(b) || depth > maxDepth {
		return -1
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		return skipNested(b, i, depth)
	}
	begin := i
	for i < len(b) && isLiteral(b[i]) {
		i++
	}
	if text := b[begin:i]; len(text) > 0 && !isDigit(text[0]) && text[0] != '-' && string(text) != "true" && string(text) != "false" && string(text) != "null" {
		return -1
	}
	if i == begin {
		return -1
	}
	return i
}

// skipNested skips an object or an array.
func skipNested(b []byte, i, depth int) int {
	object := b[i] == '{'
	closing := byte(']')
	if object {
		closing = '}'
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == closing {
		return i + 1
	}
	for {
		if object {
			if i >= len(b) || b[i] != '"' {
				return -1
			}
			if i = skipString(b, i); i < 0 {
				return -1
			}
			i = skipSpace(b, i)
			if i >= len(b) || b[i] != ':' {
				return -1
			}
			i = skipSpace(b, i+1)
		}
		if i = skipValue(b, i, depth+1); i < 0 {
			return -1
		}
		i = skipSpace(b, i)
		switch {
		case i < len(b) && b[i] == ',':
			i = skipSpace(b, i+1)
		case i < len(b) && b[i] == closing:
			return i + 1
		default:
			return -1
		}
	}
}

// isLiteral reports whether a byte may be in a number, true, false or null.
func isLiteral(c byte) bool {
	return isDigit(c) || 'a' <= c && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E'
}

// jsonLine reads a line of a JSON log by the names of its fields.
func (s *scanner) jsonLine(line []byte, r *Record) error {
	j := &s.json
	if err := j.scan(line, s.client.Field); err != nil {
		return err
	}
	r.resolved, r.peer = j.text(roleClient), j.text(rolePeer)
	r.forwarded, r.named = j.text(roleForwarded), j.named
	if j.found[roleMessage].index < 0 && j.found[roleName].index < 0 {
		// It can only be a request.
	} else if r.resolved == nil && r.peer == nil && r.named == nil && j.text(roleStatus) == nil && j.text(roleMethod) == nil {
		return errOther // another message of the same service
	}
	client, err := s.clientField(r)
	if err != nil {
		return err
	}
	when := j.text(roleTime)
	if when == nil {
		return fmt.Errorf("no time in %s: want a field such as time, ts or timestamp", quoted(line))
	}
	var ok bool
	if r.Time, ok = s.clock.any(when); !ok {
		return fmt.Errorf("the time %s: want RFC 3339, that of the Common Log Format, or Unix time", quoted(when))
	}
	if status := j.text(roleStatus); status != nil {
		f := fields{rest: status}
		if r.Status = f.status(); f.bad || f.rest != nil {
			return fmt.Errorf("the status %s: want three digits", quoted(status))
		}
	}
	r.noStatus = j.found[roleStatus].index < 0
	if request := j.text(roleRequest); request != nil {
		r.request(request)
	}
	if method := j.text(roleMethod); method != nil {
		r.Method = method
	}
	if path := j.text(rolePath); path != nil {
		r.Path = path
	}
	r.User, r.Agent = j.text(roleUser), unlisted(j.text(roleAgent))
	j.client = client
	return nil
}

// unlisted returns the first text of an array of strings.
func unlisted(b []byte) []byte {
	if len(b) > 1 && b[0] == '"' {
		if end := skipString(b, 0); end > 0 {
			return b[1 : end-1]
		}
	}
	return b
}

// clientField returns the field that the client is read from, an index of knownFields. It is
// the same in all lines: another field may be another machine's address.
func (s *scanner) clientField(r *Record) (int, error) {
	before := s.json.client
	if s.client.Field != "" || s.client.Forwarded > 0 {
		return before, nil
	}
	index := s.json.found[rolePeer].index
	if r.resolved != nil && !s.client.Peer {
		index = s.json.found[roleClient].index
	}
	switch {
	case index < 0 && before < 0:
		return 0, errors.New("no client among the fields: want one such as client_ip or remote_addr, or the client field:NAME")
	case index < 0:
		return 0, fmt.Errorf("no client, which was in %s in the lines before: want it in one field", knownFields[before].path)
	case before >= 0 && index != before:
		return 0, fmt.Errorf("the client is in %s, and was in %s in the lines before: want it in one field", knownFields[index].path, knownFields[before].path)
	}
	return index, nil
}

// describe names the format of a JSON log by the field of its client.
func (s *scanner) describe() string {
	if s.client.Field != "" || s.client.Forwarded > 0 || s.json.client < 0 {
		return "JSON"
	}
	f := knownFields[s.json.client]
	if f.of == "" {
		return "JSON, client in " + f.path
	}
	return fmt.Sprintf("JSON as of %s, client in %s", f.of, f.path)
}
