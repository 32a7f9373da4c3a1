package records

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

type name string

func (n name) identifier() string { return string(n) }

// checkIndex compares an index with a sorted slice.
func checkIndex(t *testing.T, x *index[name], model []name) {
	t.Helper()
	require.Equal(t, len(model), len(slices.Concat(x.chunks...)))
	require.True(t, slices.Equal(model, slices.Concat(x.chunks...)))
	for _, chunk := range x.chunks {
		require.NotEmpty(t, chunk)
		require.LessOrEqual(t, len(chunk), maxChunk)
	}
}

func TestIndexIsASortedSlice(t *testing.T) {
	for seed := range uint64(10) {
		random := rand.New(rand.NewPCG(seed, 2))
		var x index[name]
		var model []name
		ids := 10 << (seed % 10)
		for n := range 8000 {
			id := name(fmt.Sprint(random.IntN(ids)))
			i, there := slices.BinarySearch(model, id)
			switch {
			case !there && random.IntN(100) < 70-40*(n/2000%2):
				x.put(id)
				model = slices.Insert(model, i, id)
			case there && random.IntN(100) < 40+40*(n/2000%2):
				x.remove(string(id))
				model = slices.Delete(model, i, i+1)
			}
			from, limit := name(fmt.Sprint(random.IntN(ids))), 1+random.IntN(700)
			if n%3 == 0 {
				from = ""
			}
			got := x.after(string(from), limit)
			j, found := slices.BinarySearch(model, from)
			if found {
				j++
			}
			want := model[j:min(j+limit, len(model))]
			require.True(t, slices.Equal(want, got), "after %q, %d", from, limit)
			if n%499 == 0 {
				checkIndex(t, &x, model)
			}
		}
		checkIndex(t, &x, model)
	}
}

// In order, in the opposite order, and out of it again, over several chunks.
func TestIndexSplitsAndEmpties(t *testing.T) {
	var all []name
	for i := range 3*maxChunk + 7 {
		all = append(all, name(fmt.Sprintf("%05d", i)))
	}
	for title, order := range map[string]func([]name){
		"ascending":  func([]name) {},
		"descending": slices.Reverse[[]name],
		"random":     func(s []name) { rand.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] }) },
	} {
		t.Run(title, func(t *testing.T) {
			var x index[name]
			inserted := slices.Clone(all)
			order(inserted)
			for _, id := range inserted {
				x.put(id)
			}
			checkIndex(t, &x, all)
			require.Greater(t, len(x.chunks), 3)
			for i, id := range inserted {
				x.remove(string(id))
				if i == len(inserted)/2 {
					left := slices.Clone(inserted[i+1:])
					slices.Sort(left)
					checkIndex(t, &x, left)
				}
			}
			require.Empty(t, x.chunks)
			require.Empty(t, x.after("", 10))
		})
	}
}

// What after returned is a page's: it does not change with the index.
func TestIndexAfterIsACopy(t *testing.T) {
	var x index[name]
	for i := range 100 {
		x.put(name(fmt.Sprintf("%03d", i)))
	}
	got := x.after("", 10)
	want := slices.Clone(got)
	x.remove("000")
	x.put("0000")
	require.Equal(t, want, got)
}

// A record takes the place of an earlier one with the same identifier.
func TestIndexPutAgain(t *testing.T) {
	var x index[*record]
	for i := range 2000 {
		x.put(numbered(fmt.Sprintf("%04d", i%1000), i))
	}
	got := x.after("", 2000)
	require.Len(t, got, 1000)
	for i, r := range got {
		require.EqualValues(t, 1000+i, r.key.Revision)
	}
}
