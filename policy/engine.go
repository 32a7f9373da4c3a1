package policy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/own"
	"github.com/sallyport-go/sallyport/policy/internal/lookup"
)

// DefaultTimeout is the time an Engine waits for its Source, unless [WithTimeout] sets
// another.
const DefaultTimeout = time.Second

// DefaultMaxLookups is the number of look-ups that an Engine has under way at once, unless
// [WithMaxLookups] sets another.
const DefaultMaxLookups = 32

// An Engine decides requests by the keys of a [Source]. It is safe for concurrent
// use and caches nothing.
type Engine struct {
	source    Source
	immediate immediate // the source, if it answers at once
	records   records   // of a source of this module; nil for another's
	clock     func() time.Time
	observers []func(context.Context, Decision)

	timeout    time.Duration
	maxLookups int
	gate       *lookup.Gate

	looked map[apikey.ID]*looked // see DecideAll
}

// immediate is what an ImmediateSource has beyond a Source.
type immediate interface {
	LookupNow(id apikey.ID) (subject Subject, found bool, err error)
}

// records are where a source of this module looks keys up; see package own. They do not wait.
type records interface {
	// Find returns the key with this ID, byte by byte, with its organization and its facts; for an
	// unknown key the zero Subject.
	Find(id apikey.ID) (subject Subject, facts own.Facts, err error)

	// ReadAhead reads the records of up to own.AtOnce keys into the processor's cache. The sum
	// means nothing: it keeps the compiler from leaving reads out.
	ReadAhead(ids []apikey.ID) (sum int)
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

// WithMaxLookups sets the number of look-ups under way at once. The default, and the meaning of
// zero and less, is [DefaultMaxLookups]. Other requests wait for their turn, in order, and leave
// the queue when their callers hang up. While 4096 wait, any more are denied as unavailable at
// once. A look-up keeps its place until the source returns, so a source must return at the
// deadline of its ctx. It does not concern an [ImmediateSource].
//
// For a database the size of its pool is enough. A distant source with many answers at a time
// needs the requests of a second times the seconds of a look-up: 1000 a second of 50 ms need 50.
func WithMaxLookups(n int) Option {
	return func(e *Engine) {
		if n > 0 {
			e.maxLookups = n
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
	e := &Engine{source: source, clock: time.Now, timeout: DefaultTimeout, maxLookups: DefaultMaxLookups}
	e.immediate, _ = source.(immediate)
	if found := own.Of(source); found != nil {
		e.records = found.(records)
	}
	for _, option := range options {
		if option != nil {
			option(e)
		}
	}
	e.gate = lookup.NewGate("policy: the source", e.maxLookups, e.timeout)
	return e
}

// Decide answers a request. There is no error beside the decision. These make the
// decision unavailable, with the error as its Cause:
//
//   - a source that fails, takes longer than the timeout, or panics,
//   - a record in contradiction to itself or to the request,
//   - a failing or panicking Resolver, and a panicking Verifier or ClientDoubter,
//   - a done ctx; see [ErrCallerGone],
//   - a nil or zero Engine.
//
// A caller who hangs up is not waited for: Decide returns when ctx is done. The look-up goes
// on under a deadline of its own, since to cancel a query closes the connection in common
// database drivers. See [CallerContext].
//
// A caller is safe if it looks at nothing but Allowed.
func (e *Engine) Decide(ctx context.Context, request Request) (d Decision) {
	// Short enough to be inlined: so neither value is copied on its way.
	e.decide(ctx, &request, &d)
	return d
}

// decide makes a zero decision the answer to a request.
func (e *Engine) decide(ctx context.Context, r *Request, d *Decision) {
	if e == nil {
		new(Engine).decide(ctx, r, d)
		return
	}
	// A decision without a reason is one whose context, source, clock, Verifier, Resolver or
	// ClientDoubter panicked: it is unavailable.
	defer func() {
		if d.Reason == 0 {
			*d = Decision{}
			d.begin(r)
			d.Reason, d.Cause = Unavailable, fmt.Errorf("policy: panic while deciding: %v", recover())
			e.finish(ctx, d)
		}
	}()
	d.begin(r)
	var reason Reason
	var cause error
	if !r.plain() {
		reason, cause = r.refused()
	}
	if reason == 0 {
		var subject Subject
		var facts own.Facts
		if e.records != nil && r.Key != "" && ctx.Err() == nil {
			// No sound here: this module's sources have no contradictions.
			if subject, facts, cause = e.records.Find(r.Key); cause != nil {
				cause = failed(cause)
			}
		} else {
			subject, cause = e.lookup(ctx, r.Key)
			facts = own.FactsOf(subject.key)
		}
		if reason = Unavailable; cause == nil {
			if len(e.observers) > 0 {
				d.now = e.clock()
			}
			d.subject = subject
			reason, cause = d.evaluate(ctx, r, facts, e.clock)
		}
	}
	if cause != nil {
		if reason == Unavailable {
			cause = gone(ctx, cause)
		}
		d.Cause = cause
	}
	d.Reason = reason // last: see above
	if len(e.observers) > 0 || d.subject.key == nil {
		e.finish(ctx, d)
	}
}

// finish redacts a decision and calls the observers.
func (e *Engine) finish(ctx context.Context, d *Decision) {
	d.redact()
	for _, observe := range e.observers {
		notify(observe, ctx, *d)
	}
}

// gone marks the error of a request whose context is done: it tells nothing of the source.
func gone(ctx context.Context, err error) error {
	ended := lookup.Ended(ctx)
	if ended == nil || errors.Is(err, ErrCallerGone) || errors.Is(err, ErrRequestExpired) {
		return err
	}
	return fmt.Errorf("policy: %w: %w", ended, err)
}

var errNoSource = errors.New("policy: the engine has no source: want New with a source")

// lookup asks the source. It returns the zero Subject for an unknown key.
func (e *Engine) lookup(ctx context.Context, id apikey.ID) (Subject, error) {
	if ctx.Err() != nil {
		return Subject{}, fmt.Errorf("policy: before the look-up: %w", lookup.Ended(ctx))
	}
	if e.immediate != nil && id != "" {
		subject, found, err := e.immediate.LookupNow(id)
		return sound(id, subject, found, err)
	}
	return e.wait(ctx, id)
}

// wait asks a source that may take its time.
func (e *Engine) wait(ctx context.Context, id apikey.ID) (Subject, error) {
	if known := e.looked[id]; known != nil {
		return known.subject, known.err
	}
	switch {
	case e.source == nil:
		return Subject{}, errNoSource
	case id.Validate() != nil:
		// An invalid ID has no key, and invalid credentials may come without one (rule K2).
		// Some databases answer such texts with an error, as PostgreSQL does for a NUL byte.
		return Subject{}, nil
	}
	return lookup.Do(ctx, e.gate, func(ctx context.Context) (Subject, error) {
		subject, found, err := e.source.Lookup(ctx, id)
		return sound(id, subject, found, err)
	})
}

// sound turns the three values of a look-up into two, and refuses a contradiction between
// them. It returns the zero Subject for an unknown key.
func sound(id apikey.ID, subject Subject, found bool, err error) (Subject, error) {
	switch {
	case err != nil:
		return Subject{}, failed(err)
	case !found:
		return Subject{}, nil
	case subject.key == nil:
		return Subject{}, errors.New("policy: the source found a key and returned a Subject without one: want the key")
	}
	if !subject.isOf(id) {
		return Subject{}, subject.fault(id)
	}
	return subject, nil
}

func failed(err error) error { return fmt.Errorf("policy: the source failed: %w", err) }

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
