package accesslist

import "math/bits"

// ranges is a set of IPv4 addresses, merged and compiled for membership alone. The
// bounds are where it changes: the first address of each run and the one after its
// last, ascending. An address is inside if the bounds at or before it are an odd
// number.
//
// A set of more than a few bounds has an index: the high bits of an address say
// between which two of its elements to look, most often at one bound or none. It has
// as many elements as there are bounds, more or less, of as few bytes as they need, in
// one piece of memory with the bounds: with thousands of lists a look-up costs the
// cache lines and pages that it touches.
type ranges struct {
	bounds []uint32
	index  []uint32 // element h: how many bounds have high bits less than h; empty: none
	shift  uint8    // what is left of an address by this are its high bits
	packed uint8    // elements of the index in each uint32, as a power of two: 2, 1 or 0
}

// fewBounds are searched without an index.
const fewBounds = 8

// add extends the set by addresses that do not begin before those it has.
func (r *ranges) add(first, last uint32) {
	n := len(r.bounds)
	if n > 0 && n%2 == 1 { // the run up to the last address of all
		return
	}
	if n > 0 && first <= r.bounds[n-1] { // nested, or adjacent
		if last < r.bounds[n-1] {
			return
		}
		r.bounds = r.bounds[:n-1]
	} else {
		r.bounds = append(r.bounds, first)
	}
	if last != 1<<32-1 {
		r.bounds = append(r.bounds, last+1)
	}
}

// compile makes the index, and takes no more memory than is needed.
func (r *ranges) compile() {
	n, elements, words := len(r.bounds), 0, 0
	if n > fewBounds {
		high := bits.Len(uint(n))
		r.shift = uint8(32 - high)
		switch {
		case n < 1<<8:
			r.packed = 2
		case n < 1<<16:
			r.packed = 1
		}
		elements = 1<<high + 1
		words = elements>>r.packed + 1
	}
	memory := make([]uint32, n+words)
	copy(memory, r.bounds)
	r.bounds, r.index = memory[:n:n], memory[n:]
	rank := 0
	for h := range uint32(elements) {
		for rank < n && r.bounds[rank]>>r.shift < h {
			rank++
		}
		word, offset := r.element(h)
		r.index[word] |= uint32(rank) << offset
	}
}

// element returns where an element of the index is.
func (r *ranges) element(h uint32) (word, offset uint32) {
	packed := r.packed & 3 // the compiler then knows that no shift goes beyond a word
	return h >> packed, h & (1<<packed - 1) << ((5 - packed) & 31) & 31
}

// contains reports whether addr is in the set.
func (r *ranges) contains(addr uint32) bool {
	from, to := uint32(0), uint32(len(r.bounds))
	if len(r.index) > 0 {
		high, mask := addr>>(r.shift&31), uint32(1)<<(32>>(r.packed&3))-1
		word, offset := r.element(high)
		from = r.index[word] >> offset & mask
		word, offset = r.element(high + 1)
		to = r.index[word] >> offset & mask
		for to-from > fewBounds { // addresses that crowd together
			if middle := (from + to) / 2; r.bounds[middle] <= addr {
				from = middle + 1
			} else {
				to = middle
			}
		}
	}
	for from < to && r.bounds[from] <= addr {
		from++
	}
	return from&1 == 1
}
