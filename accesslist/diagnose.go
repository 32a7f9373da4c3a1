package accesslist

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sallyport-go/sallyport/internal/plain"
)

const wantEntry = `want an IPv4 address such as "203.0.113.7" or a block such as "198.51.100.0/24"`

// A diagnosis words the refusal of a text. From the whole text it recognizes the ways in
// which people and programs write addresses, and it offers the text to write. It judges
// nothing and makes no text acceptable (rule A7).
type diagnosis struct {
	parser  Parser
	line    bool   // the text is a line of a list
	times   string // the valid times on the line: " expires=2027-01-01T00:00:00Z"
	comment string // the comment on the line
}

func (d diagnosis) refuse(text string) *ParseError {
	problem, want := d.of(text, 0)
	return &ParseError{text, problem, want}
}

// of returns the problem of a text and the repair. The problem is empty for an entry inside
// of something.
func (d diagnosis) of(text string, depth int) (problem, want string) {
	const layers = 4
	if prefix, ok := parsePrefix(text); ok {
		return d.write("", prefix)
	}
	if problem, inner := wrapped(text); problem != "" && depth < layers {
		inside, want := d.of(inner, depth+1)
		return and(problem, inside), want
	}
	switch {
	case text == "":
		return "is empty", wantEntry
	case strings.TrimSpace(text) == "":
		return "is only white space", wantEntry
	}
	if strings.HasPrefix(text, ";") || strings.HasPrefix(text, "//") {
		return "is a comment with another mark", "begin a comment with #"
	}
	for _, recognize := range []func(string) (problem, want string){d.ofRange, d.ofMask, d.ofWildcard, d.ofURL, d.ofSeveral} {
		if problem, want := recognize(text); problem != "" {
			return problem, want
		}
	}
	return d.ofAddress(text)
}

// write offers an entry in place of a text with a problem. If the parser refuses the entry,
// too, it returns that refusal instead.
func (d diagnosis) write(problem string, prefix netip.Prefix) (string, string) {
	e, err := d.parser.entry(Entry{prefix: prefix}.String(), prefix)
	if err != nil {
		refusal := err.(*ParseError)
		return and(problem, refusal.Problem), refusal.Want
	}
	want := "write " + strconv.Quote(e.String()+d.rest())
	if prefix.Bits() == 0 {
		want += ", every " + family(prefix.Addr()) + " address"
	}
	return problem, want
}

// rest returns the times and the comment of the line.
func (d diagnosis) rest() string {
	if d.comment != "" {
		return d.times + " # " + d.comment
	}
	return d.times
}

func and(problem, inside string) string {
	if problem != "" && inside != "" {
		return problem + ", and " + inside
	}
	return problem + inside
}

// wrapped recognizes marks around a text, or hidden in it, and returns the shorter text
// without them.
func wrapped(text string) (problem, inner string) {
	if strings.Contains(text, "\x00") || strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
		inner = strings.TrimPrefix(strings.TrimPrefix(text, "\xff\xfe"), "\xfe\xff")
		return "has zero bytes in it, as text in UTF-16 has", strings.ReplaceAll(inner, "\x00", "")
	}
	if at := strings.IndexFunc(text, plain.IsInvisible); at >= 0 {
		r, _ := utf8.DecodeRuneInString(text[at:])
		inner = strings.Map(func(r rune) rune {
			if plain.IsInvisible(r) {
				return -1
			}
			return r
		}, text)
		if r == '\ufeff' {
			return "has a byte order mark (U+FEFF) in it", inner
		}
		return fmt.Sprintf("has the invisible character %U in it", r), inner
	}
	if inner = strings.TrimSpace(text); inner != text && inner != "" {
		return "has white space around it", inner
	}
	for _, pair := range [][2]string{{`"`, `"`}, {"'", "'"}, {"`", "`"}, {"“", "”"}, {"„", "“"}, {"‘", "’"}, {"«", "»"}} {
		if inner, ok := between(text, pair); ok {
			return "has quotes around it", inner
		}
	}
	for _, pair := range [][2]string{{"[", "]"}, {"(", ")"}, {"<", ">"}, {"{", "}"}} {
		if inner, ok := between(text, pair); ok {
			return "has brackets around it", inner
		}
	}
	for _, mark := range []string{"- ", "* ", "• ", "-\t"} {
		if inner, ok := strings.CutPrefix(text, mark); ok {
			return "has a list mark before it", inner
		}
	}
	if before := strings.TrimRight(text, ",;"); before != text {
		return fmt.Sprintf("has %s after it", plain.Quote(text[len(before):])), before
	}
	if before, ok := strings.CutSuffix(text, "."); ok && isEntry(before) {
		return "ends with a dot", before
	}
	if name, value, ok := strings.Cut(text, ": "); ok && isWord(name) {
		return "has a name before it", value
	}
	return "", ""
}

