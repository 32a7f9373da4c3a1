package replay

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// width is that of the text, in columns: a narrow terminal's. Names are not broken.
const width = 72

// A printer writes lines to a writer that keeps its first error.
type printer struct{ *bufio.Writer }

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

// WriteText writes the report for people, with its doubts before its numbers. It names the
// first refused clients, and the first findings of each kind, up to most. A suggestion is
// the end of the text and an access list by itself, with its explanations as comments.
//
// The error is the writer's.
func (r *Report) WriteText(w io.Writer, most int) error {
	p := printer{bufio.NewWriter(w)}
	p.read(r)
	p.cautions(r)
	p.line("")
	required := "an empty list refuses nobody"
	if r.ListRequired {
		required = "an empty list refuses everyone"
	}
	p.field("List", "%s; %s", count(r.Entries, "entry", "entries"), required)
	at := "at its own time"
	if !r.JudgedAt.IsZero() {
		at = "as of " + r.JudgedAt.Format(time.RFC3339)
	}
	p.field("Judged", "each call %s, and as if its key had been verified", at)
	p.field("Served", "%s", share(r.Served, r.Calls))
	p.field("Refused", "%s", share(r.Refused, r.Calls))
	p.refused(r, most)
	p.findings(r, most)
	if because := r.Because(SuggestedList); because != "" {
		p.line("")
		if r.Doubtful() {
			because = "see CAUTION above."
		}
		p.wrap("", "", "No suggestion: "+because)
	}
	if r.Suggestion != nil {
		if err := p.suggestion(r); err != nil {
			return err
		}
	}
	return p.Flush()
}

// read writes what was read, what was not, and what was left out.
func (p printer) read(r *Report) {
	p.field("Read", "%s in %s", count(r.Calls, "call", "calls"), count(r.Lines, "line", "lines"))
	for i := range r.Logs {
		if i == mostLogs {
			p.field("", "and %s more", count(len(r.Logs)-mostLogs, "log", "logs"))
			break
		}
		p.field("", "%s reads as: %s", r.Logs[i].name(), r.Logs[i].reads())
	}
	if r.Calls > 0 {
		p.field("Time", "%s to %s", r.First.Format(time.RFC3339), r.Last.Format(time.RFC3339))
	}
	p.field("Client", "%v", r.Client)
	if r.SecondField > 0 {
		p.field("", "the second field in %s", count(r.SecondField, "call", "calls"))
	}
	p.field("Not read", "%s", count(r.BadLines, "line", "lines"))
	for i := range r.Logs {
		for j, bad := range r.Logs[i].FirstBad {
			if i < mostLogs {
				p.field("", "%s, %s", r.Logs[i].name(), bad)
			}
			if more := r.Logs[i].Bad - mostBad; j == mostBad-1 && r.Logs[i].Bad > mostBad {
				p.field("", "and %s more", thousands(more))
			}
		}
	}
	title := "Left out"
	for _, l := range []struct {
		n         uint64
		one, many string
	}{
		{r.AlreadyRefused, "call that the log says was refused", "calls that the log says were refused"},
		{r.LeftOut, "call by choice", "calls by choice"},
		{r.NoClient, "request without a client in the line", "requests without a client in the line"},
		{r.Other, "line that is no request", "lines that are no requests"},
	} {
		if l.n > 0 {
			p.field(title, "%s", count(l.n, l.one, l.many))
			title = ""
		}
	}
}

// mostLogs is the number of logs that are named one by one.
const mostLogs = 4

// cautions writes the doubts, and what they withhold. A short log casts doubt on unused
// entries only.
func (p printer) cautions(r *Report) {
	mind := ""
	for _, d := range r.Doubts {
		if d.Kind == Short {
			mind = d.Text
			p.field("Mind", "%s", d.Text)
			continue
		}
		p.line("")
		p.field("CAUTION", "%s", d.Text)
	}
	for _, conclusion := range []struct {
		name Conclusion
		text string
	}{{UnusedEntries, "which entries are unused"}, {SuggestedList, "which list to suggest"}} {
		because := r.Because(conclusion.name)
		switch {
		case because == "":
			continue
		case r.Doubtful():
			because = "see CAUTION."
		case because == mind:
			because = "see Mind."
		}
		p.field("Not said", "%s: %s", conclusion.text, because)
	}
}

