package policy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
)

// DefaultTimeout is how long an Engine waits for its Source unless [WithTimeout]
// says otherwise.
const DefaultTimeout = time.Second

// maxLookups bounds the look-ups under way at once. A source that hangs and does
// not heed its context leaves each of them behind; past the bound requests are
// denied at once instead of adding to them.
const maxLookups = 4096

// An Engine decides requests by the keys of a [Source]. It is safe for concurrent
// use and caches nothing.
type Engine struct {
	source    Source
	immediate ImmediateSource // the source, if it is one
	clock     func() time.Time
	timeout   time.Duration
	observers []func(context.Context, Decision)
	lookups   atomic.Int64
}

// An Option changes how an Engine works.
type Option func(*Engine)

// WithClock sets where the time comes from; time.Now if it is nil.
func WithClock(clock func() time.Time) Option {
	return func(e *Engine) {
		if clock != nil {
			e.clock = clock
		}
	}
}

// WithTimeout sets how long to wait for the source; DefaultTimeout if it is not
// positive. It does not concern an [ImmediateSource].
func WithTimeout(timeout time.Duration) Option {
	return func(e *Engine) {
		if timeout > 0 {
			e.timeout = timeout
		}
	}
}

// WithObserver adds a function that is called with every decision before Decide
// returns, in the caller's goroutine: the place for audit and metrics. It cannot
// change the answer, and a panic in it ends there, with a record in slog's default log.
// It must not wait, since the caller waits with it. Several observers are called in turn.
func WithObserver(observe func(ctx context.Context, decision Decision)) Option {
	return func(e *Engine) {
		if observe != nil {
			e.observers = append(e.observers, observe)
		}
	}
}

// New returns an Engine on a source. With a nil source every request is denied as
// unavailable.
func New(source Source, options ...Option) *Engine {
	if source == nil {
		source = SourceFunc(func(context.Context, apikey.ID) (Subject, bool, error) {
			return Subject{}, false, errors.New("policy: the engine has no source: want one given to New")
		})
	}
	e := &Engine{source: source, clock: time.Now, timeout: DefaultTimeout}
	e.immediate, _ = source.(ImmediateSource)
	for _, option := range options {
		option(e)
	}
	return e
}

// Decide answers a request. There is no error beside the decision. These make the
// decision unavailable, with the error as its Cause:
//
//   - a source that fails, takes longer than the timeout, panics, or returns a record that
//     contradicts itself or the request,
//   - a Resolver that fails or panics,
//   - a ctx that is done,
//   - an Engine that is nil or zero.
//
// A caller that looks at nothing but Allowed is safe.
func (e *Engine) Decide(ctx context.Context, request Request) (d Decision) {
	if e == nil {
		e = New(nil)
	}
	d.begin(&request)
	e.decide(ctx, &request, &d)
	d.finish()
	for _, observe := range e.observers {
		notify(observe, ctx, d)
	}
	return d
}

func (e *Engine) decide(ctx context.Context, request *Request, d *Decision) {
	returned := false // recover() costs time, so it is called only after a panic
	defer func() {
		if !returned {
			d.panicked(request, recover())
		}
	}()
	if d.Reason, d.Cause = request.refused(); d.Reason == 0 {
		subject, err := e.lookup(ctx, request.Key)
		if err != nil {
			d.Reason, d.Cause = Unavailable, err
		} else {
			// Reading the clock costs as much as looking an address up, so it is read only
			// where something depends on the time.
			var now time.Time
			if len(e.observers) > 0 || subject.dependsOnTime() || !request.alreadyVerified() {
				now = e.clock()
			}
			d.evaluate(ctx, subject, request, now)
		}
	}
	returned = true
}

// panicked makes the decision unavailable after a panic of the source, the clock, a
// Verifier or a Resolver.
func (d *Decision) panicked(request *Request, cause any) {
	*d = Decision{}
	d.begin(request)
	d.Reason, d.Cause = Unavailable, fmt.Errorf("policy: panic while deciding: %v", cause)
}

// lookup asks the source. A key that does not exist is the zero Subject.
func (e *Engine) lookup(ctx context.Context, id apikey.ID) (Subject, error) {
	if err := ctx.Err(); err != nil {
		return Subject{}, fmt.Errorf("policy: before the look-up: %w", context.Cause(ctx))
	}
	if id == "" { // unreadable credentials that name no key (rule K2)
		return Subject{}, nil
	}
	if e.immediate != nil {
		return sound(e.immediate.LookupNow(id))
	}
	return e.wait(ctx, id)
}

// wait asks a source that may take its time.
func (e *Engine) wait(ctx context.Context, id apikey.ID) (Subject, error) {
	// An invalid ID has no key. Some databases answer such texts with an error, as
	// PostgreSQL does for a NUL byte.
	if id.Validate() != nil {
		return Subject{}, nil
	}
	if e.lookups.Add(1) > maxLookups {
		e.lookups.Add(-1)
		return Subject{}, fmt.Errorf("policy: %d look-ups are under way and the source does not answer", maxLookups)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.timeout, fmt.Errorf("policy: the source did not answer within %v: %w", e.timeout, context.DeadlineExceeded))
	defer cancel()
	type answer struct {
		subject Subject
		err     error
	}
	// In a goroutine, since a source that does not heed its context would otherwise
	// hold the request for as long as it likes.
	answers := make(chan answer, 1)
	go func() {
		a := answer{err: errors.New("policy: the source ended its goroutine without an answer")}
		defer func() {
			if p := recover(); p != nil {
				a = answer{err: fmt.Errorf("policy: the source panicked: %v", p)}
			}
			e.lookups.Add(-1)
			answers <- a
		}()
		subject, err := sound(e.source.Lookup(ctx, id))
		a = answer{subject, err}
	}()
	select {
	case a := <-answers:
		return a.subject, a.err
	case <-ctx.Done():
		return Subject{}, fmt.Errorf("policy: during the look-up: %w", context.Cause(ctx))
	}
}

// sound turns the three values of a look-up into two, and refuses those that
// contradict each other.
func sound(subject Subject, found bool, err error) (Subject, error) {
	if err == nil && found && subject.key != nil {
		return subject, nil
	}
	return Subject{}, unsound(found, err)
}

func unsound(found bool, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("policy: the source failed: %w", err)
	case found:
		return errors.New("policy: the source found a key and returned none")
	}
	return nil
}

// notify calls an observer and ends its panics.
func notify(observe func(context.Context, Decision), ctx context.Context, d Decision) {
	defer func() { _ = recover() }() // the log's own panic
	defer func() {
		if p := recover(); p != nil {
			slog.ErrorContext(ctx, "policy: an observer panicked; the decision stands", "panic", p, "decision", d)
		}
	}()
	observe(ctx, d)
}
