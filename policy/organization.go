package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/internal/strictjson"
)

// An Organization owns keys and projects. It decides whether its keys need an access list,
// and can switch all of them off.
type Organization struct {
	// ID names the organization, as apikey.ValidateName has it. It is compared byte by
	// byte.
	ID string `json:"id"`

	// Name is for people: empty or a name, as apikey.ValidateName has it. Organizations may
	// have the same one.
	Name string `json:"name,omitempty"`

	// Requirement is whether every key needs an access list (rule Q1).
	Requirement Requirement `json:"requirement"`

	// Disabled switches every key of the organization off, as the key's own Disabled does
	// (line 6), until it is switched on again. The keys themselves are not changed.
	Disabled bool `json:"disabled,omitempty"`

	// SuspendedUntil suspends a requirement of [Required] until this instant (rule M20):
	// before it line 10 does not apply, and [Decision.WouldDeny] has the answer. From that
	// instant on line 10 applies again; no further write is needed. Zero: no suspension.
	SuspendedUntil time.Time `json:"suspendedUntil,omitzero"`

	// Revision is set by the store: see package store. Zero before it is stored.
	Revision uint64 `json:"revision,omitempty"`

	metadata *strictjson.Rest // of a later version; nil: none
}

// MaxMetadata is the size of the JSON of metadata that a later version has given an
// organization, in bytes.
const MaxMetadata = 16 << 10

// unknownMetadata returns the metadata of a later version.
func (o *Organization) unknownMetadata() strictjson.Rest {
	if o.metadata == nil {
		return ""
	}
	return *o.metadata
}

// suspended reports whether the requirement is suspended at now. An unknown requirement
// never is.
func (o *Organization) suspended(now time.Time) bool {
	return o.Requirement == Required && !o.SuspendedUntil.IsZero() && now.Before(o.SuspendedUntil)
}

// Equal reports whether two records are the same, Revision included. Times are the same when
// they are the same instant. go-cmp uses it.
func (o Organization) Equal(b Organization) bool {
	return o.ID == b.ID && o.Name == b.Name && o.Requirement == b.Requirement && o.Disabled == b.Disabled &&
		o.SuspendedUntil.Equal(b.SuspendedUntil) && o.Revision == b.Revision && o.unknownMetadata() == b.unknownMetadata()
}

// Validate returns why the organization is invalid, or nil. A suspension is zero or in the
// years 1 to 9999. How far ahead it may be is not judged here.
func (o Organization) Validate() error {
	err := apikey.ValidateName("organization", o.ID)
	if o.Name != "" {
		err = errors.Join(err, apikey.ValidateName("name of the organization", o.Name))
	}
	if year := o.SuspendedUntil.UTC().Year(); year < 1 || year > 9999 {
		err = errors.Join(err, fmt.Errorf("policy: SuspendedUntil of organization %s is in the year %d: want 1 to 9999", plain.Quote(o.ID), year))
	}
	if n := len(o.unknownMetadata()); n > MaxMetadata {
		err = errors.Join(err, fmt.Errorf("policy: the metadata of organization %s has %d bytes: want at most %d", plain.Quote(o.ID), n, MaxMetadata))
	}
	if o.Requirement > Required {
		err = errors.Join(err, fmt.Errorf("policy: organization %s has the requirement %d: want NotRequired, ReportOnly or Required", plain.Quote(o.ID), o.Requirement))
	}
	return err
}

// MarshalJSON returns the stored form of the organization. The time is RFC 3339 in UTC. Text
// in another encoding than UTF-8, an unknown requirement and years beyond four digits are
// errors, because they would not be read back the same. Metadata of a later version is
// written as it was read.
func (o Organization) MarshalJSON() ([]byte, error) {
	for _, text := range []string{o.ID, o.Name} {
		if !utf8.ValidString(text) { // encoding/json would replace characters
			return nil, fmt.Errorf("policy: an organization with the text %s cannot be stored: want UTF-8", plain.Quote(text))
		}
	}
	type stored Organization // without this method
	o.SuspendedUntil = o.SuspendedUntil.UTC()
	if o.metadata == nil {
		return json.Marshal(stored(o))
	}
	return json.Marshal(struct {
		stored
		Metadata json.RawMessage `json:"metadata"`
		Revision uint64          `json:"revision,omitempty"` // the last one, as always
	}{stored(o), o.metadata.Append([]byte(`{}`)), o.Revision})
}

// UnmarshalJSON reads a stored organization. It fails closed, because a lost requirement
// would open every key without a list, and a lost switch every key. Errors are:
//   - a missing id or requirement, null, an unknown requirement;
//   - an unknown name, also a known one in another case, and a name twice;
//   - text in another encoding than UTF-8, and anything after the object;
//   - an organization refused by Validate.
//
// One place may have unknown names: metadata, an object, since no decision depends on it. A
// later version may have written them. They stay with the organization and with its copies,
// MarshalJSON writes them again, and nothing shows them.
//
// On an error the receiver is unchanged.
func (o *Organization) UnmarshalJSON(data []byte) error {
	var read Organization
	v, err := strictjson.Parse(data)
	if err == nil {
		err = v.Object(
			strictjson.Field{Name: "id", Required: true, Read: strictjson.Text(&read.ID)},
			strictjson.Field{Name: "name", Read: strictjson.Text(&read.Name)},
			strictjson.Field{Name: "requirement", Required: true, Read: strictjson.Unmarshal(&read.Requirement)},
			strictjson.Field{Name: "disabled", Read: strictjson.Bool(&read.Disabled)},
			strictjson.Field{Name: "suspendedUntil", Read: strictjson.Time(&read.SuspendedUntil)},
			strictjson.Field{Name: "metadata", Read: func(v strictjson.Value) error { return readMetadata(&read.metadata, v) }},
			strictjson.Field{Name: "revision", Read: strictjson.Uint(&read.Revision)},
		)
	}
	if err == nil {
		err = read.Validate()
	}
	if err != nil {
		return fmt.Errorf("policy: an organization in JSON: %w", err)
	}
	*o = read
	return nil
}

func readMetadata(to **strictjson.Rest, v strictjson.Value) error {
	var rest strictjson.Rest
	err := v.Open(&rest)
	if *to = &rest; rest == "" {
		*to = nil
	}
	return err
}

// A Requirement says whether an organization's keys need an access list. The zero
// Requirement is NotRequired; an unknown value is judged as Required.
type Requirement uint8

// The requirements.
const (
	NotRequired Requirement = iota // a key without a list may call from anywhere
	ReportOnly                     // likewise, and the decision has the answer under Required (rule Q2)
	Required                       // a key without a list may not call
)

var requirements = [...]string{"not_required", "report_only", "required"}

// String returns "not_required", "report_only" or "required", and "requirement(7)" for an
// unknown value.
func (r Requirement) String() string {
	if int(r) < len(requirements) {
		return requirements[r]
	}
	return fmt.Sprintf("requirement(%d)", uint8(r))
}

// MarshalText returns the text of String. An unknown value is an error.
func (r Requirement) MarshalText() ([]byte, error) {
	if r > Required {
		return nil, fmt.Errorf("policy: %v: want NotRequired, ReportOnly or Required", r)
	}
	return []byte(r.String()), nil
}

// UnmarshalText reads exactly the text of String. On an error the receiver is unchanged.
func (r *Requirement) UnmarshalText(text []byte) error {
	for i, name := range requirements {
		if string(text) == name {
			*r = Requirement(i)
			return nil
		}
	}
	return fmt.Errorf(`policy: requirement %s: want "not_required", "report_only" or "required"`, plain.Quote(text))
}
