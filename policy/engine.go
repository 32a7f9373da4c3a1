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

// DefaultTimeout is the time an Engine waits for its Source, unless [WithTimeout] sets
// another.
const DefaultTimeout = time.Second

// maxLookups bounds the look-ups under way at once. A hanging source that ignores its
// context leaves each of them behind; past the bound requests are denied at once instead of
// adding to them.
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

// An Option configures an Engine; see [New].
type Option func(*Engine)

// WithClock sets the clock of decisions. The default, and the meaning of nil, is time.Now.
func WithClock(clock func() time.Time) Option {
	return func(e *Engine) {
		if clock != nil {
			e.clock = clock
		}
	}
}

// WithTimeout sets the time to wait for the source. The default, and the meaning of zero
// and less, is [DefaultTimeout]. It does not concern an [ImmediateSource].
func WithTimeout(timeout time.Duration) Option {
	return func(e *Engine) {
		if timeout > 0 {
			e.timeout = timeout
		}
	}
}

// WithObserver adds an observer, for audit and metrics. It is called with every decision
// before Decide returns, in the caller's goroutine, and cannot change the answer. A panic in
// it ends there, with a record in slog's default log. It must not wait, since the caller
// waits with it. Several observers are called in turn. A nil one is ignored.
func WithObserver(observe func(ctx context.Context, decision Decision)) Option {
	return func(e *Engine) {
		if observe != nil {
			e.observers = append(e.observers, observe)
		}
	}
}

// New returns an Engine on a source. With a nil source every request is denied as
// unavailable. A nil option is ignored.
func New(source Source, options ...Option) *Engine {
	if source == nil {
		source = SourceFunc(func(context.Context, apikey.ID) (Subject, bool, error) {
			return Subject{}, false, errors.New("policy: the engine has no source: want New with a source")
		})
	}
	e := &Engine{source: source, clock: time.Now, timeout: DefaultTimeout}
	e.immediate, _ = source.(ImmediateSource)
	for _, option := range options {
		if option != nil {
			option(e)
		}
	}
	return e
}

// Decide answers a request. There is no error beside the decision. These make the
// decision unavailable, with the error as its Cause:
//
//   - a source that fails, takes longer than the timeout, or panics,
//   - a record in contradiction to itself or to the request,
//   - a failing or panicking Resolver, and a panicking Verifier,
//   - a done ctx,
//   - a nil or zero Engine.
//
// A caller is safe if it looks at nothing but Allowed.
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
	returned := false // recover() costs time, so the deferred function calls it only after a panic
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

// lookup asks the source. It returns the zero Subject for an unknown key.
func (e *Engine) lookup(ctx context.Context, id apikey.ID) (Subject, error) {
	if err := ctx.Err(); err != nil {
		return Subject{}, fmt.Errorf("policy: before the look-up: %w", context.Cause(ctx))
	}
	if id == "" { // invalid credentials without a key ID (rule K2)
		return Subject{}, nil
	}
	if e.immediate != nil {
		return sound(e.immediate.LookupNow(id))
	}
	return e.wait(ctx, id)
}

// wait asks a source that is not immediate.
func (e *Engine) wait(ctx context.Context, id apikey.ID) (Subject, error) {
	// An invalid ID has no key. Some databases answer such texts with an error, as
	// PostgreSQL does for a NUL byte.
	if id.Validate() != nil {
		return Subject{}, nil
	}
	if e.lookups.Add(1) > maxLookups {
		e.lookups.Add(-1)
		return Subject{}, fmt.Errorf("policy: %d look-ups are under way: want a source that answers", maxLookups)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, e.timeout, fmt.Errorf("policy: the source did not answer within %v: %w", e.timeout, context.DeadlineExceeded))
	defer cancel()
	type answer struct {
		subject Subject
		err     error
	}
	// In a goroutine, since a source may ignore its context and would hold the request.
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

// sound turns the three values of a look-up into two, and refuses a contradiction between
// them.
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
		return errors.New("policy: the source found a key and returned a Subject without one: want the key")
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
