// Package admin changes organizations and keys safely. Before a change is made it shows the
// keys affected, and refuses to lock the author out. The change itself is one conditional
// write, with an event of who did it and why.
//
// Use it wherever people or programs manage keys: in an API, a console or a tool of
// operators. Do not use it
//   - to decide calls: that is policy.Engine;
//   - to move or load many records: store/transfer and store.Loader do, and judge nothing.
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
// is KeyUnused only if all of the window was observed; otherwise it is KeyUnknown.
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
// Comments and tests cite the rules of managing, M1 to M27:
//   - M1, M2: judging is pure; the order of refusals.
//   - M3 to M10: self-lockout.
//   - M11 to M16: what happens to other keys, by how they were used.
//   - M17 to M19: the token of a preview, and the conditions of a write.
//   - M20, M21: suspensions and other changes that end by the clock.
//   - M22, M23: acceptance by name; narrowing in an emergency.
//   - M24, M25: the actor's address; what cannot be judged is refused as unavailable.
//   - M26, M27: lists of changes; events.
package admin
