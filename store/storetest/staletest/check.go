package staletest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// A Check finds out whether sources that follow a store, such as replicas, keep their
// bound on staleness while connections are cut and servers are killed. It writes to the
// store, looks up in the sources meanwhile, and checks each answer against the times of
// the writes.
//
// An answer is right if the store can have held exactly this key with exactly this
// organization, or lacked the key, at some moment between Bound before the call of
// Lookup and its return. So no answer may be older than the bound, come from a write not
// yet called, or combine a key and an organization of different moments. An error is
// always allowed: it denies.
//
// A write whose call failed is in doubt: it may have happened, and may still happen.
// Until it is read from the store, its record and the record before it both count as
// possible. Except creations, every write is conditional on the revision it replaces. So
// when another write to the same revision has happened, the one in doubt is void, and an
// answer with its record was wrong. An identifier whose creation is in doubt is not used
// again unless it is found.
type Check struct {
	// Store is written to. Its own reads and writes are the truth (S9). It may fail.
	Store store.Store

	// Sources are looked up in, each by goroutines of its own.
	Sources []policy.Source

	// Bound is the greatest allowed age of an answer at the call of Lookup.
	Bound time.Duration

	// Duration is the time of writing.
	Duration time.Duration

	// Disturb, if not nil, is called once, after the writing has begun. It cuts, kills
	// and heals until its context ends. When it returns, everything must work.
	Disturb func(ctx context.Context)

	healing time.Duration // set by tests
}

// A Result counts the events of a [Check].
type Result struct {
	Writes  int           // that succeeded
	Doubts  int           // writes that failed and may have happened
	Answers int           // of Lookup, without errors
	Errors  int           // of Lookup
	Oldest  time.Duration // lower bound of the oldest answer's age
}

// healing is the time that sources have to become right once everything works.
const healing = 30 * time.Second

// Run writes and reads for c.Duration. It fails t for every wrong answer. It also fails
// t if the sources do not agree with the store within half a minute after the
// disturbance.
func (c Check) Run(t testing.TB) Result {
	t.Helper()
	if c.healing == 0 {
		c.healing = healing
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Duration+c.healing+time.Minute)
	defer cancel()
	truth := newTruth(c.Bound)
	writers := newWriters(truth, c.Store)
	for _, w := range writers {
		if err := w.begin(ctx); err != nil {
			t.Fatalf("before anything was disturbed: %v", err)
		}
	}

	var reading, writing, disturbing sync.WaitGroup
	var read, write atomic.Bool // false ends them
	read.Store(true)
	write.Store(true)
	for i, source := range c.Sources {
		for n := range 2 {
			reading.Go(func() { truth.ask(ctx, i, source, uint64(n), &read) })
		}
	}
	defer reading.Wait()
	defer read.Store(false)
	for _, w := range writers {
		writing.Go(func() {
			for write.Load() && ctx.Err() == nil {
				w.step(ctx)
				pause(ctx, w.random)
			}
		})
	}
	disturbance, end := context.WithTimeout(ctx, c.Duration)
	defer end()
	if c.Disturb != nil {
		disturbing.Go(func() { c.Disturb(disturbance) })
	}
	<-disturbance.Done()
	disturbing.Wait()
	write.Store(false)
	writing.Wait()

	if err := truth.settleAll(ctx, c.Store); err != nil {
		t.Errorf("after the disturbance the store still fails: %v", err)
	} else if !truth.failed() {
		for _, p := range truth.converge(ctx, c.Sources, c.healing) {
			t.Errorf("%v after the disturbance %s", c.healing, p)
		}
	}
	read.Store(false)
	reading.Wait()
	return truth.report(t)
}

// pause waits a moment, to keep the number of records and answers low.
func pause(ctx context.Context, random *rand.Rand) {
	select {
	case <-time.After(time.Duration(random.IntN(400)) * time.Microsecond):
	case <-ctx.Done():
	}
}

// callTimeout limits a single call.
const callTimeout = time.Second

// ask looks up keys in a source until goOn is false.
func (t *truth) ask(ctx context.Context, number int, source policy.Source, seed uint64, goOn *atomic.Bool) {
	random := rand.New(rand.NewPCG(seed, uint64(number)))
	immediate, isImmediate := source.(policy.ImmediateSource)
	for n := 0; goOn.Load() && ctx.Err() == nil; n++ {
		id := t.anyKey(random)
		a := answer{source: number, id: id, before: t.now()}
		if isImmediate && n%2 == 0 {
			a.subject, a.found, a.err = immediate.LookupNow(id)
		} else {
			call, cancel := context.WithTimeout(ctx, callTimeout)
			a.subject, a.found, a.err = source.Lookup(call, id)
			cancel()
		}
		a.after = t.now()
		t.judge(a)
		pause(ctx, random)
	}
}

// converge waits until the sources agree with the store. It returns the differences left
// after a time.
func (t *truth) converge(ctx context.Context, sources []policy.Source, within time.Duration) (problems []string) {
	deadline := time.Now().Add(within)
	for {
		problems = problems[:0]
		for i, source := range sources {
			for id := range t.settled() {
				call, cancel := context.WithTimeout(ctx, callTimeout)
				subject, found, err := source.Lookup(call, id)
				cancel()
				if p := t.differs(id, subject, found, err); p != "" {
					problems = append(problems, fmt.Sprintf("source %d answers of key %q: %s", i, id, p))
					break
				}
			}
		}
		if len(problems) == 0 || time.Now().After(deadline) || ctx.Err() != nil {
			return problems
		}
		time.Sleep(time.Millisecond)
	}
}

// An answer is the result of one Lookup in a source.
type answer struct {
	source        int
	id            apikey.ID
	before, after time.Duration
	subject       policy.Subject
	found         bool
	err           error
}
