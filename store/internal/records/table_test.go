package records

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
)

func newTable() *table {
	made := new(table)
	made.init()
	return made
}

// numbered is a record to tell from others by its number.
func numbered(id string, n int) *record {
	return &record{key: apikey.Key{ID: apikey.ID(id), Revision: uint64(n)}}
}

// checkTable compares a table with a map, and looks into its groups.
func checkTable(t *testing.T, table *table, model map[string]int) {
	t.Helper()
	for id, want := range model {
		r, at := table.get(id)
		require.NotNil(t, r, id)
		require.EqualValues(t, want, r.key.Revision, id)
		require.True(t, table.holds(r, at), id)
	}
	g := table.groups.Load()
	live, used := 0, 0
	for i := range g.groups {
		tags := g.groups[i].tags.Load()
		require.EqualValues(t, removed, tags>>56, "the last byte is no place's")
		for slot := range g.groups[i].slots {
			r, tag := g.groups[i].slots[slot].Load(), tags>>(8*slot)&0xff
			switch tag {
			case empty:
				require.Nil(t, r)
				continue
			case removed:
				require.Nil(t, r)
			default:
				require.NotNil(t, r)
				require.Equal(t, tagOf(table.hash(string(r.key.ID))), tag)
				live++
			}
			used++
		}
	}
	require.Equal(t, len(model), live, "live records")
	require.Equal(t, len(model), table.live)
	require.Equal(t, used, table.used, "records and places of removed ones")
	require.False(t, g.full(used), "a search must come to an empty place")
}

// The table is a map, whatever is put and removed in whatever order.
func TestTableIsAMap(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		table, model := newTable(), map[string]int{}
		ids := 1 << (2 + seed%9) // few make many removals, many make it grow
		for n := range 5000 {
			id := fmt.Sprint(random.IntN(ids))
			switch _, there := model[id]; {
			case random.IntN(100) < 60-40*(n/1000%2): // phases of growth and of decline
				table.put(numbered(id, n))
				model[id] = n
			default:
				r, _ := table.get(id)
				require.Equal(t, there, r != nil)
				table.remove(id)
				delete(model, id)
			}
			if r, at := table.get(id + "x"); r != nil || at.groups != nil {
				t.Fatalf("%q was never put and is found", id+"x")
			}
			if n%97 == 0 {
				checkTable(t, table, model)
			}
		}
		checkTable(t, table, model)
	}
}

func TestTableShrinksAndForgetsWhatWasRemoved(t *testing.T) {
	table := newTable()
	for i := range 100_000 {
		id := fmt.Sprint(i)
		table.put(numbered(id, i))
		table.remove(id)
		table.remove(id) // what is not there
	}
	checkTable(t, table, nil)
	assert.Len(t, table.groups.Load().groups, 1)
	for i := range 10_000 {
		table.put(numbered(fmt.Sprint(i), i))
	}
	assert.LessOrEqual(t, len(table.groups.Load().groups), 4096)
	for i := range 10_000 {
		table.remove(fmt.Sprint(i))
	}
	for i := range 20_000 { // and stays as small
		table.put(numbered("one", i))
		table.put(numbered(fmt.Sprint("x", i), i))
		table.remove(fmt.Sprint("x", i))
	}
	checkTable(t, table, map[string]int{"one": 19_999})
	assert.LessOrEqual(t, len(table.groups.Load().groups), 2)
}

// holds is what a look-up of one moment rests on: it is false from the moment that a
// record was replaced, removed or moved.
func TestTableHolds(t *testing.T) {
	table := newTable()
	table.put(numbered("id", 1))
	r, at := table.get("id")
	assert.True(t, table.holds(r, at))
	table.put(numbered("other", 1))
	assert.True(t, table.holds(r, at))
	table.put(numbered("id", 1))
	assert.False(t, table.holds(r, at), "replaced by an equal value")

	r, at = table.get("id")
	table.remove("id")
	assert.False(t, table.holds(r, at), "removed")
	table.put(numbered("id", 1))
	assert.False(t, table.holds(r, at), "removed and put again")

	r, at = table.get("id")
	table.rehash()
	assert.False(t, table.holds(r, at), "moved")
	again, at := table.get("id")
	assert.Same(t, r, again)
	assert.True(t, table.holds(again, at))
}

// Readers find what is there all the time, while the table grows, shrinks and is
// rehashed around it.
func TestTableReadersDuringRehash(t *testing.T) {
	table := newTable()
	stay := make([]string, 20)
	for i := range stay {
		stay[i] = fmt.Sprint("stays ", i)
		table.put(numbered(stay[i], 0))
	}
	var over atomic.Bool
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			last := make([]int, len(stay))
			for i := 0; !over.Load(); i = (i + 1) % len(stay) {
				r, _ := table.get(stay[i])
				if r == nil || string(r.key.ID) != stay[i] || int(r.key.Revision) < last[i] {
					t.Errorf("%q: %+v after %d", stay[i], r, last[i])
					return
				}
				last[i] = int(r.key.Revision)
			}
		})
	}
	for n := range 40 * effort {
		for i := range 300 {
			table.put(numbered(fmt.Sprint(n, "-", i), i))
			table.put(numbered(stay[i%len(stay)], n*300+i))
		}
		for i := range 300 {
			table.remove(fmt.Sprint(n, "-", i))
		}
	}
	over.Store(true)
	wait.Wait()
}
