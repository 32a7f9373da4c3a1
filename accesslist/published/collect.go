package published

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/internal/plain"
)

// A collector takes the ranges of a document from the reader of its format.
type collector struct {
	options   Options
	format    Format
	ranges    []labelled // valid, of a wanted family, and not too wide
	denied    []netipx.IPRange
	unclear   string // what denies, and what it denies cannot be read: for people
	labels    map[string]*label
	left      [reasons]LeftOut
	read4     int
	read6     int
	tooMany   bool // ranges, valid or not: the rest need not be read
	positions int  // addresses of JSON so far
}

// A labelled range is a range with its place in the document and the publisher's words for it.
type labelled struct {
	netipx.IPRange
	label *label
	place int
}

// A label is shared by all ranges with the same words.
type label struct {
	regions, services []string
	note              string // the comment on a line of text
	ranges            int
	filtered          bool
	words             *string // of text, once made
}

func newCollector(o Options, format Format) *collector {
	if o.Source == "" {
		o.Source = string(format)
	}
	o.MaxRanges = orElse(o.MaxRanges, MaxRanges)
	return &collector{options: o, format: format, labels: map[string]*label{}}
}

// label returns the label with these words. An unfit word counts as absent.
func (c *collector) label(regions, services []string, note string) *label {
	unfit := func(word string) bool { return word == "" || plain.Problem(word, MaxSource) != "" }
	key := strings.Join(regions, "\x00") + "\x01" + strings.Join(services, "\x00") + "\x01" + note
	known := c.labels[key]
	if known == nil {
		known = &label{regions: slices.DeleteFunc(slices.Clone(regions), unfit), services: slices.DeleteFunc(slices.Clone(services), unfit)}
		if !unfit(note) {
			known.note = note
		}
		c.labels[key] = known
	}
	return known
}

// addMember takes an address or block of JSON.
func (c *collector) addMember(text string, l *label) {
	c.positions++
	c.addText(c.positions, text, l)
}

// addText takes an address or block.
func (c *collector) addText(place int, text string, l *label) {
	if r, ok := parseBlock(text); ok {
		c.addRange(place, text, r, l)
		return
	}
	c.addUnread(place, text)
}

// addUnread leaves out a text that is no address, block or range. It may deny one.
func (c *collector) addUnread(place int, text string) {
	words, _ := splitLine(text)
	if rest, denies := directive(words); denies {
		c.denyLine(place, text, words, rest)
		return
	}
	c.refuse(place, text, text)
}

// addRange takes a valid range.
func (c *collector) addRange(place int, text string, r netipx.IPRange, l *label) {
	if c.tooMany = c.tooMany || c.read4+c.read6 == c.options.MaxRanges; c.tooMany {
		return
	}
	l.ranges++
	if r.From().Is4() {
		c.read4++
	} else if c.read6++; !c.options.AllowIPv6 {
		c.leave(OtherFamily, place, text, "")
		return
	}
	if isTooWide(r) {
		c.leave(TooWide, place, text, "")
		return
	}
	c.ranges = append(c.ranges, labelled{r, l, place})
}

// refuse leaves out an invalid text, because of a part of it.
func (c *collector) refuse(place int, text, part string) {
	why := ""
	if c.left[Invalid].wants() { // the words take time
		why = "covers IPv4-mapped IPv6 addresses: write them as IPv4"
		if _, err := (accesslist.Parser{AllowIPv6: true}).ParseEntry(part); err != nil {
			why = strings.TrimPrefix(plain.Cut(err.Error(), 4*plain.MaxQuoted), "accesslist: ")
		}
	}
	c.leave(Invalid, place, text, why)
	c.tooMany = c.tooMany || c.left[Invalid].Count > c.options.MaxRanges
}

// leaveRange leaves out a range, if another covers it with that one.
func (c *collector) leaveRange(reason Reason, r labelled, around netipx.IPRange) {
	text, why := "", ""
	if c.left[reason].wants() {
		text = textOf(r.IPRange)
		if around.IsValid() {
			why = "inside of " + textOf(around)
		}
	}
	c.leave(reason, r.place, text, why)
}

