package postgres_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
	"github.com/sallyport-go/sallyport/store/internal/races"
)

// TestRaces makes changes at the same moment, over two connections, that together would lock
// everybody out.
func TestRaces(t *testing.T) {
	dsn := postgrestest.Shared(t).Database(t)
	one := newStore(t, newPool(t, dsn))
	other := openStore(t, newPool(t, dsn))
	var all races.Tally
	for i, race := range races.Races {
		t.Run(race.Name, func(t *testing.T) {
			tally, err := races.Run(t.Context(), race, 4, fmt.Sprintf("race%d", i), one, other)
			require.NoError(t, err)
			all = all.Plus(tally)
		})
	}
	t.Log(all)
}
