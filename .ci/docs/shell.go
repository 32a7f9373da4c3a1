package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// command is the module of the command sallyport.
const command = "store/admin/cmd/sallyport"

// elsewhere are folders in the guides that a test has no right to write to.
var elsewhere = []string{"/var/lib/gate", "/var/backups", "/etc/gate"}

// checkShell runs every block of shell, those of a file one after the other in one folder.
func checkShell(r *result, root, work string, pages []*page) error {
	bin := filepath.Join(work, "path")
	built := false
	for n, p := range pages {
		dir := filepath.Join(work, "shell", strconv.Itoa(n))
		for _, b := range p.blocks {
			if !b.isShell() {
				continue
			}
			if reason, ok := b.comment("not run:"); ok {
				first, _, _ := strings.Cut(strings.TrimSpace(b.text), "\n")
				r.notRun = append(r.notRun, fmt.Sprintf("%s:%d: %s: %s", b.file, b.line, reason, first))
				continue
			}
			if before, _ := b.comment("before:"); !built && strings.Contains(before+b.text, "sallyport") {
				built = true
				build := exec.Command("go", "build", "-o", filepath.Join(bin, "sallyport"), ".")
				build.Dir = filepath.Join(root, command)
				if printed, err := build.CombinedOutput(); err != nil {
					return fmt.Errorf("building %s: %w\n%s", command, err, printed)
				}
			}
			if err := b.shell(r, root, bin, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// shell runs the block, and compares the exit status and, with a text below it, the output.
func (b *block) shell(r *result, root, bin, dir string) error {
	before, _ := b.comment("before:")
	script := b.text
	for _, folder := range elsewhere {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			return err
		}
		before = strings.ReplaceAll(before, folder, dir+folder)
		script = strings.ReplaceAll(script, folder, dir+folder)
	}
	prepared := filepath.Join(dir, "prepared")
	script = fmt.Sprintf("exec 3>&1 4>&2 >'%s' 2>&1\n%s\nexec >&3 2>&4 3>&- 4>&-; rm '%[1]s'\n%[3]s", prepared, before, script)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	run := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	run.Dir = dir
	if _, ok := b.comment("in the tree"); ok {
		run.Dir = root
	}
	run.Env = append(os.Environ(), "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"),
		"SALLYPORT_STORE=sqlite:"+dir+"/var/lib/gate/keys.db", "TZ=UTC")
	printed, err := run.CombinedOutput()
	if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
		return err
	}
	r.shellRun++
	want := "0"
	if text, ok := b.comment("exit"); ok {
		want = text
	}
	if got := strconv.Itoa(run.ProcessState.ExitCode()); got != want {
		log, _ := os.ReadFile(prepared) // absent after a successful preparation
		r.fail(b, "exit status %s, want %s:\n%s%s", got, want, printed, log)
		return nil
	}
	if b.output == nil {
		return nil
	}
	r.compared++
	if text := strings.ReplaceAll(string(printed), dir, ""); !matches(b.output.text, text) {
		r.fail(b.output, "the commands printed:\n%s", text)
	}
	return nil
}
