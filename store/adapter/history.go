package adapter

import (
	"crypto/rand"
	"encoding/binary"
	"math"

	"github.com/sallyport-go/sallyport/store"
)

// NewHistory begins a history of a store that has come to a revision, and may have lost
// later ones. It returns the position to go on from: a random name (W9), and a revision up
// to 2^32 greater.
//
// How many revisions were lost is unknown, so the new ones begin at a random place behind.
// A certain lost revision is given again (S27) with a probability of n in 2^32, after n
// writes in the new history. The largest revision is 2^63-1, enough for two thousand
// million histories.
func NewHistory(after uint64) store.Position {
	var skip [4]byte
	_, _ = rand.Read(skip[:]) // never fails
	from := after + uint64(binary.NativeEndian.Uint32(skip[:]))
	if from < after || from >= math.MaxInt64 { // there is no room behind
		from = after
	}
	return store.Position{History: rand.Text(), Revision: from}
}
