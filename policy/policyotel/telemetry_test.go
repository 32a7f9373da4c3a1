package policyotel_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyotel"
)

// Each line of the rules is counted under its own reason, and told to the span.
func TestEveryReason(t *testing.T) {
	past := time.Now().Add(-time.Hour)
	future := time.Now().Add(time.Hour)
	for reason, change := range map[policy.Reason]func(*service, *policy.Request){
		policy.InvalidRequest:   func(_ *service, r *policy.Request) { r.Key = "" },
		policy.ConsoleForbidden: func(_ *service, r *policy.Request) { r.Console = true },
		policy.Unavailable: func(s *service, _ *policy.Request) {
			s.lookup = func(context.Context) error { return errors.New("the disk is gone") }
		},
		policy.UnknownKey: func(_ *service, r *policy.Request) { r.Key = "k3vq7zt2mwc5x4hjp6na" },
		policy.WrongSecret: func(s *service, r *policy.Request) {
			_, other, err := apikey.New("acme")
			require.NoError(s.t, err)
			r.Secret = other
		},
		policy.KeyDisabled:      func(s *service, _ *policy.Request) { s.key.Disabled = true },
		policy.KeyNotYetValid:   func(s *service, _ *policy.Request) { s.key.NotBefore = future },
		policy.KeyExpired:       func(s *service, _ *policy.Request) { s.key.Expires = past },
		policy.AddressNotListed: func(_ *service, r *policy.Request) { r.Client = netip.MustParseAddr("192.0.2.1") },
		policy.OrganizationRequiresAccessList: func(s *service, _ *policy.Request) {
			s.key.AccessList, s.organization.Requirement = accesslist.List{}, policy.Required
		},
		policy.EndpointRequiresAccessList: func(s *service, r *policy.Request) {
			s.key.AccessList, r.Endpoint.RequiresAccessList = accesslist.List{}, true
		},
		policy.WrongOrganization: func(_ *service, r *policy.Request) { r.Organization = "globex" },
		policy.ProjectNotGranted: func(_ *service, r *policy.Request) { r.Project = "alpha" },
		policy.RoleMissing:       func(_ *service, r *policy.Request) { r.Endpoint.Roles = []string{"owner"} },
		policy.AddressListed:     func(*service, *policy.Request) {},
		policy.OpenList:          func(s *service, _ *policy.Request) { s.key.AccessList = accesslist.List{} },
	} {
		t.Run(reason.String(), func(t *testing.T) {
			s := newService(t)
			request := s.request()
			change(s, &request)
			d, span := s.decideUnder(s.engine(), request)
			require.Equal(t, reason, d.Reason)

			require.Equal(t, map[string]int64{
				fmt.Sprintf("sallyport.allowed=%t,sallyport.endpoint=things.read,sallyport.reason=%s", reason.Allows(), reason): 1,
			}, s.counts())
			attrs := told(span)
			assert.Equal(t, fmt.Sprint(reason.Allows()), attrs["sallyport.allowed"])
			assert.Equal(t, reason.String(), attrs["sallyport.reason"])
			assert.Equal(t, string(request.Key), attrs["sallyport.key"])
			if d.Cause != nil {
				assert.Equal(t, d.Cause.Error(), attrs["sallyport.error"])
			}
			// The server's span is the server's: no event, and its status is not ours to set.
			assert.Empty(t, span.Events)
			assert.Equal(t, codes.Unset, span.Status.Code)
			assert.Len(t, s.exporter.GetSpans(), 1, "no span of our own")
		})
	}
}

func TestSpanOfAnAllowedCall(t *testing.T) {
	s := newService(t)
	s.key.Grants = []apikey.Grant{{Role: "reader", AllProjects: true}}
	request := s.request()
	request.Client = netip.MustParseAddr("::ffff:198.51.100.20")
	request.ClientFrom = policy.OriginXForwardedFor
	request.Project = "alpha"
	d, span := s.decideUnder(s.engine(), request)
	require.True(t, d.Allowed(), d)
	require.Equal(t, map[string]string{
		"sallyport.allowed":      "true",
		"sallyport.reason":       "address_listed",
		"sallyport.endpoint":     "things.read",
		"sallyport.key":          string(s.key.ID),
		"sallyport.secret":       d.SecretID(),
		"sallyport.client":       "198.51.100.20",
		"sallyport.client_from":  "x_forwarded_for",
		"sallyport.entry":        "198.51.100.0/24",
		"sallyport.organization": "acme",
		"sallyport.project":      "alpha",
		"sallyport.requirement":  "not_required",
	}, told(span))
}

