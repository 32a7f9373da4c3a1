package storetest

import (
	"time"

	"github.com/sallyport-go/sallyport/store/storetest/crashtest"
)

// These cases close the store during writes. Killing a process or a server is for
// package crashtest.
var crashCases = []testCase{
	{sentence: "S25", name: "a write that returned before a Close is there after reopening", run: closedUnderWrites, needs: "Reopen"},
	{sentence: "S26", name: "a write during a Close is there whole or not at all after reopening", run: closedUnderWrites, needs: "Reopen"},
}

func closedUnderWrites(k *kit) {
	var ledger crashtest.Ledger
	for seed := range uint64(k.rounds(10)) {
		s, enough := k.store, ledger.Acknowledged()+20+int(seed)*10
		ended := make(chan error, 1)
		go func() { ended <- crashtest.WriteUntilKilled(k.ctx, s, seed, &ledger) }()
		for ledger.Acknowledged() < enough {
			select {
			case err := <-ended:
				k.Fatalf("a write, before Close: %v", err)
			case <-time.After(100 * time.Microsecond):
			}
		}
		k.reopen()
		select {
		case <-ended:
		case <-k.ctx.Done():
			k.Fatalf("writes did not end after Close")
		}
		ledger.Check(k.TB, k.store)
		if k.Failed() {
			return
		}
	}
}
