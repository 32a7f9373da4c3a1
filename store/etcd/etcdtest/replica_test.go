package etcdtest_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/etcd/etcdtest"
	"github.com/sallyport-go/sallyport/store/replica"
	"github.com/sallyport-go/sallyport/store/storetest/staletest"
)

// TestReplicas has replicas follow a store, one through each member and one through all,
// while members are killed, cut off from the others, and cut off from their clients. No
// look-up is older than the bound.
func TestReplicas(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: it takes as long as its disturbances")
	}
	const bound = 2 * time.Second
	cluster := etcdtest.Start(t, 3)
	s, prefix := opened(t, cluster.Client(t))
	sources := []policy.Source{s} // which is never stale
	for _, members := range [][]int{{0}, {1}, {2}, nil} {
		copied, err := replica.New(openedAt(t, cluster.Client(t, members...), prefix), replica.WithMaxStaleness(bound), replica.WithErrorHandler(func(error) {}))
		require.NoError(t, err)
		t.Cleanup(func() { _ = copied.Close() })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, copied.Ready(ctx))
		sources = append(sources, copied)
	}
	sleep := func(ctx context.Context, d time.Duration) {
		select {
		case <-ctx.Done():
		case <-time.After(d):
		}
	}
	result := staletest.Check{
		Store: s, Sources: sources, Bound: bound, Duration: 20 * time.Second,
		Disturb: func(ctx context.Context) {
			for round := 0; ctx.Err() == nil; round++ {
				sleep(ctx, time.Second)
				switch member := cluster.Leader(t); round % 3 {
				case 0:
					cluster.Kill(t, member)
					sleep(ctx, 3*time.Second)
					cluster.Restart(t, member)
				case 1:
					cluster.Isolate(t, member)
					sleep(ctx, 4*time.Second)
					cluster.Heal(t, member)
				case 2:
					other := (member + 1) % 3
					cluster.Cut(other)
					sleep(ctx, 4*time.Second)
					cluster.Heal(t, other)
				}
				cluster.WaitHealthy(t)
			}
		},
	}.Run(t)
	t.Logf("%+v", result)
	require.Positive(t, result.Answers)
}
