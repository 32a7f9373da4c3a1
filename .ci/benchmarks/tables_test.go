package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, lines string) (name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "results.txt")
	if err := os.WriteFile(name, []byte(lines), 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestTables shows that rounds become one median, that sallyport is the base of the others,
// and that it is said what is missing.
func TestTables(t *testing.T) {
	lines := laterRound.ReplaceAllString(`versions: go1.0, example.com/peer v1.2.3
cpu: some processor
# not measured: BenchmarkDecide/keys=10000/entries=0 engine=opa: needs some 9 GB of memory
BenchmarkDecide/keys=10000/entries=1/engine=sallyport-2         	  100	 30.0 ns/op	 0 B/op	 0 allocs/op
BenchmarkDecide/keys=10000/entries=1/engine=casbin-cached-2     	  100	 15.0 ns/op	 0 B/op	 3 allocs/op
BenchmarkDecide/keys=10000/entries=1/engine=cel-go-2            	  100	 60.0 ns/op	 0 B/op	 2 allocs/op
BenchmarkDecide/keys=10000/entries=1/engine=sallyport#01-2      	  100	 10.0 ns/op	 0 B/op	 0 allocs/op
BenchmarkDecide/keys=10000/entries=1/engine=sallyport#02-2      	  100	 20.0 ns/op	 0 B/op	 0 allocs/op
BenchmarkParallel/engine=sallyport                              	  100	 20.0 ns/op
BenchmarkParallel/engine=sallyport-2                            	  100	 11.0 ns/op
`, "$1")
	var out strings.Builder
	if err := printTables(write(t, lines), &out); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"example.com/peer v1.2.3",
		"10000 1 20.00n ± ∞ ¹ 15.00n ± ∞ ¹", // the median of three, and the base before the other
		"10000 1 20.00n ± ∞ ¹ 60.00n ± ∞ ¹",
		"sallyport 20.00n ± ∞ ¹ 11.00n ± ∞ ¹",
		"Not measured: BenchmarkDecide/keys=10000/entries=0 engine=opa: needs some 9 GB of memory",
		"Not measured: Membership in one list, against bart",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the tables do not have %q:\n%s", want, out.String())
		}
	}
}

func TestNothingToPrint(t *testing.T) {
	for name, lines := range map[string]string{
		"no results":          "PASS\n",
		"nothing for a table": "BenchmarkDecide/keys=10000/entries=1/engine=renamed-2 100 30.0 ns/op\n",
	} {
		if err := printTables(write(t, lines), new(strings.Builder)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
