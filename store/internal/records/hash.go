package records

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// A hasher hashes key IDs. IDs of 8 to 24 bytes, nearly all, take two multiplications by secret
// random words: the way of Go's own maps on processors without AES. Nobody who does not know the
// words can choose IDs that fill one place.
type hasher struct {
	secret [3]uint64
	seed   maphash.Seed // of other IDs
}

func newHasher() hasher {
	h := hasher{seed: maphash.MakeSeed()}
	for i := range h.secret {
		h.secret[i] = maphash.Comparable(h.seed, i)
	}
	return h
}

func (h *hasher) hash(id string) uint64 {
	if n := len(id); hasWords(n) {
		return h.mix(wordsOf(id), n)
	}
	return maphash.String(h.seed, id)
}

// mix is hash for the words of an ID of n bytes.
func (h *hasher) mix(w words, n int) uint64 {
	return multiply(multiply(w.first^h.secret[0], w.middle^h.secret[1])^w.last, uint64(n)^h.secret[2])
}

func multiply(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

// words are an ID of 8 to 24 bytes as numbers. They overlap and have every byte, so IDs with the
// same words and the same length are the same.
type words struct{ first, middle, last uint64 }

func hasWords(n int) bool { return uint(n)-8 <= 24-8 }

// wordsOf returns the words of an ID that has them. The conversion copies nothing.
func wordsOf(id string) words {
	b, n := []byte(id), len(id)
	return words{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n/2-4 : n/2+4]), binary.LittleEndian.Uint64(b[n-8:])}
}
