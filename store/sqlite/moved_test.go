//go:build unix

package sqlite

import (
	"context"
	"database/sql"
	"iter"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

const (
	notThere = "the file that was opened is not there: "
	another  = "than the one that was opened: want it back at its path, or the store closed and opened again"
)

// A file that is taken away while it is open is noticed by every call, before it reads or
// writes what nobody else sees any more: an old key would let in whoever has it, and a
// write would be lost (W1, S4, S25).
func TestFileTakenAway(t *testing.T) {
	for _, c := range []struct {
		name, want string
		takeAway   func(path, copied string) error
	}{
		{"moved", notThere, func(path, _ string) error { return os.Rename(path, path+".moved") }},
		{"removed", notThere, func(path, _ string) error { return os.Remove(path) }},
		{"replaced", another, func(path, copied string) error { return os.Rename(copied, path) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, copied := twoKeys(t), twoKeys(t)
			s := open(t, path)
			require.NoError(t, os.Link(path, path+".kept"))
			before := contentsOf(t, s)
			next, stop := iter.Pull2(s.Watch(t.Context(), store.Position{}))
			defer stop()
			wantMark(t, next, 3)

			require.NoError(t, c.takeAway(path, copied))
			for name, call := range everyCall(t) {
				err := call(t.Context(), s)
				require.ErrorContains(t, err, "store/sqlite: ", name)
				require.ErrorContains(t, err, c.want, name)
			}
			wantUnavailable(t, s, "first")
			_, err, _ := next()
			require.ErrorContains(t, err, c.want, "a watch that was waiting")

			require.NoError(t, os.Rename(path+".kept", path))
			assert.True(t, before.equal(contentsOf(t, s)))
			_, mark := told(t, s, 3)
			assert.Equal(t, uint64(3), mark)
			putKey(t, s, newKey(t, "third", "acme"))
		})
	}
}

// A connection that is made after the file was replaced is not used.
func TestConnectionToAnotherFile(t *testing.T) {
	path, copied := twoKeys(t), twoKeys(t)
	s := open(t, path)
	require.NoError(t, os.Rename(copied, path))
	to, err := sqlite.NewConnector(uri(path))
	require.NoError(t, err)
	db := sql.OpenDB(connector{to, s.file, reading})
	defer func() { assert.NoError(t, db.Close()) }()
	require.ErrorContains(t, db.PingContext(t.Context()), "another file is at "+path+" "+another)
}

// A write that waited while its file was taken away is not acknowledged.
func TestFileTakenAwayFromAWaitingWrite(t *testing.T) {
	path := twoKeys(t)
	s := open(t, path)
	other := talkTo(t, "lock", path)
	other.ask("BEGIN IMMEDIATE")
	put := make(chan error, 1)
	go func() {
		_, err := s.PutOrganization(t.Context(), policy.Organization{ID: "other"})
		put <- err
	}()
	for waiting := false; !waiting; { // until the write is under way
		waiting = s.write.Stats().InUse == 1
	}
	require.NoError(t, os.Rename(path, path+".moved"))
	other.ask("ROLLBACK")
	require.ErrorContains(t, <-put, "store/sqlite: put an organization: "+notThere)
	require.NoError(t, s.Close())
	_, err := open(t, path+".moved").Organization(t.Context(), "other")
	require.ErrorIs(t, err, store.ErrNotFound)
}

// Those who wait for a write in a file that was taken away are woken, to find that out, and
// again when it is back and was written.
func TestPollingOfAFileTakenAway(t *testing.T) {
	path := twoKeys(t)
	s := open(t, path)
	more, leave := s.await()
	defer leave()
	<-more // to begin with
	require.NoError(t, os.Rename(path, path+".moved"))
	for range 2 { // as long as it is away
		select {
		case <-more:
		case <-time.After(time.Minute):
			require.Fail(t, "nobody was woken")
		}
	}
	require.NoError(t, os.Rename(path+".moved", path))

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	next, stop := iter.Pull2(s.Watch(ctx, store.Position{}))
	defer stop()
	wantMark(t, next, 3)
	wantMark(t, next, putKey(t, s, newKey(t, "third", "acme")).Revision)
}
