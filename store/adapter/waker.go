package adapter

import "sync"

// A Waker wakes watchers after a write. A wake-up is a hint: the watcher reads the store to
// know. The zero Waker is ready for use, by any number of goroutines.
type Waker struct {
	mu      sync.Mutex
	waiting map[chan struct{}]struct{}
}

// Wait returns a channel that receives a token after each [Waker.Wake]. Several wake-ups
// not taken yet are one token. stop ends the wait.
//
// Call Wait before reading the store, or a write in between wakes nobody.
func (w *Waker) Wait() (woken <-chan struct{}, stop func()) {
	token := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting == nil {
		w.waiting = map[chan struct{}]struct{}{}
	}
	w.waiting[token] = struct{}{}
	return token, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.waiting, token)
	}
}

// Wake wakes every watcher and waits for none (W7).
func (w *Waker) Wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for token := range w.waiting {
		select {
		case token <- struct{}{}:
		default:
		}
	}
}

// Waiting returns the number of watchers.
func (w *Waker) Waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting)
}
