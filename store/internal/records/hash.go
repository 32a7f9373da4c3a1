package records

import (
	"hash/maphash"
	"math/bits"
)

// A hasher hashes key IDs. IDs of 8 to 24 bytes, nearly all, take two multiplications by secret
// random words: the way of Go's own maps on processors without AES. Nobody who does not know the
// words can choose IDs that fill one place.
type hasher struct {
	words [3]uint64
	seed  maphash.Seed // of other IDs
}

func newHasher() hasher {
	h := hasher{seed: maphash.MakeSeed()}
	for i := range h.words {
		h.words[i] = maphash.Comparable(h.seed, i)
	}
	return h
}

func (h *hasher) hash(id string) uint64 {
	n := len(id)
	if n < 8 || n > 24 {
		return maphash.String(h.seed, id)
	}
	// Three overlapping words have every byte.
	return mix(mix(word(id)^h.words[0], word(id[n/2-4:])^h.words[1])^word(id[n-8:]), uint64(n)^h.words[2])
}

func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

// word returns the first eight bytes of s, which the compiler reads at once.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
