package policyotel_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A program that imports this links OpenTelemetry's API. The SDK is the program's choice,
// and what tests need is nobody's.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	require.NoError(t, err)
	linked := strings.Fields(string(out))
	require.Contains(t, linked, "go.opentelemetry.io/otel/metric") // a list that came out empty would pass the rest
	for _, path := range linked {
		for _, never := range []string{"testing", "github.com/stretchr/testify", "go.opentelemetry.io/otel/sdk"} {
			require.False(t, path == never || strings.HasPrefix(path, never+"/"), "policyotel links %s", path)
		}
	}
}