// Line 6 answers for the key and for its organization, and the span says for which.
func TestSpanSaysWhatIsDisabled(t *testing.T) {
	s := newService(t)
	engine := s.engine()
	disabled := func() string {
		d, span := s.decideUnder(engine, s.request())
		assert.Equal(t, policy.KeyDisabled, d.Reason)
		return told(span)["sallyport.disabled"]
	}
	s.organization.Disabled = true
	assert.Equal(t, "organization", disabled())
	s.key.Disabled = true
	assert.Equal(t, "key and organization", disabled())
	s.organization.Disabled = false
	assert.Equal(t, "key", disabled())
	s.key.Disabled = false
	_, span := s.decideUnder(engine, s.request())
	assert.NotContains(t, told(span), "sallyport.disabled")
}

// Empty attributes are left out. The zone of an address refused for it is not.
func TestSpanOfARefusedRequest(t *testing.T) {
	s := newService(t)
	_, span := s.decideUnder(s.engine(), policy.Request{Key: s.key.ID, Client: netip.MustParseAddr("fe80::1%eth0")})
	require.Equal(t, map[string]string{
		"sallyport.allowed": "false",
		"sallyport.reason":  "invalid_request",
		"sallyport.key":     string(s.key.ID),
		"sallyport.client":  "fe80::1%eth0",
		"sallyport.error":   "policy: the request has no valid client address: want Request.Client, an address without a zone",
	}, told(span))

	_, span = s.decideUnder(s.engine(), policy.Request{})
	require.Equal(t, map[string]string{
		"sallyport.allowed": "false", "sallyport.reason": "invalid_request",
		"sallyport.error": "policy: the request has no key ID: want Request.Key",
	}, told(span))
	require.Equal(t, map[string]int64{"sallyport.allowed=false,sallyport.reason=invalid_request": 2}, s.counts())
}

// Rule Q2: what would be denied is counted apart, whether or not the call was allowed.
func TestWouldDeny(t *testing.T) {
	s := newService(t)
	s.key.AccessList, s.organization.Requirement = accesslist.List{}, policy.ReportOnly
	d, span := s.decideUnder(s.engine(), s.request())
	require.True(t, d.Allowed(), d)
	assert.Equal(t, "organization_requires_access_list", told(span)["sallyport.would_deny"])
	assert.Equal(t, "report_only", told(span)["sallyport.requirement"])

	s.organization.Requirement, s.organization.SuspendedUntil = policy.Required, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	d, span = s.decideUnder(s.engine(), s.request())
	require.True(t, d.Allowed(), d)
	assert.Equal(t, "organization_requires_access_list", told(span)["sallyport.would_deny"])
	assert.Equal(t, "required", told(span)["sallyport.requirement"])
	assert.Equal(t, "9999-01-01T00:00:00Z", told(span)["sallyport.suspended_until"])
	s.organization.Requirement = policy.ReportOnly

	request := s.request()
	request.Endpoint.RequiresAccessList = true
	_, span = s.decideUnder(s.engine(), request)
	assert.Equal(t, "organization_requires_access_list", told(span)["sallyport.would_deny"])

	s.organization.Requirement = policy.NotRequired
	_, span = s.decideUnder(s.engine(), s.request())
	assert.NotContains(t, told(span), "sallyport.would_deny")

	const rest = "sallyport.endpoint=things.read,sallyport.reason="
	assert.Equal(t, map[string]int64{
		"sallyport.allowed=true," + rest + "open_list,sallyport.would_deny=organization_requires_access_list":                      2,
		"sallyport.allowed=false," + rest + "endpoint_requires_access_list,sallyport.would_deny=organization_requires_access_list": 1,
		"sallyport.allowed=true," + rest + "open_list":                                                                             1,
	}, s.counts())
}

func TestCounting(t *testing.T) {
	s := newService(t)
	engine := s.engine()
	for range 3 {
		engine.Decide(context.Background(), s.request())
	}
	request := s.request()
	request.Endpoint = &policy.Endpoint{Name: "things.write"}
	engine.Decide(context.Background(), request)
	request.Endpoint = nil
	engine.Decide(context.Background(), request)
	assert.Equal(t, map[string]int64{
		"sallyport.allowed=true,sallyport.endpoint=things.read,sallyport.reason=address_listed":  3,
		"sallyport.allowed=true,sallyport.endpoint=things.write,sallyport.reason=address_listed": 1,
		"sallyport.allowed=true,sallyport.reason=address_listed":                                 1,
	}, s.counts())
	counter := s.metrics()["sallyport.decisions"]
	assert.Equal(t, "{decision}", counter.Unit)
	assert.NotEmpty(t, counter.Description)
	assert.Empty(t, s.exporter.GetSpans(), "there was no span, and none is begun unasked")
}

