package postgrestest

import (
	"cmp"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// Absent is what a test says that is skipped because there is no server.
const Absent = "PostgreSQL is not installed: store/postgres was not tested against a server (Debian: apt-get install postgresql)"

// requiredVariable is the environment variable that has tests fail instead.
const requiredVariable = "SALLYPORT_POSTGRES"

// programs returns the folder of the server's programs. If there is none it skips the
// test, or fails it.
func programs(t testing.TB) string {
	t.Helper()
	dir, err := find(os.Getenv("PATH"), "/usr/lib/postgresql/*/bin")
	if err != nil {
		absent(t, Absent)
	}
	return dir
}

func absent(t testing.TB, what string) {
	t.Helper()
	if os.Getenv(requiredVariable) == "required" {
		t.Fatal(what)
	} else {
		t.Skip(what)
	}
}

// find looks for a folder that has all of the programs: in those of the path first, then
// in those that match the pattern, where Debian has a folder for each version.
func find(path, pattern string) (string, error) {
	dirs := filepath.SplitList(path)
	versions, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	slices.SortFunc(versions, func(a, b string) int { return cmp.Compare(version(b), version(a)) })
	for _, dir := range append(dirs, versions...) {
		if slices.IndexFunc([]string{"initdb", "postgres", "pg_ctl", "psql"}, func(name string) bool {
			_, err := exec.LookPath(filepath.Join(dir, name))
			return err != nil
		}) < 0 {
			return dir, nil
		}
	}
	return "", errors.New("no folder has initdb, postgres, pg_ctl and psql")
}

// version returns the version in a path such as /usr/lib/postgresql/15/bin, zero if
// there is none.
func version(dir string) float64 {
	number, _ := strconv.ParseFloat(filepath.Base(filepath.Dir(dir)), 64)
	return number
}
