package trials_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/internal/races"
)

// TestRaces makes changes at the same moment, over two connections, that are harmless alone
// and a lockout together. Never may all of them be made.
func TestRaces(t *testing.T) {
	eachSystem(t, func(t *testing.T, s system) {
		one, other := s.open(t), s.open(t)
		var all races.Tally
		for i, race := range races.Races {
			tally, err := races.Run(t.Context(), race, of(100, 2), fmt.Sprintf("race%d", i), one, other)
			require.NoError(t, err)
			all = all.Plus(tally)
		}
		for seed := range uint64(of(1000, 20)) {
			tally, err := races.Run(t.Context(), races.Random(seed), 1, fmt.Sprintf("random%d", seed), one, other)
			require.NoError(t, err)
			all = all.Plus(tally)
		}
		require.Positive(t, all.Conflicts)
		t.Logf("%s: %v", s.name, all)
	})
}
