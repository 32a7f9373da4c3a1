package etcdtest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/etcd/etcdtest"
	"github.com/sallyport-go/sallyport/store/internal/races"
)

// TestRaces makes changes at the same moment, over two clients, that together would lock
// everybody out.
func TestRaces(t *testing.T) {
	cluster := etcdtest.StartUndisturbed(t, 3)
	one, prefix := opened(t, cluster.Client(t))
	other := openedAt(t, cluster.Client(t), prefix)
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
