package main

import (
	"strings"
	"testing"
)

func TestRoundsBecomeOneMedian(t *testing.T) {
	out := later.ReplaceAll([]byte(`cpu: some processor
# not measured: BenchmarkDecide/keys=1/entries=0 engine=opa: needs some 9 GB of memory
BenchmarkDecide/keys=1/entries=0/engine=sallyport-2         	  100	 30.0 ns/op	 0 B/op	 0 allocs/op
BenchmarkDecide/keys=1/entries=0/engine=map+bounds-2        	  100	 15.0 ns/op	 0 B/op	 0 allocs/op
BenchmarkDecide/keys=1/entries=0/engine=sallyport#01-2      	  100	 10.0 ns/op	 0 B/op	 0 allocs/op
BenchmarkDecide/keys=1/entries=0/engine=sallyport#02-2      	  100	 20.0 ns/op	 0 B/op	 0 allocs/op
BenchmarkParallel/engine=sallyport                          	  100	 20.0 ns/op
BenchmarkParallel/engine=sallyport-2                        	  100	 11.0 ns/op
`), []byte("$1"))
	r := newReport()
	if err := r.add(out); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{
		"Decide/keys=1/entries=0/engine=sallyport":  20,
		"Decide/keys=1/entries=0/engine=map+bounds": 15,
		"Parallel/engine=sallyport/cpu=1":           20,
		"Parallel/engine=sallyport/cpu=2":           11,
		"Decide/keys=1/entries=0/engine=opa":        0,
	} {
		if got := r.median(name, "ns/op"); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	var text strings.Builder
	r.print(&text)
	for _, want := range []string{
		"| sallyport | 20.0 (1.00) |", "| map+bounds | 15.0 (0.75) |", "**1.33** (map+bounds)", "some processor", "engine=opa: needs some 9 GB",
		"| 20 ns, 11 ns | 1.82 |",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report does not have %q:\n%s", want, text.String())
		}
	}
	if err := newReport().add([]byte("PASS\n")); err == nil {
		t.Error("a run that measured nothing is no error")
	}
}
