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

// A Check finds out whether sources that follow a store, such as replicas, keep
// to the bound on staleness that they promise, while connections are cut and servers
// are killed. It writes to the store, looks up in the sources all the while, and checks
// every answer against what was written, when it was called and when it had returned.
//
// An answer is right if there was a moment, no longer than Bound before the Lookup was
// called and not after it returned, at which the store can have had just this key with
// just this organization, or did not have the key. So no answer may be older than the
// bound, none may be of a write that was not yet called, and none may be of a key and an
// organization that never were there at one moment. An error is always allowed: it
// denies.
//
// A write whose call failed may have happened or not, and may yet. It counts as one that
// can have happened since it was called, and does not count against what was there
// before, until it is read from the store: every write here but a creation is conditional
// on the revision that it replaces, so whoever wrote after it must have read it. When
// another write to the same revision has happened it no longer can have, and an answer
// that had it was wrong. An identifier whose creation was in doubt, and was not found
// then, is not used again.
type Check struct {
	// Store is what is written to. What it reads and writes itself is the truth (S9),
	// and it may fail.
	Store store.Store

	// Sources are what is looked up in, each by its own goroutines.
	Sources []policy.Source

	// Bound is the greatest age of an answer, counted from the call of Lookup back.
	Bound time.Duration

	// Duration is how long to write.
	Duration time.Duration

	// Disturb, if there is one, is called once, when the writing has begun, to cut, to
	// kill and to heal until its context ends. When it returns everything must work.
	Disturb func(ctx context.Context)

	healing time.Duration // how long sources may take to become right; for tests
}

// A Result is what a [Check] saw.
type Result struct {
	Writes  int           // that returned without an error
	Doubts  int           // that failed, so that they may have happened or not
	Answers int           // of Lookup, without errors
	Errors  int           // of Lookup
	Oldest  time.Duration // the age that some answer had at least
}

// healing is how long sources may take to become right once everything works.
const healing = 30 * time.Second

// Run writes and reads for c.Duration. It fails t for every wrong answer that it sees,
// and if the sources do not come to what the store has within half a minute after the
// end of the disturbance.
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
	var read, write atomic.Bool // to go on
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

// pause is a moment, so that neither records nor answers come in millions.
func pause(ctx context.Context, random *rand.Rand) {
	select {
	case <-time.After(time.Duration(random.IntN(400)) * time.Microsecond):
	case <-ctx.Done():
	}
}

// callTimeout is how long a single call may take in a check of staleness.
const callTimeout = time.Second

// ask looks keys up in a source while it is to go on.
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

// converge waits until the sources answer what the store has, and returns what they do
// not within a time.
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

// An answer is one of a source.
type answer struct {
	source        int
	id            apikey.ID
	before, after time.Duration
	subject       policy.Subject
	found         bool
	err           error
}
