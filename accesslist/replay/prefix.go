package replay

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// A wrapper is what collectors of logs put around a line.
type wrapper uint8

const (
	bare        wrapper = iota
	inJSON              // {"log":"…\n","stream":"stdout",…} of Docker, {"MESSAGE":"…"} of journald
	containerd          // 2006-01-02T15:04:05.000000000Z stdout F …
	timestamped         // 2006-01-02T15:04:05.000000000Z …, as of docker logs -t
	compose             // name-1  | …
	podPrefixed         // [pod/name/container] …
	syslogBSD           // <134>Jan  2 15:04:05 host tag[1]: …, also of journalctl
	syslogISO           // 2006-01-02T15:04:05.000000+00:00 host tag[1]: …
	syslogFull          // <134>1 2006-01-02T15:04:05Z host app 1 - - …
	wrappers            // the number of wrappers
)

// names are for messages: "Combined, after ".
var wrapperNames = [wrappers]string{
	bare:        "",
	inJSON:      "in JSON of a log collector",
	containerd:  "after the prefix of a container runtime",
	timestamped: "after a time",
	compose:     "after the prefix of Docker Compose",
	podPrefixed: "after the prefix of kubectl",
	syslogBSD:   "after syslog",
	syslogISO:   "after syslog",
	syslogFull:  "after syslog",
}

// unwrap returns the line inside, or an error if the wrapper is another.
func (s *scanner) unwrap(w wrapper, line []byte) ([]byte, error) {
	inside, ok := line, true
	switch w {
	case bare:
		return line, nil
	case inJSON:
		return s.unwrapJSON(line)
	case containerd:
		inside, ok = s.afterTime(line)
		stream, rest, _ := bytes.Cut(inside, space)
		tag, rest, found := bytes.Cut(rest, space)
		ok = ok && found && (string(stream) == "stdout" || string(stream) == "stderr")
		if ok && len(tag) > 0 && tag[0] == 'P' {
			return nil, fmt.Errorf("a part of a line: want lines that the container runtime did not divide")
		}
		inside = rest
	case timestamped:
		inside, ok = s.afterTime(line)
	case compose:
		var name []byte
		name, inside, ok = bytes.Cut(line, []byte(" | "))
		name = bytes.TrimRight(name, " ")
		ok = ok && len(name) > 0 && len(name) < 80 && !bytes.ContainsAny(name, " \"")
		inside = s.perhapsAfterTime(inside)
	case podPrefixed:
		if inside, ok = bytes.CutPrefix(line, []byte("[pod/")); ok {
			_, inside, ok = bytes.Cut(inside, []byte("] "))
			inside = s.perhapsAfterTime(inside)
		}
	case syslogBSD:
		inside, ok = afterTag(afterStamp(afterPriority(line)))
	case syslogISO:
		if inside, ok = s.afterTime(afterPriority(line)); ok {
			inside, ok = afterTag(inside)
		}
	case syslogFull:
		inside, ok = afterSyslog(afterPriority(line))
	}
	if !ok {
		return nil, fmt.Errorf("%s: want the line %s, as those before", quoted(line), wrapperNames[w])
	}
	return inside, nil
}

// afterTime returns what follows a time of ISO 8601 with a T and a zone, and a space.
func (s *scanner) afterTime(line []byte) ([]byte, bool) {
	const least = len("2006-01-02T15:04:05Z")
	begin := line[:min(len(line), 40)]
	when, rest, found := bytes.Cut(begin, space)
	if !found || len(when) < least || when[10] != 'T' || when[19] == ' ' {
		return nil, false
	}
	if _, ok := s.outerClock.iso(when); !ok {
		return nil, false
	}
	return line[len(begin)-len(rest):], true
}

// perhapsAfterTime skips a time, if it is there: collectors write one if asked.
func (s *scanner) perhapsAfterTime(line []byte) []byte {
	if inside, ok := s.afterTime(line); ok {
		return inside
	}
	return line
}

