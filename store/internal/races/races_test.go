package races_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/races"
	"github.com/sallyport-go/sallyport/store/memory"
)

func TestMemory(t *testing.T) {
	var all races.Tally
	for _, race := range races.Races {
		t.Run(race.Name, func(t *testing.T) {
			tally, err := races.Run(t.Context(), race, 50, "race", memory.New())
			require.NoError(t, err)
			require.Equal(t, 50, tally.Rounds)
			all = all.Plus(tally)
		})
	}
	t.Log(all)
}

func TestRandom(t *testing.T) {
	var all races.Tally
	for seed := range uint64(2000) {
		tally, err := races.Run(t.Context(), races.Random(seed), 2, "race", memory.New())
		require.NoError(t, err)
		all = all.Plus(tally)
	}
	require.Positive(t, all.Conflicts)
	t.Log(all)
}

// A forgetful store forgets the conditions of writes.
type forgetful struct {
	store.Store
	store.Journal
}

func (f forgetful) Write(ctx context.Context, w store.Write) (uint64, error) {
	w.If = nil
	return f.Journal.Write(ctx, w)
}

// Without the conditions every race between two records is lost, and found to be.
func TestForgetfulStore(t *testing.T) {
	for _, race := range races.Races {
		m := memory.New()
		_, err := races.Run(t.Context(), race, 1, "race", forgetful{m, m})
		switch {
		case race.Apart:
			require.ErrorContains(t, err, "calls were made: want one of them refused", race.Name)
			require.ErrorContains(t, err, "no write met a conflict", race.Name)
		case err != nil:
			require.ErrorContains(t, err, "want it before, or refused", race.Name)
		}
	}
}

// Among random races, too.
func TestForgetfulStoreAtRandom(t *testing.T) {
	lost := 0
	for seed := range uint64(2000) {
		m := memory.New()
		if _, err := races.Run(t.Context(), races.Random(seed), 1, "race", forgetful{m, m}); err != nil {
			require.ErrorContains(t, err, "no key can manage the organization")
			lost++
		}
	}
	require.Greater(t, lost, 10)
	t.Log(lost, "races lost")
}

// A careless store makes a write whatever the revision of its record.
type careless struct {
	store.Store
	store.Journal
	*sync.Mutex
}

func (c careless) Write(ctx context.Context, w store.Write) (uint64, error) {
	c.Lock()
	defer c.Unlock()
	w.If = nil
	if w.PutKey != nil && w.PutKey.Revision != 0 {
		if stored, err := c.Key(ctx, w.PutKey.ID); err == nil {
			copied := *w.PutKey
			copied.Revision = stored.Revision
			w.PutKey = &copied
		}
	}
	return c.Journal.Write(ctx, w)
}

func TestCarelessStore(t *testing.T) {
	for _, name := range []string{
		"the two secrets of the only manager end", "both entries that cover the actor are removed",
		"the actor drops both roles that let it pass", "a manager is rotated twice",
	} {
		i := slices.IndexFunc(races.Races, func(r races.Race) bool { return r.Name == name })
		m := memory.New()
		_, err := races.Run(t.Context(), races.Races[i], 1, "race", careless{m, m, &sync.Mutex{}})
		require.ErrorContains(t, err, "calls were made: want one of them refused", name)
	}
}

// A store without a Journal makes writes without conditions.
func TestNoJournal(t *testing.T) {
	_, err := races.Run(t.Context(), races.Races[0], 1, "race", struct{ store.Store }{memory.New()})
	require.ErrorContains(t, err, "setup: the store is no store.Journal")
}