// Of several decisions under one span the last one stays.
func TestSeveralDecisionsUnderOneSpan(t *testing.T) {
	s := newService(t)
	engine := s.engine()
	ctx, span := s.tracers.Tracer("server").Start(context.Background(), "batch")
	engine.Decide(ctx, s.request())
	engine.Decide(ctx, policy.Request{Key: "k3vq7zt2mwc5x4hjp6na", Client: netip.MustParseAddr(listed), Organization: "acme"})
	span.End()
	require.Equal(t, "unknown_key", told(s.exporter.GetSpans()[0])["sallyport.reason"])
}

// Rule K2: whatever the caller and the source do, no secret is exported, neither the text
// nor the stored hash; and of a caller's words there are none in metrics.
func TestNoSecretIsExported(t *testing.T) {
	s := newService(t, policyotel.WithSpans())
	_, other, err := apikey.New("acme")
	require.NoError(t, err)
	engine := s.engine()
	wrong := s.request()
	wrong.Secret = other
	elsewhere := s.request()
	elsewhere.Client = netip.MustParseAddr("192.0.2.1")
	for _, request := range []policy.Request{s.request(), wrong, elsewhere} {
		s.decideUnder(engine, request)
		s.telemetry.Decide(context.Background(), engine, request)
	}
	s.lookup = func(context.Context) error { panic("the source broke") }
	s.decideUnder(engine, s.request())

	exported := fmt.Sprintf("%+v", s.metrics())
	for _, span := range s.exporter.GetSpans() {
		spanText := fmt.Sprintf("%+v %v", span, told(span))
		require.NotContains(t, spanText, s.secret.Reveal())
		require.NotContains(t, spanText, other.Reveal())
		require.NotContains(t, spanText, strings.TrimPrefix(other.Reveal(), "sp_"))
	}
	for _, never := range []string{s.secret.Reveal(), other.Reveal(), string(s.key.ID), listed, "192.0.2.1", "acme"} {
		require.NotContains(t, exported, never)
	}
}

// Rule K2: the secret that somebody gives in the place of a key's ID is not exported.
func TestK2SecretInThePlaceOfAnIDIsNotExported(t *testing.T) {
	s := newService(t)
	request := s.request()
	request.Key = apikey.ID(s.secret.Reveal())
	d, span := s.decideUnder(s.engine(), request)
	require.Equal(t, policy.UnknownKey, d.Reason)
	require.Equal(t, "[invalid key ID]", told(span)["sallyport.key"])
	require.NotContains(t, fmt.Sprint(span), s.secret.Reveal())
}

// An exporter drops the whole batch for one text other than UTF-8: a caller could make the
// spans of others vanish.
func TestTextThatIsNotUTF8(t *testing.T) {
	s := newService(t)
	request := s.request()
	request.Key, request.Organization, request.Project, request.Endpoint.Name = "k\xff", "acme\xc3", "\xf0\x9f", "read\xe2\x82"
	_, span := s.decideUnder(s.engine(), request)
	for name, value := range told(span) {
		assert.True(t, utf8.ValidString(value), "%s is %q", name, value)
	}
	assert.Equal(t, "[invalid key ID]", told(span)["sallyport.key"])
	assert.Equal(t, "acme\uFFFD", told(span)["sallyport.organization"])
	for series := range s.counts() {
		assert.True(t, utf8.ValidString(series), "%q", series)
	}
}

func TestDecideMeasures(t *testing.T) {
	s := newService(t)
	d := s.telemetry.Decide(context.Background(), s.engine(), s.request())
	require.True(t, d.Allowed(), d)
	const series = "sallyport.allowed=true,sallyport.endpoint=things.read,sallyport.reason=address_listed"
	assert.Equal(t, map[string]uint64{series: 1}, s.durations("sallyport.decision.duration"))
	assert.Equal(t, map[string]int64{series: 1}, s.counts(), "counted once, by the observer")
	assert.Empty(t, s.exporter.GetSpans())

	// Nothing observes this engine, and nothing is made up.
	s.telemetry.Decide(context.Background(), policy.New(nil), s.request())
	assert.Equal(t, map[string]int64{series: 1}, s.counts())
	assert.Len(t, s.durations("sallyport.decision.duration"), 2)
}

func TestSpansOfOurOwn(t *testing.T) {
	s := newService(t, policyotel.WithSpans())
	ctx, server := s.tracers.Tracer("server").Start(context.Background(), "request")
	s.telemetry.Decide(ctx, s.engine(), s.request())
	server.End()
	spans := s.exporter.GetSpans()
	require.Len(t, spans, 3)
	lookup, decide, request := spans[0], spans[1], spans[2]
	assert.Equal(t, "sallyport.lookup", lookup.Name)
	assert.Equal(t, "sallyport.decide", decide.Name)
	assert.Equal(t, decide.SpanContext.SpanID(), lookup.Parent.SpanID())
	assert.Equal(t, request.SpanContext.SpanID(), decide.Parent.SpanID())
	assert.Equal(t, "address_listed", told(decide)["sallyport.reason"])
	assert.Equal(t, map[string]string{"sallyport.lookup.outcome": "found"}, told(lookup))
	assert.Empty(t, request.Attributes, "the decision is on the span of its own")
	for _, span := range spans {
		assert.Equal(t, codes.Unset, span.Status.Code, span.Name)
	}

	s.exporter.Reset()
	s.lookup = func(context.Context) error { return errors.New("the disk is gone") }
	d := s.telemetry.Decide(context.Background(), s.engine(), s.request())
	require.Equal(t, policy.Unavailable, d.Reason)
	for _, span := range s.exporter.GetSpans() {
		assert.Equal(t, codes.Error, span.Status.Code, span.Name)
	}
	assert.Len(t, s.exporter.GetSpans(), 2)
}

