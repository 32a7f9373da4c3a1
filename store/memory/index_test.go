package memory

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// checkIndex compares an index with a sorted slice.
func checkIndex(t *testing.T, x *index, model []string) {
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
		var x index
		var model []string
		ids := 10 << (seed % 10)
		for n := range 8000 {
			id := fmt.Sprint(random.IntN(ids))
			i, there := slices.BinarySearch(model, id)
			switch {
			case !there && random.IntN(100) < 70-40*(n/2000%2):
				x.insert(id)
				model = slices.Insert(model, i, id)
			case there && random.IntN(100) < 40+40*(n/2000%2):
				x.remove(id)
				model = slices.Delete(model, i, i+1)
			}
			from, limit := fmt.Sprint(random.IntN(ids)), 1+random.IntN(700)
			if n%3 == 0 {
				from = ""
			}
			got, more := x.after(from, limit)
			j, found := slices.BinarySearch(model, from)
			if found {
				j++
			}
			want := model[j:min(j+limit, len(model))]
			require.True(t, slices.Equal(want, got), "after %q, %d", from, limit)
			require.Equal(t, j+limit < len(model), more)
			if n%499 == 0 {
				checkIndex(t, &x, model)
			}
		}
		checkIndex(t, &x, model)
	}
}

// In order, in the opposite order, and out of it again, over several chunks.
func TestIndexSplitsAndEmpties(t *testing.T) {
	var all []string
	for i := range 3*maxChunk + 7 {
		all = append(all, fmt.Sprintf("%05d", i))
	}
	for name, order := range map[string]func([]string){
		"ascending":  func([]string) {},
		"descending": slices.Reverse[[]string],
		"random":     func(s []string) { rand.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] }) },
	} {
		t.Run(name, func(t *testing.T) {
			var x index
			inserted := slices.Clone(all)
			order(inserted)
			for _, id := range inserted {
				x.insert(id)
			}
			checkIndex(t, &x, all)
			require.Greater(t, len(x.chunks), 3)
			for i, id := range inserted {
				x.remove(id)
				if i == len(inserted)/2 {
					left := slices.Clone(inserted[i+1:])
					slices.Sort(left)
					checkIndex(t, &x, left)
				}
			}
			require.Empty(t, x.chunks)
			got, more := x.after("", 10)
			require.Empty(t, got)
			require.False(t, more)
		})
	}
}

// What after returned is a page's: it does not change with the index.
func TestIndexAfterIsACopy(t *testing.T) {
	var x index
	for i := range 100 {
		x.insert(fmt.Sprintf("%03d", i))
	}
	got, _ := x.after("", 10)
	want := slices.Clone(got)
	x.remove("000")
	x.insert("0000")
	require.Equal(t, want, got)
}
