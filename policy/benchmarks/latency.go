package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy/benchmarks/internal/sally"
	"github.com/sallyport-go/sallyport/policy/benchmarks/internal/work"
)

const (
	latencyCalls = 2_000_000
	writesPerSec = 1000
)

// A latency is the time of single calls: the one that half of them take at most, and the one that
// all but one in a thousand do. The reading of the clock is in it once.
type latency struct {
	median, p999 time.Duration
	writes       int // while they were made
}

// measureLatency times every one of some million decisions, with nobody writing and with a writer
// who puts a key a thousand times a second, in turn.
func measureLatency(rounds, calls int) (quiet, written []latency, err error) {
	w := &work.World{Seed: seed, Keys: 10_000, Entries: 20}
	e, err := sally.New(w)
	if err != nil {
		return nil, nil, err
	}
	requests := w.Requests(1 << 17)
	took := make([]uint32, calls)
	for range rounds {
		quiet = append(quiet, timeCalls(e, requests, took))

		stop, done := make(chan struct{}), make(chan error, 1)
		writes := 0
		go func() { done <- put(e, w, stop, &writes) }()
		l := timeCalls(e, requests, took)
		close(stop)
		if err := <-done; err != nil {
			return nil, nil, fmt.Errorf("the writer: %w", err)
		}
		l.writes = writes
		written = append(written, l)
	}
	return quiet, written, nil
}

func timeCalls(e *sally.Engine, requests []work.Request, took []uint32) latency {
	before := time.Now()
	for i := range took {
		e.Decide(&requests[i&(len(requests)-1)])
		after := time.Now()
		took[i] = uint32(min(after.Sub(before), time.Second))
		before = after
	}
	slices.Sort(took)
	return latency{time.Duration(took[len(took)/2]), time.Duration(took[len(took)/1000*999]), 0}
}

// put replaces random keys at a steady rate until it is told to stop.
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
