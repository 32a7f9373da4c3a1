package etcd

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/store"
)

// rewrite replaces the organization acme, so that the store has written.
func rewrite(t testing.TB, s *Store) store.Position {
	t.Helper()
	acme, err := s.Organization(t.Context(), "acme")
	require.NoError(t, err)
	acme, err = s.PutOrganization(t.Context(), acme)
	require.NoError(t, err)
	latest, err := s.Position(t.Context())
	require.NoError(t, err)
	require.Equal(t, acme.Revision, latest.Revision)
	return latest
}

// isPast reports whether a watch goes on from a position.
func isPast(t testing.TB, s *Store, p store.Position) bool {
	t.Helper()
	for _, err := range s.Watch(t.Context(), p) {
		if err != nil {
			require.ErrorIs(t, err, store.ErrCompacted)
		}
		return err == nil
	}
	return false
}

// A cluster restored without --bump-revision gives the revisions since the snapshot again.
// By their histories positions are told apart nevertheless.
func TestRestoredWithoutBump(t *testing.T) {
	s, f := opened(t)
	kept := rewrite(t, s)
	restore := f.snapshot()
	var lost []store.Position
	for range 5 {
		lost = append(lost, rewrite(t, s))
	}
	require.NoError(t, s.Close())
	restore(0)
	s = open(t, s.client)
	for n := range 8 {
		for _, p := range lost {
			require.False(t, isPast(t, s, p), "%+v, after %d writes", p, n)
		}
		require.True(t, isPast(t, s, kept))
		now := rewrite(t, s)
		require.NotEqual(t, kept.History, now.History)
		require.Equal(t, kept.Revision+uint64(n)+1, now.Revision, "as lost")
	}
}

// Stores go on in the history of the one that began to write last, if what they know is in
// its past.
func TestOneHistoryForAll(t *testing.T) {
	first, f := opened(t)
	begun := rewrite(t, first)
	require.Equal(t, begun.History, rewrite(t, first).History)
	second := open(t, first.client)
	next := rewrite(t, second)
	require.NotEqual(t, begun.History, next.History)
	for range 3 { // without taking turns
		require.Equal(t, next.History, rewrite(t, first).History)
		require.Equal(t, next.History, rewrite(t, second).History)
	}
	for _, p := range []store.Position{begun, next} {
		require.True(t, isPast(t, second, p))
	}

	// What a Store knows was compacted: it begins a history, to be sure.
	third := open(t, first.client)
	rewrite(t, third)
	f.compact()
	require.NotEqual(t, next.History, rewrite(t, first).History)
}

// A cluster goes back under two Stores that go on. The first finds that its latest write is
// gone. The second, which has lost its connection, does not ask.
func TestRestoredUnderneath(t *testing.T) {
	first, f := opened(t)
	rewrite(t, first)
	restore := f.snapshot()
	lost := rewrite(t, first)
	restore(0)
	other := open(t, first.client)
	rewrite(t, other) // at the lost revision
	now := rewrite(t, first)
	require.NotEqual(t, lost.History, now.History)
	require.False(t, isPast(t, first, lost))

	known, _ := other.line.current()
	require.NotZero(t, known)
	other.line.leave() // as leaveWhenCut does
	require.NotEqual(t, now.History, rewrite(t, other).History)
}

// A cluster goes back under a Store that goes on, as behind a proxy that keeps its connection.
// Nobody else has written since.
func TestRestoredBehindAProxy(t *testing.T) {
	s, f := opened(t)
	kept := rewrite(t, s)
	restore := f.snapshot()
	var lost []store.Position
	for range 3 {
		lost = append(lost, rewrite(t, s))
	}
	restore(0)
	now := rewrite(t, s)
	require.NotEqual(t, kept.History, now.History)
	require.Equal(t, now.History, rewrite(t, s).History)
	for _, p := range lost {
		require.False(t, isPast(t, s, p), "%+v", p)
	}
	require.True(t, isPast(t, s, kept))

	// The lost write is another's, and Position has shown it.
	other := open(t, s.client)
	rewrite(t, other)
	now = rewrite(t, s)
	restore = f.snapshot()
	rewrite(t, other)
	seen, err := s.Position(t.Context())
	require.NoError(t, err)
	require.Equal(t, now.History, seen.History)
	restore(0)
	require.NotEqual(t, seen.History, rewrite(t, s).History)
	require.False(t, isPast(t, s, seen))
}

// The name of the history is deleted or emptied by hand. Nothing is taken for one. The next
// write of this package mends it.
func TestHistoryWithoutName(t *testing.T) {
	s, f := opened(t)
	latest := rewrite(t, s)
	f.put(prefix+"revision", "")
	_, err := s.Position(t.Context())
	require.ErrorIs(t, err, errNoHistory)
	require.ErrorContains(t, err, "/sallyport/revision is absent or empty: want the name of a history")
	for _, after := range []store.Position{{}, latest} {
		for _, err := range s.Watch(t.Context(), after) {
			require.ErrorIs(t, err, errNoHistory)
			break
		}
	}
	require.NotEqual(t, latest.History, rewrite(t, s).History)

	// Under a running watch.
	told, ended := 0, error(nil)
	for _, err := range s.Watch(t.Context(), store.Position{}) {
		if err != nil {
			ended = err
			break
		}
		if told++; told == 3 { // two records and a mark
			f.put(prefix+"revision", "")
		}
	}
	require.ErrorIs(t, ended, errNoHistory)
}

// A cluster that goes back between the look at its history and the beginning of a watch.
func TestRestoredBeforeTheWatchBegins(t *testing.T) {
	s, f := opened(t)
	rewrite(t, s)
	restore := f.snapshot()
	lost := rewrite(t, s)
	done := false
	f.inject(func(request any) error {
		if _, watch := request.(interface{ GetStartRevision() int64 }); watch && !done {
			done = true
			f.mu.Unlock()
			restore(0)
			f.mu.Lock()
		}
		return nil
	}, nil)
	for _, err := range s.Watch(t.Context(), lost) {
		require.ErrorIs(t, err, store.ErrCompacted)
		break
	}
	require.True(t, done)
}
