package sqlite

import (
	"context"
	"fmt"
	"iter"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/store"
)

// wantMark pulls changes up to a mark that is not before a revision.
func wantMark(t testing.TB, next func() (store.Change, error, bool), revision uint64) (changes []store.Change) {
	t.Helper()
	for {
		change, err, ok := next()
		require.True(t, ok)
		require.NoError(t, err)
		if change.IsMark() && change.Revision >= revision {
			return changes
		}
		changes = append(changes, change)
	}
}

// Of a record that was written several times the latest is told, once, and of one that was
// deleted, once that it was.
func TestWatchTellsTheLatest(t *testing.T) {
	s := open(t, newPath(t))
	ctx := t.Context()
	putOrganization(t, s, "acme")
	brief := putOrganization(t, s, "brief")
	_, mark := told(t, s, 0)
	key := putKey(t, s, newKey(t, "key", "acme"))
	for range 3 {
		key = putKey(t, s, key)
	}
	for range 3 {
		putKey(t, s, newKey(t, "gone", "brief"))
		require.NoError(t, s.DeleteKey(ctx, "gone", 0))
		putKey(t, s, newKey(t, "moved", "brief"))
		require.NoError(t, s.DeleteKey(ctx, "moved", 0))
	}
	moved := putKey(t, s, newKey(t, "moved", "acme"))
	require.NoError(t, s.DeleteOrganization(ctx, "brief", brief.Revision))
	brief = putOrganization(t, s, "brief")

	changes, latest := told(t, s, mark)
	byName := map[string]store.Change{}
	for _, change := range changes {
		name := string(change.Key)
		if name == "" {
			name = change.Organization
		}
		assert.NotContains(t, byName, name)
		byName[name] = change
	}
	assert.Len(t, byName, 4)
	assert.Equal(t, store.Change{Revision: key.Revision, Organization: "acme", Key: "key", KeyRecord: &key}, byName["key"])
	assert.Equal(t, store.Change{Revision: moved.Revision, Organization: "acme", Key: "moved", KeyRecord: &moved}, byName["moved"])
	assert.Equal(t, store.Change{Revision: brief.Revision, Organization: "brief", OrganizationRecord: &brief}, byName["brief"])
	assert.True(t, byName["gone"].Deleted)
	assert.Equal(t, brief.Revision, latest)
}

// Changes are forgotten after so many that followed, and no sooner (W4).
func TestChangesAreForgotten(t *testing.T) {
	s := open(t, newPath(t))
	s.keptChanges = 200
	organization := putOrganization(t, s, "acme")
	oldest := func() (revision uint64) {
		require.NoError(t, s.read.QueryRow("SELECT min(revision) FROM changes").Scan(&revision))
		return revision
	}
	for organization.Revision < 500 {
		var err error
		organization, err = s.PutOrganization(t.Context(), organization)
		require.NoError(t, err)
		if latest := organization.Revision; latest > s.keptChanges {
			assert.LessOrEqual(t, oldest(), latest-s.keptChanges+1)
			assert.GreaterOrEqual(t, oldest()+2, latest-s.keptChanges+1, "a hundredth of what is kept is forgotten at a time")
		}
	}
	for _, after := range []uint64{1, 100, oldest() - 2} {
		err := watchError(t, s, after)
		require.ErrorIs(t, err, store.ErrCompacted)
		require.ErrorContains(t, err, fmt.Sprintf("store: a watch from revision %d, of a store that knows the changes after %d: ", after, oldest()-1))
	}
	for _, after := range []uint64{oldest() - 1, oldest(), 499} {
		changes, mark := told(t, s, after)
		assert.Len(t, changes, 1)
		assert.Equal(t, organization.Revision, mark)
	}
	// A Load takes several steps at once.
	var keys []apikey.Key
	for i := range 300 {
		keys = append(keys, newKey(t, apikey.ID(fmt.Sprint("key-", i)), "acme"))
	}
	require.NoError(t, s.Load(t.Context(), nil, keys, store.AllowOpen))
	assert.Equal(t, uint64(601), oldest())
	require.ErrorIs(t, watchError(t, s, 500), store.ErrCompacted)
}

// A store whose revision was raised after a change by hand sends everybody back to
// the beginning, as the package's documentation says.
func TestRevisionRaisedByHand(t *testing.T) {
	path := twoKeys(t)
	sqlTo(t, path, "UPDATE progress SET revision = revision + 1, forgotten = revision + 1")
	s := open(t, path)
	for _, after := range []uint64{1, 3, 1000} {
		require.ErrorIs(t, watchError(t, s, after), store.ErrCompacted)
	}
	changes, mark := told(t, s, 0)
	assert.Len(t, changes, 3)
	assert.Equal(t, uint64(4), mark)
	_, latest := told(t, s, mark)
	assert.Equal(t, mark, latest)
	assert.Greater(t, putKey(t, s, newKey(t, "third", "acme")).Revision, uint64(4))
}

// logIsFree reports whether the log can be used anew, which no transaction that reads
// then keeps from it.
func logIsFree(t testing.TB, s *Store) bool {
	t.Helper()
	var busy, frames, written int
	require.NoError(t, s.write.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &written))
	return busy == 0
}

