package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

const countedCalls = 20_000

// countInstructions returns a table of how many instructions a decision takes, by valgrind's
// callgrind. They repeat from run to run, which times do not. Valgrind's processor has no SHA
// instructions, so proving a secret counts more there than it does on one that has them.
func countInstructions() (string, error) {
	valgrind, err := exec.LookPath("valgrind")
	if err != nil {
		return "", fmt.Errorf("instructions were not counted: valgrind is not on this machine (%w)", err)
	}
	dir, err := os.MkdirTemp("", "count")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "count")
	if out, err := exec.Command("go", "build", "-o", program, "./internal/count").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the program to count: %w\n%s", err, out)
	}

	var b strings.Builder
	b.WriteString("| instructions of one decision | 0 | 1 | 20 | 200 |\n| --- | --- | --- | --- | --- |\n")
	for _, row := range []struct {
		name string
		args []string
	}{
		{sallyport, []string{"-what=sallyport"}},
		{bounds, []string{"-what=bounds"}},
		{"map+netipx", []string{"-what=netipx"}},
		{"map+bart.Lite", []string{"-what=bart"}},
		{"sallyport, with a secret", []string{"-what=sallyport", "-secrets"}},
		{"map+bounds, with a secret", []string{"-what=bounds", "-secrets"}},
		{"of these, accesslist.List.Contains", []string{"-what=contains"}},
	} {
		fmt.Fprintf(&b, "| %s |", row.name)
		for _, n := range listSizes {
			if n == 0 && row.args[0] == "-what=contains" {
				b.WriteString(" - |")
				continue
			}
			count, err := instructionsEach(valgrind, dir, program, append(row.args, fmt.Sprint("-entries=", n)))
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, " %.0f |", count)
		}
		b.WriteString("\n")
	}
	return b.String(), nil
}

// instructionsEach is the difference between two runs, so that the loading is left out.
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
	// What the runtime does by the clock would come and go in the counts.
	command.Env = append(os.Environ(), "GOGC=off", "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1")
	out, err := command.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("valgrind: %w\n%s", err, out)
	}
	found := collected.FindSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("valgrind says no count:\n%s", out)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}
