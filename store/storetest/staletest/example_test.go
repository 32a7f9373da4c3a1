package staletest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/faulty"
	"github.com/sallyport-go/sallyport/store/storetest/staletest"
)

// A replica is cut off from its store and reached again, all the time. Here the two are
// one, so that no answer is older than any bound.
func Example() {
	TestReplica := func(t *testing.T) {
		keys := memory.New()
		replica := faulty.New(keys)
		result := staletest.Check{
			Store: keys, Sources: []policy.Source{replica}, Bound: time.Second, Duration: 5 * time.Second,
			Disturb: func(ctx context.Context) {
				for ctx.Err() == nil {
					replica.Break(faulty.Fail(errors.New("stale")), faulty.Lookup)
					time.Sleep(50 * time.Millisecond)
					replica.Heal()
					time.Sleep(50 * time.Millisecond)
				}
			},
		}.Run(t)
		t.Logf("%d answers, %d errors, none older than %v", result.Answers, result.Errors, result.Oldest)
	}

	_ = TestReplica
	// Output:
}
