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
	// maxFailures is the number of failed batches after which a round gives up. A store that
	// does not answer takes the timeout for each.
	maxFailures = 3

	// doubledUpTo is the longest pause that doubles after a failure.
	doubledUpTo = time.Minute / 2
)

// run writes, round after round. All writing is done here: a store that hangs holds up
// nothing else, even if it ignores its context.
func (r *Recorder) run(ctx context.Context) {
	defer close(r.done)
	defer r.stop()
	defer r.table.discard() // records that came back after Close gave up, or a store ended this goroutine
	r.handle(r.report(ctx, false))
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

// round writes everything, keeps what fails, reports to the store, and calls the error
// handler.
func (r *Recorder) round(ctx context.Context) error {
	err := r.writeAll(ctx)
	if ctx.Err() == nil {
		err = errors.Join(err, r.report(ctx, false))
	}
	r.handle(errors.Join(err, r.crowded()))
	return err
}

// writeAll writes everything.
//
// After a failure batches have half as many keys, after a success twice as many. So a key with
// usage that the store always refuses is alone in its batch in the end and holds up no others.
// A store too slow for large batches gets small ones.
func (r *Recorder) writeAll(ctx context.Context) error {
	var failed []error
	began := r.clock()
	for batch := range r.table.batches(&r.batchKeys) {
		err := r.call(ctx, func(ctx context.Context) error { return r.to.RecordUsage(ctx, batch) })
		if err == nil {
			r.batchKeys = min(2*r.batchKeys, store.MaxUsageKeys)
			continue
		}
		failed = append(failed, fmt.Errorf("store/usage: writing the usage of %d keys: %w", len(batch), err))
		r.table.restore(batch)
		r.batchKeys = max(r.batchKeys/2, 1)
		if len(failed) == maxFailures || ctx.Err() != nil {
			break
		}
	}
	if len(failed) == 0 {
		r.progress.wrote(began)
	}
	r.table.forget()
	return errors.Join(failed...)
}

// report tells the store how far this recorder has come.
func (r *Recorder) report(ctx context.Context, ended bool) error {
	report := r.progress.report(r.clock(), r.Lost(), ended)
	if err := r.call(ctx, func(ctx context.Context) error { return r.to.RecordObservation(ctx, report) }); err != nil {
		return fmt.Errorf("store/usage: reporting the observation: %w", err)
	}
	r.progress.reported(report)
	return nil
}

// crowded returns an error if calls were lost for want of room since the last round.
func (r *Recorder) crowded() error {
	known := r.told
	if r.told = r.table.noRoom.Load(); r.told == known {
		return nil
	}
	return fmt.Errorf("store/usage: %d calls were not counted, since there is room for %d records: raise it with WithLimit, or write more often", r.told-known, r.limit)
}

// lastRound is the round of Close: calls it does not write are lost.
func (r *Recorder) lastRound(ctx context.Context) error {
	err := r.writeAll(ctx)
	if lost := r.table.discard(); lost > 0 {
		err = errors.Join(err, fmt.Errorf("store/usage: closed, and %d calls that were not written are lost", lost))
	}
	if ctx.Err() == nil {
		err = errors.Join(err, r.report(ctx, true))
	}
	r.handle(errors.Join(err, r.crowded()))
	return err
}

// call calls the store.
func (r *Recorder) call(ctx context.Context, do func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the store panicked: %v", p)
		}
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout, fmt.Errorf("the store took longer than %v: %w", r.timeout, context.DeadlineExceeded))
	defer cancel()
	err = do(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// handle calls the error handler if there is an error.
func (r *Recorder) handle(err error) {
	if err == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			slog.Error("store/usage: the error handler panicked", "panic", p, "error", err)
		}
	}()
	r.tell(err)
}
