package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// A table is a view of the results by benchstat: the first column is the base of the
// others. Filter, rows and columns are in its language:
// https://pkg.go.dev/golang.org/x/perf/benchproc/syntax.
type table struct {
	title, filter, rows, columns string
}

// Engines are compared in groups, so that a table fits a screen.
const (
	byHand   = `/engine:(sallyport OR "map+bounds" OR "map+netipx" OR "map+bart.Lite" OR "map+bart.Fast")`
	cached   = `/engine:(sallyport OR casbin-cached OR casbin-cached-strings)`
	policies = `/engine:(sallyport OR cel-go OR casbin-attributes OR cedar-go OR opa)`
	perOp    = `.unit:sec/op`
)

var tables = []table{
	{"One decision without a secret, against code by hand", ".name:Decide " + byHand + " " + perOp, "/keys,/entries", "/engine"},
	{"One decision without a secret, against caches of answers", ".name:Decide " + cached + " " + perOp, "/keys,/entries", "/engine"},
	{"One decision without a secret, against policy engines", ".name:Decide " + policies + " " + perOp, "/keys,/entries", "/engine"},
	{"The same, allocations", ".name:Decide .unit:allocs/op /keys:10000 /entries:(1 OR 200)", "/engine", "/entries"},
	{"Decisions one by one and together", ".name:DecideAll " + perOp, "/keys", "/how"},
	{"One decision with a secret", ".name:DecideSecret " + perOp, "/keys,/entries", "/engine"},
	{"One decision, more keys", `.name:Decide /engine:(sallyport OR "map+bounds") ` + perOp, "/engine,/entries", "/keys"},
	{"Decisions in one and two goroutines", ".name:Parallel " + perOp, "/engine", "/gomaxprocs"},
	{"Single calls while a writer stores keys", ".name:SingleCalls .unit:(median-sec OR p99.9-sec OR writes)", ".name", "/writer"},
	{"Membership in one list, against bart", ".name:Contains /set:(sallyport OR bart.Fast OR bart.Lite OR bart.Table) " + perOp, "/entries", "/set"},
	{"Membership in one list, against the others", ".name:Contains /set:(sallyport OR netipx OR bounds OR cidranger) " + perOp, "/entries", "/set"},
	{"Building a long list", ".name:Build .unit:(sec/op OR retained-B)", "/set", ".name"},
	{"Memory", ".name:Memory", "/of", ".name"},
	{"Verifying a secret", ".name:Verify " + perOp, ".name", "/how"},
	{"Reading the clock, as every decision does", ".name:Clock " + perOp, ".name", "/how"},
	{"Instructions of one decision", ".name:Instructions -/engine:contains", "/secret,/entries", "/engine"},
	{"Instructions of List.Contains in it", ".name:Instructions /engine:contains", "/entries", "/engine"},
}

// printTables prints what benchstat makes of a file of results, and what was not measured.
func printTables(name string, out io.Writer) error {
	versions, notMeasured, measured, err := inspect(name)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, versions)
	for _, t := range tables {
		benchmark, _, _ := strings.Cut(strings.TrimPrefix(t.filter, ".name:"), " ")
		if !measured[benchmark] {
			notMeasured = append(notMeasured, t.title)
			continue
		}
		fmt.Fprintf(out, "\n## %s\n", t.title)
		args := []string{"tool", "benchstat", "-table", "", "-filter", t.filter, "-row", t.rows, "-col", t.columns, name}
		command := exec.Command("go", args...)
		var complaints strings.Builder
		command.Stderr = &complaints
		text, err := command.Output()
		// benchstat's exit status is 0 after an error, and when the filter matches nothing.
		if err != nil || complaints.Len() > 0 || len(text) == 0 {
			return fmt.Errorf("go %s: %w, %d bytes of output\n%s", strings.Join(args, " "), err, len(text), &complaints)
		}
		if _, err := out.Write(text); err != nil {
			return err
		}
	}
	for _, what := range notMeasured {
		fmt.Fprintln(out, "\nNot measured:", what)
	}
	return nil
}

// inspect returns what the results hold beside benchstat's lines, and the names of the
// benchmarks in them.
func inspect(name string) (versions string, notMeasured []string, measured map[string]bool, err error) {
	file, err := os.Open(name)
	if err != nil {
		return "", nil, nil, err
	}
	defer file.Close()
	measured = map[string]bool{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := lines.Text()
		if text, found := strings.CutPrefix(line, "versions: "); found {
			versions = text
		}
		if why, found := strings.CutPrefix(line, "# not measured: "); found {
			notMeasured = append(notMeasured, why)
		}
		if full, found := strings.CutPrefix(line, "Benchmark"); found {
			benchmark, _, _ := strings.Cut(full, "/")
			measured[benchmark] = true
		}
	}
	if err := lines.Err(); err != nil {
		return "", nil, nil, err
	}
	if len(measured) == 0 {
		return "", nil, nil, fmt.Errorf("%s: no results of benchmarks", name)
	}
	return versions, notMeasured, measured, nil
}
