package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/sallyport-go/sallyport/internal/plain"
)

// AllEvents yields the events of a request, page by page, up to the last. It ends after an
// error.
func AllEvents(ctx context.Context, journal Journal, request EventRequest) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for {
			page, err := journal.Events(ctx, request)
			if err != nil {
				yield(Event{}, err)
				return
			}
			for _, event := range page.Events {
				if !yield(event, nil) {
					return
				}
			}
			if !page.More {
				return
			}
			request.After = page.Next
		}
	}
}

// FindEvent returns the event of an organization with this [Event.ID]. It returns ErrNotFound
// for an absent or forgotten event, and for one of another organization.
func FindEvent(ctx context.Context, journal Journal, organization, id string) (Event, error) {
	notFound := fmt.Errorf("store: event %s of organization %s: %w", plain.Quote(id), plain.Quote(organization), ErrNotFound)
	revision, index, ok := ParseEventID(id)
	if !ok || revision == 0 || organization == "" {
		return Event{}, notFound
	}
	request := EventRequest{Organization: organization, Limit: 1}
	page, err := journal.Events(ctx, request)
	if err != nil {
		return Event{}, err
	}
	request.After = Position{History: page.Next.History, Revision: revision - 1}
	page, err = journal.Events(ctx, request)
	if err != nil && !errors.Is(err, ErrCompacted) { // forgotten, or not yet given
		return Event{}, err
	}
	for _, event := range page.Events {
		if event.Revision == revision && event.Index == index {
			return event, nil
		}
	}
	return Event{}, notFound
}

// EventsBefore returns a position for [Write.Forget]: every event up to it has a time before
// t. It is zero if there is no such event. It stops at the first event of t or later, even if
// earlier ones follow.
func EventsBefore(ctx context.Context, journal Journal, t time.Time) (Position, error) {
	var through Position
	request := EventRequest{Limit: MaxPageSize}
	for {
		page, err := journal.Events(ctx, request)
		if err != nil {
			return Position{}, err
		}
		for _, event := range page.Events {
			if event.Time.Before(t) {
				continue
			}
			for _, earlier := range page.Events { // whole writes only
				if earlier.Revision == event.Revision {
					break
				}
				through = Position{History: page.Next.History, Revision: earlier.Revision}
			}
			return through, nil
		}
		if n := len(page.Events); n > 0 {
			through = Position{History: page.Next.History, Revision: page.Events[n-1].Revision}
		}
		if !page.More {
			return through, nil
		}
		request.After = page.Next
	}
}

// pollEvents is the pause of FollowEvents between two reads, for a store without a feed.
const pollEvents = time.Second

// FollowEvents yields the events after request.After, page by page, and later ones as they are
// written, until ctx is done or the loop is left. The store must be a Journal. If it is a
// [Watcher], the journal is read at each mark, otherwise every second.
//
// To use the journal as an outbox, hand on the events of a page, then store its Next, and
// resume there after a crash. An event may be handed on twice, under the same ID. Pages
// without events are yielded too: store their Next, since it stays valid for longer.
//
// It ends by yielding an error. [ErrCompacted] means that unread events were forgotten, or
// read ones were lost with a restored backup. Resume from the zero Position, and skip the IDs
// already handed on.
func FollowEvents(ctx context.Context, s Store, request EventRequest) iter.Seq2[EventPage, error] {
	return func(yield func(EventPage, error) bool) {
		f := follower{request: request, yield: yield}
		var ok bool
		if f.journal, ok = As[Journal](s); !ok || request.Newest {
			yield(EventPage{}, fmt.Errorf("store: %w: FollowEvents of a store that is no Journal (%t), or newest first (%t): want a Journal, and oldest first", ErrInvalid, !ok, request.Newest))
			return
		}
		watcher, watches := As[Watcher](s)
		var err error
		for err == nil {
			if watches {
				err = f.watch(ctx, watcher)
			} else {
				err = f.poll(ctx)
			}
		}
		if !errors.Is(err, errFollowerLeft) {
			yield(EventPage{}, err)
		}
	}
}

var (
	errFollowerLeft = errors.New("store: the follower has left")
	errWatchEnded   = errors.New("store: FollowEvents: the store's Watch ended without an error: want one (W5)")
)

type follower struct {
	journal Journal
	request EventRequest
	yield   func(EventPage, error) bool
}

// read yields the events after the request's position, up to the last.
func (f *follower) read(ctx context.Context) error {
	for {
		page, err := f.journal.Events(ctx, f.request)
		if err != nil {
			return err
		}
		f.request.After = page.Next
		if !f.yield(page, nil) {
			return errFollowerLeft
		}
		if !page.More {
			return nil
		}
	}
}

// watch reads at each mark; the first comes at once. It returns nil if the feed does not reach
// back far enough, to be called again: the journal has its own position.
func (f *follower) watch(ctx context.Context, watcher Watcher) error {
	from, err := watcher.Position(ctx)
	if err != nil {
		return err
	}
	for change, err := range watcher.Watch(ctx, from) {
		switch {
		case errors.Is(err, ErrCompacted):
			return pause(ctx, pollEvents/10) // the feed may never reach back far enough
		case err != nil:
			return err
		case change.IsMark():
			if err := f.read(ctx); err != nil {
				return err
			}
		}
	}
	return errWatchEnded
}

func (f *follower) poll(ctx context.Context) error {
	if err := f.read(ctx); err != nil {
		return err
	}
	return pause(ctx, pollEvents)
}

// pause returns after a time, or with the error of a done ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
