// Package usage counts the calls that keys are used for: how many there were, and when
// and from where the last one came, for every entry of an access list (rule A11) and
// every secret (rule K4). It is what finds the entries that nobody needs any more, and
// says whether a secret that was rotated is still in use.
//
// A [Recorder] observes an engine's decisions, gathers them in memory and writes them
// to a store in batches, so that no decision waits for it:
//
//	recorder := usage.New(s) // s is a store.UsageRecorder; store.As finds one
//	engine := policy.New(s, policy.WithObserver(recorder.Observe))
//	...
//	err := recorder.Close(ctx) // after the last decision and before the store is closed
//
// Do not use it for billing, for limits or as an audit log: what it counts is nearly
// right and a little late. Whoever needs every call has policy.WithObserver.
//
// # What may be missing
//
// A call is in the store when the next round of writing has ended: with a store that
// works, after [DefaultInterval] and the round itself, if nothing else was said. A
// process that ends without [Recorder.Close] takes with it what it observed since. What
// the store refuses is kept, added up with what follows and tried again, so a failure
// that ends loses nothing as long as there is room. Room is bounded ([WithLimit]): a
// call that would need more is not counted, and [Recorder.Lost] tells how many were
// not.
//
// # What may be counted twice
//
// RecordUsage records a batch whole or not at all (U4), but if its context ends or the
// connection breaks while it is under way, nobody can tell which (S3). Such a batch is
// written again, because an entry that was used and seems not to be is the worse
// mistake: it would be removed. So counts may be too high by the batches that failed in
// that way. The last time and address are right all the same.
package usage
