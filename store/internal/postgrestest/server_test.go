package postgrestest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestServer(t *testing.T) {
	s := Start(t, "max_connections=7")
	assert.Equal(t, "7", s.SQL(t, s.DSN(), "SHOW max_connections"))
	assert.Equal(t, "on", s.SQL(t, s.DSN(), "SHOW fsync"))
	dsn := s.Database(t, "ENCODING LATIN1 LOCALE 'C' TEMPLATE template0")
	assert.Equal(t, "LATIN1", s.SQL(t, dsn, "SHOW server_encoding"))
	s.SQL(t, dsn, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")

	for _, end := range []func(testing.TB){s.Kill, s.Stop, s.Restart, s.Kill} {
		end(t)
		s.Restart(t)
		assert.Equal(t, "1", s.SQL(t, dsn, "SELECT n FROM kept"))
	}
	s.Stop(t)
	s.Kill(t) // which is nothing to one that is stopped
	_, err := net.Dial("tcp", s.Address())
	assert.Error(t, err)
	assert.NoFileExists(t, filepath.Join(s.Socket(), ".s.PGSQL."+fmt.Sprint(s.port)))
}

func TestDataAreRemoved(t *testing.T) {
	var dir string
	t.Run("test", func(t *testing.T) {
		s := Start(t)
		dir = s.Socket()
		assert.DirExists(t, dir)
	})
	assert.NoDirExists(t, dir)
}

// The server's user may not remove anything from the folder for temporary files.
func TestDataAreRemovedFromAnothersFolder(t *testing.T) {
	temporary, err := os.MkdirTemp("", "") // that of t lets no other user in
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.Remove(temporary), "want it empty") })
	require.NoError(t, os.Chmod(temporary, 0o755))
	t.Setenv("TMPDIR", temporary)
	Start(t)
}

// childVariable has the test program be a process that ends without any cleanup.
const childVariable = "SALLYPORT_POSTGRESTEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) == "" {
		os.Exit(m.Run())
	}
	s := Shared(&testing.T{})
	fmt.Println(s.Socket())
	os.Exit(3)
}

func TestSharedEndsWithTheProcess(t *testing.T) {
	programs(t)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVariable+"=1")
	out, _ := child.Output()
	dir := string(bytes.TrimSpace(out))
	require.Contains(t, dir, "postgrestest")
	assert.Eventually(t, func() bool {
		_, err := os.Stat(dir)
		return os.IsNotExist(err)
	}, patience, 10*time.Millisecond, "the data of a server whose process has ended are still there")
}

func TestSharedIsOne(t *testing.T) {
	assert.Same(t, Shared(t), Shared(t))
}

// A teller is a test that records how it ended.
type teller struct {
	testing.TB
	skipped, failed string
}

func (t *teller) Helper()           {}
func (t *teller) Skip(args ...any)  { t.skipped = fmt.Sprint(args...) }
func (t *teller) Fatal(args ...any) { t.failed = fmt.Sprint(args...) }

func TestWithoutServer(t *testing.T) {
	empty := t.TempDir()
	_, err := find(empty, filepath.Join(empty, "*"))
	require.Error(t, err)
	_, err = find("", "[")
	require.Error(t, err)

	for _, required := range []string{"", "required"} {
		t.Setenv(requiredVariable, required)
		told := &teller{}
		absent(told, Absent)
		want := &teller{skipped: Absent}
		if required != "" {
			want = &teller{failed: Absent}
		}
		assert.Equal(t, want, told)
	}
}

func TestHighestVersionIsChosen(t *testing.T) {
	root := t.TempDir()
	for _, version := range []string{"9.6", "15", "16", "17"} {
		bin := filepath.Join(root, version, "bin")
		require.NoError(t, os.MkdirAll(bin, 0o755))
		for _, name := range []string{"initdb", "postgres", "pg_ctl", "psql"} {
			if version != "17" || name != "initdb" { // a client without a server
				require.NoError(t, os.WriteFile(filepath.Join(bin, name), nil, 0o755))
			}
		}
	}
	got, err := find("", filepath.Join(root, "*", "bin"))
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(root, "16", "bin"), got)

	got, err = find(filepath.Join(root, "15", "bin"), filepath.Join(root, "*", "bin"))
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(root, "15", "bin"), got, "what is in the path comes first")
}

func TestFailures(t *testing.T) {
	dir := programs(t)
	_, err := start(t.TempDir(), nil, (*Server).make)
	assert.ErrorContains(t, err, "making the data of a server")
	_, err = start(dir, []string{"no_such_setting=1"}, (*Server).make)
	assert.ErrorContains(t, err, `unrecognized configuration parameter "no_such_setting"`)
}
