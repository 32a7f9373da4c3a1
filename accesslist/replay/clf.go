package replay

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

const timeLayout = "02/Jan/2006:15:04:05 -0700"

// common reads a line of the Common or the Combined Log Format:
//
//	client ident user [02/Jan/2006:15:04:05 -0700] "request" status size
//	client ident user [02/Jan/2006:15:04:05 -0700] "request" status size "referer" "agent" …
//
// A virtual host may stand before the client, and the time may be ISO 8601. All of a line is
// checked, though little of it is used: if the end is missing, the same accident may have
// damaged the beginning. Fields after the agent are skipped, except for a list of forwarded
// addresses: many servers are configured to add some.
func (s *scanner) common(line []byte, r *Record) error {
	if len(line) == 0 {
		return errors.New("an empty line: want one request a line")
	}
	rest, err := s.commonClient(line, r)
	if err != nil {
		return err
	}
	begin, end := findTime(rest)
	if begin < 0 {
		return fmt.Errorf(`%s after the client: want ident, user, and then [%s] and the request in quotes`, quoted(rest), timeLayout)
	}
	if !isIdentAndUser(rest[:begin]) {
		return fmt.Errorf(`%s between the client and the time: want ident and user, each "-" if there is none`, quoted(rest[:begin]))
	}
	_, user, _ := bytes.Cut(rest[:begin-1], space)
	r.User = known(user)
	text := rest[begin+1 : end]
	var ok bool
	if r.Time, ok = s.commonTime(text); !ok {
		return fmt.Errorf("the time %s: want one such as %s, from 1970 on", quoted(text), timeLayout)
	}
	extra, err := r.answer(rest[end+2:])
	if err != nil {
		return err
	}
	if len(extra) == 0 && s.client.Forwarded == 0 {
		return nil
	}
	return s.readForwarded(extra, r)
}

// commonTime wants a zone, which every server writes.
func (s *scanner) commonTime(b []byte) (time.Time, bool) {
	const second = len("2006-01-02T15:04:05")
	switch {
	case len(b) == len(timeLayout) && b[len(timeLayout)-6] == ' ':
		return s.clock.common(b)
	case b[len(b)-1] == 'Z' || bytes.ContainsAny(b[second:], "+-"):
		return s.clock.iso(b)
	}
	return time.Time{}, false
}

// known returns nil for "-", which stands for nothing.
func known(b []byte) []byte {
	if string(b) == "-" {
		return nil
	}
	return b
}

// findTime returns the places of the brackets around the time, or -1. The caller chooses the
// user name, with spaces and brackets if he likes. But servers escape a quotation mark in
// it, so he cannot put a time of his own before the true one.
func findTime(b []byte) (begin, end int) {
	const least, most = len("2006-01-02T15:04:05Z"), len("2006-01-02T15:04:05.000000000+00:00")
	for from := 0; ; {
		i := bytes.IndexByte(b[from:], '[')
		if i < 0 || len(b) < from+i+least+5 {
			return -1, -1
		}
		i += from
		if i > 0 && b[i-1] == ' ' {
			n := bytes.IndexByte(b[i+least:min(len(b), i+most+2)], ']')
			if end := i + least + n; n >= 0 && len(b) > end+2 && b[end+1] == ' ' && b[end+2] == '"' {
				return i, end
			}
		}
		from = i + 1
	}
}

// isIdentAndUser reports whether b is two fields, each followed by a space. The second one,
// the user, may contain spaces.
func isIdentAndUser(b []byte) bool {
	space := bytes.IndexByte(b, ' ')
	return space > 0 && len(b) >= space+3
}

// answer reads the line after the time, from the quotation mark of the request on. It
// returns the fields after the agent: empty, or beginning with a space.
func (r *Record) answer(b []byte) (extra []byte, err error) {
	whole := b
	b, ok := skipQuoted(b)
	if !ok {
		return nil, fmt.Errorf("the request %s does not end: want a quotation mark after it", quoted(whole))
	}
	r.request(whole[1 : len(whole)-len(b)-1])
	whole = b
	if b, ok = skipNumber(b, 3, 3); !ok {
		return nil, fmt.Errorf(`%s after the request: want a space and a status of three digits or "-"`, quoted(whole))
	}
	if whole[1] != '-' {
		r.Status = number(whole[1:4])
	}
	whole = b
	if b, ok = skipNumber(b, 1, 19); !ok || len(b) > 0 && b[0] != ' ' {
		return nil, fmt.Errorf(`%s after the status: want a space and a size in bytes or "-"`, quoted(whole))
	}
	if len(b) == 0 {
		return nil, nil
	}
	for _, name := range []string{"referer", "agent"} {
		whole = b
		if len(b) < 2 || b[0] != ' ' || b[1] != '"' {
			return nil, fmt.Errorf("%s where the %s would be: want it in quotes after a space, or nothing after the size", quoted(whole), name)
		}
		if b, ok = skipQuoted(b[1:]); !ok {
			return nil, fmt.Errorf("the %s %s does not end: want a quotation mark after it", name, quoted(whole[1:]))
		}
	}
	if len(b) > 0 && b[0] != ' ' {
		return nil, fmt.Errorf("%s after the agent: want a space or nothing", quoted(b))
	}
	r.Agent = whole[2 : len(whole)-len(b)-1]
	return b, nil
}

