package replica

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// checksPerBound is the number of times the store is asked for its revision within the
// bound.
const checksPerBound = 10

// loadPatience bounds the silence of a feed during a load, for a database that thinks
// before it answers.
const loadPatience = time.Minute

var (
	errSilent  = errors.New("store/replica: the change feed does not deliver a revision that the store reports: the watch is restarted")
	errWasBack = errors.New("store/replica: the store is at an earlier revision than its copy, as after a restored backup: the copy is reloaded")
)

// verify asks the store for its revision again and again. Silence of the feed proves nothing:
// a dead connection is silent, too.
func (r *Replica) verify(ctx context.Context) {
	interval := r.bound / checksPerBound
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for {
		r.check(ctx)
		timer.Reset(interval)
		select {
		case <-timer.C:
		case <-r.ask:
		case <-ctx.Done():
			return
		}
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

// weigh takes an answer of the store. before is the revision of the copy before the store
// was asked. The error is the reason for restarting the watch.
func (r *Replica) weigh(c check, before uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.doubt(c.revision, before) {
		return errWasBack
	}
	if len(r.checks) == 0 {
		r.behind = c.asked
	}
	r.checks = append(r.checks, c)
	now := r.now()
	for r.checks[0].asked+r.bound < now && len(r.checks) > 1 { // too old to confirm anything
		r.checks = r.checks[1:]
	}
	r.confirm()
	r.wake()
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

// doubt reports whether the store has gone back behind the copy's revision from before it
// was asked, and then starts a reload: the store no longer knows the later writes in the
// copy, and will give their revisions to others. The lock is held.
func (r *Replica) doubt(revision, before uint64) bool {
	if revision >= before || r.doubted || r.revision < before {
		return false
	}
	r.doubted, r.reload, r.checks = true, true, nil
	r.restart(errWasBack)
	return true
}

// confirm advances the time until which the copy is fresh, by the checks. The lock is held.
func (r *Replica) confirm() {
	if r.copy.Load() == nil || r.doubted || r.closed {
		return
	}
	for len(r.checks) > 0 && r.checks[0].revision <= r.revision {
		r.freshUntil.Store(int64(r.checks[0].asked + r.bound))
		r.checks = r.checks[1:]
		r.err = nil
	}
}
