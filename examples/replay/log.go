package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"time"
)

// A record has the parts of a log line that concern an access list.
type record struct {
	client clientAddress
	time   time.Time
	status int // of the answer; 0 if the server wrote "-"

	second    bool       // the client was the second field, as after a virtual host
	forwarded netip.Addr // the last address of a forwarded list after the agent; zero: no list
	passedOn  bool       // the client is in that list
	agent     []byte     // part of the line; nil in the Common Log Format
}

// A lineParser reads lines of the Common and the Combined Log Format:
//
//	client ident user [02/Jan/2006:15:04:05 -0700] "request" status size
//	client ident user [02/Jan/2006:15:04:05 -0700] "request" status size "referer" "agent" …
//
// A virtual host may stand before the client. All of a line is checked, though little of it
// is used: if the end is missing, the same accident may have damaged the beginning. Fields
// after the agent are skipped, except for a list of forwarded addresses: many servers are
// configured to add some.
//
// It caches the last day, the last second and the last addresses: lines of one log repeat
// them.
type lineParser struct {
	field      clientField
	place      int // of the forwarded addresses among the fields in quotes after the agent; 0: unknown
	second     [len(timeLayout)]byte
	secondTime time.Time
	midnight   time.Time // of the same day and zone

	clients, forwarded addressCache
}

const (
	timeLayout = "02/Jan/2006:15:04:05 -0700"
	months     = "JanFebMarAprMayJunJulAugSepOctNovDec"
)

// parse reads a line without its end into r, whose agent is a part of it. After an error r
// is undefined.
func (p *lineParser) parse(line []byte, r *record) error {
	*r = record{}
	if len(line) == 0 {
		return fmt.Errorf("an empty line: want one request a line")
	}
	rest, err := p.client(line, r)
	if err != nil {
		return err
	}
	at := findTime(rest)
	if at < 0 {
		return fmt.Errorf(`%s after the client: want ident, user, and then [%s] and the request in quotes`, excerpt(rest), timeLayout)
	}
	if !isIdentAndUser(rest[:at]) {
		return fmt.Errorf(`%s between the client and the time: want ident and user, each "-" if there is none`, excerpt(rest[:at]))
	}
	text := rest[at+1:][:len(timeLayout)]
	var ok bool
	if r.time, ok = p.time(text); !ok {
		return fmt.Errorf("the time %s: want one such as %s, from 1970 on", excerpt(text), timeLayout)
	}
	extra, err := r.answer(rest[at+len(timeLayout)+3:])
	if err != nil || len(extra) == 0 && p.field != forwardedField {
		return err
	}
	return p.readForwarded(extra, r)
}

