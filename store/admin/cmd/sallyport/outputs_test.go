package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// formless are the commands whose output is one text or one file, whatever -o is.
var formless = []string{"export", "import", "verify", "migrate", "events export", "events verify"}

// otherwise are the commands that no script can have, with the test that has them.
var otherwise = map[string]string{
	"config":        "TestConfigCommand: it is about a file of the user",
	"events follow": "TestServedFollow: it ends by a signal",
	"man":           "TestBinaryWithSQLite: it writes files",
	"version":       "TestVersion: it is that of the toolchain",
}

// Every command is in the scripts with every format of its output: with an answer, and not with
// an error alone. Whoever adds a command is told what to add there.
func TestEveryCommandInEveryOutput(t *testing.T) {
	seen, root, answered := map[string]bool{}, rootOf(t), regexp.MustCompile(`(?m)^\? [01]$`)
	paths, err := filepath.Glob("testdata/*.script")
	require.NoError(t, err)
	for _, path := range paths {
		script, err := os.ReadFile(path)
		require.NoError(t, err)
		for part := range strings.SplitSeq("\n"+string(script), "\n$ sallyport ") {
			if command, printed, _ := strings.Cut(part, "\n"); answered.MatchString(printed) {
				seen[nameOf(root, command)] = true
			}
		}
	}
	var missing []string
	walk(root, func(c *cobra.Command) {
		name := strings.TrimPrefix(c.CommandPath(), "sallyport ")
		want := formats
		if slices.Contains(formless, name) {
			want = formats[:1]
		}
		if otherwise[name] != "" {
			return
		}
		for _, format := range want {
			if !seen[name+" -o "+format] {
				missing = append(missing, name+" -o "+format)
			}
		}
	})
	require.Empty(t, missing, "no script has these")
}

func rootOf(t *testing.T) *cobra.Command {
	return newSession(strings.NewReader(""), io.Discard, io.Discard, newScript(t).environment()).root()
}

// The version is the toolchain's, in every output.
func TestVersion(t *testing.T) {
	s := newScript(t)
	for format, want := range map[string]string{
		"table": `^sallyport +\S+\n(commit .*\n)?(committed .*\n)?go +go1\..*\nsystem +\w+/\w+\n\? 0\n$`,
		"json":  `^\{\n  "version": ".+",\n(  "commit": ".*",\n)?(  "time": ".*",\n)?  "go": "go1\..*",\n  "system": "\w+/\w+"\n\}\n\? 0\n$`,
		"jsonl": `^\{"version":".+","go":"go1\..*","system":"\w+/\w+"\}\n\? 0\n$`,
		"name":  `^\S+\n\? 0\n$`,
	} {
		require.Regexp(t, want, s.run("sallyport version -o "+format, ""))
	}
}

// walk visits the commands that do something.
func walk(c *cobra.Command, visit func(*cobra.Command)) {
	if !c.HasSubCommands() {
		visit(c)
	}
	for _, sub := range c.Commands() {
		walk(sub, visit)
	}
}

// nameOf returns the name of a script's command, and its format.
func nameOf(root *cobra.Command, line string) string {
	words := (&script{}).words(line)
	c, _, err := root.Find(words)
	if err != nil || slices.Contains(words, "--help") {
		return ""
	}
	format := "table"
	if i := slices.Index(words, "-o"); i >= 0 && i+1 < len(words) {
		format = words[i+1]
	}
	return strings.TrimPrefix(c.CommandPath(), "sallyport ") + " -o " + format
}
