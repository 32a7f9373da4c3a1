package clients_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

	certificate := selfSigned(t)
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
	to := connection.LocalAddr().String()
	send := startHTTP3(t, "127.0.0.1", to, "https://"+to+"/", certificate, secret.Reveal())
	require.Equal(t, http.StatusNoContent, send(http.MethodGet), "with a handshake")
	require.True(t, (<-decisions).Allowed())

	// The session ticket may arrive after the answer, and without one there is no early data.
	status, early := send("GET_0RTT"), <-decisions
	for status == http.StatusNoContent {
		status, early = send("GET_0RTT"), <-decisions
	}
	require.Equal(t, http.StatusTooEarly, status)
	require.ErrorIs(t, early.Cause, policy.ErrTooEarly)
	require.Equal(t, netip.MustParseAddr("127.0.0.1"), early.Client(), "told to the operator, and not believed")
	require.Equal(t, http.StatusNoContent, send(http.MethodGet), "the same request after the handshake")
}

// startHTTP3 builds and starts http3client, which connects from one address to another and
// ends with the test. The function that it returns sends a request with a method and returns
// the answer's status. The test fails if it is asked for longer than patience: so a test may
// ask until early data come.
func startHTTP3(t *testing.T, from, to, url string, certificate tls.Certificate, secret string) func(method string) int {
	t.Helper()
	path := filepath.Join(t.TempDir(), "http3client")
	out, err := exec.Command("go", "build", "-race=false", "-o", path, "./http3client").CombinedOutput()
	require.NoError(t, err, "%s", out)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	c := command(ctx, t, path, from, to, url, writePEM(t, "CERTIFICATE", certificate.Certificate[0]))
	var told bytes.Buffer
	c.Stderr = &told
	in, err := c.StdinPipe()
	require.NoError(t, err)
	printed, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() { cancel(); _ = c.Wait() })
	_, err = fmt.Fprintln(in, secret)
	require.NoError(t, err)
	answers := bufio.NewScanner(printed)
	return func(method string) int {
		t.Helper()
		_, err := fmt.Fprintln(in, method)
		if err != nil || !answers.Scan() {
			late := ctx.Err()
			cancel()
			_ = c.Wait()
			require.FailNow(t, "http3client has ended", "%s: %v %s", method, late, told.String())
		}
		status, err := strconv.Atoi(answers.Text())
		require.NoError(t, err)
		return status
	}
}

// writePEM writes a file and returns its path.
func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.pem")
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return path
}

// selfSigned returns a certificate for localhost and 127.0.0.1.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
