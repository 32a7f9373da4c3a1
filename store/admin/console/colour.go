package console

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
)

//go:embed assets/console.css
var css string

// styleSheet returns the style sheet with the embedder's tokens before it, and a version for
// its URL.
func (c *Config) styleSheet() (sheet, version string) {
	tokens := func(accent string) string {
		return fmt.Sprintf(":root { --accent: %s; --on-accent: %s }", accent, onto(accent))
	}
	sheet = fmt.Sprintf("%s\n@media (prefers-color-scheme: dark) { %s }\n%s", tokens(c.accent()), tokens(c.accentDark()), css)
	sum := sha256.Sum256([]byte(sheet))
	return sheet, hex.EncodeToString(sum[:6])
}

// onto returns the colour of text on a background: black or white, whichever is easier to read.
func onto(background string) string {
	if contrast(background, "#ffffff") >= contrast(background, "#000000") {
		return "#ffffff"
	}
	return "#000000"
}

// fits reports whether a colour is valid, and readable on the background.
func fits(colour, background string) bool {
	_, ok := luminance(colour)
	return ok && contrast(colour, background) >= 4.5
}

// contrast returns the ratio of two valid colours, 1 to 21 (WCAG 2.2).
func contrast(a, b string) float64 {
	la, _ := luminance(a)
	lb, _ := luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// luminance returns the relative luminance of "#rrggbb" (WCAG 2.2).
func luminance(colour string) (float64, bool) {
	digits, ok := strings.CutPrefix(colour, "#")
	rgb, err := hex.DecodeString(digits)
	if !ok || err != nil || len(rgb) != 3 {
		return 0, false
	}
	linear := func(b byte) float64 {
		s := float64(b) / 255
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(rgb[0]) + 0.7152*linear(rgb[1]) + 0.0722*linear(rgb[2]), true
}
