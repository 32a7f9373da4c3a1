// Mutate tests the tests of the rules. It changes each comparison, condition and return of
// the deciding code, one at a time, and runs the tests of its package on the changed code. A
// change without a failing test is a rule without a test, and fails the run.
//
//	go run ./.ci/mutate
//	go run ./.ci/mutate store/admin
//
// All mutants of a package are compiled into one test binary; see instrument.go. The
// environment variable MUTANT names the one to run.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

func main() {
	var failure error
	for _, s := range suites {
		if len(os.Args) > 1 && !slices.Contains(os.Args[1:], s.dir) {
			continue
		}
		failure = errors.Join(failure, s.run())
	}
	if failure != nil {
		fmt.Fprintln(os.Stderr, "mutate:", failure)
		os.Exit(1)
	}
}

// run tries every mutant of a suite.
func (s suite) run() error {
	began := time.Now()
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	mutants, err := s.build(dir)
	if err != nil {
		return err
	}
	if len(mutants) < s.atLeast {
		return fmt.Errorf("%s: only %d mutants: want at least %d, or the targets have moved", s.dir, len(mutants), s.atLeast)
	}
	alive := make([]int, len(mutants)) // the numbers of all
	for i := range alive {
		alive[i] = i + 1
	}
	for _, tests := range s.tests {
		if len(alive) == 0 {
			break
		}
		started := time.Now()
		if out, err := s.test(dir, 0, tests, 5*time.Minute); err != nil || strings.Contains(out, "no tests to run") {
			return fmt.Errorf("%s: the tests %s fail without any change, or there are none: %w\n%s", s.dir, tests, err, out)
		}
		alive = s.alive(dir, tests, 5*time.Second+5*time.Since(started), alive)
	}
	for _, number := range alive {
		fmt.Println("SURVIVED", mutants[number-1])
	}
	fmt.Printf("mutate: %s: %d mutants: %d killed, %d survived, in %.0f s\n",
		s.dir, len(mutants), len(mutants)-len(alive), len(alive), time.Since(began).Seconds())
	if len(alive) > 0 {
		return fmt.Errorf("%s: %d changes went unnoticed", s.dir, len(alive))
	}
	return nil
}

// alive returns the mutants, of some, on which no test fails. Tests that hang fail.
func (s suite) alive(dir, tests string, timeout time.Duration, mutants []int) (alive []int) {
	var (
		mu   sync.Mutex
		wait sync.WaitGroup
		work = make(chan int)
	)
	for range runtime.NumCPU() {
		wait.Go(func() {
			for mutant := range work {
				if _, err := s.test(dir, mutant, tests, timeout); err == nil {
					mu.Lock()
					alive = append(alive, mutant)
					mu.Unlock()
				}
			}
		})
	}
	for _, mutant := range mutants {
		work <- mutant
	}
	close(work)
	wait.Wait()
	slices.Sort(alive)
	return alive
}

// build compiles the tests with all mutants, and returns their descriptions. The first one has
// the number 1.
func (s suite) build(dir string) (mutants []string, err error) {
	replace := map[string]string{}
	add := func(file string, source []byte) error {
		original, err := filepath.Abs(filepath.Join(s.dir, file))
		if err != nil {
			return err
		}
		replace[original] = filepath.Join(dir, file)
		return os.WriteFile(replace[original], source, 0o600)
	}
	p := &instrumented{dir: s.dir, equivalent: s.equivalent}
	if err := p.readConstants(); err != nil {
		return nil, err
	}
	for _, target := range s.targets {
		source, err := p.instrument(target.file, target.functions)
		if err == nil {
			err = add(target.file, source)
		}
		if err != nil {
			return nil, err
		}
	}
	if unused := p.unused(); unused != nil {
		return nil, fmt.Errorf("%s has no mutant %q: it need not be excepted", s.dir, unused)
	}
	if err := add("mutant.go", []byte(fmt.Sprintf(helpers, filepath.Base(s.dir)))); err != nil {
		return nil, err
	}
	overlay := filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err == nil {
		err = os.WriteFile(overlay, text, 0o600)
	}
	if err != nil {
		return nil, err
	}
	out, err := exec.Command("go", "test", "-c", "-vet=off", "-overlay="+overlay, "-o", filepath.Join(dir, "tests"), "./"+s.dir).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s with its mutants does not compile: %w\n%s", s.dir, err, out)
	}
	return p.mutants, nil
}

// test runs tests on a mutant; 0: without any change.
func (s suite) test(dir string, mutant int, which string, timeout time.Duration) (output string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join(dir, "tests"), append(strings.Fields(which), "-test.failfast", "-test.short")...)
	command.Dir = s.dir
	command.Env = append(os.Environ(), fmt.Sprintf("MUTANT=%d", mutant), "GOGC=400") // a process is short: a third less time
	out, err := command.CombinedOutput()
	return string(out), err
}
