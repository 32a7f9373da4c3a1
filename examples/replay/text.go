package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// width is that of the text, in columns: a narrow terminal's. Names are not broken.
const width = 60

// A printer writes lines to a writer that keeps its first error.
type printer struct{ io.Writer }

func (p printer) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// item writes a line of a table: a number and its meaning.
func (p printer) item(n uint64, what any) { p.line("%14s  %v", thousands(n), what) }

// field writes a text beside its title.
func (p printer) field(title, format string, args ...any) {
	const indent = "             "
	p.wrap(title+indent[min(len(title), len(indent)-1):], indent, fmt.Sprintf(format, args...))
}

// wrap writes a text in lines of the width. The first one begins with first, and the others
// with indent.
func (p printer) wrap(first, indent, text string) {
	line, empty := first, true
	for _, word := range strings.Fields(text) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			p.line("%s", line)
			line, empty = indent, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	p.line("%s", line)
}

// writeText writes the report for people. It has at most config.top findings of a kind, and
// otherwise the contents of the JSON.
func (r *report) writeText(w io.Writer, c config) error {
	p := printer{w}
	p.read(r)
	p.cautions(r)
	p.line("")
	p.field("List", "%s: %s", r.List, count(r.Entries, "entry", "entries"))
	endpoint := ""
	if r.EndpointRequires {
		endpoint = "; the endpoint requires a list"
	}
	p.field("Requirement", "%s%s", r.Requirement, endpoint)
	at := "at its own time"
	if !r.JudgedAt.IsZero() {
		at = "as of " + r.JudgedAt.Format(time.RFC3339)
	}
	p.field("Judged", "each request %s, and as if its key had been verified", at)

	p.reasons("Served       "+share(r.Served, r.Requests), r.ServedByReason)
	p.reasons("Denied       "+share(r.Denied, r.Requests), r.DeniedByReason)
	if len(r.WouldDeny) > 0 {
		p.reasons("Would be denied if a list were required", r.WouldDeny)
	}
	p.deniedClients(&r.DeniedClients)
	p.findings(&r.Findings, c.top)
	if r.Suggestion != nil {
		return p.suggestion(r.Suggestion, r.Entries)
	}
	if because := r.because("suggestion"); because != "" {
		p.line("")
		if r.grave() {
			because = "see CAUTION above."
		}
		p.wrap("", "", "No suggestion: "+because)
	}
	return nil
}

// read writes what was read, what was not, and what was left out.
func (p printer) read(r *report) {
	p.field("Read", "%s in %s of %s", count(r.Requests, "request", "requests"), count(r.Lines, "line", "lines"), enumerate(r.Logs))
	if r.Requests > 0 {
		p.field("Time", "%s to %s", r.First.Format(time.RFC3339), r.Last.Format(time.RFC3339))
	}
	switch {
	case r.Requests == 0:
	case r.Client == forwardedField:
		p.field("Client", "the last forwarded address")
	case r.SecondField == r.Requests:
		p.field("Client", "the second field")
	case r.SecondField > 0:
		p.field("Client", "the first field, in %s the second", count(r.SecondField, "request", "requests"))
	default:
		p.field("Client", "the first field")
	}
	p.notRead(r)
	if r.Unforwarded > 0 {
		p.field("Left out", "%s without a forwarded address", count(r.Unforwarded, "line", "lines"))
	}
	if r.Suggestion != nil {
		title := "Left out"
		for _, text := range r.Suggestion.LeftOut.lines() {
			if title != "" {
				p.field(title, "of the suggestion:")
				title = ""
			}
			p.field("", "%s", text)
		}
	}
}

func (p printer) notRead(r *report) {
	p.field("Not read", "%s", count(r.BadLines, "bad line", "bad lines"))
	told := 0
	for _, l := range r.Logs {
		if l.Complete && (l.BadLines == 0 || len(r.Logs) == 1) {
			continue
		}
		if told++; told > mostNames {
			p.field("", "and others, see -json")
			return
		}
		text := fmt.Sprintf("%s of %s in %s", thousands(l.BadLines), count(l.Lines, "line", "lines"), l.Name)
		switch {
		case !l.Complete && l.Lines == 0:
			text = "all of " + l.Name
		case !l.Complete:
			text += fmt.Sprintf(", and all from line %s on", thousands(l.Lines+1))
		}
		p.field("", "%s", text)
	}
}

// cautions writes the doubts, and what they withhold. A short log casts doubt on unused
// entries only.
func (p printer) cautions(r *report) {
	for _, d := range r.Doubts {
		if d.Kind != short {
			p.line("")
			p.field("CAUTION", "%s", d.Text)
		}
	}
	first := true
	for _, conclusion := range []struct{ name, text string }{{"unused", "which entries are unused"}, {"suggestion", "which list to suggest"}} {
		because := r.because(conclusion.name)
		if because == "" {
			continue
		}
		if r.grave() {
			because = "see CAUTION."
			if first {
				p.line("")
			}
		}
		first = false
		p.field("Not said", "%s: %s", conclusion.text, because)
	}
}

func (p printer) reasons(title string, counts []reasonCount) {
	p.line("\n%s", title)
	for _, c := range counts {
		p.item(c.Requests, c.Reason)
	}
}

