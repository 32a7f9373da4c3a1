package policygrpc_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Packages for tests are not linked into importing programs.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	require.NoError(t, err)
	linked := strings.Fields(string(out))
	require.Contains(t, linked, "google.golang.org/grpc") // a list that came out empty would pass the rest
	for _, path := range linked {
		for _, never := range []string{"testing", "github.com/stretchr/testify"} {
			require.False(t, path == never || strings.HasPrefix(path, never+"/"), "policygrpc links %s", path)
		}
	}
}
