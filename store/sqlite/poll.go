package sqlite

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/store/adapter"
)

// pollInterval is the time between two questions whether anybody has written. One takes
// some microseconds.
const pollInterval = time.Millisecond

// A write in another process wakes nobody, and SQLite has no way to wait for one: it can
// only be asked. As long as anybody watches, one goroutine asks for all.

// A poller wakes the watchers when the file was written.
type poller struct {
	adapter.Waker
	mu   sync.Mutex
	stop context.CancelFunc // ends the polling
}

// await is Wait, and polls as long as there are watchers.
func (s *Store) await() (woken <-chan struct{}, stop func()) {
	p := &s.poller
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Waiting() == 0 {
		var ctx context.Context
		ctx, p.stop = context.WithCancel(s.life)
		go s.poll(ctx)
	}
	woken, leave := p.Wait()
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
		sleep(ctx, 10*pollInterval)
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
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	var last int64 // never zero, so the watchers are woken once at the start
	for {
		var version int64
		if err := errors.Join(s.file.check(), ask.QueryRow().Scan(&version)); err != nil {
			return
		}
		if version != last {
			last = version
			s.poller.Wake()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
