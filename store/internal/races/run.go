package races

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/admin"
)

// A Tally counts what came of the rounds.
type Tally struct {
	Rounds    int
	Made      int // calls without an error
	Refused   int // calls refused by the guard, or too late
	Unknown   int // calls of unknown outcome
	Conflicts int // writes refused for a record changed meanwhile
}

// String returns the numbers in words.
func (t Tally) String() string {
	return fmt.Sprintf("%d rounds: %d calls made, %d refused, %d of unknown outcome, %d writes met a conflict", t.Rounds, t.Made, t.Refused, t.Unknown, t.Conflicts)
}

// Plus returns the sum of two tallies.
func (t Tally) Plus(o Tally) Tally {
	return Tally{t.Rounds + o.Rounds, t.Made + o.Made, t.Refused + o.Refused, t.Unknown + o.Unknown, t.Conflicts + o.Conflicts}
}

// Run runs rounds of a race, some of them beside each other. Each store is a connection of
// its own to the same records, and the calls take turns on them. In every second round the
// first writes wait for each other, so that all calls were judged on the same records. name
// begins all IDs: give another one to each run on the same records.
//
// An error says what was wrong in a round. Run deletes nothing.
func Run(ctx context.Context, race Race, rounds int, name string, stores ...store.Store) (Tally, error) {
	issuer, err := apikey.NewIssuer(apikey.IssuerConfig{Clock: func() time.Time { return now }})
	if err != nil {
		return Tally{}, err
	}
	const beside = 4
	var (
		tally Tally
		errs  []error
		mu    sync.Mutex // guards tally and errs
		group sync.WaitGroup
		next  atomic.Int64
	)
	for range min(beside, rounds) {
		group.Go(func() {
			for n := next.Add(1); n <= int64(rounds); n = next.Add(1) {
				r := &round{ctx: ctx, race: race, name: fmt.Sprintf("%s-%d", name, n), stores: stores, issuer: issuer, secrets: map[apikey.ID][]apikey.Secret{}}
				one, err := r.run(n%2 == 1)
				mu.Lock()
				tally = tally.Plus(one)
				if err != nil {
					errs = append(errs, fmt.Errorf("%s, round %s: %w", race.Name, r.name, err))
				}
				failed := len(errs) > 0
				mu.Unlock()
				if failed {
					return
				}
			}
		})
	}
	group.Wait()
	return tally, errors.Join(errs...)
}

// run runs one round.
func (r *round) run(met bool) (Tally, error) {
	r.race.setup(r)
	line := &line{want: len(r.race.calls), full: make(chan struct{})}
	if !met {
		close(line.full)
	}
	var conflicts atomic.Int64
	answers := make([]answer, len(r.race.calls))
	prepared := make([]func(), len(answers))
	for i, c := range r.race.calls {
		prepared[i] = r.prepare(c, r.stores[i%len(r.stores)], line, &conflicts, &answers[i])
	}
	if r.err != nil {
		return Tally{}, fmt.Errorf("setup: %w", r.err)
	}
	start, group := make(chan struct{}), sync.WaitGroup{}
	for _, call := range prepared {
		group.Go(func() {
			<-start
			call()
		})
	}
	close(start)
	group.Wait()
	tally := Tally{Rounds: 1, Conflicts: int(conflicts.Load())}
	for _, a := range answers {
		switch {
		case a.err == nil:
			tally.Made++
		case admin.ClassOf(a.err) == admin.Unavailable:
			tally.Unknown++
		default:
			tally.Refused++
		}
	}
	err := r.check(answers)
	if met && !r.race.ordered && !r.race.random && tally.Unknown == 0 && tally.Conflicts == 0 {
		err = errors.Join(err, errors.New("all calls were judged on the same records, and no write met a conflict"))
	}
	return tally, err
}

// prepare returns the call.
func (r *round) prepare(c call, s store.Store, line *line, conflicts *atomic.Int64, a *answer) func() {
	journal, ok := store.As[store.Journal](s)
	if !ok {
		r.fail(errors.New("the store is no store.Journal"))
	}
	at := &place{line: line}
	managing, err := admin.New(&held{Store: s, journal: journal, place: at, conflicts: conflicts},
		admin.WithManagers("owner"), admin.WithClock(func() time.Time { return now }), admin.WithIssuer(r.issuer))
	r.fail(err)
	actor := admin.BySystem("races")
	if c.by != nil {
		actor = c.by(r)
	}
	var changes []admin.Change
	for _, change := range c.changes {
		changes = append(changes, change(r))
	}
	options := admin.ApplyOptions{Accept: c.accept, Reason: "a race"}
	return func() {
		a.changes = len(changes)
		a.result, a.err = managing.Apply(r.ctx, actor, r.orgID(c.organization), options, changes...)
		at.take()
	}
}

// A line is where the calls of a round wait for each other.
type line struct {
	want int
	have atomic.Int64
	full chan struct{} // closed once all are there
}

// A place is that of one call in a line.
type place struct {
	line  *line
	taken sync.Once
}

// take takes the place, at the first write or at the end of the call.
func (p *place) take() {
	p.taken.Do(func() {
		if p.line.have.Add(1) == int64(p.line.want) {
			select {
			case <-p.line.full: // nobody waits in this round
			default:
				close(p.line.full)
			}
		}
	})
}

// held holds the first write until all calls have come to theirs, or to their end.
type held struct {
	store.Store
	journal   store.Journal
	place     *place
	conflicts *atomic.Int64
}

// Unwrap is for store.As.
func (h *held) Unwrap() store.Store { return h.Store }

// Write implements [store.Journal].
func (h *held) Write(ctx context.Context, w store.Write) (uint64, error) {
	h.place.take()
	<-h.place.line.full
	revision, err := h.journal.Write(ctx, w)
	if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrNotEmpty) {
		h.conflicts.Add(1)
	}
	return revision, err
}

// Events implements [store.Journal].
func (h *held) Events(ctx context.Context, request store.EventRequest) (store.EventPage, error) {
	return h.journal.Events(ctx, request)
}
