package published

import (
	"slices"
	"strings"

	"go4.org/netipx"

	"github.com/sallyport-go/sallyport/internal/plain"
)

// admits and denies are the words of configurations around addresses.
var (
	admits = []string{"accept", "allow", "from", "host", "ip", "permit", "require", "set_real_ip_from"}
	denies = append([]string{"denies", "except", "exception", "exceptions", "excludes", "excluding", "exclusion", "exclusions", "nomatch", "not", "without"}, deniedValues...)
)

// directive returns the words of a line without those that admit, and whether the line
// denies. An exclamation mark or a minus before an address denies too.
func directive(words []string) (rest []string, isDenied bool) {
	if len(words) > 2 && words[0] == "add" { // ipset: add NAME ADDRESS
		isDenied = meaningOf(words[1]).denied
		words = words[2:]
	}
	for _, word := range words {
		name, glued := strings.ToLower(word), ""
		if i := strings.IndexAny(word, "=:"); i > 0 {
			name, glued = name[:i], word[i+1:]
		}
		switch address, negated := strings.CutPrefix(word, "!"); {
		case negated && address != "":
			rest, isDenied = append(rest, address), true
		case negated:
			isDenied = true
		case slices.Contains(denies, name):
			if isDenied = true; glued != "" {
				rest = append(rest, glued)
			}
		case len(word) > 1 && word[0] == '-' && readable([]string{word[1:]}):
			rest, isDenied = append(rest, word[1:]), true
		case glued != "" || !slices.Contains(admits, name):
			rest = append(rest, word)
		}
	}
	return rest, isDenied
}

// lineDirective is directive for a whole line. One such as denied_ips: or [blocked] denies, too, and
// it is not known how much.
func lineDirective(text string, words []string) (rest []string, isDenied bool) {
	if len(words) == 1 && (strings.HasSuffix(text, ":") || strings.HasPrefix(text, "[")) && meaningOf(words[0]).denied {
		return nil, true
	}
	return directive(words)
}

// denyLine leaves out a line that denies. rest are its words without directives.
func (c *collector) denyLine(place int, text string, words, rest []string) {
	ranges, bad := readWords(rest)
	first, _ := directive(words[:1])
	isHeading := len(ranges) == 0 && (len(rest) == 0 || strings.HasSuffix(text, ":"))
	// Such as 10.1 and 10, which are 10.1.0.0/16 and 10.0.0.0/8 to Apache.
	isNumber := func(word string) bool { return len(first) == 0 && strings.Trim(word, "0123456789") == "" }
	if isHeading || slices.ContainsFunc(bad, isLikeAddress) || slices.ContainsFunc(bad, isNumber) {
		c.unclear = "the line " + plain.Quote(text)
	}
	if len(bad) > 0 && len(ranges) == 0 && !strings.EqualFold(bad[0], "all") {
		c.refuse(place, text, strings.Join(rest, " "))
		return
	}
	c.leave(Denied, place, text, "")
	if c.denied = append(c.denied, ranges...); len(c.denied) > c.options.MaxRanges {
		c.tooMany = true
	}
}

// denyText leaves out a text that the document denies.
func (c *collector) denyText(place int, text string) {
	words, _ := splitLine(text)
	if len(words) == 0 {
		c.refuse(place, text, text)
		return
	}
	rest, _ := directive(words)
	c.denyLine(place, text, words, rest)
}

// denyMember leaves out a text of JSON that the document denies.
func (c *collector) denyMember(text string) {
	c.positions++
	c.denyText(c.positions, text)
}

// hasAddress reports whether a text has an address, or a word that may be one.
func hasAddress(text string) bool {
	words, _ := splitLine(text)
	ranges, bad := readWords(words)
	return len(ranges) > 0 || slices.ContainsFunc(bad, isLikeAddress)
}

// isLikeAddress reports whether a word that could not be read may be addresses all the same, such
// as 10.1, 192.0.2.* or fe80::1%eth0.
func isLikeAddress(word string) bool {
	word = strings.TrimRight(word, ":")
	begins := word != "" && '0' <= word[0] && word[0] <= '9'
	return begins && strings.ContainsAny(word, "./:") || strings.Count(word, ":") > 1
}

// overlapping returns the first of some ranges that a set overlaps.
func overlapping(set *netipx.IPSet, ranges []netipx.IPRange) (netipx.IPRange, bool) {
	sorted := set.Ranges()
	for _, r := range ranges {
		i, _ := slices.BinarySearchFunc(sorted, r, func(of, r netipx.IPRange) int { return of.To().Compare(r.From()) })
		if i < len(sorted) && sorted[i].Overlaps(r) {
			return r, true
		}
	}
	return netipx.IPRange{}, false
}
