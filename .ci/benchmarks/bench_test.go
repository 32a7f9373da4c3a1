package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"sallyport.test/benchmarks/internal/byhand"
	"sallyport.test/benchmarks/internal/sally"
	"sallyport.test/benchmarks/internal/work"
)

var (
	rounds      = flag.Int("rounds", 1, "how often to measure each, all of them in turn")
	keyCounts   = flag.String("keycounts", "10000", "numbers of keys, separated by commas")
	engineNames = flag.String("engines", "", "names of engines to measure in Decide and DecideSecret, separated by commas; all of them if empty")
	memoryLimit = flag.Uint64("memory", 8, "do not load an engine that would need more gigabytes than this")
	loadLimit   = flag.Duration("load", time.Minute, "nor one that would take longer than this to load")
)

// inTurn runs all leaves in each round. The testing package would run each of them several
// times in succession, and a shared machine is another machine a second later. It gives later
// rounds names ending in #01, #02 …, which the command removes.
func inTurn(b *testing.B, rounds int, names []string, leaf func(b *testing.B, i int)) {
	for range rounds {
		for i, name := range names {
			b.Run(name, func(b *testing.B) { leaf(b, i) })
		}
	}
}

type loaded struct {
	maker
	work.Engine
}

// fewer returns a tenth with -short, for runs that check agreement and not times.
func fewer(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// BenchmarkDecide is one decision on a caller authenticated elsewhere.
func BenchmarkDecide(b *testing.B) {
	for _, keys := range numbers(*keyCounts) {
		keys = fewer(keys)
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			for _, n := range listSizes {
				b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
					benchmarkDecide(b, &work.World{Seed: seed, Keys: keys, Entries: n})
				})
			}
		})
	}
}

// BenchmarkDecideAll is one decision of DecideAll for 256 requests, beside single ones and those of
// the map, on lists without entries. Unlike BenchmarkDecide it holds them all in memory and measures
// them in turn with a million keys, too: there the machine's memory decides, and changes by the hour.
func BenchmarkDecideAll(b *testing.B) {
	for _, keys := range numbers(*keyCounts) {
		w := &work.World{Seed: seed, Keys: fewer(keys)}
		e, err := sally.New(w)
		if err != nil {
			b.Fatal(err)
		}
		byMap := byhand.New(w, byhand.NewBounds)
		requests := w.Requests(1 << 17)
		if keys > 100_000 {
			requests = w.Requests(1 << 20)
		}
		right, want := answers(w, requests), 0
		for _, allowed := range right {
			if allowed {
				want++
			}
		}
		for _, engine := range []work.Engine{e, byMap} {
			if err := agree(engine, requests, right); err != nil {
				b.Fatal(err)
			}
		}
		if got := e.DecideAll(requests[:len(right)]); got != want {
			b.Fatalf("DecideAll allows %d of %d requests: the oracle allows %d", got, len(right), want)
		}
		runtime.GC()
		var next [3]int // where a round continues, as of decideInTurn
		b.Run(fmt.Sprintf("keys=%d", w.Keys), func(b *testing.B) {
			inTurn(b, *rounds, []string{"how=Decide", "how=DecideAll", "how=map+bounds"}, func(b *testing.B, i int) {
				const batch = 1 << 8
				n := next[i] &^ (batch - 1)
				b.ReportAllocs()
				for b.Loop() {
					switch r := requests[n&(len(requests)-1):]; {
					case i == 0:
						e.Decide(&r[0])
					case i == 2:
						byMap.Decide(&r[0])
					case n%batch == 0:
						e.DecideAll(r[:batch])
					}
					n++
				}
				next[i] = n
			})
		})
	}
}

// BenchmarkDecideSecret is one decision that verifies a secret.
func BenchmarkDecideSecret(b *testing.B) {
	for _, n := range listSizes {
		keys := fewer(10_000)
		b.Run(fmt.Sprintf("keys=%d/entries=%d", keys, n), func(b *testing.B) {
			benchmarkDecide(b, &work.World{Seed: seed, Keys: keys, Entries: n, Secrets: true})
		})
	}
}

func benchmarkDecide(b *testing.B, w *work.World) {
	// A power of two; several requests for each key where keys are few.
	requests := w.Requests(1 << 17)
	if w.Keys > 100_000 {
		requests = w.Requests(1 << 20)
	}
	right := answers(w, requests)
	var near []loaded
	chosen := chosenMakers(b)
	for i, m := range chosen {
		if w.Secrets && !m.near {
			continue
		}
		if why := tooMuch(m, w); why != "" {
			fmt.Printf("# not measured: %s engine=%s: %s\n", b.Name(), m.name, why)
			continue
		}
		e, err := m.load(w)
		if err == nil {
			err = agree(e, requests, right)
		}
		if err != nil {
			b.Fatalf("%s: %v", m.name, err)
		}
		near = append(near, loaded{m, e})
		// Engines that do not fit into memory together are measured one after the other.
		if !m.near || w.Keys > 100_000 {
			decideInTurn(b, w, requests, near)
			near = nil
		} else if i+1 == len(chosen) || !chosen[i+1].near {
			decideInTurn(b, w, requests, near)
			near = nil
		}
	}
}

// chosenMakers are those that the flag engines names.
func chosenMakers(b *testing.B) (chosen []maker) {
	if *engineNames == "" {
		return makers
	}
	for name := range strings.SplitSeq(*engineNames, ",") {
		i := slices.IndexFunc(makers, func(m maker) bool { return m.name == name })
		if i < 0 {
			b.Fatalf("there is no engine %q: want one of the tables", name)
		}
		chosen = append(chosen, makers[i])
	}
	return chosen
}