// Somebody who stops in the middle of a batch holds up no write and keeps the log from
// being used anew; but not for longer than the store's patience. At a mark nothing is
// kept.
func TestStoppedWatcherIsLeft(t *testing.T) {
	s := open(t, newPath(t))
	s.watchPatience = 3 * time.Second // which begins before the first change is read
	putOrganization(t, s, "acme")
	putOrganization(t, s, "other")
	for _, after := range []uint64{0, 1} {
		putKey(t, s, newKey(t, apikey.ID(fmt.Sprint("before-", after)), "acme"))
		next, stop := iter.Pull2(s.Watch(t.Context(), at(s, after)))
		_, err, _ := next()
		require.NoError(t, err)
		putKey(t, s, newKey(t, apikey.ID(fmt.Sprint("key-", after)), "acme"))
		require.Eventually(t, func() bool { return logIsFree(t, s) }, time.Minute, time.Millisecond)
		change, err, ok := next()
		assert.True(t, ok)
		assert.Equal(t, store.Change{}, change)
		require.ErrorIs(t, err, errNotTaken)
		_, _, ok = next()
		assert.False(t, ok)
		stop()
	}

	next, stop := iter.Pull2(s.Watch(t.Context(), store.Position{}))
	defer stop()
	wantMark(t, next, 1)
	assert.True(t, logIsFree(t, s))
	time.Sleep(s.watchPatience + time.Second) // which is over a mark
	wantMark(t, next, putKey(t, s, newKey(t, "last", "acme")).Revision)
}

// A slow consumer is not a stopped one: its patience is for each change.
func TestSlowWatcherIsNotLeft(t *testing.T) {
	s := open(t, newPath(t))
	s.watchPatience = 10 * time.Second // a busy machine may stop this process for some seconds
	for i := range 10 {
		putOrganization(t, s, fmt.Sprint("organization ", i))
	}
	began, n := time.Now(), 0
	for change, err := range s.Watch(t.Context(), store.Position{}) {
		require.NoError(t, err)
		if change.IsMark() {
			break
		}
		n++
		time.Sleep(1100 * time.Millisecond)
	}
	assert.Equal(t, 10, n)
	assert.Greater(t, time.Since(began), s.watchPatience)
}

// Close does not wait for somebody who stands still in the middle of a watch, and leaves
// nothing open.
func TestCloseDuringWatch(t *testing.T) {
	path := twoKeys(t)
	s, err := Open(t.Context(), path)
	require.NoError(t, err)
	next, stop := iter.Pull2(s.Watch(t.Context(), store.Position{}))
	defer stop()
	_, err, _ = next()
	require.NoError(t, err)
	require.NoError(t, s.Close())
	assert.Zero(t, s.feed.Stats().OpenConnections)
	_, err = os.Stat(path + "-wal")
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err, _ = next()
	require.ErrorIs(t, err, store.ErrClosed)
	require.ErrorIs(t, watchError(t, s, 0), store.ErrClosed)
}

// The file is asked for writes only as long as somebody watches.
func TestPollingEnds(t *testing.T) {
	s := shared(t)
	assert.Zero(t, s.feed.Stats().InUse)
	for range 3 {
		next, stop := iter.Pull2(s.Watch(t.Context(), store.Position{}))
		other, stopOther := iter.Pull2(s.Watch(t.Context(), at(s, 1)))
		wantMark(t, next, 0)
		wantMark(t, other, 0)
		require.Eventually(t, func() bool { return s.feed.Stats().InUse == 1 }, time.Minute, time.Millisecond)
		stop()
		wantMark(t, other, putKey(t, s, newKey(t, apikey.NewID(), "acme")).Revision)
		assert.Equal(t, 1, s.feed.Stats().InUse)
		stopOther()
		require.Eventually(t, func() bool { return s.feed.Stats().InUse == 0 }, time.Minute, time.Millisecond)
	}
}

// When asking fails, those who watch look for themselves, and it is asked again.
func TestPollingSurvivesFailures(t *testing.T) {
	path := twoKeys(t)
	to, err := sqlite.NewConnector(uri(path))
	require.NoError(t, err)
	f := &faults{left: -1}
	s, err := openFile(t.Context(), path, faultyConnector{to, f}, bringUpToDate)
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.Close()) }()
	next, stop := iter.Pull2(s.Watch(t.Context(), store.Position{}))
	defer stop()
	wantMark(t, next, 3)
	for n := range 10 {
		f.after(n) // nobody else asks anything now
		require.Eventually(t, f.happened, time.Minute, time.Millisecond)
		assert.True(t, f.heal())
		wantMark(t, next, putKey(t, s, newKey(t, apikey.NewID(), "acme")).Revision)
	}
}

// A watch that is gone on with after its context has ended tells no more.
func TestWatchEndsInTheMiddle(t *testing.T) {
	s := open(t, twoKeys(t))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for _, err := range s.Watch(ctx, store.Position{}) {
		if n++; n == 1 {
			require.NoError(t, err)
			cancel()
		} else {
			require.ErrorIs(t, err, context.Canceled)
		}
	}
	assert.Equal(t, 2, n)
}
