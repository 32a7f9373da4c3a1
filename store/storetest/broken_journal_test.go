package storetest

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/internal/fixture"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

// Broken in the writes of their journal: E1 to E5 and E8 to E11.
var brokenJournals = []brokenStore{
	{name: "keeps the events of refused writes", sentence: "E1", only: "E1/a refused Write changes and keeps nothing", make: withMore(func(b *teststore.Broken, sound *memory.Store, more *moreEvents) {
		b.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			revision, err := sound.Write(ctx, w)
			if err != nil && ctx.Err() == nil {
				more.keep(w.Events)
			}
			return revision, err
		}
	})},
	{name: "loses the events of deletions", sentence: "E1", only: "E1/the events of a write that succeeded are kept", make: onWrite(func(w *store.Write) {
		if w.Delete != nil {
			w.Events = nil
		}
	})},
	{name: "keeps one event of a write", sentence: "E1", make: onWrite(func(w *store.Write) { w.Events = w.Events[:min(len(w.Events), 1)] })},
	{name: "keeps events in a second transaction", sentence: "E1", only: "E1/a Write whose context ends under way happens with its events or not at all", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			if _, limited := ctx.Deadline(); limited {
				w.Events = nil
				_, _ = sound.Write(ctx, w)
				return 0, context.DeadlineExceeded
			}
			return sound.Write(ctx, w)
		}
	})},
	{name: "gives events the revision before their write", sentence: "E2", make: onEvents(func(e *store.Event) { e.Revision-- })},
	{name: "counts events from one", sentence: "E2", make: onEvents(func(e *store.Event) { e.Index++ })},
	{name: "returns the revision before", sentence: "E2", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			revision, err := sound.Write(ctx, w)
			return revision - 1, err
		}
	})},
	{name: "returns no revision for a deletion", sentence: "E2", only: "E2/events have the revision of their write and their place", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			revision, err := sound.Write(ctx, w)
			if w.Delete != nil {
				return 0, err
			}
			return revision, err
		}
	})},
	{name: "deletes events with their key", sentence: "E4", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
			page, err := sound.Events(ctx, request)
			page.Events = slices.DeleteFunc(page.Events, func(e store.Event) bool {
				_, gone := sound.Key(ctx, e.Key)
				return e.Key != "" && gone != nil
			})
			return page, err
		}
	})},
	{name: "has no events of an absent organization", sentence: "E4", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
			if _, err := sound.Organization(ctx, request.Organization); request.Organization != "" && err != nil {
				return store.EventPage{}, nil
			}
			return sound.Events(ctx, request)
		}
	})},
	{name: "checks no conditions", sentence: "E5", make: onWrite(func(w *store.Write) { w.If = nil })},
	{name: "checks the first condition", sentence: "E5", only: "E5/a condition that does not hold is ErrConflict", make: onWrite(func(w *store.Write) { w.If = w.If[:min(len(w.If), 1)] })},
	{name: "checks no condition of a deletion", sentence: "E5", make: onWrite(func(w *store.Write) {
		if w.Delete != nil {
			w.If = nil
		}
	})},
	{name: "reports an absent record as not found", sentence: "E5", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			for _, c := range w.If {
				if revisionOf(ctx, sound, c) == 0 && c.Revision != 0 {
					return 0, store.ErrNotFound
				}
			}
			return sound.Write(ctx, w)
		}
	})},
	{name: "finds the key of a condition by its ID alone", sentence: "E5", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			w.If = slices.Clone(w.If)
			for i, c := range w.If {
				if key, err := sound.Key(ctx, c.Key); err == nil {
					w.If[i].Organization = key.Organization
				}
			}
			return sound.Write(ctx, w)
		}
	})},
	{name: "takes revision zero in a condition for any", sentence: "E5", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			w.If = slices.DeleteFunc(slices.Clone(w.If), func(c store.Condition) bool { return c.Revision == 0 })
			return sound.Write(ctx, w)
		}
	})},
	{name: "knows no absent record in a condition", sentence: "E5", only: "E5/a Write whose conditions hold succeeds", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			for _, c := range w.If {
				if _, err := sound.Organization(ctx, c.Organization); err != nil {
					return 0, store.ErrConflict
				}
			}
			return sound.Write(ctx, w)
		}
	})},
	{name: "checks conditions in one step and writes in another", sentence: "E5", make: with(func(b *teststore.Broken, sound *memory.Store) {
		checked := make(meeting)
		b.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			for _, c := range w.If {
				if revisionOf(ctx, sound, c) != c.Revision {
					return 0, store.ErrConflict
				}
			}
			checked.wait()
			w.If = nil
			return sound.Write(ctx, w)
		}
	})},
	{name: "keeps an event of every Put", sentence: "E8", make: withMore(func(b *teststore.Broken, sound *memory.Store, more *moreEvents) {
		b.DoPutKey = func(ctx context.Context, key apikey.Key, o ...putOption) (apikey.Key, error) {
			key, err := sound.PutKey(ctx, key, o...)
			if err == nil {
				more.keep(fixture.Numbered(key.Organization, key.ID, "put", 1))
			}
			return key, err
		}
	})},
	{name: "allows every open key", sentence: "E9", make: onWrite(func(w *store.Write) { w.Options = append(w.Options, store.AllowOpen) })},
	{name: "reads no options", sentence: "E9", make: onWrite(func(w *store.Write) { w.Options = nil })},
	{name: "deletes a key of whatever organization", sentence: "E9", only: "E9/a key of another organization is not deleted", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			if w.Delete != nil && w.Delete.Key != "" {
				if key, err := sound.Key(ctx, w.Delete.Key); err == nil && key.Organization != w.Delete.Organization {
					w = store.Write{Delete: &store.Condition{Organization: key.Organization, Key: key.ID, Revision: w.Delete.Revision}}
				}
			}
			return sound.Write(ctx, w)
		}
	})},
	{name: "deletes any revision", sentence: "E9", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			if w.Delete != nil {
				c := *w.Delete
				if stored := revisionOf(ctx, sound, c); stored != 0 {
					c.Revision = stored
				}
				w.Delete = &c
			}
			return sound.Write(ctx, w)
		}
	})},
	{name: "delivers no Write", sentence: "E9", only: "E9/the changes of Writes are delivered", make: with(func(b *teststore.Broken, sound *memory.Store) {
		var written sync.Map
		b.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			revision, err := sound.Write(ctx, w)
			written.Store(revision, true)
			return revision, err
		}
		b.DoWatch = func(ctx context.Context, after store.Position) iter.Seq2[store.Change, error] {
			return func(yield func(store.Change, error) bool) {
				for change, err := range sound.Watch(ctx, after) {
					if _, is := written.Load(change.Revision); (!is || change.IsMark()) && !yield(change, err) {
						return
					}
				}
			}
		}
	})},
	{name: "cuts long journals off", sentence: "E10", make: onWrite(func(w *store.Write) { w.Events = w.Events[:min(len(w.Events), store.MaxEvents)] })},
	{name: "files events of others under its own name", sentence: "E10", make: onWrite(func(w *store.Write) {
		w.Events = slices.Clone(w.Events)
		for i := range w.Events {
			w.Events[i].Organization, w.Events[i].Key = w.Subject()
		}
	})},
	{name: "keeps a hundred events", sentence: "E10", only: "E10/a Write at all bounds is kept", make: refusing(func(w store.Write) bool { return len(w.Events) > 100 })},
	{name: "keeps ten conditions", sentence: "E10", only: "E10/a Write at all bounds is kept", make: refusing(func(w store.Write) bool { return len(w.If) > 10 })},
	{name: "keeps events of 4,000 bytes", sentence: "E10", only: "E10/a Write at all bounds is kept", make: refusing(func(w store.Write) bool {
		return slices.ContainsFunc(w.Events, func(e store.Event) bool { return len(e.Before)+len(e.After) > 4000 })
	})},
	{name: "forgets one write too many", sentence: "E11", make: onForget(func(_ *memory.Store, p *store.Position) { p.Revision++ })},
	{name: "keeps the last write that it should forget", sentence: "E11", make: onForget(func(_ *memory.Store, p *store.Position) { p.Revision-- })},
	{name: "forgets everything", sentence: "E11", make: onForget(func(sound *memory.Store, p *store.Position) { *p, _ = sound.Position(context.Background()) })},
	{name: "forgets up to positions of any history", sentence: "E11", only: "E11/events after a position that is not in the past are not forgotten", make: onForget(func(sound *memory.Store, p *store.Position) {
		latest, _ := sound.Position(context.Background())
		p.History = latest.History
	})},
	{name: "forgets up to positions of the future", sentence: "E11", only: "E11/events after a position that is not in the past are not forgotten", make: onForget(func(sound *memory.Store, p *store.Position) {
		latest, _ := sound.Position(context.Background())
		p.Revision = min(p.Revision, latest.Revision)
	})},
	{name: "forgets once", sentence: "E11", make: with(func(b *teststore.Broken, sound *memory.Store) {
		forgotten := uint64(0)
		b.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			if w.Forget != nil && w.Forget.Revision <= forgotten {
				return 0, store.ErrCompacted
			}
			revision, err := sound.Write(ctx, w)
			if err == nil && w.Forget != nil {
				forgotten = w.Forget.Revision
			}
			return revision, err
		}
	})},
	{name: "keeps no event of forgetting", sentence: "E11", make: onWrite(func(w *store.Write) {
		if w.Forget != nil {
			w.Events = nil
		}
	})},
}

