package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// A printer writes lines to a writer that keeps its first error.
type printer struct{ io.Writer }

func (p printer) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// item writes a line of a table: a number and its meaning.
func (p printer) item(n uint64, what any) { p.line("%14s  %v", thousands(n), what) }

// writeText writes the report for people. It has at most config.top findings of a kind, and
// otherwise the contents of the JSON.
func (r *report) writeText(w io.Writer, c config) error {
	p := printer{w}
	if !r.Complete {
		p.line("INCOMPLETE: a log could not be read to its end. What follows is about what was read.\n")
	}
	p.line("List         %s: %s", r.List, count(r.Entries, "entry", "entries"))
	endpoint := ""
	if r.EndpointRequires {
		endpoint = "; the endpoint requires a list"
	}
	p.line("Requirement  %s%s", r.Requirement, endpoint)
	p.line("Log          %s", enumerate(r.Logs))
	p.line("Lines        %s: %s, %s", thousands(r.Lines), count(r.Requests, "request", "requests"), count(r.BadLines, "bad line", "bad lines"))
	if r.Requests > 0 {
		p.line("Time         %s to %s", r.First.Format(time.RFC3339), r.Last.Format(time.RFC3339))
	}
	at := "at its own time"
	if !r.JudgedAt.IsZero() {
		at = "as of " + r.JudgedAt.Format(time.RFC3339)
	}
	p.line("Judged       each request %s, and as if its key had been proven", at)

	p.reasons("Served       "+share(r.Served, r.Requests), r.ServedByReason)
	p.reasons("Denied       "+share(r.Denied, r.Requests), r.DeniedByReason)
	if len(r.WouldDeny) > 0 {
		p.reasons("Would be denied if a list were required", r.WouldDeny)
	}
	p.deniedClients(&r.DeniedClients)
	p.findings(&r.Findings, c.top)
	switch {
	case c.suggest == 0:
		return nil
	case r.Suggestion == nil:
		p.line("\nNo suggestion: no request came from an IPv4 address.")
		return nil
	}
	return p.suggestion(r.Suggestion, r.Entries)
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
			p.line("(%s clients are counted by blocks of /%d, since there were more than %s addresses)",
				family.name, family.length, thousands(maxKeys))
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
			p.line("%16s- %s", "", found.Text)
		}
		if 0 < top && top < len(all) {
			p.line("%16s- and %s more, which -top or -json tells", "", thousands(len(all)-top))
		}
	}
}

// suggestion writes an access list in text form, with its explanations in comments.
func (p printer) suggestion(s *suggestion, present int) error {
	list := "the present " + thousands(present)
	if present == 0 {
		list = "the open list"
	}
	p.line("\n# Suggested, from here to the end: %s that can replace %s.", count(s.Entries.Len(), "entry", "entries"), list)
	p.line("# It serves every IPv4 client of the log: those that are served now, and those that are denied.")
	p.line("# It covers %s. Seen: %s.", count(s.Covers, "IPv4 address", "IPv4 addresses"), places(s.Clients, s.PrefixLength, 32))
	p.line("# WARNING: whoever is in the log is let in, an attacker as well.")
	for _, entry := range s.OverBroad {
		p.line("# WARNING: %s is over-broad, a block wider than /8.", entry)
	}
	if present > 0 {
		p.line("# Expiries and comments of the present IPv4 entries are not carried over.")
	}
	if l := s.LeftOut; l.IPv6Clients > 0 {
		p.line("# Left out: %s from IPv6 (%s) that no present entry admits. Suggestions are for IPv4.",
			count(l.IPv6Requests, "request", "requests"), places(l.IPv6Clients, l.IPv6PrefixLength, 128))
	}
	if n := s.LeftOut.Unspecified; n > 0 {
		p.line("# Left out: %s from 0.0.0.0, which is nobody's address.", count(n, "request", "requests"))
	}
	text, err := s.Entries.MarshalText()
	if err == nil {
		_, err = p.Write(text)
	}
	return err
}

// places formats a number of addresses or, if grouped, of blocks.
func places(n, length, whole int) string {
	if length == whole {
		return count(n, "address", "addresses")
	}
	return count(n, "block", "blocks") + fmt.Sprintf(" of /%d", length)
}

func enumerate(names []string) string {
	const most = 4
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
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
