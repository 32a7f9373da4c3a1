package usage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// What holds unless an option says otherwise.
const (
	DefaultInterval = 10 * time.Second // the longest pause between two rounds of writing
	DefaultLimit    = 65536            // records in memory
	DefaultTimeout  = 5 * time.Second  // how long the store has for a batch
)

// A Recorder gathers usage and writes it to a store. It is safe for concurrent use, and
// several engines may share one. Make it with [New], and end it with [Recorder.Close]:
// it has a goroutine.
type Recorder struct {
	to       store.UsageRecorder
	interval time.Duration
	timeout  time.Duration
	limit    int
	report   func(error)

	table *table

	flushes   chan chan error // where Flush asks for a round
	closing   chan struct{}   // closed when Close is called
	closeOnce sync.Once
	done      chan struct{} // closed when the goroutine has ended
	closed    error         // what Close returns; set before done is closed
	stop      context.CancelFunc

	// These are the goroutine's own.
	batchKeys int    // of how many keys a batch has records
	told      uint64 // of how many calls without room the error handler knows
}

// An Option changes how a Recorder works.
type Option func(*Recorder)

// WithInterval sets the longest pause between two rounds of writing; DefaultInterval if
// it is not positive. Each pause is shorter by a random part of up to a half, so that
// processes that were started together do not write together. After a round that failed
// the pauses double, up to about a minute, until one succeeds.
func WithInterval(interval time.Duration) Option {
	return func(r *Recorder) {
		if interval > 0 {
			r.interval = interval
		}
	}
}

// WithLimit sets how many records are in memory at most; DefaultLimit if it is not
// positive. There is one for each entry of a key and each secret that it was used with,
// as a rule one or two for a key, and each takes some 350 bytes.
func WithLimit(records int) Option {
	return func(r *Recorder) {
		if records > 0 {
			r.limit = records
		}
	}
}

// WithTimeout sets how long the store has for a batch; DefaultTimeout if it is not
// positive.
func WithTimeout(timeout time.Duration) Option {
	return func(r *Recorder) {
		if timeout > 0 {
			r.timeout = timeout
		}
	}
}

// WithErrorHandler sets what is told of every round of writing that failed, and of calls
// that could not be counted since the round before; if it is nil, slog's default log.
// It is called by the Recorder's own goroutine, which writes nothing until it returns, so
// it must not call Flush or Close. A panic in it ends there.
func WithErrorHandler(handle func(error)) Option {
	return func(r *Recorder) {
		if handle != nil {
			r.report = handle
		}
	}
}

// New returns a Recorder that writes to a store. With nil nothing can be written, as the
// error handler is then told.
func New(to store.UsageRecorder, options ...Option) *Recorder {
	r := &Recorder{
		to: to, interval: DefaultInterval, timeout: DefaultTimeout, limit: DefaultLimit,
		report:  func(err error) { slog.Error("store/usage: the usage of keys was not written", "error", err) },
		flushes: make(chan chan error), closing: make(chan struct{}), done: make(chan struct{}),
		closed: errors.New("store/usage: the store ended the goroutine that writes"), batchKeys: store.MaxUsageKeys,
	}
	for _, option := range options {
		if option != nil {
			option(r)
		}
	}
	r.table = newTable(r.limit)
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go r.run(ctx)
	return r
}

// Observe counts a decision: give it to policy.WithObserver. It waits neither for the
// store nor for the goroutine that writes, and does not use the context. A decision that
// denied is not counted (rule A11), and one that neither an entry admitted nor a secret
// proved has nothing that it could be counted by.
func (r *Recorder) Observe(_ context.Context, decision policy.Decision) {
	record, ok := store.UsageOf(decision)
	if ok && (record.Entry.IsValid() || record.Secret != "") {
		r.table.add(record)
	}
}

// Lost returns how many calls were not counted and will not be: those for which there
// was no room, those observed after Close, and those that Close could not write. Of the
// last some may be in the store nevertheless (S3).
func (r *Recorder) Lost() uint64 { return r.table.noRoom.Load() + r.table.lost.Load() }

// Flush writes now, and returns nil when all that was observed before is in the store.
// Otherwise it returns why a batch was not written, which is then kept and tried again.
// If ctx ends first, Flush returns its error and the writing goes on. After Close it
// returns what Close did.
func (r *Recorder) Flush(ctx context.Context) error {
	written := make(chan error, 1)
	select {
	case r.flushes <- written:
	case <-r.done:
		return r.closed
	case <-ctx.Done():
		return fmt.Errorf("store/usage: waiting to write: %w", context.Cause(ctx))
	}
	select {
	case err := <-written:
		return err
	case <-r.done: // a store ended the goroutine
		return r.closed
	case <-ctx.Done():
		return fmt.Errorf("store/usage: while writing: %w", context.Cause(ctx))
	}
}

// Close writes what is left and ends the Recorder. What one last try does not write is
// lost, and the error says why and how many calls it was. If ctx ends first, Close stops
// the writing, counts the rest as lost and returns the context's error; a store that does
// not heed its context keeps the goroutine until it returns. Close does not close the
// store. Called again, it waits for the same end.
func (r *Recorder) Close(ctx context.Context) error {
	r.closeOnce.Do(func() {
		r.table.close()
		close(r.closing)
	})
	select {
	case <-r.done:
		return r.closed
	default:
	}
	select {
	case <-r.done:
		return r.closed
	case <-ctx.Done():
		r.stop()
		r.table.discard()
		return fmt.Errorf("store/usage: closed before everything was written, and the rest is lost: %w", context.Cause(ctx))
	}
}
