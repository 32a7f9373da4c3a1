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

// limits bound the waiting of a case.
type limits struct {
	whole    time.Duration // for the whole case
	patience time.Duration // for a call, and for a feed
}

// defaultLimits suit a busy machine with a slow disk, and the race detector.
var defaultLimits = limits{whole: 5 * time.Minute, patience: 20 * time.Second}

// afterVain returns the limits after a wait in vain.
func (l limits) afterVain() limits {
	return limits{whole: l.whole / 5, patience: l.patience / 20}
}

// errVain is the cause of the context of a case that was given up.
var errVain = errors.New("storetest: the case waited in vain")

// A pending call has not returned.
type pending struct {
	method string
	ctx    context.Context
	since  time.Time
	waits  bool // a Watch without changes, or a function of the test's own
}

// A watchdog knows the calls under way, and whether anything happens.
type watchdog struct {
	slots  [128]slot
	events atomic.Uint64
}

// A slot has one pending call. If no slot is free, the call is not supervised.
type slot struct {
	taken atomic.Bool
	call  atomic.Pointer[pending]
}

// begin notes a call. The caller ends the returned slot.
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

// set publishes a call to the watchdog alone. The stores of two goroutines are not
// ordered by it.
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

// supervise waits for the end of a case. It fails the case when a call does not return,
// when a feed delivers nothing, or when the case takes too long. Then the context of the
// case ends. If the case still does not end, it is left behind. supervise reports
// whether any wait was in vain.
func (k *kit) supervise(done <-chan struct{}) (vain bool) {
	l := k.limits
	ticker := time.NewTicker(max(l.patience/20, time.Millisecond))
	defer ticker.Stop()
	begun := time.Now()
	var gaveUp time.Time // zero before
	events, progress := uint64(0), begun
	ended := map[*pending]time.Time{} // calls with a context that is done, since when
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
		problem := l.overdue(calls, ended, now)
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

// overdue returns which call should have returned by now, or "". It notes in ended since
// when the context of a call is done.
func (l limits) overdue(calls []*pending, ended map[*pending]time.Time, now time.Time) (problem string) {
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
	return problem
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

// leave abandons a case that does not end with its context. Its goroutines can no longer
// fail the test.
func (k *kit) leave(calls []*pending) {
	k.Errorf("the case does not end, though its context was done %v ago%s; its goroutines are left behind", rounded(k.limits.patience), waitingFor(calls))
	k.TB.(*caseTB).leave()
}
