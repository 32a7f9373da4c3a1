// Command benchmarks gives the same work to sallyport, to code a team would write by hand
// and to other libraries, and prints benchstat's tables of their times.
//
//	go run .                     everything, about 25 minutes
//	go run . -quick              a first look, about 6 minutes
//	go run . -o results.txt      keep the lines of go test for benchstat
//	go run . -in results.txt     print the tables of such a file, measure nothing
//	go run . -callgrind          count instructions too (needs valgrind)
//
// Nothing is timed before every engine has answered 2,000 random requests of each kind as a
// slow, obvious oracle does; the instance that is timed does so once more. results.md says
// what each table shows and has the figures of a quiet machine.
//
// Run it in this folder, on an idle machine: a million keys take up to 8 GB.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
)

type options struct {
	quick, callgrind bool
	count            int
	keys, in, out    string
}

func main() {
	var o options
	flag.BoolVar(&o.quick, "quick", false, "10,000 keys only, two rounds of short runs")
	flag.BoolVar(&o.callgrind, "callgrind", false, "count the instructions of a decision with valgrind")
	flag.IntVar(&o.count, "count", 6, "number of rounds; benchstat gives intervals from 6 on")
	flag.StringVar(&o.keys, "keys", "10000,1000000", "numbers of keys, separated by commas")
	flag.StringVar(&o.in, "in", "", "file of results to print the tables of")
	flag.StringVar(&o.out, "o", "", "file for the results")
	flag.Parse()
	if o.quick {
		o.count, o.keys = 2, "10000"
	}
	if err := run(o, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

func run(o options, out, progress io.Writer) error {
	if o.in != "" {
		return printTables(o.in, out)
	}
	tell := func(line string) { fmt.Fprintln(progress, line) }
	if err := agreeAll(makers, tell); err != nil {
		return fmt.Errorf("nothing was timed, because an engine disagrees with the oracle: %w", err)
	}
	versions, err := versions()
	if err != nil {
		return err
	}
	results, err := create(o.out)
	if err != nil {
		return err
	}
	defer results.Close()
	if o.out == "" {
		defer os.Remove(results.Name())
	}
	fmt.Fprintf(results, "versions: %s\n", versions)
	for _, p := range parts(o) {
		tell("measuring " + p.bench)
		if err := p.run(o, results, progress); err != nil {
			return err
		}
	}
	if o.callgrind {
		tell("counting instructions")
		if err := countInstructions(results); err != nil {
			return err
		}
	}
	if err := results.Close(); err != nil {
		return err
	}
	return printTables(results.Name(), out)
}

func create(name string) (*os.File, error) {
	if name == "" {
		return os.CreateTemp("", "benchmarks")
	}
	return os.Create(name)
}

// A part is one run of go test.
type part struct {
	bench, benchtime string
	args             []string // of go test
	keys             string
}

func parts(o options) []part {
	benchtime := "200ms"
	if o.quick {
		benchtime = "20ms"
	}
	single := part{bench: "SingleCalls", benchtime: "1x"}
	if o.quick {
		single.args = []string{"-short"}
	}
	return []part{
		{bench: "Decide", benchtime: benchtime, keys: o.keys},
		{bench: "DecideAll", benchtime: benchtime, keys: o.keys},
		{bench: "DecideSecret", benchtime: benchtime},
		{bench: "Parallel", benchtime: benchtime, args: []string{"-cpu=1,2"}},
		single,
		{bench: "Contains", benchtime: benchtime},
		{bench: "Build", benchtime: "1x"},
		{bench: "Memory", benchtime: "1x"},
		{bench: "Verify", benchtime: benchtime},
		{bench: "Clock", benchtime: benchtime},
	}
}

// laterRound matches the name of a later round of a benchmark; see inTurn.
var laterRound = regexp.MustCompile(`(?m)^(Benchmark\S*?)#\d+`)

// run adds the lines of a part to the results.
func (p part) run(o options, results, progress io.Writer) error {
	args := append([]string{"test", "-run=^$", "-bench=^Benchmark" + p.bench + "$", "-benchtime=" + p.benchtime, "-timeout=2h"}, p.args...)
	args = append(args, ".", "-args", fmt.Sprint("-rounds=", o.count))
	if p.keys != "" {
		args = append(args, "-keycounts="+p.keys)
	}
	var out bytes.Buffer
	command := exec.Command("go", args...)
	command.Stdout, command.Stderr = io.MultiWriter(&out, progress), progress
	if err := command.Run(); err != nil {
		return fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	lines := laterRound.ReplaceAll(out.Bytes(), []byte("$1"))
	if !bytes.Contains(lines, []byte("\nBenchmark"+p.bench+"/")) {
		return fmt.Errorf("go %s: measured nothing", strings.Join(args, " "))
	}
	_, err := results.Write(lines)
	return err
}

// compared are the modules whose versions are printed.
var compared = []string{
	"github.com/casbin/casbin/v3", "github.com/cedar-policy/cedar-go", "github.com/open-policy-agent/opa", "cel.dev/cel-go",
	"github.com/gaissmai/bart", "go4.org/netipx", "github.com/yl2chen/cidranger",
}

func versions() (string, error) {
	out, err := exec.Command("go", append([]string{"list", "-m"}, compared...)...).Output()
	if err != nil {
		return "", fmt.Errorf("go list -m: %w", err)
	}
	modules := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(append([]string{runtime.Version()}, modules...), ", "), nil
}
