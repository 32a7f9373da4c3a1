package replay

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// decision is the message of a line by policyhttp.Log.
const decision = "access decision"

// guardLine reads a line of the guard's own log: policyhttp.Log through the JSON handler,
// the text handler or the default handler of log/slog. Other messages of the same service
// are no requests.
func (s *scanner) guardLine(line []byte, r *Record) error {
	j := &s.json
	var err error
	if len(line) > 0 && line[0] == '{' {
		err = j.scan(line, "")
	} else {
		err = s.scanText(line)
	}
	if err != nil {
		return err
	}
	if string(j.text(roleName)) != decision {
		if j.found[roleName].index >= 0 && j.found[roleTime].index >= 0 {
			return errOther
		}
		return fmt.Errorf("%s: want a line with the message %q", quoted(line), decision)
	}
	switch string(j.text(roleAllowed)) {
	case "true":
		r.allowed = allowed
	case "false":
		r.allowed = denied
	default:
		return errors.New("no attribute allowed: want true or false there")
	}
	when := j.text(roleTime)
	var ok bool
	if r.Time, ok = s.clock.any(when); !ok {
		return fmt.Errorf("the time %s: want RFC 3339", quoted(when))
	}
	if n := j.text(roleLeftOut); n != nil {
		if r.LeftOut, err = strconv.ParseUint(string(n), 10, 64); err != nil {
			return fmt.Errorf("left_out %s: want a number", quoted(n))
		}
	}
	r.resolved = j.text(roleClient)
	r.Key, r.Entry, r.Reason = j.text(roleKey), j.text(roleEntry), j.text(roleReason)
	if r.resolved == nil {
		if r.allowed == allowed {
			return errors.New("an allowed call without a client: want the attribute client")
		}
		return errNoClient // denied before the client was known
	}
	return nil
}

// scanText reads the attributes of a line of the text handler, as the JSON scanner reads
// fields: time=… level=INFO msg="access decision" allowed=true. The default handler writes
// 2006/01/02 15:04:05 INFO access decision allowed=true, in local time.
func (s *scanner) scanText(line []byte) error {
	j := &s.json
	j.path, j.named, j.next = j.path[:0], nil, 0
	for i := range j.found {
		j.found[i] = jsonHit{index: -1}
	}
	rest := line
	if !bytes.HasPrefix(line, []byte("time=")) {
		if rest = s.defaultHead(line); rest == nil {
			return fmt.Errorf("%s: want a line of log/slog", quoted(line))
		}
	}
	for len(rest) > 0 {
		equals := bytes.IndexByte(rest, '=')
		if equals < 1 {
			return fmt.Errorf("%s: want attributes as key=value", quoted(rest))
		}
		j.path = append(j.path[:0], rest[:equals]...)
		rest = rest[equals+1:]
		value := rest
		if len(rest) > 0 && rest[0] == '"' {
			after, ok := skipQuoted(rest)
			if !ok || len(after) > 0 && after[0] != ' ' {
				return fmt.Errorf("%s: want a value in quotes to its end", quoted(rest))
			}
			value, rest = rest[1:len(rest)-len(after)-1], after
		} else {
			end := bytes.IndexByte(rest, ' ')
			if end < 0 {
				end = len(rest)
			}
			value, rest = rest[:end], rest[end:]
		}
		if len(rest) > 0 {
			rest = rest[1:]
		} else if string(j.path) == "client" {
			return fmt.Errorf("%s at the end: want more after the client, or the line may be cut off", quoted(value))
		}
		if entry := j.lookUp(); entry != nil && entry.index >= 0 {
			if err := j.note(entry, jsonValue{value, '"'}); err != nil {
				return err
			}
		}
	}
	return nil
}

// defaultHead reads the beginning of a line of the default handler, and returns the
// attributes; nil if it is another line.
func (s *scanner) defaultHead(line []byte) []byte {
	const length = len("2006/01/02 15:04:05")
	if len(line) < length+2 || line[4] != '/' || line[10] != ' ' || line[length] != ' ' {
		return nil
	}
	when := line[:length]
	if _, ok := s.clock.any(when); !ok {
		return nil
	}
	_, rest, found := bytes.Cut(line[length+1:], space)
	if !found {
		return nil
	}
	s.json.found[roleTime] = jsonHit{0, jsonValue{when, '"'}}
	message := rest
	if after, ok := bytes.CutPrefix(rest, []byte(decision+" ")); ok {
		message, rest = rest[:len(decision)], after
	} else {
		rest = []byte{}
	}
	s.json.found[roleName] = jsonHit{0, jsonValue{message, '"'}}
	return rest
}