func (c *collector) leave(reason Reason, place int, text, why string) {
	c.left[reason].add(Example{Place: place, Text: text, Why: why})
}

// filter marks the labels that the filters leave out, and returns the words there are.
func (c *collector) filter() (regions, services []Word, err error) {
	ofRegions := func(l *label) []string { return l.regions }
	ofServices := func(l *label) []string { return l.services }
	for _, f := range []struct {
		name  string
		words []string
		of    func(*label) []string
		there *[]Word
	}{{"region", c.options.Regions, ofRegions, &regions}, {"service", c.options.Services, ofServices, &services}} {
		*f.there = c.words(f.of)
		for _, word := range f.words {
			if !slices.ContainsFunc(*f.there, func(w Word) bool { return strings.EqualFold(w.Word, word) }) {
				return nil, nil, fmt.Errorf("published: the %s %s: %w: want %s", f.name, plain.Quote(word), ErrUnknownWord, some(*f.there))
			}
		}
		for _, l := range c.labels {
			if len(f.words) > 0 && !slices.ContainsFunc(f.of(l), func(has string) bool {
				return slices.ContainsFunc(f.words, func(word string) bool { return strings.EqualFold(word, has) })
			}) {
				l.filtered = true
			}
		}
	}
	return regions, services, nil
}

// words returns the words of the labels, sorted, with the number of ranges of each.
func (c *collector) words(of func(*label) []string) []Word {
	ranges := map[string]int{}
	for _, l := range c.labels {
		words := slices.Clone(of(l))
		slices.Sort(words)
		for _, word := range slices.Compact(words) {
			ranges[word] += l.ranges
		}
	}
	var out []Word
	for _, word := range slices.Sorted(maps.Keys(ranges)) {
		if ranges[word] > 0 {
			out = append(out, Word{word, ranges[word]})
		}
	}
	return out
}

// some lists the first words for an error.
func some(words []Word) string {
	if len(words) == 0 {
		return "no filter, since the list has no such words"
	}
	var texts []string
	for _, w := range words[:min(len(words), plain.MaxErrors)] {
		texts = append(texts, w.Word)
	}
	text := "one of " + strings.Join(texts, ", ")
	if more := len(words) - len(texts); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// parseBlock reads what accesslist.ParseEntry takes, IPv6 included.
func parseBlock(text string) (netipx.IPRange, bool) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return netipx.IPRange{}, false
		}
		prefix = netip.PrefixFrom(addr, addr.BitLen())
	}
	r := netipx.RangeOfPrefix(prefix)
	return r, prefix == prefix.Masked() && isFit(r)
}

// isFit reports whether a range is valid, not the unspecified address alone, and has no
// IPv4-mapped addresses, unless it is too wide anyway.
func isFit(r netipx.IPRange) bool {
	return r.IsValid() && !r.To().IsUnspecified() && (!r.Overlaps(mapped) || isTooWide(r))
}

// mapped are the IPv4-mapped IPv6 addresses (RFC 4291, section 2.5.5.2).
var mapped = netipx.RangeOfPrefix(netip.MustParsePrefix("::ffff:0:0/96"))

// parseRange makes the range between two addresses of one family.
func parseRange(first, last string) (netipx.IPRange, bool) {
	from, errFrom := netip.ParseAddr(first)
	to, errTo := netip.ParseAddr(last)
	r := netipx.IPRangeFrom(from, to)
	return r, errFrom == nil && errTo == nil && from.Zone() == "" && isFit(r)
}

// isTooWide reports whether a valid range has more addresses than an IPv4 /6 or an IPv6 /16.
func isTooWide(r netipx.IPRange) bool {
	if r.From().Is4() {
		return as32(r.To())-as32(r.From()) >= 1<<26
	}
	return high64(r.To())-high64(r.From()) >= 1<<48
}
