package accesslist

import (
	"encoding/binary"
	"net/netip"
	"sort"
	"time"
)

// The shape of a list is one number. It answers most questions without reading other memory.
// Zero is a list without entries. The upper 32 bits are the first address of a list of one
// block, and otherwise the number of bounds (see ranges).
const (
	hostBits = 1<<6 - 1 // 32 less the length of the prefix, in a list of one block
	listed   = 1 << 6   // there are entries, or the list is invalid
	expiring = 1 << 7   // an entry has an expiry
	oneBlock = 1 << 8   // the only entry is IPv4
	broken   = 1 << 9   // the list was returned with an error
)

// A set is the rest of the compiled list. The part for membership comes first, for a short
// list all in one piece of memory. An entry without a comment costs nine bytes and its
// bounds. A list of one block without details has no set, and with details the set has
// nothing else.
//
// Blocks either nest or are disjoint, so the entries form a forest, and in the
// order of compareEntries an entry comes after all blocks around it. Therefore only one
// leaf can cover an address: the last entry beginning at or before it. The entries
// covering the address are that leaf and its ancestors, the most specific first.
type set struct {
	ranges             // merged IPv4 entries without expiry
	blocks4 []block4   // IPv4 entries
	bits4   []uint8    // lengths of their prefixes
	blocks6 *[]block6  // IPv6 entries, after the IPv4 ones; nil if there are none
	details *[]details // nil if no entry has any
}

type block4 struct {
	first  uint32
	parent int32 // the nearest entry around it, or -1
}

type block6 struct {
	netip.Prefix
	parent int32
}

// details are absent from most entries of a long list.
type details struct {
	comment        string
	added, expires time.Time
}

// compile makes a list of sorted, distinct entries.
func compile(entries []Entry) List {
	if len(entries) == 0 {
		return List{}
	}
	// IPv4 comes first. The capacities are exact, since a store holds many short lists.
	n4 := sort.Search(len(entries), func(i int) bool { return entries[i].prefix.Addr().Is6() })
	l := List{shape: listed, set: &set{blocks4: make([]block4, 0, n4), bits4: make([]uint8, 0, n4)}}
	if n6 := len(entries) - n4; n6 > 0 {
		blocks := make([]block6, 0, n6)
		l.set.blocks6 = &blocks
	}
	var permanent []uint32
	for i, e := range entries {
		parent := i - 1
		for parent >= 0 && !entries[parent].prefix.Contains(e.prefix.Addr()) {
			parent = l.parent(parent)
		}
		if i < n4 {
			first := asUint32(e.prefix.Addr())
			l.set.blocks4 = append(l.set.blocks4, block4{first, int32(parent)})
			l.set.bits4 = append(l.set.bits4, uint8(e.prefix.Bits()))
			if e.Expires.IsZero() {
				permanent = merge(permanent, first, first|uint32(1<<(32-e.prefix.Bits())-1))
			}
		} else {
			*l.set.blocks6 = append(*l.set.blocks6, block6{e.prefix, int32(parent)})
		}
		if e.Comment != "" || !e.Added.IsZero() || !e.Expires.IsZero() {
			if l.set.details == nil {
				all := make([]details, len(entries))
				l.set.details = &all
			}
			if !e.Expires.IsZero() {
				l.shape |= expiring
			}
			// With the monotonic reading an entry would print differently after a
			// round trip through JSON.
			(*l.set.details)[i] = details{e.Comment, e.Added.Round(0), e.Expires.Round(0)}
		}
	}
	if len(entries) == 1 && n4 == 1 {
		l.shape |= oneBlock | uint64(l.set.blocks4[0].first)<<32 | uint64(32-l.set.bits4[0])
		if l.set.details == nil {
			return List{shape: l.shape}
		}
		return List{shape: l.shape, set: &set{details: l.set.details}}
	}
	l.shape |= uint64(len(permanent)) << 32
	l.set.ranges = compileRanges(permanent)
	return l
}

func (l List) prefix(i int) netip.Prefix {
	first, bits := uint32(l.shape>>32), 32-int(l.shape&hostBits)
	if l.shape&oneBlock == 0 {
		if i >= len(l.set.blocks4) {
			return (*l.set.blocks6)[i-len(l.set.blocks4)].Prefix
		}
		first, bits = l.set.blocks4[i].first, int(l.set.bits4[i])
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], first)
	return netip.PrefixFrom(netip.AddrFrom4(b), bits)
}

// parent returns the index of the nearest entry around an entry, or -1.
func (l List) parent(i int) int {
	switch {
	case l.shape&oneBlock != 0:
		return -1
	case i >= len(l.set.blocks4):
		return int((*l.set.blocks6)[i-len(l.set.blocks4)].parent)
	}
	return int(l.set.blocks4[i].parent)
}

func (l List) entry(i int) Entry {
	e := Entry{prefix: l.prefix(i)}
	if l.set != nil && l.set.details != nil {
		d := &(*l.set.details)[i]
		e.Comment, e.Added, e.Expires = d.comment, d.added, d.expires
	}
	return e
}

// find returns the index of the entry with exactly this prefix, or -1.
func (l List) find(prefix netip.Prefix) int {
	i, found := sort.Find(l.Len(), func(i int) int { return comparePrefixes(prefix, l.prefix(i)) })
	if !found {
		return -1
	}
	return i
}

// match returns the index of the most specific live entry that covers addr at
// now, or -1.
func (l List) match(addr netip.Addr, now time.Time) int {
	addr = unmap(addr)
	n4, i := 0, -1
	switch {
	case l.shape&oneBlock != 0:
		i = 0
	case l.set == nil:
	case addr.Is4():
		a := asUint32(addr)
		i = sort.Search(len(l.set.blocks4), func(i int) bool { return l.set.blocks4[i].first > a }) - 1
	case addr.Is6() && l.set.blocks6 != nil:
		n4 = len(l.set.blocks4)
		blocks := *l.set.blocks6
		i = n4 + sort.Search(len(blocks), func(i int) bool { return blocks[i].Addr().Compare(addr) > 0 }) - 1
	}
	for i >= n4 && !(l.prefix(i).Contains(addr) && l.live(i, now)) {
		i = l.parent(i)
	}
	if i < n4 {
		return -1
	}
	return i
}

func (l List) live(i int, now time.Time) bool {
	if l.set == nil || l.set.details == nil {
		return true
	}
	expires := (*l.set.details)[i].expires
	return expires.IsZero() || now.Before(expires)
}

func asUint32(addr netip.Addr) uint32 {
	b := addr.As4()
	return binary.BigEndian.Uint32(b[:])
}
