package published_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestImports holds that the package opens no connection and knows no keys: of this module it
// links accesslist and what that links, and of the standard library no HTTP.
func TestImports(t *testing.T) {
	const module = "github.com/sallyport-go/sallyport"
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	require.NoError(t, err, "go list: %s", out)
	linked := strings.Fields(string(out))
	require.Contains(t, linked, module+"/accesslist/published")
	for _, path := range linked {
		first, _, _ := strings.Cut(path, "/")
		allowed := !strings.Contains(first, ".") || path == "go4.org/netipx" || strings.HasPrefix(path, module+"/accesslist") || strings.HasPrefix(path, module+"/internal/")
		assert.True(t, allowed, "links %s", path)
		assert.NotEqual(t, "net/http", path)
	}
}
