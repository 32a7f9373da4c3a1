package policyotel_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyotel"
	"github.com/sallyport-go/sallyport/store/memory"
)

// Decisions are counted by their reason. A service gives the provider that it has, with an
// exporter behind it, or none for the global one; here it is read by hand.
func Example() {
	ctx, keys := context.Background(), memory.New()
	_, err := keys.PutOrganization(ctx, policy.Organization{ID: "acme"})
	must(err)
	key, secret, err := apikey.New("acme")
	must(err)
	key.AccessList, err = accesslist.Parse("203.0.113.0/24")
	must(err)
	_, err = keys.PutKey(ctx, key)
	must(err)

	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	telemetry, err := policyotel.New(policyotel.WithMeterProvider(provider))
	must(err)
	engine := policy.New(telemetry.Source(keys), policy.WithObserver(telemetry.Observe))

	for _, client := range []string{"203.0.113.7", "203.0.113.8", "198.51.100.1"} {
		engine.Decide(ctx, policy.Request{
			Key: key.ID, Secret: secret, Client: netip.MustParseAddr(client),
			Organization: "acme", Endpoint: &policy.Endpoint{Name: "things.read"},
		})
	}

	var measured metricdata.ResourceMetrics
	must(reader.Collect(ctx, &measured))
	var lines []string
	for _, m := range measured.ScopeMetrics[0].Metrics {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
			for _, point := range sum.DataPoints {
				lines = append(lines, fmt.Sprint(m.Name, " ", point.Attributes.Encoded(attribute.DefaultEncoder()), " ", point.Value))
			}
		}
	}
	slices.Sort(lines)
	for _, line := range lines {
		fmt.Println(line)
	}
	// Output:
	// sallyport.decisions sallyport.allowed=false,sallyport.endpoint=things.read,sallyport.reason=address_not_listed 1
	// sallyport.decisions sallyport.allowed=true,sallyport.endpoint=things.read,sallyport.reason=address_listed 2
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
