package policy

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/own"
)

// DecideAll answers many requests, in their order: it ranges over their indexes and decisions. Each
// decision is the one of Decide, and the observers are called with it. Use it for a replay, a batch
// of messages, or the endpoints that a key may call. A request is decided when its turn comes:
// after a break nothing more is decided, and a second loop decides anew. The requests must not be
// changed meanwhile.
//
// A source that is no [ImmediateSource] is asked once for each key, whatever the number of its
// requests, when the loop begins. The look-ups run side by side, within the bound of
// [WithMaxLookups], and each has the engine's timeout. The first request is decided when the last
// look-up has ended.
//
// With store/memory and store/replica the records of the next requests are read ahead. Among
// many keys a decision mostly waits for the machine's memory, and such waits overlap.
func (e *Engine) DecideAll(ctx context.Context, requests []Request) iter.Seq2[int, Decision] {
	if e == nil {
		e = new(Engine)
	}
	return func(yield func(int, Decision) bool) {
		e := e // a second loop looks up anew
		if e.immediate == nil && e.source != nil {
			e = e.lookedUp(ctx, requests)
		}
		ids := make([]apikey.ID, 0, own.AtOnce)
		for i := range requests {
			if e.records != nil && i%own.AtOnce == 0 {
				ids = ids[:0]
				for _, r := range requests[i:min(i+own.AtOnce, len(requests))] {
					ids = append(ids, r.Key)
				}
				e.readAhead(ids)
			}
			var d Decision
			e.decide(ctx, &requests[i], &d)
			if !yield(i, d) {
				return
			}
		}
	}
}

// readAhead has the source read records. A nil store panics, and the decisions say so.
func (e *Engine) readAhead(ids []apikey.ID) {
	defer func() { _ = recover() }()
	e.records.ReadAhead(ids)
}

// A looked is the result of a look-up for several requests.
type looked struct {
	subject Subject
	err     error
}

// lookedUp returns an engine that has looked up the keys of the requests. Requests with an Err
// are left to decide.
func (e *Engine) lookedUp(ctx context.Context, requests []Request) *Engine {
	results := map[apikey.ID]*looked{}
	asked := make(chan apikey.ID, len(requests))
	for i := range requests {
		r := &requests[i]
		if r.Err != nil || r.Console || r.invalid() != nil || results[r.Key] != nil {
			continue
		}
		results[r.Key] = new(looked)
		asked <- r.Key
	}
	close(asked)
	var wait sync.WaitGroup
	for range min(e.maxLookups, len(results)) {
		wait.Go(func() {
			for id := range asked {
				result := results[id]
				result.subject, result.err = e.recoveredLookup(ctx, id)
			}
		})
	}
	wait.Wait()
	after := *e
	after.looked = results
	return &after
}

// recoveredLookup is lookup in a goroutine of its own, which no panic may end: that of a nil ctx.
func (e *Engine) recoveredLookup(ctx context.Context, id apikey.ID) (subject Subject, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("policy: panic while deciding: %v", p)
		}
	}()
	return e.lookup(ctx, id)
}
