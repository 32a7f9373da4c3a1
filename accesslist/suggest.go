package accesslist

import (
	"fmt"
	"iter"
	"math/bits"
	"net/netip"

	"go4.org/netipx"
)

// Suggest makes a list of at most budget entries. The list covers every address or block
// seen and as few other addresses as possible; among equal lists it has the fewest
// entries.
//
// IPv4-mapped addresses count as the IPv4 address they map (rule A5). Errors are a budget
// below 1, an IPv6 address, an address with a zone, 0.0.0.0, and [ErrNoEntries] if
// nothing was seen.
//
// Time and memory grow with the number of separate runs of addresses times the budget: a
// budget of 200 over 100,000 runs takes a few tenths of a second and allocates 85 MB.
func Suggest[T netip.Addr | netip.Prefix](seen iter.Seq[T], budget int) (List, error) {
	if budget < 1 {
		return invalid, fmt.Errorf("accesslist: a budget of %d entries: want at least 1", budget)
	}
	var b netipx.IPSetBuilder
	for s := range seen {
		var prefix netip.Prefix
		switch s := any(s).(type) {
		case netip.Addr:
			addr := unmap(s)
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		case netip.Prefix:
			prefix = s.Masked()
		}
		if !prefix.Addr().Is4() || prefix.IsSingleIP() && prefix.Addr().IsUnspecified() {
			return invalid, fmt.Errorf("accesslist: cannot suggest an entry for %v: want IPv4 addresses of clients", s)
		}
		b.AddPrefix(prefix)
	}
	// This fails for invalid prefixes only, which were refused above.
	set, _ := b.IPSet()
	blocks := set.Prefixes()
	if len(blocks) == 0 {
		return invalid, ErrNoEntries
	}
	root := newCover(blocks, budget)
	best := 0
	for k, size := range root.sizes {
		if size < root.sizes[best] {
			best = k
		}
	}
	var entries []Entry
	root.collect(best+1, &entries)
	return New(entries...)
}

// A cover is a node of the binary tree of addresses, with the disjoint, sorted blocks
// below it and the fewest addresses to cover them with 1, 2, … entries. One entry is the
// node's own block; k entries are some for the left half and the rest for the right.
type cover struct {
	block       netip.Prefix
	sizes       []uint64 // sizes[k-1]: addresses covered by k entries
	left        []int32  // left[k-1]: entries of the k in the left half
	first, rest *cover   // the halves; nil for a block seen as it is
}

func newCover(seen []netip.Prefix, budget int) *cover {
	low, high := asUint32(seen[0].Addr()), asUint32(netipx.PrefixLastIP(seen[len(seen)-1]))
	length := bits.LeadingZeros32(low ^ high)
	c := &cover{block: netip.PrefixFrom(seen[0].Addr(), length).Masked()}
	size := uint64(1) << (32 - length)
	if len(seen) == 1 {
		c.sizes = []uint64{size}
		return c
	}
	// The blocks part at the first bit in which they differ.
	half := uint32(1) << (31 - length)
	at := 0
	for asUint32(seen[at].Addr())&half == 0 {
		at++
	}
	c.first, c.rest = newCover(seen[:at], budget), newCover(seen[at:], budget)
	most := min(budget, len(c.first.sizes)+len(c.rest.sizes))
	c.sizes, c.left = make([]uint64, most), make([]int32, most)
	c.sizes[0] = size
	for i, first := range c.first.sizes {
		for j, rest := range c.rest.sizes[:min(len(c.rest.sizes), max(0, most-i-1))] {
			if k := i + j + 1; c.left[k] == 0 || first+rest < c.sizes[k] {
				c.sizes[k], c.left[k] = first+rest, int32(i+1)
			}
		}
	}
	c.first.sizes, c.rest.sizes = nil, nil // only the choices are needed further
	return c
}

// collect appends the k blocks covering c.
func (c *cover) collect(k int, to *[]Entry) {
	if k == 1 {
		*to = append(*to, Entry{prefix: c.block})
		return
	}
	left := int(c.left[k-1])
	c.first.collect(left, to)
	c.rest.collect(k-left, to)
}
