package accesslist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/bits"
	"net/netip"
	"slices"

	"go4.org/netipx"
)

// Suggest makes a list of at most budget entries. The list covers every address or block
// seen and as little else as possible; among equal lists it has the fewest entries. An IPv6
// address counts as its /64, since one host changes its address within it (RFC 8981), and
// a /64 weighs as much as one IPv4 address.
//
// IPv4-mapped addresses count as the IPv4 address they map (rule A5). A program without
// IPv6 entries leaves IPv6 addresses out of seen. Errors are a budget below 1, or of 1 for
// both families, an address with a zone, an unspecified one, and [ErrNoEntries] if nothing
// was seen.
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
		if !prefix.IsValid() || prefix.Addr().Is4In6() || prefix.IsSingleIP() && prefix.Addr().IsUnspecified() {
			return invalid, fmt.Errorf("accesslist: cannot suggest an entry for %.80v: want addresses of clients", s)
		}
		if prefix.Addr().Is6() && prefix.Bits() > 64 {
			prefix = netip.PrefixFrom(prefix.Addr(), 64).Masked()
		}
		b.AddPrefix(prefix)
	}
	// This fails for invalid prefixes only, which were refused above.
	set, _ := b.IPSet()
	var root *cover
	blocks := set.Prefixes()
	v4 := slices.IndexFunc(blocks, func(block netip.Prefix) bool { return block.Addr().Is6() })
	switch {
	case len(blocks) == 0:
		return invalid, ErrNoEntries
	case v4 <= 0:
		root = newCover(blocks, budget)
	case budget == 1:
		return invalid, errors.New("accesslist: a budget of 1 entry for IPv4 and IPv6 addresses: want at least 2")
	default:
		root = &cover{first: newCover(blocks[:v4], budget), rest: newCover(blocks[v4:], budget)}
		root.combine(budget)
	}
	best := 0
	if !root.block.IsValid() {
		best = 1
	}
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
// below it and the least to cover them with 1, 2, … entries. One entry is the node's own
// block; k entries are some for the left half and the rest for the right. The root of both
// families has no block of its own.
type cover struct {
	block       netip.Prefix
	sizes       []uint64 // sizes[k-1]: what k entries cover, in IPv4 addresses or /64
	left        []int32  // left[k-1]: entries of the k in the left half
	first, rest *cover   // the halves; nil for a block seen as it is
}

// impossible is more than any blocks cover together.
const impossible = math.MaxUint64

// newCover returns the tree of blocks of one family.
func newCover(seen []netip.Prefix, budget int) *cover {
	low, high := position(seen[0].Addr()), position(netipx.PrefixLastIP(seen[len(seen)-1]))
	units := min(seen[0].Addr().BitLen(), 64)
	length := min(bits.LeadingZeros64(low^high), units)
	c := &cover{block: netip.PrefixFrom(seen[0].Addr(), length).Masked(), sizes: []uint64{sizeOf(units - length)}}
	if len(seen) == 1 {
		return c
	}
	// The blocks part at the first bit in which they differ.
	half := uint64(1) << (63 - length)
	at := 0
	for position(seen[at].Addr())&half == 0 {
		at++
	}
	c.first, c.rest = newCover(seen[:at], budget), newCover(seen[at:], budget)
	c.combine(budget)
	return c
}

// combine computes the sizes of a node from those of its halves.
func (c *cover) combine(budget int) {
	alone := uint64(impossible)
	if len(c.sizes) > 0 {
		alone = c.sizes[0]
	}
	most := min(budget, len(c.first.sizes)+len(c.rest.sizes))
	c.sizes, c.left = make([]uint64, most), make([]int32, most)
	c.sizes[0] = alone
	for i, first := range c.first.sizes {
		for j, rest := range c.rest.sizes[:min(len(c.rest.sizes), max(0, most-i-1))] {
			both, carry := bits.Add64(first, rest, 0)
			if carry > 0 {
				both = impossible
			}
			if k := i + j + 1; c.left[k] == 0 || both < c.sizes[k] {
				c.sizes[k], c.left[k] = both, int32(i+1)
			}
		}
	}
	c.first.sizes, c.rest.sizes = nil, nil // only the choices are needed further
}

// position returns the place of an address in its family: the upper 64 bits, and of IPv4
// the 32 there are.
func position(addr netip.Addr) uint64 {
	if addr.Is4() {
		return uint64(asUint32(addr)) << 32
	}
	b := addr.As16()
	return binary.BigEndian.Uint64(b[:8])
}

// sizeOf returns 2 to the power of n, and one less for 64.
func sizeOf(n int) uint64 {
	if n == 64 {
		return impossible
	}
	return 1 << n
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
