package postgres

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// channel is the channel of notifications. Their message is the schema, with the latest
// revision if the store sent it: "sallyport 1234".
const channel = "sallyport"

const (
	// In the transaction of a write.
	notifySQL = `SELECT pg_notify($1, $2::text || ' ' || max(revision)) FROM sallyport.changes`

	// By itself, for writes that are durable already: its own commit need not be.
	notifyLaterSQL = `SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)`

	// Each listening connection has a share of this lock, for countFollowersSQL. Like
	// LISTEN, and unlike a row, it ends with the connection. Everybody may see locks. A
	// stranger who takes it too can only lengthen the pause, to a second.
	followLockSQL = `SELECT pg_try_advisory_lock_shared(23058, hashtext($1))`

	countFollowersSQL = `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 23058 AND objid = hashtext($1)::oid AND objsubid = 2
	AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
)

// A notification takes the server and its clients 0.3 to 0.6 ms of processor time for each
// follower: it wakes a process on both sides, which then reads. So with n followers there is
// at most one in n milliseconds, however many writes there are. After pollInterval followers
// look by themselves.
const (
	pausePerFollower = time.Millisecond
	countInterval    = time.Second // between two counts of the followers, while writing
)

// A notifier decides which writes of a store notify the followers. The first write after a
// pause does so in its own transaction. A sooner write is covered by a later one, of any
// process, or else by a notification that a timer sends. If this process ends before that,
// followers look by themselves.
type notifier struct {
	pool   *pgxpool.Pool
	schema string

	counting sync.Mutex // held to count

	mu        sync.Mutex // guards the fields below
	followers int
	counted   time.Time
	last      time.Time   // when the latest notification was sent or heard
	owed      uint64      // latest revision without a notification, zero if there is none
	timer     *time.Timer // runs while one is owed
	closed    bool

	sending sync.WaitGroup
}

// pause is the shortest time between two notifications. The lock is held.
func (n *notifier) pause() time.Duration {
	return min(time.Duration(n.followers)*pausePerFollower, pollInterval)
}

// claim reports whether a write is to notify the followers itself.
func (n *notifier) claim(ctx context.Context) bool {
	n.mu.Lock()
	soon := time.Since(n.last) < pollInterval
	n.mu.Unlock()
	if soon {
		n.count(ctx)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if time.Since(n.last) < n.pause() {
		return false
	}
	n.last = time.Now()
	return true
}

// count counts the followers, unless they were counted lately. A failure is no reason to fail
// the write: the number stays, at first zero, with which every write notifies.
func (n *notifier) count(ctx context.Context) {
	if !n.counting.TryLock() {
		return
	}
	defer n.counting.Unlock()
	n.mu.Lock()
	due := time.Since(n.counted) > countInterval
	n.mu.Unlock()
	if !due {
		return
	}
	var followers int
	err := n.pool.QueryRow(ctx, countFollowersSQL, n.schema).Scan(&followers)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.counted = time.Now()
	if err == nil {
		n.followers = followers
	}
}

// owe has a notification sent for a write without one.
func (n *notifier) owe(revision uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.owed = max(n.owed, revision); n.timer == nil && !n.closed {
		// A little later than the next write would, and not when other processes do.
		pause := n.pause()
		n.timer = time.AfterFunc(time.Until(n.last.Add(pause+rand.N(pause/2+1))), n.send)
	}
}

// notified notes a notification of a revision, of this process or another. Writes become
// visible in the order of their revisions, so it covers all up to its own.
func (n *notifier) notified(revision uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last = time.Now()
	if n.owed <= revision {
		n.settle()
	}
}

// settle forgets what is owed. The lock is held.
func (n *notifier) settle() {
	n.owed = 0
	if n.timer != nil {
		n.timer.Stop()
		n.timer = nil
	}
}

// send sends the notification that is owed, if any.
func (n *notifier) send() {
	n.mu.Lock()
	owed := n.owed
	n.settle()
	if owed > 0 {
		n.last = time.Now()
		n.sending.Add(1)
		defer n.sending.Done()
	}
	n.mu.Unlock()
	if owed > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), pollInterval) // later it would tell nobody anything new
		defer cancel()
		_, _ = n.pool.Exec(ctx, notifyLaterSQL, channel, n.schema+" "+strconv.FormatUint(owed, 10))
	}
}

// close sends what is owed, and waits for it.
func (n *notifier) close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.send()
	n.sending.Wait()
}

// concerns reports whether a notification is for a schema, and returns its revision, zero if
// it has none.
func concerns(message, schema string) (revision uint64, is bool) {
	rest, is := strings.CutPrefix(message, schema)
	if !is || rest == "" {
		return 0, is
	}
	number, is := strings.CutPrefix(rest, " ")
	revision, err := strconv.ParseUint(number, 10, 64)
	return revision, is && err == nil
}
