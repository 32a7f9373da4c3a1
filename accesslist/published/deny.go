package published

import (
	"slices"
	"strings"
	"unicode"

	"go4.org/netipx"

	"github.com/sallyport-go/sallyport/internal/plain"
)

// admits and denies are the words of configurations around addresses.
var (
	admits = []string{"accept", "allow", "from", "host", "ip", "permit", "require", "set_real_ip_from"}
	denies = []string{"ban", "banned", "blacklist", "block", "blocked", "blocklist", "denied", "denies", "deny", "denylist", "disabled", "drop", "except", "exception", "exceptions",
		"exclude", "excluded", "excludes", "excluding", "exclusion", "exclusions", "inactive", "not", "reject", "rejected", "revoked", "without"}
)

// directive returns the words of a line without those that admit, and whether the line
// denies. An exclamation mark before an address denies too.
func directive(words []string) (rest []string, isDenied bool) {
	if len(words) > 2 && words[0] == "add" { // ipset: add NAME ADDRESS
		words = words[2:]
	}
	for _, word := range words {
		name := strings.ToLower(strings.TrimSuffix(word, ":"))
		switch address, negated := strings.CutPrefix(word, "!"); {
		case negated && address != "":
			rest, isDenied = append(rest, address), true
		case negated || slices.Contains(denies, name):
			isDenied = true
		case !slices.Contains(admits, name):
			rest = append(rest, word)
		}
	}
	return rest, isDenied
}

// denyLine leaves out a line that denies. rest are its words without directives.
func (c *collector) denyLine(place int, text string, words, rest []string) {
	ranges, bad := readWords(rest)
	first, _ := directive(words[:1])
	for _, word := range bad {
		// Such as 10.1 and 10, which are 10.1.0.0/16 and 10.0.0.0/8 to Apache.
		if isLikeAddress(word) || len(first) == 0 && strings.Trim(word, "0123456789") == "" {
			c.unclear = "the line " + plain.Quote(text)
		}
	}
	if len(bad) > 0 && len(ranges) == 0 && !strings.EqualFold(bad[0], "all") {
		c.refuse(place, text, strings.Join(rest, " "))
		return
	}
	c.denyRanges(place, text, ranges...)
}

// denyText leaves out an address or block that the document denies.
func (c *collector) denyText(place int, text string) {
	if r, ok := parseBlock(text); ok {
		c.denyRanges(place, text, r)
		return
	}
	if isLikeAddress(text) {
		c.unclear = plain.Quote(text)
	}
	c.refuse(place, text, text)
}

// denyMember leaves out a text of JSON that the document denies.
func (c *collector) denyMember(text string) {
	c.positions++
	c.denyText(c.positions, text)
}

func (c *collector) denyRanges(place int, text string, ranges ...netipx.IPRange) {
	c.leave(Denied, place, text, "")
	if c.denied = append(c.denied, ranges...); len(c.denied) > c.options.MaxRanges {
		c.tooMany = true
	}
}

// isLikeAddress reports whether a word that could not be read may be addresses all the same.
func isLikeAddress(word string) bool {
	word = strings.TrimRight(word, ":")
	return strings.Trim(word, "0123456789abcdefABCDEF.:/-") == "" && strings.ContainsAny(word, "./:") && strings.ContainsAny(word, "0123456789:")
}

// saysDenied reports whether a value says that what stands beside it is denied, such as the
// action "deny".
func saysDenied(value string) bool { return slices.Contains(denies, strings.ToLower(value)) }

// saysYes reports whether a value says that its name is true.
func saysYes(value string) bool {
	return slices.Contains([]string{"1", "on", "t", "true", "y", "yes"}, strings.ToLower(value))
}

func saysNo(value string) bool {
	return slices.Contains([]string{"0", "f", "false", "n", "no", "off"}, strings.ToLower(value))
}

// denyingPair reports whether a value says under its name that what stands beside both is denied:
// "deny" under any, yes under blocked, no under enabled.
func denyingPair(name, value string) bool {
	return saysDenied(value) || saysYes(value) && namesDenied(name) ||
		saysNo(value) && slices.Contains([]string{"active", "allow", "allowed", "enabled", "permitted", "valid"}, strings.ToLower(name))
}

// namesDenied reports whether the name of a member or column is one for what is denied, such as
// deny, blockedAddresses or ip_block_list. A block alone is a CIDR block.
func namesDenied(name string) bool {
	var b strings.Builder
	var last rune
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r):
			r = ' '
		case unicode.IsUpper(r) && unicode.IsLower(last):
			b.WriteRune(' ')
		}
		b.WriteRune(r)
		last = r
	}
	words := strings.Fields(strings.ToLower(b.String()))
	return slices.ContainsFunc(words, func(word string) bool { return word != "block" && slices.Contains(denies, word) }) ||
		strings.Contains(strings.Join(words, " "), "block list")
}
