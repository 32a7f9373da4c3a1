package published

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/internal/plain"
)

// list makes the list of what was collected.
func (c *collector) list() (List, error) {
	read := c.read4 + c.read6
	switch {
	case c.left[Invalid].Count > read:
		first := c.left[Invalid].Examples[0]
		return List{}, fmt.Errorf("published: %w: read as %s it has %d valid ranges and %d invalid ones, first %s: want another Format or Columns",
			ErrNotList, c.format, read, c.left[Invalid].Count, plain.Quote(first.Text))
	case c.tooMany:
		return List{}, fmt.Errorf("published: %w: it has more than %d ranges: want at most MaxRanges", ErrTooLarge, c.options.MaxRanges)
	}
	regions, services, err := c.filter()
	if err != nil {
		return List{}, err
	}
	taken, filtered, v4, v6 := c.separate()
	prefixes, err := c.union(taken, filtered)
	if err != nil {
		return List{}, err
	}
	out := List{Format: c.format, Source: c.options.Source, Regions: regions, Services: services}
	out.IPv4, out.IPv6 = withEntries(v4, v6, prefixes)
	if err := c.check(out, prefixes); err != nil {
		return List{}, err
	}
	if out.Entries, err = c.entries(prefixes, taken); err != nil {
		return List{}, err
	}
	for reason := Reason(1); reason < reasons; reason++ {
		if left := c.left[reason]; left.Count > 0 {
			left.Reason = reason
			out.LeftOut = append(out.LeftOut, left)
		}
	}
	return out, nil
}

// separate returns the ranges that pass the filters, in order, and the others; and counts them.
// Duplicates and covered ranges stay among those that pass: their words are in the comments.
func (c *collector) separate() (taken, filtered []labelled, v4, v6 Count) {
	v4.Read, v6.Read = c.read4, c.read6
	for _, r := range c.ranges {
		if r.label.filtered {
			c.leaveRange(Filtered, r, netipx.IPRange{})
			filtered = append(filtered, r)
			continue
		}
		taken = append(taken, r)
	}
	slices.SortFunc(taken, func(a, b labelled) int {
		return cmp.Or(a.From().Compare(b.From()), b.To().Compare(a.To()), a.place-b.place)
	})
	var widest netipx.IPRange // of those so far the one that reaches farthest
	for i, r := range taken {
		switch {
		case i > 0 && r.IPRange == taken[i-1].IPRange:
			c.leaveRange(Duplicate, r, netipx.IPRange{})
			continue
		case widest.IsValid() && widest.Contains(r.To()):
			c.leaveRange(Covered, r, widest)
			continue
		case r.From().Is4():
			v4.Taken++
		default:
			v6.Taken++
		}
		widest = r.IPRange
	}
	return taken, filtered, v4, v6
}

// union returns the blocks of the ranges taken. In a geofeed the most specific range decides
// about an address (RFC 8805, section 2.1.3).
func (c *collector) union(taken, filtered []labelled) ([]netip.Prefix, error) {
	all := taken
	if c.format == Geofeed && len(filtered) > 0 {
		all = slices.Concat(taken, filtered) // of equal ranges the filtered one decides
		length := func(r labelled) int { p, _ := r.Prefix(); return p.Bits() }
		slices.SortStableFunc(all, func(a, b labelled) int { return length(a) - length(b) })
	}
	var b netipx.IPSetBuilder
	for _, r := range all {
		if r.label.filtered {
			b.RemoveRange(r.IPRange)
		} else {
			b.AddRange(r.IPRange)
		}
	}
	var prefixes []netip.Prefix
	for _, r := range setOf(&b).Ranges() {
		if prefixes = r.AppendPrefixes(prefixes); len(prefixes) > c.options.MaxRanges {
			return nil, fmt.Errorf("published: %w: its ranges make more than %d blocks: want at most MaxRanges", ErrTooLarge, c.options.MaxRanges)
		}
	}
	return prefixes, nil
}

// setOf returns the set of a builder, which fails for invalid ranges only.
func setOf(b *netipx.IPSetBuilder) *netipx.IPSet { set, _ := b.IPSet(); return set }

// check refuses a list without ranges, one of half the Internet, and exceptions.
func (c *collector) check(l List, prefixes []netip.Prefix) error {
	switch {
	case len(prefixes) == 0:
		return fmt.Errorf("published: %w: of %d read, %s: want a list with ranges, other filters, or AllowIPv6", ErrNoRanges, c.read4+c.read6, c.leftOut())
	case l.IPv4.Addresses > 1<<31 || l.IPv6.Addresses > 1<<60:
		return fmt.Errorf("published: %w: it covers %d IPv4 addresses and %d IPv6 networks of /64: want at most half of all", ErrTooWide, l.IPv4.Addresses, l.IPv6.Addresses)
	case c.unclear != "":
		return fmt.Errorf("published: %w, or perhaps does: %s is not understood: want a list that admits only", ErrDenies, c.unclear)
	case len(c.denied) == 0:
		return nil
	}
	set := setOfPrefixes(prefixes)
	if r, ok := overlapping(set, c.denied); ok {
		return fmt.Errorf("published: %w: %s: want a list that admits only", ErrDenies, textOf(r))
	}
	return nil
}

