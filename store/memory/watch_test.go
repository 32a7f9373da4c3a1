package memory

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

// put replaces an organization n times.
func put(t *testing.T, s *Store, n int) {
	t.Helper()
	organization, err := s.Organization(t.Context(), "acme")
	if err != nil {
		organization = policy.Organization{ID: "acme"}
	}
	for range n {
		organization, err = s.PutOrganization(t.Context(), organization)
		require.NoError(t, err)
	}
}

// One who watches and does not keep up is told so.
func TestWatchThatLags(t *testing.T) {
	s := New()
	put(t, s, 1)
	told, last := 0, uint64(0)
	var end error
	for change, err := range s.Watch(t.Context(), store.Position{}) {
		if err != nil {
			assert.Zero(t, change)
			end = err
			break
		}
		if told++; told == 1 {
			put(t, s, 2*keptChanges+10)
		}
		last = change.Revision
	}
	assert.ErrorIs(t, end, store.ErrCompacted)
	assert.EqualValues(t, 1, last)

	// From the revision of the store it goes on.
	latest, err := s.Position(t.Context())
	require.NoError(t, err)
	put(t, s, 1)
	for change, err := range s.Watch(t.Context(), latest) {
		require.NoError(t, err)
		assert.Equal(t, latest.Revision+1, change.Revision)
		break
	}
}

// at returns the position of a revision in the store's history.
func at(t *testing.T, s *Store, revision uint64) store.Position {
	latest, err := s.Position(t.Context())
	require.NoError(t, err)
	return store.Position{History: latest.History, Revision: revision}
}

// W9: each store has a history of its own, which no other knows.
func TestHistories(t *testing.T) {
	s, other := New(), New()
	put(t, s, 3)
	put(t, other, 3)
	assert.NotEqual(t, at(t, s, 3), at(t, other, 3))
	for _, after := range []store.Position{at(t, other, 3), at(t, other, 0), {Revision: 3}} {
		for _, err := range s.Watch(t.Context(), after) {
			assert.ErrorIs(t, err, store.ErrCompacted)
		}
	}
	for change, err := range s.Watch(t.Context(), store.Position{}) {
		require.NoError(t, err)
		if change.IsMark() {
			assert.Equal(t, at(t, s, 3), change.Position())
			break
		}
	}
}

// W4: a store that has not come so far is not the one that was watched.
func TestWatchFromTheFuture(t *testing.T) {
	s := New()
	put(t, s, 3)
	for _, after := range []uint64{4, math.MaxUint64} {
		told := 0
		for change, err := range s.Watch(t.Context(), at(t, s, after)) {
			assert.ErrorIs(t, err, store.ErrCompacted, "%+v", change)
			told++
		}
		assert.Equal(t, 1, told)
	}
}

// W6: everything first, one mark; then a mark after each change.
func TestWatchMarks(t *testing.T) {
	s := New()
	watch := func(after store.Position, n int) (told []string) {
		for change, err := range s.Watch(t.Context(), after) {
			require.NoError(t, err)
			switch {
			case change.IsMark():
				told = append(told, fmt.Sprint("mark ", change.Revision))
			case change.Deleted:
				told = append(told, fmt.Sprint("deleted ", change.Revision))
			default:
				told = append(told, fmt.Sprint(change.OrganizationRecord.ID, " ", change.Revision))
			}
			if len(told) == n {
				break
			}
		}
		return told
	}
	tell := func(after uint64, n int) []string {
		if after == 0 {
			return watch(store.Position{}, n)
		}
		return watch(at(t, s, after), n)
	}
	assert.Equal(t, []string{"mark 0"}, tell(0, 1))
	assert.Equal(t, []string{"mark 0"}, watch(at(t, s, 0), 1))
	put(t, s, 3)
	assert.Equal(t, []string{"acme 3", "mark 3"}, tell(0, 2))
	assert.Equal(t, []string{"acme 2", "mark 2", "acme 3", "mark 3"}, tell(1, 4))
	assert.Equal(t, []string{"mark 3"}, tell(3, 1))
	assert.Equal(t, []string{"acme 1", "mark 1", "acme 2", "mark 2"}, watch(at(t, s, 0), 4), "an empty store is a position too")
	require.NoError(t, s.DeleteOrganization(t.Context(), "acme", 0))
	assert.Equal(t, []string{"mark 4"}, tell(0, 1))
	assert.Equal(t, []string{"deleted 4", "mark 4"}, tell(3, 2))

	// To whoever stops anywhere, nothing more is told.
	put(t, s, 1)
	for stop := 1; stop <= 2; stop++ {
		assert.Len(t, tell(0, stop), stop)
		assert.Len(t, tell(4, stop), stop)
	}
}

func TestWatchLeavesNothingBehind(t *testing.T) {
	s := New()
	put(t, s, 3)
	for range s.Watch(t.Context(), store.Position{}) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range s.Watch(ctx, store.Position{}) {
		assert.ErrorIs(t, err, context.Canceled)
	}
	assert.Zero(t, s.waker.Waiting())
}
