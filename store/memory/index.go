package memory

import (
	"slices"
	"strings"
)

// An index keeps records in the order of the bytes of their identifiers, for pages. It
// is a slice of short sorted slices, so that an insertion moves a few hundred pointers
// however many there are.
type index[R identified] struct {
	chunks [][]R // none is empty; each is before the next
}

const maxChunk = 512

type identified interface{ identifier() string }

// search returns the chunk in which a record with this identifier is or belongs, the
// place in the chunk, and whether it is there. The index is not empty.
func (x *index[R]) search(id string) (chunk, place int, found bool) {
	chunk, _ = slices.BinarySearchFunc(x.chunks, id, func(chunk []R, id string) int {
		return strings.Compare(chunk[len(chunk)-1].identifier(), id)
	})
	chunk = min(chunk, len(x.chunks)-1)
	place, found = slices.BinarySearchFunc(x.chunks[chunk], id, func(r R, id string) int {
		return strings.Compare(r.identifier(), id)
	})
	return chunk, place, found
}

// put adds a record, in place of an earlier one with the same identifier if there is
// one.
func (x *index[R]) put(r R) {
	if len(x.chunks) == 0 {
		x.chunks = [][]R{{r}}
		return
	}
	c, i, found := x.search(r.identifier())
	if found {
		x.chunks[c][i] = r
		return
	}
	x.chunks[c] = slices.Insert(x.chunks[c], i, r)
	if half := len(x.chunks[c]) / 2; len(x.chunks[c]) > maxChunk {
		upper := slices.Clone(x.chunks[c][half:])
		clear(x.chunks[c][half:])
		x.chunks[c] = x.chunks[c][:half]
		x.chunks = slices.Insert(x.chunks, c+1, upper)
	}
}

// remove takes the record out that has this identifier.
func (x *index[R]) remove(id string) {
	c, i, _ := x.search(id)
	x.chunks[c] = slices.Delete(x.chunks[c], i, i+1)
	if len(x.chunks[c]) == 0 {
		x.chunks = slices.Delete(x.chunks, c, c+1)
	}
}

// after returns the first n records whose identifiers come after id, and whether there
// are more.
func (x *index[R]) after(id string, n int) (records []R, more bool) {
	if len(x.chunks) == 0 {
		return nil, false
	}
	c, i, found := x.search(id)
	if found {
		i++
	}
	for ; c < len(x.chunks); c, i = c+1, 0 {
		rest := x.chunks[c][i:]
		if len(records)+len(rest) > n {
			return append(records, rest[:n-len(records)]...), true
		}
		records = append(records, rest...)
	}
	return records, false
}
