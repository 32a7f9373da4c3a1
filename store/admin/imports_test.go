package admin_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A program that manages keys links the standard library and this module: the packages import
// nothing else, no adapter, and not each other. The console does not import the guard of keys,
// which is not for people.
func TestImports(t *testing.T) {
	const module = "github.com/sallyport-go/sallyport/"
	for _, test := range []struct {
		folder string
		may    []string // of store and policy
	}{
		{".", []string{"store", "policy"}},
		{"./adminhttp", []string{"store", "store/admin", "policy", "policy/policyhttp"}},
		{"./console", []string{"store", "store/admin", "policy"}},
	} {
		out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, test.folder).Output()
		require.NoError(t, err)
		imports := strings.Fields(string(out))
		require.Contains(t, imports, module+"store")
		for _, path := range imports {
			first, _, _ := strings.Cut(path, "/")
			own, isOwn := strings.CutPrefix(path, module)
			house, _, _ := strings.Cut(own, "/")
			require.True(t, isOwn || !strings.Contains(first, "."), path)
			require.True(t, house != "store" && house != "policy" || slices.Contains(test.may, own), "%s: %s", test.folder, path)
		}
	}
}
