package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"sallyport.test/benchmarks/internal/sally"
	"sallyport.test/benchmarks/internal/work"
)

const (
	singleCalls  = 2_000_000 // a round
	writesPerSec = 1000
)

// BenchmarkSingleCalls times every one of some million decisions, with no writer and with one
// that stores a key 1,000 times a second, in turn. It reports the median and the 99.9th
// percentile of a round; each time includes one reading of the clock.
func BenchmarkSingleCalls(b *testing.B) {
	w := &work.World{Seed: seed, Keys: fewer(10_000), Entries: 20}
	e, err := sally.New(w)
	if err != nil {
		b.Fatal(err)
	}
	requests := w.Requests(1 << 17)
	took := make([]uint32, fewer(singleCalls))
	inTurn(b, *rounds, []string{"writer=none", "writer=1000-a-second"}, func(b *testing.B, i int) {
		stop, done := make(chan struct{}), make(chan error, 1)
		writes := 0
		if i == 0 {
			done <- nil
		} else {
			go func() { done <- put(e, w, stop, &writes) }()
		}
		for b.Loop() { // once: the command says -benchtime=1x
			timeCalls(e, requests, took)
		}
		close(stop)
		if err := <-done; err != nil {
			b.Fatalf("the writer: %v", err)
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2]), "median-ns")
		b.ReportMetric(float64(took[len(took)/1000*999]), "p99.9-ns")
		b.ReportMetric(float64(writes), "writes")
		b.ReportMetric(0, "ns/op") // that of all calls together; a zero removes it
	})
}

func timeCalls(e *sally.Engine, requests []work.Request, took []uint32) {
	before := time.Now()
	for i := range took {
		e.Decide(&requests[i&(len(requests)-1)])
		after := time.Now()
		took[i] = uint32(min(after.Sub(before), time.Second))
		before = after
	}
}

// put replaces random keys at a steady rate until stop is closed.
func put(e *sally.Engine, w *work.World, stop <-chan struct{}, writes *int) error {
	ctx, r := context.Background(), rand.New(rand.NewPCG(seed, 7))
	tick := time.NewTicker(time.Second / writesPerSec)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
		key, err := e.Store.Key(ctx, apikey.ID(w.Key(r.IntN(w.Keys)).ID))
		if err != nil {
			return err
		}
		key.Description = fmt.Sprint("changed ", *writes)
		if _, err = e.Store.PutKey(ctx, key); err != nil {
			return err
		}
		*writes++
	}
}
