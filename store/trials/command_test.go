package trials_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/etcd/etcdtest"
)

// The operator's command does with etcd what its own tests have it do with SQLite and
// PostgreSQL: the file says how its lines are read.
func TestCommandWithEtcd(t *testing.T) {
	const source = "../admin/cmd/sallyport"
	program, dir := filepath.Join(t.TempDir(), "sallyport"), t.TempDir()
	built, err := exec.Command("go", "build", "-C", source, "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", built)
	script, err := os.ReadFile(source + "/testdata/whole.path")
	require.NoError(t, err)
	hosts := strings.TrimPrefix(etcdtest.Start(t, 1).Endpoints()[0], "http://")

	token, ofPreview, ran := "", regexp.MustCompile(`\b[0-9a-f]{32}\b`), 0
	var line string
	var stdout, stderr bytes.Buffer
	for text := range strings.Lines(string(script)) {
		word, rest, _ := strings.Cut(strings.TrimSuffix(text, "\n"), " ")
		switch word {
		case "", "#":
		case "~":
			require.Contains(t, stdout.String(), rest, line)
		case "!":
			require.Contains(t, stderr.String(), rest, line)
		default:
			line = strings.NewReplacer("TOKEN", token, "FILE", dir+"/all", "SECRET", dir+"/secret").Replace(rest)
			command := exec.CommandContext(t.Context(), program, strings.Fields(line)...)
			command.Env = append(os.Environ(), "SALLYPORT_STORE=etcd://"+hosts+"/gate", "SUDO_USER=olga")
			stdout.Reset()
			stderr.Reset()
			command.Stdout, command.Stderr = &stdout, &stderr
			err := command.Run()
			require.NotNil(t, command.ProcessState, err)
			require.Equal(t, word, strconv.Itoa(command.ProcessState.ExitCode()), "%s: %s%s", line, &stdout, &stderr)
			if found := ofPreview.FindString(stdout.String()); found != "" {
				token = found
			}
			ran++
		}
	}
	require.Greater(t, ran, 40)
}
