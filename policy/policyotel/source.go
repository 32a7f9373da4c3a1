package policyotel

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// Source returns a source for [policy.New] that measures the look-ups of the given one. With
// [WithSpans] it starts a span for each, the parent of a database driver's. It has Lookup
// only: call other methods on the source itself.
//
// A [policy.ImmediateSource] is returned as it is: measuring takes longer than its answer. So
// is a nil source. A look-up is measured to its end, beyond the engine's timeout and after its
// caller hung up, too. One that never ends is not measured at all, and shows in
// sallyport.decisions as unavailable. Giving up a look-up after its caller hung up has the
// outcome canceled, and its span is not in error.
func (t *Telemetry) Source(source policy.Source) policy.Source {
	if _, immediate := source.(policy.ImmediateSource); immediate || source == nil || !t.made() {
		return source
	}
	return &measuredSource{t, source}
}

type measuredSource struct {
	telemetry *Telemetry
	source    policy.Source
}

// An outcome is the end of a look-up.
type outcome uint8

const (
	failed outcome = iota // the zero outcome: it also stands for a panic
	found
	notFound
	timeout
	canceled
)

var outcomes = [...]string{failed: "failed", found: "found", notFound: "not_found", timeout: "timeout", canceled: "canceled"}

// outcomeOptions are the outcomes as options for the histogram.
var outcomeOptions = func() (options [len(outcomes)][]metric.RecordOption) {
	for i, text := range outcomes {
		options[i] = []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(outcomeKey.String(text)))}
	}
	return options
}()

// Lookup implements [policy.Source].
func (m *measuredSource) Lookup(ctx context.Context, id apikey.ID) (subject policy.Subject, ok bool, err error) {
	var span trace.Span
	if m.telemetry.tracer != nil {
		ctx, span = m.telemetry.tracer.Start(ctx, "sallyport.lookup")
	}
	begin := time.Now()
	var o outcome
	defer func() { // also if the source panics
		m.telemetry.lookup.Record(ctx, time.Since(begin).Seconds(), outcomeOptions[o]...)
		if span == nil {
			return
		}
		span.SetAttributes(outcomeKey.String(outcomes[o]))
		switch {
		case o == found, o == notFound:
		case o == canceled && policy.CallerContext(ctx).Err() != nil: // nobody waits for it
		default:
			span.SetStatus(codes.Error, "the look-up did not succeed")
		}
		span.End()
	}()
	subject, ok, err = m.source.Lookup(ctx, id)
	o = outcomeOf(ok, err)
	return subject, ok, err
}

func outcomeOf(ok bool, err error) outcome {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return timeout
	case errors.Is(err, context.Canceled):
		return canceled
	case err != nil:
		return failed
	case ok:
		return found
	}
	return notFound
}
