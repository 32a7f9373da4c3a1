package accesslist

import "math/bits"

// ranges is a set of IPv4 addresses, merged and compiled for membership alone. The
// bounds are where it changes: the first address of each run and the one after its
// last, ascending. An address is inside if the bounds at or before it are an odd
// number.
//
// A long set has an index: the high bits of an address say between which two of its
// elements to look, most often at one bound or none. It has as many elements as there
// are bounds, more or less, so that it costs no more than they do, and what it saves
// is cache misses: a look-up touches one place in each.
type ranges struct {
	bounds []uint32
	index  []uint32 // index[h]: how many bounds have high bits less than h; nil: none
	shift  uint8    // what is left of an address by this are its high bits
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

// compile makes the index.
func (r *ranges) compile() {
	if len(r.bounds) <= fewBounds {
		return
	}
	high := bits.Len(uint(len(r.bounds)))
	r.shift = uint8(32 - high)
	r.index = make([]uint32, 1<<high+1)
	for _, bound := range r.bounds {
		r.index[bound>>r.shift+1]++
	}
	for h := 1; h < len(r.index); h++ {
		r.index[h] += r.index[h-1]
	}
}

// contains reports whether addr is in the set.
func (r *ranges) contains(addr uint32) bool {
	if r.index == nil {
		n := 0
		for _, bound := range r.bounds {
			if bound <= addr {
				n++
			}
		}
		return n&1 == 1
	}
	high := addr >> r.shift
	from, to := r.index[high], r.index[high+1]
	for to-from > fewBounds { // addresses that crowd together
		if middle := (from + to) / 2; r.bounds[middle] <= addr {
			from = middle + 1
		} else {
			to = middle
		}
	}
	for from < to && r.bounds[from] <= addr {
		from++
	}
	return from&1 == 1
}
