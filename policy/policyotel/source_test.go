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
