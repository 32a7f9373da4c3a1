package policy_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A program that imports the rules links the standard library, netipx, this module
// and nothing else. A library that brought testify or a driver along would put them
// into every user's binary.
func TestImports(t *testing.T) {
	const module = "github.com/sallyport-go/sallyport"
	packages := []string{module + "/policy"}
	if files, err := filepath.Glob("../store/memory/*.go"); err == nil && len(files) > 0 {
		packages = append(packages, module+"/store/memory")
	}
	for _, importPath := range packages {
		out, err := exec.Command("go", "list", "-deps", importPath).Output()
		require.NoError(t, err, "go list -deps %s: %s", importPath, out)
		linked := strings.Fields(string(out))
		// A list that came out empty would pass everything below.
		for _, sure := range []string{importPath, module + "/accesslist", module + "/apikey", "go4.org/netipx", "net/netip"} {
			require.Contains(t, linked, sure)
		}
		for _, path := range linked {
			first, _, _ := strings.Cut(path, "/")
			allowed := !strings.Contains(first, ".") || path == "go4.org/netipx" || path == module || strings.HasPrefix(path, module+"/")
			require.True(t, allowed, "%s links %s", importPath, path)
			for _, testOnly := range []string{"testing", "github.com/google/go-cmp", "github.com/stretchr/testify"} {
				require.False(t, path == testOnly || strings.HasPrefix(path, testOnly+"/"), "%s links %s", importPath, path)
			}
		}
	}
}
