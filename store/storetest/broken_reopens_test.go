package storetest

import (
	"context"
	"testing"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

// Broken in what is left after it was closed under writers: S25 and S26. More of them,
// and those that break in a crash, are in ledger_test.go.
var brokenReopens = []brokenStore{
	{name: "loses what it had not written out", sentence: "S25", make: newLastingBroken, options: []Option{Reopen(func(_ testing.TB, s store.Store) store.Store {
		return reopenedWith(s, func(b *teststore.Loader) {
			// All keys: of one it may be thought that a deletion under way happened.
			for o := range store.AllOrganizations(context.Background(), b.Sound) {
				for key := range store.AllKeys(context.Background(), b.Sound, o.ID) {
					_ = b.Sound.DeleteKey(context.Background(), key.ID, 0)
				}
			}
		})
	})}},
	{name: "leaves a half of what it was writing", sentence: "S26", make: newLastingBroken, options: []Option{Reopen(func(_ testing.TB, s store.Store) store.Store {
		return reopenedWith(s, func(b *teststore.Loader) {
			b.OnRead(func(key apikey.Key) apikey.Key {
				key.AccessList = accesslist.List{}
				return key
			})
		})
	})}},
}

func newLastingBroken() store.Store {
	return newLasting(teststore.NewLoader())
}

// reopenedWith closes a store and breaks it before it is opened again.
func reopenedWith(s store.Store, change func(*teststore.Loader)) store.Store {
	_ = s.Close()
	kept := s.(*lasting).kept.(*teststore.Loader)
	change(kept)
	return newLasting(kept)
}
