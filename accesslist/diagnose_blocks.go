package accesslist

import (
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go4.org/netipx"

	"github.com/sallyport-go/sallyport/internal/plain"
)

// maxWritten is the number of entries offered in place of a text; more are counted.
const maxWritten = 32

// rangeMarks are between the ends of a range, longer ones first. Words are between spaces.
var rangeMarks = []string{" through ", " thru ", " to ", "...", "..", "…", "-", "‐", "‑", "‒", "–", "—", "―", "−", "~"}

// ofRange recognizes a range from one address to another. The second may be short, as in
// 203.0.113.4-9.
func (d diagnosis) ofRange(text string) (problem, want string) {
	for _, mark := range rangeMarks {
		low, high, ok := strings.Cut(text, mark)
		if !ok {
			continue
		}
		low, high = strings.TrimSpace(low), strings.TrimSpace(high)
		from, ok := parsePrefix(low)
		if !ok || from != from.Masked() {
			continue
		}
		to, ok := parsePrefix(high)
		if !ok {
			to, ok = parsePrefix(shortened(low, high))
		}
		if ok && to == to.Masked() {
			return d.blocks("is a range", from.Addr(), netipx.PrefixLastIP(to))
		}
	}
	return "", ""
}

// shortened returns the address low with high in the place of its last octets.
func shortened(low, high string) string {
	octets, last := strings.Split(low, "."), strings.Split(high, ".")
	if len(octets) != 4 || len(last) > 3 {
		return ""
	}
	return strings.Join(append(octets[:4-len(last)], last...), ".")
}

// blocks offers the blocks and addresses of a range, and the block around it.
func (d diagnosis) blocks(problem string, from, to netip.Addr) (string, string) {
	switch {
	case from.Is4() != to.Is4():
		return problem + " from one address family to the other", "want two IPv4 addresses, or two IPv6 ones"
	case to.Less(from):
		return problem + " that ends before it begins", "write the lower address first"
	}
	prefixes := netipx.IPRangeFrom(from, to).Prefixes()
	for _, prefix := range prefixes {
		if _, err := d.parser.entry("", prefix); err != nil {
			refusal := err.(*ParseError)
			if len(prefixes) > 1 {
				problem = fmt.Sprintf("%s, and %s in it", problem, Entry{prefix: prefix})
				return problem + " " + refusal.Problem, refusal.Want
			}
			return and(problem, refusal.Problem), refusal.Want
		}
	}
	if len(prefixes) == 1 {
		return d.write(problem, prefixes[0])
	}
	return problem, d.writeAll(prefixes) + around(from, to)
}

// writeAll offers several entries, one text each.
func (d diagnosis) writeAll(prefixes []netip.Prefix) string {
	var texts []string
	for _, prefix := range prefixes[:min(len(prefixes), maxWritten)] {
		texts = append(texts, strconv.Quote(Entry{prefix: prefix}.String()))
	}
	last := texts[len(texts)-1]
	if more := len(prefixes) - maxWritten; more > 0 {
		texts, last = append(texts, ""), fmt.Sprintf("%d more blocks", more)
	}
	each := ", each by itself"
	if d.line {
		each = ", each on a line of its own"
	}
	if d.rest() != "" {
		each += " with the rest of this one"
	}
	return "write " + strings.Join(texts[:len(texts)-1], ", ") + " and " + last + each
}

// around offers the smallest block around a range, unless it is over-broad.
func around(from, to netip.Addr) string {
	block := netip.PrefixFrom(from, from.BitLen())
	for !block.Contains(to) {
		block = netip.PrefixFrom(from, block.Bits()-1).Masked()
	}
	if isOverBroad(block) {
		return ""
	}
	more := ""
	if from.Is4() {
		n := uint64(1)<<(32-block.Bits()) - 1 - uint64(asUint32(to)-asUint32(from))
		more = fmt.Sprintf(", with %d more addresses", n)
		if n == 1 {
			more = ", with one more address"
		}
	}
	return fmt.Sprintf("; or %q, the block around them%s", block, more)
}

// ofMask recognizes an address and its netmask, or the inverse mask of routers.
func (d diagnosis) ofMask(text string) (problem, want string) {
	fields := slices.DeleteFunc(strings.FieldsFunc(text, isBetween), func(field string) bool {
		return strings.EqualFold(field, "netmask") || strings.EqualFold(field, "mask")
	})
	slash := strings.Contains(text, "/")
	if len(fields) == 1 && slash {
		fields = strings.SplitN(fields[0], "/", 2)
	}
	if len(fields) < 2 {
		return "", ""
	}
	if joined := spacedSlash(fields); joined != "" {
		inside, want := d.of(joined, 0)
		return and("has white space in it", inside), want
	}
	if len(fields) != 2 {
		return "", ""
	}
	address, addressErr := netip.ParseAddr(strings.Trim(fields[0], quotes))
	mask, maskErr := netip.ParseAddr(strings.Trim(fields[1], quotes))
	if addressErr != nil || maskErr != nil || !address.Is4() || !mask.Is4() {
		return "", ""
	}
	m := asUint32(mask)
	switch ones, zeros := bits.LeadingZeros32(^m), bits.LeadingZeros32(m); {
	case m == 0:
		// One address where masks are inverse, every address otherwise.
		problem = "has the mask 0.0.0.0, which may mean one address or every address"
		if address.IsUnspecified() {
			return d.write(problem, netip.PrefixFrom(address, 0))
		}
		return problem, fmt.Sprintf(`write %q for the address, or "0.0.0.0/0" for every IPv4 address`, address)
	case ^m&(^m+1) == 0 && (slash || ones >= 8): // fewer are also the address of another entry
		return d.write("has a netmask", netip.PrefixFrom(address, ones))
	case m&(m+1) == 0 && (slash || zeros >= 8):
		return d.write("has an inverse netmask", netip.PrefixFrom(address, zeros))
	}
	return "", ""
}

