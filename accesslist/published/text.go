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
		rest, denies := lineDirective(text, words)
		if denies {
			c.denyLine(number, text, words, rest)
			continue
		}
		if len(rest) == 0 {
			continue
		}
		ranges, bad := readWords(rest)
		if isRule(words, rest) {
			bad = append(bad, words[0])
		}
		switch {
		case len(bad) > 0 && len(rest) > 1:
			c.refuse(number, text, strings.Join(rest, " "))
		case len(bad) > 0:
			c.refuse(number, text, bad[0])
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

// readRanges reads a range or a block a line, with a name before it or fields after it:
// "192.0.2.1 - 192.0.2.9, DE", "Example Ltd:192.0.2.1-192.0.2.9". Only where the format is
// required, two addresses without a dash are a range: "192.0.2.1,192.0.2.9,DE".
func readRanges(c *collector, data []byte) error {
	pairs := c.options.Format == Ranges
	number := 0
	for text := range strings.Lines(string(data)) {
		if number++; c.tooMany {
			break
		}
		text = strings.TrimSpace(text)
		words, note := splitLine(text)
		if len(words) == 0 {
			continue
		}
		r, ok := firstRange(text, pairs)
		if name, after := splitName(text); !ok && name != "" {
			if r, ok = firstRange(after, pairs); ok {
				words, note = namedWords(name, after), name
			}
		}
		if rest, denies := lineDirective(text, words); denies {
			c.denyLine(number, text, words, rest)
			continue
		}
		if !ok {
			c.refuse(number, text, text)
			continue
		}
		c.addRange(number, text, r, c.label(nil, nil, note))
	}
	return nil
}

// firstRange reads the range in the first field of a line, or its only block. Beside it in its
// field is nothing, and in the fields after it no address: a word there may be "except".
func firstRange(text string, pairs bool) (r netipx.IPRange, ok bool) {
	words, _ := splitLine(text)
	used := 1
	switch {
	case len(words) == 0:
		return r, false
	case len(words) > 2 && isDash(words[1]):
		r, ok = parseRange(words[0], words[2])
		used = 3
	case len(words) == 1:
		if r, ok = parseDashed(words[0]); !ok {
			r, ok = parseBlock(words[0])
		}
	default:
		if r, ok = parseDashed(words[0]); !ok && pairs {
			r, ok = parseRange(words[0], words[1])
			used = 2
		}
	}
	further, _ := readWords(words[used:])
	return r, ok && len(further) == 0 && endsField(text, used)
}

// endsField reports whether the first words of a line are fields of their own.
func endsField(text string, words int) bool {
	for field := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune("\t,;|", r) }) {
		if words <= 0 {
			break
		}
		there, _ := splitLine(field)
		words -= len(there)
	}
	return words == 0
}

func namedWords(name, rest string) []string {
	words, _ := splitLine(name)
	after, _ := splitLine(rest)
	return append(words, after...)
}

// splitName splits "Example Ltd:192.0.2.1-192.0.2.9". The name is empty if there is none, as
// before the last colon of an IPv6 address.
func splitName(text string) (name, rest string) {
	colon := strings.LastIndexByte(text, ':')
	name = strings.TrimSpace(text[:max(colon, 0)])
	if strings.Trim(name, "0123456789abcdefABCDEF:.-! ") == "" || strings.HasSuffix(name, ":") {
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

// beginsWithAddress reports whether the first word that admits or denies nothing is an address.
func beginsWithAddress(text string) bool {
	const longest = 200 // for the words before an address
	for word := range strings.FieldsFuncSeq(text[:min(len(text), longest)], isSeparator) {
		if rest, _ := directive([]string{word}); len(rest) > 0 {
			return readable(rest)
		}
	}
	return false
}

func readable(words []string) bool {
	ranges, bad := readWords(words)
	return len(ranges) > 0 && len(bad) == 0
}

// readWords reads words that are addresses, blocks, ranges, and netmasks after addresses. bad
// are the other words.
func readWords(words []string) (ranges []netipx.IPRange, bad []string) {
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
		if ok {
			ranges = append(ranges, r)
		} else {
			bad = append(bad, words[i])
		}
		i += used
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
