package main

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files in testdata")

// A result is what a run of the program gave.
type result struct {
	status      int
	out, errors string
}

func replayed(stdin string, args ...string) result {
	var out, errs strings.Builder
	status := run(args, strings.NewReader(stdin), &out, &errs)
	return result{status, out.String(), errs.String()}
}

func TestGolden(t *testing.T) {
	logs := []string{"testdata/office.txt", "testdata/monday.log", "testdata/tuesday.log"}
	week := []string{"testdata/office.txt", "testdata/week.log"}
	for _, tt := range []struct {
		golden string
		status int
		args   []string
	}{
		{"report.txt", 0, append([]string{"-suggest", "3"}, week...)},
		{"report.json", 0, append([]string{"-suggest", "3", "-json"}, week...)},
		{"doubt.txt", 2, append([]string{"-suggest", "3"}, logs...)},
		{"doubt.json", 2, append([]string{"-suggest", "3", "-json"}, logs...)},
		{"at.txt", 0, append([]string{"-at", "2025-06-01T00:00:00+02:00", "-top", "1"}, week...)},
		{"open.txt", 2, []string{"-list-required", "testdata/open.txt", logs[1]}},
	} {
		t.Run(tt.golden, func(t *testing.T) {
			r := replayed("", tt.args...)
			require.Equal(t, tt.status, r.status, r.errors)
			golden := filepath.Join("testdata", tt.golden+".golden")
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(r.out), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			if diff := cmp.Diff(string(want), r.out); diff != "" {
				t.Errorf("%s (-update writes it anew) -want +got:\n%s", golden, diff)
			}
		})
	}
}

const line = `203.0.113.7 - frank [05/Jan/2026:12:00:00 +0000] "GET /api/x HTTP/1.1" 200 1 "-" "curl"` + "\n"

// file makes a file and returns its name.
func file(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "list.txt")
	require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	return name
}

func TestStatus(t *testing.T) {
	list := file(t, "203.0.113.7\n")
	require.Equal(t, 0, replayed(line, list).status)
	require.Equal(t, 0, replayed(line, file(t, "192.0.2.1\n"), "-").status, "whatever is refused")
	require.Equal(t, 1, replayed(strings.ReplaceAll(line, "203.0.113.7", "10.0.0.5"), list).status, "a proxy")
	require.Equal(t, 1, replayed("", "-suggest", "1", list).status, "no suggestion")
	require.Equal(t, 2, replayed("garbage\n", list).status)
	require.Equal(t, 2, replayed("\xfd7zXZ\x00", list).status)
	require.Equal(t, 0, replayed("", "-h").status)
}

func TestChoice(t *testing.T) {
	list := file(t, "203.0.113.7\n")
	for flags, calls := range map[string]float64{
		"-user frank": 1, "-user x": 0, "-method GET": 1, "-method PUT": 0, "-path /api/": 1, "-path /admin/": 0, "-key x": 0,
		"-format common -client peer": 1, "-count-refused": 2,
	} {
		r := replayed(line+strings.Replace(line, " 200 ", " 403 ", 1), append(strings.Fields(flags), "-json", list)...)
		require.Equal(t, 0, r.status, r.errors)
		var report map[string]any
		require.NoError(t, json.Unmarshal([]byte(r.out), &report))
		require.Equal(t, calls, report["calls"], flags)
	}
}

// What stops the program does so before anything is written.
func TestRefused(t *testing.T) {
	list, dir := file(t, "203.0.113.7\n"), t.TempDir()
	for _, tt := range []struct {
		name    string
		args    []string
		problem string
	}{
		{"nothing", nil, "replay: no LIST"},
		{"unknown flag", []string{"-x", list}, "flag provided but not defined: -x"},
		{"no time", []string{"-at", "yesterday", list}, `invalid value "yesterday" for flag -at: `},
		{"no format", []string{"-format", "clf", list}, "want one of auto, guard, common"},
		{"no client", []string{"-client", "first", list}, "want auto, peer, forwarded:N or field:NAME"},
		{"too many suggested", []string{"-suggest", "1001", list}, "replay: a suggestion of 1001 entries: want 1 to 1000"},
		{"no such list", []string{filepath.Join(dir, "none.txt")}, "none.txt"},
		{"no such log", []string{list, filepath.Join(dir, "none.log")}, "none.log"},
		{"no entries", []string{file(t, "# nobody\n")}, `list.txt has no entries: want at least one, or the word "empty"`},
		{"bad entries", []string{file(t, "192.0.2.1\n192.0.2.1/24\nexample.com\n")}, "line 3: "},
		{"IPv6 without -ipv6", []string{file(t, "2001:db8::/32\n")}, "2001:db8::/32"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := replayed(line, tt.args...)
			require.Equal(t, 2, r.status)
			require.Empty(t, r.out)
			require.Contains(t, r.errors, tt.problem)
		})
	}
}

func TestReportCannotBeWritten(t *testing.T) {
	for _, args := range [][]string{{"testdata/office.txt", "-"}, {"-json", "testdata/office.txt", "-"}} {
		var errs strings.Builder
		require.Equal(t, 2, run(args, strings.NewReader(""), fullDisk{}, &errs))
		require.Equal(t, "replay: the report could not be written: no space left on device\n", errs.String())
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }
