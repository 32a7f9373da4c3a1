package clients_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
)

// Caddy accepts early data over HTTP/3, in which a caller's address is unproven, and passes
// it on with Early-Data. The guard behind it refuses, and serves the same request after the
// handshake.
func TestEarlyDataThroughCaddy(t *testing.T) {
	needsLoopbackBlock(t)
	top := &topology{address: declared["Caddy"].Address}
	serve(t, []*topology{top})
	s := top.service
	certificate, roots := selfSigned(t)
	directory := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(directory, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	require.NoError(t, err)
	files := write("certificate.pem", "CERTIFICATE", certificate.Certificate[0]) + " " + write("key.pem", "PRIVATE KEY", key)
	front, _ := startCaddy(t, func(begin string) string {
		begin = strings.Replace(begin, "http://:", "https://localhost:", 1) + "\n\ttls " + files
		return configuration(t, "Caddy", "api.example.com {", begin, "127.0.0.1:8080", top.back())[0]
	})
	to, err := net.ResolveUDPAddr("udp4", front)
	require.NoError(t, err)

	client := &tls.Config{RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	send := func(method string) int {
		own, err := net.ListenPacket("udp4", listed+":0")
		require.NoError(t, err)
		defer own.Close()
		transport := &http3.Transport{TLSClientConfig: client, QUICConfig: &quic.Config{}, Dial: func(ctx context.Context, _ string, tls *tls.Config, config *quic.Config) (*quic.Conn, error) {
			return quic.DialEarly(ctx, own, to, tls, config)
		}}
		defer transport.Close()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, method, "https://localhost:"+strconv.Itoa(to.Port)+"/things", nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+s.member.secret)
		response, err := transport.RoundTrip(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	require.Equal(t, http.StatusOK, send(http.MethodGet), "with a handshake")
	require.Equal(t, listed, s.sightings()[0].client.String())

	// The session ticket may arrive after the answer, and without one there is no early data.
	require.Eventually(t, func() bool {
		status := send(http3.MethodGet0RTT)
		seen := s.sightings()
		return status == http.StatusTooEarly && seen[0].kind == policy.TooEarly
	}, patience, 10*time.Millisecond, "no request came in early data")
	require.Equal(t, http.StatusOK, send(http.MethodGet), "the same request after the handshake")
}