func decideInTurn(b *testing.B, w *work.World, requests []work.Request, engines []loaded) {
	var names []string
	for _, e := range engines {
		names = append(names, "engine="+e.name)
	}
	for _, e := range engines {
		if e.hits {
			for i := range requests {
				e.Decide(&requests[i])
			}
		}
	}
	runtime.GC()
	rounds := *rounds
	if w.Keys > 100_000 {
		rounds = min(rounds, 3) // loading takes the time
	}
	// A round continues where the previous one ended. Otherwise it would ask for the keys that
	// are still in the processor's caches.
	next := make([]int, len(engines))
	inTurn(b, rounds, names, func(b *testing.B, i int) {
		e, n := engines[i], next[i]
		b.ReportAllocs()
		for b.Loop() {
			e.Decide(&requests[n&(len(requests)-1)])
			n++
		}
		next[i] = n
	})
}

// tooMuch returns why an engine is not loaded with a large world, judged by a hundredth of it.
func tooMuch(m maker, w *work.World) string {
	if w.Keys <= 100_000 {
		return ""
	}
	part := *w
	part.Keys /= 100
	_, bytes, took := retained(func() work.Engine {
		e, err := m.load(&part)
		if err != nil {
			panic(err)
		}
		return e
	})
	bytes, took = bytes*100, took*100
	switch {
	case bytes > *memoryLimit*1e9:
		return fmt.Sprintf("needs some %.0f GB of memory", (float64(bytes) / 1e9))
	case took > *loadLimit:
		return fmt.Sprintf("takes some %v to load, the making of its records included", took.Round(time.Second))
	}
	return ""
}

// BenchmarkParallel is for -cpu 1,2: the same decisions in as many goroutines.
func BenchmarkParallel(b *testing.B) {
	w := &work.World{Seed: seed, Keys: 10_000, Entries: 20}
	requests := w.Requests(1 << 17)
	var names []string
	var engines []work.Engine
	for _, m := range makers[:2] {
		e, err := m.load(w)
		if err != nil {
			b.Fatal(err)
		}
		names, engines = append(names, "engine="+m.name), append(engines, e)
	}
	inTurn(b, *rounds, names, func(b *testing.B, i int) {
		e := engines[i]
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			next := time.Now().Nanosecond() // not the other goroutine's requests
			for pb.Next() {
				e.Decide(&requests[next&(len(requests)-1)])
				next++
			}
		})
	})
}

// BenchmarkContains is membership in one list.
func BenchmarkContains(b *testing.B) {
	for _, n := range setSizes {
		n = min(n, fewer(1_000_000))
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			list := work.Set(seed, n)
			addrs := work.Lookups(seed, list, 1<<18)
			scan := work.NewScan(list)
			var names []string
			var sets []any
			for _, m := range setMakers {
				set := m.compile(list)
				for i, addr := range addrs[:agreements] {
					if inside := m.count(set, addrs[i:i+1]) == 1; inside != scan.Contains(addr) {
						b.Fatalf("%s is wrong about %s", m.name, addr)
					}
				}
				names, sets = append(names, "set="+m.name), append(sets, set)
			}
			runtime.GC()
			inTurn(b, *rounds, names, func(b *testing.B, i int) {
				const some = 256
				b.ReportAllocs()
				inside := 0
				for n := 0; n < b.N; n += some {
					from := n & (len(addrs) - 1)
					inside += setMakers[i].count(sets[i], addrs[from:from+min(some, b.N-n)])
				}
				runtime.KeepAlive(inside)
			})
		})
	}
}

// BenchmarkBuild is the compilation of a long list, and the heap it retains.
func BenchmarkBuild(b *testing.B) {
	list := work.Set(seed, fewer(1_000_000))
	var names []string
	for _, m := range setMakers {
		names = append(names, "set="+m.name)
	}
	inTurn(b, min(*rounds, 3), names, func(b *testing.B, i int) {
		m := setMakers[i]
		var bytes uint64
		var took time.Duration
		for b.Loop() { // once: the command says -benchtime=1x
			_, bytes, took = retained(func() any { return m.compile(list) })
		}
		b.ReportMetric(float64(bytes), "retained-B")
		b.ReportMetric(float64(took), "ns/op") // without the collections before and after
	})
}

// BenchmarkVerify is a secret against its hash: sallyport's way and the shortest one.
func BenchmarkVerify(b *testing.B) {
	key, secret, err := apikey.New("acme")
	if err != nil {
		b.Fatal(err)
	}
	text, now := secret.Reveal(), time.Now()
	inTurn(b, *rounds, []string{"how=" + sallyport, "how=sha256+compare"}, func(b *testing.B, i int) {
		b.ReportAllocs()
		if i == 0 {
			for b.Loop() {
				if _, err := secret.Verify(key.Secrets, now); err != nil {
					b.Fatal(err)
				}
			}
			return
		}
		for b.Loop() {
			sum := sha256.Sum256([]byte(text))
			if subtle.ConstantTimeCompare(sum[:], key.Secrets[0].Sum[:]) != 1 {
				b.Fatal("it does not match")
			}
		}
	})
}

// BenchmarkClock is one reading of the clock, which every decision makes.
func BenchmarkClock(b *testing.B) {
	inTurn(b, *rounds, []string{"how=time.Now"}, func(b *testing.B, _ int) {
		var now time.Time
		for b.Loop() {
			now = time.Now()
		}
		runtime.KeepAlive(now)
	})
}

// numbers reads the numbers of a flag.
func numbers(text string) (all []int) {
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(field)
		if err != nil {
			panic(err)
		}
		all = append(all, n)
	}
	return all
}