// between returns the text inside a pair that occurs around it and nowhere else.
func between(text string, pair [2]string) (string, bool) {
	inner, begins := strings.CutPrefix(text, pair[0])
	inner, ends := strings.CutSuffix(inner, pair[1])
	return inner, begins && ends && !strings.Contains(inner, pair[0]) && !strings.Contains(inner, pair[1])
}

// isWord reports whether a text has letters only, and joints of names.
func isWord(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !strings.ContainsRune(`_-"'`, r) })
}

// ofURL recognizes a URL of an address.
func (d diagnosis) ofURL(text string) (problem, want string) {
	_, host, ok := strings.Cut(text, "://")
	if !ok {
		return "", ""
	}
	if end := strings.IndexAny(host, "/?#"); end >= 0 {
		host = host[:end]
	}
	host = host[strings.LastIndex(host, "@")+1:]
	if without, _, err := net.SplitHostPort(host); err == nil {
		host = without
	}
	prefix, ok := parsePrefix(strings.Trim(host, "[]"))
	if !ok {
		return "", ""
	}
	return d.write("is a URL", prefix)
}

// ofAddress takes a text for one address or block, and goes through its parts.
func (d diagnosis) ofAddress(text string) (problem, want string) {
	if strings.Contains(text, "%") {
		return "has a zone", "write the address without it, since a zone means something on one host only"
	}
	addr, bits, _ := strings.Cut(text, "/")
	if host, _, err := net.SplitHostPort(addr); err == nil {
		if prefix, ok := parsePrefix(host + text[len(addr):]); ok {
			return d.write("has a port, which no entry has", prefix)
		}
	}
	if problem, want := diagnoseAddr(addr); problem != "" {
		return problem, want
	}
	// The address is valid: alone it would have been accepted.
	return d.ofBits(netip.MustParseAddr(addr), bits)
}

// diagnoseAddr returns an empty problem when addr is an address.
func diagnoseAddr(addr string) (problem, want string) {
	const notation = "host names and other notations are not taken, since what they mean can change; " + wantEntry
	switch {
	case addr == "":
		return "has no address before the slash", wantEntry
	case strings.ContainsFunc(addr, unicode.IsSpace):
		return "has white space in it", wantEntry
	case strings.ContainsAny(addr, "[]"):
		return "has brackets in it", "write the address without them"
	case strings.Count(addr, ":") > 1: // fewer make a port or a URL
		if _, err := netip.ParseAddr(addr); err != nil {
			return "is not an IPv6 address", wantEntry
		}
		return "", ""
	case strings.ContainsFunc(addr, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }):
		return "is not an address", notation
	}
	octets := strings.Split(addr, ".")
	switch n := len(octets); {
	case n < 4:
		return fmt.Sprintf("has only %d of the 4 octets of an IPv4 address", n), wantEntry
	case n > 4:
		return fmt.Sprintf("has %d octets where an IPv4 address has 4", n), wantEntry
	}
	for _, octet := range octets {
		switch value, err := strconv.Atoi(octet); {
		case octet == "":
			return "has an empty octet", wantEntry
		case octet[0] == '0' && len(octet) > 1:
			return "has a leading zero in the octet " + plain.Quote(octet),
				"write the octet in decimal without it, since some programs read such a number as octal"
		case err != nil || value > 255:
			return "has the octet " + plain.Quote(octet), "want octets from 0 to 255"
		}
	}
	return "", ""
}

// ofBits returns the problem with the length of a block with a valid address.
func (d diagnosis) ofBits(addr netip.Addr, bits string) (problem, want string) {
	wantBits := fmt.Sprintf("want a number from 0 to %d after the slash", addr.BitLen())
	if bits == "" {
		return "has no prefix length after the slash", wantBits
	}
	if strings.Trim(bits, "0123456789") != "" {
		return "has the prefix length " + plain.Quote(bits) + ", which is not a number", wantBits
	}
	if n, err := strconv.Atoi(bits); err == nil && n <= addr.BitLen() { // so it is its leading zero that was refused
		return d.write("has a leading zero in the prefix length "+plain.Quote(bits), netip.PrefixFrom(addr, n))
	}
	return "has the prefix length " + plain.Quote(bits) + ", longer than the address", wantBits
}
