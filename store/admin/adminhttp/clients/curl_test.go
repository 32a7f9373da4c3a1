package clients_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
)

// curl runs curl as the documentation shows it, and returns the status of the last answer and
// its body. The secret goes through curl's configuration on its standard input.
func (s service) curl(t *testing.T, arguments ...string) (status, body string) {
	t.Helper()
	path, err := exec.LookPath("curl")
	if err != nil && os.Getenv("SALLYPORT_CLIENTS") != "required" {
		t.Skip("not installed: curl; policy/policyhttp/clients/install.sh installs it")
	}
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), path, append([]string{"--config", "-", "--digest", "--silent", "--show-error", "--write-out", "\n%{http_code}"}, arguments...)...)
	command.Stdin = strings.NewReader(`user = "` + owner + ":" + s.Secret.Reveal() + `"`)
	out, err := command.Output()
	require.NoError(t, err)
	i := strings.LastIndex(string(out), "\n")
	return string(out[i+1:]), strings.TrimSpace(string(out[:i]))
}

// The calls of the documentation under each prefix, with its trailing slash and ?pretty=true.
func TestCurl(t *testing.T) {
	for _, prefix := range []string{"/api/public/v1.0", "/api/atlas/v1.0", "/api/atlas/v2"} {
		t.Run(prefix, func(t *testing.T) {
			s := newService(t)
			base := s.URL + prefix + "/orgs/" + org
			jsonBody := []string{"--header", "Accept: application/json", "--header", "Content-Type: application/json"}
			post := func(url, method, body string) (string, string) {
				return s.curl(t, append(jsonBody, "--request", method, url, "--data", body)...)
			}
			var key struct{ ID, PrivateKey string }
			status, body := post(base+"/apiKeys?pretty=true", "POST", `{"desc": "New API key for test purposes", "roles": ["ORG_MEMBER"]}`)
			require.Equal(t, "200", status, body)
			require.NoError(t, json.Unmarshal([]byte(body), &key))
			require.Contains(t, body, "\n  ", "pretty")
			require.NotContains(t, key.PrivateKey, "*")

			list := base + "/apiKeys/" + key.ID + "/accessList"
			status, body = post(list+"/?pretty=true", "POST", `[{"ipAddress": "77.54.32.11"}, {"cidrBlock": "198.51.100.0/24"}]`)
			require.Equal(t, "200", status, body)
			status, body = s.curl(t, "--request", "GET", list+"/77.54.32.11?pretty=true")
			require.Equal(t, "200", status, body)
			require.Contains(t, body, `"cidrBlock": "77.54.32.11/32"`)
			status, body = s.curl(t, "--include", "--request", "DELETE", list+"/198.51.100.0%2F24")
			require.Equal(t, "204", status, body)
			status, body = s.curl(t, list+"/198.51.100.0%252F24")
			require.Equal(t, "404", status, body)

			status, body = post(base+"/settings", "PATCH", `{"apiAccessListRequired": true}`)
			require.Equal(t, "200", status, body)
			organization, err := s.Store.Organization(t.Context(), org)
			require.NoError(t, err)
			require.Equal(t, policy.Required, organization.Requirement)

			status, body = s.curl(t, "--request", "DELETE", base+"/apiKeys/"+key.ID)
			require.Equal(t, "204", status, body)
			status, body = s.curl(t, base+"/apiKeys/"+key.ID)
			require.Equal(t, "404", status)
			require.Contains(t, body, `"errorCode":"API_KEY_NOT_FOUND"`)
			status, body = s.curl(t, s.URL+"/api/private/ipinfo")
			require.Equal(t, "200", status)
			require.JSONEq(t, `{"currentIpv4Address": "127.0.0.1"}`, body)
		})
	}
}

// Somebody without a key, or with a wrong secret, gets the challenge and nothing else.
func TestCurlWithoutAKey(t *testing.T) {
	s := newService(t)
	s.Secret = newService(t).Secret
	status, body := s.curl(t, s.URL+"/api/atlas/v1.0/orgs/"+org+"/apiKeys")
	require.Equal(t, "401", status)
	require.NotContains(t, body, owner)
	status, body = s.curl(t, "--request", "DELETE", s.URL+"/api/atlas/v1.0/orgs/"+org+"/apiKeys/"+owner)
	require.Equal(t, "401", status, body)
	_, err := s.Store.Key(t.Context(), owner)
	require.NoError(t, err)
}
