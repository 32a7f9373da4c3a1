package trials_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
	"github.com/sallyport-go/sallyport/store/memory"
)

// TestJournalContention has eight writers, in pairs over two connections to the store, switch
// a record on and off for a minute. Each switches its own off only while its rival's is on,
// on the condition that the rival's is unchanged. So both are never off: harmless alone, and
// a lockout together. Each write has one to three events.
//
// Then the events alone are replayed, as read at the end and as a follower read them
// meanwhile. They must be those of the acknowledged writes, and lead to the records.
func TestJournalContention(t *testing.T) {
	eachSystem(t, func(t *testing.T, s system) {
		ctx, stores := t.Context(), []store.Store{s.open(t), s.open(t)}
		pairs := makePairs(t, stores[0])
		followed := followEvents(t, s.open(t))
		outcomes := outcomes{written: map[string]written{}, rivals: map[meeting][2]int{}}
		end := time.Now().Add(time.Duration(of(60, 3)) * time.Second)
		var writers errgroup.Group
		for p, pair := range pairs {
			for side := range pair {
				writers.Go(func() error {
					for n := 0; time.Now().Before(end); n++ {
						if err := compete(ctx, stores[side], pair, side, fmt.Sprint(p, ".", side, ".", n), &outcomes); err != nil {
							return err
						}
					}
					return nil
				})
			}
		}
		require.NoError(t, writers.Wait())

		var kept []store.Event
		for event, err := range store.AllEvents(ctx, journalOf(stores[1]), store.EventRequest{}) {
			require.NoError(t, err)
			kept = append(kept, event)
		}
		require.NotEmpty(t, kept)
		writes, met := len(outcomes.written), outcomes.met(t)
		off := outcomes.replay(t, pairs, kept)
		for _, record := range slices.Concat(pairs...) {
			_, isOff, _, err := record.read(ctx, stores[1])
			require.NoError(t, err)
			require.Equal(t, off[record], isOff, "the events of %v say otherwise than the record", record)
		}
		require.True(t, slices.EqualFunc(kept, followed(kept[len(kept)-1].Revision), store.Event.Equal), "the follower read other events")
		t.Logf("%s: %d writes with %d events, %d conflicts, %d times both rivals wrote on the same revisions", s.name, writes, len(kept), outcomes.conflicts, met)
	})
}

// What the trial checks is found if it happens.
func TestJournalContentionFinds(t *testing.T) {
	for want, spoil := range map[string]func(o *outcomes, events []store.Event) []store.Event{
		"": func(_ *outcomes, events []store.Event) []store.Event { return events },
		"writes without their events": func(o *outcomes, events []store.Event) []store.Event {
			o.written["lost"] = written{revision: 1 << 40, events: 1}
			return events
		},
		"which was not acknowledged": func(_ *outcomes, events []store.Event) []store.Event {
			return append(events, store.Event{Revision: 1 << 40, Correlation: "refused"})
		},
		"Not equal": func(o *outcomes, events []store.Event) []store.Event { // one event of several
			first := o.written[events[0].Correlation]
			first.events++
			o.written[events[0].Correlation] = first
			return events
		},
		"both of": func(o *outcomes, events []store.Event) []store.Event {
			for name, w := range o.written {
				w.off = true
				o.written[name] = w
			}
			for i := range events {
				events[i].After = json.RawMessage(`{"off":true}`)
			}
			return events
		},
		"several writes succeeded": func(o *outcomes, events []store.Event) []store.Event {
			for m, tries := range o.rivals {
				o.rivals[m] = [2]int{tries[0] | succeeded, tries[1] | succeeded}
			}
			return events
		},
	} {
		keys := memory.New()
		pairs := makePairs(t, keys)
		outcomes := outcomes{written: map[string]written{}, rivals: map[meeting][2]int{}}
		for n := range 20 {
			for side := range 2 {
				require.NoError(t, compete(t.Context(), keys, pairs[0], side, fmt.Sprint(n, side), &outcomes))
			}
		}
		var events []store.Event
		for event, err := range store.AllEvents(t.Context(), keys, store.EventRequest{}) {
			require.NoError(t, err)
			events = append(events, event)
		}
		for m, tries := range outcomes.rivals { // one after the other they do not meet
			outcomes.rivals[m] = [2]int{tries[0], tries[1] + 1}
		}
		events = spoil(&outcomes, events)
		var found findings
		func() {
			defer func() { _ = recover() }()
			outcomes.met(&found)
			outcomes.replay(&found, pairs, events)
		}()
		if want == "" {
			require.Empty(t, found)
		} else {
			require.Contains(t, strings.Join(found, " "), want)
		}
		require.NoError(t, keys.Close())
	}
}

// findings are the failures of checks. FailNow ends them by a panic.
type findings []string

func (f *findings) Errorf(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }
func (f *findings) FailNow()                          { panic(f) }

// A record is a key, or the organization itself.
type record struct {
	organization string
	key          apikey.ID
}

// makePairs stores pairs of keys, and of an organization and its key, all of them on.
func makePairs(t *testing.T, s store.Store) (pairs [][]record) {
	for i := range 4 {
		organization := policy.Organization{ID: fmt.Sprint("organization-", i)}
		_, err := s.PutOrganization(t.Context(), organization)
		require.NoError(t, err)
		pair := []record{{organization.ID, ""}}
		for _, name := range []string{"a", "b"}[i%2:] {
			key, _, err := apikey.New(organization.ID)
			require.NoError(t, err)
			key.ID = apikey.ID(fmt.Sprint("key-", i, name))
			_, err = s.PutKey(t.Context(), key, store.AllowOpen)
			require.NoError(t, err)
			pair = append(pair, record{organization.ID, key.ID})
		}
		pairs = append(pairs, pair[len(pair)-2:])
	}
	return pairs
}