// spacedSlash returns the text of a block, or of an address and mask, without the white
// space around its slash, or "".
func spacedSlash(fields []string) string {
	first, last := fields[0], fields[len(fields)-1]
	joined := len(fields) == 2 && strings.HasSuffix(first, "/") != strings.HasPrefix(last, "/") || len(fields) == 3 && fields[1] == "/"
	if first = strings.TrimSuffix(first, "/"); !joined || strings.Contains(first, "/") || !isEntry(first) {
		return ""
	}
	return strings.Join(fields, "")
}

// ofWildcard recognizes 203.0.113.*, 203.0.113.x, 203.0.4-7.*, and blocks without their last
// octets: 203.0.113. and 203.0.113/24.
func (d diagnosis) ofWildcard(text string) (problem, want string) {
	if address, length, ok := strings.Cut(text, "/"); ok {
		n, err := strconv.Atoi(length)
		octets := strings.Count(address, ".") + 1
		if prefix, ok := parsePrefix(address + strings.Repeat(".0", max(0, 4-octets)) + "/" + length); ok && err == nil && octets < 4 && n <= 8*octets {
			return d.write(fmt.Sprintf("has only %d of the 4 octets of an IPv4 address", octets), prefix)
		}
		return "", ""
	}
	problem = "has a wildcard"
	if before, ok := strings.CutSuffix(text, "."); ok && strings.Count(before, ".") < 3 {
		problem, text = "ends with a dot", before+".*"
	}
	if strings.Contains(text, ":") {
		return d.ofWildcard6(text)
	}
	octets := strings.Split(text, ".")
	isWild := func(octet string) bool { return octet == "*" || (octet == "x" || octet == "X") && len(octets) > 1 }
	if last := octets[len(octets)-1]; len(octets) < 4 && isWild(last) {
		octets = append(octets, slices.Repeat([]string{last}, 4-len(octets))...)
	}
	if len(octets) != 4 {
		return "", ""
	}
	var from, to [4]byte
	varies := false
	for i, octet := range octets {
		low, high, ok := strings.Cut(octet, "-")
		if !ok {
			high = low
		}
		if isWild(octet) {
			low, high = "0", "255"
		}
		first, firstOK := parseOctet(low)
		last, lastOK := parseOctet(high)
		if !firstOK || !lastOK {
			return "", ""
		}
		if varies && (first != 0 || last != 255) {
			return "has a wildcard or a range before its last octets, so it is many ranges", "write the block or the address of each; " + wantEntry
		}
		varies = varies || first != last
		from[i], to[i] = first, last
	}
	if !strings.ContainsAny(text, "*xX") {
		problem = "has a range in it"
	}
	return d.blocks(problem, netip.AddrFrom4(from), netip.AddrFrom4(to))
}

func parseOctet(text string) (byte, bool) {
	n, err := strconv.ParseUint(text, 10, 8)
	return byte(n), err == nil && strconv.FormatUint(n, 10) == text
}

// ofWildcard6 recognizes an IPv6 address with * for its last groups.
func (d diagnosis) ofWildcard6(text string) (problem, want string) {
	fixed, ok := text, false
	for strings.HasSuffix(fixed, ":*") {
		fixed, ok = strings.TrimSuffix(fixed, ":*"), true
	}
	groups := strings.Count(fixed, ":") + 1
	if !ok || groups > 7 {
		return "", ""
	}
	length := 16 * groups
	if strings.Contains(fixed+":", "::") { // 2001:db8::*
		fixed, length = strings.TrimSuffix(fixed, ":"), 112
		if strings.Contains(fixed, "::") {
			fixed += ":0"
		}
	}
	if !strings.Contains(fixed, "::") {
		fixed += "::"
	}
	prefix, ok := parsePrefix(fixed + "/" + strconv.Itoa(length))
	if !ok {
		return "", ""
	}
	return d.write("has a wildcard", prefix)
}

// quotes may stand around an entry among words.
const quotes = "\"'`“”„‘’«»()[]<>"

// isBetween reports whether a character stands between the entries or columns of a line.
func isBetween(r rune) bool { return unicode.IsSpace(r) || r == ',' || r == ';' || r == '|' }

