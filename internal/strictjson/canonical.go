package strictjson

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// A Canonical reads JSON in the form of json.Marshal: names in one order, no white space,
// no escapes. After the first mismatch it reads nothing more, its methods return zero
// values, and Done is false.
//
// The parameter before is the text before a value, the name with its punctuation:
// c.Text(`,"comment":`).
type Canonical struct {
	rest   []byte
	failed bool
}

// NewCanonical returns a reader of data. Text that is not UTF-8 is a mismatch.
func NewCanonical(data []byte) Canonical {
	if !utf8.Valid(data) {
		return Canonical{failed: true}
	}
	return Canonical{rest: data}
}

// Done reports whether everything was read and nothing mismatched.
func (c *Canonical) Done() bool { return !c.failed && len(c.rest) == 0 }

// Fail is a mismatch found by the caller.
func (c *Canonical) Fail() { c.rest, c.failed = nil, true }

// Next reports whether text is next.
func (c *Canonical) Next(text string) bool {
	return len(c.rest) >= len(text) && string(c.rest[:len(text)]) == text
}

// Skip reads text if it is next, and reports whether it was.
func (c *Canonical) Skip(text string) bool {
	if !c.Next(text) {
		return false
	}
	c.rest = c.rest[len(text):]
	return true
}

// Need reads text. It is a mismatch if text is not next.
func (c *Canonical) Need(text string) {
	if !c.Skip(text) {
		c.Fail()
	}
}

// Bytes reads a string without escapes. It returns a part of the data.
func (c *Canonical) Bytes(before string) []byte {
	c.Need(before)
	c.Need(`"`)
	for i, b := range c.rest {
		switch {
		case b == '"':
			text := c.rest[:i]
			c.rest = c.rest[i+1:]
			return text
		case b == '\\' || b < ' ':
			c.Fail()
			return nil
		}
	}
	c.Fail()
	return nil
}

// Text reads a string without escapes.
func (c *Canonical) Text(before string) string { return string(c.Bytes(before)) }

// OptionalText is Text, or empty if before is not next.
func (c *Canonical) OptionalText(before string) string {
	if !c.Next(before) {
		return ""
	}
	return c.Text(before)
}

// OptionalTexts reads an object of strings without escapes, at least one, or nil if before is
// not next. A name that occurs twice is a mismatch.
func (c *Canonical) OptionalTexts(before string) map[string]string {
	if !c.Skip(before) {
		return nil
	}
	texts := map[string]string{}
	c.Need(`{`)
	for more := true; more; more = c.Skip(`,`) {
		name := c.Text(``)
		if _, twice := texts[name]; twice {
			c.Fail()
		}
		texts[name] = c.Text(`:`)
	}
	c.Need(`}`)
	return texts
}

// OptionalTime reads a time and returns it in UTC, or zero if before is not next.
func (c *Canonical) OptionalTime(before string) time.Time {
	if !c.Next(before) {
		return time.Time{}
	}
	t, ok := parseTime(c.Text(before))
	if !ok {
		c.Fail()
	}
	return t
}

// Bool reads true or false.
func (c *Canonical) Bool(before string) bool {
	c.Need(before)
	if c.Skip(`true`) {
		return true
	}
	c.Need(`false`)
	return false
}

// Uint reads a whole number that is not negative.
func (c *Canonical) Uint(before string) uint64 {
	c.Need(before)
	n, err := strconv.ParseUint(string(c.digits(0)), 10, 64)
	if err != nil {
		c.Fail()
		return 0
	}
	return n
}

// Int reads a whole number.
func (c *Canonical) Int(before string) int64 {
	c.Need(before)
	sign := 0
	if c.Next(`-`) {
		sign = 1
	}
	n, err := strconv.ParseInt(string(c.digits(sign)), 10, 64)
	if err != nil || n == 0 && sign == 1 {
		c.Fail()
		return 0
	}
	return n
}

// digits reads a sign of this length and the digits after it. A zero before other digits is a
// mismatch.
func (c *Canonical) digits(sign int) []byte {
	end := sign
	for end < len(c.rest) && '0' <= c.rest[end] && c.rest[end] <= '9' {
		end++
	}
	if end > sign+1 && c.rest[sign] == '0' {
		c.Fail()
		return nil
	}
	digits := c.rest[:end]
	c.rest = c.rest[end:]
	return digits
}

// FlatArray reads an array without arrays in it. It returns a part of the data.
func (c *Canonical) FlatArray(before string) []byte {
	c.Need(before)
	if c.Next(`[`) {
		inText := false
		for i, b := range c.rest {
			switch {
			case b == '"':
				inText = !inText
			case b == '\\':
				c.Fail()
				return nil
			case b == ']' && !inText:
				array := c.rest[:i+1]
				c.rest = c.rest[i+1:]
				return array
			}
		}
	}
	c.Fail()
	return nil
}
