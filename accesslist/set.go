package accesslist

import (
	"encoding/binary"
	"net/netip"
	"sort"
	"time"
	"unsafe"
)

// A set is the compiled form of a list. The fields for membership come first, for a
// short list all in one piece of memory.
type set struct {
	permanent ranges // merged IPv4 entries without expiry
	expiring  bool   // any entry has an expiry
	*columns
}

// columns are the entries. In columns a look-up touches addresses only, and an entry
// without a comment costs nine bytes and its place in the tree.
//
// Blocks either nest or are disjoint, so the entries form a forest, and in the
// order of compareEntries an entry comes after all blocks around it. Therefore only one
// leaf can cover an address: the last entry beginning at or before it. The entries
// covering the address are that leaf and its ancestors, the most specific first.
type columns struct {
	first4  []uint32       // IPv4 entries: the first address
	bits4   []uint8        // and the length of the prefix
	blocks6 []netip.Prefix // IPv6 entries, which come after the IPv4 ones
	parent  []int32        // the nearest entry around each, or -1
	details []details      // nil when no entry has any
}

// newSet returns a set and memory for size bytes of ranges. For small sizes the memory
// follows the set: one piece of memory to fetch instead of two.
func newSet(size int) (*set, []byte) {
	switch size += headerSize; {
	case size <= 64:
		s := new(roomy[[64 - headerSize]byte])
		return &s.set, s.room[:0]
	case size <= 128:
		s := new(roomy[[128 - headerSize]byte])
		return &s.set, s.room[:0]
	case size <= 192:
		s := new(roomy[[192 - headerSize]byte])
		return &s.set, s.room[:0]
	case size <= 256:
		s := new(roomy[[256 - headerSize]byte])
		return &s.set, s.room[:0]
	case size <= 320:
		s := new(roomy[[320 - headerSize]byte])
		return &s.set, s.room[:0]
	case size <= 384:
		s := new(roomy[[384 - headerSize]byte])
		return &s.set, s.room[:0]
	case size <= 512:
		s := new(roomy[[512 - headerSize]byte])
		return &s.set, s.room[:0]
	case size <= 768:
		s := new(roomy[[768 - headerSize]byte])
		return &s.set, s.room[:0]
	case size <= 1024:
		s := new(roomy[[1024 - headerSize]byte])
		return &s.set, s.room[:0]
	case size <= 1536:
		s := new(roomy[[1536 - headerSize]byte])
		return &s.set, s.room[:0]
	case size <= 2304:
		s := new(roomy[[2304 - headerSize]byte])
		return &s.set, s.room[:0]
	case size <= 3072:
		s := new(roomy[[3072 - headerSize]byte])
		return &s.set, s.room[:0]
	}
	return new(set), make([]byte, 0, size-headerSize)
}

const headerSize = int(unsafe.Sizeof(set{}))

type roomy[A any] struct {
	set
	room A
}

// details are absent from most entries of a long list.
type details struct {
	comment        string
	added, expires time.Time
}

// compile makes a set of sorted, distinct entries.
func compile(entries []Entry) *set {
	if len(entries) == 0 {
		return nil
	}
	s := columns{parent: make([]int32, 0, len(entries))}
	expiring := false
	var permanent []uint32
	for i, e := range entries {
		if e.prefix.Addr().Is4() {
			s.first4 = append(s.first4, asUint32(e.prefix.Addr()))
			s.bits4 = append(s.bits4, uint8(e.prefix.Bits()))
			if e.Expires.IsZero() {
				permanent = merge(permanent, s.first4[i], s.first4[i]|uint32(1<<(32-e.prefix.Bits())-1))
			}
		} else {
			s.blocks6 = append(s.blocks6, e.prefix)
		}
		parent := i - 1
		for parent >= 0 && !entries[parent].prefix.Contains(e.prefix.Addr()) {
			parent = int(s.parent[parent])
		}
		s.parent = append(s.parent, int32(parent))
		if e.Comment != "" || !e.Added.IsZero() || !e.Expires.IsZero() {
			if s.details == nil {
				s.details = make([]details, len(entries))
			}
			expiring = expiring || !e.Expires.IsZero()
			// With the monotonic reading an entry would print differently after a
			// round trip through JSON.
			s.details[i] = details{e.Comment, e.Added.Round(0), e.Expires.Round(0)}
		}
	}
	compiled, memory := newSet(rangesSize(permanent))
	compiled.permanent = compileRanges(permanent, memory)
	compiled.expiring, compiled.columns = expiring, &s
	return compiled
}

func (s *set) len() int {
	if s == nil {
		return 0
	}
	return len(s.parent)
}

func (s *set) prefix(i int) netip.Prefix {
	if i >= len(s.first4) {
		return s.blocks6[i-len(s.first4)]
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], s.first4[i])
	return netip.PrefixFrom(netip.AddrFrom4(b), int(s.bits4[i]))
}

func (s *set) entry(i int) Entry {
	e := Entry{prefix: s.prefix(i)}
	if s.details != nil {
		d := &s.details[i]
		e.Comment, e.Added, e.Expires = d.comment, d.added, d.expires
	}
	return e
}

// find returns the index of the entry with exactly this prefix, or -1.
func (s *set) find(prefix netip.Prefix) int {
	i, found := sort.Find(s.len(), func(i int) int { return comparePrefixes(prefix, s.prefix(i)) })
	if !found {
		return -1
	}
	return i
}

// contains reports whether a live entry covers addr at now.
func (s *set) contains(addr netip.Addr, now time.Time) bool {
	switch {
	case s == nil:
		return false
	case !addr.Is4():
		return s.match(addr, now) >= 0
	case s.expiring:
		return s.permanent.contains(asUint32(addr)) || s.match(addr, now) >= 0
	}
	return s.permanent.contains(asUint32(addr))
}

// match returns the index of the most specific live entry that covers addr at
// now, or -1.
func (s *set) match(addr netip.Addr, now time.Time) int {
	if s == nil {
		return -1
	}
	addr = unmap(addr)
	i := -1
	switch {
	case addr.Is4():
		for i = s.last4(asUint32(addr)); i >= 0 && !s.covers4(i, asUint32(addr), now); i = int(s.parent[i]) {
		}
	case addr.Is6():
		n4 := len(s.first4)
		i = n4 + sort.Search(len(s.blocks6), func(i int) bool { return s.blocks6[i].Addr().Compare(addr) > 0 }) - 1
		if i < n4 {
			return -1
		}
		for ; i >= 0 && !(s.blocks6[i-n4].Contains(addr) && s.live(i, now)); i = int(s.parent[i]) {
		}
	}
	return i
}

// last4 returns the index of the last IPv4 entry beginning at or before addr, or -1.
func (s *set) last4(addr uint32) int {
	lo, hi := 0, len(s.first4)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); s.first4[mid] <= addr {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo - 1
}

func (s *set) covers4(i int, addr uint32, now time.Time) bool {
	// A shift by 32, for /0, leaves nothing in Go.
	return (addr^s.first4[i])>>(32-s.bits4[i]) == 0 && s.live(i, now)
}

func (s *set) live(i int, now time.Time) bool {
	if s.details == nil {
		return true
	}
	expires := s.details[i].expires
	return expires.IsZero() || now.Before(expires)
}

func asUint32(addr netip.Addr) uint32 {
	b := addr.As4()
	return binary.BigEndian.Uint32(b[:])
}
