package replica

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/internal/records"
)

// Failures are tried again after firstPause, then after twice as long, up to lastPause.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
)

// loadStep is the number of changes applied at a time to a copy not in use yet.
const loadStep = 1024

// follow keeps the copy up to date. Whatever fails, the copy stays at its mark and grows
// older, and look-ups are refused once it is too old.
func (r *Replica) follow(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		began := r.now()
		err := r.watch(ctx)
		if ctx.Err() != nil {
			return
		}
		if !errors.Is(err, errSilent) && !errors.Is(err, errForked) && !errors.Is(err, errWasBack) { // reported already
			r.failed(err)
		}
		if r.now()-began > lastPause { // it worked for a while
			pause = firstPause
		}
		// Not all replicas at once.
		sleep(ctx, pause/2+rand.N(pause/2))
		pause = min(2*pause, lastPause)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// watch follows the feed from the mark of the copy, or loads a new copy, until the feed
// ends. It returns the reason.
func (r *Replica) watch(ctx context.Context) (err error) {
	defer func() { // a panic in the adapter's feed must not end the process
		if p := recover(); p != nil {
			err = fmt.Errorf("store/replica: the change feed panicked: %v", p)
		}
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	after, copied := r.resume(cancel)
	loading := copied == nil
	if loading {
		copied = records.NewCopy()
	}
	var changes []store.Change
	for change, err := range r.watcher.Watch(ctx, after) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, store.ErrCompacted) {
			r.reloadNext()
		}
		if err != nil {
			return fmt.Errorf("store/replica: the change feed after revision %d: %w", after.Revision, err)
		}
		r.heard.Store(int64(r.now()))
		if !change.IsMark() {
			changes = append(changes, change)
		}
		if change.IsMark() || loading && len(changes) == loadStep {
			copied.Apply(changes)
			clear(changes)
			changes = changes[:0]
		}
		if change.IsMark() {
			after, loading = change.Position(), false
			if err := r.reached(ctx, after, copied); err != nil {
				r.failed(err)
				return err
			}
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("store/replica: the change feed after revision %d ended without an error", after.Revision)
}

// resume returns the mark and the copy to go on with, zero and nil to reload.
func (r *Replica) resume(restart context.CancelCauseFunc) (after store.Position, copied *records.Copy) {
	r.heard.Store(int64(r.now()))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.restart = restart
	if r.reload {
		return store.Position{}, nil
	}
	return r.position, r.copy.Load()
}

// reloadNext makes the next watch load everything. Until then the copy stays in use.
func (r *Replica) reloadNext() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reload = true
}

// reached puts a copy in force at a mark. ctx is that of the watch: one that was ended
// because its store went back has no effect any more. The error is the reason for restarting
// the watch: its feed goes on in a history that the store has left.
func (r *Replica) reached(ctx context.Context, mark store.Position, copied *records.Copy) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil {
		return nil
	}
	if r.copy.Load() != copied {
		r.copy.Store(copied)
		r.reload, r.doubted = false, false
		select {
		case r.ask <- struct{}{}: // earlier checks are out of date
		default:
		}
	}
	r.position, r.restarts = mark, 0
	r.confirm()
	r.wake()
	if slices.ContainsFunc(r.checks, func(c check) bool { return r.leaves(c, mark) }) {
		return errForked
	}
	return nil
}

// leaves reports whether the store had left the history of a mark, by a check that is neither
// too recent for the feed to follow nor too old to confirm anything. The feed has delivered no
// other history since then. The lock is held.
func (r *Replica) leaves(c check, mark store.Position) bool {
	age := r.now() - c.asked
	return c.before.History == mark.History && c.position.History != mark.History && age > max(r.bound/2, r.took) && age < r.bound
}

// failed notes and reports a failure.
func (r *Replica) failed(err error) {
	r.mu.Lock()
	r.err = err
	r.mu.Unlock()
	defer func() { _ = recover() }()
	r.handle(err)
}
