// Package store defines where organizations and keys are kept: the [Store] interface,
// its errors, and the contract of an adapter.
//
//   - store/memory is the reference implementation.
//   - store/sqlite, store/postgres and store/etcd, modules of their own, keep records
//     beyond the process.
//   - store/adapter has the parts that adapters share, and store/storetest checks the
//     contract sentence by sentence. examples/customstore is an adapter written from
//     nothing, step by step.
//   - store/replica answers decisions from a copy of any store with a change feed.
//     store/usage gathers how keys are used. store/transfer moves records between
//     stores.
//
// Use it to administer keys or to write an adapter. A decision needs only the
// policy.Source that every Store is. Do not implement Store for a source that is only
// read, such as a configuration file: a policy.SourceFunc is enough for that.
//
// Guides: [choosing.md], [sizing.md], [rotating.md] and [backup.md].
//
// # The contract
//
// MUST and may have the meaning of RFC 2119. storetest's cases carry the names S1 to S32.
//
// Calls and contexts
//
//   - S1. Every method MUST be safe for concurrent use. A call that has returned MUST NOT
//     leave a goroutine or a connection of its own behind.
//   - S2. A method called with a context that is done MUST return an error that matches
//     the context's. It MUST change nothing. A method whose context ends meanwhile MUST
//     return soon. Of several errors that of S23 MUST come first and that of S2 second;
//     the others may come in any order.
//   - S3. A write that returns an error MUST have changed nothing. One exception: if the
//     context ended, the connection broke, or the server did not confirm that the write
//     is durable (S25), it may have happened, and then it MUST have happened whole. The error
//     of a failed write may match [ErrNotWritten]. A write whose error matches it MUST have
//     changed nothing.
//
// Presence
//
//   - S4. For an absent key Lookup MUST return found == false and no error. Key and
//     Organization MUST return [ErrNotFound] for an absent record. Lookup MUST NOT return
//     ErrNotFound. No method may report a failure as absence, or absence as a failure.
//   - S5. Identifiers MUST be compared byte by byte: no case folding, trimming, Unicode
//     normalization or collation. Reads MUST accept any text as an identifier: an invalid
//     one is absent.
//
// Records
//
//   - S6. A record MUST be read as it was written, in every field: entries with their
//     comments, grants and secrets in their order, lists on trial, labels and external
//     IDs, an organization's name, requirement, switch and suspension, times to the
//     microsecond at least. An unreadable record MUST be an error wherever it is read,
//     listings included. The error of a listing MUST name the record. It MUST NOT be read as one with less in it: an unreadable access
//     list is not an empty one (rule A3). A Put with revision zero, or with a revision from
//     before the record became unreadable, MUST NOT replace it. A Delete may remove it.
//   - S7. Records MUST NOT be shared with callers: changing what was passed in or
//     returned changes nothing in the store.
//   - S8. A reader MUST see a record whole, as it was before a write or after it. The key
//     and the organization of a Lookup MUST be a snapshot, both as stored at one moment.
//   - S9. Reads that begin after a write has returned, through the same Store, MUST see
//     it or a later one. The adapter's documentation states when other processes see it.
//
// Writing
//
//   - S10. A Put with revision zero creates the record. If the record exists, it MUST
//     return [ErrExists].
//   - S11. A Put with another revision replaces the record. If the stored revision
//     differs, it MUST return [ErrConflict]. If the record is absent, it MUST return
//     [ErrNotFound].
//   - S12. A successful Put MUST return the record as stored. Its new revision MUST be
//     greater than every revision the store had given to any record, deleted ones
//     included, when the call began. A revision MUST NOT be zero.
//   - S13. Of several concurrent Puts with the same revision exactly one MUST succeed.
//   - S14. A Delete with the stored revision, or with zero, removes the record. With
//     another revision it MUST return ErrConflict. If the record is absent, it MUST
//     return ErrNotFound. A deleted key MUST be gone with its list, grants, secrets and
//     usage (rule K6). A key created later under the same ID MUST have none of them.
//   - S15. A record that fails its Validate MUST be refused with [ErrInvalid].
//   - S16. PutKey MUST return ErrNotFound if the key's organization is absent.
//   - S17. PutKey MUST return ErrInvalid if it would move a key to another organization
//     (rule K6).
//   - S18. Without [AllowOpen], PutKey MUST return [ErrOpensKey] if it would create a key
//     without entries. It MUST also return ErrOpensKey if it would remove a key's last
//     entry (rule A10). Replacing a key without entries by another one needs no
//     AllowOpen.
//   - S19. DeleteOrganization MUST return [ErrNotEmpty] if the organization has keys.
//
// store/adapter's CheckPutKey and CheckPutOrganization decide S10, S11, S15, S17, S18 and S28
// for an adapter that has the stored record before it.
//
// Pages
//
//   - S20. Pages MUST come in ascending byte order of the identifiers, each record once.
//     A page MUST have at most [PageRequest.Size] records. Next MUST be empty on the last
//     page and only there; a full page is the last one if no record follows. Keys of an
//     absent organization MUST be an empty page.
//   - S21. A record that exists from the call for the first page to the call for the last
//     MUST be on exactly one page, whatever is inserted or deleted meanwhile.
//   - S22. A cursor that no page can have returned MUST be refused with ErrInvalid.
//   - S29. With a [Filter] Keys MUST return the keys that it selects and no others, by S20
//     to S22: in order, each once, and a page that is not full is the last one. A key is
//     selected by the metadata it has now. An adapter may read every key of the
//     organization for one page; its documentation says if it does not. Organizations MUST
//     refuse a filter with ErrInvalid.
//
// Closing
//
//   - S23. After Close every other method MUST return [ErrClosed]. Lookup is no
//     exception, so that decisions are unavailable.
//   - S24. Close MUST return nil when called again.
//
// Crashes and lost writes
//
//   - S25. A store that keeps its records beyond the process MUST NOT lose a write that
//     has returned, however the process or the server ends. The only condition is what
//     the adapter's documentation requires of the machine's disks.
//   - S26. After such an end every write MUST be there whole or not at all, whether or
//     not it had returned. A revision MUST NOT be given again (S12).
//   - S27. A store that can lose writes without a fault of its own, by a restored backup
//     or a standby promoted without the last writes, MUST NOT give a lost revision again.
//     So a Put or a Delete with a lost revision MUST return ErrConflict, or ErrNotFound if
//     the record is absent.
//
// store/adapter's NewHistory begins a history for an adapter that cannot know whether it was
// restored.
//
// Limits
//
//   - S28. Without [AllowManyEntries], PutKey MUST return ErrInvalid if it would create a
//     key with more than [MaxEntries] entries, its list on trial included, or lengthen its
//     lists beyond them. Replacing longer lists by ones of no more entries needs no
//     AllowManyEntries. Every valid key within MaxEntries MUST be kept, also at all bounds
//     of package apikey (rule A12). A longer one that a database cannot keep may be refused
//     with ErrInvalid. An error MUST NOT have more than 4,096 bytes, however long an
//     identifier or a cursor is.
//
// Other versions
//
//   - S30. Members of unknown names in the metadata of a key or an organization MUST be kept
//     as they are, like every field (S6): they are read, put, loaded and delivered with the
//     record. A record with an unknown name anywhere else MUST be unreadable (S6).
//   - S31. A newer version of the adapter may change the store while this one has it open. As
//     long as the newer one lets this one read, reads MUST go on, watches included. As long as
//     it lets this one write, writes MUST go on.
//   - S32. From the first call after the change, what the newer version forbids MUST be
//     refused. A forbidden write MUST change nothing and return [ErrNewer]. A forbidden read
//     MUST return an error, and never report absence. A Watch MUST end with an error.
//
// "Versions side by side", below, has the rules by which this module changes.
//
// An adapter may implement [Loader], [Watcher], [UsageRecorder] and [Journal]. Their comments
// have sentences of the same kind: L1 to L3, W1 to W10, U1 to U15 and E1 to E16. [As] finds
// them in a wrapper by its Unwrap method.
//
// The cases of storetest for each clause of each sentence are listed in
// storetest/internal/fixture/clauses.md. A test finds a clause without a case.
//
// # Versions side by side
//
// A service is upgraded process by process. Meanwhile two versions of this module have one
// store open, for a while of any length:
//
//  1. Change the form of the store. For store/postgres run Migrate of the newer version. The
//     other stores are changed by the first newer process that opens them.
//  2. Replace the processes, in any order.
//  3. Use what is new, such as a new kind of rule for a key, when no older process is left.
//
// To go back before the third step, start older processes again: nothing is to be undone.
//
// An older process goes on as follows:
//
//   - It decides about every record that it can read. A record with an unknown name outside
//     of metadata is unreadable (S30): decisions about it are unavailable, listings and
//     exports with it fail, and no Put with an earlier revision replaces it (S6). A Delete may
//     remove it.
//   - It keeps unknown metadata whatever it writes, and package transfer moves it.
//   - It reads events with unknown members, types and words, and passes them on in its JSON.
//   - It leaves usage that it cannot read. The calls of that key wait in the Recorder of
//     package usage; those of others are counted.
//   - If the newer version forbids it to write, writes return [ErrNewer] and usage waits.
//     Decisions go on, from copies too.
//   - If the newer version forbids it to read, decisions are unavailable. A copy of package
//     replica answers until it is older than its bound. If the store can be read again, a feed
//     from before may end with [ErrCompacted].
//   - It refuses to import a file of package transfer with a record that it cannot read, and
//     then imports nothing.
//
// By these rules a release of this module changes the form:
//
//   - One release reads a new form and writes the old one. The next writes the new one. So
//     neighbours always read each other's records. A release reads the forms of all before it: to
//     skip some, stop the older processes first.
//   - A field without influence on decisions goes into the metadata of its record, any other
//     beside it.
//   - Tables, columns and names are first added, with defaults. A later release forbids older
//     ones to write, a third one to read, and only then are the former ones removed.
//
// The module store/trials/upgrade runs the release before beside the present one, on every
// store.
//
// [choosing.md]: https://github.com/sallyport-go/sallyport/blob/main/store/choosing.md
// [sizing.md]: https://github.com/sallyport-go/sallyport/blob/main/store/sizing.md
// [rotating.md]: https://github.com/sallyport-go/sallyport/blob/main/store/rotating.md
// [backup.md]: https://github.com/sallyport-go/sallyport/blob/main/store/backup.md
package store
