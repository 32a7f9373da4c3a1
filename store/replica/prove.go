package replica

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// checksPerBound is how often the store is asked for its revision, in the time that
// the copy may be old.
const checksPerBound = 10

// loadPatience is how long a feed may be silent while everything is loaded, for a
// database that thinks before it answers.
const loadPatience = time.Minute

var (
	errSilent  = errors.New("store/replica: the change feed does not tell of a revision that the store has: it is begun again")
	errWasBack = errors.New("store/replica: the store is at an earlier revision than its copy, as one restored from a backup is: everything is loaded again")
)

// prove asks the store for its revision again and again. That the feed says nothing
// proves nothing: whoever listens to a dead connection hears nothing either.
func (r *Replica) prove(ctx context.Context) {
	interval := r.bound / checksPerBound
	timer := time.NewTimer(interval)
	defer timer.Stop()
	last := time.Now()
	for {
		r.check(ctx)
		timer.Reset(interval)
		select {
		case <-timer.C:
		case <-r.ask:
		case <-ctx.Done():
			return
		}
		now := time.Now()
		r.slept(suspended(last, now))
		last = now
	}
}

// suspended returns how much further the wall clock went than the monotonic one, which
// stands still while the machine sleeps.
func suspended(last, now time.Time) time.Duration {
	return now.Round(0).Sub(last.Round(0)) - now.Sub(last)
}

// slept has look-ups refused until the copy is proven fresh again, if the machine was
// suspended for long.
func (r *Replica) slept(d time.Duration) {
	if d < r.bound/2 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks = nil
	if r.freshUntil.Load() > 0 {
		r.freshUntil.Store(min(r.freshUntil.Load(), int64(r.now())))
	}
}

// check asks the store once.
func (r *Replica) check(ctx context.Context) {
	asked, before := r.now(), r.Revision()
	revision, err := r.latest(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.failed(err)
		return
	}
	if err := r.weigh(check{asked, revision}, before); err != nil {
		r.failed(err)
	}
}

// latest returns the store's revision.
func (r *Replica) latest(ctx context.Context) (revision uint64, err error) {
	defer func() { // see watch
		if p := recover(); p != nil {
			err = fmt.Errorf("store/replica: the store's Revision panicked: %v", p)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, r.bound/2)
	defer cancel()
	if revision, err = r.watcher.Revision(ctx); err != nil {
		return 0, fmt.Errorf("store/replica: the store's revision: %w", err)
	}
	return revision, nil
}

// weigh takes what the store said. before is the revision of the copy from before the
// store was asked. The error is why the feed was begun again.
func (r *Replica) weigh(c check, before uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.revision < before && !r.doubted && r.revision >= before {
		// What the copy has of later writes never was, as the store has it now, and its
		// next revisions will be given to others.
		r.doubted, r.reload, r.checks = true, true, nil
		r.restart(errWasBack)
		return errWasBack
	}
	if len(r.checks) == 0 {
		r.behind = c.asked
	}
	r.checks = append(r.checks, c)
	now := r.now()
	for r.checks[0].asked+r.bound < now && len(r.checks) > 1 { // it could not prove anything any more
		r.checks = r.checks[1:]
	}
	r.confirm()
	patience := r.bound / 2
	if r.reload {
		patience = loadPatience
	}
	if len(r.checks) > 0 && now-r.behind > patience && now-time.Duration(r.heard.Load()) > patience {
		r.restart(errSilent)
		return errSilent
	}
	return nil
}

// confirm finds what the checks prove of the copy. The lock is held.
func (r *Replica) confirm() {
	if r.copy.Load() == nil || r.doubted || r.closed {
		return
	}
	for len(r.checks) > 0 && r.checks[0].revision <= r.revision {
		r.freshUntil.Store(int64(r.checks[0].asked + r.bound))
		r.checks = r.checks[1:]
		r.err = nil
	}
	r.wake()
}
