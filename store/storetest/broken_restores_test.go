package storetest

import (
	"context"
	"iter"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

// Broken in what they do after they have lost writes: S27, W4, W9 and W10.
var brokenRestores = []brokenStore{
	{name: "gives lost revisions again", sentence: "S27", options: restored, make: func() store.Store {
		f := teststore.NewForking(nil)
		f.GivesAgain = true
		return f
	}},
	{name: "goes on from a position that it has lost", sentence: "W4", options: restored, make: forking(func(b *teststore.Broken, sound *memory.Store) {
		watch := b.DoWatch
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			if after != (store.Position{}) {
				latest, _ := sound.Position(context.Background())
				after = store.Position{History: latest.History, Revision: min(after.Revision, latest.Revision)}
			}
			return watch(ctx, after)
		}
	})},
	{name: "keeps the name of its history", sentence: "W9", options: restored, make: forking(func(b *teststore.Broken, sound *memory.Store) {
		b.DoPosition = func(ctx context.Context) (store.Position, error) {
			latest, err := sound.Position(ctx)
			latest.History = "ever the same"
			return latest, err
		}
	})},
	{name: "counts its histories, and counts the same again", sentence: "W9", options: restored, make: func() store.Store {
		f := &teststore.Forking{}
		f.Change = func(b *teststore.Broken, sound *memory.Store) {
			name := "before"
			if f.Broken != nil {
				name = "after"
			}
			b.DoPosition = func(ctx context.Context) (store.Position, error) {
				latest, err := sound.Position(ctx)
				latest.History = name
				return latest, err
			}
		}
		f.GoBack(0, 0)
		return f
	}},
	{name: "goes on watching", sentence: "W10", options: restored, make: func() store.Store {
		f := &teststore.Forking{}
		f.Change = func(b *teststore.Broken, sound *memory.Store) {
			b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
				return func(yield func(store.Change, error) bool) {
					for after := after; ; {
						inner, cancel := context.WithCancel(ctx)
						stop := context.AfterFunc(f.Forked(), cancel)
						for change, err := range f.Sound.Watch(inner, after) {
							if err != nil && ctx.Err() == nil {
								break
							}
							if !yield(change, err) || err != nil {
								stop()
								cancel()
								return
							}
						}
						stop()
						cancel()
						after, _ = f.Sound.Position(ctx)
					}
				}
			}
		}
		f.GoBack(0, 0)
		return f
	}},
	{name: "falls silent", sentence: "W10", options: restored, make: forking(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWatch = sound.Watch // of the store that it was
	})},
}

var restored = []Option{Restore(teststore.Backup)}

func forking(change func(b *teststore.Broken, sound *memory.Store)) func() store.Store {
	return func() store.Store { return teststore.NewForking(change) }
}
