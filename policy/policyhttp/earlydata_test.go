package policyhttp_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// Traefik's CVE-2024-39321: in TLS early data the source address is the caller's word, and
// the request can be sent again. With a stolen key and a forged address it was served.
func TestEarlyDataIsNotServed(t *testing.T) {
	s := newService(t)
	early := func() *http.Request {
		r := withBearer(s.secret.Reveal())
		r.TLS = &tls.ConnectionState{HandshakeComplete: false}
		return r
	}
	header := func(values ...string) *http.Request {
		r := withBearer(s.secret.Reveal())
		r.Header["Early-Data"] = values
		return r
	}
	for name, r := range map[string]*http.Request{
		"before the handshake":    early(),
		"an edge says so":         header("1"),
		"an edge says so twice":   header("1", "1"),
		"a value that is invalid": header("0"),
		"an empty value":          header(""),
	} {
		s.asked = nil
		requireDenied(t, s.serve(r), http.StatusTooEarly, "TOO_EARLY")
		require.Empty(t, s.asked, "%s: no look-up", name)
		d := s.route.Check(r)
		require.Equal(t, policy.InvalidRequest, d.Reason)
		require.ErrorIs(t, d.Cause, policy.ErrTooEarly)
	}

	// Credentials are not read either: a replay costs no look-up of stored credentials.
	withoutCredentials := early()
	withoutCredentials.Header.Del("Authorization")
	requireDenied(t, s.serve(withoutCredentials), http.StatusTooEarly, "TOO_EARLY")

	r := withBearer(s.secret.Reveal())
	r.TLS = &tls.ConnectionState{HandshakeComplete: true}
	require.Equal(t, http.StatusOK, s.serve(r).Code)

	// Other transports say it by the Call.
	guard, err := policyhttp.New(policyhttp.Config{Engine: policy.New(source{s})})
	require.NoError(t, err)
	call := policyhttp.Call{
		Remote: r.RemoteAddr, Header: r.Header, EarlyData: true,
		Resolver: policy.ResolverFunc(func(context.Context) (policy.Resource, error) { return policy.Resource{Organization: "acme"}, nil }),
	}
	require.ErrorIs(t, guard.Check(context.Background(), call).Cause, policy.ErrTooEarly)
	call.EarlyData = false
	require.True(t, guard.Check(context.Background(), call).Allowed())
}
