package crashtest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/crashtest"
	"github.com/sallyport-go/sallyport/store/storetest/faulty"
)

// A server is killed while the test's own writers write to it. The faulty.Store stands
// here: it makes calls and is gone before its replies.
func Example() {
	TestCrash := func(t *testing.T) {
		server := faulty.New(memory.New())
		var ledger crashtest.Ledger
		for seed := range uint64(3) {
			kill := time.AfterFunc(10*time.Millisecond, func() { server.Break(faulty.LoseReply(errors.New("connection reset"))) })
			err := crashtest.WriteUntilKilled(t.Context(), server, seed, &ledger)
			t.Log(kill.Stop(), err)
			server.Heal()
			ledger.Check(t, server)
		}
		t.Log(ledger.Acknowledged(), "writes had returned")
	}

	_ = TestCrash
	// Output:
}
