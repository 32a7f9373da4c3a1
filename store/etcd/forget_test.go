package etcd

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// Events are forgotten at once, and deleted afterwards. If that ends in the middle they
// stay forgotten, and the next time all are deleted.
func TestForgettingIsInterrupted(t *testing.T) {
	s, f := opened(t)
	const organizations = 2*sweepOrganizations + 3
	for n := range organizations {
		_, err := writeIn(t, s, fmt.Sprint("org-", n), "old")
		require.NoError(t, err)
	}
	through := positionOf(t, s)
	write(t, s, "new")
	w := store.Write{Forget: &through, Events: []store.Event{newEvent("", "", "forgotten")}}
	for done := 2; done < 6; done++ { // transactions; the second forgets
		left := done
		f.inject(func(any) error {
			if left--; left < 0 {
				return rpctypes.ErrGRPCNoSpace
			}
			return nil
		}, nil)
		_, err := s.Write(t.Context(), w)
		require.ErrorIs(t, err, rpctypes.ErrNoSpace)
		require.ErrorContains(t, err, "forget them again")
		f.inject(nil, nil)
		for _, request := range []store.EventRequest{{}, {Newest: true}, {Organization: "org-0"}, {Organization: "org-0", Newest: true}, {After: through}} {
			require.NotContains(t, reasons(t, s, request), "old")
		}
		_, err = s.Events(t.Context(), store.EventRequest{After: store.Position{History: through.History, Revision: through.Revision - 1}})
		require.ErrorIs(t, err, store.ErrCompacted)
	}
	require.Contains(t, strings.Join(f.stored(prefix+"events/"), " "), "org-")
	left := len(f.stored(prefix + "events/of/"))
	require.Less(t, left, 2*organizations)

	through.Revision-- // less than what is forgotten already
	_, err := s.Write(t.Context(), w)
	require.NoError(t, err)
	require.Len(t, f.stored(prefix+"events/of/"), 2, "those of new")
	require.NotContains(t, strings.Join(f.stored(prefix+"events/"), " "), "org-")
	require.Len(t, f.stored(prefix+"events/all/oldest/"), len(reasons(t, s, store.EventRequest{})))
	require.Len(t, f.stored(prefix+"events/all/newest/"), len(reasons(t, s, store.EventRequest{})))
}

// Writes with events are made while forgotten events are deleted.
func TestForgettingHoldsUpNoWrite(t *testing.T) {
	s, f := opened(t)
	var all store.Position
	for n := range 3 {
		write(t, s, fmt.Sprint(n))
		all = positionOf(t, s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var meanwhile error
	f.during(3, func() {
		_, meanwhile = s.Write(ctx, store.Write{PutOrganization: &policy.Organization{ID: "new"}, Events: []store.Event{newEvent("new", "", "meanwhile")}})
	})
	_, err := s.Write(t.Context(), store.Write{Forget: &all})
	require.NoError(t, err)
	require.NoError(t, meanwhile)
	require.Equal(t, []string{"meanwhile"}, reasons(t, s, store.EventRequest{}))
	require.Len(t, f.stored(prefix+"events/"), 4, "those of the Write in between")
}

// What is to be deleted is not deleted from a cluster that has gone back, and is left to a
// process that forgets more.
func TestForgettingMeetsAnother(t *testing.T) {
	s, f := opened(t)
	write(t, s, "first")
	restore := f.snapshot()
	second := write(t, s, "second")
	third := write(t, s, "third")
	position := func(revision uint64) *store.Position {
		return &store.Position{History: positionOf(t, s).History, Revision: revision}
	}
	later := 0 // transactions after it was overtaken
	f.during(4, func() {
		forgetUpTo(t, open(t, s.client), third)
		f.inject(func(any) error { later++; return nil }, nil)
	})
	_, err := s.Write(t.Context(), store.Write{Forget: position(second)})
	require.NoError(t, err)
	require.Empty(t, f.stored(prefix+"events/"))
	require.Zero(t, later, "the sweep of the other has deleted all")
	f.inject(nil, nil)

	write(t, s, "fourth")
	latest := *position(positionOf(t, s).Revision)
	f.during(3, func() {
		restore(1000)
		write(t, open(t, s.client), "of the other past")
	})
	_, err = s.Write(t.Context(), store.Write{Forget: &latest})
	require.ErrorContains(t, err, "the cluster was restored meanwhile")
	require.Equal(t, []string{"first", "of the other past"}, reasons(t, s, store.EventRequest{}))
}

// A position is in the past whatever etcd has compacted, until events after it are forgotten,
// and then its history is forgotten too.
func TestHistoriesAreKept(t *testing.T) {
	s, f := opened(t)
	never := store.Position{History: "never"}
	_, err := s.Events(t.Context(), store.EventRequest{After: never})
	require.ErrorIs(t, err, store.ErrCompacted)
	var positions []store.Position
	for n := range 250 { // more than are deleted at a time
		s = open(t, s.client)
		write(t, s, fmt.Sprint(n))
		positions = append(positions, positionOf(t, s))
	}
	f.compact()
	s = open(t, s.client)
	for n, p := range positions {
		page, err := s.Events(t.Context(), store.EventRequest{After: p, Limit: 1})
		require.NoError(t, err)
		if n < len(positions)-1 {
			require.Equal(t, fmt.Sprint(n+1), page.Events[0].Reason)
		}
		after := p
		after.Revision++
		_, err = s.Events(t.Context(), store.EventRequest{After: after})
		require.ErrorIs(t, err, store.ErrCompacted, "%+v, which was of a later history", after)
	}
	require.Len(t, f.stored(prefix+"histories/"), 252) // with the first two
	_, err = s.Write(t.Context(), store.Write{Forget: &positions[230]})
	require.NoError(t, err)
	require.Len(t, f.stored(prefix+"histories/"), 21) // with that of forgetting
	for n, p := range positions {
		_, err := s.Events(t.Context(), store.EventRequest{After: p})
		if n < 230 {
			require.ErrorIs(t, err, store.ErrCompacted)
		} else {
			require.NoError(t, err)
		}
	}
}

// Stores that begin to write at the same time each begin a history, and all are kept.
func TestHistoriesBeginTogether(t *testing.T) {
	s, f := opened(t)
	const stores = 8
	var writing sync.WaitGroup
	for n := range stores {
		other := open(t, s.client)
		writing.Go(func() {
			if _, err := writeIn(t, other, fmt.Sprint("org-", n), "one"); err != nil {
				t.Error(err)
			}
		})
	}
	writing.Wait()
	require.Len(t, reasons(t, s, store.EventRequest{}), stores)
	f.mu.Lock()
	begun := map[string]uint64{} // by history, its latest revision
	for _, value := range f.versions[prefix+"revision"] {
		begun[string(value.Value)] = revisionOf(value)
	}
	f.mu.Unlock()
	require.Len(t, f.stored(prefix+"histories/"), len(begun))
	for history, revision := range begun {
		require.Equal(t, fmt.Sprint(revision), fmt.Sprint(f.at(s.names.history(history), 0).ModRevision))
	}
}
