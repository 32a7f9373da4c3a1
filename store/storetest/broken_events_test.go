package storetest

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
	"github.com/sallyport-go/sallyport/store/storetest/internal/teststore"
)

// Broken in what they read from their journal: E3, E6, E7 and E12 to E16.
var brokenEvents = []brokenStore{
	{name: "loses the last events in a crash", sentence: "E3", make: newLastingBroken, options: []Option{Reopen(func(_ testing.TB, s store.Store) store.Store {
		return reopenedWith(s, func(b *teststore.Loader) {
			newest, _ := b.Sound.Events(context.Background(), store.EventRequest{Newest: true, Limit: 1})
			if len(newest.Events) > 0 {
				hide(b.Broken, func(e store.Event) bool { return e.Revision == newest.Events[0].Revision })
			}
		})
	})}},
	{name: "has a half of the last events after a crash", sentence: "E3", make: newLastingBroken, options: []Option{Reopen(func(_ testing.TB, s store.Store) store.Store {
		return reopenedWith(s, func(b *teststore.Loader) { hide(b.Broken, func(e store.Event) bool { return e.Index == 1 }) })
	})}},
	{name: "goes on after what was forgotten", sentence: "E6", make: onCompacted(func(_ *memory.Store, after *store.Position) { *after = store.Position{} })},
	{name: "refuses the position up to which it has forgotten", sentence: "E6", only: "E6/a position before what was forgotten is ErrCompacted", make: with(func(b *teststore.Broken, sound *memory.Store) {
		forgotten := uint64(0)
		b.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			if w.Forget != nil {
				forgotten = w.Forget.Revision
			}
			return sound.Write(ctx, w)
		}
		b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
			if request.After.History != "" && request.After.Revision <= forgotten {
				return store.EventPage{}, store.ErrCompacted
			}
			return sound.Events(ctx, request)
		}
	})},
	{name: "returns an empty page for a position that it has forgotten", sentence: "E6", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
			page, err := sound.Events(ctx, request)
			if errors.Is(err, store.ErrCompacted) {
				return store.EventPage{Next: request.After}, nil
			}
			return page, err
		}
	})},
	{name: "takes positions of the future", sentence: "E6", only: "E6/a position that is not in the past is ErrCompacted", make: onCompacted(func(sound *memory.Store, after *store.Position) {
		if latest, _ := sound.Position(context.Background()); after.History == latest.History {
			after.Revision = min(after.Revision, latest.Revision)
		}
	})},
	{name: "takes positions of other histories", sentence: "E6", only: "E6/a position that is not in the past is ErrCompacted", make: onCompacted(func(sound *memory.Store, after *store.Position) {
		latest, _ := sound.Position(context.Background())
		after.History = latest.History
	})},
	{name: "takes a history in either case", sentence: "E6", only: "E6/a position that is not in the past is ErrCompacted", make: onCompacted(func(sound *memory.Store, after *store.Position) {
		if latest, _ := sound.Position(context.Background()); strings.EqualFold(after.History, latest.History) {
			after.History = latest.History
		}
	})},
	{name: "takes the positions that it has returned only", sentence: "E6", only: "E6/a smaller revision of a history is taken", make: with(func(b *teststore.Broken, sound *memory.Store) {
		known := map[store.Position]bool{{}: true}
		b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
			if !known[request.After] {
				return store.EventPage{}, store.ErrCompacted
			}
			page, err := sound.Events(ctx, request)
			known[page.Next] = true
			return page, err
		}
	})},
	{name: "forgets positions with the change feed", sentence: "E6", only: "E6/a position is taken that the change feed has forgotten", options: []Option{Compact(teststore.Flood)}, make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
			if latest, _ := sound.Position(ctx); request.After.History != "" && request.After.Revision+16_000 < latest.Revision {
				return store.EventPage{}, store.ErrCompacted
			}
			return sound.Events(ctx, request)
		}
	})},
	{name: "takes lost positions", sentence: "E6", only: "E6/a lost position is ErrCompacted and an earlier one is taken", options: restored, make: func() store.Store {
		histories := map[string]bool{}
		return teststore.NewForking(func(b *teststore.Broken, sound *memory.Store) {
			b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
				latest, _ := sound.Position(ctx)
				histories[latest.History] = true
				if histories[request.After.History] && request.After.Revision <= latest.Revision {
					request.After.History = latest.History
				}
				return sound.Events(ctx, request)
			}
		})
	}},
	{name: "forgets its past when it goes back", sentence: "E6", only: "E6/a lost position is ErrCompacted and an earlier one is taken", options: restored, make: forking(func(b *teststore.Broken, sound *memory.Store) {
		b.DoEvents = sound.Events
	})},
	{name: "forgets its past when it is closed", sentence: "E6", make: newLastingBroken, options: []Option{Reopen(func(_ testing.TB, s store.Store) store.Store {
		return reopenedWith(s, func(b *teststore.Loader) {
			events, opened := b.Sound.Events, fixedPosition(b)
			b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
				if request.After.History != "" && request.After.Revision < opened {
					return store.EventPage{}, store.ErrCompacted
				}
				return events(ctx, request)
			}
		})
	})}},
	{name: "forgets what it has forgotten when it is closed", sentence: "E6", only: "E6/what was forgotten is forgotten after reopening", make: newLastingBroken, options: []Option{Reopen(func(_ testing.TB, s store.Store) store.Store {
		return reopenedWith(s, func(b *teststore.Loader) {
			events := b.Sound.Events
			b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
				page, err := events(ctx, request)
				if errors.Is(err, store.ErrCompacted) {
					request.After = store.Position{}
					return events(ctx, request)
				}
				return page, err
			}
		})
	})}},
	{name: "loses a reason", sentence: "E7", make: onEvents(func(e *store.Event) { e.Reason = "" })},
	{name: "loses an actor's secret", sentence: "E7", make: onEvents(func(e *store.Event) { e.Actor.Secret = "" })},
	{name: "loses an entry", sentence: "E7", make: onEvents(func(e *store.Event) { e.Entry = netip.Prefix{} })},
	{name: "reads mapped addresses as IPv4", sentence: "E7", make: onEvents(func(e *store.Event) { e.Address = e.Address.Unmap() })},
	{name: "sorts the accepted findings", sentence: "E7", make: onEvents(func(e *store.Event) { slices.Sort(e.Accepted) })},
	{name: "reads an empty object as none", sentence: "E7", make: onEvents(func(e *store.Event) {
		if bytes.Equal(e.After, []byte(`{}`)) {
			e.After = nil
		}
	})},
	{name: "rounds numbers", sentence: "E7", make: onEvents(func(e *store.Event) { e.Before = bytes.ReplaceAll(e.Before, []byte("67890.5"), []byte("67890")) })},
	{name: "keeps times to the millisecond", sentence: "E7", make: onEvents(func(e *store.Event) { e.Time = e.Time.Truncate(time.Millisecond) })},
	{name: "keeps times in nanoseconds of 64 bits", sentence: "E7", only: "E7/times of events are kept to the microsecond", make: onEvents(func(e *store.Event) { e.Time = time.Unix(0, e.Time.UnixNano()) })},
	{name: "shares its events", sentence: "E7", only: "E7/changing what was passed in or returned changes no event", make: with(func(b *teststore.Broken, sound *memory.Store) {
		shared := map[string]store.Event{}
		b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
			page, err := sound.Events(ctx, request)
			for i, event := range page.Events {
				if known, ok := shared[event.ID()]; ok {
					page.Events[i] = known
				}
				shared[event.ID()] = page.Events[i]
			}
			return page, err
		}
	})},
	{name: "writes into the events that it is given", sentence: "E7", only: "E7/changing what was passed in or returned changes no event", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			revision, err := sound.Write(ctx, w)
			for i := range w.Events {
				w.Events[i].Revision = revision
			}
			return revision, err
		}
	})},
	{name: "loses events when it is closed", sentence: "E7", make: newLastingBroken, options: []Option{Reopen(func(_ testing.TB, s store.Store) store.Store {
		return reopenedWith(s, func(b *teststore.Loader) {
			hide(b.Broken, func(e store.Event) bool { return e.Organization == "acme" })
		})
	})}},
	{name: "returns events in the order of their index", sentence: "E12", make: onPage(func(page *store.EventPage, _ store.EventRequest) {
		slices.SortStableFunc(page.Events, func(a, b store.Event) int { return a.Index - b.Index })
	})},
	{name: "knows one order", sentence: "E12", make: onRequest(func(request *store.EventRequest) { request.Newest = false })},
	{name: "does not turn the events of a write round", sentence: "E12", make: onPage(func(page *store.EventPage, request store.EventRequest) {
		if request.Newest {
			slices.SortStableFunc(page.Events, func(a, b store.Event) int {
				if a.Revision == b.Revision {
					return a.Index - b.Index
				}
				return int(b.Revision) - int(a.Revision)
			})
		}
	})},
	{name: "returns the events of every organization", sentence: "E12", only: "E12/only events of the organization and the key come", make: onRequest(func(request *store.EventRequest) {
		if request.Key == "" {
			request.Organization = ""
		}
	})},
	{name: "returns the events of every key", sentence: "E12", only: "E12/only events of the organization and the key come", make: onRequest(func(request *store.EventRequest) { request.Key = "" })},
	{name: "finds a key's events by its ID alone", sentence: "E12", only: "E12/only events of the organization and the key come", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
			if request.Key == "" {
				return sound.Events(ctx, request)
			}
			key := request.Key
			request.Organization, request.Key, request.Limit = "", "", store.MaxPageSize
			page, err := sound.Events(ctx, request)
			page.Events = slices.DeleteFunc(page.Events, func(e store.Event) bool { return e.Key != key })
			return page, err
		}
	})},
	{name: "folds the case of organizations", sentence: "E12", only: "E12/only events of the organization and the key come", make: onRequest(func(request *store.EventRequest) { request.Organization = strings.ToLower(request.Organization) })},
	{name: "trims organizations", sentence: "E12", only: "E12/only events of the organization and the key come", make: onRequest(func(request *store.EventRequest) { request.Organization = strings.TrimSpace(request.Organization) })},
	{name: "hides events of deleted keys", sentence: "E12", make: with(func(b *teststore.Broken, sound *memory.Store) {
		hide(b, func(e store.Event) bool {
			key, err := sound.Key(context.Background(), e.Key)
			return e.Key != "" && (err != nil || key.Organization != e.Organization)
		})
	})},
	{name: "splits a write", sentence: "E13", make: onPage(func(page *store.EventPage, request store.EventRequest) {
		if n := len(page.Events); n > request.Size() {
			page.Events, page.More = page.Events[:request.Size()], true
		}
	})},
	{name: "has one write on a page", sentence: "E13", make: onRequest(func(request *store.EventRequest) { request.Limit = 1 })},
	{name: "has More on every page", sentence: "E13", make: onPage(func(page *store.EventPage, request store.EventRequest) {
		page.More = page.More || len(page.Events) >= request.Size()
	})},
	{name: "never has More", sentence: "E13", make: onPage(func(page *store.EventPage, _ store.EventRequest) { page.More = false })},
	{name: "fills a page beyond its size", sentence: "E13", make: onRequest(func(request *store.EventRequest) {
		if request.Limit > 1 {
			request.Limit++
		}
	})},
	{name: "has pages of any size", sentence: "E13", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
			page, err := sound.Events(ctx, request)
			for err == nil && page.More && request.Limit > store.MaxPageSize {
				var next store.EventPage
				request.After = page.Next
				next, err = sound.Events(ctx, request)
				next.Events = append(page.Events, next.Events...)
				page = next
			}
			return page, err
		}
	})},
	{name: "returns no history", sentence: "E14", make: onPage(func(page *store.EventPage, _ store.EventRequest) { page.Next.History = "" })},
	{name: "returns the Next of the page before", sentence: "E14", make: onPage(func(page *store.EventPage, request store.EventRequest) {
		if len(page.Events) > 0 && !request.Newest {
			page.Next.Revision = page.Events[0].Revision - 1
		}
	})},
	{name: "passes over a revision", sentence: "E14", make: onPage(func(page *store.EventPage, _ store.EventRequest) {
		if page.More {
			page.Next.Revision++
		}
	})},
	{name: "has positions of its own", sentence: "E14", only: "E14/Next and the position of a mark are one", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
			if own, ok := strings.CutPrefix(request.After.History, "journal "); ok {
				request.After.History = own
			} else if request.After.History != "" {
				return store.EventPage{}, store.ErrCompacted
			}
			page, err := sound.Events(ctx, request)
			page.Next.History = "journal " + page.Next.History
			return page, err
		}
		b.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			if w.Forget != nil {
				w.Forget = &store.Position{History: strings.TrimPrefix(w.Forget.History, "journal "), Revision: w.Forget.Revision}
			}
			return sound.Write(ctx, w)
		}
	})},
	{name: "returns the last event as Next", sentence: "E14", only: "E14/a quiet organization's Next goes along", make: onPage(func(page *store.EventPage, request store.EventRequest) {
		if request.Organization == "acme" && request.After.History != "" && len(page.Events) == 0 && !page.More {
			page.Next = request.After
		}
	})},
	{name: "shows events a little late", sentence: "E15", make: late(func(revision uint64) bool { return true })},
	{name: "shows some events later than those after them", sentence: "E15", make: late(func(revision uint64) bool { return revision%3 == 0 })},
	{name: "returns the events of a key of any organization", sentence: "E16", make: with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
			if request.Organization != "" {
				return sound.Events(ctx, request)
			}
			key := request.Key
			request.Key = ""
			page, err := sound.Events(ctx, request)
			page.Events = slices.DeleteFunc(page.Events, func(e store.Event) bool { return key != "" && e.Key != key })
			return page, err
		}
	})},
	{name: "leaves out events that cannot be read", sentence: "E7", options: withDamages, make: damaged(func(d *damageable) {
		d.DoEvents = d.Sound.Events
		hide(d.Broken, func(e store.Event) bool { return d.events[e.Revision] })
	})},
	{name: "reads events that cannot be read without their reason", sentence: "E7", options: withDamages, make: damaged(func(d *damageable) { d.DoEvents = d.Sound.Events })},
	{name: "calls events forgotten that cannot be read", sentence: "E7", options: withDamages, make: damaged(func(d *damageable) {
		events := d.DoEvents
		d.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
			page, err := events(ctx, request)
			if errors.Is(err, errUnreadable) {
				err = store.ErrCompacted
			}
			return page, err
		}
	})},
	{name: "takes conditions on records that cannot be read", sentence: "E5", options: withDamages, make: damaged(func(d *damageable) { d.DoWrite = d.Sound.Write })},
	{name: "takes a record in a condition for absent that cannot be read", sentence: "E5", options: withDamages, make: damaged(func(d *damageable) {
		d.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			w.If = slices.DeleteFunc(slices.Clone(w.If), func(c store.Condition) bool { return c.Revision == 0 })
			return d.write(ctx, w)
		}
	})},
}

