// Package lookup asks a slow source for callers who may hang up.
//
// A caller who hung up is not waited for, and the look-up goes on: to cancel a query closes the
// connection in common database drivers, so strangers could exhaust a pool. A [Gate] bounds the
// look-ups under way. Those waiting for it leave with their callers, so an abandoned one takes
// no place from others before it has begun.
package lookup

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// The errors of a request whose context is done; see the same names of package policy.
var (
	ErrCallerGone     = errors.New("the caller was gone")
	ErrRequestExpired = errors.New("the request's own time ran out")
)

// Ended returns nil while a request's context goes on, and then ErrCallerGone or
// ErrRequestExpired with the context's cause.
func Ended(ctx context.Context) error {
	switch err := ctx.Err(); {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrRequestExpired, context.Cause(ctx))
	}
	return fmt.Errorf("%w: %w", ErrCallerGone, context.Cause(ctx))
}

// maxWaiting bounds the requests waiting for a place. Past it they are refused at once.
const maxWaiting = 4096

// A Gate bounds the look-ups of one source. Make one with [NewGate].
type Gate struct {
	source  string // its name, at the beginning of errors
	timeout time.Duration
	late    error         // of a look-up beyond the timeout
	full    error         // of one that waited for a place until the timeout
	places  chan struct{} // one element for each look-up under way
	waiting atomic.Int64
}

// NewGate returns a gate for at most n look-ups at once, each of at most the timeout. source
// is the name of the source, with which errors begin: "policy: the source".
func NewGate(source string, n int, timeout time.Duration) *Gate {
	return &Gate{
		source:  source,
		timeout: timeout,
		late:    fmt.Errorf("%s did not answer within %v: %w", source, timeout, context.DeadlineExceeded),
		full: fmt.Errorf("%s was not asked within %v, with %d look-ups under way: want quicker answers, or more look-ups at once: %w",
			source, timeout, n, context.DeadlineExceeded),
		places: make(chan struct{}, n),
	}
}

// callerKey is the key of the caller's context among the values of a look-up's.
type callerKey struct{}

// Caller returns the context of the caller of a look-up, given that of the look-up. It is done
// as soon as nobody waits for the answer. Of any other context it returns the same.
func Caller(ctx context.Context) context.Context {
	if caller, ok := ctx.Value(callerKey{}).(context.Context); ok {
		return caller
	}
	return ctx
}

// An answer is the result of a look-up.
type answer[T any] struct {
	result T
	err    error
}

// Do returns the result of ask. It returns an error as soon as the caller's context is done or
// the gate's timeout has passed, and takes no answer after that. The context of ask has the
// caller's values and a deadline, and is not cancelled with the caller's; [Caller] returns
// the one that is. A panic in ask is an error.
func Do[T any](caller context.Context, g *Gate, ask func(context.Context) (T, error)) (none T, err error) {
	deadline := time.Now().Add(g.timeout)
	waiting, cancel := context.WithDeadline(caller, deadline)
	defer cancel()
	if err := g.enter(caller, waiting); err != nil {
		return none, err
	}
	// In a goroutine, since a source may ignore its context and would hold the request.
	answers := make(chan answer[T], 1)
	go func() {
		a := answer[T]{err: fmt.Errorf("%s ended its goroutine without an answer", g.source)}
		defer func() {
			if p := recover(); p != nil {
				a = answer[T]{err: fmt.Errorf("%s panicked: %v", g.source, p)}
			}
			<-g.places
			answers <- a
		}()
		ctx, cancel := context.WithDeadlineCause(context.WithValue(context.WithoutCancel(caller), callerKey{}, waiting), deadline, g.late)
		defer cancel()
		result, err := ask(ctx)
		if !time.Now().Before(deadline) {
			err = g.late
		}
		a = answer[T]{result, err}
	}()
	select {
	case a := <-answers:
		if caller.Err() != nil {
			return none, g.ended(caller, g.late)
		}
		if a.err != nil {
			return none, a.err
		}
		return a.result, nil
	case <-waiting.Done():
		return none, g.ended(caller, g.late)
	}
}

// enter takes a place, waiting for one as long as the caller does.
func (g *Gate) enter(caller, waiting context.Context) error {
	select {
	case g.places <- struct{}{}:
		return nil
	default:
	}
	if g.waiting.Add(1) > maxWaiting {
		g.waiting.Add(-1)
		return fmt.Errorf("%s has %d look-ups under way, and %d wait: want a source that answers", g.source, cap(g.places), maxWaiting)
	}
	defer g.waiting.Add(-1)
	select {
	case g.places <- struct{}{}:
		return nil
	case <-waiting.Done():
		return g.ended(caller, g.full)
	}
}

// ended returns why nobody waits any more: the caller's end, or the timeout's error.
func (g *Gate) ended(caller context.Context, timeout error) error {
	if err := Ended(caller); err != nil {
		return fmt.Errorf("%s was not waited for: %w", g.source, err)
	}
	return timeout
}
