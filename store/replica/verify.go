package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/store"
)

// checksPerBound is the number of questions for the store's position within the bound, and
// the largest number under way.
const checksPerBound = 10

// loadPatience bounds the silence of a feed during a load, for a database that thinks
// before it answers.
const loadPatience = time.Minute

var (
	errSilent  = errors.New("store/replica: the change feed does not deliver a revision that the store reports: the watch is restarted")
	errForked  = errors.New("store/replica: the store reports another history than its copy has, as after a restored backup or a failover that lost writes: the watch is restarted")
	errWasBack = errors.New("store/replica: the store is at an earlier revision of its history than its copy: the copy is reloaded")
)

// A check is an answer of the store: when it was asked, no returned write had a later
// position. A copy that includes the position is as fresh as the check.
type check struct {
	number   uint64         // in the order of asking
	asked    time.Duration  // time by the replica's clock
	before   store.Position // of the copy when the store was asked
	position store.Position
}

// verify asks the store for its position again and again. Silence of the feed proves
// nothing: a dead connection is silent, too.
//
// A question is asked once the one before is answered, or after a while without an answer.
// It may have been lost with its connection. If answers take most of the bound, each would
// come too late for another to follow.
func (r *Replica) verify(ctx context.Context) {
	interval := r.bound / checksPerBound
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	answered := make(chan struct{}, checksPerBound)
	for underway := 0; ; {
		asked := r.now()
		underway++
		r.done.Go(func() {
			r.check(ctx)
			answered <- struct{}{}
		})
		for due := false; !due; {
			select {
			case <-answered:
				underway--
			case <-ticker.C:
				due = underway == 0 || underway < checksPerBound && r.now()-asked+interval > r.overdue()
			case <-r.ask:
				due = underway < checksPerBound
			case <-ctx.Done():
				return
			}
		}
	}
}

// overdue is the time after which a question is no longer waited for alone: half of the
// time that the bound leaves beside an answer, a quarter of the bound at most. Before the
// first answer the store is taken for a slow one.
func (r *Replica) overdue() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return min(r.bound/4, (r.bound-r.took)/2)
}

// check asks the store once.
func (r *Replica) check(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.bound) // a later answer would confirm nothing
	defer cancel()
	c, err := r.latest(ctx)
	if errors.Is(context.Cause(ctx), context.Canceled) { // by Close
		return
	}
	if err == nil {
		err = r.weigh(c)
	}
	if err != nil {
		r.failed(err)
	}
}

// latest asks the store for its position.
func (r *Replica) latest(ctx context.Context) (c check, err error) {
	defer func() { // see watch
		if p := recover(); p != nil {
			err = fmt.Errorf("store/replica: the store's Position panicked: %v", p)
		}
	}()
	r.mu.Lock()
	r.asked++
	c = check{number: r.asked, asked: r.now(), before: r.position}
	r.mu.Unlock()
	if c.position, err = r.watcher.Position(ctx); err != nil {
		return c, fmt.Errorf("store/replica: the store's position: %w", err)
	}
	return c, nil
}

// weigh takes an answer of the store. The error is the reason for restarting the watch.
func (r *Replica) weigh(c check) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	r.took = min(max(now-c.asked, r.took/2), r.bound)
	if r.doubt(c) {
		return errWasBack
	}
	if len(r.checks) == 0 {
		r.behind = c.asked
	}
	r.checks = append(r.checks, c)
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
	patience = min((patience+r.took)<<r.restarts, loadPatience)
	if len(r.checks) > 0 && now-r.behind > patience && now-time.Duration(r.heard.Load()) > patience && r.restart != nil {
		r.restarts = min(r.restarts+1, maxRestarts)
		r.endWatch(reason)
		return reason
	}
	return nil
}

// maxRestarts bounds the growth of the patience with a feed that needs longer than expected.
const maxRestarts = 16

// doubt reports whether the store has gone back behind the copy's revision from before it
// was asked, and then starts a reload: the store no longer knows the later writes in the
// copy. The lock is held.
func (r *Replica) doubt(c check) bool {
	if c.position.History != c.before.History || c.position.Revision >= c.before.Revision || !r.includes(c.before) {
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
	if r.closed {
		return
	}
	for _, c := range r.checks {
		if c.number > r.confirmed && r.includes(c.position) {
			r.confirmed, r.err = c.number, nil
			r.freshUntil.Store(int64(c.asked + r.bound))
		}
	}
	r.checks = slices.DeleteFunc(r.checks, func(c check) bool { return c.number <= r.confirmed })
}

// includes reports whether the copy is known to have every write up to a position. One of
// another history cannot be compared (W9). The lock is held.
func (r *Replica) includes(p store.Position) bool {
	return r.copy.Load() != nil && !r.doubted && r.position.History == p.History && r.position.Revision >= p.Revision
}
