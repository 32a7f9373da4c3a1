package replay

import (
	"bytes"
	"time"
)

// A clock parses times without allocation. It keeps the last day: the lines of a log repeat
// it.
type clock struct {
	year, month, day int
	midnight         int64 // of that day in UTC, as Unix time
}

const months = "JanFebMarAprMayJunJulAugSepOctNovDec"

// any reads a time in any of the forms that logs have: ISO 8601, the same with slashes, that
// of the Common Log Format, and Unix time.
func (c *clock) any(b []byte) (time.Time, bool) {
	switch {
	case len(b) > 10 && b[4] == '-':
		return c.iso(b)
	case len(b) > 10 && b[4] == '/':
		return c.slashed(b)
	case len(b) > 10 && b[2] == '/':
		return c.common(b)
	}
	return unix(b)
}

// iso reads 2006-01-02T15:04:05 with a T or a space, a fraction or none, and Z, an offset
// with or without a colon, or nothing.
func (c *clock) iso(b []byte) (time.Time, bool) {
	const day, second = len("2006-01-02"), len("2006-01-02T15:04:05")
	if len(b) < second || b[day] != 'T' && b[day] != ' ' {
		return time.Time{}, false
	}
	midnight, ok := c.isoDay(b[:day])
	clock, ok2 := parseClock(b[day+1 : second])
	if !ok || !ok2 {
		return time.Time{}, false
	}
	nanos, b, ok := fraction(b[second:])
	if !ok {
		return time.Time{}, false
	}
	offset := int64(0)
	if len(b) > 0 && string(b) != "Z" {
		if offset, ok = parseOffset(b); !ok {
			return time.Time{}, false
		}
	}
	return time.Unix(midnight+clock-offset, nanos).UTC(), true
}

// slashed reads 2006/01/02 15:04:05, as of Go's package log and Caddy's time_format wall,
// with what may follow in iso.
func (c *clock) slashed(b []byte) (time.Time, bool) {
	var dashed [40]byte // stays on the stack
	n := copy(dashed[:], b)
	if n < len(b) || b[7] != '/' {
		return time.Time{}, false
	}
	dashed[4], dashed[7] = '-', '-'
	return c.iso(dashed[:n])
}

// isoDay reads 2006-01-02.
func (c *clock) isoDay(b []byte) (int64, bool) {
	if len(b) != 10 || b[4] != '-' || b[7] != '-' || !isNumber(b[:4]) || !isNumber(b[5:7]) || !isNumber(b[8:]) {
		return 0, false
	}
	return c.date(number(b[:4]), number(b[5:7]), number(b[8:]))
}

// common reads 02/Jan/2006:15:04:05 with a fraction or none, and with an offset or none.
func (c *clock) common(b []byte) (time.Time, bool) {
	const day, second = len("02/Jan/2006"), len("02/Jan/2006:15:04:05")
	if len(b) < second || b[2] != '/' || b[6] != '/' || b[day] != ':' || !isNumber(b[:2]) || !isNumber(b[7:day]) {
		return time.Time{}, false
	}
	month := monthOf(b[3:6])
	if month == 0 {
		return time.Time{}, false
	}
	midnight, ok := c.date(number(b[7:day]), month, number(b[:2]))
	clock, ok2 := parseClock(b[day+1 : second])
	if !ok || !ok2 {
		return time.Time{}, false
	}
	nanos, b, ok := fraction(b[second:])
	if !ok {
		return time.Time{}, false
	}
	offset := int64(0)
	if len(b) > 0 {
		if b[0] != ' ' {
			return time.Time{}, false
		}
		if offset, ok = parseOffset(b[1:]); !ok {
			return time.Time{}, false
		}
	}
	return time.Unix(midnight+clock-offset, nanos).UTC(), true
}

// monthOf returns 1 for Jan, and 0 for what is no month.
func monthOf(b []byte) int {
	for i := 0; i < len(months); i += 3 {
		if b[0] == months[i] && b[1] == months[i+1] && b[2] == months[i+2] {
			return i/3 + 1
		}
	}
	return 0
}

// date returns the Unix time of the begin of a day, from 1970 on.
func (c *clock) date(year, month, day int) (int64, bool) {
	if day == c.day && month == c.month && year == c.year && day > 0 { // 0 before the first
		return c.midnight, true
	}
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if t.Day() != day || int(t.Month()) != month || year < 1970 { // the 31st of a shorter month became the 1st of the next
		return 0, false
	}
	c.year, c.month, c.day, c.midnight = year, month, day, t.Unix()
	return c.midnight, true
}

// parseClock reads "15:04:05" as seconds.
func parseClock(b []byte) (int64, bool) {
	if len(b) != 8 || b[2] != ':' || b[5] != ':' || !isNumber(b[:2]) || !isNumber(b[3:5]) || !isNumber(b[6:]) {
		return 0, false
	}
	hour, minute, second := number(b[:2]), number(b[3:5]), number(b[6:])
	return int64((hour*60+minute)*60 + second), hour <= 23 && minute <= 59 && second <= 59
}

// fraction reads ".123" or ",123", or nothing, and returns nanoseconds and the rest.
func fraction(b []byte) (nanos int64, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '.' && b[0] != ',' {
		return 0, b, true
	}
	unit := int64(1e8)
	i := 1
	for ; i < len(b) && isDigit(b[i]); i++ {
		nanos += int64(b[i]-'0') * unit
		unit /= 10
	}
	return nanos, b[i:], 1 < i && i <= 10
}

// parseOffset reads "+01:00" or "+0100" as seconds.
func parseOffset(b []byte) (int64, bool) {
	if len(b) == 6 && b[3] == ':' {
		b = append(append(make([]byte, 0, 5), b[:3]...), b[4:]...) // stays on the stack
	}
	if len(b) != 5 || b[0] != '+' && b[0] != '-' || !isNumber(b[1:]) {
		return 0, false
	}
	hour, minute := number(b[1:3]), number(b[3:])
	offset := int64(hour*60+minute) * 60
	if b[0] == '-' {
		offset = -offset
	}
	return offset, hour <= 23 && minute <= 59
}

// unix reads Unix time: in seconds with or without a fraction, or in milli-, micro- or
// nanoseconds, told apart by the number of digits.
func unix(b []byte) (time.Time, bool) {
	whole, rest := b, []byte(nil)
	if dot := bytes.IndexByte(b, '.'); dot >= 0 {
		whole, rest = b[:dot], b[dot:]
	}
	if len(whole) == 0 || len(whole) > 19 || !isNumber(whole) {
		return time.Time{}, false
	}
	value := int64(number(whole))
	switch {
	case rest != nil && len(whole) <= 11:
		if len(rest) > 10 {
			rest = rest[:10] // digits beyond nanoseconds are of a float
		}
		nanos, rest, ok := fraction(rest)
		return time.Unix(value, nanos).UTC(), ok && len(rest) == 0
	case rest != nil && !isNumber(rest[1:]) || value < 0:
		return time.Time{}, false
	case len(whole) <= 11:
		return time.Unix(value, 0).UTC(), true
	case len(whole) <= 14:
		return time.UnixMilli(value).UTC(), true
	case len(whole) <= 17:
		return time.UnixMicro(value).UTC(), true
	}
	return time.Unix(0, value).UTC(), true
}

func unixTime(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