// onWrite changes every Write.
func onWrite(change func(*store.Write)) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			change(&w)
			return sound.Write(ctx, w)
		}
	})
}

// onForget changes the positions of Forget.
func onForget(change func(sound *memory.Store, through *store.Position)) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			if w.Forget != nil {
				through := *w.Forget
				change(sound, &through)
				w.Forget = &through
			}
			return sound.Write(ctx, w)
		}
	})
}

// refusing refuses some valid Writes.
func refusing(refuse func(store.Write) bool) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			if refuse(w) {
				return 0, store.ErrInvalid
			}
			return sound.Write(ctx, w)
		}
	})
}

func revisionOf(ctx context.Context, s store.Store, c store.Condition) uint64 {
	if c.Key == "" {
		o, _ := s.Organization(ctx, c.Organization)
		return o.Revision
	}
	if key, err := s.Key(ctx, c.Key); err == nil && key.Organization == c.Organization {
		return key.Revision
	}
	return 0
}

// moreEvents are events that a store keeps and should not.
type moreEvents struct {
	mu     sync.Mutex
	events []store.Event
}

func (m *moreEvents) keep(events []store.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, fixture.Kept(events, 1<<40)...)
}

// withMore is a store that keeps more events than it should.
func withMore(change func(b *teststore.Broken, sound *memory.Store, more *moreEvents)) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		more := &moreEvents{}
		b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
			page, err := sound.Events(ctx, request)
			more.mu.Lock()
			defer more.mu.Unlock()
			if err == nil && !page.More {
				page.Events = append(page.Events, more.events...)
			}
			return page, err
		}
		change(b, sound, more)
	})
}

// onEvents changes every event that is read.
func onEvents(change func(*store.Event)) func() store.Store {
	return onPage(func(page *store.EventPage, _ store.EventRequest) {
		for i := range page.Events {
			change(&page.Events[i])
		}
	})
}

// onPage changes every page.
func onPage(change func(*store.EventPage, store.EventRequest)) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
			page, err := sound.Events(ctx, request)
			if err == nil {
				change(&page, request)
			}
			return page, err
		}
	})
}
