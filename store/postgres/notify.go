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
	// With a write's own records, in its transaction.
	notifySQL = `SELECT pg_notify($1, $2::text || ' ' || max(revision)) FROM sallyport.changes`

	// By itself, for writes that are durable already.
	notifyLaterSQL = `SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)`

	// A listening connection holds this lock, shared, so that writers can count them.
	followLockSQL = `SELECT pg_try_advisory_lock_shared(23058, hashtext($1))`

	countFollowersSQL = `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 23058 AND objid = hashtext($1)::oid AND objsubid = 2
	AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
)

// A notification costs the server and its clients some 0.3 ms of a processor for each
// follower: it wakes a process on both sides, and then each follower reads. So with n
// followers there is at most one in n milliseconds, or in pollInterval, when followers look by
// themselves.
const (
	pausePerFollower = time.Millisecond
	countInterval    = time.Second // between two counts of the followers, while writing
)

// A notifier decides which writes notify the followers. The first write after a pause does
// so in its own transaction, and its followers know it at once. Those that come sooner are
// covered by the next that does not, or by a notification that a timer sends. If the process
// ends before that, followers look by themselves (pollInterval).
type notifier struct {
	pool   *pgxpool.Pool
	schema string

	counting sync.Mutex // held to count

	mu        sync.Mutex // guards the fields below
	followers int
	counted   time.Time
	last      time.Time   // when the latest notification was sent, or heard of another process
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

// count counts the followers, unless they were lately. Where the server does not tell, there
// are none, and every write notifies.
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
	if n.pool.QueryRow(ctx, countFollowersSQL, n.schema).Scan(&followers) != nil {
		followers = 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.followers, n.counted = followers, time.Now()
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
		ctx, cancel := context.WithTimeout(context.Background(), pingTimeout)
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
