package caddy_test

import (
	"debug/buildinfo"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestVersion builds Caddy, and compares its version with that in go.mod.
func TestVersion(t *testing.T) {
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	path, err := exec.Command("go", "tool", "-n", "caddy").Output()
	if err != nil {
		t.Fatal(err)
	}
	program, err := buildinfo.ReadFile(strings.TrimSpace(string(path)))
	if err != nil {
		t.Fatal(err)
	}
	if want := "\t" + program.Main.Path + " " + program.Main.Version + "\n"; !strings.Contains(strings.ReplaceAll(string(text), " // indirect", ""), want) {
		t.Errorf("go.mod does not name the program that was built: want %q", want)
	}
}
