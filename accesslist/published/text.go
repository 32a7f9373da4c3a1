package published

import (
	"math/bits"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"
)

// readText reads lines of addresses, blocks and ranges. A line is taken as a whole or not at
// all, since a word that is not understood may be "except".
func readText(c *collector, data []byte) error {
	number := 0
	for text := range strings.Lines(string(data)) {
		if number++; c.tooMany {
			break
		}
		words, note := splitLine(text)
		text = strings.TrimSpace(text)
		rest, denies := directive(words)
		if len(rest) == 0 && !denies {
			continue
		}
		ranges, bad := readWords(rest)
		if bad == "" && isRule(words, rest) {
			bad = words[0]
		}
		if denies && bad != "" && strings.Contains("0123456789", bad[:1]) && strings.ContainsAny(bad, "./") {
			c.unclear = text // such as 10.1, which is 10.1.0.0/16 to Apache
		}
		switch {
		case denies && (bad == "" || strings.EqualFold(bad, "all") || len(ranges) > 0):
			c.leave(Denied, number, text, "")
			for _, r := range ranges {
				c.deny(r)
			}
		case bad != "" && len(rest) > 1:
			c.refuse(number, text, strings.Join(rest, " "))
		case bad != "":
			c.refuse(number, text, bad)
		default:
			l := c.label(nil, nil, note)
			for _, r := range ranges {
				c.addRange(number, text, r, l)
			}
		}
	}
	return nil
}

// isRule reports whether a line is the rule of a firewall from one address to another:
// "allow from A to B", "permit ip A mask B mask". The second is not a client.
func isRule(words, rest []string) bool {
	if len(words) == len(rest) {
		return false
	}
	isTo := func(word string) bool { return strings.EqualFold(word, "to") }
	addresses := 0
	for _, word := range rest {
		if !isMask(word) {
			addresses++
		}
	}
	return slices.ContainsFunc(rest, isTo) || strings.EqualFold(words[0], "permit") && addresses > 1
}

// readRanges reads a range or a block a line, with a name before it or words after it:
// "192.0.2.1 - 192.0.2.9", "Example Ltd:192.0.2.1-192.0.2.9". Only where the format is
// required, two addresses without a dash are a range: "192.0.2.1,192.0.2.9,DE".
func readRanges(c *collector, data []byte) error {
	pairs := c.options.Format == Ranges
	number := 0
	for text := range strings.Lines(string(data)) {
		if number++; c.tooMany {
			break
		}
		words, note := splitLine(text)
		text = strings.TrimSpace(text)
		if len(words) == 0 {
			continue
		}
		if rest, denies := directive(words[:1]); denies {
			if r, ok := firstRange(append(rest, words[1:]...), pairs); ok {
				c.leave(Denied, number, text, "")
				c.deny(r)
				continue
			}
		}
		r, ok := firstRange(words, pairs)
		if name, after := splitName(text); !ok && name != "" {
			words, _ = splitLine(after)
			r, ok = firstRange(words, pairs)
			note = name
		}
		if !ok {
			c.refuse(number, text, text)
			continue
		}
		c.addRange(number, text, r, c.label(nil, nil, note))
	}
	return nil
}

// firstRange reads the range at the beginning of a line's words, or its only block.
func firstRange(words []string, pairs bool) (netipx.IPRange, bool) {
	switch {
	case len(words) == 0:
		return netipx.IPRange{}, false
	case len(words) > 2 && isDash(words[1]):
		return parseRange(words[0], words[2])
	}
	if r, ok := parseDashed(words[0]); ok {
		return r, true
	}
	if len(words) > 1 {
		r, ok := parseRange(words[0], words[1])
		return r, ok && pairs
	}
	return parseBlock(words[0])
}

// splitName splits "Example Ltd:192.0.2.1-192.0.2.9". The name is empty if there is none, as
// before the last colon of an IPv6 address.
func splitName(text string) (name, rest string) {
	colon := strings.LastIndexByte(text, ':')
	name = strings.TrimSpace(text[:max(colon, 0)])
	if strings.Trim(name, "0123456789abcdefABCDEF:.- ") == "" || strings.HasSuffix(name, ":") {
		return "", text
	}
	return name, text[colon+1:]
}

// splitLine returns the words of a line without decoration, and its comment.
func splitLine(text string) (words []string, note string) {
	text, note = splitComment(strings.TrimSpace(text))
	for i, word := range strings.FieldsFunc(text, isSeparator) {
		word = strings.Trim(word, "\"'`“”„‘’«»()[]<>{}")
		if i == 0 && (word == "*" || word == "•" || isDash(word)) {
			continue // the mark of a list
		}
		if word = strings.TrimSuffix(word, "."); word != "" {
			words = append(words, word)
		}
	}
	return words, note
}

