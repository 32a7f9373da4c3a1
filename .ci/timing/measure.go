package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// batches is the number of parts of a measurement. The garbage collector runs between parts
// only. A part is the unit of the confidence intervals, because times measured close to each
// other are alike.
const batches = 40

// warmUp is the number of rounds left out at the beginning of a batch.
const warmUp = 20

// measure asks the guard for a number of rounds a batch and returns the times of each class.
// Every class has its turn in a round.
func (s *setting) measure(rounds int, seed uint64) [][]sample {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	random := rand.New(rand.NewPCG(seed, 0))
	times := make([][]sample, len(s.classes))
	order := make([]int, len(s.classes))
	for i := range s.classes {
		times[i] = make([]sample, 0, batches*rounds)
		order[i] = i
	}
	a := newAsking()
	for batch := range batches {
		runtime.GC()
		for round := range warmUp + rounds {
			random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			for _, i := range order {
				values := s.classes[i].values
				pick := batch % len(values)
				if !s.oneKey {
					pick = random.IntN(len(values))
				}
				a.prepare(values[pick])
				start := time.Now()
				s.handler.ServeHTTP(a.writer, a.request)
				took := time.Since(start)
				if round >= warmUp {
					times[i] = append(times[i], sample{int(took), batch})
				}
			}
		}
	}
	return times
}

// asking is one request and its answer, reused.
type asking struct {
	writer  *answer
	request *http.Request
}

func newAsking() *asking {
	request, _ := http.NewRequest(http.MethodGet, target, nil) // there is no error
	request.RequestURI = target
	request.RemoteAddr = "203.0.113.7:4711"
	request.Header["Authorization"] = make([]string, 1)
	return &asking{&answer{header: http.Header{}}, request}
}

// prepare copies the value to new memory, like a server that has just read it. It is then in
// the processor's cache for all classes.
func (a *asking) prepare(authorization string) {
	a.request.Header["Authorization"][0] = strings.Clone(authorization)
	clear(a.writer.header)
	a.writer.status, a.writer.body = 0, a.writer.body[:0]
}

// answer is an http.ResponseWriter.
type answer struct {
	header http.Header
	status int
	body   []byte
}

func (a *answer) Header() http.Header    { return a.header }
func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(body []byte) (int, error) {
	a.body = append(a.body, body...)
	return len(body), nil
}

// allocations returns the number and bytes of allocations of a request of a class, on average.
func (s *setting) allocations(c class) (times, bytes float64) {
	const rounds = 500
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	a := newAsking()
	var before, after, cloned runtime.MemStats
	runtime.ReadMemStats(&before)
	askAll(s.handler, a, c.values, rounds)
	runtime.ReadMemStats(&after)
	for i := range rounds { // the allocations of asking itself
		a.prepare(c.values[i%len(c.values)])
	}
	runtime.ReadMemStats(&cloned)
	times = float64(2*after.Mallocs - before.Mallocs - cloned.Mallocs)
	bytes = float64(2*after.TotalAlloc - before.TotalAlloc - cloned.TotalAlloc)
	return times / rounds, bytes / rounds
}

// askClass does nothing but ask, for profilers.
func askClass(s *setting, name string, n int) error {
	i := slices.IndexFunc(s.classes, func(c class) bool { return c.name == name })
	if i < 0 {
		return fmt.Errorf("the setting %q has no class %q", s.name, name)
	}
	values := s.classes[i].values
	if s.oneKey {
		values = values[:1]
	}
	a := newAsking()
	for _, c := range s.classes { // fills caches
		for range 20 {
			a.prepare(c.values[0])
			s.handler.ServeHTTP(a.writer, a.request)
		}
	}
	askAll(s.handler, a, values, n)
	return nil
}

// askAll is a function of its own for callgrind to begin and end with.
//
//go:noinline
func askAll(handler http.Handler, a *asking, values []string, n int) {
	for i := range n {
		a.prepare(values[i%len(values)])
		handler.ServeHTTP(a.writer, a.request)
	}
}
