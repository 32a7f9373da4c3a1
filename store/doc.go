// Package store says what keeps organizations and keys: the [Store] interface, the
// errors it uses, and the contract that an adapter for a database of one's own
// keeps. Package store/memory is the reference implementation, package
// store/storetest checks the contract sentence by sentence, and
// examples/customstore is an adapter written from nothing, to read along.
//
// Packages store/sqlite, store/postgres and store/etcd, modules of their own, keep
// records beyond the process. Package store/replica answers decisions from a copy of any
// store that has a change feed, store/usage gathers what keys are used for, and
// store/transfer moves records from one store to another.
//
// Use it to write an adapter or to administer keys. Do not use it on the path of a
// decision, which needs only the policy.Source that every Store is; and do not
// implement it for a source that is only read, such as a configuration file: a
// policy.SourceFunc is enough for that.
//
// # The contract
//
// MUST and may are meant in the sense of RFC 2119. The names S1 to S26 are those
// that storetest's cases carry.
//
// Calls and contexts
//
//   - S1. Every method MUST be safe for concurrent use.
//   - S2. A method that is called with a context that is done MUST return an error
//     that matches the context's, and change nothing. Where several sentences ask for
//     an error S23 comes first and S2 next; between the others any may win.
//   - S3. A write that returns an error MUST have changed nothing. One exception: if
//     the context ended or the connection broke while the write was under way, it may
//     have happened, and then it happened whole.
//
// What is there and what is not
//
//   - S4. For a key that is not there Lookup MUST return found == false and no error,
//     while Key and Organization return [ErrNotFound]. Lookup MUST NOT return
//     ErrNotFound, and nothing may report a failure as absence or absence as a failure.
//   - S5. Identifiers MUST be compared byte by byte: no case folding, no trimming, no
//     Unicode normalization, no collation. Any text may be asked for and MUST NOT be an
//     error, whether or not it could be an identifier.
//
// Records
//
//   - S6. What is read MUST be what was written, in every field: entries with their
//     comments, grants and secrets in their order, times to the microsecond at least.
//     A record that cannot be read MUST be an error and never be read as one with
//     less in it: an access list that cannot be read is not empty (rule A3).
//   - S7. Records MUST NOT be shared with callers: what they do to what they passed in
//     or were given changes nothing in the store.
//   - S8. A reader MUST see a record whole, as it was before a write or after it. The
//     key and the organization of a Lookup MUST be as of one moment.
//   - S9. After a write has returned, reads that begin later through the same Store
//     MUST see it, or a later one. What other processes see when is the adapter's to
//     state.
//
// Writing
//
//   - S10. A Put with revision zero creates: if the record is there, it MUST return
//     [ErrExists].
//   - S11. A Put with another revision replaces: if the stored revision is not that
//     one, it MUST return [ErrConflict]; if there is no such record, [ErrNotFound].
//   - S12. A Put that succeeds MUST return the record as stored, with a new revision
//     that is greater than any the store had given to any record when the call began,
//     deleted ones included. Revisions are never zero.
//   - S13. Of several concurrent Puts with the same revision exactly one MUST succeed.
//   - S14. A Delete removes the record if its revision is the one given, or whatever it
//     is if zero is given; otherwise it MUST return ErrConflict, and ErrNotFound if
//     there is no such record. A deleted key is gone with its list, its grants, its
//     secrets and its usage (rule K6); one created later under the same ID has none
//     of them.
//   - S15. A record that its Validate refuses MUST be refused with [ErrInvalid].
//   - S16. PutKey for an organization that is not there MUST return ErrNotFound.
//   - S17. PutKey that would move a key to another organization MUST return ErrInvalid
//     (rule K6).
//   - S18. Without [AllowOpen], PutKey MUST return [ErrOpensKey] if it would create a key
//     without entries or take the last entry of one (rule A10). A key that has none
//     already may be replaced without it.
//   - S19. DeleteOrganization of an organization that has keys MUST return
//     [ErrNotEmpty].
//
// [CheckPutKey] and [CheckPutOrganization] decide S10, S11 and S15 to S18 for an
// adapter that has the stored record before it.
//
// Pages
//
//   - S20. Pages MUST come in ascending order of the identifiers' bytes, each record
//     once, at most the limit that [PageRequest.Size] gives; Next is empty on the last page
//     and only there; a full page is the last if no record comes after it. An organization that is not there has no keys.
//   - S21. A record that is there from the first page's call to the last one's MUST be
//     on exactly one page, whatever is inserted or deleted meanwhile.
//   - S22. A cursor that no page can have returned MUST be refused with ErrInvalid.
//
// Closing
//
//   - S23. After Close every other method MUST return [ErrClosed]; Lookup too, so that
//     decisions are unavailable.
//   - S24. Close MUST return nil when called again.
//
// Crashes
//
//   - S25. A store that keeps its records beyond the process MUST NOT lose a write that
//     has returned, however the process, or the server, ends. What the adapter's
//     documentation asks of the machine's disks is the only condition.
//   - S26. After such an end every write MUST be there whole or not at all, whether it
//     had returned or not, and no revision that was given may be given again (S12).
//
// An adapter may implement [Watcher], [UsageRecorder] and [Loader], whose comments
// have sentences of the same kind. A wrapper around a Store lends what it wraps to [As]
// by an Unwrap method.
package store
