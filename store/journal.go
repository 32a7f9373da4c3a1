package store

import (
	"context"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/policy"
)

// A Journal is a Store that keeps events beside its records: who changed what, when, from
// where and why (rule M27). A write and its events are one transaction. So the journal is
// also an outbox: a follower keeps a position and reads the events after it, see
// [FollowEvents]. Without a Journal an event can only be handed on after its write, and a
// crash in between loses it.
//
// [As] finds it in a wrapper. A wrapper of a Store's methods does not see the Writes of the
// store below: it needs a Write of its own, or no Unwrap method.
//
//   - E1. The events of a write MUST be kept if and only if the write is. A Write that
//     returns an error MUST have changed and kept nothing; the exception is that of S3.
//   - E2. Each event MUST get the revision of its write, and as its Index its place among
//     the write's events, from 0. The revision MUST be greater than every earlier one, as
//     by a Put (S12).
//   - E3. A write that has returned MUST keep its events through a crash (S25). After a
//     crash a write MUST NOT be there without its events, nor events without their write
//     (S26).
//   - E4. Events MUST outlive their record: they stay when it is replaced, deleted, and
//     created again under the same ID.
//   - E5. If a condition of a Write does not hold, it MUST return [ErrConflict]. The
//     conditions MUST hold at the moment of the write: of two writes that each change what
//     the other has a condition on, at most one may succeed. A condition on an unreadable
//     record MUST fail the Write.
//   - E6. Events MUST return [ErrCompacted] if an event after the position was forgotten,
//     or if the position is not in the store's past (W4). It MUST NOT leave out an event
//     instead. A position in the past MUST be taken as long as no event after it was
//     forgotten: restarts and other processes change the name of a history (W9), and
//     followers stay away for weeks. So MUST a smaller revision of the same History. The
//     zero Position stands before the oldest event that is kept.
//   - E7. An event MUST be read as it was written, in every field, those that only a later
//     version knows included, times to the microsecond at least. Before and After may have other white space and escapes.
//     Events MUST NOT be shared (S7). An unreadable event MUST be an error wherever it is
//     read, and not be left out.
//   - E8. The methods of Store and Loader MUST keep no events.
type Journal interface {
	// Write makes one change and keeps its events. It returns the revision of the change:
	// after a Put, the revision of the stored record.
	//
	//   - E9. A record MUST be refused as a Put with the same options would refuse it (S10,
	//     S11, S15 to S18, S28). A deletion MUST be refused as a Delete with the same
	//     revision would be (S14, S19). The deletion of a key of another organization than
	//     the one named MUST return [ErrNotFound]. A change MUST be delivered to watchers
	//     (W2).
	//   - E10. A Write that fails its Validate MUST be refused with [ErrInvalid]. Conditions
	//     and events within the bounds below MUST NOT be refused for their number or size.
	//   - E11. A Write with Forget MUST remove every event up to that position, and no later
	//     one. A position that is not in the store's past MUST be refused with ErrCompacted.
	//     Forgetting what is forgotten already is no error. If all these events are removed
	//     from every page, but not yet from the disk, it may return an error: forget again.
	Write(ctx context.Context, write Write) (revision uint64, err error)

	// Events returns a page of the events kept.
	//
	//   - E12. Events MUST come by revision and Index, each once: ascending, or descending
	//     with Newest. A request for an organization or a key MUST get its events only.
	//     Events of an absent organization or key MUST be returned like others (E4).
	//   - E13. A page MUST have all requested events of a write, or none. It MUST have as
	//     many writes as fit into [EventRequest.Size] events, and one if none fits. More MUST
	//     be true if and only if an event follows.
	//   - E14. A page after Next MUST begin with the first event that follows. Next MUST
	//     have a History (W9). If the store is a Watcher, Next MUST be one of its positions,
	//     and a mark's position one for Events. On the last ascending page Next MUST include
	//     every write that had returned when Events was called.
	//   - E15. Events that begins after a Write has returned, or after a mark that includes
	//     it was delivered, MUST have its events.
	//   - E16. A Key without an Organization MUST be refused with ErrInvalid.
	Events(ctx context.Context, request EventRequest) (EventPage, error)
}

// The bounds of a Write (rule A12). Sizes are those of the JSON of events.
const (
	// MaxConditions is the largest number of conditions of a Write.
	MaxConditions = 50

	// MaxEvents is the largest number of events of a Write. A larger change, such as a long
	// list, has one event with the numbers: see [EventListReplaced].
	MaxEvents = 200

	// MaxEventBytes is the size of the largest event.
	MaxEventBytes = 16 << 10

	// MaxWriteBytes is the size of all events of a Write.
	MaxWriteBytes = 256 << 10
)

// A Write is one change, what it depends on, and its events. Exactly one of PutOrganization,
// PutKey, Delete and Forget is set.
//
// It is a value and no closure over a transaction, because a database may give the revision
// only at the end of it, as etcd does.
type Write struct {
	// PutOrganization and PutKey create (revision zero) or replace (the stored revision) a
	// record. Options are those of a PutKey.
	PutOrganization *policy.Organization
	PutKey          *apikey.Key
	Options         []PutOption

	// Delete names a record to delete, at its revision, which is not zero.
	Delete *Condition

	// Forget removes the events up to a position, this included. It is a Write, so an event
	// can say by whom. Forget only events read by every follower.
	Forget *Position

	// If names the other records of the caller's judgement, at most MaxConditions. Of two
	// changes, harmless alone and harmful together, one is refused then, to be judged again
	// (rule M19).
	If []Condition

	// Events has at most MaxEvents; none are allowed. Each has the organization and the key
	// of the written record, and those of Forget have neither. Revision and Index are zero.
	Events []Event
}

// A Condition names a record and the revision it must have.
type Condition struct {
	Organization string    // the organization, or that of the key
	Key          apikey.ID // empty for the organization itself
	Revision     uint64    // zero: the record must be absent; a key of another organization is
}

// An EventRequest asks for a page of events. The zero EventRequest asks for the oldest of all
// organizations.
type EventRequest struct {
	Organization string    // only events of this organization; empty: of all, and those of none
	Key          apikey.ID // only events of this key of the organization
	Newest       bool      // newest first

	// After is the Next of the page before, or the position of a mark. Events follow it in
	// the order requested. The zero Position asks for the first page.
	After Position

	// Limit is the largest number of events to return, unless the first write has more:
	// DefaultPageSize if it is not positive, and never more than MaxPageSize.
	Limit int
}

// Size returns the limit in force, from 1 to MaxPageSize.
func (r EventRequest) Size() int { return PageRequest{Limit: r.Limit}.Size() }

// An EventPage is a part of a journal.
type EventPage struct {
	Events []Event
	Next   Position // where to read on, also on the last page: see EventRequest.After
	More   bool     // whether an event followed when the page was read
}
