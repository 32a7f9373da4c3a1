// Package adapter has the common parts of adapters of store.Store:
//
//   - checks for deciding a write
//   - pages and their cursors
//   - the stored forms of a record, of usage and of its observation
//   - the log and the waker of a change feed
//   - the stored form of events, and pages of them
//   - the errors of the contract
//
// Use it to write an adapter. Users of a store need only package store.
// examples/customstore is an adapter made with it, step by step.
//
// All adapters of this project have the same files, each with the parts it uses here:
//
//   - store.go: the type, New or Open, and Close
//   - read.go: Lookup, Key, Organization and pages ([After], [NewPage])
//   - write.go: Put and Delete ([CheckPutKey], [CheckPutOrganization], [CheckDelete])
//   - loader.go: Load ([CheckLoad])
//   - watch.go: Position and Watch ([Watch], [Follow], [Waker], [Log], [Latest])
//   - history.go: the name of the history ([NewHistory])
//   - snapshot.go: every record, for a watch from zero
//   - record.go: the stored form of a record ([EncodeKey], [DecodeKey])
//   - schema.go: tables, names or directories, and their version
//   - journal.go: Write and Events ([CheckWrite], [CheckCondition], [EncodeEvents],
//     [EventReader])
//   - usage.go: RecordUsage and Usage ([CheckUsageBatch], [AddUsage], [EncodeUsage])
//   - observation.go: RecordObservation and Observation ([CheckReport],
//     [EncodeObservation])
//   - errors.go: failures of the database ([NotFound], [Unreadable])
//
// Files without use in an adapter are absent. A subject of its own has its own file.
//
// # Versions
//
// Rules for the form of a store (package store, "Versions side by side", S31 and S32):
//
//   - Beside the version of its form a store MUST keep two numbers: the oldest version that
//     may read it, and the oldest that may write it. Without them, or with anything else in
//     their place, nobody may do either.
//   - A read MUST look at the first number in the statement or transaction of its records, or
//     after it: the numbers only rise. A write MUST look at the second in its transaction,
//     after its locks, so that a migration waits for it or is seen by it.
//   - A Watch MUST look at the first number whenever it reads.
//   - An older version than the store's MUST NOT change the form, and opens the store if it
//     may read it. A newer one changes the form first, or refuses.
//   - A refusal wraps store.ErrNewer.
//   - Records, events and usage MUST be kept as the documents of this package. The Decode
//     functions refuse what may not be ignored, and keep what may.
//   - A document MUST come back as it was stored, and with it unknown metadata (S30).
package adapter