func isEntry(text string) bool {
	_, ok := parsePrefix(text)
	return ok
}

// ofSeveral recognizes several entries in one text, and an entry among words: a line of CSV,
// of a configuration, or with a comment.
func (d diagnosis) ofSeveral(text string) (problem, want string) {
	if problem, want = d.ofMixed(text); problem != "" {
		return problem, want
	}
	var entries []netip.Prefix
	fields := strings.FieldsFunc(text, isBetween)
	first := 0 // field of the first entry
	for i, field := range fields {
		if prefix, ok := parsePrefix(strings.Trim(field, quotes)); ok {
			if len(entries) == 0 {
				first = i
			}
			entries = append(entries, prefix)
		}
	}
	switch {
	case len(fields) < 2 || len(entries) == 0:
		return d.ofFirst(fields)
	case len(entries) == 1:
		return d.ofWords(text, fields[first], first == 0, entries[0])
	}
	problem = fmt.Sprintf("has %d entries in it", len(entries))
	if len(entries) < len(fields) {
		problem = fmt.Sprintf("has %d entries and words in it", len(entries))
	}
	for _, prefix := range entries {
		if _, err := d.parser.entry("", prefix); err != nil {
			refusal := err.(*ParseError)
			return fmt.Sprintf("%s, and %s %s", problem, prefix, refusal.Problem), refusal.Want
		}
	}
	return problem, d.writeAll(entries)
}

// ofMixed recognizes a range, a mask or a wildcard among entries and words. Taken for a
// word, it would be lost in a comment.
func (d diagnosis) ofMixed(text string) (problem, want string) {
	for _, separates := range []func(rune) bool{isBetweenColumns, isBetween} {
		parts := strings.FieldsFunc(text, separates)
		for _, part := range parts {
			part = strings.Trim(part, quotes+" ")
			if len(parts) < 2 || isEntry(part) || !isLikeAddress(part) {
				continue
			}
			for _, recognize := range []func(string) (problem, want string){d.ofRange, d.ofMask, d.ofWildcard} {
				inside, want := recognize(part)
				if inside == "" {
					continue
				}
				problem = "has words in it"
				if slices.ContainsFunc(parts, func(other string) bool { return isEntry(strings.Trim(other, quotes+" ")) }) {
					problem = "has several entries in it"
				}
				return fmt.Sprintf("%s, and %s %s", problem, plain.Quote(part), inside), want
			}
		}
	}
	return "", ""
}

func isBetweenColumns(r rune) bool { return isBetween(r) && r != ' ' }

// isLikeAddress reports whether a text begins as an address does, and does not end as a
// sentence does.
func isLikeAddress(text string) bool {
	v4 := strings.Trim(text[:min(len(text), 1)], "0123456789") == "" && strings.Contains(text, ".")
	return (v4 || strings.Count(text, ":") > 1) && !strings.HasSuffix(text, ".")
}

// ofFirst tells what is wrong with the first of several words, if it looks like an address.
func (d diagnosis) ofFirst(fields []string) (problem, want string) {
	if len(fields) < 2 || !strings.ContainsAny(fields[0][:1], "0123456789") || !strings.ContainsAny(fields[0], ".:/") || strings.ContainsAny(fields[1][:1], "0123456789") {
		return "", ""
	}
	problem, want = d.ofAddress(fields[0])
	return fmt.Sprintf("has words in it, and %s %s", plain.Quote(fields[0]), problem), want
}

// ofWords offers the one entry among words, which become its comment.
func (d diagnosis) ofWords(text, field string, isFirst bool, prefix netip.Prefix) (problem, want string) {
	before, after, _ := strings.Cut(text, field)
	const marks = " \t,;|#/:=-–" + quotes
	words := strings.Trim(strings.Trim(before, marks)+" "+strings.Trim(after, marks), " ")
	if d.comment != "" {
		words += "; " + d.comment
	}
	if d.comment = words; !d.line || plain.Problem(words, MaxComment) != "" {
		d.comment = ""
	}
	switch problem = "has words before the entry"; {
	case strings.ContainsAny(text, ",;|\t"):
		problem = "has columns, as CSV has"
	case isFirst:
		problem = "has words after the entry"
	}
	problem, want = d.write(problem, prefix)
	if !d.line && strings.HasPrefix(want, "write ") {
		want += ", and the words as its comment"
	}
	if (!isFirst || denies(words)) && strings.HasPrefix(want, "write ") {
		want += ", if it is to be let in"
	}
	if strings.Contains(strings.ToLower(words), "expir") {
		want += "; its expiry is not a comment"
	}
	return problem, want
}

// denies reports whether words have one that firewalls deny by.
func denies(words string) bool {
	return slices.ContainsFunc(strings.FieldsFunc(strings.ToLower(words), func(r rune) bool { return !unicode.IsLetter(r) }), func(word string) bool {
		return slices.Contains([]string{"ban", "banned", "block", "blocked", "denied", "deny", "drop", "reject"}, word)
	})
}
