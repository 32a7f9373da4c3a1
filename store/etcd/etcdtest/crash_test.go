package etcdtest_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/etcd/etcdtest"
	"github.com/sallyport-go/sallyport/store/storetest/crashtest"
)

// TestCrash kills the leader, and in every other round all members at once, under
// writers of every kind, and looks for what was acknowledged (S25, S26).
func TestCrash(t *testing.T) {
	cluster := etcdtest.Start(t, 3)
	client := cluster.Client(t)
	s, _ := opened(t, client)
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	var ledger crashtest.Ledger
	for round := range rounds {
		acknowledged := ledger.Acknowledged()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		ended := make(chan error, 1)
		go func() { ended <- crashtest.WriteUntilKilled(ctx, s, uint64(round), &ledger) }()
		enough := acknowledged + 100 + rand.IntN(200)
		require.Eventually(t, func() bool { return ledger.Acknowledged() >= enough || len(ended) > 0 }, time.Minute, time.Millisecond)
		leader := cluster.Leader(t)
		if round%2 == 0 {
			cluster.Kill(t, leader)
		} else {
			cluster.Stop(t)
			cancel() // the members would be waited for
		}
		time.AfterFunc(5*time.Second, cancel) // if no write was on its way to the leader
		require.Error(t, receive(t, ended))
		for i := range 3 {
			if i == leader || round%2 == 1 {
				cluster.Restart(t, i)
			}
		}
		cluster.WaitHealthy(t)
		ledger.Check(t, s)
		cancel()
	}
	t.Logf("%d writes were acknowledged", ledger.Acknowledged())
}
