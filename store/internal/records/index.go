package records

import (
	"slices"
	"strings"
)

// An index keeps records in the byte order of their identifiers, for pages. It is a slice
// of short sorted slices: an insertion moves a few hundred pointers, whatever the number
// of records.
type index[R identified] struct {
	chunks [][]R // none is empty; each is before the next
}

const (
	maxChunk = 512
	maxRoom  = maxChunk / 8 // places made at once
)

type identified interface{ identifier() string }

// search returns the chunk and the place in it where a record with this identifier is or
// belongs, and whether it exists. The index is not empty.
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

// put adds a record or replaces the one with the same identifier.
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
	chunk := x.chunks[c]
	if half := maxChunk / 2; len(chunk) == maxChunk {
		upper := slices.Clone(chunk[half:])
		chunk = slices.Clone(chunk[:half])
		x.chunks[c] = chunk
		x.chunks = slices.Insert(x.chunks, c+1, upper)
		if i > half {
			c, i, chunk = c+1, i-half, upper
		}
	}
	if n := len(chunk); n == cap(chunk) { // append would leave up to as much again unused
		chunk = append(make([]R, 0, n+min(n, maxRoom)), chunk...)
	}
	x.chunks[c] = slices.Insert(chunk, i, r)
}

// remove removes the record with this identifier, which exists.
func (x *index[R]) remove(id string) {
	c, i, _ := x.search(id)
	x.chunks[c] = slices.Delete(x.chunks[c], i, i+1)
	if len(x.chunks[c]) == 0 {
		x.chunks = slices.Delete(x.chunks, c, c+1)
	}
}

// after returns the first n records, or fewer, whose identifiers come after id.
func (x *index[R]) after(id string, n int) (records []R) {
	if len(x.chunks) == 0 {
		return nil
	}
	c, i, found := x.search(id)
	if found {
		i++
	}
	for ; c < len(x.chunks) && len(records) < n; c, i = c+1, 0 {
		rest := x.chunks[c][i:]
		records = append(records, rest[:min(len(rest), n-len(records))]...)
	}
	return records
}