// afterPriority skips <134>, if it is there.
func afterPriority(line []byte) []byte {
	if len(line) < 4 || line[0] != '<' {
		return line
	}
	end := bytes.IndexByte(line[:min(len(line), 5)], '>')
	if end < 2 || !isNumber(line[1:end]) {
		return line
	}
	return line[end+1:]
}

// afterStamp skips "Jan  2 15:04:05 ", with a fraction or without, and returns nil if it is
// not there.
func afterStamp(line []byte) []byte {
	const length = len("Jan  2 15:04:05")
	if len(line) < length || monthOf(line) == 0 || line[3] != ' ' || line[6] != ' ' {
		return nil
	}
	if _, ok := parseClock(line[7:length]); !ok || line[4] != ' ' && !isDigit(line[4]) || !isDigit(line[5]) {
		return nil
	}
	_, rest, ok := fraction(line[length:])
	if !ok || len(rest) == 0 || rest[0] != ' ' {
		return nil
	}
	return rest[1:]
}

// afterTag skips "host tag[1]: ".
func afterTag(line []byte) ([]byte, bool) {
	_, rest, _ := bytes.Cut(line, space)
	tag, rest, found := bytes.Cut(rest, space)
	return rest, found && len(tag) > 1 && tag[len(tag)-1] == ':'
}

// afterSyslog skips the head of RFC 5424: version, time, host, application, process, message
// ID and structured data.
func afterSyslog(line []byte) ([]byte, bool) {
	rest, ok := bytes.CutPrefix(line, []byte("1 "))
	for range 5 {
		var found bool
		_, rest, found = bytes.Cut(rest, space)
		ok = ok && found
	}
	if data, found := bytes.CutPrefix(rest, []byte("- ")); found {
		return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), ok
	}
	for len(rest) > 0 && rest[0] == '[' { // elements, in which ] is written \]
		end := bytes.Index(rest, []byte(`"]`))
		if end < 0 {
			return nil, false
		}
		rest = rest[end+2:]
	}
	if len(rest) == 0 || rest[0] != ' ' || !ok {
		return nil, false
	}
	return bytes.TrimPrefix(rest[1:], []byte("\xef\xbb\xbf")), true
}

// unwrapJSON returns the unescaped text of the field log, MESSAGE, message or textPayload.
func (s *scanner) unwrapJSON(line []byte) ([]byte, error) {
	if err := s.outer.scan(line, ""); err != nil {
		return nil, err
	}
	hit := s.outer.found[roleMessage]
	if hit.index < 0 || hit.value.kind != '"' {
		return nil, fmt.Errorf("%s: want a line in the field log, MESSAGE, message or textPayload", quoted(line))
	}
	var ok bool
	if s.inner, ok = appendUnescaped(s.inner[:0], hit.value.text); !ok {
		return nil, fmt.Errorf("%s: want the escapes of JSON", quoted(hit.value.text))
	}
	return bytes.TrimRight(s.inner, "\r\n"), nil
}

// appendUnescaped appends the text of a JSON string. Pairs of surrogates become U+FFFD: they
// are in no part of a line that is read.
func appendUnescaped(to, text []byte) ([]byte, bool) {
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 {
			return append(to, text...), true
		}
		to = append(to, text[:i]...)
		c := text[i+1] // there is one: it would escape the end of the string
		text = text[i+2:]
		switch c {
		case '"', '\\', '/':
			to = append(to, c)
		case 'b':
			to = append(to, '\b')
		case 'f':
			to = append(to, '\f')
		case 'n':
			to = append(to, '\n')
		case 'r':
			to = append(to, '\r')
		case 't':
			to = append(to, '\t')
		case 'u':
			var code rune
			if len(text) < 4 {
				return to, false
			}
			for _, x := range text[:4] {
				digit := bytes.IndexByte([]byte("0123456789abcdef"), x|0x20)
				if digit < 0 {
					return to, false
				}
				code = code<<4 | rune(digit)
			}
			text = text[4:]
			to = utf8.AppendRune(to, code)
		default:
			return to, false
		}
	}
}
