package policyhttp

import (
	"net/http"
	"net/netip"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store/memory"
)

// A field of the guard that WithDeny forgets would be a hole.
func TestWithDenyKeepsEveryField(t *testing.T) {
	g, err := New(Config{Engine: policy.New(memory.New()), Issuer: new(apikey.Issuer), Address: FromHops(XForwardedFor, 1, netip.MustParsePrefix("192.0.2.0/24")), Schemes: []Scheme{Bearer(), KeyHeader("X-Key")}})
	require.NoError(t, err)
	before, after := reflect.ValueOf(g).Elem(), reflect.ValueOf(g.WithDeny(func(http.ResponseWriter, *http.Request, policy.Decision) {})).Elem()
	for i := range before.NumField() {
		switch name := before.Type().Field(i).Name; name {
		case "deny", "doubted": // another, and a warning of its own
		default:
			require.False(t, before.Field(i).IsZero(), "%s: give it a value in this test", name)
			require.False(t, after.Field(i).IsZero(), "WithDeny forgets %s", name)
		}
	}
}
