package store

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/strictjson"
	"github.com/sallyport-go/sallyport/policy"
)

// An Event says what a [Write] changed, and who did it. It outlives its record, so it has
// all that a reader needs.
//
// It has no secret and no hash of one. Name a secret by its ID.
//
// An event of a later version of this package may have members, a Type, a Via, a kind of
// actor and an Origin that this version does not know. It is read all the same, since no
// decision depends on it, and its JSON has everything: see [Event.UnmarshalJSON].
type Event struct {
	// Revision and Index are set by the store: the revision of the write, and the place
	// among its events. Together they are the event's ID.
	Revision uint64
	Index    int

	Time         time.Time // of the change, by the clock of the writer; required
	Type         EventType // required
	Organization string    // of the record that was written; empty if events were forgotten
	Key          apikey.ID // that was written; empty for the organization itself
	Project      string    // if the change is of one project

	Actor       Actor               // who changed it; required
	Address     netip.Addr          // of the actor; zero: unknown or none
	Origin      policy.ClientOrigin // where Address was found
	Via         Via                 // the way in; required
	Correlation string              // such as the ID of the request, at most MaxCorrelation bytes
	Reason      string              // of the actor, in words; at most MaxReason bytes
	Accepted    []string            // kinds of findings that the actor accepted by name (rule M22)

	// Entry is the added, changed or removed entry of a list. Before and After are JSON
	// objects of the changed fields. Before is empty for a new record, and After for a
	// deleted one.
	Entry  netip.Prefix
	Before json.RawMessage
	After  json.RawMessage

	origin string          // if Origin is of a later version
	rest   strictjson.Rest // members of a later version
}

// Bounds of an event's texts, in bytes.
const (
	MaxCorrelation = 256
	MaxReason      = 2000
	MaxAccepted    = 32 // findings, each a word of at most maxWord bytes
	maxWord        = 64
)

// An Actor has made a change.
type Actor struct {
	Kind   ActorKind
	ID     string // of the key or the person; a system may have none
	Name   string // for people, as it was at the time; may be empty
	Secret string // ID of the proven secret of a key; empty for other proof
}

// An ActorKind is a kind of actor. An event that was read may have another word, of a later
// version. A [Write] has one of the constants.
type ActorKind string

// The kinds of actor.
const (
	ActorKey    ActorKind = "key"    // a program with an API key
	ActorPerson ActorKind = "person" // somebody who has signed in
	ActorSystem ActorKind = "system" // the service itself, or an operator on its machine
)

// A Via is the way in of a change: one of the constants, or a word of the program's own.
type Via string

// The ways in.
const (
	ViaAPI     Via = "api"
	ViaConsole Via = "console"
	ViaCLI     Via = "cli"
	ViaLibrary Via = "library"
)

// An EventType says what changed: one of the constants, or a word of the program's own. Stores
// keep every type.
type EventType string

// The types of events.
const (
	EventKeyCreated         EventType = "key.created"
	EventKeyDeleted         EventType = "key.deleted"
	EventKeyDescribed       EventType = "key.described"
	EventKeyMetadataChanged EventType = "key.metadata_changed" // its labels or its external ID
	EventKeyGrantsChanged   EventType = "key.grants_changed"
	EventKeyProjectAdded    EventType = "key.project_added"   // the first role in a project
	EventKeyProjectRemoved  EventType = "key.project_removed" // the last role in a project
	EventEntryAdded         EventType = "key.entry_added"
	EventEntryChanged       EventType = "key.entry_changed" // its comment or its expiry
	EventEntryRemoved       EventType = "key.entry_removed"
	EventListReplaced       EventType = "key.list_replaced"      // more entries than events of a Write
	EventTrialListChanged   EventType = "key.trial_list_changed" // see apikey.Key.TrialList
	EventKeyRotated         EventType = "key.rotated"
	EventSecretEnded        EventType = "key.secret_ended"
	EventKeyDisabled        EventType = "key.disabled"
	EventKeyEnabled         EventType = "key.enabled"
	EventKeyValidityChanged EventType = "key.validity_changed"

	EventOrganizationCreated  EventType = "organization.created"
	EventOrganizationDeleted  EventType = "organization.deleted"
	EventOrganizationRenamed  EventType = "organization.renamed"
	EventOrganizationDisabled EventType = "organization.disabled"
	EventOrganizationEnabled  EventType = "organization.enabled"
	EventRequirementChanged   EventType = "organization.requirement_changed"
	EventRequirementSuspended EventType = "organization.requirement_suspended"
	EventRequirementResumed   EventType = "organization.requirement_resumed"

	EventEventsForgotten EventType = "events.forgotten" // see Write.Forget
)

// ID returns the identifier of a stored event: 24 hexadecimal digits, of its revision and its
// index. No other event of the store has it, also after a restored backup (S27), and IDs
// sort as events do. A reader recognizes an event by its ID.
func (e Event) ID() string { return fmt.Sprintf("%016x%08x", e.Revision, e.Index) }

// ParseEventID returns the revision and the index in the text of an [Event.ID]. For another
// text ok is false.
func ParseEventID(text string) (revision uint64, index int, ok bool) {
	if len(text) != 24 {
		return 0, 0, false
	}
	revision, err := strconv.ParseUint(text[:16], 16, 64)
	if err != nil {
		return 0, 0, false
	}
	place, err := strconv.ParseUint(text[16:], 16, 31)
	if err != nil {
		return 0, 0, false
	}
	event := Event{Revision: revision, Index: int(place)}
	return event.Revision, event.Index, event.ID() == text
}
