package accesslist

import (
	"encoding/binary"
	"math/bits"
)

// ranges is a set of IPv4 addresses, merged and compiled for membership alone. Its bounds
// are the first address of each run and the address after its last, ascending. An address
// is inside if an odd number of bounds is at or before it.
//
// A set of more than a few bounds has an index by the high bits of an address. It gives
// the bounds to search, most often one or two. The index has about half as many elements
// as there are bounds, in as few bytes as possible, in one piece of memory with the
// bounds: with thousands of lists the cost of a look-up is the cache lines and pages
// touched. In a single list, asked again and again, the cost is mispredicted branches; so
// the only branch of the search is its number of steps.
type ranges struct {
	data  []byte // the index, the bounds, and a step of bounds behind all addresses but the last
	n     uint32 // bounds
	shift uint8  // shifts an address to its high bits
	width uint8  // bytes of an element of the index: 1, 2 or 4; 0: none
}

const (
	step      = 4 // bounds compared at once
	fewBounds = 8 // most bounds without an index
)

// shape returns the layout for bounds, and the number of elements of the index.
func shape(bounds []uint32) (r ranges, elements int) {
	r.n = uint32(len(bounds))
	if len(bounds) <= fewBounds {
		return r, 0
	}
	switch {
	case r.n < 1<<8:
		r.width = 1
	case r.n < 1<<16:
		r.width = 2
	default:
		r.width = 4
	}
	high := bits.Len32(r.n) - 1
	r.shift = uint8(32 - high)
	return r, 1<<high + 1
}

// rangesSize returns how many bytes compileRanges needs for bounds.
func rangesSize(bounds []uint32) int {
	r, elements := shape(bounds)
	return (len(bounds)+step)*4 + elements*int(r.width)
}

// compileRanges compiles bounds, as merge made them, into memory.
func compileRanges(bounds []uint32, memory []byte) ranges {
	r, elements := shape(bounds)
	r.data = memory
	// Element h is the number of bounds with high bits less than h.
	rank := 0
	for h := range uint32(elements) {
		for rank < len(bounds) && bounds[rank]>>r.shift < h {
			rank++
		}
		switch r.width {
		case 1:
			r.data = append(r.data, uint8(rank))
		case 2:
			r.data = binary.LittleEndian.AppendUint16(r.data, uint16(rank))
		case 4:
			r.data = binary.LittleEndian.AppendUint32(r.data, uint32(rank))
		}
	}
	for _, bound := range bounds {
		r.data = binary.LittleEndian.AppendUint32(r.data, bound)
	}
	for range step {
		r.data = binary.LittleEndian.AppendUint32(r.data, 1<<32-1)
	}
	return r
}

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

// between returns the bounds of element h of the index: the half-open range from, to.
func (r *ranges) between(h uint32) (from, to uint32) {
	switch index := r.data; r.width {
	case 1:
		return uint32(index[h]), uint32(index[h+1])
	case 2:
		index = index[h*2:][:4]
		return uint32(binary.LittleEndian.Uint16(index)), uint32(binary.LittleEndian.Uint16(index[2:]))
	case 4:
		index = index[h*4:][:8]
		return binary.LittleEndian.Uint32(index), binary.LittleEndian.Uint32(index[4:])
	}
	return 0, r.n
}

// contains reports whether addr is in the set.
func (r *ranges) contains(addr uint32) bool {
	if r.data == nil {
		return false
	}
	from, to := r.between(addr >> (r.shift & 31))
	bounds := r.data[len(r.data)-int(r.n+step)*4:]
	after := uint64(addr) + 1 // less a bound at or before addr it does not borrow
	for size := to - from; size > step; {
		half := size / 2
		before := uint64(binary.LittleEndian.Uint32(bounds[(from+half-1)*4:])) - after
		from += half & uint32(before>>32) // all bits of it are set if that bound is at or before addr
		size -= half
	}
	// Bounds of later elements of the index come after addr and do not count.
	b := bounds[from*4:][:4*step]
	at := uint64(from) +
		(uint64(binary.LittleEndian.Uint32(b[0:]))-after)>>63 +
		(uint64(binary.LittleEndian.Uint32(b[4:]))-after)>>63 +
		(uint64(binary.LittleEndian.Uint32(b[8:]))-after)>>63 +
		(uint64(binary.LittleEndian.Uint32(b[12:]))-after)>>63
	// The padding after the bounds counts for the last address of all.
	return min(at, uint64(r.n))&1 == 1
}
