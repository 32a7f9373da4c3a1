// Testlog reads what `go test -json` prints and says, per package, how many tests
// passed, failed and were skipped; it prints the output of those that failed and the
// reason of those that were skipped. It fails if a test failed, if none ran, or if one
// was skipped without a reason that is allowed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// dataDir holds the real address lists that some tests read where it is there.
const dataDir = "../shared/data"

type event struct {
	Action, Package, Test, Output string
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "testlog:", err)
		os.Exit(1)
	}
}

func run() error {
	var (
		output                  = map[string]string{} // of tests, and of packages under "PACKAGE "
		passed, failed, skipped int
		refused                 []string
	)
	_, noData := os.Stat(filepath.FromSlash(dataDir))
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Println(lines.Text()) // a build failure is not JSON
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
				fmt.Print(output[name])
			}
		case "fail":
			failed++
			fmt.Printf("FAIL %s\n%s", name, output[name])
		case "skip":
			if e.Test == "" { // a package without tests
				continue
			}
			skipped++
			fmt.Printf("SKIP %s\n%s", name, output[name])
			switch {
			case strings.Contains(output[name], "do not apply"):
			case strings.Contains(output[name], "shared/data") && noData != nil:
			default:
				refused = append(refused, name)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped)
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