func (p printer) deniedClients(d *deniedClients) {
	if d.Distinct == 0 {
		return
	}
	title := "Denied clients: " + thousands(d.Distinct)
	if n := len(d.Top); 0 < n && n < d.Distinct {
		title += ", and those with most requests"
	}
	p.line("\n%s", title)
	for _, family := range []struct {
		name          string
		length, whole int
	}{{"IPv4", d.IPv4PrefixLength, 32}, {"IPv6", d.IPv6PrefixLength, 128}} {
		if family.length < family.whole {
			p.wrap("", "", fmt.Sprintf("(%s clients are counted by blocks of /%d, since there were more than %s addresses)",
				family.name, family.length, thousands(maxKeys)))
		}
	}
	for _, c := range d.Top {
		p.item(c.Requests, c.Client)
	}
}

func (p printer) findings(f *findings, top int) {
	p.line("\nFindings on the list as of %s", f.At.Format(time.RFC3339))
	if len(f.Found) == 0 {
		p.line("%14s", "none")
	}
	byKind := make(map[string][]finding)
	var kinds []string // in order of occurrence
	for _, found := range f.Found {
		if byKind[found.Kind] == nil {
			kinds = append(kinds, found.Kind)
		}
		byKind[found.Kind] = append(byKind[found.Kind], found)
	}
	for _, kind := range kinds {
		all := byKind[kind]
		p.item(uint64(len(all)), kind)
		for _, found := range all[:min(top, len(all))] {
			p.wrap("    - ", "      ", found.Text)
		}
		if 0 < top && top < len(all) {
			p.wrap("    - ", "      ", fmt.Sprintf("and %s more, see -top or -json", thousands(len(all)-top)))
		}
	}
}

// suggestion writes an access list in text form, with its explanations in comments.
func (p printer) suggestion(s *suggestion, present int) error {
	comment := func(format string, args ...any) { p.wrap("# ", "# ", fmt.Sprintf(format, args...)) }
	list := "the present " + thousands(present)
	if present == 0 {
		list = "the open list"
	}
	p.line("")
	comment("Suggested, from here to the end: %s that can replace %s.", count(s.Entries.Len(), "entry", "entries"), list)
	comment("It serves every IPv4 client of the log that had an answer with success, those that are served now and those that are denied.")
	comment("It covers %s. Seen: %s.", count(s.Covers, "IPv4 address", "IPv4 addresses"), places(s.Clients, s.PrefixLength, 32))
	comment("WARNING: every client seen is let in, an attacker as well.")
	for _, entry := range s.OverBroad {
		comment("WARNING: %s is over-broad, a block wider than /8.", entry)
	}
	if present > 0 {
		comment("Expiries and comments of the present IPv4 entries are not carried over.")
	}
	for _, text := range s.LeftOut.lines() {
		comment("Left out: %s", text)
	}
	text, err := s.Entries.MarshalText()
	if err == nil {
		_, err = p.Write(text)
	}
	return err
}

// lines describes what a suggestion leaves out.
func (l *leftOut) lines() (lines []string) {
	var failed uint64
	var statuses []string
	for _, s := range l.ByStatus {
		failed += s.Requests
		statuses = append(statuses, fmt.Sprintf("%s with %s", thousands(s.Requests), statusText(s.Status)))
	}
	if failed > 0 {
		const most = 6
		if len(statuses) > most {
			statuses = append(statuses[:most], "others")
		}
		lines = append(lines, fmt.Sprintf("%s without success: %s.", count(failed, "request", "requests"), strings.Join(statuses, ", ")))
	}
	if l.IPv6Clients > 0 {
		lines = append(lines, fmt.Sprintf("%s from IPv6 (%s) that no present entry admits. Suggestions are for IPv4.",
			count(l.IPv6Requests, "request", "requests"), places(l.IPv6Clients, l.IPv6PrefixLength, 128)))
	}
	if l.Unspecified > 0 {
		lines = append(lines, fmt.Sprintf("%s from 0.0.0.0, an address of no client.", count(l.Unspecified, "request", "requests")))
	}
	return lines
}

func statusText(status int) string {
	if status == 0 {
		return `"-"`
	}
	return strconv.Itoa(status)
}

// places formats a number of addresses or, if grouped, of blocks.
func places(n, length, whole int) string {
	if length == whole {
		return count(n, "address", "addresses")
	}
	return count(n, "block", "blocks") + fmt.Sprintf(" of /%d", length)
}

// mostNames is the number of logs that are named one by one.
const mostNames = 4

func enumerate(logs []logReport) string {
	var names []string
	for i, l := range logs {
		if i == mostNames {
			names = append(names, fmt.Sprintf("and %d more", len(logs)-mostNames))
			break
		}
		names = append(names, l.Name)
	}
	return strings.Join(names, ", ")
}

// share formats "3 of 4 requests (75.0%)".
func share(n, of uint64) string {
	if of == 0 {
		return "0 requests"
	}
	return fmt.Sprintf("%s of %s (%.1f%%)", thousands(n), count(of, "request", "requests"), 100*float64(n)/float64(of))
}

// count formats a number with its unit.
func count[N int | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// thousands formats a number with commas.
func thousands[N int | uint64](n N) string {
	digits := strconv.FormatUint(uint64(n), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
