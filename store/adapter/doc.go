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
package adapter
