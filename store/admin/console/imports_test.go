package console_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A program with a console links the standard library and this module: the package imports
// nothing else, no adapter, not the API, and not the guard of keys, which is not for people.
func TestImports(t *testing.T) {
	const module = "github.com/sallyport-go/sallyport/"
	out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, ".").Output()
	require.NoError(t, err)
	imports := strings.Fields(string(out))
	require.Contains(t, imports, module+"store/admin")
	for _, path := range imports {
		first, _, _ := strings.Cut(path, "/")
		own := path == module+"store" || path == module+"store/admin" || path == module+"policy" ||
			strings.HasPrefix(path, module) && !strings.HasPrefix(path, module+"store/") && !strings.HasPrefix(path, module+"policy/")
		require.True(t, own || !strings.Contains(first, "."), path)
	}
}
