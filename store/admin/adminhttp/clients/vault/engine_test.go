package vault_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	mongodbatlas "github.com/hashicorp/vault-plugin-secrets-mongodbatlas"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/admin/adminhttp/clients/internal/service"
)

// host is the engine's address of the API.
const host = "cloud.mongodb.com"

// An engine is Vault's, configured with the owner's key of a service.
type engine struct {
	*service.Service
	backend logical.Backend
	storage logical.Storage
}

func newEngine(t *testing.T) *engine {
	t.Helper()
	s := service.New(t)
	redirect(t, s.Handler)
	e := &engine{Service: s, storage: &logical.InmemStorage{}}
	config := logical.TestBackendConfig()
	config.StorageView = e.storage
	system := logical.TestSystemView()
	system.PluginEnvironment = &logical.PluginEnvironment{VaultVersion: "1.0.0"}
	config.System = system
	backend, err := mongodbatlas.Factory(t.Context(), config)
	require.NoError(t, err)
	e.backend = backend
	e.write(t, "config", map[string]any{"public_key": service.Owner, "private_key": s.Secret.Reveal()})
	return e
}

// redirect replaces the default transport, until the end of the test, by one that connects
// only to a server with this handler.
func redirect(t *testing.T, handler http.Handler) {
	t.Helper()
	certificate, roots := certify(t)
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(t.Output(), "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address != host+":443" {
				return nil, fmt.Errorf("the engine connects to %s: want %s:443", address, host)
			}
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		},
		TLSClientConfig: &tls.Config{RootCAs: roots},
	}
	before := http.DefaultTransport
	http.DefaultTransport = transport
	t.Cleanup(func() {
		http.DefaultTransport = before
		transport.CloseIdleConnections()
		server.Close()
	})
}

// certify makes a certificate of the host, and the pool that trusts it alone.
func certify(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// handle has the engine handle a request.
func (e *engine) handle(t *testing.T, r *logical.Request) (*logical.Response, error) {
	t.Helper()
	r.Storage = e.storage
	return e.backend.HandleRequest(t.Context(), r)
}

func (e *engine) write(t *testing.T, path string, data map[string]any) {
	t.Helper()
	response, err := e.handle(t, &logical.Request{Operation: logical.UpdateOperation, Path: path, Data: data})
	require.NoError(t, err)
	require.NoError(t, response.Error())
}

// credentials are a key that the engine made.
type credentials struct {
	id, secret, description string
	lease                   *logical.Secret
}

// read has the engine make a key of a role.
func (e *engine) read(t *testing.T, role string) credentials {
	t.Helper()
	response, err := e.handle(t, &logical.Request{Operation: logical.ReadOperation, Path: "creds/" + role})
	require.NoError(t, err)
	require.NoError(t, response.Error())
	text := func(name string) string { return response.Data[name].(string) }
	require.Equal(t, text("public_key"), response.Secret.InternalData["programmatic_api_key_id"])
	return credentials{text("public_key"), text("private_key"), text("description"), response.Secret}
}

// revoke ends a lease.
func (e *engine) revoke(t *testing.T, c credentials) error {
	t.Helper()
	_, err := e.handle(t, &logical.Request{Operation: logical.RevokeOperation, Secret: c.lease})
	return err
}

// rollback has the engine go through its write-ahead log, however young its entries are. It
// returns the number of entries left, and the engine's complaint.
func (e *engine) rollback(t *testing.T) (left int, complaint error) {
	t.Helper()
	response, err := e.handle(t, &logical.Request{Operation: logical.RollbackOperation, Data: map[string]any{"immediate": true}})
	require.NoError(t, err)
	entries, err := framework.ListWAL(t.Context(), e.storage)
	require.NoError(t, err)
	return len(entries), response.Error()
}
