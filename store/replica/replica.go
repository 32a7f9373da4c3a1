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
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/records"
)

// DefaultMaxStaleness is how old a copy may be, if no option says otherwise.
const DefaultMaxStaleness = 5 * time.Second

// ErrStale is why look-ups fail while the copy cannot be proven fresh within its
// bound, or was not loaded yet. What was asked for may be as the copy has it, or not
// any more.
var ErrStale = errors.New("the copy is not known to be fresh")

// An Option changes how a Replica works.
type Option func(*Replica)

// WithMaxStaleness sets how long after a write was acknowledged, in whatever process,
// an answer may still be as before; DefaultMaxStaleness if it is not positive. The
// store is asked for its revision ten times in that time, and one that does not answer
// for so long makes every decision unavailable. Less than 100 ms is hard to keep on a
// machine with other work; less than 10 ms is taken as 10 ms, and more than a day as a
// day.
func WithMaxStaleness(bound time.Duration) Option {
	return func(r *Replica) {
		if bound > 0 {
			r.bound = min(max(bound, 10*time.Millisecond), 24*time.Hour)
		}
	}
}

// WithErrorHandler sets what is told of every failure, such as a connection that broke,
// while the Replica goes on trying; if it is nil, slog's default log. It is called by
// the Replica's own goroutines, which do nothing else until it returns, so it must not
// call Close. A panic in it ends there.
func WithErrorHandler(handle func(error)) Option {
	return func(r *Replica) {
		if handle != nil {
			r.handle = handle
		}
	}
}

func logError(err error) { slog.Error("store/replica", "error", err) }

// A Replica answers look-ups from a copy of a store. It is a policy.ImmediateSource,
// for an Engine, and safe for concurrent use. Make one with [New].
type Replica struct {
	watcher store.Watcher
	bound   time.Duration
	handle  func(error)

	clock      *clock                       // by which all times are counted
	freshUntil atomic.Int64                 // in nanoseconds; look-ups from then on are refused
	copy       atomic.Pointer[records.Copy] // nil until it is loaded

	stop context.CancelFunc
	done sync.WaitGroup

	heard atomic.Int64  // when the feed last told of something
	ask   chan struct{} // has the store asked at once

	mu       sync.Mutex    // guards all below
	revision uint64        // of the mark that the copy is as of
	reload   bool          // the next watch is to begin anew
	doubted  bool          // the copy is of a time that the store no longer knows
	checks   []check       // that wait for the copy to come as far, the oldest first
	behind   time.Duration // when the first of an unbroken row of checks was asked
	err      error         // the latest failure, if nothing was proven since
	closed   bool
	moved    chan struct{} // closed when one of these changed
	restart  context.CancelCauseFunc
}

var _ policy.ImmediateSource = (*Replica)(nil)

// A check is what the store said of itself: when it was asked, no write that had
// returned had a later revision. A copy that has come so far is as fresh as that.
type check struct {
	asked    time.Duration // when, by the replica's clock
	revision uint64
}

// New begins to copy a store, and to follow it until Close. It returns at once: until
// the copy is loaded, look-ups fail with ErrStale; see [Replica.Ready]. The error is
// that store.As finds no store.Watcher in the store. The store is the caller's: it is
// to be closed after the replica.
func New(s store.Store, options ...Option) (*Replica, error) {
	watcher, ok := store.As[store.Watcher](s)
	if !ok {
		return nil, fmt.Errorf("store/replica: %T has no change feed to follow: want a store in which store.As finds a store.Watcher", s)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &Replica{
		watcher: watcher, bound: DefaultMaxStaleness, handle: logError,
		clock: newClock(), stop: stop, ask: make(chan struct{}, 1),
		reload: true, moved: make(chan struct{}), restart: func(error) {},
	}
	for _, option := range options {
		if option != nil {
			option(r)
		}
	}
	r.done.Go(func() { r.clock.notice(ctx, r.bound/checksPerBound) })
	r.done.Go(func() { r.follow(ctx) })
	r.done.Go(func() { r.prove(ctx) })
	return r, nil
}

// Lookup is as policy.Source says.
func (r *Replica) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	if err := ctx.Err(); err != nil {
		return policy.Subject{}, false, err
	}
	return r.LookupNow(id)
}

// LookupNow is as policy.ImmediateSource says: it takes no lock, allocates nothing and
// never asks the store. The error is ErrStale while the copy is not proven fresh, and
// store.ErrClosed after Close.
func (r *Replica) LookupNow(id apikey.ID) (policy.Subject, bool, error) {
	// A flag that a timer sets would be read before the timer runs when the process
	// goes on after it was stopped. The clock cannot be late.
	if int64(r.now()) >= r.freshUntil.Load() {
		return policy.Subject{}, false, r.stale()
	}
	return r.copy.Load().Lookup(id)
}

func (r *Replica) now() time.Duration { return r.clock.now() }

// stale returns why look-ups are refused.
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

// Staleness returns how old what look-ups are answered from may be: everything that
// had been acknowledged so long ago is in force here. It is the longest Duration
// before the copy is loaded. It says what is known, whether or not look-ups are
// refused for it.
func (r *Replica) Staleness() time.Duration {
	if r.freshUntil.Load() <= 0 {
		return math.MaxInt64
	}
	return r.age()
}

func (r *Replica) age() time.Duration {
	return r.now() - (time.Duration(r.freshUntil.Load()) - r.bound)
}

// Revision returns the revision of the store that the copy is as of; zero before it
// is loaded.
func (r *Replica) Revision() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.revision
}

// Err returns the latest failure to reach or to read the store, or nil if it was
// reached since: what an operator wants to see beside Staleness.
func (r *Replica) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Ready waits until look-ups are answered. Errors: that of the context, together with
// the latest failure; store.ErrClosed.
func (r *Replica) Ready(ctx context.Context) error {
	return r.wait(ctx, "not ready", func() bool { return int64(r.now()) < r.freshUntil.Load() })
}

// WaitFor waits until the write with this revision, and all before it, are in force
// here: look-ups that begin after it has returned see them. Errors as of Ready.
func (r *Replica) WaitFor(ctx context.Context, revision uint64) error {
	return r.wait(ctx, fmt.Sprintf("revision %d is not in force", revision), func() bool {
		return r.copy.Load() != nil && r.revision >= revision && !r.doubted
	})
}

// Sync waits until every write that had been acknowledged when it was called, in
// whatever process, is in force here: what to call after a deletion, which has no
// revision to wait for. Errors as of Ready, and that of the store's Revision.
func (r *Replica) Sync(ctx context.Context) error {
	before := r.Revision()
	revision, err := r.watcher.Revision(ctx)
	if err != nil {
		return fmt.Errorf("store/replica: %w", err)
	}
	r.mu.Lock()
	wasBack := r.doubt(revision, before)
	r.mu.Unlock()
	if wasBack {
		r.failed(errWasBack)
	}
	return r.WaitFor(ctx, revision)
}

// wait waits until something holds that can only come to hold when the replica moves.
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

// Close ends the replica: it stops following, and look-ups fail with store.ErrClosed.
// The store stays open. The error is always nil.
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

// wake has those who wait look again. The lock is held.
func (r *Replica) wake() {
	close(r.moved)
	r.moved = make(chan struct{})
}