// onRequest changes every request.
func onRequest(change func(*store.EventRequest)) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
			change(&request)
			return sound.Events(ctx, request)
		}
	})
}

// onCompacted reads again, after another position, instead of ErrCompacted.
func onCompacted(change func(sound *memory.Store, after *store.Position)) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
			page, err := sound.Events(ctx, request)
			if errors.Is(err, store.ErrCompacted) {
				change(sound, &request.After)
				return sound.Events(ctx, request)
			}
			return page, err
		}
	})
}

// hide leaves out events.
func hide(b *teststore.Broken, hidden func(store.Event) bool) {
	events := b.DoEvents
	b.DoEvents = func(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
		page, err := events(ctx, request)
		page.Events = slices.DeleteFunc(page.Events, hidden)
		return page, err
	}
}

// fixedPosition returns the revision that a store has come to.
func fixedPosition(b *teststore.Loader) uint64 {
	latest, _ := b.Sound.Position(context.Background())
	return latest.Revision
}

// late shows the events of some writes a millisecond after the writes.
func late(is func(revision uint64) bool) func() store.Store {
	return with(func(b *teststore.Broken, sound *memory.Store) {
		var mu sync.Mutex
		written := map[uint64]time.Time{}
		b.DoWrite = func(ctx context.Context, w store.Write) (uint64, error) {
			revision, err := sound.Write(ctx, w)
			mu.Lock()
			defer mu.Unlock()
			written[revision] = time.Now()
			return revision, err
		}
		hide(b, func(e store.Event) bool {
			mu.Lock()
			defer mu.Unlock()
			at, known := written[e.Revision]
			return is(e.Revision) && (!known || time.Since(at) < time.Millisecond)
		})
	})
}
