// Testlog reads the output of `go test -json` and prints the output of failed tests, the
// reasons of skipped ones, and how many passed, failed and were skipped. It fails in these
// cases:
//   - a test or a package failed;
//   - no test ran;
//   - a test was skipped for a reason that is not allowed.
//
// With a failed package it also prints the output of tests that did not end: the process died, or
// its time was up.
//
// Allowed reasons to skip a test are:
//   - a store lacks an optional interface ("do not apply");
//   - real address lists are absent;
//   - it takes the rights of root: .ci/run gives them afterwards;
//   - it runs without the race detector elsewhere;
//   - it is left to .ci/run traefik.
//
// With the flag -short every reason is allowed.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// dataDir holds real address lists, which some tests read if it exists.
const dataDir = "../shared/data"

type event struct {
	Action, Package, Test, Output string
}

func main() {
	short := flag.Bool("short", false, "allow every reason to skip, as for go test -short")
	flag.Parse()
	_, err := os.Stat(filepath.FromSlash(dataDir))
	if err := run(os.Stdin, os.Stdout, *short, err == nil); err != nil {
		fmt.Fprintln(os.Stderr, "testlog:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer, short, haveData bool) error {
	var (
		output                  = map[string]string{} // of tests, and of packages under "PACKAGE "
		passed, failed, skipped int
		refused                 []string
	)
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(out, lines.Text()) // a build failure is not JSON
			continue
		}
		name := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			output[name] += e.Output
		case "pass":
			if e.Test != "" {
				passed++
				delete(output, name)
			} else {
				fmt.Fprint(out, output[name])
			}
		case "fail":
			failed++
			fmt.Fprintf(out, "FAIL %s\n%s", name, output[name])
			delete(output, name)
			if e.Test != "" {
				continue
			}
			for _, left := range slices.Sorted(maps.Keys(output)) {
				if strings.HasPrefix(left, name) {
					fmt.Fprintf(out, "NOT ENDED %s\n%s", left, output[left])
				}
			}
		case "skip":
			if e.Test == "" { // a package without tests
				continue
			}
			skipped++
			fmt.Fprintf(out, "SKIP %s\n%s", name, output[name])
			text := output[name]
			delete(output, name)
			switch {
			case short, strings.Contains(text, "do not apply"):
			case strings.Contains(text, "takes the rights of root"):
			case strings.Contains(text, "left to the run without the race detector"), strings.Contains(text, "left to .ci/run traefik"):
			case strings.Contains(text, "shared/data") && !haveData:
			default:
				refused = append(refused, name)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	switch {
	case failed > 0:
		return fmt.Errorf("%d failed", failed)
	case passed == 0:
		return fmt.Errorf("no test ran")
	case len(refused) > 0:
		return fmt.Errorf("skipped without a reason that is allowed: %s", strings.Join(refused, ", "))
	}
	return nil
}
