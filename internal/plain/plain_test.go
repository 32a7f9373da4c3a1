package plain_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/sallyport-go/sallyport/internal/plain"
)

// unseen are the ranges of characters refused besides control characters, from Unicode's
// DerivedCoreProperties (Default_Ignorable_Code_Point) and UnicodeData (Cf, Zl, Zp).
var unseen = []struct {
	first, last rune
	kind        string
}{
	{0x00ad, 0x00ad, "invisible character"}, // soft hyphen
	{0x034f, 0x034f, "invisible character"},
	{0x061c, 0x061c, "direction-changing character"},
	{0x115f, 0x1160, "invisible character"}, // Hangul fillers
	{0x17b4, 0x17b5, "invisible character"},
	{0x180b, 0x180f, "invisible character"},
	{0x200b, 0x200d, "invisible character"}, // zero width
	{0x200e, 0x200f, "direction-changing character"},
	{0x2028, 0x2029, "line separator"},
	{0x202a, 0x202e, "direction-changing character"},
	{0x2060, 0x2065, "invisible character"},
	{0x2066, 0x2069, "direction-changing character"},
	{0x206a, 0x206f, "invisible character"},
	{0x3164, 0x3164, "invisible character"},
	{0xfe00, 0xfe0f, "invisible character"},
	{0xfeff, 0xfeff, "invisible character"}, // byte order mark
	{0xffa0, 0xffa0, "invisible character"},
	{0xfff0, 0xfffb, "invisible character"},
	{0x13430, 0x1343f, "invisible character"}, // Egyptian layout
	{0x1bca0, 0x1bca3, "invisible character"},
	{0x1d173, 0x1d17a, "invisible character"},
	{0x2800, 0x2800, "invisible character"},   // braille without dots; no property says so
	{0xe0000, 0xe0fff, "invisible character"}, // tags, variation selectors
}

func kindOf(r rune) string {
	for _, u := range unseen {
		if u.first <= r && r <= u.last {
			return u.kind
		}
	}
	if unicode.Is(unicode.Cc, r) {
		return "control character"
	}
	return ""
}

func TestEveryCodePoint(t *testing.T) {
	allowed := map[string]int{}
	for r := range rune(unicode.MaxRune + 1) {
		if !utf8.ValidRune(r) {
			continue
		}
		kind, got := kindOf(r), plain.Problem("a"+string(r)+"b", 10)
		if want := fmt.Sprintf("has the %s %U at byte 2: want it without", kind, r); kind != "" && got != want {
			t.Errorf("%U: %q, want %q", r, got, want)
		}
		if kind == "" && got != "" {
			t.Errorf("%U: %q, want it allowed", r, got)
		}
		if visible := kind == "" || kind == "line separator" || kind == "control character"; plain.IsInvisible(r) == visible {
			t.Errorf("IsInvisible(%U) = %v", r, !visible)
		}
		if kind == "" {
			for _, category := range []string{"Cc", "Cf", "Zl", "Zp", "Zs", "Co", "Mn"} {
				if unicode.Is(unicode.Categories[category], r) {
					allowed[category]++
				}
			}
		}
	}
	assert.Zero(t, allowed["Cc"]+allowed["Zl"]+allowed["Zp"])
	assert.Equal(t, 13, allowed["Cf"], "the visible ones: number signs of Arabic, Syriac and Kaithi")
	assert.Greater(t, allowed["Zs"], 15)
	assert.Greater(t, allowed["Co"], 100_000)
	assert.Greater(t, allowed["Mn"], 1_500)
}

func TestProblem(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "",
		" ":                         "",
		"größer, 日本 🏢 e\u0301":      "",
		strings.Repeat("x", 40):     "",
		strings.Repeat("x", 41):     "has 41 bytes: want at most 40",
		"\xff":                      "is not valid UTF-8: want UTF-8",
		"a\xed\xa0\x80":             "is not valid UTF-8: want UTF-8",
		"a\nb":                      "has the control character U+000A at byte 2: want it without",
		"\x7f":                      "has the control character U+007F at byte 1: want it without",
		"é\u0085":                   "has the control character U+0085 at byte 3: want it without",
		"user\u202etxt.exe":         "has the direction-changing character U+202E at byte 5: want it without",
		"prod\u200b":                "has the invisible character U+200B at byte 5: want it without",
		"\ufffd":                    "", // the replacement character is a visible one
		"x\u2028" + "\u202e" + "\n": "has the line separator U+2028 at byte 2: want it without",
	} {
		assert.Equal(t, want, plain.Problem(text, 40), "%q", text)
	}
}

func TestQuote(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", `""`},
		{"a\n\"b\"", `"a\n\"b\""`},
		{strings.Repeat("x", 80), `"` + strings.Repeat("x", 80) + `"`},
		{strings.Repeat("x", 81), `"` + strings.Repeat("x", 80) + `…"`},
		{strings.Repeat("x", 79) + "é", `"` + strings.Repeat("x", 79) + `…"`},
		{strings.Repeat("x", 78) + "é", `"` + strings.Repeat("x", 78) + `é"`},
		{strings.Repeat("x", 78) + "éy", `"` + strings.Repeat("x", 78) + `é…"`},
		{strings.Repeat("x", 77) + "🏢y", `"` + strings.Repeat("x", 77) + `…"`},
		{strings.Repeat("\x80", 81), `"` + strings.Repeat(`\x80`, 77) + `…"`},
	} {
		assert.Equal(t, test.want, plain.Quote(test.text))
		assert.Equal(t, test.want, plain.Quote([]byte(test.text)))
	}
	assert.Less(t, len(plain.Quote(strings.Repeat("\u202e", 1<<20))), 300)
}

func TestCut(t *testing.T) {
	assert.Equal(t, "ab", plain.Cut("ab", 2))
	assert.Equal(t, "ab…", plain.Cut("abc", 2))
	assert.Equal(t, "a…", plain.Cut("aéb", 2))
	assert.Equal(t, "…", plain.Cut("é", 1))
	assert.Equal(t, "", plain.Cut("", 0))
}
