package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/own"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/records"
)

// DefaultMaxStaleness is the bound without the option WithMaxStaleness.
const DefaultMaxStaleness = 5 * time.Second

// ErrStale is returned by look-ups while the copy is not loaded yet, or not verified to be
// within its bound.
var ErrStale = errors.New("the copy is not known to be fresh")

// An Option changes how a Replica works.
type Option func(*Replica)

// WithMaxStaleness bounds the age of answers: the time from the acknowledgement of a write,
// in any process, to the last answer without it. It is DefaultMaxStaleness if not positive,
// at least 10 ms and at most a day. The store is asked for its position ten times in that
// time. If it does not answer for that long, every decision is unavailable. Less than
// 100 ms is hard to keep on a machine with other work.
func WithMaxStaleness(bound time.Duration) Option {
	return func(r *Replica) {
		if bound > 0 {
			r.bound = min(max(bound, 10*time.Millisecond), 24*time.Hour)
		}
	}
}

// WithErrorHandler sets a function for failures, such as a broken connection; nil is slog's
// default log. The Replica goes on trying. Its own goroutines and callers of Sync call the
// function, several at once, and wait for it. So it must be safe for concurrent use, and must
// not call Close. A panic in it is recovered.
func WithErrorHandler(handle func(error)) Option {
	return func(r *Replica) {
		if handle != nil {
			r.handle = handle
		}
	}
}

func logError(err error) { slog.Error("store/replica", "error", err) }

// A Replica answers look-ups from a copy of a store. It is a policy.ImmediateSource and
// safe for concurrent use. Make one with [New].
type Replica struct {
	watcher store.Watcher
	bound   time.Duration
	handle  func(error)

	clock      *clock                       // for all times
	freshUntil atomic.Int64                 // in nanoseconds; look-ups from then on are refused
	copy       atomic.Pointer[records.Copy] // nil until it is loaded

	stop context.CancelFunc
	done sync.WaitGroup

	heard atomic.Int64  // when the feed last delivered
	ask   chan struct{} // asks the store at once

	mu        sync.Mutex     // guards the fields below
	position  store.Position // mark of the copy
	reload    bool           // by the next watch
	doubted   bool           // the store has gone back behind the copy
	asked     uint64         // number of the latest check
	confirmed uint64         // number of the latest check that the copy includes
	checks    []check        // not included in the copy yet
	behind    time.Duration  // when the first of an unbroken row of such checks was asked
	took      time.Duration  // a check, of late
	restarts  int            // of the watch, since it last delivered a mark
	err       error          // latest failure, nil if the copy was confirmed since
	closed    bool
	moved     chan struct{}           // closed when a field above changes
	restart   context.CancelCauseFunc // ends the watch under way; nil if there is none
}

var _ policy.ImmediateSource = (*Replica)(nil)

func init() {
	own.Register(func(r *Replica) any { return finder{r} })
}

// New copies a store and follows it until Close. It returns at once; until the copy is
// loaded, look-ups fail with ErrStale, see [Replica.Ready]. It fails if store.As finds no
// store.Watcher in the store. The store stays the caller's: close it after the replica.
func New(s store.Store, options ...Option) (*Replica, error) {
	watcher, ok := store.As[store.Watcher](s)
	if !ok {
		return nil, fmt.Errorf("store/replica: %T has no change feed to follow: want a store in which store.As finds a store.Watcher", s)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &Replica{
		watcher: watcher, bound: DefaultMaxStaleness, handle: logError,
		clock: newClock(), stop: stop, ask: make(chan struct{}, 1),
		reload: true, moved: make(chan struct{}),
	}
	for _, option := range options {
		if option != nil {
			option(r)
		}
	}
	r.took = r.bound
	r.done.Go(func() { r.clock.follow(ctx, r.bound/checksPerBound) })
	r.done.Go(func() { r.follow(ctx) })
	r.done.Go(func() { r.verify(ctx) })
	return r, nil
}

// Lookup implements [policy.Source].
func (r *Replica) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	if err := ctx.Err(); err != nil {
		return policy.Subject{}, false, err
	}
	return r.LookupNow(id)
}

// LookupNow implements [policy.ImmediateSource]. It takes no lock, allocates nothing and
// never asks the store. The error is ErrStale while the copy is not verified to be fresh,
// and store.ErrClosed after Close.
func (r *Replica) LookupNow(id apikey.ID) (policy.Subject, bool, error) {
	subject, _, err := finder{r}.Find(id)
	return subject, subject != policy.Subject{}, err
}

