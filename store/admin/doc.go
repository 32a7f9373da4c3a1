// Package admin changes organizations and keys safely. Before a change is made it shows the
// keys affected, and refuses to lock the author out. The change itself is one conditional
// write, with an event of who did it and why.
//
// Use it wherever people or programs manage keys: in an API, a console or a tool of
// operators. Do not use it
//   - to decide calls: that is policy.Engine;
//   - to move or load many records: store/transfer and store.Loader do, and judge nothing.
//
// Guides: [managing.md] for all ways to change keys, [incidents.md] for a bad day.
//
// # Changes, actors, previews
//
// A [Change] is a value, such as AddEntries or Rotate. An [Actor] asks for it: a key, with
// the request allowed by the guard; a person; or the system. [Admin.Preview] judges changes
// without a write. [Admin.Apply] judges them again and makes them. Both name the
// organization: an ID of another organization does not exist there.
//
// Consecutive changes of one record are one step. Several steps are judged as a whole, and
// each on the records left by those before it. Apply makes them in order, and stops at a step
// whose findings were not in the preview.
//
// Changes are judged by policy.Evaluate on the records before and after, and by nothing else.
// A [Finding] is of the kind SelfLockout, SelfLockoutAt, BreaksKey, LastManager,
// OrganizationLockout, Opens or OverBroad. Most refuse the change until the actor accepts the
// kind by name and gives a reason. There is no force. A key accepts its own lockout only by
// ending itself.
//
// # Evidence
//
// A preview says how keys were used in a window of 30 days: by entry, secret and address, and
// which calls were denied. The store must be a store.UsageRecorder, and every process that
// decides needs a Recorder of package store/usage. [Evidence] says how complete this is. A key
// is KeyUnused only if all of the window was observed; otherwise it is KeyUnknown. Calls that
// report only, or a list on trial, would have denied are evidence, too: a key breaks if a
// change would deny them. See [KeyEffect.WouldDeny].
//
// # From observation to a list
//
// [Admin.Tighten] suggests a list from the addresses observed, with its difference and its
// preview. SetTrialList puts a list on trial, where it denies nobody, and EnforceTrial into
// force. [Admin.Rotation] says whether the earlier secret of a rotated key is safe to end.
//
// # What a key may do, and why a call was denied
//
// [May] answers the calls of a key for each endpoint, in the organization, each project and all
// projects, and names the grants. [Admin.Investigate] names the line behind a denial, the events
// since, and the single changes for the call to pass, each with its preview. Both ask
// policy.Evaluate, have no rules of their own, and write nothing. They are for operators, and
// not for callers.
//
// # Without a journal
//
// With a store that is no store.Journal
//   - events are handed to a function after the write, and a crash between the two loses
//     them;
//   - a write depends on the revision of its own record alone: two harmless changes at the
//     same moment can lock everybody out together.
//
// RequireJournal refuses such a store.
//
// # Rules
//
// Comments and tests cite these rules. A key is usable if it is active, has a live secret, and
// has a live entry, or no entries while nothing requires one. A manager is a usable key with
// one of the roles of [WithManagers] at the organization. The window and the notice are those of
// [WithWindow] and [WithNotice].
//
// Judging:
//
//   - M1. A change is judged by policy.Evaluate on the records before and after it, and by
//     nothing else. Judging writes nothing and counts no usage.
//   - M2. The order of refusals: the actor may not do this; the change is wrong in itself; a
//     record is absent or has another revision; findings; the write. A change that is wrong in
//     itself is never called a lockout.
//   - M15. A preview lists each key whose answer changes: the reason before and after, from
//     when, its class and its usage. Other keys are counted.
//   - M16. Evidence has its own date: since when usage is observed, until when, and what is
//     missing. A key that was not observed is never called unused.
//   - M25. A change that cannot be judged, since the store failed or a record cannot be read, is
//     refused as unavailable. Without usage the classes are unknown, and changes possible.
//
// Locking oneself out, for an actor that is a key:
//
//   - M3. A change is refused as self_lockout if the request that carries it would be denied
//     after it, on lines 4 to 14. The finding has the reason, the address, and an entry that
//     would cover it.
//   - M4. The proof of the request counts while its secret is live. Where the change ends that
//     secret and makes a new one, the new one counts, from now on.
//   - M5. To remove an entry is no lockout while another live entry covers the address.
//   - M6. The first entry of an open list is judged like any other change.
//   - M7. The ends of entries, keys, secrets and suspensions are judged at their instants. An end
//     that the change brings nearer is refused within the notice, and reported later than that.
//   - M8. To require a list is a self-lockout for a key without one, and none for a key whose
//     live entry covers the request.
//   - M9. So is dropping the grant by which the request passed.
//   - M10. A key may end itself if it accepts self_lockout: disable or delete itself, or end its
//     secret, now or later.
//   - M24. The address is the guard's. Nothing in a change can give another.
//
// Others:
//
//   - M11. To deny a key calls that it made in the window is breaks_key. For a key that is not
//     the actor, the new secret of a rotation stands in for the earlier one after the notice:
//     a shorter overlap ends that one, and calls with it are denied.
//   - M12. To leave an organization without a manager, now or at an instant within the notice,
//     is last_manager. It refuses where keys are the only managers; see [WithPeopleManaging]. An
//     organization that is switched off is judged as if it were on.
//   - M13. To leave it without a usable key is organization_lockout.
//   - M14. Widening has the same weight. To open a key to addresses that were not listed is
//     opens: its last entry removed, the requirement left or suspended, the key enabled or
//     prolonged. A wide entry is over_broad, on a list on trial (rule Q4 of package policy) as
//     well. Nothing else is found where a list is put on trial, and everything where it comes
//     into force.
//
// Going ahead:
//
//   - M17. The token of a preview is a hash of the change, the actor, the revisions of the
//     records that it was judged by, and the keys of each finding that refuses. Unrelated writes
//     and other usage do not alter it.
//   - M18. Applying judges again. With a token, another judgement is [Changed], and comes with
//     the new preview. Without one the findings refuse all the same.
//   - M19. The write depends on the revisions of the records by which M3, M12 and M13 were
//     judged. Of two changes, harmless alone and a lockout together, one is judged again.
//   - M20. A person or the system may suspend a requirement, for at most [MaxSuspension]. Line 10
//     applies again by itself. A key may not.
//   - M21. Break-glass is a suspension, a temporary entry or a temporary key. Nobody is exempt.
//   - M22. Acceptance is by name, with a reason of 1 to [MaxReason] characters, and covers the
//     keys of the preview. The event has both. There is no force.
//   - M23. Narrowing in an emergency is never in the way: only M3 and M12 refuse to disable a
//     key, to end a secret, or to rotate a key with a live secret without an overlap. This holds if every change of the
//     call is one of these, or changes words only: descriptions, labels, names. Beside any
//     other change they are judged like it, in each step.
//   - M26. Several changes are judged as a whole, and applied in one write where they are of one
//     record. Otherwise they are applied in order up to the first refusal, and the result says
//     which were made.
//   - M27. Every change has an event, kept if and only if the change is. It has no secret and no
//     hash. Previews and refusals go to the observer and are not stored.
//
// [managing.md]: https://github.com/sallyport-go/sallyport/blob/main/store/admin/managing.md
// [incidents.md]: https://github.com/sallyport-go/sallyport/blob/main/store/admin/incidents.md
package admin
