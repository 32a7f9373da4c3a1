package sqlite

import (
	"context"
	"errors"
	"sync"
	"time"
)

// pollInterval is how often the file is asked whether anybody has written. It takes
// some microseconds.
const pollInterval = time.Millisecond

// A write in another process wakes nobody, and SQLite has no way to wait for one: it can
// only be asked. So somebody asks for all who watch, as long as there are any.

// watchers are those who wait for writes.
type watchers struct {
	mu   sync.Mutex
	all  map[chan struct{}]bool
	stop context.CancelFunc // ends the polling
}

// await returns a channel that has a token whenever something may have been written
// since one was taken from it. The function that it returns ends that.
func (s *Store) await() (more <-chan struct{}, leave func()) {
	w := &s.waiting
	token := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.all) == 0 {
		var ctx context.Context
		ctx, w.stop = context.WithCancel(s.life)
		w.all = map[chan struct{}]bool{}
		go s.poll(ctx, w)
	}
	w.all[token] = true
	return token, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(w.all, token); len(w.all) == 0 {
			w.stop()
		}
	}
}

func (w *watchers) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for watcher := range w.all {
		select {
		case watcher <- struct{}{}:
		default:
		}
	}
}

// poll wakes those who wait whenever the file was written, until ctx ends. It wakes them
// too if it cannot tell: they will find out what is wrong with the file.
func (s *Store) poll(ctx context.Context, w *watchers) {
	for {
		leave, err := s.begin(ctx)
		if err != nil {
			return
		}
		s.pollUntilFailure(ctx, w)
		leave()
		w.wake()
		sleep(ctx, 10*pollInterval)
	}
}

// pollUntilFailure asks on a connection of its own, because the answer is about writes
// on other connections: when it changes there was one.
func (s *Store) pollUntilFailure(ctx context.Context, w *watchers) {
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
	var last int64 // none is zero, so they are woken once to begin with
	for {
		var version int64
		if err := errors.Join(s.file.check(), ask.QueryRow().Scan(&version)); err != nil {
			return
		}
		if version != last {
			last = version
			w.wake()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
