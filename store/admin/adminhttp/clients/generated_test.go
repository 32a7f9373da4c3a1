package clients_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
)

// A typed client is generated from the OpenAPI document of our own API, and works. Where the
// document says less or something else than the API, the compiler or an assertion fails.
func TestGeneratedClient(t *testing.T) {
	s := newService(t)
	modules := npmModules(t)
	dir := t.TempDir()
	require.NoError(t, os.Symlink(filepath.Join(modules, "node_modules"), filepath.Join(dir, "node_modules")))
	for _, name := range []string{"own_client.mts", "own_client_run.mjs"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	bin := func(parts ...string) string {
		return filepath.Join(append([]string{modules, "node_modules"}, parts...)...)
	}
	run(t, "", "node", bin("openapi-typescript", "bin", "cli.js"), filepath.Join("..", "openapi.json"), "--output", filepath.Join(dir, "own.d.ts"))
	run(t, "", "node", bin("typescript", "bin", "tsc"), "--strict", "--module", "nodenext", "--target", "es2022", filepath.Join(dir, "own_client.mts"))

	job, err := json.Marshal(map[string]string{"url": s.URL, "secret": s.Secret.Reveal(), "org": org})
	require.NoError(t, err)
	var did struct {
		First, Shown, Conflict, Requirement, Name string
		Status, Made, Findings                    int
		Reasons                                   []policy.Reason
	}
	require.NoError(t, json.Unmarshal([]byte(run(t, string(job), "node", filepath.Join(dir, "own_client_run.mjs"))), &did))
	require.Equal(t, owner, did.First)
	require.Equal(t, policy.AddressNotListed, s.Decide(t, did.Shown, "192.0.2.1"))
	require.Equal(t, policy.AddressListed, s.Decide(t, did.Shown, "203.0.113.7"))
	require.Equal(t, "CONFLICT", did.Conflict)
	require.Equal(t, 409, did.Status)
	require.Zero(t, did.Made, "a preview makes nothing")
	require.Equal(t, "required", did.Requirement)
	require.Equal(t, "Typed Ltd", did.Name)
	require.Equal(t, []policy.Reason{policy.AddressListed, policy.AddressNotListed}, did.Reasons)
	require.Equal(t, 1, did.Findings, "no client has an address for documentation")
	organization, err := s.Store.Organization(t.Context(), org)
	require.NoError(t, err)
	require.Equal(t, policy.Required, organization.Requirement)
}
