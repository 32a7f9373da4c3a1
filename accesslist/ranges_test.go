package accesslist

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"
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

func addr4(addr uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(addr >> 24), byte(addr >> 16), byte(addr >> 8), byte(addr)})
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
	long := plainRanges{{7, 7}, {1 << 31, 1<<31 + 9}}
	for i := range uint32(800) {
		long = append(long, [2]uint32{0xc0a80000 + 4*i, 0xc0a80000 + 4*i + 1})
	}
	for name, test := range map[string]struct {
		in     plainRanges
		bounds int // after merging
		rest   int // elements beside the root: the representation that the size wants
	}{
		"nothing":         {nil, 0, 0},
		"one address":     {plainRanges{{7, 7}}, 2, 0},
		"the first":       {plainRanges{{0, 0}}, 2, 0},
		"the last":        {plainRanges{{last, last}}, 1, 0},
		"everything":      {plainRanges{{0, last}, {5, 6}, {last, last}}, 1, 0},
		"adjacent":        {plainRanges{{8, 15}, {16, 17}, {19, 19}}, 4, 0},
		"adjacent to end": {plainRanges{{8, 15}, {16, last}, {20, 30}}, 1, 0},
		"nested":          {plainRanges{{8, 15}, {8, 8}, {9, 10}, {15, 15}, {17, 17}}, 4, 0},
		"a full root":     {spread(rootBounds / 2), rootBounds, 0},
		"one more":        {append(spread(rootBounds/2), [2]uint32{last, last}), rootBounds + 1, 3 * leafBounds},
		"full leaves":     {spread(24), 48, 4 * leafBounds},
		"a crowd":         {crowd, 84, 6 * leafBounds},
		"the most leaves": {append(spread(leavesBounds/2), [2]uint32{last, last}), leavesBounds, (rootBounds + 1) * leafBounds},
		"an index":        {spread(leavesBounds/2 + 1), leavesBounds + 1, 1<<9 + 1 + leavesBounds + 1 + step},
		"to the last":     {append(spread(400), [2]uint32{last, last}), 801, 1<<9 + 1 + 801 + step},
		"a long crowd":    {long, 1604, 1<<10 + 1 + 1604 + step},
		"very many":       {spread(1 << 15), 1 << 16, 1<<16 + 1 + 1<<16 + step},
	} {
		var bounds []uint32
		for _, run := range test.in {
			bounds = merge(bounds, run[0], run[1])
		}
		r := compileRanges(bounds)
		rest := len(r.leaves) * leafBounds
		if r.many != nil {
			rest = len(r.many.index) + len(r.many.bounds)
		}
		if len(bounds) != test.bounds || rest != test.rest {
			t.Errorf("%s: %d bounds and %d elements beside the root, want %d and %d", name, len(bounds), rest, test.bounds, test.rest)
		}
		asked := test.in
		if n := len(asked); n > 200 {
			asked = append(asked[:100:100], asked[n-100:]...)
		}
		for _, run := range append(asked, [2]uint32{0, last}) {
			for _, addr := range []uint32{run[0] - 1, run[0], run[0] + 1, run[1] - 1, run[1], run[1] + 1, rand.Uint32()} {
				if got, want := (List{shape: uint64(test.bounds) << 32, set: &set{ranges: r}}).Contains(addr4(addr), time.Time{}), test.in.contains(addr); got != want {
					t.Errorf("%s: contains(%#x) is %v, want %v", name, addr, got, want)
				}
			}
		}
	}
}

// A list of one block is in the List alone, unless the entry has a comment or a time.
func TestOneBlockNeedsNoSet(t *testing.T) {
	entry, err := Parser{}.ParseEntry("203.0.113.0/24")
	if err != nil {
		t.Fatal(err)
	}
	if l := compile([]Entry{entry}); l.set != nil || l.Len() != 1 || !l.entry(0).Equal(entry) {
		t.Errorf("a list of one block has a set (%v), or another entry than %v", l.set, entry)
	}
	entry.Comment = "office"
	if l := compile([]Entry{entry}); l.set.blocks4 != nil || l.set.bits4 != nil || !l.entry(0).Equal(entry) {
		t.Errorf("a list of one block has blocks in its set (%v), or another entry than %v", l.set.blocks4, entry)
	}
}

// The allocator has a size of 256 bytes, and such a set begins with a line.
func TestSetsAreWholeLines(t *testing.T) {
	if size := reflect.TypeFor[set]().Size(); size != 256 {
		t.Errorf("a set has %d bytes, want 256", size)
	}
}
