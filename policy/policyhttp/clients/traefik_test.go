package clients_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func traefikOfGuide(t *testing.T, e *edge, back string) (front, front6 string) {
	program, directory := os.Getenv("SALLYPORT_TRAEFIK"), t.TempDir()
	if program == "" {
		t.Skip("Traefik takes minutes to build: left to .ci/run traefik, or to SALLYPORT_TRAEFIK with its path")
	}
	static, dynamic := filepath.Join(directory, "traefik.yaml"), filepath.Join(directory, "dynamic.yaml")
	front = start(t, 1, func(addresses []string) *exec.Cmd {
		_, port, err := net.SplitHostPort(addresses[0])
		require.NoError(t, err)
		files := configuration(t, e.heading, `":80"`, `":`+port+`"`, "filename: dynamic.yaml", "filename: "+dynamic, "127.0.0.1:8080", back)
		require.NoError(t, os.WriteFile(static, []byte(files[0]), 0o600))
		require.NoError(t, os.WriteFile(dynamic, []byte(files[1]), 0o600))
		return command(t.Context(), t, program, "--configFile="+static)
	})[0]
	// It listens before it has read the dynamic configuration.
	require.Eventually(t, func() bool {
		response, err := http.Get("http://" + front + "/things")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode != http.StatusNotFound // of Traefik
	}, patience, 10*time.Millisecond)
	return front, sameOfIPv6(t, front)
}
