package clients_test

import (
	"crypto/x509"
	"net"
	"net/http"
	"strings"
	"testing"

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
	certificate := selfSigned(t)
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	require.NoError(t, err)
	files := writePEM(t, "CERTIFICATE", certificate.Certificate[0]) + " " + writePEM(t, "PRIVATE KEY", key)
	front, _ := startCaddy(t, func(begin string) string {
		begin = strings.Replace(begin, "http://:", "https://localhost:", 1) + "\n\ttls " + files
		return configuration(t, "Caddy", "api.example.com {", begin, "127.0.0.1:8080", top.back())[0]
	})
	_, port, err := net.SplitHostPort(front)
	require.NoError(t, err)
	send := startHTTP3(t, listed, front, "https://localhost:"+port+"/things", certificate, s.member.secret)
	require.Equal(t, http.StatusOK, send(http.MethodGet), "with a handshake")
	require.Equal(t, listed, s.sightings()[0].client.String())

	// The session ticket may arrive after the answer, and without one there is no early data.
	status := send("GET_0RTT")
	for status == http.StatusOK {
		status = send("GET_0RTT")
	}
	require.Equal(t, http.StatusTooEarly, status)
	seen := s.sightings()
	require.Equal(t, policy.TooEarly, seen[len(seen)-1].kind)
	require.Equal(t, http.StatusOK, send(http.MethodGet), "the same request after the handshake")
}
