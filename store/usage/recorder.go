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

// Defaults of the options.
const (
	DefaultInterval = 10 * time.Second // longest pause between two rounds of writing
	DefaultLimit    = 65536            // records in memory
	DefaultTimeout  = 5 * time.Second  // time of the store for a batch
)

// MaxInterval is the longest interval: a recorder that reports less often might be taken for
// dead (store.MaxSilence).
const MaxInterval = store.MaxSilence / 4

// A Recorder gathers usage and writes it to a store. It is safe for concurrent use, and
// several engines may share one. It has a goroutine: make it with [New], and end it with
// [Recorder.Close].
type Recorder struct {
	to       store.UsageRecorder
	interval time.Duration
	timeout  time.Duration
	limit    int
	tell     func(error)
	clock    func() time.Time

	table *table

	flushes   chan chan error // requests of Flush for a round
	closing   chan struct{}   // closed when Close is called
	closeOnce sync.Once
	done      chan struct{} // closed when the goroutine has ended
	closed    error         // result of Close; set before done is closed
	stop      context.CancelFunc

	// The fields below belong to the goroutine, once it runs.
	batchKeys int    // largest number of keys in a batch
	told      uint64 // calls without room, as reported to the error handler
	progress  progress
}

// An Option changes how a Recorder works.
type Option func(*Recorder)

// WithInterval sets the longest pause between two rounds of writing; DefaultInterval if it is
// not positive, and at most MaxInterval. Each pause is shorter by a random part, up to a half, so that processes
// started together do not write together. After a failed round the pauses double, up to
// about a minute, until one succeeds.
func WithInterval(interval time.Duration) Option {
	return func(r *Recorder) {
		if interval > 0 {
			r.interval = min(interval, MaxInterval)
		}
	}
}

// WithLimit sets the largest number of records in memory; DefaultLimit if it is not positive.
// A key has one for each combination of address, entry and secret in use, and one for each
// reason of denials: usually one to three, and at most 64. Each takes some 250 bytes, and
// three times that while the store fails.
func WithLimit(records int) Option {
	return func(r *Recorder) {
		if records > 0 {
			r.limit = records
		}
	}
}

// WithTimeout sets the time of the store for a batch; DefaultTimeout if it is not positive.
func WithTimeout(timeout time.Duration) Option {
	return func(r *Recorder) {
		if timeout > 0 {
			r.timeout = timeout
		}
	}
}

// WithErrorHandler sets a function for failed rounds of writing and for calls that were not
// counted since the round before; nil is slog's default log. The Recorder's own goroutine
// calls it and writes nothing until it returns, so it must not call Flush or Close. A panic
// in it is recovered.
func WithErrorHandler(handle func(error)) Option {
	return func(r *Recorder) {
		if handle != nil {
			r.tell = handle
		}
	}
}

// WithClock sets the clock of the reports to the store; time.Now if it is nil. Calls have the
// times of their decisions.
func WithClock(clock func() time.Time) Option {
	return func(r *Recorder) {
		if clock != nil {
			r.clock = clock
		}
	}
}

// New returns a Recorder that writes to a store. With nil every write fails, and the error
// handler is called.
func New(to store.UsageRecorder, options ...Option) *Recorder {
	r := &Recorder{
		to: to, interval: DefaultInterval, timeout: DefaultTimeout, limit: DefaultLimit,
		clock:   time.Now,
		tell:    func(err error) { slog.Error("store/usage: the usage of keys was not written", "error", err) },
		flushes: make(chan chan error), closing: make(chan struct{}), done: make(chan struct{}),
		closed: errors.New("store/usage: the store ended the goroutine that writes"), batchKeys: store.MaxUsageKeys,
	}
	for _, option := range options {
		if option != nil {
			option(r)
		}
	}
	r.table = newTable(r.limit)
	r.progress = begin(r.clock())
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go r.run(ctx)
	return r
}

// Observe counts a decision: give it to policy.WithObserver. It waits neither for the store
// nor for the writing goroutine, and ignores the context. Served calls are counted on their
// entry (rule A11), secret and address, denied ones by reason. Calls denied before the proof
// (lines 1 to 5) leave no trace: callers without a secret write nothing and take no memory.
func (r *Recorder) Observe(_ context.Context, decision policy.Decision) {
	if record, ok := store.UsageOf(decision); ok {
		r.table.add(record)
	}
}

// Lost returns the number of calls that were not counted and will not be:
//
//   - those without room
//   - those observed after Close
//   - those that Close could not write; some may be in the store nevertheless (S3)
func (r *Recorder) Lost() uint64 { return r.table.noRoom.Load() + r.table.lost.Load() }

// Flush writes now. It returns nil if all calls observed before are in the store and reported
// (store.Report). Otherwise it returns why something was not written: that is kept and tried
// again. If ctx ends first, Flush returns its error and the writing goes on. After Close it
// returns the result of Close.
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

// Close writes the rest and ends the Recorder. It tries once: calls not written are lost,
// and the error has the reason and their number. If ctx ends first, Close stops the
// writing, counts the rest as lost and returns the context's error. A store that ignores
// its context keeps the goroutine until it returns. Close does not close the store. A
// second call waits for the same end.
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
