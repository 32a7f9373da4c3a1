package main

import (
	"bytes"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

// wholePath runs the commands of testdata/whole.path.
func (b binary) wholePath() {
	script, err := os.ReadFile("testdata/whole.path")
	require.NoError(b.t, err)
	dir, ran := b.t.TempDir(), 0
	var line, out, told, token string
	for text := range strings.Lines(string(script)) {
		word, rest, _ := strings.Cut(strings.TrimSuffix(text, "\n"), " ")
		switch word {
		case "", "#":
		case "~":
			require.Contains(b.t, out, rest, line)
		case "!":
			require.Contains(b.t, told, rest, line)
		default:
			line = strings.NewReplacer("TOKEN", token, "FILE", dir+"/all", "SECRET", dir+"/secret").Replace(rest)
			var status int
			status, out, told = b.run(nil, strings.Fields(line)...)
			require.Equal(b.t, word, strconv.Itoa(status), "%s: %s%s", line, out, told)
			if found := tokenForm.FindString(out); found != "" {
				token = found
			}
			ran++
		}
	}
	require.Greater(b.t, ran, 40)
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

// Beside a process that keeps the file locked, decisions and previews go on, and a change says
// that it was not made.
func TestBinaryBesideALock(t *testing.T) {
	t.Parallel() // it waits for the whole patience of the store
	path := filepath.Join(t.TempDir(), "keys.db")
	b := aBinary(t, "sqlite:"+path)
	b.must(yes, "migrate --yes")
	b.must(yes, "org create acme --yes")
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = conn.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	require.NoError(t, err)
	b.must(no, "decide none --from 203.0.113.7 --org acme")
	b.must(yes, "org require acme report-only --preview")
	status, out, told := b.run(nil, "org", "require", "acme", "report-only", "--yes")
	require.Equal(t, unknown, status)
	require.Empty(t, out)
	require.Contains(t, told, "sallyport: The store could not write. Nothing was changed. Try again. (store/sqlite: write with events: another process has had it locked for ")
	_, err = conn.ExecContext(t.Context(), "ROLLBACK")
	require.NoError(t, err)
	require.Contains(t, b.must(yes, "org show acme"), "access lists  required\n")
	b.must(yes, "org require acme report-only --yes")
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
