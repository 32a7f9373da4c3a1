package clients_test

import (
	"debug/buildinfo"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestVersions finds the versions of all tools. One that is missing is told by the test
// that needs it.
func TestVersions(t *testing.T) {
	word := func(n int, output string) string { return strings.Fields(output)[n] }
	tools := []struct {
		name string
		ask  func(t *testing.T) string
	}{
		{"curl", func(t *testing.T) string { return word(1, run(t, "", program(t, "curl"), "--version")) }},
		{"nginx", func(t *testing.T) string {
			return strings.TrimPrefix(word(2, run(t, "", "/bin/sh", "-c", program(t, "nginx")+" -v 2>&1")), "nginx/")
		}},
		{"HAProxy", haproxyVersion},
		{"Caddy", func(t *testing.T) string {
			path, err := caddyProgram()
			require.NoError(t, err)
			program, err := buildinfo.ReadFile(path)
			require.NoError(t, err)
			return strings.TrimPrefix(program.Main.Version, "v")
		}},
		{"Python", func(t *testing.T) string {
			const script = "import platform, requests, urllib3; print(platform.python_version(), 'with requests', requests.__version__, 'and urllib3', urllib3.__version__)"
			return strings.TrimSpace(run(t, "", python(t), "-c", script)) + ": " + python(t)
		}},
		{"Node.js", func(t *testing.T) string { return word(0, run(t, "", program(t, "node"), "--version")) }},
		{"npm digest-fetch", func(t *testing.T) string { return npmVersion(t, "digest-fetch") }},
		{"npm urllib", func(t *testing.T) string { return npmVersion(t, "urllib") }},
		{"Go", func(*testing.T) string { return runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH }},
		{"github.com/icholy/digest", goVersion("github.com/icholy/digest")},
		{"github.com/mongodb-forks/digest", goVersion("github.com/mongodb-forks/digest")},
		{"github.com/pires/go-proxyproto", goVersion("github.com/pires/go-proxyproto")},
	}
	for _, tool := range tools {
		t.Run(tool.name, func(t *testing.T) {
			version := tool.ask(t)
			require.NotEmpty(t, version)
			versions.set(tool.name, "version", version)
			t.Log(tool.name, version)
		})
	}
}

func npmVersion(t *testing.T, name string) string {
	text, err := os.ReadFile(filepath.Join(npmModules(t), "node_modules", name, "package.json"))
	require.NoError(t, err)
	var described struct{ Version string }
	require.NoError(t, json.Unmarshal(text, &described))
	return described.Version
}

// goVersion reads go.mod, as the build information of a test has no modules.
func goVersion(module string) func(*testing.T) string {
	return func(t *testing.T) string {
		text, err := os.ReadFile("go.mod")
		require.NoError(t, err)
		_, after, found := strings.Cut(string(text), "\t"+module+" ")
		require.True(t, found, "go.mod names no %s", module)
		return strings.Fields(after)[0]
	}
}
