package clients_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// install installs what the tests of this module need.
const install = "policy/policyhttp/clients/install.sh store/admin/adminhttp/clients/testdata/npm"

// patience is how long a program may take. It ends the test of one that hangs.
const patience = 10 * time.Minute

func notInstalled(t *testing.T, what string) {
	t.Helper()
	text := "not installed: " + what + "; in the repository, " + install + " installs it"
	if os.Getenv("SALLYPORT_CLIENTS") == "required" {
		t.Fatal(text)
	}
	t.Skip(text)
}

// run runs a program to its end, without the settings of the person who tests, and returns
// its output.
func run(t *testing.T, stdin, name string, arguments ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		notInstalled(t, name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, path, arguments...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LC_ALL=C.UTF-8", "NO_PROXY=*"}
	command.WaitDelay = time.Minute
	var out, failed bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(stdin), &out, &failed
	require.NoError(t, command.Run(), "%s: %s%s", name, &out, &failed)
	return out.String()
}

// An npmCall is one of a client of npm: "legacy." or "mcp.", and a method.
type npmCall struct {
	Call string `json:"call"`
	Args []any  `json:"args"`
}

func call(name string, args ...any) npmCall { return npmCall{name, append([]any{}, args...)} }

// An npmResult is what a client of npm made of an answer.
type npmResult struct {
	Value   json.RawMessage
	Error   json.RawMessage
	Message string // of an exception
	Status  int    // where the client tells it
	Type    string // of the content, where it tells it
}

// npmModules returns the directory in which the packages of npm are installed.
func npmModules(t *testing.T) string {
	t.Helper()
	lock, err := os.ReadFile(filepath.Join("testdata", "npm", "package-lock.json"))
	require.NoError(t, err)
	cache := os.Getenv("SALLYPORT_CLIENTS_CACHE")
	if cache == "" {
		base := os.Getenv("XDG_CACHE_HOME")
		if base == "" {
			base = filepath.Join(os.Getenv("HOME"), ".cache")
		}
		cache = filepath.Join(base, "sallyport-clients")
	}
	sum := sha256.Sum256(lock)
	modules := filepath.Join(cache, "npm-"+hex.EncodeToString(sum[:])[:16])
	if _, err := os.Stat(modules); err != nil {
		notInstalled(t, "the packages of npm that testdata/npm names")
	}
	return modules
}

// npm makes calls with the clients of npm.
func (s service) npm(t *testing.T, calls ...npmCall) []npmResult {
	t.Helper()
	modules := npmModules(t)
	job, err := json.Marshal(map[string]any{"url": s.URL, "user": owner, "secret": s.Secret.Reveal(), "project": group, "calls": calls})
	require.NoError(t, err)
	var results []npmResult
	require.NoError(t, json.Unmarshal([]byte(run(t, string(job), "node", filepath.Join("testdata", "npm_clients.mjs"), modules)), &results))
	require.Len(t, results, len(calls))
	return results
}

// into reads the value of a call that succeeded.
func (r npmResult) into(t *testing.T, value any) {
	t.Helper()
	require.Empty(t, r.Message)
	require.NotEmpty(t, r.Value, "%s", r.Error)
	require.NoError(t, json.Unmarshal(r.Value, value), "%s", r.Value)
}