// A finder is a replica as an engine asks it.
type finder struct{ replica *Replica }

// Find is LookupNow with the key's facts.
func (f finder) Find(id apikey.ID) (policy.Subject, own.Facts, error) {
	// When a stopped process goes on, a flag set by a timer could be read before the timer
	// runs. The clock cannot be late.
	if int64(f.replica.now()) >= f.replica.freshUntil.Load() {
		return policy.Subject{}, 0, f.replica.stale()
	}
	return f.replica.copy.Load().Find(id)
}

// ReadAhead reads records of the copy, as soon as there is one.
func (f finder) ReadAhead(ids []apikey.ID) (sum int) {
	if loaded := f.replica.copy.Load(); loaded != nil {
		sum = loaded.ReadAhead(ids)
	}
	return sum
}

func (r *Replica) now() time.Duration { return r.clock.now() }

// stale returns the error of a refused look-up.
func (r *Replica) stale() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	what := "it was not loaded yet"
	switch {
	case r.closed:
		return fmt.Errorf("store/replica: %w", store.ErrClosed)
	case r.freshUntil.Load() > 0:
		what = fmt.Sprintf("it was fresh %v ago: want %v at most", r.age().Round(time.Millisecond), r.bound)
	}
	if r.err != nil {
		return fmt.Errorf("store/replica: %w: %s: the latest failure: %w", ErrStale, what, r.err)
	}
	return fmt.Errorf("store/replica: %w: %s", ErrStale, what)
}

// Staleness returns the greatest possible age of the copy: every write acknowledged that
// long ago is in force here. Before the copy is loaded it is the longest Duration. It says
// what is known, even while look-ups are refused.
func (r *Replica) Staleness() time.Duration {
	if r.freshUntil.Load() <= 0 {
		return math.MaxInt64
	}
	return r.age()
}

func (r *Replica) age() time.Duration {
	return r.now() - (time.Duration(r.freshUntil.Load()) - r.bound)
}

// Position returns the position of the copy, the zero Position before it is loaded.
func (r *Replica) Position() store.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.position
}

// Err returns the latest failure to reach or to read the store, nil if it was reached
// since. Show it to operators beside Staleness.
func (r *Replica) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Ready waits until look-ups are answered. Errors: the context's, together with the latest
// failure; store.ErrClosed.
func (r *Replica) Ready(ctx context.Context) error {
	return r.wait(ctx, "not ready", func() bool { return int64(r.now()) < r.freshUntil.Load() })
}

// Sync waits until every write acknowledged before the call, in any process, is in force
// here: look-ups that begin after Sync has returned see it. Call it after a Put or a Delete
// whose effect this process relies on at once. Errors are those of Ready and of the store's
// Position.
func (r *Replica) Sync(ctx context.Context) error {
	c, err := r.latest(ctx)
	if err != nil {
		return err
	}
	if err := r.weigh(c); err != nil {
		r.failed(err)
	}
	return r.wait(ctx, fmt.Sprintf("revision %d is not in force", c.position.Revision), func() bool { return r.confirmed >= c.number })
}

// wait waits until a condition holds, which it checks after every change of the replica.
func (r *Replica) wait(ctx context.Context, what string, holds func() bool) error {
	for {
		r.mu.Lock()
		held, closed, moved := holds(), r.closed, r.moved
		r.mu.Unlock()
		switch {
		case closed:
			return fmt.Errorf("store/replica: %w", store.ErrClosed)
		case held:
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			if err := r.Err(); err != nil {
				return fmt.Errorf("store/replica: %s: %w: the latest failure: %w", what, ctx.Err(), err)
			}
			return fmt.Errorf("store/replica: %s: %w", what, ctx.Err())
		}
	}
}

// Close ends the replica. It stops following, and look-ups fail with store.ErrClosed. The
// store stays open. The error is always nil.
func (r *Replica) Close() error {
	r.mu.Lock()
	r.closed = true
	r.freshUntil.Store(0)
	r.wake()
	r.mu.Unlock()
	r.stop()
	r.done.Wait()
	return nil
}

// wake makes waiting calls check again. The lock is held.
func (r *Replica) wake() {
	close(r.moved)
	r.moved = make(chan struct{})
}
