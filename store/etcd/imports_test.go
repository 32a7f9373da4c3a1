package etcd

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A program that imports this links etcd's client. The server is never linked, not even
// by the tests, and what tests need is nobody's.
func TestImports(t *testing.T) {
	for never, arguments := range map[string][]string{
		"testing":                     {"."},
		"github.com/stretchr/testify": {"."},
		"go.etcd.io/etcd/server/v3":   {"-test", "."},
		"go.etcd.io/raft/v3":          {"-test", "."},
	} {
		out, err := exec.Command("go", append([]string{"list", "-deps"}, arguments...)...).Output()
		require.NoError(t, err)
		linked := strings.Fields(string(out))
		require.Contains(t, linked, "go.etcd.io/etcd/client/v3") // a list that came out empty would pass the rest
		for _, path := range linked {
			require.False(t, path == never || strings.HasPrefix(path, never+"/"), "%s links %s", arguments, path)
		}
	}
}
