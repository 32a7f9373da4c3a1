package usage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/sallyport-go/sallyport/store"
)

const (
	// maxFailures is after how many failed batches a round gives up: a store that does not
	// answer would keep it for the timeout of each.
	maxFailures = 3

	// doubledUpTo is how long a pause may be for the next one to double after a failure.
	doubledUpTo = time.Minute / 2
)

// run writes, round after round. All writing is done here: a store that hangs, even one
// that does not heed its context, holds up nothing else.
func (r *Recorder) run(ctx context.Context) {
	defer close(r.done)
	defer r.stop()
	defer r.table.discard() // what came back after Close gave up, or a store ended this goroutine
	longest := r.interval
	pause := time.NewTimer(shortened(longest))
	defer pause.Stop()
	for {
		var err error
		select {
		case <-pause.C:
			err = r.round(ctx)
		case written := <-r.flushes:
			err = r.round(ctx)
			written <- err
		case <-r.closing:
			r.closed = r.lastRound(ctx)
			return
		}
		if err == nil {
			longest = r.interval
		} else if longest <= doubledUpTo {
			longest *= 2
		}
		pause.Reset(shortened(longest))
	}
}

// shortened returns a pause without a random part of it, up to a half.
func shortened(pause time.Duration) time.Duration { return pause - rand.N(pause/2+1) }

// round writes what there is, keeps what fails, and tells the error handler.
//
// After a failure batches have half as many keys, and twice as many after a success. So a
// record that the store refuses for ever is in the end alone in its batch and holds up no
// others, and a store that is too slow for a large batch gets small ones.
func (r *Recorder) round(ctx context.Context) error {
	var failed []error
	for batch := range r.table.batches(&r.batchKeys) {
		err := r.write(ctx, batch)
		if err == nil {
			r.batchKeys = min(2*r.batchKeys, store.MaxUsageKeys)
			continue
		}
		failed = append(failed, fmt.Errorf("store/usage: writing %d records: %w", len(batch), err))
		r.table.restore(batch)
		r.batchKeys = max(r.batchKeys/2, 1)
		if len(failed) == maxFailures || ctx.Err() != nil {
			break
		}
	}
	r.table.forget()
	err := errors.Join(failed...)
	r.tell(errors.Join(err, r.crowded()))
	return err
}

// crowded returns an error if calls were lost for want of room since it was last asked.
func (r *Recorder) crowded() error {
	known := r.told
	if r.told = r.table.noRoom.Load(); r.told == known {
		return nil
	}
	return fmt.Errorf("store/usage: %d calls were not counted, since there is room for %d records: raise it with WithLimit, or write more often", r.told-known, r.limit)
}

// lastRound is the round of Close: what it does not write is lost.
func (r *Recorder) lastRound(ctx context.Context) error {
	err := r.round(ctx)
	if lost := r.table.discard(); lost > 0 {
		return errors.Join(err, fmt.Errorf("store/usage: closed, and %d calls that were not written are lost", lost))
	}
	return err
}

// write writes a batch.
func (r *Recorder) write(ctx context.Context, batch []store.UsageRecord) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the store panicked: %v", p)
		}
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout, fmt.Errorf("the store took longer than %v: %w", r.timeout, context.DeadlineExceeded))
	defer cancel()
	err = r.to.RecordUsage(ctx, batch)
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// tell calls the error handler if there is an error.
func (r *Recorder) tell(err error) {
	if err == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			slog.Error("store/usage: the error handler panicked", "panic", p, "error", err)
		}
	}()
	r.report(err)
}
