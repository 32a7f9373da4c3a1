package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/internal/races"
)

// TestRaces makes changes at the same moment, over two connections, that together would lock
// everybody out.
func TestRaces(t *testing.T) {
	path := filepath.Join(inMemory(t), "keys.db")
	one, other := open(t, path), open(t, path)
	var all races.Tally
	for i, race := range races.Races {
		t.Run(race.Name, func(t *testing.T) {
			tally, err := races.Run(t.Context(), race, 6, fmt.Sprintf("race%d", i), one, other)
			require.NoError(t, err)
			all = all.Plus(tally)
		})
	}
	t.Log(all)
}
