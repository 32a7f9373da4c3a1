// Package admin changes organizations and keys safely: it says whom a change hits before it
// is made, refuses one that would lock its own author out, makes it in one conditional write,
// and keeps who did it.
//
// Use it wherever people or programs manage keys: in an API, a console or a tool of
// operators. Do not use it
//   - to decide calls: that is policy.Engine, and needs no Admin;
//   - to move records between stores, or to load many: store/transfer and store.Loader do,
//     and judge nothing;
//   - for changes that no one asked for, such as the housekeeping of the service's own
//     tables.
//
// # Changes, actors, previews
//
// A [Change] is a value, such as AddEntries or Rotate. An [Actor] asks for it: a key, with
// the request that the guard allowed; a person; or the system. [Admin.Preview] judges changes
// without a write, and [Admin.Apply] judges them again and makes them. Both take the
// organization by name: an ID of another organization does not exist there.
//
// Changes are judged by policy.Evaluate on the records before and after, and by nothing else.
// What stands out is a [Finding] of one of the kinds SelfLockout, BreaksKey, LastManager,
// OrganizationLockout, Opens and OverBroad. A finding that refuses the change does so until
// the actor accepts its kind by name and gives a reason. There is no force, and a key cannot
// accept its own lockout except by ending itself.
//
// # Without a journal
//
// With a store that is no store.Journal
//   - events are handed to a function after the write, and a crash between the two loses
//     them;
//   - a write depends on the revision of its own record alone, so that two changes at the
//     same moment, each harmless, can lock everybody out together.
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
//   - M22, M23: acceptance by name; narrowing in an emergency.
//   - M24, M25: the actor's address; what cannot be judged is refused as unavailable.
//   - M26, M27: lists of changes; events.
package admin
