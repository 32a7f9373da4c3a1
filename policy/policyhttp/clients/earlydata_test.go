package clients_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/policy/policyhttp"
)

// An HTTP/3 server that accepts early data, as quic-go's does by default, and a client that
// resumes a session and sends its request before the handshake: the address of that request
// is not proven. The guard refuses it with 425, and the same request after the handshake is
// served.
func TestEarlyDataOverHTTP3(t *testing.T) {
	key, secret, err := apikey.New("acme")
	require.NoError(t, err)
	key.AccessList, err = accesslist.Parse("127.0.0.1")
	require.NoError(t, err)
	decisions := make(chan policy.Decision, 10)
	engine := policy.New(policy.SourceFunc(func(context.Context, apikey.ID) (policy.Subject, bool, error) {
		return policy.NewSubject(&key, &policy.Organization{ID: "acme"}), true, nil
	}), policy.WithTimeout(patience), policy.WithObserver(func(_ context.Context, d policy.Decision) { decisions <- d }))
	guard, err := policyhttp.New(policyhttp.Config{Engine: engine})
	require.NoError(t, err)

	certificate, roots := selfSigned(t)
	connection, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http3.Server{
		TLSConfig:  http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{certificate}}),
		QUICConfig: &quic.Config{Allow0RTT: true},
		Handler: guard.Protect(policy.Endpoint{Name: "things.read"}, func(*http.Request) (policy.Resource, error) {
			return policy.Resource{Organization: "acme"}, nil
		}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })),
	}
	go func() { _ = server.Serve(connection) }()
	t.Cleanup(func() { _ = server.Close(); _ = connection.Close() })
	client := &tls.Config{RootCAs: roots, ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(1)}

	// send sends a request on a new connection.
	send := func(method string) int {
		transport := &http3.Transport{TLSClientConfig: client, QUICConfig: &quic.Config{}}
		defer transport.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, method, "https://"+connection.LocalAddr().String()+"/", nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+secret.Reveal())
		response, err := transport.RoundTrip(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	require.Equal(t, http.StatusNoContent, send(http.MethodGet), "with a handshake")
	require.True(t, (<-decisions).Allowed())

	// The session ticket may arrive after the answer, and without one there is no early data.
	var early policy.Decision
	require.Eventually(t, func() bool {
		status := send(http3.MethodGet0RTT)
		early = <-decisions
		return status == http.StatusTooEarly
	}, 30*time.Second, 10*time.Millisecond, "no request came in early data")
	require.ErrorIs(t, early.Cause, policy.ErrTooEarly)
	require.Equal(t, netip.MustParseAddr("127.0.0.1"), early.Client(), "told to the operator, and not believed")
	require.Equal(t, http.StatusNoContent, send(http.MethodGet), "the same request after the handshake")
}

// selfSigned returns a certificate for localhost and those who trust it.
func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}
