package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/sallyport-go/sallyport/internal/plain"
)

// A printer writes text that may come from records, or from a server's errors: what a
// terminal could take for a command is escaped. Its first error is kept.
type printer struct {
	w      *bufio.Writer
	width  int // of the terminal; 0: unbounded
	colour bool
	term   bool
}

func newPrinter(w io.Writer, env environment) *printer {
	width, isTerm := env.terminal(w)
	return &printer{w: bufio.NewWriter(w), width: width, term: isTerm, colour: isTerm && env.getenv("NO_COLOR") == "" && env.getenv("TERM") != "dumb"}
}

func (p *printer) print(text string)               { _, _ = p.w.WriteString(escape(text)) }
func (p *printer) printf(format string, of ...any) { p.print(fmt.Sprintf(format, of...)) }

// strong prints in bold on a terminal.
func (p *printer) strong(text string) {
	if p.colour && text != "" {
		text = "\x1b[1m" + escape(text) + "\x1b[0m"
	} else {
		text = escape(text)
	}
	_, _ = p.w.WriteString(text)
}

// flush writes what is buffered, and returns the first error.
func (p *printer) flush() error { return p.w.Flush() }

// escape returns a text in which every character but the line feed can be seen: others are
// \u and four hexadecimal digits, as in JSON, so that JSON stays the same. Bytes that are no
// UTF-8 become U+FFFD.
func escape(text string) string {
	if strings.IndexFunc(text, isUnseen) < 0 && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !isUnseen(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func isUnseen(r rune) bool {
	return r != '\n' && (!unicode.IsPrint(r) || plain.IsInvisible(r))
}