// findTime returns the index of the "[" of the time, or -1. The caller chooses the user
// name, with spaces and brackets if he likes. But servers escape a quotation mark in it, so
// he cannot put a time of his own before the true one.
func findTime(b []byte) int {
	const length = len(timeLayout)
	for from := 0; ; {
		i := bytes.IndexByte(b[from:], '[')
		if i < 0 {
			return -1
		}
		i += from
		if len(b) < i+length+4 {
			return -1
		}
		if i > 0 && b[i-1] == ' ' && string(b[i+length+1:i+length+4]) == `] "` {
			return i
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
func (r *record) answer(b []byte) (extra []byte, err error) {
	whole := b
	b, ok := skipQuoted(b)
	if !ok {
		return nil, fmt.Errorf(`the request %s does not end: want a quotation mark after it`, excerpt(whole))
	}
	whole = b
	if b, ok = skipNumber(b, 3, 3); !ok {
		return nil, fmt.Errorf(`%s after the request: want a space and a status of three digits or "-"`, excerpt(whole))
	}
	if whole[1] != '-' {
		r.status = number(whole[1:4])
	}
	whole = b
	if b, ok = skipNumber(b, 1, 19); !ok || len(b) > 0 && b[0] != ' ' {
		return nil, fmt.Errorf(`%s after the status: want a space and a size in bytes or "-"`, excerpt(whole))
	}
	if len(b) == 0 {
		return nil, nil
	}
	for _, name := range []string{"referer", "agent"} {
		whole = b
		if len(b) < 2 || b[0] != ' ' || b[1] != '"' {
			return nil, fmt.Errorf("%s where the %s would be: want it in quotes after a space, or nothing after the size", excerpt(whole), name)
		}
		if b, ok = skipQuoted(b[1:]); !ok {
			return nil, fmt.Errorf("the %s %s does not end: want a quotation mark after it", name, excerpt(whole[1:]))
		}
	}
	if len(b) > 0 && b[0] != ' ' {
		return nil, fmt.Errorf("%s after the agent: want a space or nothing", excerpt(b))
	}
	r.agent = whole[2 : len(whole)-len(b)-1]
	return b, nil
}

// skipQuoted returns the rest after a quoted text at the beginning of b. A backslash
// escapes the next byte: Apache writes \" and \\. nginx writes \x22 and \x5C, without any
// quotation mark to skip.
func skipQuoted(b []byte) (rest []byte, ok bool) {
	for i := 1; ; {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return nil, false
		}
		i += n
		backslashes := 0
		for b[i-1-backslashes] == '\\' { // stops at the first quotation mark
			backslashes++
		}
		i++
		if backslashes%2 == 0 {
			return b[i:], true
		}
	}
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

// time reads a time, in UTC; b has the length of timeLayout.
func (p *lineParser) time(b []byte) (time.Time, bool) {
	if string(b) == string(p.second[:]) && !p.secondTime.IsZero() {
		return p.secondTime, true
	}
	const day, zone = len("02/Jan/2006:"), len("02/Jan/2006:15:04:05")
	clock, ok := parseClock(b[day:zone])
	if !ok {
		return time.Time{}, false
	}
	if p.midnight.IsZero() || string(b[:day]) != string(p.second[:day]) || string(b[zone:]) != string(p.second[zone:]) {
		midnight, ok := parseDay(b)
		if !ok {
			return time.Time{}, false
		}
		p.midnight = midnight
	}
	copy(p.second[:], b)
	p.secondTime = p.midnight.Add(clock)
	return p.secondTime, true
}

// parseClock reads "15:04:05".
func parseClock(b []byte) (time.Duration, bool) {
	for i, c := range b {
		if isColon := i%3 == 2; isColon && c != ':' || !isColon && !isDigit(c) {
			return 0, false
		}
	}
	hour, minute, second := number(b[0:2]), number(b[3:5]), number(b[6:8])
	seconds := (hour*60+minute)*60 + second
	return time.Duration(seconds) * time.Second, hour <= 23 && minute <= 59 && second <= 59
}

// parseDay reads the day and the zone of a time, and returns when the day began.
func parseDay(b []byte) (time.Time, bool) {
	for i, c := range []byte(timeLayout) {
		switch {
		case isDigit(c):
			if !isDigit(b[i]) {
				return time.Time{}, false
			}
		case c == '/' || c == ':' || c == ' ':
			if b[i] != c {
				return time.Time{}, false
			}
		}
	}
	month := -1
	for i := range 12 {
		if string(b[3:6]) == months[3*i:3*i+3] {
			month = i + 1
		}
	}
	day, year := number(b[0:2]), number(b[7:11])
	zoneHour, zoneMinute := number(b[22:24]), number(b[24:26])
	offset := time.Duration(zoneHour)*time.Hour + time.Duration(zoneMinute)*time.Minute
	switch {
	case b[21] == '-':
		offset = -offset
	case b[21] != '+':
		return time.Time{}, false
	}
	if month < 0 || year < 1970 || zoneHour > 23 || zoneMinute > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if t.Day() != day { // the 31st of a shorter month became the 1st of the next
		return time.Time{}, false
	}
	return t.Add(-offset), true
}

// number returns the value of a few digits.
func number(digits []byte) (n int) {
	for _, c := range digits {
		n = n*10 + int(c-'0')
	}
	return n
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// excerpt quotes the beginning of a text, so that a message is one short line whatever the
// text.
func excerpt(b []byte) string {
	const most = 60
	if len(b) > most {
		return fmt.Sprintf("%+q…", b[:most])
	}
	return fmt.Sprintf("%+q", b)
}
