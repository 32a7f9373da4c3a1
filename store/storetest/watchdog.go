package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Limits are how long a case waits before it fails.
type limits struct {
	whole    time.Duration // for the whole case
	patience time.Duration // for one call, and for anything to happen
}

// defaultLimits are generous: a busy machine with a slow disk keeps them. What a store
// once let pass is not waited for so long again.
var defaultLimits = limits{whole: time.Minute, patience: 20 * time.Second}

// afterVain are the limits once a wait was in vain.
func (l limits) afterVain() limits {
	return limits{whole: l.whole / 5, patience: l.patience / 10}
}

// errVain ends the context of a case that the watchdog gave up.
var errVain = errors.New("storetest: the case waited in vain")

// A pending call is one that has not returned.
type pending struct {
	method string
	ctx    context.Context
	since  time.Time
	waits  bool // it may take long: a Watch that has nothing to deliver, or a function of the test's own
}

// A watchdog knows which calls are under way, and whether anything happens.
type watchdog struct {
	slots  [128]slot
	events atomic.Uint64
}

// A slot has one pending call. A watchdog without a free slot does not see the call.
type slot struct {
	taken atomic.Bool
	call  atomic.Pointer[pending]
}

// begin notes that a call begins. The caller ends the slot that it returns.
func (w *watchdog) begin(p pending) *slot {
	s := w.free()
	s.set(&p)
	return s
}

// free takes a free slot; nil if there is none.
func (w *watchdog) free() *slot {
	raceDisable()
	defer raceEnable()
	w.events.Add(1)
	for i := range w.slots {
		if w.slots[i].taken.CompareAndSwap(false, true) {
			return &w.slots[i]
		}
	}
	return nil
}

// set publishes the call to the watchdog alone: one goroutine's store is not ordered
// with another's.
func (s *slot) set(p *pending) {
	if s == nil {
		return
	}
	if p != nil {
		p.since = time.Now()
	}
	s.call.Store(p)
}

// end notes that the call returned.
func (w *watchdog) end(s *slot) {
	s.set(nil)
	raceDisable()
	defer raceEnable()
	w.events.Add(1)
	if s != nil {
		s.taken.Store(false)
	}
}

// happened notes that something happened within a call.
func (w *watchdog) happened() {
	raceDisable()
	defer raceEnable()
	w.events.Add(1)
}

// pending returns the calls under way.
func (w *watchdog) pending() (all []*pending) {
	for i := range w.slots {
		if p := w.slots[i].call.Load(); p != nil {
			all = append(all, p)
		}
	}
	return all
}

// supervise waits for a case to end. It fails the case when a call does not return, when
// nothing happens any more, or when the whole takes too long. Then the case's context
// ends, and if even that does not help the case is left behind. It reports whether any
// wait was in vain.
func (k *kit) supervise(done <-chan struct{}) (vain bool) {
	l := k.limits
	ticker := time.NewTicker(max(l.patience/20, time.Millisecond))
	defer ticker.Stop()
	begun := time.Now()
	var gaveUp time.Time // zero: not yet
	events, progress := uint64(0), begun
	ended := map[*pending]time.Time{} // calls whose context is done, since when
	for {
		select {
		case <-done:
			return !gaveUp.IsZero()
		case <-ticker.C:
		}
		now, calls := time.Now(), k.watchdog.pending()
		n := k.watchdog.events.Load()
		happened := n != events
		events = n
		if happened || len(calls) == 0 { // without a call the case computes
			progress = now
		}
		var problem string
		for _, p := range calls {
			if _, known := ended[p]; !known && p.ctx.Err() != nil {
				ended[p] = now
			}
			switch since, isEnded := ended[p]; {
			case isEnded && now.Sub(since) > l.patience:
				problem = fmt.Sprintf("%s has not returned, though its context was done %v ago; want it to return (S2)", p.method, rounded(now.Sub(since)))
			case !p.waits && now.Sub(p.since) > l.patience:
				problem = fmt.Sprintf("%s has not returned for %v", p.method, rounded(now.Sub(p.since)))
			}
		}
		own := slices.ContainsFunc(calls, func(p *pending) bool { return p.waits && !p.isWatch() })
		switch {
		case !gaveUp.IsZero():
			if now.Sub(gaveUp) > l.patience {
				k.leave(calls)
				return true
			}
			continue
		case problem != "":
		case now.Sub(progress) > l.patience && !own:
			problem = fmt.Sprintf("nothing has happened for %v%s", rounded(now.Sub(progress)), waitingFor(calls))
		case now.Sub(begun) > l.whole && (happened || len(calls) > 0) || now.Sub(begun) > 10*l.whole:
			problem = fmt.Sprintf("the case has taken longer than %v%s", l.whole, waitingFor(calls))
		default:
			continue
		}
		k.Errorf("%s", problem)
		k.cancel(errVain)
		gaveUp = now
	}
}

func (p *pending) isWatch() bool { return strings.HasPrefix(p.method, "Watch") }

func rounded(d time.Duration) time.Duration {
	if d > time.Second {
		return d.Round(time.Second)
	}
	return d.Round(time.Millisecond)
}

// waitingFor names the calls under way.
func waitingFor(calls []*pending) string {
	var methods []string
	for _, p := range calls {
		methods = append(methods, p.method)
	}
	if slices.Sort(methods); len(methods) == 0 {
		return " and no call is under way"
	}
	return ", while under way: " + strings.Join(slices.Compact(methods), ", ")
}

// leave gives a case up that does not end though its context did. Its goroutines stay
// behind, and can no longer fail the test.
func (k *kit) leave(calls []*pending) {
	k.Errorf("the case does not end, though its context was done %v ago%s; its goroutines are left behind", rounded(k.limits.patience), waitingFor(calls))
	k.TB.(*caseTB).leave()
}
