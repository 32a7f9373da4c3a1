package memory

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// checkTable compares a table with a map, and looks into its slots.
func checkTable(t *testing.T, table *table[int], model map[string]int) {
	t.Helper()
	for id, want := range model {
		r, at := table.get(id)
		require.NotNil(t, r, id)
		require.Equal(t, want, r.value, id)
		require.True(t, table.holds(r, at), id)
	}
	s := table.slots.Load()
	live, used := 0, 0
	for i := range s.slots {
		r := s.slots[i].Load()
		if r == nil {
			continue
		}
		if used++; !r.gone {
			live++
		}
	}
	require.Equal(t, len(model), live, "live records")
	require.Equal(t, len(model), table.live)
	require.Equal(t, used, table.used, "records and tombstones")
	require.LessOrEqual(t, used*4, len(s.slots)*3, "a search must come to an empty slot")
}

// The table is a map, whatever is put and removed in whatever order.
func TestTableIsAMap(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		table, model := newTable[int](), map[string]int{}
		ids := 1 << (2 + seed%9) // few make many tombstones, many make it grow
		for n := range 5000 {
			id := fmt.Sprint(random.IntN(ids))
			switch _, there := model[id]; {
			case random.IntN(100) < 60-40*(n/1000%2): // phases of growth and of decline
				table.put(id, n)
				model[id] = n
			default:
				r, _ := table.get(id)
				require.Equal(t, there, r != nil)
				table.remove(id)
				delete(model, id)
			}
			if r, at := table.get(id + "x"); r != nil || at.slots != nil {
				t.Fatalf("%q was never put and is found", id+"x")
			}
			if n%97 == 0 {
				checkTable(t, table, model)
			}
		}
		checkTable(t, table, model)
	}
}

func TestTableShrinksAndForgetsTombstones(t *testing.T) {
	table := newTable[int]()
	for i := range 100_000 {
		id := fmt.Sprint(i)
		table.put(id, i)
		table.remove(id)
		table.remove(id) // what is not there
	}
	checkTable(t, table, nil)
	assert.Len(t, table.slots.Load().slots, minSlots)
	for i := range 10_000 {
		table.put(fmt.Sprint(i), i)
	}
	assert.LessOrEqual(t, len(table.slots.Load().slots), 32768)
	for i := range 10_000 {
		table.remove(fmt.Sprint(i))
	}
	for i := range 20_000 { // the next time that it is full it shrinks
		table.put("one", i)
		table.put(fmt.Sprint("x", i), i)
		table.remove(fmt.Sprint("x", i))
	}
	checkTable(t, table, map[string]int{"one": 19_999})
	assert.LessOrEqual(t, len(table.slots.Load().slots), 2*minSlots)
}

// holds is what a look-up of one moment rests on: it is false from the moment that a
// record was replaced, removed or moved.
func TestTableHolds(t *testing.T) {
	table := newTable[int]()
	table.put("id", 1)
	r, at := table.get("id")
	assert.True(t, table.holds(r, at))
	table.put("other", 1)
	assert.True(t, table.holds(r, at))
	table.put("id", 1)
	assert.False(t, table.holds(r, at), "replaced by an equal value")

	r, at = table.get("id")
	table.remove("id")
	assert.False(t, table.holds(r, at), "removed")
	table.put("id", 1)
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
	table := newTable[int]()
	stay := make([]string, 20)
	for i := range stay {
		stay[i] = fmt.Sprint("stays ", i)
		table.put(stay[i], 0)
	}
	var over atomic.Bool
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			last := make([]int, len(stay))
			for i := 0; !over.Load(); i = (i + 1) % len(stay) {
				r, _ := table.get(stay[i])
				if r == nil || r.id != stay[i] || r.value < last[i] {
					t.Errorf("%q: %+v after %d", stay[i], r, last[i])
					return
				}
				last[i] = r.value
			}
		})
	}
	for n := range 40 * effort {
		for i := range 300 {
			table.put(fmt.Sprint(n, "-", i), i)
			table.put(stay[i%len(stay)], n*300+i)
		}
		for i := range 300 {
			table.remove(fmt.Sprint(n, "-", i))
		}
	}
	over.Store(true)
	wait.Wait()
}