func journalOf(s store.Store) store.Journal {
	journal, _ := store.As[store.Journal](s)
	return journal
}

// read returns the record's revision, whether it is off, and a Write that switches it.
func (r record) read(ctx context.Context, s store.Store) (revision uint64, off bool, put func(off bool) store.Write, err error) {
	if r.key == "" {
		stored, err := s.Organization(ctx, r.organization)
		return stored.Revision, stored.Disabled, func(off bool) store.Write {
			stored.Disabled = off
			return store.Write{PutOrganization: &stored}
		}, err
	}
	stored, err := s.Key(ctx, r.key)
	return stored.Revision, stored.Disabled, func(off bool) store.Write {
		stored.Disabled = off
		return store.Write{PutKey: &stored}
	}, err
}

// outcomes are of all writes. The name of a write is the correlation ID of its events.
type outcomes struct {
	mu        sync.Mutex
	written   map[string]written
	conflicts int
	rivals    map[meeting][2]int // how often each side tried; more than 1<<32 if it succeeded
}

type written struct {
	revision uint64
	events   int
	off      bool
}

// A meeting is of two rivals that both judged by these revisions.
type meeting struct {
	first     record
	revisions [2]uint64
}

const succeeded = 1 << 32

// compete makes one write of a record, on the condition that the rival's is as it was read.
func compete(ctx context.Context, s store.Store, pair []record, side int, name string, all *outcomes) error {
	own, rival := pair[side], pair[1-side]
	revision, isOff, put, err := own.read(ctx, s)
	if err != nil {
		return err
	}
	rivals, rivalIsOff, _, err := rival.read(ctx, s)
	if err != nil {
		return err
	}
	off, events := !isOff && !rivalIsOff, 1+rand.IntN(3)
	w := put(off)
	w.If = []store.Condition{{Organization: rival.organization, Key: rival.key, Revision: rivals}}
	for range events {
		w.Events = append(w.Events, store.Event{Time: time.Now(), Type: "record.switched", Organization: own.organization, Key: own.key,
			Actor: store.Actor{Kind: store.ActorSystem, ID: "trial"}, Via: store.ViaLibrary, Correlation: name, After: json.RawMessage(fmt.Sprintf(`{"off":%t}`, off))})
	}
	got, err := journalOf(s).Write(ctx, w)

	all.mu.Lock()
	defer all.mu.Unlock()
	m := meeting{pair[0], [2]uint64{revision, rivals}}
	if side == 1 {
		m.revisions = [2]uint64{rivals, revision}
	}
	tries := all.rivals[m]
	switch tries[side]++; {
	case err == nil:
		all.written[name] = written{got, events, off}
		tries[side] += succeeded
	case errors.Is(err, store.ErrConflict):
		all.conflicts++
	default:
		return err
	}
	all.rivals[m] = tries
	return nil
}

// met returns how often two rivals wrote on the same revisions, and checks that one write at
// most succeeded then.
func (o *outcomes) met(t require.TestingT) (times int) {
	for m, tries := range o.rivals {
		require.LessOrEqual(t, tries[0]/succeeded+tries[1]/succeeded, 1, "several writes succeeded at the revisions %v of a pair with %v", m.revisions, m.first)
		if tries[0] > 0 && tries[1] > 0 {
			times++
		}
	}
	require.Positive(t, times, "no rivals met")
	return times
}

// replay goes through the events in order, and returns which records are off at the end. Each
// acknowledged write must have its events, and there may be no others.
func (o *outcomes) replay(t require.TestingT, pairs [][]record, events []store.Event) map[record]bool {
	off, last := map[record]bool{}, uint64(0)
	for len(events) > 0 {
		first := events[0]
		write, ok := o.written[first.Correlation]
		require.True(t, ok, "an event of write %s, which was not acknowledged, or again: %+v", first.Correlation, first)
		delete(o.written, first.Correlation)
		require.Greater(t, first.Revision, last)
		require.GreaterOrEqual(t, len(events), write.events)
		for i, event := range events[:write.events] {
			require.Equal(t, write.revision, event.Revision)
			require.Equal(t, i, event.Index)
			require.Equal(t, first.Correlation, event.Correlation)
			require.JSONEq(t, fmt.Sprintf(`{"off":%t}`, write.off), string(event.After))
		}
		last, events = first.Revision, events[write.events:]
		off[record{first.Organization, first.Key}] = write.off
		for _, pair := range pairs {
			require.False(t, off[pair[0]] && off[pair[1]], "both of %v are off after revision %d", pair, last)
		}
	}
	require.Empty(t, o.written, "writes without their events")
	return off
}

// followEvents reads events while they are written. The returned function waits for a
// revision and returns them.
func followEvents(t *testing.T, s store.Store) func(revision uint64) []store.Event {
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	var events []store.Event
	ended := make(chan error, 1)
	go func() {
		for page, err := range store.FollowEvents(ctx, s, store.EventRequest{}) {
			if err != nil {
				ended <- err
				return
			}
			mu.Lock()
			events = append(events, page.Events...)
			mu.Unlock()
		}
	}()
	return func(revision uint64) []store.Event {
		there := func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(events) > 0 && events[len(events)-1].Revision >= revision
		}
		for deadline := time.Now().Add(time.Minute); !there(); time.Sleep(time.Millisecond) {
			require.Empty(t, ended, "the follower ended")
			require.True(t, time.Now().Before(deadline), "the follower does not get on")
		}
		stop()
		require.ErrorIs(t, <-ended, context.Canceled)
		return events
	}
}
