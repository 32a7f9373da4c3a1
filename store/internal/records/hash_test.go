package records

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Every byte and the length count, in IDs of every length.
func TestHashReadsEveryByte(t *testing.T) {
	h := newHasher()
	seen := map[uint64]string{}
	note := func(id string) {
		hash := h.hash(id)
		assert.Equal(t, hash, h.hash(strings.Clone(id)))
		assert.Empty(t, seen[hash], "the hash of %q, too", id)
		seen[hash] = id
	}
	for n := range 41 {
		id := strings.Repeat("a", n)
		note(id)
		for i := range n {
			note(id[:i] + "b" + id[i+1:])
		}
	}
}

// IDs of one length with the same words are the same, and the table reads nothing else of them.
func TestWordsHaveEveryByte(t *testing.T) {
	for n := range 41 {
		assert.Equal(t, n >= 8 && n <= 24, hasWords(n), n)
		if !hasWords(n) {
			continue
		}
		id := strings.Repeat("a", n)
		for i := range n {
			assert.NotEqual(t, wordsOf(id), wordsOf(id[:i]+"b"+id[i+1:]), "%d of %d bytes", i, n)
		}
	}
}

// The places of a table are chosen by the lowest bits, the tags by the highest: numbered IDs
// fill both evenly. The secret words are the same in each run: with one in some thousands a place
// gets nearly twice its share, and its searches are a little longer.
func TestHashSpreads(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		h := newHasher()
		for i := range h.secret {
			h.secret[i] = random.Uint64()
		}
		var places, tags [128]int
		const each = 200
		for i := range each * len(places) {
			hash := h.hash(fmt.Sprintf("key-%07d", i))
			places[hash%128]++
			tags[tagOf(hash)-taken]++
		}
		for i := range places {
			assert.InDelta(t, each, places[i], 150, "place %d", i)
			assert.InDelta(t, each, tags[i], 150, "tag %d", i)
		}
	}
}

// Two tables of one process place the same IDs differently: who has seen one knows nothing of
// the other.
func TestHashIsSecret(t *testing.T) {
	a, b := newHasher(), newHasher()
	for n := range 41 {
		if n > 0 {
			id := strings.Repeat("a", n)
			assert.NotEqual(t, a.hash(id), b.hash(id), n)
		}
	}
}
