package policyhttp_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// A secret hashed under an old server key is offered anew to an observer, whatever header it
// came in: the memory of Basic is wiped by then.
func TestRehashedBehindTheGuard(t *testing.T) {
	s := newService(t)
	serverKey, err := apikey.NewServerKey("2026-05", []byte("32 random bytes of the service's"))
	require.NoError(t, err)
	s.config.Issuer, err = apikey.NewIssuer(apikey.IssuerConfig{ServerKeys: []apikey.ServerKey{serverKey, apikey.Unkeyed()}})
	require.NoError(t, err)
	var offered []apikey.Key
	s.observers = []policy.Option{policy.WithObserver(func(_ context.Context, d policy.Decision) {
		if key, ok := d.Rehashed(); ok {
			offered = append(offered, key)
		}
	})}
	s.start()
	for name, r := range s.both() {
		offered = nil
		require.Equal(t, http.StatusOK, s.serve(r).Code, name)
		require.Len(t, offered, 1, name)
		_, shown, err := s.config.Issuer.Parse(s.secret.Reveal())
		require.NoError(t, err)
		index, err := shown.Verify(offered[0].Secrets, time.Now())
		require.NoError(t, err, name)
		require.Equal(t, "2026-05", offered[0].Secrets[index].ServerKey, name)
	}
	s.key = offered[0]
	for name, r := range s.both() {
		offered = nil
		require.Equal(t, http.StatusOK, s.serve(r).Code, name)
		require.Empty(t, offered, name)
	}
}
