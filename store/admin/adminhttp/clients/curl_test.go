package clients_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// curl runs curl as the documentation shows it, and returns the status of the last answer and
// its body. The secret goes through curl's configuration on its standard input.
func (s service) curl(t *testing.T, arguments ...string) (status, body string) {
	t.Helper()
	out := run(t, `user = "`+owner+":"+s.Secret.Reveal()+`"`, "curl",
		append([]string{"--config", "-", "--digest", "--silent", "--show-error", "--write-out", "\n%{http_code}"}, arguments...)...)
	i := strings.LastIndex(out, "\n")
	return out[i+1:], strings.TrimSpace(out[:i])
}

// The one documented path outside of the prefixes.
func TestCurlAddress(t *testing.T) {
	s := newService(t)
	status, body := s.curl(t, s.URL+"/api/private/ipinfo")
	require.Equal(t, "200", status)
	require.JSONEq(t, `{"currentIpv4Address": "127.0.0.1"}`, body)
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
