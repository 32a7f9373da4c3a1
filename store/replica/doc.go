// Package replica answers look-ups from a copy of a store in this process, that follows
// the store's change feed and can prove that it is fresh: decisions take as long as
// with package memory, and a look at the clock; a flood of guessed keys never reaches
// the database; and a key that was revoked stops working here within a bound that is
// known.
//
//	keys, err := replica.New(database)
//	if err != nil { … }
//	defer keys.Close()
//	if err := keys.Ready(ctx); err != nil { … }
//	engine := policy.New(keys)
//
// Records are administered in the store itself, which is where they are compared and
// swapped; the copy is for decisions only.
//
// Do not use it for a store whose keys do not fit into memory, some 650 bytes each with
// one entry, nor in a process that makes one decision and ends: it loads everything
// first. For those, give the store itself to policy.New; each decision then waits for
// the database.
//
// # What it guarantees
//
// An answer is never older than the bound that [WithMaxStaleness] sets. If a write was acknowledged to
// any process longer ago than that, every look-up that begins here either sees the
// write (or a later one), or fails with ErrStale, and the decision is unavailable. It
// does not matter what broke: the connection, the feed, the store's leader, the log of
// changes, or the clock. And an answer is of one moment: a key and its organization
// were in the store together.
//
// The usual delay is much shorter, as the store's documentation says: the feed tells of
// a write within milliseconds. The bound is what holds when it does not.
//
// # How freshness is proven
//
// A feed that says nothing may have nothing to say or may be dead. So ten times within
// the bound the store is asked for its latest revision, apart from the feed. If it says
// R, asked at a time T, and the copy is as of R or later, then the copy has everything
// that was acknowledged before T (W1), and is fresh until T and the bound. Otherwise it
// becomes so when the feed has told of R. A feed that keeps silent about a revision
// that the store has is begun again, and one that no longer reaches back so far has
// everything loaded anew, while look-ups are answered from the copy that there is as
// long as that is within its bound.
//
// A store that says an earlier revision than the copy has was restored from a backup,
// or has failed over to a server that lagged: the copy is not confirmed any more, and
// everything is loaded again. A store that has come past the copy's revision again
// before it was asked, within half a second of writing by default, cannot be told from
// one that went on, unless its feed refuses the old mark (W4): that of PostgreSQL does,
// and that of a SQLite file restored as its documentation says. With others restart the
// processes that have replicas after restoring a backup.
//
// Time is measured by the monotonic clock, so setting the other one back makes no answer
// older. While a machine sleeps the monotonic clock stands still; a replica notices when
// it wakes, after at most a tenth of the bound, because the other went on, and counts the
// time. A clock that is set forward is taken for such a sleep: if it was set by more than
// the bound, look-ups are refused until the store was asked again.
//
// A record that the store cannot read is an error for look-ups of that key, or of that
// organization's keys, and of no other. A feed that fails altogether leaves the copy to
// grow older than its bound. A key that is not in the copy is an unknown key, without
// asking the store.
//
// # Waiting for a write
//
// A program that changes a key and wants to know it in force in its own process calls
// [Replica.WaitFor] with the revision that Put returned, or [Replica.Sync] after a
// deletion.
package replica
