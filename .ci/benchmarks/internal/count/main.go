// Command count makes n decisions, or look-ups in a list, and nothing else, for a tool that
// counts instructions. The difference between a run of 2n and a run of n is the cost of n.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"time"

	"sallyport.test/benchmarks/internal/byhand"
	"sallyport.test/benchmarks/internal/sally"
	"sallyport.test/benchmarks/internal/work"
)

func main() {
	what := flag.String("what", "sallyport", "sallyport, decideall (of 256 requests at a time), map+bounds, map+netipx or map+bart.Lite; contains for membership alone")
	entries := flag.Int("entries", 20, "entries of each list")
	keys := flag.Int("keys", 200, "keys")
	n := flag.Int("n", 10_000, "decisions, or look-ups")
	secrets := flag.Bool("secrets", false, "prove a secret in each")
	profile := flag.String("cpuprofile", "", "file for a profile of the decisions, for go tool pprof")
	flag.Parse()
	w := &work.World{Seed: 20260102, Keys: *keys, Entries: *entries, Secrets: *secrets}
	if err := run(*what, w, *n, *profile); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(what string, w *work.World, n int, profile string) error {
	requests := 1 << 10
	if w.Keys > requests {
		requests = 1 << 17
	}
	var e work.Engine
	var err error
	switch what {
	case "sallyport", "decideall":
		e, err = sally.New(w)
	case "map+bounds":
		e = byhand.New(w, byhand.NewBounds)
	case "map+netipx":
		e = byhand.New(w, byhand.NewIPSet)
	case "map+bart.Lite":
		e = byhand.New(w, byhand.NewLite)
	case "contains":
		return contains(w, n)
	default:
		err = fmt.Errorf("unknown -what %q: want sallyport, decideall, map+bounds, map+netipx, map+bart.Lite or contains", what)
	}
	if err != nil {
		return err
	}
	asked, allowed := w.Requests(requests), 0
	if profile != "" {
		f, err := os.Create(profile)
		if err == nil {
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	if s, ok := e.(*sally.Engine); ok && what == "decideall" {
		const batch = 1 << 8
		for i := 0; i < n; i += batch {
			first := i % requests
			allowed += s.DecideAll(asked[first : first+batch])
		}
		fmt.Println(allowed, "of", n)
		return nil
	}
	for i := range n {
		if e.Decide(&asked[i%requests]) {
			allowed++
		}
	}
	fmt.Println(allowed, "of", n)
	return nil
}

func contains(w *work.World, n int) error {
	blocks := work.Set(w.Seed, max(1, w.Entries))
	list, err := sally.List(blocks)
	if err != nil {
		return err
	}
	addrs, now, inside := work.Lookups(w.Seed, blocks, 1<<10), time.Now(), 0
	for i := range n {
		if list.Contains(addrs[i%len(addrs)], now) {
			inside++
		}
	}
	fmt.Println(inside, "of", n)
	return nil
}
