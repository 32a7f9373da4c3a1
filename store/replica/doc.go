// Package replica answers look-ups from a copy of a store in this process. The copy follows
// the store's change feed and is verified to be fresh:
//
//   - Decisions take as long as with package memory, and a look at the clock.
//   - A flood of guessed keys never reaches the database.
//   - A revoked key stops working here within a known bound.
//
// To use it:
//
//	keys, err := replica.New(database)
//	if err != nil { … }
//	defer keys.Close()
//	if err := keys.Ready(ctx); err != nil { … }
//	engine := policy.New(keys)
//
// Administer records in the store itself, where they are compared and swapped. The copy is
// for decisions only.
//
// Do not use it for a store whose keys do not fit into memory, some 650 bytes each with one
// entry. Do not use it in a process that makes one decision and ends: it loads everything
// first. For those, give the store itself to policy.New; each decision then waits for the
// database.
//
// # Guarantee
//
// An answer is never older than the bound set by [WithMaxStaleness]. If a write was
// acknowledged to any process longer ago, every look-up that begins here sees that write or
// a later one, or fails with ErrStale, and the decision is unavailable. This holds whatever
// broke: the connection, the feed, the store's leader, the log of changes, or the clock. An
// answer is of one moment: its key and organization were in the store together.
//
// The usual delay is much shorter: the feed delivers a write within milliseconds. The
// store's documentation has the numbers. The bound is for the times when the feed fails.
//
// # How freshness is verified
//
// A silent feed may have nothing to deliver or may be dead. So ten times within the bound
// the store is asked for its position, apart from the feed. Say it answers P, asked at a
// time T. Once the copy includes P, it has everything acknowledged before T (W1), and is
// fresh until T plus the bound.
//
// If the feed does not deliver a revision that the store reports, the watch is restarted.
// If the feed no longer reaches back that far, the copy is reloaded. Until then look-ups
// use the old copy, as long as it is within its bound.
//
// A store restored from a backup, or failed over to a server that lagged, has another
// history (W9). Its positions confirm nothing, however great their revisions are, until
// the feed has gone on under the new name or has had everything loaded anew. A feed that
// stays with the old server is left, also if that goes on writing. Nothing need be restarted.
//
// A slow store is not a dead one. Answers may take most of the bound: the next question is
// asked before the last is answered. A feed that needs long to begin is given more time
// whenever it was restarted in vain.
//
// # Clocks
//
// Time is measured by the monotonic clock, so setting the wall clock back makes no answer
// older. The monotonic clock stands still while a machine sleeps, and the wall clock goes
// on. Every look-up compares the two, so none is answered from before the sleep. A wall
// clock set forward looks like such a sleep: if it was set by more than the bound, look-ups
// are refused until the store was asked again.
//
// In a virtual machine that is paused, moved or restored from a snapshot, both clocks may
// stand still. Then the pause cannot be known until the wall clock is set right, by the
// hypervisor's agent or by NTP. Until then, and for the bound at most, answers can be older
// than the bound by the length of the pause. A snapshot should be restored without this
// process running in it.
//
// A record that the store cannot read fails look-ups of that key, or of that organization's
// keys, and no others. A feed that fails altogether lets the copy grow older than its bound.
// A key that is absent from the copy is unknown, without asking the store.
//
// # Waiting for a write
//
// To have a changed or deleted key in force in the same process, call [Replica.Sync] after
// the Put or the Delete. It takes a round trip to the store, and the time of the feed.
package replica
