package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-go/sallyport/apikey"
)

// An Organization owns keys and projects, and says whether its keys need an
// access list.
type Organization struct {
	// ID names the organization: 1 to 256 bytes of valid UTF-8 without control
	// characters, compared byte by byte.
	ID string `json:"id"`

	// Requirement is whether every key needs an access list (rule Q1).
	Requirement Requirement `json:"requirement"`

	// Revision is set by the store: see package store. Zero before it is stored.
	Revision uint64 `json:"revision,omitempty"`
}

// Validate returns what keeps the organization from being stored, or nil.
func (o Organization) Validate() error {
	err := apikey.ValidateName("organization", o.ID)
	if o.Requirement > Required {
		err = errors.Join(err, fmt.Errorf("policy: organization %q: requirement %d: want NotRequired, ReportOnly or Required", o.ID, o.Requirement))
	}
	return err
}

// UnmarshalJSON reads an organization as it was stored. It fails closed: a missing
// requirement, null, an unknown one and an unknown field are errors, because a
// requirement that got lost would open every key without a list. So are a name that
// is there twice or differs in case, which encoding/json takes the last of, text that is
// not UTF-8, and anything after the object. On an error the receiver is unchanged.
func (o *Organization) UnmarshalJSON(data []byte) error {
	if err := checkNames(data); err != nil {
		return fmt.Errorf("policy: an organization in JSON: %w", err)
	}
	var read struct {
		ID          string       `json:"id"`
		Requirement *Requirement `json:"requirement"`
		Revision    uint64       `json:"revision"`
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&read); err != nil {
		return fmt.Errorf("policy: an organization in JSON: %w", err)
	}
	if read.Requirement == nil {
		return fmt.Errorf(`policy: organization %q in JSON has no "requirement": want "not_required", "report_only" or "required"`, read.ID)
	}
	organization := Organization{read.ID, *read.Requirement, read.Revision}
	if err := organization.Validate(); err != nil {
		return fmt.Errorf("policy: an organization in JSON: %w", err)
	}
	*o = organization
	return nil
}

// checkNames returns what is wrong with the names and values of an organization's object
// that encoding/json would pass over.
func checkNames(data []byte) error {
	if !utf8.Valid(data) { // for which another character would be read
		return errors.New("not valid UTF-8")
	}
	var object json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	tokens := json.NewDecoder(bytes.NewReader(object)) // which have no errors now
	if first, _ := tokens.Token(); first != json.Delim('{') {
		return nil // which is refused for that
	}
	seen := map[string]bool{}
	for tokens.More() {
		token, _ := tokens.Token()
		name := fmt.Sprint(token)
		for _, known := range []string{"id", "requirement", "revision"} {
			if name != known && strings.EqualFold(name, known) {
				return fmt.Errorf("the name %q: want %q", name, known)
			}
		}
		if seen[name] {
			return fmt.Errorf("the name %q is there twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		if _ = tokens.Decode(&value); string(value) == "null" {
			return fmt.Errorf("%q is null: want a value", name)
		}
	}
	return nil
}

// A Requirement is an organization's answer to whether its keys need an access
// list. The zero Requirement is NotRequired; a value that is none of the constants
// is judged as Required.
type Requirement uint8

// The requirements.
const (
	NotRequired Requirement = iota // a key without a list may call from anywhere
	ReportOnly                     // likewise, and the decision says what Required would have answered (rule Q2)
	Required                       // a key without a list may not call
)

var requirements = [...]string{"not_required", "report_only", "required"}

// String returns "not_required", "report_only" or "required", and
// "requirement(7)" for a value that is none of them.
func (r Requirement) String() string {
	if int(r) < len(requirements) {
		return requirements[r]
	}
	return fmt.Sprintf("requirement(%d)", uint8(r))
}

// MarshalText gives the text of String; a value that is none of the constants is
// an error.
func (r Requirement) MarshalText() ([]byte, error) {
	if r > Required {
		return nil, fmt.Errorf("policy: %v: want NotRequired, ReportOnly or Required", r)
	}
	return []byte(r.String()), nil
}

// UnmarshalText reads the text of String, to the letter. On an error the receiver
// is unchanged.
func (r *Requirement) UnmarshalText(text []byte) error {
	for i, name := range requirements {
		if string(text) == name {
			*r = Requirement(i)
			return nil
		}
	}
	return fmt.Errorf(`policy: requirement %q: want "not_required", "report_only" or "required"`, text)
}
