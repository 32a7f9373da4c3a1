// Command benchmarks gives the same work to sallyport, to what a team would write by hand, and to
// the libraries of others, and prints a table of how they did.
//
//	go run .                     all of it, some 25 minutes
//	go run . -quick              a look, some 7 minutes
//	go run . -o results.txt      keep the lines for benchstat too
//	go run . -callgrind          count instructions as well, which needs valgrind
//
// Before anything is timed, every engine has to answer 2,000 random requests of each kind as a slow
// and obvious oracle does, and the instance that is timed has to once more. Run it in this folder, on a
// machine that has nothing else to do: the keys of a million lists take up to 8 GB.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

type options struct {
	quick, callgrind bool
	count            int
	keys, out        string
}

func main() {
	var o options
	flag.BoolVar(&o.quick, "quick", false, "10,000 keys only, two rounds of short runs")
	flag.BoolVar(&o.callgrind, "callgrind", false, "count the instructions of a decision too, by valgrind")
	flag.IntVar(&o.count, "count", 6, "how often to measure each: the table has medians")
	flag.StringVar(&o.keys, "keys", "10000,1000000", "numbers of keys, separated by commas")
	flag.StringVar(&o.out, "o", "", "file for the lines that benchstat reads")
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
	tell := func(line string) { fmt.Fprintln(progress, line) }
	if err := agreeAll(makers, tell); err != nil {
		return fmt.Errorf("nothing was timed, because an engine does not agree with the oracle: %w", err)
	}
	r := newReport()
	for _, part := range parts(o) {
		tell("measuring " + part.bench)
		if err := part.run(o, r, progress); err != nil {
			return err
		}
	}
	if o.out != "" {
		if err := os.WriteFile(o.out, r.raw.Bytes(), 0o666); err != nil {
			return err
		}
	}
	tell("measuring memory")
	f, err := measureFacts()
	if err != nil {
		return err
	}
	tell("measuring single calls")
	calls := latencyCalls
	if o.quick {
		calls /= 10
	}
	quiet, written, err := measureLatency(o.count, calls)
	if err != nil {
		return err
	}
	r.print(out)
	printFacts(out, f)
	printLatency(out, quiet, written)
	if o.callgrind {
		tell("counting instructions")
		if table, err := countInstructions(); err != nil {
			fmt.Fprintf(out, "\n%v\n", err)
		} else {
			fmt.Fprintf(out, "\n## Instructions, by callgrind\n%s", table)
		}
	}
	printCannot(out)
	return nil
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
	return []part{
		{bench: "Decide", benchtime: benchtime, keys: o.keys},
		{bench: "DecideSecret", benchtime: benchtime},
		{bench: "Parallel", benchtime: benchtime, args: []string{"-cpu=1,2"}},
		{bench: "Contains", benchtime: benchtime},
		{bench: "Build", benchtime: "1x"},
		{bench: "Prove", benchtime: benchtime},
		{bench: "Clock", benchtime: benchtime},
	}
}

// later is the name of a later round of a benchmark; see inTurn.
var later = regexp.MustCompile(`(?m)^(Benchmark\S*?)#\d+`)

func (p part) run(o options, r *report, progress io.Writer) error {
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
	return r.add(later.ReplaceAll(out.Bytes(), []byte("$1")))
}