func (p printer) refused(r *Report, most int) {
	if len(r.RefusedClients) == 0 {
		return
	}
	p.line("")
	title := "Refused clients: " + thousands(len(r.RefusedClients))
	if most < len(r.RefusedClients) {
		title += ", and those with most calls"
	}
	p.line("%s", title)
	if r.IPv4PrefixLength < 32 {
		p.wrap("", "", fmt.Sprintf("(IPv4 is counted by /%d: there were too many addresses)", r.IPv4PrefixLength))
	}
	if r.IPv6PrefixLength < 64 {
		p.wrap("", "", fmt.Sprintf("(IPv6 is counted by /%d: there were too many addresses)", r.IPv6PrefixLength))
	}
	for _, c := range r.RefusedClients[:min(max(most, 0), len(r.RefusedClients))] {
		text := c.Prefix.String()
		if c.Prefix.IsSingleIP() {
			text = c.Prefix.Addr().String()
		}
		p.item(c.Calls, fmt.Sprintf("%-24s %s to %s", text, c.First.Format(time.RFC3339), c.Last.Format(time.RFC3339)))
	}
}

func (p printer) findings(r *Report, most int) {
	p.line("\nFindings on the list as of %s", r.FindingsAt.Format(time.RFC3339))
	if len(r.Findings) == 0 {
		p.line("%14s", "none")
	}
	byKind := make(map[string][]Finding)
	var kinds []string // in order of occurrence
	for _, found := range r.Findings {
		kind := found.Kind.String()
		if byKind[kind] == nil {
			kinds = append(kinds, kind)
		}
		byKind[kind] = append(byKind[kind], found)
	}
	for _, kind := range kinds {
		all := byKind[kind]
		p.item(uint64(len(all)), kind)
		for i, found := range all {
			if i >= most {
				p.wrap("    - ", "      ", fmt.Sprintf("and %s more", thousands(len(all)-i)))
				break
			}
			p.wrap("    - ", "      ", found.String())
		}
	}
}

// suggestion writes an access list in text form, with its explanations in comments.
func (p printer) suggestion(r *Report) error {
	s := r.Suggestion
	comment := func(format string, args ...any) { p.wrap("# ", "# ", fmt.Sprintf(format, args...)) }
	list := "the present " + thousands(r.Entries)
	if r.Entries == 0 {
		list = "the open list"
	}
	p.line("")
	comment("Suggested, from here to the end: %s that can replace %s.", count(s.List.Len(), "entry", "entries"), list)
	comment("It serves every client of the log that had an answer with success, those that are served now and those that are refused.")
	comment("It covers %s. Seen: %s.", count(s.Covers, "IPv4 address", "IPv4 addresses"), places(s.Clients, s.IPv4PrefixLength))
	comment("WARNING: every client seen is let in, an attacker as well.")
	for _, entry := range s.OverBroad {
		comment("WARNING: %s is over-broad, a block wider than /8, or /32 for IPv6.", entry)
	}
	if r.Entries > 0 {
		comment("Expiries and comments of the entries that it replaces are not carried over.")
	}
	for _, text := range s.leftOut() {
		comment("Left out: %s", text)
	}
	text, err := s.List.MarshalText()
	if err == nil {
		p.Write(text)
	}
	return err
}

// leftOut describes what a suggestion leaves out.
func (s *Suggestion) leftOut() (lines []string) {
	var failed uint64
	var statuses []string
	for _, f := range s.Failed {
		failed += f.Calls
		status := strconv.Itoa(f.Status)
		if f.Status == 0 {
			status = `"-"`
		}
		statuses = append(statuses, fmt.Sprintf("%s with %s", thousands(f.Calls), status))
	}
	if failed > 0 {
		const most = 6
		if len(statuses) > most {
			statuses = append(statuses[:most], "others")
		}
		lines = append(lines, fmt.Sprintf("%s without success: %s.", count(failed, "call", "calls"), strings.Join(statuses, ", ")))
	}
	if s.IPv6Unserved > 0 {
		lines = append(lines, fmt.Sprintf("%s from %s of IPv6 without a present entry: suggestions are for IPv4.",
			count(s.IPv6Unserved, "call", "calls"), count(s.IPv6Clients, "block", "blocks")))
	}
	if s.ImpossibleClient > 0 {
		lines = append(lines, fmt.Sprintf("%s from addresses of no client, such as 0.0.0.0.", count(s.ImpossibleClient, "call", "calls")))
	}
	return lines
}

// places formats a number of IPv4 addresses or blocks.
func places(n, length int) string {
	if length == 32 {
		return count(n, "address", "addresses")
	}
	return count(n, "block", "blocks") + fmt.Sprintf(" of /%d", length)
}

// share formats "3 of 4 calls (75.0%)".
func share(n, of uint64) string {
	if of == 0 {
		return "0 calls"
	}
	return fmt.Sprintf("%s of %s (%.1f%%)", thousands(n), count(of, "call", "calls"), 100*float64(n)/float64(of))
}