func isSeparator(r rune) bool { return strings.ContainsRune(" \t\r\n\v\f\u00a0,;|", r) }

func isDash(word string) bool { return word == "-" || word == "–" || word == "—" }

// splitComment cuts a line at #, // or ;, the latter two at its beginning or after a space.
// A semicolon before a further address is between entries and begins no comment.
func splitComment(text string) (before, note string) {
	for i := range len(text) {
		free := i == 0 || strings.ContainsRune(" \t", rune(text[i-1]))
		switch rest := text[i:]; {
		case rest[0] == '#':
			return text[:i], strings.Trim(rest, "# \t")
		case free && strings.HasPrefix(rest, "//"):
			return text[:i], strings.Trim(rest, "/ \t")
		case free && rest[0] == ';' && !beginsWithAddress(rest[1:]):
			return text[:i], strings.Trim(rest, "; \t")
		}
	}
	return text, ""
}

func beginsWithAddress(text string) bool {
	words := strings.FieldsFunc(text, isSeparator)
	return len(words) > 0 && readable(words[:1])
}

func readable(words []string) bool {
	ranges, bad := readWords(words)
	return len(ranges) > 0 && bad == ""
}

// admits and denies are the words of configurations around addresses.
var (
	admits = []string{"accept", "allow", "from", "host", "ip", "permit", "require", "set_real_ip_from"}
	denies = []string{"ban", "banned", "block", "blocked", "denied", "deny", "drop", "except", "exclude", "not", "reject", "rejected"}
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

// readWords reads words that are addresses, blocks, ranges, and netmasks after addresses. It
// returns the first other word.
func readWords(words []string) (ranges []netipx.IPRange, bad string) {
	for i := 0; i < len(words); i++ {
		rest := words[i+1:]
		r, ok := parseDashed(words[i])
		used := 0
		switch {
		case ok:
		case len(rest) > 1 && (isDash(rest[0]) || strings.EqualFold(rest[0], "to")):
			r, ok = parseRange(words[i], rest[1])
			used = 2
		case len(rest) > 1 && (strings.EqualFold(rest[0], "netmask") || strings.EqualFold(rest[0], "mask")):
			r, ok = parseMasked(words[i], rest[1])
			used = 2
		case len(rest) > 0 && isMask(rest[0]) && !strings.Contains(words[i], "/"):
			r, ok = parseMasked(words[i], rest[0])
			used = 1
		default:
			if r, ok = parseBlock(words[i]); !ok {
				address, mask, _ := strings.Cut(words[i], "/")
				r, ok = parseMasked(address, mask)
			}
		}
		if i += used; !ok && bad == "" {
			bad = words[i-used]
		} else if ok {
			ranges = append(ranges, r)
		}
	}
	return ranges, bad
}

// parseDashed reads a range in one word: 192.0.2.1-192.0.2.9.
func parseDashed(word string) (netipx.IPRange, bool) {
	for _, dash := range []string{"-", "–", "—"} {
		if first, last, ok := strings.Cut(word, dash); ok {
			return parseRange(first, last)
		}
	}
	return netipx.IPRange{}, false
}

// parseMasked reads an IPv4 address without host bits and its netmask, or the inverse one of
// routers.
func parseMasked(address, mask string) (netipx.IPRange, bool) {
	addr, err := netip.ParseAddr(address)
	length, ok := maskLength(mask)
	if err != nil || !ok || !addr.Is4() {
		return netipx.IPRange{}, false
	}
	return parseBlock(netip.PrefixFrom(addr, length).String())
}

func isMask(word string) bool { _, ok := maskLength(word); return ok }

// maskLength returns the prefix length of a netmask. Shorter ones than /8 are not taken: they
// are the addresses of other entries, and 0.0.0.0 is one address or all of them.
func maskLength(mask string) (int, bool) {
	addr, err := netip.ParseAddr(mask)
	if err != nil || !addr.Is4() {
		return 0, false
	}
	m := as32(addr)
	switch ones, zeros := bits.LeadingZeros32(^m), bits.LeadingZeros32(m); {
	case m == 0:
		return 0, false
	case ones >= 8 && bits.TrailingZeros32(m) == 32-ones:
		return ones, true
	case zeros >= 8 && bits.OnesCount32(m) == 32-zeros:
		return zeros, true
	}
	return 0, false
}
