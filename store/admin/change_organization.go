package admin

import (
	"time"

	"github.com/sallyport-go/sallyport/policy"
)

// CreateOrganization creates the organization that the call names, with this requirement. A
// [SetName] after it in the same call is part of the creation.
// Keys cannot do this: they belong to another organization.
func CreateOrganization(requirement policy.Requirement) Change {
	change := ofOrganization("create_organization", func(d *draft) error {
		d.organization = &policy.Organization{ID: d.id, Requirement: requirement}
		return nil
	}, requirement.String())
	change.creates, change.keyless = true, "A key cannot create an organization."
	return change.requires(requirement)
}

// SetName sets the organization's name for people. It is empty, or a name as
// [apikey.ValidateName] has it. Organizations may have the same one.
func SetName(name string) Change {
	change := ofOrganization("set_name", func(d *draft) error {
		d.organization.Name = name
		return nil
	}, name)
	change.words = true
	if name == "" {
		return change
	}
	return change.named("name", name)
}

// SetRequirement sets whether the organization's keys need an access list. It holds for
// every key at once (rule Q3), and a switch ends a suspension.
func SetRequirement(requirement policy.Requirement) Change {
	return ofOrganization("set_requirement", func(d *draft) error {
		if d.organization.Requirement != requirement {
			d.organization.SuspendedUntil = time.Time{}
		}
		d.organization.Requirement = requirement
		return nil
	}, requirement.String()).requires(requirement)
}

func (c Change) requires(requirement policy.Requirement) Change {
	if requirement > policy.Required {
		return c.wrong("The requirement is unknown. Choose not_required, report_only or required.")
	}
	return c
}

// The lengths of a suspension (rule M20).
const (
	MaxSuspension     = 24 * time.Hour
	DefaultSuspension = time.Hour
)

// SuspendRequirement suspends the organization's requirement until an instant at most
// [MaxSuspension] ahead (rule M20). The zero time means [DefaultSuspension] from now. At that
// instant the requirement applies again, without a further change. A running suspension gets
// the new end. Errors are Invalid for an end in the past or too far ahead, and Conflict for
// an organization without a requirement of policy.Required.
//
// Keys cannot do this: a person or the system must, such as by the console or the command with
// --store.
func SuspendRequirement(until time.Time) Change {
	change := ofOrganization("suspend_requirement", func(d *draft) error {
		end := moment(until)
		if end.IsZero() {
			end = moment(d.now.Add(DefaultSuspension))
		}
		switch {
		case d.organization.Requirement != policy.Required:
			return conflict("The organization does not require access lists, so there is nothing to suspend.")
		case !end.After(d.now):
			return invalid("The suspension would end before it begins. Choose an end in the future.")
		case end.After(d.now.Add(MaxSuspension)):
			return invalid("A suspension lasts 24 hours at most. Choose an earlier end.")
		}
		d.organization.SuspendedUntil = end
		return nil
	}, stamp(until))
	return change.ofSuspension()
}

// ResumeRequirement ends a running suspension now. It is judged like a switch to required.
// Keys cannot do this.
func ResumeRequirement() Change {
	return ofOrganization("resume_requirement", func(d *draft) error {
		if isSuspended(d.organization, d.now) { // otherwise it has ended by itself
			d.organization.SuspendedUntil = time.Time{}
		}
		return nil
	}).ofSuspension()
}

func (c Change) ofSuspension() Change {
	c.keyless = "A key cannot suspend the requirement, nor resume it. A person can: in the console, or by the command with --store."
	return c
}

// isSuspended reports whether a requirement is suspended.
func isSuspended(o *policy.Organization, now time.Time) bool {
	return o.Requirement == policy.Required && o.SuspendedUntil.After(now)
}

// DisableOrganization switches every key of the organization off (line 6), until it is
// enabled.
func DisableOrganization() Change { return switchOrganization("disable_organization", true) }

// EnableOrganization switches the organization's keys on again. Keys that are disabled
// themselves stay so.
func EnableOrganization() Change { return switchOrganization("enable_organization", false) }

func switchOrganization(kind string, disabled bool) Change {
	return ofOrganization(kind, func(d *draft) error {
		d.organization.Disabled = disabled
		return nil
	})
}

// DeleteOrganization deletes the organization. It is a Conflict while the organization has
// keys: delete them first, or before it in the same call.
func DeleteOrganization() Change {
	change := ofOrganization("delete_organization", func(d *draft) error {
		d.organization = nil
		return nil
	})
	change.deletes = true
	return change
}
