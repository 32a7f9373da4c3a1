// Package usage counts calls by key: their number, and the time and address of the last
// one. It shows unused entries, rotated secrets still in use, and the callers that a change of
// a list would hit. Counted are:
//
//   - served calls: for every entry of an access list (rule A11), every secret (rule K4), and
//     the addresses used last, at most [store.MaxUsageAddresses] of a key
//   - calls denied after the proof (lines 6 to 14), by reason
//   - served calls with a WouldDeny (rule Q2), by reason
//
// Calls denied before the proof (lines 1 to 5) leave no trace, in the store or in memory:
// anybody can make them.
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
// # Not used, or not observed
//
// A Recorder tells the store when it begins and ends, and after every round how far it has
// come and how many calls it lost. From the reports of all recorders the store knows its
// [store.Observation]. Absence of usage means something only where
// [store.Observation.Coverage] says that nothing is missing (rule M16):
//
//	observation, err := s.Observation(ctx)
//	coverage := observation.Coverage(now.AddDate(0, 0, -30), now)
//
// Every deciding process needs a Recorder from its first decision to its last. A killed
// process leaves a gap of store.MaxSilence. A process that restarts with Close leaves a gap
// from its end to its next beginning, unless another one ran meanwhile.
//
// # What may be missing
//
// A call is in the store after the next round of writing. With a working store that is
// after [DefaultInterval], or the interval set, and the round itself. A process that ends
// without [Recorder.Close] loses the calls since.
//
// Refused batches are kept, added up with further calls and tried again, so a temporary
// failure loses nothing while there is room. Room is bounded ([WithLimit]). A call that
// needs more is not counted; [Recorder.Lost] returns the number of such calls, and the
// observation has a gap. Between two rounds a key has room for 64 addresses: with more, those
// not used for longest are only counted (store.KeyUsage.Dropped).
//
// # What may be counted twice
//
// RecordUsage records a batch whole or not at all (U4). If its context ends or the
// connection breaks meanwhile, the outcome is unknown (S3). Such a batch is written again:
// a used entry that seems unused is the worse mistake, since it would be removed. So counts
// may be too high by those batches. The last time and address are right all the same.
package usage
