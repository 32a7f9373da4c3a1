package memory

import "slices"

// An index keeps identifiers in the order of their bytes, for pages. It is a slice
// of short sorted slices, so that an insertion moves a few hundred identifiers
// however many there are.
type index struct {
	chunks [][]string // none is empty; each is before the next
}

const maxChunk = 512

// chunk returns the index of the chunk in which id is or belongs.
func (x *index) chunk(id string) int {
	i, _ := slices.BinarySearchFunc(x.chunks, id, func(chunk []string, id string) int {
		if chunk[len(chunk)-1] < id {
			return -1
		}
		return 0
	})
	return min(i, len(x.chunks)-1)
}

// insert adds an identifier that is not in the index.
func (x *index) insert(id string) {
	if len(x.chunks) == 0 {
		x.chunks = [][]string{{id}}
		return
	}
	c := x.chunk(id)
	i, _ := slices.BinarySearch(x.chunks[c], id)
	x.chunks[c] = slices.Insert(x.chunks[c], i, id)
	if half := len(x.chunks[c]) / 2; len(x.chunks[c]) > maxChunk {
		upper := slices.Clone(x.chunks[c][half:])
		clear(x.chunks[c][half:])
		x.chunks[c] = x.chunks[c][:half]
		x.chunks = slices.Insert(x.chunks, c+1, upper)
	}
}

// remove takes an identifier out that is in the index.
func (x *index) remove(id string) {
	c := x.chunk(id)
	i, _ := slices.BinarySearch(x.chunks[c], id)
	x.chunks[c] = slices.Delete(x.chunks[c], i, i+1)
	if len(x.chunks[c]) == 0 {
		x.chunks = slices.Delete(x.chunks, c, c+1)
	}
}

// after returns the first n identifiers that come after id, and whether there are
// more.
func (x *index) after(id string, n int) (ids []string, more bool) {
	if len(x.chunks) == 0 {
		return nil, false
	}
	c := x.chunk(id)
	i, found := slices.BinarySearch(x.chunks[c], id)
	if found {
		i++
	}
	for ; c < len(x.chunks); c, i = c+1, 0 {
		rest := x.chunks[c][i:]
		if len(ids)+len(rest) > n {
			return append(ids, rest[:n-len(ids)]...), true
		}
		ids = append(ids, rest...)
	}
	return ids, false
}
