package policyotel_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyotel"
)

const listed = "203.0.113.7"

// service is one key of the organization acme and a Telemetry whose measurements are kept
// in memory. It is the engine's source, one that may take its time.
type service struct {
	t            testing.TB
	key          apikey.Key
	secret       apikey.Secret
	organization policy.Organization
	lookup       func(context.Context) error // what a look-up does first, if not nil

	reader    *sdkmetric.ManualReader
	exporter  *tracetest.InMemoryExporter
	tracers   *sdktrace.TracerProvider
	telemetry *policyotel.Telemetry
}

func newService(t testing.TB, options ...policyotel.Option) *service {
	t.Helper()
	key, secret, err := apikey.New("acme", apikey.Grant{Role: "reader"})
	require.NoError(t, err)
	key.AccessList, err = accesslist.Parse(listed, "198.51.100.0/24")
	require.NoError(t, err)
	s := &service{
		t: t, key: key, secret: secret, organization: policy.Organization{ID: "acme"},
		reader: sdkmetric.NewManualReader(), exporter: tracetest.NewInMemoryExporter(),
	}
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.reader))
	s.tracers = sdktrace.NewTracerProvider(sdktrace.WithSyncer(s.exporter))
	t.Cleanup(func() {
		require.NoError(t, meters.Shutdown(context.Background()))
		require.NoError(t, s.tracers.Shutdown(context.Background()))
	})
	s.telemetry, err = policyotel.New(append([]policyotel.Option{
		policyotel.WithMeterProvider(meters), policyotel.WithTracerProvider(s.tracers),
	}, options...)...)
	require.NoError(t, err)
	return s
}

// Lookup makes a service a policy.Source.
func (s *service) Lookup(ctx context.Context, id apikey.ID) (policy.Subject, bool, error) {
	if s.lookup != nil {
		if err := s.lookup(ctx); err != nil {
			return policy.Subject{}, false, err
		}
	}
	if id != s.key.ID {
		return policy.Subject{}, false, nil
	}
	return policy.NewSubject(&s.key, &s.organization), true, nil
}

// engine is one that the Telemetry observes.
func (s *service) engine(options ...policy.Option) *policy.Engine {
	return policy.New(s.telemetry.Source(s), append([]policy.Option{policy.WithTimeout(time.Minute), policy.WithObserver(s.telemetry.Observe)}, options...)...)
}

// request is one that is allowed.
func (s *service) request() policy.Request {
	return policy.Request{
		Key: s.key.ID, Secret: s.secret, Client: netip.MustParseAddr(listed), ClientFrom: policy.OriginPeer,
		Organization: "acme", Endpoint: &policy.Endpoint{Name: "things.read"},
	}
}

// decideUnder decides a request under a span, as a server has one, and returns what that
// had in the end.
func (s *service) decideUnder(engine *policy.Engine, request policy.Request) (policy.Decision, tracetest.SpanStub) {
	s.t.Helper()
	ctx, span := s.tracers.Tracer("server").Start(context.Background(), "request")
	d := engine.Decide(ctx, request)
	span.End()
	spans := s.exporter.GetSpans()
	require.NotEmpty(s.t, spans)
	return d, spans[len(spans)-1]
}

// metrics are all that was measured, by the name of the instrument.
func (s *service) metrics() map[string]metricdata.Metrics {
	s.t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(s.t, s.reader.Collect(context.Background(), &all))
	byName := map[string]metricdata.Metrics{}
	for _, scope := range all.ScopeMetrics {
		require.Equal(s.t, "github.com/sallyport-go/sallyport/policy/policyotel", scope.Scope.Name)
		for _, m := range scope.Metrics {
			byName[m.Name] = m
		}
	}
	return byName
}

// counts are the decisions by their attributes, written as text.
func (s *service) counts() map[string]int64 {
	s.t.Helper()
	counts := map[string]int64{}
	if m, ok := s.metrics()["sallyport.decisions"]; ok {
		for _, point := range m.Data.(metricdata.Sum[int64]).DataPoints {
			counts[text(point.Attributes)] = point.Value
		}
	}
	return counts
}

// durations are how often a histogram was recorded to, by its attributes.
func (s *service) durations(name string) map[string]uint64 {
	s.t.Helper()
	counts := map[string]uint64{}
	if m, ok := s.metrics()[name]; ok {
		require.Equal(s.t, "s", m.Unit)
		for _, point := range m.Data.(metricdata.Histogram[float64]).DataPoints {
			require.GreaterOrEqual(s.t, point.Sum, 0.0)
			require.Less(s.t, point.Sum, time.Hour.Seconds())
			require.Equal(s.t, 1.0, point.Bounds[len(point.Bounds)-1])
			counts[text(point.Attributes)] = point.Count
		}
	}
	return counts
}

func text(set attribute.Set) string { return set.Encoded(attribute.DefaultEncoder()) }

// told are a span's attributes by name.
func told(span tracetest.SpanStub) map[string]string {
	attrs := map[string]string{}
	for _, a := range span.Attributes {
		attrs[string(a.Key)] = a.Value.String()
	}
	return attrs
}
