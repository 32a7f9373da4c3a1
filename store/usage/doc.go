// Package usage counts calls by key: their number, and the time and address of the last
// one, for every entry of an access list (rule A11) and every secret (rule K4). It shows
// which entries are unused, and whether a rotated secret is still in use.
//
// A [Recorder] observes the decisions of an engine, gathers them in memory and writes them
// to a store in batches. No decision waits for it:
//
//	recorder := usage.New(s) // s is a store.UsageRecorder; store.As finds one
//	engine := policy.New(s, policy.WithObserver(recorder.Observe))
//	...
//	err := recorder.Close(ctx) // after the last decision and before the store is closed
//
// Do not use it for billing, for limits or as an audit log: its counts are nearly right and
// a little late. For every call use policy.WithObserver.
//
// # What may be missing
//
// A call is in the store after the next round of writing. With a working store that is
// after [DefaultInterval], or the interval set, and the round itself. A process that ends
// without [Recorder.Close] loses the calls since.
//
// Refused batches are kept, added up with further calls and tried again, so a temporary
// failure loses nothing while there is room. Room is bounded ([WithLimit]). A call that
// needs more is not counted; [Recorder.Lost] returns the number of such calls.
//
// # What may be counted twice
//
// RecordUsage records a batch whole or not at all (U4). If its context ends or the
// connection breaks meanwhile, the outcome is unknown (S3). Such a batch is written again:
// a used entry that seems unused is the worse mistake, since it would be removed. So counts
// may be too high by those batches. The last time and address are right all the same.
package usage
