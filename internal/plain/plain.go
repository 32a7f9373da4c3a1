// Package plain has the one rule for texts read by people: the names of organizations,
// projects and roles, the descriptions of keys, the comments of entries. Such a text stands
// in logs, consoles and files beside others, so it is one line of visible characters in the
// order of its bytes. The package also quotes foreign text in errors, and bounds them.
package plain

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxQuoted is the number of bytes quoted of a text in an error.
const MaxQuoted = 80

// Quote quotes a text for an error. It cuts a text longer than MaxQuoted bytes, as
// Cut does.
func Quote[T ~string | ~[]byte](text T) string { return strconv.Quote(Cut(text, MaxQuoted)) }

// Cut returns a text of at most most bytes as it is, and the beginning of a longer one: up
// to that many bytes, cut between two characters, and "…".
func Cut[T ~string | ~[]byte](text T, most int) string {
	if len(text) <= most {
		return string(text)
	}
	cut := text[:most]
	for n := 1; n < utf8.UTFMax && !utf8.RuneStart(text[len(cut)]); n++ {
		cut = cut[:len(cut)-1]
	}
	return string(cut) + "…"
}

// Problem returns why a text is refused and the repair, or "". A text is refused if it
//   - has more than most bytes,
//   - is not UTF-8,
//   - has a control character, a line separator (U+2028) or a paragraph separator (U+2029),
//   - has a character that [IsInvisible].
//
// The problem does not quote the text.
func Problem(text string, most int) string {
	if len(text) > most {
		return fmt.Sprintf("has %d bytes: want at most %d", len(text), most)
	}
	if !utf8.ValidString(text) {
		return "is not valid UTF-8: want UTF-8"
	}
	at := strings.IndexFunc(text, isUnfit)
	if at < 0 {
		return ""
	}
	r, _ := utf8.DecodeRuneInString(text[at:])
	kind := "invisible character"
	switch {
	case unicode.IsControl(r):
		kind = "control character"
	case isSeparator(r):
		kind = "line separator"
	case unicode.Is(unicode.Bidi_Control, r):
		kind = "direction-changing character"
	}
	return fmt.Sprintf("has the %s %U at byte %d: want it without", kind, r, at+1)
}

func isUnfit(r rune) bool {
	if r < utf8.RuneSelf { // most characters
		return r < ' ' || r == 0x7f
	}
	return unicode.IsControl(r) || isSeparator(r) || IsInvisible(r)
}

func isSeparator(r rune) bool { return unicode.In(r, unicode.Zl, unicode.Zp) }

// IsInvisible reports whether a character is unseen, though it may change the look of
// others: a format character (byte order mark, zero width, soft hyphen, change of
// direction, tag), a variation selector, a filler. Two texts with and without one look
// alike. Braille without dots looks like a space, and is among them.
//
// The zero width joiners of Persian and Indic words and of emoji are among them: where they
// are legitimate depends on the letters around them (UAX #31, section 2.3), and such a word
// can be read without one. Visible format characters, such as the Arabic number sign, are
// not among them.
func IsInvisible(r rune) bool {
	const braille = '\u2800' // without dots; a symbol, by its properties
	return r == braille || unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) &&
		!unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}
