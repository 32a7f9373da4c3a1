package storetest

import (
	"context"
	"errors"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
)

var closeCases = []testCase{
	{sentence: "S23", name: "after Close every method returns ErrClosed", run: closedStore},
	{sentence: "S23", name: "ErrClosed comes before other errors", run: closedComesFirst},
	{sentence: "S23", name: "a Close meanwhile is not absence", run: closeMeanwhile},
	{sentence: "S24", name: "Close may be called again", run: closeAgain},
	{sentence: "S24", name: "Close may be called by several at once", run: closeAtOnce},
}

func closedStore(k *kit) {
	calls := k.everyCall()
	done, cancel := context.WithCancel(k.ctx)
	cancel()
	k.close()
	for _, call := range calls {
		k.wantError(call.do(k.ctx), store.ErrClosed, "after Close, %s", call.name)
		k.wantError(call.do(done), store.ErrClosed, "after Close, with a context that is done (S2), %s", call.name)
	}
	if _, found, err := k.store.Lookup(k.ctx, "here"); found || err == nil {
		k.Errorf("after Close, Lookup: found %v, error %v; want an error and nothing found", found, err)
	}
}

// closedComesFirst makes calls that an open store refuses too, also with a done context
// (S2).
func closedComesFirst(k *kit) {
	refused := k.refusedCalls()
	done, cancel := context.WithCancel(k.ctx)
	cancel()
	k.close()
	for _, call := range refused {
		k.wantError(call.do(k.ctx), store.ErrClosed, "after Close, %s", call.name)
		k.wantError(call.do(done), store.ErrClosed, "after Close, with a context that is done, %s", call.name)
	}
}

// closeMeanwhile closes the store during calls. They may succeed or fail, but may not
// report an existing key as absent.
func closeMeanwhile(k *kit) {
	k.organization("acme")
	k.put(fixture.Plain("here", "acme", "192.0.2.1"))
	k.closed = true
	together(4, func(i int) {
		if i == 0 {
			if err := k.store.Close(); err != nil {
				k.Errorf("Close: %v", err)
			}
			return
		}
		for range 1000 {
			_, found, err := k.store.Lookup(k.ctx, "here")
			if !found && err == nil || errors.Is(err, store.ErrNotFound) {
				k.Errorf("while the store was closed, Lookup: found %v, error %v; want the key or another error", found, err)
				return
			}
			if page, err := k.store.Keys(k.ctx, "acme", store.PageRequest{}); err == nil && len(page.Items) != 1 {
				k.Errorf("while the store was closed, Keys has %d keys and no error", len(page.Items))
				return
			}
			if err != nil {
				break
			}
		}
	})
	_, _, err := k.store.Lookup(k.ctx, "here")
	k.wantError(err, store.ErrClosed, "after Close, Lookup")
}

func closeAgain(k *kit) {
	k.organization("acme")
	for n := range 3 {
		k.closed = true
		if err := k.store.Close(); err != nil {
			k.Errorf("Close, after %d times: %v; want nil", n, err)
		}
	}
	_, err := k.store.Organization(context.Background(), "acme")
	k.wantError(err, store.ErrClosed, "Organization, after several times of Close")
}

func closeAtOnce(k *kit) {
	k.closed = true
	together(4, func(int) {
		if err := k.store.Close(); err != nil {
			k.Errorf("Close by several at once: %v; want nil", err)
		}
	})
}