func setOfPrefixes(prefixes []netip.Prefix) *netipx.IPSet {
	var b netipx.IPSetBuilder
	for _, p := range prefixes {
		b.AddPrefix(p)
	}
	return setOf(&b)
}

// maxOrigins is the number of origins named in a comment.
const maxOrigins = 4

// entries makes the entries, each with the origins of its addresses as its comment.
func (c *collector) entries(prefixes []netip.Prefix, taken []labelled) ([]accesslist.Entry, error) {
	origins := make([][]string, len(prefixes))
	for _, r := range taken {
		i, _ := slices.BinarySearchFunc(prefixes, r.From(), func(p netip.Prefix, from netip.Addr) int {
			return netipx.PrefixLastIP(p).Compare(from)
		})
		for ; i < len(prefixes) && !r.To().Less(prefixes[i].Addr()); i++ {
			if text := r.label.text(); text != "" && len(origins[i]) <= maxOrigins && !slices.Contains(origins[i], text) {
				origins[i] = append(origins[i], text)
			}
		}
	}
	entries := make([]accesslist.Entry, len(prefixes))
	for i, prefix := range prefixes {
		e, err := accesslist.Parser{AllowIPv6: true}.NewEntry(prefix)
		if err != nil { // 0.0.0.0, left over of a range of a geofeed
			return nil, fmt.Errorf("published: after the filters the list is not fit for an access list: %w", err)
		}
		e.Comment = comment(c.options.Source, origins[i])
		entries[i] = e
	}
	return entries, nil
}

// comment returns "aws: S3 eu-west-1; EC2 eu-west-1", or "aws" where the publisher has no
// words. It fits accesslist.MaxComment.
func comment(source string, origins []string) string {
	if len(origins) == 0 {
		return source
	}
	if len(origins) > maxOrigins {
		origins[maxOrigins] = "and more"
	}
	return source + ": " + strings.Join(origins, "; ")
}

// text returns the label's words for a comment.
func (l *label) text() string {
	if l.words == nil {
		words := append(slices.Clone(l.services), l.regions...)
		words = slices.DeleteFunc(words, func(word string) bool { // outbound, beside outbound.aws
			return slices.ContainsFunc(l.services, func(s string) bool { return strings.HasPrefix(s, word+".") })
		})
		if l.note != "" {
			words = append(words, l.note)
		}
		text := plain.Cut(strings.Join(words, " "), 2*MaxSource)
		l.words = &text
	}
	return *l.words
}

// withEntries adds the entries and addresses to the counts.
func withEntries(v4, v6 Count, prefixes []netip.Prefix) (Count, Count) {
	for _, prefix := range prefixes {
		if prefix.Addr().Is4() {
			v4.Entries++
		}
	}
	v6.Entries = len(prefixes) - v4.Entries
	size := sizeOf(prefixes)
	v4.Addresses, v6.Addresses = size.IPv4, size.IPv6
	return v4, v6
}

// leftOut says in a few words what was left out.
func (c *collector) leftOut() string {
	var texts []string
	for reason := Reason(1); reason < reasons; reason++ {
		if n := c.left[reason].Count; n > 0 {
			texts = append(texts, fmt.Sprintf("%d %s", n, reason))
		}
	}
	if len(texts) == 0 {
		return "none left out"
	}
	return "left out " + strings.Join(texts, ", ")
}

// A Size is a number of addresses by family.
type Size struct {
	IPv4 uint64 // addresses
	IPv6 uint64 // networks of /64, whole or in part
}

// sizeOf returns the size of prefixes that are disjoint and in order.
func sizeOf(prefixes []netip.Prefix) (size Size) {
	part := uint64(0) // the last network of /64 counted in part
	for _, p := range prefixes {
		switch {
		case p.Addr().Is4():
			size.IPv4 += 1 << (32 - p.Bits())
		case p.Bits() == 0:
			size.IPv6 = math.MaxUint64
		case p.Bits() <= 64:
			sum, carry := bits.Add64(size.IPv6, 1<<(64-p.Bits()), 0)
			size.IPv6 = sum - carry // at most all of them
		case size.IPv6 == 0 || part != high64(p.Addr()):
			part = high64(p.Addr())
			size.IPv6++
		}
	}
	return size
}

func as32(a netip.Addr) uint32 { b := a.As4(); return binary.BigEndian.Uint32(b[:]) }

func high64(a netip.Addr) uint64 { b := a.As16(); return binary.BigEndian.Uint64(b[:8]) }

// textOf returns a range as a block if it is one: 198.51.100.0/24, 203.0.113.7, or
// 192.0.2.1-192.0.2.9.
func textOf(r netipx.IPRange) string {
	if r.From() == r.To() {
		return r.From().String()
	}
	if prefix, ok := r.Prefix(); ok {
		return prefix.String()
	}
	return r.String()
}
