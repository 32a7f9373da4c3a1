package accesslist

import (
	"math/bits"
	"slices"
)

// ranges is a set of IPv4 addresses, merged and compiled for membership alone. Its bounds
// are the first address of each run and the address after its last, descending. An address
// is inside if an odd number of bounds is at or before it. A look-up counts the others, the
// bounds above the address: room to spare is zero, above no address, and does not count.
//
// With thousands of lists the cost of a look-up is the cache lines and pages touched, one
// after the other. In a single list, asked again and again, the cost is mispredicted
// branches. So no step of a search is a branch, and their number decides where the bounds lie:
//   - up to rootBounds in the root, two or three lines of memory in one piece with the set;
//   - up to leavesBounds in leaves of one line each. The root has the last bound of every
//     leaf; the number of those above an address is the leaf to search;
//   - more than that with an index.
//
// [List.Contains] searches the root and a leaf itself, because a call costs as much as
// half a search.
type ranges struct {
	root   [rootBounds]uint32
	leaves [][leafBounds]uint32
	many   *indexed
}

// indexed are many bounds and an index by the high bits of an address. It gives the bounds
// to search, most often one or two, and has about half as many elements as there are bounds.
type indexed struct {
	index  []uint32 // element h: how many bounds have high bits of at least h
	bounds []uint32 // and step zeros
}

const (
	rootBounds   = 40 // enough for any 20 entries; makes a set 256 bytes
	leafBounds   = 16 // a line of 64 bytes
	leavesBounds = rootBounds*leafBounds + leafBounds - 1
	step         = 4 // bounds compared at once
)

// compileRanges compiles bounds, as merge made them.
func compileRanges(bounds []uint32) (r ranges) {
	slices.Reverse(bounds)
	n := len(bounds)
	switch {
	case n <= rootBounds:
		copy(r.root[:], bounds)
	case n <= leavesBounds:
		r.leaves = make([][leafBounds]uint32, n/leafBounds+1)
		for i := range r.leaves {
			if copy(r.leaves[i][:], bounds[i*leafBounds:]) == leafBounds {
				r.root[i] = r.leaves[i][leafBounds-1]
			}
		}
	default:
		shift := indexShift(uint64(n))
		r.many = &indexed{make([]uint32, 1<<(32-shift)+1), slices.Concat(bounds, make([]uint32, step))}
		rank := n
		for h := range r.many.index {
			for rank > 0 && int(bounds[rank-1]>>shift) < h {
				rank--
			}
			r.many.index[h] = uint32(rank)
		}
	}
	return r
}

// indexShift returns how far to shift an address to get its high bits.
func indexShift(n uint64) int { return 33 - bits.Len64(n) }

// merge extends bounds by a run. Runs come in the order of their first address.
func merge(bounds []uint32, first, last uint32) []uint32 {
	n := len(bounds)
	if n%2 == 1 { // the run up to the last address of all
		return bounds
	}
	if n > 0 && first <= bounds[n-1] { // nested, or adjacent
		if last < bounds[n-1] {
			return bounds
		}
		bounds = bounds[:n-1]
	} else {
		bounds = append(bounds, first)
	}
	if last != 1<<32-1 {
		bounds = append(bounds, last+1)
	}
	return bounds
}

// isAbove returns 1 if a bound is above an address, and else 0: the sign of the difference.
func isAbove(bound uint32, addr uint64) uint64 { return (addr - uint64(bound)) >> 63 }

// aboveOf15 returns how many of 15 descending bounds are above an address.
func aboveOf15(line *[15]uint32, addr uint64) uint64 {
	i := isAbove(line[7], addr) * 8
	i += isAbove(line[i+3], addr) * 4
	i += isAbove(line[i+1], addr) * 2
	return i + isAbove(line[i], addr)
}

// above returns how many of n bounds are above an address.
func (x *indexed) above(n, addr uint64) uint64 {
	h := addr >> indexShift(n)
	from, to := uint64(x.index[h+1]), uint64(x.index[h])
	for size := to - from; size > step; {
		half := size / 2
		from += half & -isAbove(x.bounds[from+half-1], addr)
		size -= half
	}
	// Bounds of lower high bits follow and do not count.
	b := x.bounds[from:][:step]
	return from + isAbove(b[0], addr) + isAbove(b[1], addr) + isAbove(b[2], addr) + isAbove(b[3], addr)
}
