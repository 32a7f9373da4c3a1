package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A report is what the runs of go test printed.
type report struct {
	raw    bytes.Buffer
	cpu    string
	values map[string][]float64 // by name and unit
	names  []string             // in the order in which they came
	not    []string             // what was not measured, and why
}

func newReport() *report { return &report{values: make(map[string][]float64)} }

// processors is what the testing package adds to a name.
var processors = regexp.MustCompile(`-(\d+)$`)

// add reads the output of a run: https://go.dev/design/14313-benchmark-format.
func (r *report) add(out []byte) error {
	r.raw.Write(out)
	count := 0
	for scanner := bufio.NewScanner(bytes.NewReader(out)); scanner.Scan(); {
		line := scanner.Text()
		if why, found := strings.CutPrefix(line, "# not measured: "); found {
			r.not = append(r.not, why)
		}
		if cpu, found := strings.CutPrefix(line, "cpu: "); found {
			r.cpu = cpu
		}
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(line, "Benchmark") {
			continue
		}
		count++
		name := strings.TrimPrefix(fields[0], "Benchmark")
		procs := "1"
		if found := processors.FindStringSubmatch(name); found != nil {
			name, procs = strings.TrimSuffix(name, found[0]), found[1]
		}
		if strings.HasPrefix(name, "Parallel/") {
			name += "/cpu=" + procs
		}
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return fmt.Errorf("the line %q of go test: %w", line, err)
			}
			key := name + " " + fields[i+1]
			if r.values[key] == nil && fields[i+1] == "ns/op" {
				r.names = append(r.names, name)
			}
			r.values[key] = append(r.values[key], value)
		}
	}
	if count == 0 {
		return fmt.Errorf("go test measured nothing:\n%s", out)
	}
	return nil
}

