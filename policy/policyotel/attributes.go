package policyotel

import (
	"strings"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/sallyport-go/sallyport/policy"
)

// The attributes of metrics, and of spans.
const (
	allowedKey   = attribute.Key("sallyport.allowed")
	reasonKey    = attribute.Key("sallyport.reason")
	kindKey      = attribute.Key("sallyport.kind")
	wouldDenyKey = attribute.Key("sallyport.would_deny")
	endpointKey  = attribute.Key("sallyport.endpoint")
	outcomeKey   = attribute.Key("sallyport.lookup.outcome")
)

// spanPrefix and the name of a decision's own attribute are the name of a span's.
const spanPrefix = "sallyport."

// attributes collects attributes with a value.
type attributes []attribute.KeyValue

// add leaves out an empty text and mends one that is not UTF-8. Part of them are the
// caller's, and an exporter drops a whole batch of spans for one such text.
func (a *attributes) add(key attribute.Key, value string) {
	if value != "" {
		*a = append(*a, key.String(strings.ToValidUTF8(value, "\uFFFD")))
	}
}

// metricAttributes returns the attributes of a decision's counter.
func metricAttributes(s series) attributes {
	a := make(attributes, 0, 16) // room for the attributes of spans
	a = append(a, allowedKey.Bool(s.reason.Allows()))
	a.add(reasonKey, s.reason.String())
	a.add(kindKey, s.kind.String())
	if s.wouldDeny != 0 {
		a.add(wouldDenyKey, s.wouldDeny.String())
	}
	a.add(endpointKey, s.endpoint)
	return a
}

// spanAttributes returns the operator's side of a decision: the attributes of its LogValue.
// They have no secret in them, even if one was given as the key's ID.
func spanAttributes(d policy.Decision) attributes {
	a := metricAttributes(seriesOf(d.Endpoint().Name, d))
	for _, own := range d.LogValue().Group() {
		switch key := attribute.Key(spanPrefix + own.Key); key {
		case allowedKey, reasonKey, kindKey, wouldDenyKey, endpointKey: // in metricAttributes
		default:
			a.add(key, own.Value.String())
		}
	}
	return a
}

// A series identifies the decisions counted together.
type series struct {
	endpoint          string
	reason, wouldDeny policy.Reason
	kind              policy.Kind
}

func seriesOf(endpoint string, d policy.Decision) series {
	return series{endpoint, d.Reason, d.WouldDeny, d.Kind()}
}

// seriesOptions is a series as options for the instruments.
type seriesOptions struct {
	add    []metric.AddOption
	record []metric.RecordOption
}

func newSeriesOptions(s series) *seriesOptions {
	set := metric.WithAttributeSet(attribute.NewSet(metricAttributes(s)...))
	return &seriesOptions{add: []metric.AddOption{set}, record: []metric.RecordOption{set}}
}

// maxSeries bounds the remembered series, at more than 100 endpoints' worth. It is the SDK's
// own limit of attribute sets: beyond it the SDK counts all others together.
const maxSeries = 2000

// A seriesCache remembers the attributes of series, so that counting a decision does not
// allocate. The zero seriesCache is empty.
type seriesCache struct {
	known sync.Map // series to *seriesOptions
	size  atomic.Int64
}

func (c *seriesCache) of(endpoint string, d policy.Decision) *seriesOptions {
	s := seriesOf(endpoint, d)
	if options, ok := c.known.Load(s); ok {
		return options.(*seriesOptions)
	}
	options := newSeriesOptions(s)
	// Names made from requests, against the advice, must not fill the memory.
	if c.size.Add(1) <= maxSeries {
		c.known.Store(s, options)
	}
	return options
}