// skipNumber returns the rest after a space and either least to most digits or "-", which
// servers write for an unknown number.
func skipNumber(b []byte, least, most int) (rest []byte, ok bool) {
	if len(b) < 2 || b[0] != ' ' {
		return nil, false
	}
	if b = b[1:]; b[0] == '-' {
		return b[1:], true
	}
	n := 0
	for n < len(b) && isDigit(b[n]) {
		n++
	}
	return b[n:], n >= least && n <= most
}

// commonClient reads the client from the fields before ident and user, and returns the rest
// of the line.
func (s *scanner) commonClient(line []byte, r *Record) (rest []byte, err error) {
	first, rest, _ := bytes.Cut(line, space)
	if s.client.Field != "1" && len(first) > 0 && len(rest) > 0 && rest[0] != '-' { // ident is nearly always "-"
		second, after, _ := bytes.Cut(rest, space)
		addr, ok := s.clients.parse(second)
		switch {
		case ok && s.client.Field != "2" && !isVirtualHost(first):
			return nil, fmt.Errorf("%s and %s before ident and user: want a virtual host and the client there, or the client field:1 or field:2", quoted(first), quoted(second))
		case ok:
			if r.peer, r.first, r.second = second, addr, true; s.client.Field == "2" {
				r.named = second
			}
			return after, nil
		}
	}
	addr, ok := s.clients.parse(first)
	switch {
	case s.client.Field == "2":
		return nil, fmt.Errorf("no address in the second field of %s: want the client there, or another client than field:2", quoted(line))
	case !ok && s.client.Forwarded == 0:
		return nil, fmt.Errorf("the client %s is not an address: want IPv4 or IPv6 in the first field (for host names: HostnameLookups Off in Apache)", quoted(first))
	}
	r.peer, r.first = first, addr
	if s.client.Field == "1" {
		r.named = first
	}
	return rest, nil
}

// isVirtualHost reports whether b is a name, with or without a port, an address with a port,
// or a port alone. An address without a port is none: it may be the client, and the next
// field a proxy.
func isVirtualHost(b []byte) bool {
	name := b
	if i := bytes.LastIndexByte(b, ':'); i >= 0 && isPort(b[i+1:]) {
		if name = b[:i]; len(name) == 0 {
			return true // nginx's host of a request without one
		}
		if _, ok := parseIPv4(name); ok {
			return true
		}
		if len(name) > 2 && name[0] == '[' {
			_, err := netip.ParseAddr(string(name[1 : len(name)-1]))
			return err == nil && name[len(name)-1] == ']'
		}
	}
	letters := 0
	for _, c := range name {
		switch {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_': // nginx's name for any host
			letters++
		case !isDigit(c) && c != '.' && c != '-':
			return false
		}
	}
	return letters > 0
}

// readForwarded finds the forwarded addresses in the fields after the agent: the field in
// quotes with nothing but addresses. Unless it is the client, a list with ports is taken for
// something else, since servers write their upstreams so.
//
// As the client there must be one such field, and in the same place in each line: the caller
// may have written another one, such as the host.
func (s *scanner) readForwarded(extra []byte, r *Record) error {
	wanted := s.client.Forwarded > 0
	absent := false // the field is there, and empty
	lists, place := 0, 0
	for n := 1; len(extra) > 1 && extra[0] == ' '; {
		field := extra[1:]
		if field[0] != '"' {
			next := bytes.IndexByte(field, ' ')
			if next < 0 {
				break
			}
			extra = field[next:]
			continue
		}
		rest, ok := skipQuoted(field)
		if !ok {
			break
		}
		text := field[1 : len(field)-len(rest)-1]
		absent = absent || string(text) == "-" && (s.place == 0 || s.place == n)
		if s.isList(text, wanted) {
			lists, place, r.forwarded = lists+1, n, text
		}
		extra = rest
		n++
	}
	switch {
	case !wanted:
		return nil
	case lists > 1:
		return errors.New("several fields of addresses after the agent: want the header X-Forwarded-For there, and no other field of addresses")
	case lists == 1 && s.place != 0 && s.place != place:
		return errors.New("addresses after the agent in another field than in the lines before: want the header X-Forwarded-For there, and no other field of addresses")
	case lists == 1:
		s.place = place
		return nil
	case absent:
		return nil // choose finds no client
	}
	return errors.New(`no forwarded address after the agent: want the header X-Forwarded-For there, in quotes, and "-" if there is none`)
}

// isList reports whether a text is a comma-separated list of addresses, with ports if those
// are permitted.
func (s *scanner) isList(text []byte, ports bool) bool {
	if len(text) < 2 {
		return false
	}
	for more := true; more; {
		var item []byte
		item, text, more = bytes.Cut(text, []byte(","))
		addr, ok := s.hops.parse(bytes.Trim(item, " "))
		if !ok || addr.port && !ports {
			return false
		}
	}
	return true
}
