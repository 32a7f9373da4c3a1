package store

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/sallyport-go/sallyport/internal/strictjson"
	"github.com/sallyport-go/sallyport/policy"
)

// The JSON form of an event, for writing. It is separate from Event, so that renaming a Go
// field never renames one in a database.
type (
	eventJSON struct {
		Revision     uint64          `json:"revision,omitempty"`
		Index        int             `json:"index,omitempty"`
		Time         time.Time       `json:"time"`
		Type         EventType       `json:"type"`
		Organization string          `json:"organization,omitempty"`
		Key          string          `json:"key,omitempty"`
		Project      string          `json:"project,omitempty"`
		Actor        actorJSON       `json:"actor"`
		Address      netip.Addr      `json:"address,omitzero"`
		Origin       string          `json:"origin,omitempty"`
		Via          Via             `json:"via"`
		Correlation  string          `json:"correlation,omitempty"`
		Reason       string          `json:"reason,omitempty"`
		Accepted     []string        `json:"accepted,omitempty"`
		Entry        netip.Prefix    `json:"entry,omitzero"`
		Before       json.RawMessage `json:"before,omitempty"`
		After        json.RawMessage `json:"after,omitempty"`
	}
	actorJSON struct {
		Kind   ActorKind `json:"kind"`
		ID     string    `json:"id,omitempty"`
		Name   string    `json:"name,omitempty"`
		Secret string    `json:"secret,omitempty"`
	}
)

// MarshalJSON returns the event as an object:
//   - revision and index;
//   - time, RFC 3339 in UTC with nanoseconds, and type;
//   - organization, key and project;
//   - actor, an object with kind, id, name and secret;
//   - address, origin, via and correlation;
//   - reason, accepted and entry;
//   - before and after, without white space.
//
// Zero and empty fields are left out. The members that only a later version knows follow. An
// invalid event is an error.
func (e Event) MarshalJSON() ([]byte, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	written := eventJSON{
		Revision: e.Revision, Index: e.Index, Time: e.Time.UTC(), Type: e.Type,
		Organization: e.Organization, Key: string(e.Key), Project: e.Project, Actor: actorJSON(e.Actor),
		Address: e.Address, Via: e.Via, Correlation: e.Correlation, Reason: e.Reason, Accepted: e.Accepted,
		Entry: e.Entry, Before: e.Before, After: e.After,
	}
	if written.Origin = e.origin; e.Origin != policy.OriginUnknown {
		written.Origin = e.Origin.String()
	}
	data, err := json.Marshal(written)
	return e.rest.Append(data), err
}

// UnmarshalJSON reads the output of MarshalJSON, exactly or not at all. Errors are:
//   - a missing time, type, actor or via, and null;
//   - a known name in another case, and a name twice;
//   - an unknown name in actor;
//   - text in another encoding than UTF-8, and anything after the object;
//   - an event refused by Validate.
//
// Other unknown names are no error: a later version may have written them. They stay with the
// event, and MarshalJSON writes them again. So does an origin that this version does not
// know; Origin is policy.OriginUnknown then.
//
// On an error the receiver is unchanged.
func (e *Event) UnmarshalJSON(data []byte) error {
	var read Event
	var index uint64
	v, err := strictjson.Parse(data)
	if err == nil {
		err = v.Open(&read.rest,
			strictjson.Field{Name: "revision", Read: strictjson.Uint(&read.Revision)},
			strictjson.Field{Name: "index", Read: strictjson.Uint(&index)},
			strictjson.Field{Name: "time", Required: true, Read: strictjson.Time(&read.Time)},
			strictjson.Field{Name: "type", Required: true, Read: strictjson.Text(&read.Type)},
			strictjson.Field{Name: "organization", Read: strictjson.Text(&read.Organization)},
			strictjson.Field{Name: "key", Read: strictjson.Text(&read.Key)},
			strictjson.Field{Name: "project", Read: strictjson.Text(&read.Project)},
			strictjson.Field{Name: "actor", Required: true, Read: readActor(&read.Actor)},
			strictjson.Field{Name: "address", Read: strictjson.Unmarshal(&read.Address)},
			strictjson.Field{Name: "origin", Read: readOrigin(&read)},
			strictjson.Field{Name: "via", Required: true, Read: strictjson.Text(&read.Via)},
			strictjson.Field{Name: "correlation", Read: strictjson.Text(&read.Correlation)},
			strictjson.Field{Name: "reason", Read: strictjson.Text(&read.Reason)},
			strictjson.Field{Name: "accepted", Read: strictjson.Slice(&read.Accepted, readWord)},
			strictjson.Field{Name: "entry", Read: strictjson.Unmarshal(&read.Entry)},
			strictjson.Field{Name: "before", Read: readRaw(&read.Before)},
			strictjson.Field{Name: "after", Read: readRaw(&read.After)},
		)
	}
	if err == nil {
		if read.Index = int(index); index > math.MaxInt32 {
			err = fmt.Errorf(`"index": %d: want at most %d`, index, math.MaxInt32)
		} else {
			err = read.Validate()
		}
	}
	if err != nil {
		return fmt.Errorf("store: an event in JSON: %w", err)
	}
	*e = read
	return nil
}

func readActor(to *Actor) func(strictjson.Value) error {
	return func(v strictjson.Value) error {
		return v.Object(
			strictjson.Field{Name: "kind", Required: true, Read: strictjson.Text(&to.Kind)},
			strictjson.Field{Name: "id", Read: strictjson.Text(&to.ID)},
			strictjson.Field{Name: "name", Read: strictjson.Text(&to.Name)},
			strictjson.Field{Name: "secret", Read: strictjson.Text(&to.Secret)},
		)
	}
}

func readOrigin(e *Event) func(strictjson.Value) error {
	return func(v strictjson.Value) error {
		var text string
		if err := strictjson.Text(&text)(v); err != nil {
			return err
		}
		for origin := policy.OriginPeer; origin <= policy.OriginHeader; origin++ {
			if origin.String() == text {
				e.Origin = origin
				return nil
			}
		}
		e.origin = text
		return wordError("text of the origin", text)
	}
}

func readWord(v strictjson.Value) (word string, err error) {
	err = strictjson.Text(&word)(v)
	return word, err
}

func readRaw(to *json.RawMessage) func(strictjson.Value) error {
	return func(v strictjson.Value) error {
		*to = json.RawMessage(string(v)) // not the caller's bytes
		return nil
	}
}

// Clone returns a copy with Accepted, Before and After of its own.
func (e Event) Clone() Event {
	e.Accepted = append([]string(nil), e.Accepted...)
	e.Before = append(json.RawMessage(nil), e.Before...)
	e.After = append(json.RawMessage(nil), e.After...)
	return e
}

// Equal reports whether two valid events are the same: times if they are the same instant,
// Before and After if they are the same JSON but for white space and escapes. Invalid events
// equal no other. go-cmp uses it.
func (e Event) Equal(o Event) bool {
	a, errA := e.MarshalJSON()
	b, errB := o.MarshalJSON()
	return errA == nil && errB == nil && string(a) == string(b)
}
