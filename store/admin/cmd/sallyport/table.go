package main

import (
	"encoding/json"
	"fmt"
	"iter"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"
)

var formats = []string{"table", "json", "jsonl", "name"}

// A listing says how records of one kind are printed.
type listing[T any] struct {
	header string              // the columns of the table, by white space; _ is a blank
	row    func(T) []string    // their cells
	name   func(T) string      // for -o name
	none   string              // a sentence for a table without rows
	detail func(T) [][2]string // for a single record; nil: the columns
}

// list prints records, as they come but for the table.
func list[T any](s *session, l listing[T], items iter.Seq2[T, error]) error {
	var rows [][]string
	var values []T
	for item, err := range items {
		if err != nil {
			return err
		}
		switch s.output {
		case "name":
			s.out.print(oneLine(l.name(item)) + "\n")
		case "jsonl":
			if err := s.json(item, ""); err != nil {
				return err
			}
		case "json":
			values = append(values, item)
		default:
			rows = append(rows, l.row(item))
		}
	}
	switch {
	case s.output == "json":
		return s.json(append([]T{}, values...), "  ")
	case s.output == "table" && len(rows) == 0:
		if l.none != "" {
			s.err.print(l.none + "\n")
		}
	case s.output == "table":
		s.out.table(strings.Fields(l.header), rows)
	}
	return nil
}

// show prints one record.
func show[T any](s *session, l listing[T], item T) error {
	switch s.output {
	case "name":
		s.out.print(oneLine(l.name(item)) + "\n")
	case "jsonl":
		return s.json(item, "")
	case "json":
		return s.json(item, "  ")
	default:
		s.out.details(l.detail(item))
	}
	return nil
}

// json prints a value as one line, or indented.
func (s *session) json(value any, indent string) error {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("the output cannot be written as JSON: %w", err)
	}
	s.out.print(b.String())
	return nil
}

// table prints rows below their header. If a line would not fit into the terminal, each row
// is a block of lines instead.
func (p *printer) table(header []string, rows [][]string) {
	widths := make([]int, len(header))
	for i, name := range header {
		header[i] = strings.ReplaceAll(name, "_", " ")
		widths[i] = utf8.RuneCountInString(name)
	}
	for _, row := range rows {
		for i := range row {
			row[i] = oneLine(row[i])
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	total := 2 * (len(widths) - 1)
	for _, width := range widths {
		total += width
	}
	if p.width > 0 && total > p.width {
		p.blocks(header, rows)
		return
	}
	p.strong(line(header, widths))
	p.print("\n")
	for _, row := range rows {
		p.print(line(row, widths) + "\n")
	}
}

func line(cells []string, widths []int) string {
	var b strings.Builder
	for i, cell := range cells {
		b.WriteString(cell)
		b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
	}
	return strings.TrimRight(b.String(), " ")
}

func (p *printer) blocks(header []string, rows [][]string) {
	for i, row := range rows {
		if i > 0 {
			p.print("\n")
		}
		var pairs [][2]string
		for j, cell := range row {
			pairs = append(pairs, [2]string{strings.ToLower(header[j]), cell})
		}
		p.details(pairs)
	}
}

// details prints names with their values, without the empty ones. A value may have several
// lines, and a long one is broken between words where the terminal is narrow.
func (p *printer) details(pairs [][2]string) {
	width := 0
	for _, pair := range pairs {
		if pair[1] != "" {
			width = max(width, len(pair[0]))
		}
	}
	for _, pair := range pairs {
		if pair[1] == "" {
			continue
		}
		name := pair[0]
		for value := range strings.SplitSeq(pair[1], "\n") {
			for _, part := range wrapped(escape(value), p.width-width-2) {
				p.strong(name)
				p.print(strings.Repeat(" ", width-len(name)+2) + part + "\n")
				name = ""
			}
		}
	}
}

// minWidth is the narrowest column worth breaking text for.
const minWidth = 20

// wrapped breaks a text between words into parts of at most width characters, but for words
// that are longer.
func wrapped(text string, width int) (parts []string) {
	if width < minWidth || utf8.RuneCountInString(text) <= width {
		return []string{text}
	}
	part, n := "", 0
	for word := range strings.SplitSeq(text, " ") {
		length := utf8.RuneCountInString(word)
		if part != "" && n+1+length > width {
			parts = append(parts, part)
			part, n = word, length
			continue
		}
		if part != "" {
			part += " "
			n++
		}
		part += word
		n += length
	}
	return append(parts, part)
}

// text prints lines, and breaks long ones between words where the terminal is narrow: below
// the last column of the line, if it begins in the left half. Other indented lines are commands
// to copy, and stay whole.
func (p *printer) text(text string) {
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		line = escape(line)
		rest := strings.TrimLeft(line, " ")
		at := strings.LastIndex(rest, "  ")
		switch leading := len(line) - len(rest); {
		case at >= 0 && 2*(leading+at) <= p.width:
			rest = rest[at+2:]
		case leading > 1:
			p.print(line + "\n")
			continue
		default:
			rest = strings.TrimPrefix(rest, "- ")
		}
		before := line[:len(line)-len(rest)]
		indent := utf8.RuneCountInString(before)
		for _, part := range wrapped(rest, p.width-indent) {
			p.print(before + part + "\n")
			before = strings.Repeat(" ", indent)
		}
	}
}

func (p *printer) textf(format string, of ...any) { p.text(fmt.Sprintf(format, of...)) }

// failure prints a text after its source, which is in bold on a terminal.
func (p *printer) failure(source, text string) {
	first, rest, more := strings.Cut(text, "\n")
	p.strong(source)
	for i, part := range wrapped(escape(first), p.width-len(source)) {
		if i > 0 {
			p.print(strings.Repeat(" ", len(source)))
		}
		p.print(part + "\n")
	}
	if more {
		p.text(rest)
	}
}

// flowing joins the lines of each paragraph of a text: those that are not indented.
func flowing(text string) string {
	var b strings.Builder
	joins := false
	for line := range strings.SplitSeq(text, "\n") {
		plain := line != "" && line[0] != ' '
		switch {
		case joins && plain:
			b.WriteString(" ")
		case b.Len() > 0:
			b.WriteString("\n")
		}
		b.WriteString(line)
		joins = plain && !strings.HasSuffix(line, ":")
	}
	return b.String()
}

// oneLine returns a text without unseen characters and line feeds.
func oneLine(text string) string { return strings.ReplaceAll(escape(text), "\n", `\n`) }

// when returns a time in UTC, "" for none.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
