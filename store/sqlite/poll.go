package sqlite

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/adapter"
)

// A write in another process wakes nobody, and SQLite has no way to wait for one: it can
// only be asked. As long as anybody watches, one goroutine asks for all. A question takes
// some ten microseconds, mostly for waking up.

// Between two questions whether anybody has written. After a time of quiet a hundredth of
// it is added to the age of a change, within these bounds.
const (
	shortestPause = time.Millisecond
	longestPause  = 25 * time.Millisecond
	busyPause     = 50 * time.Millisecond // longest one for being busy
)

// A follower spends a tenth of the time on questions and on reading changes, so that many
// of them leave the machine to the writers: where they hold each other up, each asks less
// often.
const pausePerBusy = 10

// pollPause is the pause after a time of quiet, and after being busy.
func pollPause(quiet, busy time.Duration) time.Duration {
	return max(min(quiet/100, longestPause), min(pausePerBusy*busy, busyPause), shortestPause)
}

// A poller wakes the watchers when the file was written.
type poller struct {
	adapter.Waker
	mu   sync.Mutex
	stop context.CancelFunc // ends the polling

	pause func(quiet, busy time.Duration) time.Duration
	read  atomic.Int64  // time of the last reading of changes, in nanoseconds
	seen  latest        // read, delivered or written by this process
	hints latest        // with a hint
	hint  chan struct{} // asks at once
}

// saw hints that the file was written, if a position is later than the last one known. So a
// watcher receives what a call of this process has seen without a pause. An earlier position
// was read before, or is from a backup that was restored meanwhile: the poller sees that by
// itself.
func (p *poller) saw(position store.Position) {
	p.seen.note(position)
	if !p.hints.note(position) {
		return
	}
	select {
	case p.hint <- struct{}{}:
	default:
	}
}

// delivered notes a reading of changes up to a position. It is no hint, or a watcher left
// behind would never pause.
func (p *poller) delivered(position store.Position, took time.Duration) {
	p.seen.note(position)
	p.read.Store(int64(took))
}

// A latest is the latest of some positions.
type latest struct{ atomic.Pointer[store.Position] }

// note reports whether a position is later than those noted before, or of another history.
func (l *latest) note(position store.Position) bool {
	for {
		last := l.Load()
		if last != nil && last.History == position.History && position.Revision <= last.Revision {
			return false
		}
		if l.CompareAndSwap(last, &position) {
			return true
		}
	}
}

// await is Wait, and polls as long as there are watchers.
func (s *Store) await() (woken <-chan struct{}, stop func()) {
	p := &s.poller
	p.mu.Lock()
	defer p.mu.Unlock()
	first := p.Waiting() == 0
	woken, leave := p.Wait() // before the poller starts: it wakes the watchers that are there
	if first {
		var ctx context.Context
		ctx, p.stop = context.WithCancel(s.life)
		go s.poll(ctx)
	}
	return woken, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if leave(); p.Waiting() == 0 {
			p.stop()
		}
	}
}

// poll wakes the watchers whenever the file was written, until ctx ends. It also wakes
// them if it cannot tell: they find out what is wrong with the file.
func (s *Store) poll(ctx context.Context) {
	for {
		leave, err := s.begin(ctx)
		if err != nil {
			return
		}
		s.pollUntilFailure(ctx)
		leave()
		s.poller.Wake()
		sleep(ctx, 10*shortestPause)
	}
}

// pollUntilFailure asks on a connection of its own: the answer changes with every write
// on another connection.
func (s *Store) pollUntilFailure(ctx context.Context) {
	conn, err := s.feed.Conn(ctx)
	if err != nil {
		return
	}
	defer conn.Close()
	ask, err := conn.PrepareContext(ctx, "PRAGMA data_version")
	if err != nil {
		return
	}
	defer ask.Close()
	var last int64 // never zero, so the watchers are woken once at the start
	changed := time.Now()
	due := changed // time of the question; it comes later on a busy machine
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var version int64
		if err := errors.Join(s.file.check(), ask.QueryRow().Scan(&version)); err != nil {
			return
		}
		if version != last {
			last, changed = version, time.Now()
			s.poller.Wake()
		}
		pause := s.poller.pause(time.Since(changed), time.Since(due)+time.Duration(s.poller.read.Load()))
		due = time.Now().Add(pause)
		timer.Reset(pause)
		select {
		case <-timer.C:
		case <-s.poller.hint:
			due = time.Now()
		case <-ctx.Done():
			return
		}
	}
}