// A denied call is no error of the service.
func TestADenialIsNoErrorOfTheSpan(t *testing.T) {
	s := newService(t, policyotel.WithSpans())
	request := s.request()
	request.Client = netip.MustParseAddr("192.0.2.1")
	s.telemetry.Decide(context.Background(), s.engine(), request)
	for _, span := range s.exporter.GetSpans() {
		assert.Equal(t, codes.Unset, span.Status.Code, span.Name)
	}
}

// A nil or zero Telemetry shows nothing and changes no decision.
func TestNotMade(t *testing.T) {
	s := newService(t)
	for name, telemetry := range map[string]*policyotel.Telemetry{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			assert.Same(t, s, telemetry.Source(s))
			engine := policy.New(s, policy.WithObserver(telemetry.Observe))
			d := telemetry.Decide(context.Background(), engine, s.request())
			assert.Equal(t, policy.AddressListed, d.Reason)
		})
	}
}

// Without options, and with options of nil, it is the global providers.
func TestGlobalProviders(t *testing.T) {
	meters, tracers := otel.GetMeterProvider(), otel.GetTracerProvider()
	t.Cleanup(func() {
		otel.SetMeterProvider(meters)
		otel.SetTracerProvider(tracers)
	})
	s := newService(t)
	s.reader = sdkmetric.NewManualReader()
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.reader)))
	otel.SetTracerProvider(s.tracers)
	for n, options := range [][]policyotel.Option{
		{policyotel.WithSpans()},
		{policyotel.WithMeterProvider(nil), policyotel.WithTracerProvider(nil), nil, policyotel.WithSpans()},
	} {
		telemetry, err := policyotel.New(options...)
		require.NoError(t, err)
		s.telemetry = telemetry
		s.engine().Decide(context.Background(), s.request())
		for _, count := range s.counts() {
			require.EqualValues(t, n+1, count)
		}
		require.Len(t, s.counts(), 1)
		require.Len(t, s.exporter.GetSpans(), n+1)
	}
}

// brokenMeters makes no instruments.
type brokenMeters struct{ metricnoop.MeterProvider }

func (brokenMeters) Meter(string, ...metric.MeterOption) metric.Meter { return brokenMeter{} }

type brokenMeter struct{ metricnoop.Meter }

var (
	errNoCounter   = errors.New("no counter today")
	errNoHistogram = errors.New("no histogram today")
)

func (brokenMeter) Int64Counter(string, ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return nil, errNoCounter
}

func (brokenMeter) Float64Histogram(string, ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return nil, errNoHistogram
}

func TestInstrumentsThatCannotBeMade(t *testing.T) {
	telemetry, err := policyotel.New(policyotel.WithMeterProvider(brokenMeters{}))
	require.Nil(t, telemetry)
	require.ErrorIs(t, err, errNoCounter)
	require.ErrorIs(t, err, errNoHistogram)
	require.ErrorContains(t, err, "policyotel: making the instruments: ")
}

// Endpoint names that are made from requests are against the advice, and do not fill the
// memory: what is past the bound is counted all the same, and not remembered.
func TestManyEndpointNames(t *testing.T) {
	s := newService(t)
	const many = 2500
	for i := range many {
		d := policy.Evaluate(policy.Subject{}, policy.Request{Endpoint: &policy.Endpoint{Name: fmt.Sprint("thing-", i)}}, time.Time{})
		s.telemetry.Observe(context.Background(), d)
	}
	var total int64
	for _, n := range s.counts() {
		total += n
	}
	require.EqualValues(t, many, total)
}

func TestObserveDoesNotAllocate(t *testing.T) {
	for name, options := range map[string][]policyotel.Option{
		"with the SDK": nil,
		"without":      {policyotel.WithMeterProvider(metricnoop.NewMeterProvider())},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, options...)
			ctx, d := context.Background(), policy.Decision{Reason: policy.AddressListed}
			s.telemetry.Observe(ctx, d) // the first of its series
			require.Zero(t, testing.AllocsPerRun(100, func() { s.telemetry.Observe(ctx, d) }))
		})
	}
}
