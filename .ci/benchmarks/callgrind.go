package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

const countedCalls = 20_000

// countInstructions adds the instructions of a decision to the results, counted by valgrind's
// callgrind. Unlike times they repeat from run to run. Valgrind's processor has no SHA
// instructions, so verifying a secret counts more there than on a real one.
func countInstructions(results io.Writer) error {
	valgrind, err := exec.LookPath("valgrind")
	if err != nil {
		return fmt.Errorf("instructions cannot be counted: want valgrind on this machine (%w)", err)
	}
	dir, err := os.MkdirTemp("", "count")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "count")
	if out, err := exec.Command("go", "build", "-o", program, "./internal/count").CombinedOutput(); err != nil {
		return fmt.Errorf("building the program to count: %w\n%s", err, out)
	}
	for _, secret := range []string{"no", "yes"} {
		for _, n := range listSizes {
			for _, engine := range []string{"sallyport", "map+bounds", "map+netipx", "map+bart.Lite", "contains"} {
				if engine == "contains" && (n == 0 || secret == "yes") {
					continue
				}
				args := []string{"-what=" + engine, fmt.Sprint("-entries=", n), fmt.Sprint("-secrets=", secret == "yes")}
				count, err := instructionsEach(valgrind, dir, program, args)
				if err != nil {
					return err
				}
				fmt.Fprintf(results, "BenchmarkInstructions/secret=%s/entries=%d/engine=%s %d %.0f instructions/op\n", secret, n, engine, countedCalls, count)
			}
		}
	}
	return nil
}

// instructionsEach returns the difference between two runs, which leaves the loading out.
func instructionsEach(valgrind, dir, program string, args []string) (float64, error) {
	once, err := instructions(valgrind, dir, program, append(args, fmt.Sprint("-n=", countedCalls)))
	if err != nil {
		return 0, err
	}
	twice, err := instructions(valgrind, dir, program, append(args, fmt.Sprint("-n=", 2*countedCalls)))
	return (twice - once) / countedCalls, err
}

var collected = regexp.MustCompile(`Collected : (\d+)`)

func instructions(valgrind, dir, program string, args []string) (float64, error) {
	args = append([]string{"--tool=callgrind", "--callgrind-out-file=" + filepath.Join(dir, "out"), program}, args...)
	command := exec.Command(valgrind, args...)
	// Without what the runtime does by the clock, which would make counts vary.
	command.Env = append(os.Environ(), "GOGC=off", "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1")
	out, err := command.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("valgrind: %w\n%s", err, out)
	}
	found := collected.FindSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("valgrind printed no count:\n%s", out)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}
