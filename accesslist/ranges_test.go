package accesslist

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
	"unsafe"
)

// The same ranges as a plain list, to compare with.
type plainRanges [][2]uint32

func (p plainRanges) contains(addr uint32) bool {
	for _, r := range p {
		if r[0] <= addr && addr <= r[1] {
			return true
		}
	}
	return false
}

// spread is n ranges all over the addresses.
func spread(n uint32) (p plainRanges) {
	for i := range n {
		p = append(p, [2]uint32{i * ((1<<32 - 1) / n), i*((1<<32-1)/n) + i%5})
	}
	return p
}

func TestRanges(t *testing.T) {
	const last = 1<<32 - 1
	crowd := plainRanges{{7, 7}, {1 << 31, 1<<31 + 9}}
	for i := range uint32(40) { // all in one element of the index
		crowd = append(crowd, [2]uint32{0xc0a80000 + 4*i, 0xc0a80000 + 4*i + 1})
	}
	for name, test := range map[string]struct {
		in     plainRanges
		bounds int // after merging
		index  int // bytes of the index: the representation that the size wants
	}{
		"nothing":         {nil, 0, 0},
		"one address":     {plainRanges{{7, 7}}, 2, 0},
		"the first":       {plainRanges{{0, 0}}, 2, 0},
		"the last":        {plainRanges{{last, last}}, 1, 0},
		"everything":      {plainRanges{{0, last}, {5, 6}, {last, last}}, 1, 0},
		"adjacent":        {plainRanges{{8, 15}, {16, 17}, {19, 19}}, 4, 0},
		"adjacent to end": {plainRanges{{8, 15}, {16, last}, {20, 30}}, 1, 0},
		"nested":          {plainRanges{{8, 15}, {8, 8}, {9, 10}, {15, 15}, {17, 17}}, 4, 0},
		"the most of few": {plainRanges{{0, 1}, {3, 3}, {5, 5}, {7, 9}}, 8, 0},
		"one more":        {plainRanges{{0, 1}, {3, 3}, {5, 5}, {7, 9}, {1 << 30, last}}, 9, 1<<3 + 1},
		"a crowd":         {crowd, 84, 1<<6 + 1},
		"the most bytes":  {spread(127), 254, 1<<7 + 1},
		"two bytes each":  {spread(128), 256, 2 * (1<<8 + 1)},
		"the most of two": {spread(1<<15 - 1), 1<<16 - 2, 2 * (1<<15 + 1)},
		"four bytes each": {spread(1 << 15), 1 << 16, 4 * (1<<16 + 1)},
	} {
		var bounds []uint32
		for _, run := range test.in {
			bounds = merge(bounds, run[0], run[1])
		}
		r := compileRanges(bounds, make([]byte, 0, rangesSize(bounds)))
		if index := len(r.data) - 4*(len(bounds)+step); len(bounds) != test.bounds || index != test.index || cap(r.data) != len(r.data) {
			t.Errorf("%s: %d bounds and an index of %d bytes, want %d and %d", name, len(bounds), index, test.bounds, test.index)
		}
		asked := test.in
		if n := len(asked); n > 200 {
			asked = append(asked[:100:100], asked[n-100:]...)
		}
		for _, run := range append(asked, [2]uint32{0, last}) {
			for _, addr := range []uint32{run[0] - 1, run[0], run[0] + 1, run[1] - 1, run[1], run[1] + 1, rand.Uint32()} {
				if got, want := r.contains(addr), test.in.contains(addr); got != want {
					t.Errorf("%s: contains(%#x) is %v, want %v", name, addr, got, want)
				}
			}
		}
	}
}

// A list of up to some 300 entries is one piece of memory, as far as membership goes.
func TestShortListsAreOnePiece(t *testing.T) {
	var entries []Entry
	for n := range 400 {
		entry, err := Parser{}.NewEntry(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 1}), 32))
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry)
		s := compile(entries)
		size := len(s.permanent.data)
		behind := uintptr(unsafe.Pointer(&s.permanent.data[0])) == uintptr(unsafe.Pointer(s))+uintptr(headerSize)
		if want := size <= 3072-headerSize; behind != want {
			t.Errorf("%d entries, %d bytes: behind the set is %t, want %t", len(entries), size, behind, want)
		}
		inside, outside := entry.Prefix().Addr(), entry.Prefix().Addr().Next()
		if !s.contains(inside, time.Time{}) || s.contains(outside, time.Time{}) {
			t.Errorf("%d entries: %s is %t and %s is %t, want true and false", len(entries),
				inside, s.contains(inside, time.Time{}), outside, s.contains(outside, time.Time{}))
		}
	}
}
