package admin

import (
	"fmt"
	"time"

	"github.com/sallyport-go/sallyport/accesslist"
	"github.com/sallyport-go/sallyport/apikey"
	"github.com/sallyport-go/sallyport/internal/plain"
	"github.com/sallyport-go/sallyport/policy"
)

// A Proposal is a change with the values in it, so that it can be carried by a form or a JSON
// body and made again: see [Proposal.Again].
type Proposal struct {
	Change Change `json:"-"`
	Kind   string `json:"kind"` // of the change; see Change.Kind
	Text   string `json:"text"` // for people: a sentence, or several

	Entry       *EntryView         `json:"entry,omitempty"`      // of add_entries or edit_entries
	Grant       *GrantView         `json:"grant,omitempty"`      // of add_grants
	NotBefore   time.Time          `json:"notBefore,omitzero"`   // of set_validity
	Expires     time.Time          `json:"expires,omitzero"`     // of set_validity
	Until       time.Time          `json:"until,omitzero"`       // of suspend_requirement
	Requirement policy.Requirement `json:"requirement,omitzero"` // of set_requirement
}

// Again returns the proposal with its Change and its Text made from the Kind and the values
// alone. A change of a key is one of this key. So both can be trusted, wherever the proposal came
// from. The project of a grant is not checked: want one of the organization (rule
// K5).
//
// The kinds are set_requirement, suspend_requirement, resume_requirement, enable_organization,
// enable_key, set_validity, add_entries and edit_entries of one entry, and add_grants of one
// grant. Any other is Invalid, and so is an entry, grant or until that is missing or cannot be read.
// A requirement left out is policy.NotRequired, and a notBefore or expires left out is no bound: the
// Text says so.
func (p Proposal) Again(key apikey.ID) (Proposal, error) {
	switch p.Kind {
	case "set_requirement":
		p.Change, p.Text = SetRequirement(p.Requirement), requirementText(p.Requirement)
	case "suspend_requirement":
		if p.Until.IsZero() { // it would be suspended for DefaultSuspension from now
			return Proposal{}, invalid("The change has no until.")
		}
		p.Change, p.Text = SuspendRequirement(p.Until), "Suspend the requirement until "+shown(p.Until)+"."
	case "resume_requirement":
		p.Change, p.Text = ResumeRequirement(), "Resume the requirement now."
	case "enable_organization":
		p.Change, p.Text = EnableOrganization(), "Switch the organization on, and so all of its keys."
	case "enable_key":
		p.Change, p.Text = EnableKey(key), "Switch the key on."
	case "set_validity":
		p.Change, p.Text = SetValidity(key, p.NotBefore, p.Expires), "Let the key be valid"+fromText(p.NotBefore)+untilText(p.Expires, " without an end")+"."
	case "add_entries", "edit_entries":
		return p.ofEntry(key)
	case "add_grants":
		if p.Grant == nil {
			return Proposal{}, invalid("The change names no grant.")
		}
		grant := apikey.Grant(*p.Grant)
		p.Change, p.Text = AddGrants(key, grant), "Give the key "+grantText(grant)+"."
	default:
		return Proposal{}, invalid("A change of the kind %s cannot be proposed.", plain.Quote(p.Kind))
	}
	return p, nil
}

// ofEntry is Again for a change of one entry.
func (p Proposal) ofEntry(key apikey.ID) (Proposal, error) {
	if p.Entry == nil {
		return Proposal{}, invalid("The change names no entry.")
	}
	entry, err := accesslist.Parser{AllowIPv6: true}.ParseEntry(p.Entry.Address)
	if err != nil {
		return Proposal{}, wrap(Invalid, err, "%s.", plainText(err))
	}
	entry.Comment, entry.Expires = p.Entry.Comment, p.Entry.Expires
	if p.Kind == "add_entries" {
		p.Change, p.Text = AddEntries(key, entry), fmt.Sprintf("Add %s to the access list%s.", entry, untilText(entry.Expires, ""))
	} else {
		p.Change, p.Text = EditEntries(key, entry), fmt.Sprintf("Renew the entry %s%s.", entry, untilText(entry.Expires, " without an end"))
	}
	return p, nil
}

func requirementText(r policy.Requirement) string {
	switch r {
	case policy.Required:
		return "Require an access list."
	case policy.ReportOnly:
		return "Report only."
	}
	return "Require no access list."
}

func fromText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " from " + shown(t)
}

func untilText(t time.Time, without string) string {
	if t.IsZero() {
		return without
	}
	return " until " + shown(t)
}