// median returns the median of what was measured under a name, zero if nothing was.
func (r *report) median(name, unit string) float64 {
	return median(r.values[name+" "+unit])
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func (r *report) print(out io.Writer) {
	fmt.Fprintf(out, "Measured %s, %s, %s, %d processors. %s.\n", time.Now().Format(time.DateOnly), runtime.Version(), r.cpu, runtime.NumCPU(), versions())
	fmt.Fprintln(out, "Medians; in brackets the ratio to sallyport, and the allocations where there are any. Under 1.00 is faster than sallyport.")
	var keys []string
	for _, name := range r.names {
		if rest, found := strings.CutPrefix(name, "Decide/"); found {
			if k, _, _ := strings.Cut(rest, "/"); !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	for _, k := range keys {
		fmt.Fprintf(out, "\n## One decision without a proof, %s, ns\n", k)
		r.table(out, "Decide/"+k+"/entries=%d/engine=", listSizes)
	}
	fmt.Fprintf(out, "\n## One decision with a secret, keys=10000, ns\n")
	r.table(out, "DecideSecret/keys=10000/entries=%d/engine=", listSizes)
	fmt.Fprintf(out, "\n## Membership in one list, ns\n")
	r.table(out, "Contains/entries=%d/set=", setSizes)

	fmt.Fprintf(out, "\n## Building a list of 1,000,000 entries\n| | seconds | bytes kept | ratio of bytes |\n| --- | --- | --- | --- |\n")
	own := r.median("Build/set="+sallyport, "retained-B")
	for _, m := range setMakers {
		name := "Build/set=" + m.name
		bytes := r.median(name, "retained-B")
		fmt.Fprintf(out, "| %s | %.2f | %.0f | %.2f |\n", m.name, r.median(name, "ns/op")/1e9, bytes, bytes/own)
	}

	fmt.Fprintf(out, "\n## Other ratios\n| what | measured | ratio |\n| --- | --- | --- |\n")
	r.ratio(out, "proving a secret, against SHA-256 and a comparison alone", "Prove/how="+sallyport, "Prove/how=sha256+compare")
	for _, n := range listSizes {
		at := func(keys int) string { return fmt.Sprintf("Decide/keys=%d/entries=%d/engine=%s", keys, n, sallyport) }
		r.ratio(out, fmt.Sprintf("1,000,000 keys against 10,000, lists of %d", n), at(1_000_000), at(10_000))
	}
	for _, name := range []string{sallyport, bounds} {
		at := "Parallel/engine=" + name + "/cpu="
		r.ratio(out, "decisions a second of two goroutines against one, "+name, at+"1", at+"2")
	}
	fmt.Fprintf(out, "| reading the clock, as every decision does | %.0f ns | |\n", r.median("Clock/how=time.Now", "ns/op"))
	if len(r.not) > 0 {
		fmt.Fprintf(out, "\nNot measured:\n")
		for _, why := range r.not {
			fmt.Fprintf(out, "- %s\n", why)
		}
	}
}

func (r *report) ratio(out io.Writer, what, name, base string) {
	if a, b := r.median(name, "ns/op"), r.median(base, "ns/op"); a > 0 && b > 0 {
		fmt.Fprintf(out, "| %s | %.4g ns, %.4g ns | %.2f |\n", what, a, b, a/b)
	}
}

// table has a row for each engine and a column for each size, and below them how far sallyport is
// from the fastest of the others.
func (r *report) table(out io.Writer, pattern string, sizes []int) {
	var engines []string
	fmt.Fprint(out, "| entries |")
	for _, n := range sizes {
		prefix := fmt.Sprintf(pattern, n)
		for _, name := range r.names {
			if engine, found := strings.CutPrefix(name, prefix); found && !slices.Contains(engines, engine) {
				engines = append(engines, engine)
			}
		}
		fmt.Fprintf(out, " %d |", n)
	}
	fmt.Fprintf(out, "\n|%s\n", strings.Repeat(" --- |", len(sizes)+1))
	last := "| **sallyport to the fastest other** |"
	for i, engine := range engines {
		fmt.Fprintf(out, "| %s |", engine)
		for _, n := range sizes {
			prefix := fmt.Sprintf(pattern, n)
			ns, own := r.median(prefix+engine, "ns/op"), r.median(prefix+sallyport, "ns/op")
			if ns == 0 || own == 0 {
				fmt.Fprint(out, " - |")
				continue
			}
			fmt.Fprintf(out, " %s (%.2f", nanoseconds(ns), ns/own)
			if allocations := r.median(prefix+engine, "allocs/op"); allocations > 0 {
				fmt.Fprintf(out, "; %.0f", allocations)
			}
			fmt.Fprint(out, ") |")
		}
		fmt.Fprintln(out)
		if i > 0 {
			continue
		}
		for _, n := range sizes {
			fastest, ns := r.fastest(fmt.Sprintf(pattern, n))
			if fastest == "" {
				last += " - |"
				continue
			}
			last += fmt.Sprintf(" **%.2f** (%s) |", r.median(fmt.Sprintf(pattern, n)+sallyport, "ns/op")/ns, fastest)
		}
	}
	fmt.Fprintln(out, last)
}

// fastest returns which of the others is.
func (r *report) fastest(prefix string) (engine string, ns float64) {
	for _, name := range r.names {
		other, found := strings.CutPrefix(name, prefix)
		if !found || other == sallyport {
			continue
		}
		if took := r.median(name, "ns/op"); engine == "" || took < ns {
			engine, ns = other, took
		}
	}
	return engine, ns
}

func nanoseconds(ns float64) string {
	if ns < 100 {
		return strconv.FormatFloat(ns, 'f', 1, 64)
	}
	return strconv.FormatFloat(ns, 'f', 0, 64)
}

// versions are those of the modules that are compared.
func versions() string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return "The versions of the modules are not known"
	}
	var all []string
	for _, module := range build.Deps {
		switch module.Path {
		case "github.com/casbin/casbin/v3", "github.com/cedar-policy/cedar-go", "github.com/open-policy-agent/opa", "cel.dev/cel-go",
			"github.com/gaissmai/bart", "go4.org/netipx", "github.com/yl2chen/cidranger":
			all = append(all, module.Path+" "+module.Version)
		}
	}
	return strings.Join(all, ", ")
}
