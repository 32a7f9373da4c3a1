package policyotel

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/sallyport-go/sallyport/policy"
)

// scope is OpenTelemetry's name for this package.
const scope = "github.com/sallyport-go/sallyport/policy/policyotel"

// A Telemetry reports decisions to OpenTelemetry. Make one with [New]; a nil or zero
// Telemetry reports nothing. It is safe for concurrent use and may be shared by several
// engines.
type Telemetry struct {
	decisions metric.Int64Counter
	decision  metric.Float64Histogram
	lookup    metric.Float64Histogram
	tracer    trace.Tracer // nil: no spans of our own
	series    seriesCache
}

// An Option configures a Telemetry; see [New].
type Option func(*config)

type config struct {
	meters  metric.MeterProvider
	tracers trace.TracerProvider
	spans   bool
}

// WithMeterProvider sets the provider of metrics. The default, and the meaning of nil, is
// OpenTelemetry's global one at the time of [New].
func WithMeterProvider(provider metric.MeterProvider) Option {
	return func(c *config) {
		if provider != nil {
			c.meters = provider
		}
	}
}

// WithTracerProvider sets the provider of this package's own spans. The default, and the
// meaning of nil, is OpenTelemetry's global one at the time of [New]. It has no effect
// without [WithSpans]: a decision goes onto the span in its context, of whatever provider.
func WithTracerProvider(provider trace.TracerProvider) Option {
	return func(c *config) {
		if provider != nil {
			c.tracers = provider
		}
	}
}

// WithSpans has [Telemetry.Decide] start a span sallyport.decide, and the source of
// [Telemetry.Source] a span sallyport.lookup. These are two spans for each request of the
// service, so they are off by default.
func WithSpans() Option { return func(c *config) { c.spans = true } }

// durations are the bounds of the histograms, in seconds: a decision from memory takes less
// than a microsecond, and policy.DefaultTimeout is the last bound. OpenTelemetry's default
// ones are for milliseconds.
var durations = metric.WithExplicitBucketBoundaries(
	0.000001, 0.00001, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)

// New returns a Telemetry. The error joins those of the meter provider.
func New(options ...Option) (*Telemetry, error) {
	c := config{meters: otel.GetMeterProvider(), tracers: otel.GetTracerProvider()}
	for _, option := range options {
		if option != nil {
			option(&c)
		}
	}
	var t Telemetry
	var errs [3]error
	meter := c.meters.Meter(scope)
	t.decisions, errs[0] = meter.Int64Counter("sallyport.decisions",
		metric.WithUnit("{decision}"), metric.WithDescription("Decisions whether an API key may make a call."))
	t.decision, errs[1] = meter.Float64Histogram("sallyport.decision.duration",
		metric.WithUnit("s"), metric.WithDescription("How long a decision took."), durations)
	t.lookup, errs[2] = meter.Float64Histogram("sallyport.lookup.duration",
		metric.WithUnit("s"), metric.WithDescription("How long the source took to look a key up."), durations)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("policyotel: making the instruments: %w", err)
	}
	if c.spans {
		t.tracer = c.tracers.Tracer(scope)
	}
	return &t, nil
}

// made reports whether t came from New.
func (t *Telemetry) made() bool { return t != nil && t.decisions != nil }

// Observe counts a decision and puts it on the span in ctx, if that is recorded. Pass it to
// [policy.WithObserver].
func (t *Telemetry) Observe(ctx context.Context, d policy.Decision) {
	if !t.made() {
		return
	}
	t.decisions.Add(ctx, 1, t.series.of(d.Endpoint().Name, d).add...)
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(spanAttributes(d)...)
	}
}

// Decide is engine.Decide and measures its time, observers included. With [WithSpans] it
// starts a span, and [Telemetry.Observe] puts the decision on that one. It does not count:
// Observe does.
//
// It is for programs that call the engine themselves. The guards of policyhttp and
// policygrpc call it directly; to measure their waiting, see [Telemetry.Source].
func (t *Telemetry) Decide(ctx context.Context, engine *policy.Engine, request policy.Request) policy.Decision {
	if !t.made() {
		return engine.Decide(ctx, request)
	}
	var span trace.Span
	if t.tracer != nil {
		ctx, span = t.tracer.Start(ctx, "sallyport.decide")
		defer span.End()
	}
	begin := time.Now()
	d := engine.Decide(ctx, request)
	t.decision.Record(ctx, time.Since(begin).Seconds(), t.series.of(d.Endpoint().Name, d).record...)
	if span != nil && d.Reason == policy.Unavailable && d.Kind() != policy.CallerGone {
		span.SetStatus(codes.Error, "access could not be checked")
	}
	return d
}
