package main

import (
	"fmt"
	"io"
)

func printFacts(out io.Writer, f facts) {
	fmt.Fprintf(out, "\n## Memory\n| what | measured |\n| --- | --- |\n")
	fmt.Fprintf(out, "| allocations of a decision | %.0f |\n", f.allocations)
	fmt.Fprintf(out, "| bytes a key with one secret, one role and no list, %d keys | %d |\n", factKeys, f.keyBytes)
	fmt.Fprintf(out, "| the same, when every key has its own text of its organization's and role's name | %d |\n", f.keyBytesApart)
	for i, between := range entryBytesBetween {
		fmt.Fprintf(out, "| bytes a further plain entry, from %d to %d | %d |\n", between[0], between[1], f.entryBytes[i])
	}
	fmt.Fprintf(out, "| bytes a list of %d entries, and in bart.Lite | %d, %d |\n", factEntries, f.listBytes, f.listBytesOther)
}

func printLatency(out io.Writer, quiet, written []latency) {
	pick := func(from []latency, of func(latency) float64) float64 {
		var values []float64
		for _, l := range from {
			values = append(values, of(l))
		}
		return median(values)
	}
	middle := func(l latency) float64 { return float64(l.median) }
	slowest := func(l latency) float64 { return float64(l.p999) }
	fmt.Fprintf(out, "\n## Single calls while a writer puts %d keys a second, ns\n| lists of 20, 10,000 keys | median | 99.9th percentile |\n| --- | --- | --- |\n", writesPerSec)
	fmt.Fprintf(out, "| nobody writes | %.0f | %.0f |\n", pick(quiet, middle), pick(quiet, slowest))
	fmt.Fprintf(out, "| %.0f writes meanwhile | %.0f | %.0f |\n", pick(written, func(l latency) float64 { return float64(l.writes) }), pick(written, middle), pick(written, slowest))
	fmt.Fprintf(out, "| ratio | %.2f | %.2f |\n", pick(written, middle)/pick(quiet, middle), pick(written, slowest)/pick(quiet, slowest))
}

// cannot says what an engine has no words for, so that what it was timed at is less than the
// rules. What the columns of mapped addresses say is tested.
var cannot = [...][6]string{
	{"engine", "which line answered", "would deny if required (Q2)", "entry that covered (A11), entries that end (A2)", "`::ffff:10.1.2.3` under 10.0.0.0/8 (A5)", "a record changed while others are asked"},
	{sallyport, "yes", "yes", "yes", "is 10.1.2.3", "seen by the next request, no lock"},
	{bounds, "no", "no", "no: a set of bounds knows neither", "unmapped by hand", "needs a lock: a map cannot be read while it is written"},
	{"map+netipx", "no", "no", "no", "not covered: unmapped by hand", "as above"},
	{"map+bart", "no", "no", "a Table can hold an entry for each block; Lite and Fast[struct{}] do not", "not covered: unmapped by hand", "as above"},
	{"cidranger", "-", "-", "the blocks only", "covered", "needs a lock"},
	{"cel-go", "no: one value, unless there is an expression for each line", "by a second expression", "only by the function that was written for it", "the function's", "the embedder's"},
	{"casbin-cached", "no", "no", "no", "the function's", "old answers until they are invalidated, also after an expiry has passed"},
	{"casbin-attributes", "the policy line that matched, of which there is one", "no", "only by the function that was written for it", "the function's", "the embedder's"},
	{"cedar-go", "the policies that applied, not why one did not", "no", "no: the list is a condition", "not covered: unmapped by hand", "the key's policy is compiled again; the organization's requirement is in all of its keys' policies"},
	{"opa", "by a rule for each line, at its price", "by a second rule", "by a rule that collects, at its price", "covered", "a transaction of its store, with a lock"},
}

func printCannot(out io.Writer) {
	fmt.Fprintf(out, "\n## What the others cannot say\nNone of them proves a secret: the hand-written ones were given SHA-256 and a constant-time comparison, which tells an unknown key from a wrong secret by its time (K3).\n")
	for i, row := range cannot {
		fmt.Fprint(out, "|")
		for _, cell := range row {
			fmt.Fprintf(out, " %s |", cell)
		}
		fmt.Fprintln(out)
		if i == 0 {
			fmt.Fprintln(out, "| --- | --- | --- | --- | --- | --- |")
		}
	}
}
