package main

import (
	"bytes"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store/internal/postgrestest"
)

// A binary is the built program, with a store.
type binary struct {
	t    *testing.T
	path string
	env  []string
}

func aBinary(t *testing.T, address string) binary {
	path := filepath.Join(t.TempDir(), "sallyport")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput() // links what the test has compiled
	require.NoError(t, err, "%s", out)
	return binary{t, path, append(os.Environ(), "SALLYPORT_STORE="+address, "SUDO_USER=olga")}
}

// run runs the program, and returns its exit status, -1 for a signal.
func (b binary) run(stdout *os.File, args ...string) (status int, out, told string) {
	var written, stderr bytes.Buffer
	command := exec.CommandContext(b.t.Context(), b.path, args...)
	command.Env, command.Stdout, command.Stderr = b.env, &written, &stderr
	if stdout != nil {
		command.Stdout = stdout
	}
	err := command.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		require.NoError(b.t, err)
	}
	return command.ProcessState.ExitCode(), written.String(), stderr.String()
}

// must runs the program in words, and returns its output.
func (b binary) must(status int, line string) string {
	b.t.Helper()
	got, out, told := b.run(nil, strings.Fields(line)...)
	require.Equal(b.t, status, got, "%s: %s%s", line, out, told)
	return out
}

// The whole path in a store on a disk: made, filled, a switch thrown by mistake, suspended with
// no service running, moved, and each exit status of a script.
func (b binary) wholePath() {
	require.Contains(b.t, b.must(unknown, "org list"), "")
	b.must(no, "migrate --preview")
	b.must(unknown, "migrate")
	b.must(yes, "migrate --yes")
	b.must(yes, "migrate --preview")
	b.must(yes, "org create acme --require not-required --yes")
	b.must(no, "keys create --org acme --id old --role reader --yes")
	b.must(yes, "keys create --org acme --id old --role reader --yes --accept opens --reason trial")
	b.must(yes, "decide old --from 203.0.113.7 --org acme --role reader")
	b.must(no, "org require acme required --yes")
	b.must(yes, "org require acme required --yes --accept organization_lockout --reason typo")
	b.must(no, "decide old --from 203.0.113.7 --org acme --role reader")
	require.Contains(b.t, b.must(no, "explain old --from 203.0.113.7 --org acme --role reader"), "Suspend the requirement until")
	b.must(no, "org suspend acme --for 1h --preview")
	b.must(no, "org suspend acme --for 1h --yes --reason mistake")
	b.must(yes, "org suspend acme --for 1h --yes --reason mistake --accept opens")
	b.must(yes, "decide old --from 203.0.113.7 --org acme --role reader")
	require.Contains(b.t, b.must(yes, "events list --newest --limit 1 -o jsonl"), `"via":"cli","reason":"mistake","accepted":["opens"]`)
	require.Contains(b.t, b.must(yes, "events list --newest --limit 1"), "system olga as ")

	for _, of := range [][]string{{"denials"}, {"denials", "old"}} { // no process counted any
		status, out, told := b.run(nil, of...)
		require.Equal(b.t, yes, status)
		require.Empty(b.t, out)
		require.Contains(b.t, told, "No denied call is known.\nMind: ")
	}

	token := b.must(no, "keys disable old --preview -o name")
	b.must(yes, "keys describe old meanwhile --yes")
	b.must(changed, "keys disable old --yes --token "+token)
	b.must(no, "doctor")
	b.must(unknown, "keys show nobody")
	b.must(unknown, "decide old --from 203.0.113.7")

	file := filepath.Join(b.t.TempDir(), "all")
	b.must(yes, "export -f "+file)
	b.must(yes, "verify -f "+file)
	b.must(yes, "keys delete old --yes --accept organization_lockout --reason over")
	b.must(no, "verify -f "+file)
	b.must(yes, "import --yes -f "+file)
	b.must(yes, "verify -f "+file)
}

func TestBinaryWithSQLite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.db")
	b := aBinary(t, "sqlite:"+path)
	b.must(unknown, "org list")
	require.NoFileExists(t, path, "a command made a store")
	b.wholePath()

	// Reading by others ends before it is over. No signal kills the program, and the
	// error names the key of a lost secret.
	read, write, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, read.Close())
	defer func() { require.NoError(t, write.Close()) }()
	status, _, told := b.run(write, "org", "list")
	require.Equal(t, unknown, status)
	require.Empty(t, told)
	status, _, told = b.run(write, "keys", "create", "--org", "acme", "--id", "lost", "--from", "203.0.113.7", "--yes")
	require.Equal(t, unknown, status)
	require.Contains(t, told, "of key lost is stored, but could not be written and is lost")

	require.Contains(t, b.must(yes, "version"), "go1.")
	pages := t.TempDir()
	b.must(yes, "man "+pages)
	text, err := os.ReadFile(filepath.Join(pages, "sallyport-org-suspend.1"))
	require.NoError(t, err)
	require.Contains(t, string(text), ".TH")
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		require.Contains(t, b.must(yes, "completion "+shell), "sallyport")
	}
}

func TestBinaryWithPostgreSQL(t *testing.T) {
	server := url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/"}
	query := url.Values{}
	for setting := range strings.FieldsSeq(postgrestest.Shared(t).Database(t)) {
		switch name, value, _ := strings.Cut(setting, "="); name {
		case "dbname":
			server.Path += value
		case "host", "port":
			query.Set(name, value)
		}
	}
	server.RawQuery = query.Encode()
	aBinary(t, server.String()+"&schema=gate").wholePath()
}
