package sqlite

import (
	"bufio"
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	"github.com/sallyport-go/sallyport/policy"
	"github.com/sallyport-go/sallyport/store"
)

func init() {
	children["lock"] = lockOnDemand
}

// lockOnDemand is a child that runs the statements that it reads, as a tool does that
// locks the file.
func lockOnDemand(path string) error {
	db, err := sql.Open("sqlite", uri(path))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if _, err := db.Exec(in.Text()); err != nil {
			return err
		}
		fmt.Println("done")
	}
	return db.Close()
}

func briefly(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// While another process writes, reads go on. Writes wait for it, as long as their context
// or the store's patience, and change nothing if that is not long enough.
func TestLockedForWriting(t *testing.T) {
	path := twoKeys(t)
	s := open(t, path)
	before := contentsOf(t, s)
	other := talkTo(t, "lock", path)
	other.ask("BEGIN IMMEDIATE")

	for name, write := range map[string]func(ctx context.Context) error{
		"PutOrganization": func(ctx context.Context) error {
			_, err := s.PutOrganization(ctx, policy.Organization{ID: "other"})
			return err
		},
		"PutKey": func(ctx context.Context) error {
			_, err := s.PutKey(ctx, newKey(t, "third", "acme"), store.AllowOpen)
			return err
		},
		"DeleteKey":   func(ctx context.Context) error { return s.DeleteKey(ctx, "first", 0) },
		"Load":        func(ctx context.Context) error { return s.Load(ctx, nil, nil) },
		"RecordUsage": func(ctx context.Context) error { return s.RecordUsage(ctx, nil) },
	} {
		require.ErrorIs(t, write(briefly(t)), context.DeadlineExceeded, name)
		s.lockPatience = time.Millisecond
		err := write(t.Context())
		require.ErrorContains(t, err, "store/sqlite: ", name)
		require.ErrorContains(t, err, " for 1ms", name)
		require.ErrorIs(t, err, store.ErrNotWritten, name)
		require.ErrorIs(t, write(briefly(t)), store.ErrNotWritten, name)
		s.lockPatience = lockPatience
	}
	assert.True(t, before.equal(contentsOf(t, s)))
	assert.True(t, decide(s, "first", "192.0.2.1").Allowed())
	_, err := open(t, path).Key(t.Context(), "first")
	require.NoError(t, err, "opened meanwhile")

	// A write that waits gets its turn, and so do others behind it.
	done := make(chan error)
	for range 2 {
		go func() {
			_, err := s.PutOrganization(t.Context(), policy.Organization{ID: "other"})
			done <- err
		}()
	}
	other.ask("ROLLBACK")
	first, second := <-done, <-done
	if first != nil {
		first, second = second, first
	}
	require.NoError(t, first)
	require.ErrorIs(t, second, store.ErrExists)
}

// A file that a tool has locked as a whole is no answer: not that a key is not there.
func TestLockedForReading(t *testing.T) {
	path := twoKeys(t)
	other := talkTo(t, "lock", path)
	other.ask("PRAGMA locking_mode = EXCLUSIVE")
	other.ask("UPDATE progress SET revision = revision")

	_, err := Open(briefly(t), path)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	other.end()
	s := open(t, path)
	assert.True(t, decide(s, "first", "192.0.2.1").Allowed())
}

// What waits for another process is told what for.
func TestWhileLocked(t *testing.T) {
	path := twoKeys(t)
	s := open(t, path)
	other := talkTo(t, "lock", path)
	other.ask("BEGIN IMMEDIATE")
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := s.PutOrganization(ctx, policy.Organization{ID: "other"})
	require.ErrorContains(t, err, "store/sqlite: put an organization: context deadline exceeded, while waiting for another process: ")
	assert.True(t, strings.Contains(err.Error(), "locked"), err)
	other.ask("COMMIT")
}

// Those who write in one process wait together for another one, and not one after the
// other: who has waited for its turn has no more time after it.
func TestWritersWaitTogether(t *testing.T) {
	path := twoKeys(t)
	s := open(t, path)
	other := talkTo(t, "lock", path)
	other.ask("BEGIN IMMEDIATE")
	attempts := 0
	err := s.whileLockedSince(t.Context(), time.Now().Add(-s.lockPatience), func() error {
		attempts++
		tx, err := s.write.BeginTx(t.Context(), nil)
		if err == nil {
			_ = tx.Rollback()
		}
		return err
	})
	require.ErrorContains(t, err, "another process has had it locked for 10s: ")
	assert.Equal(t, 1, attempts)
	other.ask("ROLLBACK")

	conn, err := s.write.Conn(t.Context())
	require.NoError(t, err)
	_, err = s.turn(t.Context(), time.Now().Add(-s.lockPatience))
	require.EqualError(t, err, "other writes of this process have kept it waiting for 10s")
	s.lockPatience = 10 * time.Millisecond
	_, err = s.PutOrganization(t.Context(), policy.Organization{ID: "too late"})
	require.EqualError(t, err, "store/sqlite: put an organization: other writes of this process have kept it waiting for 10ms")
	require.NoError(t, conn.Close())
}

// A busyConnector finds the file locked by another process for some time.
type busyConnector struct {
	driver.Connector
	attempts atomic.Int32 // that are still to fail
	err      error
}

func (c *busyConnector) Connect(ctx context.Context) (driver.Conn, error) {
	if c.attempts.Add(-1) >= 0 {
		return nil, c.err
	}
	return c.Connector.Connect(ctx)
}

// lockedError returns SQLite's error about a file that is locked.
func lockedError(t testing.TB) error {
	t.Helper()
	path := twoKeys(t)
	other := talkTo(t, "lock", path)
	other.ask("BEGIN IMMEDIATE")
	db, err := sql.Open("sqlite", uri(path))
	require.NoError(t, err)
	defer func() { assert.NoError(t, db.Close()) }()
	_, err = db.Exec("UPDATE progress SET revision = revision")
	require.True(t, isLocked(err), "%v", err)
	return err
}

// While another process recovers the log after a crash, nothing can be read: every call
// waits for it.
func TestEveryCallWaits(t *testing.T) {
	locked := lockedError(t)
	for name, call := range everyCall(t) {
		t.Run(name, func(t *testing.T) {
			path := twoKeys(t)
			putOrganization(t, open(t, path), "spare")
			to, err := sqlite.NewConnector(uri(path))
			require.NoError(t, err)
			c := &busyConnector{Connector: to, err: locked}
			s, err := openFile(t.Context(), path, c, bringUpToDate)
			require.NoError(t, err)
			defer func() { assert.NoError(t, s.Close()) }()
			for _, d := range []database{s.read, s.write, s.feed} {
				d.SetMaxIdleConns(-1) // so that the call has to connect
			}
			c.attempts.Store(3)
			require.NoError(t, call(t.Context(), s))
			assert.Negative(t, c.attempts.Load())
		})
	}
}

// Close waits for what is under way, and nothing begins after it.
func TestCloseWaits(t *testing.T) {
	path := twoKeys(t)
	s, err := Open(t.Context(), path)
	require.NoError(t, err)
	other := talkTo(t, "lock", path)
	other.ask("BEGIN IMMEDIATE")
	put, closed := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.PutOrganization(t.Context(), policy.Organization{ID: "other"})
		put <- err
	}()
	for waiting := false; !waiting; { // until the write is under way
		waiting = s.write.Stats().InUse == 1
	}
	go func() { closed <- s.Close() }()
	for {
		if _, err := revisionOf(t.Context(), s); err != nil {
			require.ErrorIs(t, err, store.ErrClosed)
			break
		}
	}
	select {
	case <-closed:
		assert.Fail(t, "Close did not wait for a write")
	default:
	}
	other.ask("ROLLBACK")
	require.NoError(t, <-put)
	require.NoError(t, <-closed)
	_, err = open(t, path).Organization(t.Context(), "other")
	require.NoError(t, err)
}
