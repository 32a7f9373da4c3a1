package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/store"
)

// checksPerBound is the number of times the store is asked for its revision within the
// bound.
const checksPerBound = 10

// loadPatience bounds the silence of a feed during a load, for a database that thinks
// before it answers.
const loadPatience = time.Minute

var (
	errSilent  = errors.New("store/replica: the change feed does not deliver a revision that the store reports: the watch is restarted")
	errForked  = errors.New("store/replica: the store reports another history than its copy has, as after a restored backup or a failover that lost writes: the watch is restarted")
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
	asked, before := r.now(), r.Position()
	now, err := r.latest(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.failed(err)
		return
	}
	if err := r.weigh(check{asked, now}, before); err != nil {
		r.failed(err)
	}
}

// latest returns the store's position.
func (r *Replica) latest(ctx context.Context) (now store.Position, err error) {
	defer func() { // see watch
		if p := recover(); p != nil {
			err = fmt.Errorf("store/replica: the store's Position panicked: %v", p)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, r.bound/2)
	defer cancel()
	if now, err = r.watcher.Position(ctx); err != nil {
		return store.Position{}, fmt.Errorf("store/replica: the store's position: %w", err)
	}
	return now, nil
}

// weigh takes an answer of the store. before is the position of the copy before the store
// was asked. The error is the reason for restarting the watch.
func (r *Replica) weigh(c check, before store.Position) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.doubt(c.position, before) {
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
	patience, reason := r.bound/2, errSilent
	switch {
	case r.reload:
		patience = loadPatience
	case c.position.History != r.position.History:
		// A feed that goes on under a new name has delivered a mark by the next check.
		patience, reason = r.bound/checksPerBound-1, errForked
	}
	if len(r.checks) > 0 && now-r.behind > patience && now-time.Duration(r.heard.Load()) > patience {
		if r.restart == nil { // the watch is ending
			return nil
		}
		r.endWatch(reason)
		return reason
	}
	return nil
}

// doubt reports whether the store has gone back behind the copy's revision from before it
// was asked, and then starts a reload: the store no longer knows the later writes in the
// copy, and will give their revisions to others. The lock is held.
func (r *Replica) doubt(now, before store.Position) bool {
	if now.History != before.History || now.Revision >= before.Revision || r.doubted || r.position != before && !r.includes(before) {
		return false
	}
	r.doubted, r.reload, r.checks = true, true, nil
	r.endWatch(errWasBack)
	return true
}

// endWatch ends the watch under way, if any. The lock is held.
func (r *Replica) endWatch(reason error) {
	if r.restart != nil {
		r.restart(reason)
		r.restart = nil
	}
}

// confirm advances the time until which the copy is fresh, by the checks. The lock is held.
func (r *Replica) confirm() {
	if r.copy.Load() == nil || r.doubted || r.closed {
		return
	}
	for i, c := range slices.Backward(r.checks) {
		if r.includes(c.position) {
			r.freshUntil.Store(int64(c.asked + r.bound))
			r.checks = r.checks[i+1:]
			r.err = nil
			return
		}
	}
}

// includes reports whether the copy is known to have every write up to a position. Those of
// another history cannot be compared (W9). The lock is held.
func (r *Replica) includes(p store.Position) bool {
	return r.copy.Load() != nil && !r.doubted && r.position.History == p.History && r.position.Revision >= p.Revision
}
