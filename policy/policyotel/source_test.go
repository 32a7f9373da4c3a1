package policyotel_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyotel"
	"github.com/sallyport-go/sallyport/store/memory"
)

func TestSourceMeasures(t *testing.T) {
	for outcome, lookup := range map[string]func(context.Context) error{
		"found":     nil,
		"not_found": nil,
		"failed":    func(context.Context) error { return errors.New("the disk is gone") },
		"timeout": func(ctx context.Context) error {
			<-ctx.Done()
			return fmt.Errorf("asking: %w", ctx.Err())
		},
		"canceled": func(context.Context) error { return context.Canceled },
	} {
		t.Run(outcome, func(t *testing.T) {
			s := newService(t, policyotel.WithSpans())
			s.lookup = lookup
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			if outcome == "timeout" {
				ctx, cancel = context.WithDeadline(ctx, time.Now().Add(-time.Second))
			}
			defer cancel()
			id := s.key.ID
			if outcome == "not_found" {
				id = "k3vq7zt2mwc5x4hjp6na"
			}
			subject, found, err := s.telemetry.Source(s).Lookup(ctx, id)
			assert.Equal(t, outcome == "found", found)
			assert.Equal(t, outcome == "found", subject.Key().ID == s.key.ID)
			assert.Equal(t, lookup != nil, err != nil)
			assert.Equal(t, map[string]uint64{"sallyport.lookup.outcome=" + outcome: 1}, s.durations("sallyport.lookup.duration"))

			spans := s.exporter.GetSpans()
			require.Len(t, spans, 1)
			assert.Equal(t, outcome, told(spans[0])["sallyport.lookup.outcome"])
			assert.Equal(t, lookup != nil, spans[0].Status.Code == codes.Error)
		})
	}
}

// A look-up given up because its caller hung up is no failure: neither its span nor that of
// the decision is in error.
func TestSourceOfACallerWhoHungUp(t *testing.T) {
	for name, test := range map[string]struct {
		result func(ctx context.Context) error
		failed bool
	}{
		"gives up": {func(ctx context.Context) error { return policy.CallerContext(ctx).Err() }, false},
		"fails":    {func(context.Context) error { return errors.New("the disk is gone") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, policyotel.WithSpans())
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan struct{})
			s.lookup = func(ctx context.Context) error {
				cancel()
				<-policy.CallerContext(ctx).Done()
				return test.result(ctx)
			}
			source := s.telemetry.Source(s)
			engine := policy.New(policy.SourceFunc(func(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
				defer close(ended)
				return source.Lookup(ctx, id)
			}), policy.WithObserver(s.telemetry.Observe))
			d := s.telemetry.Decide(ctx, engine, s.request())
			require.Equal(t, policy.CallerGone, d.Kind())
			<-ended
			require.Equal(t, map[string]int64{
				"sallyport.allowed=false,sallyport.endpoint=things.read,sallyport.kind=caller_gone,sallyport.reason=unavailable": 1,
			}, s.counts())
			spans := s.exporter.GetSpans()
			require.Len(t, spans, 2)
			for _, span := range spans {
				failed := span.Name == "sallyport.lookup" && test.failed
				assert.Equal(t, failed, span.Status.Code == codes.Error, span.Name)
			}
		})
	}
}

// A source that panics is measured, and denies as it does without being measured.
func TestSourceThatPanics(t *testing.T) {
	s := newService(t)
	s.lookup = func(context.Context) error { panic("the source broke") }
	d := s.engine().Decide(context.Background(), s.request())
	require.Equal(t, policy.Unavailable, d.Reason)
	require.ErrorContains(t, d.Cause, "the source broke")
	require.Equal(t, map[string]uint64{"sallyport.lookup.outcome=failed": 1}, s.durations("sallyport.lookup.duration"))
	require.Empty(t, s.exporter.GetSpans())
}

// An immediate source is still asked directly.
func TestSourceThatIsImmediate(t *testing.T) {
	s := newService(t)
	keys := memory.New()
	require.Same(t, keys, s.telemetry.Source(keys))
	require.Nil(t, s.telemetry.Source(nil))
}
